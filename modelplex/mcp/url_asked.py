"""
A server that sends its caller's user to a web page before it does what it is asked.

Revision 2025-11-25 has an error for that, after which the client calls again; in the
modern era it is a question like others. (2025-11-25, URL mode elicitation required.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelplex.mcp.asking import ELICITATION, check_askable, modern
from modelplex.tools import Question
from modelplex.wire.jsonrpc import RpcError
from modelplex.wire.mcp.shapes import INPUT_REQUIRED, URL_ELICITATION_REQUIRED

MOST = 32  # pages at a time


def url_asked(error: RpcError, declared: Mapping[str, Any]) -> dict[str, Any] | None:
    """
    The result that asks a modern client what `error` asks a legacy one.

    Nothing is kept for its answer: it sends the request again, which is made anew.

    :param declared: what the client can be asked.
    :returns: ``None`` when that is not what the error says.
    :raises RpcError: the client cannot be sent anywhere (-32021).
    """
    if error.rpc_code != URL_ELICITATION_REQUIRED or not isinstance(
        error.data, Mapping
    ):
        return None
    pages = error.data.get("elicitations")
    if not isinstance(pages, list) or not 0 < len(pages) <= MOST:
        return None
    questions: dict[str, Question] = {}
    for number, page in enumerate(pages):
        if not isinstance(page, Mapping) or not isinstance(page.get("url"), str):
            return None
        said = {"mode": "url", "url": page["url"], "message": page.get("message", "")}
        questions[f"page-{number + 1}"] = Question(ELICITATION, said)
    check_askable(questions, declared)
    asked = {key: modern(question) for key, question in questions.items()}
    return {"resultType": INPUT_REQUIRED, "inputRequests": asked}
