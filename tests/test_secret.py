"""A secret is seen only where it is revealed."""

from __future__ import annotations

import copy
import json
import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.secret import Secret, hide

KEY = "sk-4f9a-never-show-this"


@pytest.mark.parametrize(
    "show",
    [str, repr, "{}".format, "{!r:>40}".format, lambda s: f"{s}", lambda s: f"{[s]}"],
)
def test_no_rendering_shows_the_text(show: object) -> None:
    assert callable(show)
    shown = show(Secret(KEY))
    assert "***" in shown
    assert KEY not in shown


def test_reveal_gives_the_text() -> None:
    assert Secret(KEY).reveal() == KEY


@given(st.text(), st.text())
def test_secrets_are_equal_when_their_texts_are(one: str, other: str) -> None:
    assert (Secret(one) == Secret(other)) is (one == other)
    assert Secret(one) == Secret(one)
    assert hash(Secret(one)) == hash(Secret(one))


def test_a_secret_is_not_its_text() -> None:
    assert Secret(KEY) != KEY
    assert not isinstance(Secret(KEY), str)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_does_not_pickle(protocol: int) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps([Secret(KEY)], protocol)


def test_a_copy_is_the_same_secret() -> None:
    secret = Secret(KEY)
    assert copy.deepcopy([secret])[0] == copy.copy(secret) == secret


def test_encoders_refuse_a_secret_or_hide_it() -> None:
    with pytest.raises(TypeError):
        json.dumps([Secret(KEY)])
    with pytest.raises(TypeError):
        msgspec.json.encode([Secret(KEY)])
    assert json.dumps([Secret(KEY)], default=hide) == '["***"]'
    assert msgspec.json.encode([Secret(KEY)], enc_hook=hide) == b'["***"]'


def test_hide_hides_secrets_only() -> None:
    with pytest.raises(TypeError, match="object cannot be encoded"):
        hide(object())
