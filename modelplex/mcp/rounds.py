"""
What a modern server wants to know before it goes on (multi round-trip requests).

2026-07-28: only three methods may be answered so, and each round is a new request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from modelplex.tools import Question

ROUNDS = 10  # of one request
QUESTIONS = 32  # in one round
MAY_ASK = ("tools/call", "resources/read", "prompts/get")
_KINDS = ("elicitation/create", "sampling/createMessage", "roots/list")


@frozen
class InputRequired:
    """
    One round.

    :ivar state: opaque; sent back as it came.
    """

    questions: Mapping[str, Question]
    state: str | None


def input_required(method: str, result: Mapping[str, Any]) -> InputRequired | str:
    """The round that `result` asks for, or what is wrong with it."""
    if method not in MAY_ASK:
        return f"the server cannot ask anything for {method}"
    asked, state = result.get("inputRequests"), result.get("requestState")
    if state is not None and not isinstance(state, str):
        return "the server's requestState is no text"
    if asked is None and state is None:
        return "the server asks for nothing"
    if asked is None:
        return InputRequired({}, state)
    if not isinstance(asked, dict) or len(asked) > QUESTIONS:
        return "the server's inputRequests cannot be read"
    questions: dict[str, Question] = {}
    for key, one in asked.items():
        kind = one.get("method") if isinstance(one, dict) else None
        params = one.get("params", {}) if isinstance(one, dict) else None
        if kind not in _KINDS or not isinstance(params, dict):
            return "the server's inputRequests cannot be read"
        questions[key] = Question(kind, params)
    return InputRequired(questions, state)


def unanswered(
    questions: Mapping[str, Question], roots: tuple[Mapping[str, Any], ...]
) -> tuple[dict[str, Any], dict[str, Question]]:
    """The answers that are known from our configuration, and the questions left."""
    answers: dict[str, Any] = {}
    left: dict[str, Question] = {}
    for key, question in questions.items():
        if question.method == "roots/list" and roots:
            answers[key] = {"roots": list(roots)}
        else:
            left[key] = question
    return answers, left
