"""A passed request without the reasoning that its provider did not write."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.jsonobject import open_object

BUDGET = {"type": "enabled", "budget_tokens": 1024}


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def called(id: str, *proofs: str) -> list[Any]:
    """A call with the reasoning before it, and its result."""
    thoughts = [{"type": "thinking", "thinking": "Hm", "signature": p} for p in proofs]
    call = {"type": "tool_use", "id": id, "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": id, "content": "ok"}
    return [
        {"role": "assistant", "content": [*thoughts, call]},
        {"role": "user", "content": [result]},
    ]


def said(proof: str) -> Any:
    thought = {"type": "thinking", "thinking": "Hm", "signature": proof}
    text = {"type": "text", "text": "So."}
    return {"role": "assistant", "content": [thought, text]}


def sent(*messages: Any, thinking: Any = BUDGET) -> Any:
    asked = {"model": "m", "messages": messages, "thinking": thinking}
    body = open_object(json.dumps(asked).encode())
    changes = ANTHROPIC.without_foreign(body, lambda proof: proof == "b3RoZXI=")
    return json.loads(body.splice(changes))


@pytest.mark.parametrize(
    ("messages", "thinks"),
    [
        # Nothing of the turn that goes on is gone.
        ([user("x"), *called("a", "b3RoZXI="), said("b3RoZXI="), user("y")], True),
        ([user("x"), said("b3RoZXI="), user("y"), *called("a", "own")], True),
        # Only what came later in it is.
        ([user("x"), *called("a", "own"), *called("b", "b3RoZXI=")], True),
        # It began with what is gone.
        ([user("x"), *called("a", "b3RoZXI=")], False),
        ([user("x"), *called("a", "b3RoZXI="), *called("b", "own")], False),
    ],
)
def test_it_thinks_unless_its_turn_began_with_reasoning_that_is_gone(
    messages: list[Any], thinks: bool
) -> None:
    body = sent(*messages)
    assert "b3RoZXI=" not in json.dumps(body)
    assert body["thinking"] == (BUDGET if thinks else {"type": "disabled"})
    adaptive = {"type": "adaptive"}
    assert sent(*messages, thinking=adaptive)["thinking"] == adaptive


def test_a_text_beside_the_results_is_no_turn_of_its_own() -> None:
    *before, results = called("a", "b3RoZXI=")
    results["content"].append({"type": "text", "text": "And?"})
    body = sent(user("x"), *before, results)
    assert body["thinking"] == {"type": "disabled"}


def test_a_message_of_nothing_else_goes_whole() -> None:
    thought = {"type": "thinking", "thinking": "Hm", "signature": "b3RoZXI="}
    alone = {"role": "assistant", "content": [thought]}
    body = sent(user("x"), alone, user("y"))
    assert body["messages"] == [user("x"), user("y")]
