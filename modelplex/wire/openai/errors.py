"""OpenAI's error objects, both ways; its compatible servers have other shapes too."""

from __future__ import annotations

from typing import Any

import msgspec

from modelplex.errors import (
    GatewayError,
    UpstreamOverloaded,
    UpstreamRejected,
)
from modelplex.events import JSON
from modelplex.wire.upstream import Complaint, classify, text_of

# What the words in an error stand for when there is no HTTP status to go by.
_MEANT = {
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "context_length_exceeded": 400,
    "content_filter": 400,
    "content_policy_violation": 400,
    "BadRequestError": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "NotFoundError": 404,
    "request_too_large": 413,
    "insufficient_quota": 429,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "requests": 429,
    "tokens": 429,
    "service_unavailable_error": 503,
    "server_is_overloaded": 503,
    "slow_down": 503,
    "overloaded_error": 529,
    "timeout_error": 504,
}


def encode_error(error: GatewayError, request_id: str) -> tuple[int, bytes]:
    """The HTTP status and body for an error that comes before any answer."""
    return _status(error), msgspec.json.encode({"error": inner(error, request_id)})


def inner(error: GatewayError, request_id: str = "") -> JSON:
    """The object inside ``error``, the same before an answer and in its middle."""
    status = _status(error)
    message = error.message
    if type(error) is GatewayError and request_id:  # a bug, which only the log explains
        message = f"{message} (request {request_id})"
    code = error.code
    if isinstance(error, UpstreamOverloaded) and status == 503:
        code = "server_is_overloaded"
    told: dict[str, Any] = {
        "message": message,
        "type": _type(error, status),
        "param": error.param,
        "code": code,
    }
    if isinstance(error, UpstreamRejected):
        own = _complaint(error.body) if error.body else None
        if own is not None:
            told["message"] = own.message or message
            told["param"] = own.param or error.param
            told["code"] = own.code or code
        told["type"] = (own and own.type) or error.type or told["type"]
        if b'"innererror"' in error.body:
            told |= _inner(error.body)
    return told


class _FilterError(msgspec.Struct):
    innererror: dict[str, Any]


class _Filtered(msgspec.Struct):
    error: _FilterError


def _inner(body: bytes) -> dict[str, Any]:
    """What Azure says of a prompt that it filtered."""
    try:
        said = msgspec.json.decode(body, type=_Filtered)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return {"innererror": said.error.innererror}


def _status(error: GatewayError) -> int:
    """529 is Anthropic's word; OpenAI's is 503."""
    return 503 if error.status == 529 else error.status


def _type(error: GatewayError, status: int) -> str:
    if status == 429:
        final = error.should_retry is False
        return "insufficient_quota" if final else "rate_limit_error"
    if status == 503:
        return "service_unavailable_error"
    return "server_error" if status >= 500 else "invalid_request_error"


def decode_error(status: int, body: bytes) -> GatewayError:
    """
    What a provider's error answer means.

    With a status under 400, as an error inside a stream has, its words decide.
    """
    complaint = _complaint(body) or Complaint(text_of(body), body=body)
    if status < 400:
        words = (complaint.code, complaint.type)
        status = next((_MEANT[w] for w in words if w in _MEANT), 0)
        if not status and (complaint.code or "").isdecimal():
            number = int((complaint.code or "")[:9])
            status = number if 400 <= number < 600 else 0
    return classify(status or 500, complaint)


def _complaint(body: bytes) -> Complaint | None:
    """The error in any of the known shapes, or ``None``."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(said, list) and said:  # Google's compatible endpoint
        said = said[0]
    if not isinstance(said, dict):
        return None
    found = said.get("error")
    if isinstance(found, str) and found:
        return Complaint(found, code=_word(said.get("code")), body=body)
    if not isinstance(found, dict):
        found = said  # vLLM's flat shape
    message = _word(found.get("message")) or _detail(said.get("detail"))
    if message is None and found is said:
        return None
    return Complaint(
        message or "",
        type=_word(found.get("type")),
        code=_word(found.get("code")),
        param=_word(found.get("param")),
        body=body,
    )


def _word(value: JSON) -> str | None:
    """A string or a number as text; whatever else stands there says nothing."""
    if isinstance(value, bool):
        return None
    return str(value) if isinstance(value, str | int) and value != "" else None


def _detail(detail: JSON) -> str | None:
    """FastAPI's ``detail``: a string, or a list of what is wrong where."""
    if isinstance(detail, list):
        told = [_word(d.get("msg")) for d in detail if isinstance(d, dict)]
        return "; ".join(w for w in told if w) or None
    return _word(detail)
