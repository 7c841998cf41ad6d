"""Ollama's own API as a guest speaks it."""

from __future__ import annotations

from modelplex.guests.closed_ollama import close
from modelplex.surface.exchanges import Opening, with_tools
from modelplex.surface.request import GuestRequest
from modelplex.wire.asked import Operation
from modelplex.wire.dialect import Dialect
from modelplex.wire.embeddings import OLLAMA_EMBEDDINGS
from modelplex.wire.jsonobject import JsonObject, open_object
from modelplex.wire.ollama.dialect import OLLAMA, OLLAMA_GENERATE

#: What clients compare with the version that a feature of theirs came with. Of the
#: sources that `modelplex.wire.ollama` was written from (2026-08-21).
VERSION = "0.30.0"


def chat(request: GuestRequest) -> Opening:
    """``POST /api/chat``."""
    return with_tools(_text(request, Operation.CHAT, OLLAMA))


def generate(request: GuestRequest) -> Opening:
    """``POST /api/generate``."""
    return _text(request, Operation.COMPLETIONS, OLLAMA_GENERATE)


def embed(request: GuestRequest) -> Opening:
    """``POST /api/embed``."""
    body = open_object(request.body)
    return Opening(
        Operation.EMBEDDINGS,
        OLLAMA,
        body,
        body.get("model", str),
        stream=False,
        close=close,
        embeddings=OLLAMA_EMBEDDINGS,
    )


def is_loading(body: JsonObject) -> bool:
    """Whether a request only wants its model to be in memory, which is not ours."""
    asked = body.raw("messages") or body.raw("prompt")
    return asked in (None, b"null", b"[]", b'""')


def _text(request: GuestRequest, operation: Operation, dialect: Dialect) -> Opening:
    body = open_object(request.body)
    return Opening(
        operation,
        dialect,
        body,
        body.get("model", str),
        stream=body.get("stream", bool | None) is not False,
        close=close,
    )
