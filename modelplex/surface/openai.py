"""OpenAI's API as a guest speaks it: chat, completions and embeddings."""

from __future__ import annotations

import msgspec

from modelplex.guests.closed_openai import close
from modelplex.surface.exchanges import Opening, with_tools
from modelplex.surface.request import GuestRequest
from modelplex.wire.asked import Operation
from modelplex.wire.dialect import Dialect
from modelplex.wire.embeddings import OPENAI_EMBEDDINGS
from modelplex.wire.jsonobject import JsonObject, open_object
from modelplex.wire.openai.dialect import OPENAI_CHAT, OPENAI_COMPLETIONS

HEADERS = (b"openai-beta",)


def chat(request: GuestRequest) -> Opening:
    """``POST /v1/chat/completions``."""
    return with_tools(_text(request, Operation.CHAT, OPENAI_CHAT))


def completions(request: GuestRequest) -> Opening:
    """``POST /v1/completions``."""
    return _text(request, Operation.COMPLETIONS, OPENAI_COMPLETIONS)


def embeddings(request: GuestRequest) -> Opening:
    """``POST /v1/embeddings``."""
    body = _opened(request)
    return Opening(
        Operation.EMBEDDINGS,
        OPENAI_CHAT,  # for its errors
        body,
        body.get("model", str, ""),
        stream=False,
        close=close,
        headers=HEADERS,
        embeddings=OPENAI_EMBEDDINGS,
    )


def model_of(request: GuestRequest, body: JsonObject) -> str:
    """The model asked for; Azure's clients may name it in the path only."""
    if request.deployment and "model" not in body:
        return request.deployment
    model: str = body.get("model", str, "")
    return model


def _opened(request: GuestRequest) -> JsonObject:
    """The body, with the model in it wherever it was named."""
    body = open_object(request.body)
    if request.deployment and "model" not in body:
        named = {"model": msgspec.json.encode(request.deployment)}
        return open_object(body.splice(named))
    return body


def _text(request: GuestRequest, operation: Operation, dialect: Dialect) -> Opening:
    body = _opened(request)
    return Opening(
        operation,
        dialect,
        body,
        body.get("model", str, ""),
        stream=bool(body.get("stream", bool | None)),
        close=close,
        headers=HEADERS,
        include_usage=_wants_usage(body),
    )


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


def _wants_usage(body: JsonObject) -> bool:
    options = body.get("stream_options", _StreamOptions | None)
    return options is not None and bool(options.include_usage)
