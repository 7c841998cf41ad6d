"""The benchmarks' request bodies, and the marker in them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import knobs
from benchmarks.bodies import SIZES, chat_body
from benchmarks.knobs import Knobs

_wishes = st.builds(
    Knobs, chunks=st.integers(0, 100_000), interval=st.integers(0, 10_000)
)


@pytest.mark.parametrize("size", SIZES.values())
def test_a_body_has_exactly_its_size(size: int) -> None:
    body = chat_body(size, model="m", stream=True, knobs=Knobs(500))
    assert len(body) == size


def test_a_long_body_is_a_conversation_with_tools() -> None:
    body = chat_body(SIZES["200 KB"], model="m", knobs=Knobs())
    request = json.loads(body)
    roles = [m["role"] for m in request["messages"]]
    assert len(request["tools"]) == 12
    assert roles[0] == "system" and roles[-1] == "user"
    assert roles[1:-1] == ["assistant", "tool"] * ((len(roles) - 2) // 2)
    assert len(roles) > 50
    assert not body.isascii() and rb"\\" in body and rb"\t" in body


@given(wish=_wishes, size=st.integers(1000, 60_000))
def test_the_upstream_reads_the_wish_out_of_any_body(wish: Knobs, size: int) -> None:
    assert knobs.read(chat_body(size, model="m", knobs=wish)) == wish


@given(body=st.binary())
def test_a_body_without_a_marker_wishes_nothing(body: bytes) -> None:
    assert knobs.read(body.replace(b"[[bench", b"")) == Knobs()
