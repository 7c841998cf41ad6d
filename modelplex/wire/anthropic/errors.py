"""Errors of the Messages API, both ways: what a body means, and how one looks."""

from __future__ import annotations

from typing import Any

import msgspec

from modelplex.errors import GatewayError, UpstreamOverloaded, UpstreamRejected
from modelplex.wire import sse
from modelplex.wire.upstream import Complaint, classify, text_of

_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_TYPE = {status: type for type, status in _STATUS.items()} | {408: "timeout_error"}

_TOO_LONG = "prompt is too long"  # agents shorten their history when they read this


class _Body(msgspec.Struct):
    error: Any = None
    message: Any = None


def decode_error(status: int, body: bytes) -> GatewayError:
    """
    The error that a provider's answer means.

    :param status: of the response; below 400 when the error came with a success, and
        then the error's own type tells.
    """
    complaint = _complaint(body)
    if status < 400:
        status = _STATUS.get(complaint.type or "", 500)
    return classify(status, complaint)


def _complaint(body: bytes) -> Complaint:
    try:
        found = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, RecursionError):
        return Complaint(text_of(body), body=body)
    error = found.error
    if not isinstance(error, dict):  # not Anthropic's shape, but some proxies'
        message = error if isinstance(error, str) else found.message
        return Complaint(_word(message) or text_of(body), body=body)
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    return Complaint(
        _word(error.get("message")) or text_of(body),
        _word(error.get("type")),
        _word(code),
        body=body,
    )


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def encode_error(error: GatewayError, request_id: str) -> tuple[int, bytes]:
    """The HTTP status and body for `error`; a provider's own body is passed on."""
    if isinstance(error, UpstreamRejected) and _is_ours(error.body):
        return error.status, error.body
    status = 400 if error.status == 422 else error.status
    return status, _body(error, status, request_id)


def encode_error_event(error: GatewayError) -> bytes:
    """The event that ends a stream which has failed."""
    return sse.encode(_body(error, error.status, ""), "error")


def _body(error: GatewayError, status: int, request_id: str) -> bytes:
    type = _TYPE.get(status)
    if type is None:
        type = "invalid_request_error" if status < 500 else "api_error"
    if isinstance(error, UpstreamOverloaded) and status in (503, 529):
        type = "overloaded_error"
    message = error.message
    if error.code == "context_length_exceeded" and _TOO_LONG not in message:
        message = f"{_TOO_LONG}: {message}"
    body: dict[str, Any] = {
        "type": "error",
        "error": {"type": type, "message": message},
    }
    if request_id:
        body["request_id"] = request_id
    return msgspec.json.encode(body)


class _Error(msgspec.Struct):
    type: str
    message: str


class _Ours(msgspec.Struct):
    type: str
    error: _Error


def _is_ours(body: bytes) -> bool:
    """Whether `body` is an error as the Messages API itself writes it."""
    try:
        return msgspec.json.decode(body, type=_Ours).type == "error"
    except (msgspec.DecodeError, RecursionError):
        return False
