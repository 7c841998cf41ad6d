"""
Errors inside a stream or a response object, both ways.

Before any answer they are OpenAI's usual error objects (`modelplex.wire.openai`).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from modelplex.errors import GatewayError, UpstreamRateLimited
from modelplex.events import JSON
from modelplex.wire.openai import errors as openai

# What `response.error.code` says about the request itself, besides the words that
# OpenAI's other errors have.
_ABOUT_THE_REQUEST = re.compile(
    r"(invalid|empty|unsupported)_\w+|image_\w+|\w+_policy|\w+_policy_violation|"
    r"failed_to_download_image|data_residency_mismatch|unsupported_parameter"
)
_WORDS = ("message", "type", "code", "param", "status")
_NO_ACCESS = ("usage_not_included",)
_AGAIN = re.compile(r"try again in\s*(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s)", re.IGNORECASE)


class _Answer(msgspec.Struct):
    error: Any = None


def decode_error(status: int, body: bytes) -> GatewayError:
    """What a provider's error answer means; see `modelplex.wire.openai.errors`."""
    if status < 400:  # only its words can tell
        try:
            said = msgspec.json.decode(body, type=_Answer).error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            said = None
        if said is not None:
            return failure(said)
    return _with_wait(openai.decode_error(status, body))


def failure(said: Any) -> GatewayError:
    """
    What an ``error`` member means: that of a response, or an error event.

    :param said: whatever stood there.
    """
    found = said if isinstance(said, dict) else {"message": said}
    words = {k: v for k in _WORDS if isinstance(v := found.get(k), str | int)}
    body = msgspec.json.encode({"error": words})
    code = words.get("code")
    status = 200
    if isinstance(code, str):
        if code in _NO_ACCESS:
            status = 403
        elif code != "invalid_api_key" and _ABOUT_THE_REQUEST.fullmatch(code):
            status = 400
    return _with_wait(openai.decode_error(status, body))


def error_event(payload: bytes) -> GatewayError:
    """
    What an ``error`` event means.

    Its members stand in the event itself, or in an ``error`` inside it.
    """
    said = msgspec.json.decode(payload)
    nested = said.get("error")
    if nested is not None:
        return failure(nested)
    return failure({k: v for k, v in said.items() if k != "type"})


def _with_wait(error: GatewayError) -> GatewayError:
    """OpenAI says only in words when a limit is over."""
    if isinstance(error, UpstreamRateLimited) and error.retry_after is None:
        found = _AGAIN.search(error.message)
        if found is not None:
            unit = 1000 if found[2].lower() == "ms" else 1
            error.retry_after = float(found[1]) / unit
    return error


def failed(error: GatewayError) -> JSON:
    """
    The ``error`` member of a response that failed.

    Agents decide by its code whether to ask again, and by its words when.
    """
    status, body = openai.encode_error(error, "")
    told = msgspec.json.decode(body)["error"]
    message, code = told["message"], told["code"]
    if status == 429:
        code = "rate_limit_exceeded"
        if error.should_retry is False:
            code = "insufficient_quota"
        elif error.retry_after is not None and not _AGAIN.search(message):
            message = f"{message} Please try again in {error.retry_after:g}s."
    elif status == 503:
        code = "server_is_overloaded"
    elif status >= 500:
        code = "server_error"
    return {"code": code or "invalid_prompt", "message": message}
