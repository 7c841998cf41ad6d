from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.testing.strategies import json_values
from modelplex.wire.anthropic.abilities import NEWEST, Abilities, from_model, guess


@pytest.mark.parametrize(
    ("name", "thinking", "cap"),
    [
        ("claude-2.1", "", 4096),
        ("claude-3-haiku-20240307", "", 4096),
        ("claude-3-5-sonnet-latest", "", 8192),
        ("claude-3-7-sonnet-20250219", "enabled disabled", 64_000),
        ("claude-opus-4-20250514", "enabled disabled", 32_000),
        ("claude-opus-4-1", "enabled disabled", 32_000),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "enabled disabled", 64_000),
        ("claude-opus-4-6", "adaptive enabled disabled", 128_000),
        ("claude-opus-4.8", "adaptive disabled", 128_000),
        ("claude-sonnet-5", "adaptive disabled", 128_000),
        ("claude-opus-5-20260401", "adaptive disabled", 128_000),
        ("claude-fable-5", "adaptive", 128_000),
        ("claude-opus-5-5", "adaptive", 128_000),
        ("claude-sonnet-5-5", "adaptive between_tools", 128_000),
        ("claude-haiku-5-5", "adaptive disabled", 128_000),
        ("claude-opus-7", "adaptive", 128_000),
        ("some-proxy-alias", "adaptive", 128_000),
    ],
)
def test_a_version_tells_how_a_model_thinks(name: str, thinking: str, cap: int) -> None:
    abilities = guess(name)
    assert abilities.thinking == set(thinking.split())
    assert abilities.max_output == cap


@pytest.mark.parametrize(
    ("name", "sampling", "prefill", "structured", "in_place"),
    [
        ("claude-3-5-haiku", True, True, False, False),
        ("claude-haiku-4-5", True, True, True, False),
        ("claude-sonnet-4-6", True, False, True, False),
        ("claude-opus-4-7", False, False, True, False),
        ("claude-opus-4-8", False, False, True, True),
        ("claude-sonnet-6-1", False, False, True, True),
        ("unheard-of", False, False, True, False),
    ],
)
def test_a_version_tells_what_else_a_model_takes(
    name: str, sampling: bool, prefill: bool, structured: bool, in_place: bool
) -> None:
    abilities = guess(name)
    assert abilities.sampling is sampling
    assert abilities.prefill is prefill
    assert abilities.structured_outputs is structured
    assert abilities.system_in_place is in_place


def test_what_the_api_states_goes_before_what_the_name_says() -> None:
    yes, no = {"supported": True}, {"supported": False}
    types = {"adaptive": no, "enabled": yes, "disabled": yes, "between_tools": no}
    abilities = from_model(
        {
            "id": "claude-opus-5-5",
            "max_tokens": 5000,
            "capabilities": {
                "thinking": {"supported": True, "types": types},
                "effort": {"supported": True, "low": yes, "max": yes, "xhigh": None},
                "structured_outputs": no,
            },
        }
    )
    assert abilities.max_output == 5000
    assert abilities.thinking == {"enabled", "disabled"}
    assert abilities.efforts == ("low", "max")
    assert not abilities.structured_outputs
    assert abilities.system_in_place


def test_a_model_that_cannot_think_takes_no_thinking_at_all() -> None:
    types = {"disabled": {"supported": True}}
    model = {"id": "claude-x", "capabilities": {"thinking": {"types": types}}}
    assert from_model(model).thinking == set()


def test_a_model_that_says_nothing_is_guessed() -> None:
    assert from_model({"id": "claude-opus-4-1"}) == guess("claude-opus-4-1")
    assert from_model({}) == NEWEST


@given(
    model=st.one_of(
        json_values(),
        st.dictionaries(
            st.sampled_from(["id", "max_tokens", "capabilities"]),
            st.one_of(
                json_values(),
                st.dictionaries(
                    st.sampled_from(["thinking", "effort", "types"]), json_values()
                ),
            ),
        ),
    )
)
def test_any_json_is_a_model_with_abilities(model: Any) -> None:
    assert isinstance(from_model(model), Abilities)


@given(name=st.text())
def test_any_name_has_abilities(name: str) -> None:
    assert isinstance(guess(f"claude-{name}"), Abilities)
