"""Tokens that a client keeps and cannot alter."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelplex.mcp.sealing import Seal, digest, opened, sealed

KEY = b"k" * 32
SEAL = Seal("park", 2, 12.5)
TOKEN = sealed(SEAL, b"bound", KEY)


def test_what_was_sealed_is_opened() -> None:
    assert opened(TOKEN, b"bound", KEY) == SEAL


def test_a_token_says_nothing_that_it_need_not() -> None:
    assert len(TOKEN) < 120


@given(st.integers(0, len(TOKEN) - 1), st.characters())
def test_an_altered_token_is_none(position: int, char: str) -> None:
    altered = TOKEN[:position] + char + TOKEN[position + 1 :]
    assert opened(altered, b"bound", KEY) == (SEAL if altered == TOKEN else None)


@given(st.none() | st.integers() | st.text() | st.binary() | st.just(TOKEN + "="))
def test_anything_else_is_none(token: Any) -> None:
    assert opened(token, b"bound", KEY) is None


@given(st.integers(0, len(TOKEN) - 1))
def test_a_part_of_a_token_is_none(end: int) -> None:
    assert opened(TOKEN[:end], b"bound", KEY) is None


def test_another_key_or_another_binding_opens_nothing() -> None:
    assert opened(TOKEN, b"bound", b"x" * 32) is None
    assert opened(TOKEN, b"other", KEY) is None


def test_the_rounds_of_a_request_have_the_same_digest() -> None:
    params = {"name": "t", "arguments": {"a": 1, "b": "\ud800"}}
    again = {
        "requestState": "s",
        "inputResponses": {},
        "_meta": {"progressToken": 1},
        "arguments": {"b": "\ud800", "a": 1},
        "name": "t",
    }
    assert digest(params) == digest(again)
    assert digest(params) != digest({**params, "arguments": {"a": 2}})
