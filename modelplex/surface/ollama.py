"""Ollama's own API as a guest speaks it."""

from __future__ import annotations

from collections.abc import Mapping

from modelplex.guests.closed_ollama import close
from modelplex.surface.exchanges import Opening, with_tools
from modelplex.surface.models import Shown
from modelplex.surface.request import GuestRequest
from modelplex.wire.asked import Operation
from modelplex.wire.dialect import Dialect
from modelplex.wire.embeddings import OLLAMA_EMBEDDINGS
from modelplex.wire.jsonobject import JsonObject, open_object
from modelplex.wire.ollama.dialect import OLLAMA, OLLAMA_GENERATE
from modelplex.wire.ollama.stream import rfc3339

#: What clients compare with the version that a feature of theirs came with. Of the
#: sources that `modelplex.wire.ollama` was written from (2026-08-21).
VERSION = "0.30.0"
_SMALL = 2048  # bytes of a request without messages


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


def only_loads(request: GuestRequest) -> JsonObject | None:
    """
    The body of a request that only wants its model in memory, or out of it.

    Ollama's clients send that before anything else, and other providers know no such
    thing. It is a small one, so no other is opened twice.

    :raises BadRequest: it is no request at all.
    """
    if len(request.body) > _SMALL:
        return None
    body = open_object(request.body)
    asked = [body.raw(key) for key in ("messages", "prompt", "images", "suffix")]
    nothing = all(one in (None, b"null", b"[]", b'""') for one in asked)
    return body if nothing else None


def loaded(body: JsonObject, said: Mapping[str, object], now: float) -> Shown:
    """
    The answer to such a request, streamed or not.

    :param said: what stands where the model's words would.
    """
    unloads = body.raw("keep_alive") in (b"0", b'"0"', b'"0s"')
    return {
        "model": body.get("model", str, ""),
        "created_at": rfc3339(int(now)),
        **said,
        "done": True,
        "done_reason": "unload" if unloads else "load",
    }


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
