"""Ollama's errors: ``{"error": "what went wrong"}``, both ways."""

from __future__ import annotations

from typing import Any

import msgspec

from modelplex.errors import GatewayError
from modelplex.wire.ollama.lines import words_of
from modelplex.wire.upstream import Complaint, classify, text_of

_OBJECT = msgspec.json.Decoder(dict[str, Any])


def decode_error(status: int, body: bytes) -> GatewayError:
    """The error that an answer with this HTTP status means."""
    try:
        said = _OBJECT.decode(body).get("error")
    except (msgspec.DecodeError, RecursionError):
        said = None
    if not said:
        return classify(status, Complaint(text_of(body)))
    return classify(status, Complaint(words_of(said), body=body))


def encode_error(error: GatewayError, request_id: str) -> tuple[int, bytes]:
    """The HTTP status and body for `error`; a bug is told with the request id."""
    message = error.message
    if error.kind == GatewayError.kind:
        message = f"{message} (request {request_id})"
    return error.status, msgspec.json.encode({"error": message})
