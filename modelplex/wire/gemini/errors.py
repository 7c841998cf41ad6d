"""Errors of the Gemini API, both ways: what a body means, and how one looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from modelplex.errors import (
    GatewayError,
    UpstreamQuota,
    UpstreamRateLimited,
    UpstreamRejected,
)
from modelplex.wire.upstream import Complaint, classify, text_of

_TYPE = "type.googleapis.com/google.rpc."
_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 403,  # about the operator's account, place or billing
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 502,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_WORD = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
_MODEL = re.compile(r"\bmodels?\b", re.IGNORECASE)
_CONTEXT = re.compile(r"input token count|maximum number of tokens", re.IGNORECASE)
_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_LONGEST_DELAY = 86_400.0  # seconds


def decode_error(status: int, body: bytes) -> GatewayError:
    """
    The error that a provider's answer means.

    :param status: of the response; below 400 when the error came with a success, and
        then the error's own code tells.
    """
    error = _error(body)
    message, word = _text(error.get("message")), _text(error.get("status"))
    if status < 400:
        code = error.get("code")
        if not isinstance(code, int) or not 400 <= code < 600:
            code = _STATUS.get(word, 500)
        status = code
    if status < 500 and status != 429:
        status = _meant(status, word, error)
    code = _code(status, message)
    said = Complaint(message or text_of(body), word or None, code, body=body)
    delay = _delay(error)
    if status == 429:
        if _is_spent(error):
            return UpstreamQuota(said.message[:2000])
        # The words for a short wait are those of an empty account elsewhere.
        return UpstreamRateLimited(said.message[:2000], retry_after=delay)
    found = classify(status, said)
    if status == 503 and delay is not None:
        found.retry_after = delay
    return found


def _meant(status: int, word: str, error: dict[str, Any]) -> int:
    """The status that says whose fault it is: a bad key is a 400 at Google."""
    if any(d.get("reason") == "API_KEY_INVALID" for d in _details(error)):
        return 401
    if word in ("FAILED_PRECONDITION", "CANCELLED"):
        return _STATUS[word]
    return 502 if status == 499 else status


def _code(status: int, message: str) -> str | None:
    if status == 404 and _MODEL.search(message):
        return "model_not_found"
    if status == 400 and _CONTEXT.search(message):
        return "context_length_exceeded"
    return None


def _error(body: bytes) -> dict[str, Any]:
    """The `error` object, which may stand alone in an array; empty if there is none."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if isinstance(found, list) and found:
        found = found[0]
    error = found.get("error") if isinstance(found, dict) else None
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _details(error: dict[str, Any]) -> Iterator[dict[str, Any]]:
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict):
            yield detail


def _delay(error: dict[str, Any]) -> float | None:
    """Seconds to wait, as ``RetryInfo`` has them."""
    for detail in _details(error):
        if found := _DELAY.fullmatch(_text(detail.get("retryDelay"))):
            return min(float(found[1]), _LONGEST_DELAY)
    return None


def _is_spent(error: dict[str, Any]) -> bool:
    """Whether what is used up does not come back within the day."""
    for detail in _details(error):
        violations = detail.get("violations")
        for item in violations if isinstance(violations, list) else ():
            if isinstance(item, dict) and "PerDay" in _text(item.get("quotaId")):
                return True
    return False


def encode_error(error: GatewayError, request_id: str) -> tuple[int, bytes]:
    """The HTTP status and body for `error`; a provider's own body is passed on."""
    if isinstance(error, UpstreamRejected) and is_ours(error.body):
        return error.status, error.body
    status = {422: 400, 529: 503}.get(error.status, error.status)
    return status, msgspec.json.encode(_body(error, status, request_id))


def encode_error_chunk(error: GatewayError) -> bytes:
    """The object that ends a stream which has failed."""
    status = {422: 400, 529: 503}.get(error.status, error.status)
    return msgspec.json.encode(_body(error, status, ""))


def _body(error: GatewayError, status: int, request_id: str) -> dict[str, Any]:
    word = _WORD.get(status)
    if word is None:
        word = "INVALID_ARGUMENT" if status < 500 else "INTERNAL"
    details: list[dict[str, Any]] = []
    if error.retry_after is not None and error.should_retry is not False:
        delay = f"{max(0.0, error.retry_after):.3f}".rstrip("0").rstrip(".")
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{delay}s"})
    if error.param is not None and status == 400:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": [violation]})
    if error.code is not None:
        reason = error.code.upper()
        info = {"reason": reason, "domain": "modelplex"}
        details.append({"@type": f"{_TYPE}ErrorInfo", **info})
    if request_id:
        details.append({"@type": f"{_TYPE}RequestInfo", "requestId": request_id})
    told: dict[str, Any] = {"code": status, "message": error.message, "status": word}
    if details:
        told["details"] = details
    return {"error": told}


class _Error(msgspec.Struct):
    code: int
    message: str
    status: str


class _Ours(msgspec.Struct):
    error: _Error


def is_ours(body: bytes) -> bool:
    """Whether `body` is an error as the Gemini API itself writes it."""
    try:
        msgspec.json.decode(body, type=_Ours)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
