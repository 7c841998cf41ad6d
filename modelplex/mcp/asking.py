"""What a client may be asked while a call of its runs, and whether it has answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelplex.tools import Question, needed
from modelplex.wire.jsonrpc import INTERNAL_ERROR, RpcError
from modelplex.wire.mcp.envelope import MISSING_CAPABILITY, bare

ELICITATION = "elicitation/create"
SAMPLING = "sampling/createMessage"
ROOTS = "roots/list"

_ACTIONS = ("accept", "decline", "cancel")


def check_askable(
    questions: Mapping[str, Question], declared: Mapping[str, Any]
) -> None:
    """
    Ask whether a client that has `declared` these capabilities can be asked all that.

    :raises RpcError: it cannot (-32021, with the capabilities that it lacks), or
        nobody can (-32603).
    """
    for question in questions.values():
        if question.method not in (ELICITATION, SAMPLING, ROOTS):
            raise RpcError(INTERNAL_ERROR, "the server asks what no client answers")
    lacking = {
        name: inner
        for name, inner in needed(questions).items()
        if not _has(declared, name, inner)
    }
    if lacking:
        raise RpcError(
            MISSING_CAPABILITY,
            "the server wants to ask something that this client cannot be asked",
            {"requiredCapabilities": lacking},
        )


def is_answer(question: Question, answer: object) -> bool:
    """Whether `answer` has the form of one to `question`."""
    if not isinstance(answer, Mapping):
        return False
    match question.method:
        case "elicitation/create":
            content = answer.get("content", {})
            return answer.get("action") in _ACTIONS and isinstance(content, Mapping)
        case "sampling/createMessage":
            return isinstance(answer.get("role"), str) and "content" in answer
    return isinstance(answer.get("roots"), list)


def answered(
    questions: Mapping[str, Question], answers: Mapping[str, Any]
) -> dict[str, Any]:
    """Those of `answers` that answer one of `questions`; the others do not count."""
    found: dict[str, Any] = {}
    for key, question in questions.items():
        if key in answers and is_answer(question, answers[key]):
            found[key] = answers[key]
    return found


def modern(question: Question) -> dict[str, Any]:
    """
    `question` as a client of the modern era is asked it.

    What identified it on the hop it came over is taken out; there, a URL has no id.
    """
    params = dict(bare(question.params))
    params.pop("task", None)
    if question.method == ELICITATION:
        params.pop("elicitationId", None)
        params.setdefault("mode", "form")
    asked: dict[str, Any] = {"method": question.method}
    return {**asked, "params": params} if params else asked


def _has(declared: Mapping[str, Any], name: str, inner: Mapping[str, Any]) -> bool:
    found = declared.get(name)
    if not isinstance(found, Mapping):
        return False
    if name == "elicitation" and not inner:
        # An empty one is that of forms, which were there first.
        return not found or "form" in found
    return all(key in found for key in inner)
