"""What of a client's capabilities is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.mcp.asking import check_askable
from modelplex.surface.mcp_askable import askable
from modelplex.testing.strategies import json_values
from modelplex.tools import Question
from modelplex.wire.jsonrpc import RpcError

QUESTIONS = [
    Question("elicitation/create", {"message": "?"}),
    Question("elicitation/create", {"message": "?", "mode": "url"}),
    Question("sampling/createMessage", {}),
    Question("sampling/createMessage", {"tools": []}),
    Question("roots/list", {}),
]
INNER = st.dictionaries(
    st.sampled_from(["form", "url", "tools", "context", "listChanged", "x"]),
    json_values(),
)
DECLARED = st.dictionaries(
    st.sampled_from(["elicitation", "sampling", "roots", "experimental"]),
    st.one_of(INNER, json_values()),
)


def can_be_asked(question: Question, declared: Any) -> bool:
    try:
        check_askable({"q": question}, declared)
    except RpcError:
        return False
    return True


@given(DECLARED, st.sampled_from(QUESTIONS))
def test_a_client_can_be_asked_what_it_could_be(declared: Any, ask: Question) -> None:
    assert can_be_asked(ask, askable(declared)) == can_be_asked(ask, declared)


@given(DECLARED)
def test_what_is_kept_is_small_whatever_was_declared(declared: Any) -> None:
    kept = askable(declared)
    assert len(json.dumps(kept)) < 200
    assert askable(kept) == kept


@pytest.mark.parametrize("nothing", [None, [], "x", 1, {}])
def test_a_client_that_declares_nothing_can_be_asked_nothing(nothing: Any) -> None:
    assert askable(nothing) == {}
