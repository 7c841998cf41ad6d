"""Which models a guest may use."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.guests.policy import Policy

globs = st.text("ab*?[]!-/.|()", max_size=6)
names = st.text("ab-/.|\n", max_size=5)


@given(st.lists(globs, max_size=3).map(tuple), names, names)
def test_a_model_is_permitted_by_its_name_or_by_its_provider_and_name(
    models: tuple[str, ...], provider: str, model: str
) -> None:
    either = (model, f"{provider}/{model}")
    assert Policy("g", models).permits(provider, model) is any(
        fnmatchcase(name, glob) for name in either for glob in models
    )


@pytest.mark.parametrize(
    ("models", "provider", "model", "permitted"),
    [
        ((), "p", "gpt-4", False),
        (("*",), "p", "any/thing:x", True),
        (("gpt-4",), "p", "gpt-4o", False),
        (("gpt-4",), "p", "xgpt-4", False),
        (("gpt-4",), "p", "GPT-4", False),
        (("gpt.4",), "p", "gpt-4", False),
        (("gpt-4",), "p", "gpt-4\n", False),
        (("p/*",), "p", "gpt-4", True),
        (("p/*",), "q", "gpt-4", False),
    ],
)
def test_what_globs_mean(
    models: tuple[str, ...], provider: str, model: str, permitted: bool
) -> None:
    assert Policy("g", models).permits(provider, model) is permitted


def test_everything_is_closed_unless_it_is_opened() -> None:
    assert Policy("g").allow == frozenset()
