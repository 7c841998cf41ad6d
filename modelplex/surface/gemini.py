"""Gemini's API as a guest speaks it; the model and what to do are in the path."""

from __future__ import annotations

from functools import partial

from attrs import evolve

from modelplex.errors import UnknownRoute
from modelplex.guests.closed_gemini import close
from modelplex.surface.exchanges import Opener, Opening, with_tools
from modelplex.surface.request import GuestRequest
from modelplex.wire.asked import Operation
from modelplex.wire.dialect import Dialect
from modelplex.wire.gemini import paths
from modelplex.wire.gemini.count_tokens import GEMINI_COUNT, decode_count_request
from modelplex.wire.gemini.dialect import GEMINI, GEMINI_ARRAY
from modelplex.wire.gemini.embeddings import GEMINI_EMBED_CONTENT, GEMINI_EMBEDDINGS
from modelplex.wire.jsonobject import open_object

_COUNTED = evolve(GEMINI, decode_request=decode_count_request)


def opener(request: GuestRequest, call: str) -> Opener:
    """
    Who reads ``POST /v1beta/models/MODEL:METHOD``.

    :param call: the path after the version.
    :raises UnknownRoute: there is no such method here.
    """
    model, method = paths.split_method(call) or ("", "")
    match method:
        case paths.GENERATE:
            return partial(_generate, model=model, dialect=GEMINI, stream=False)
        case paths.STREAM:
            events = request.args.get(b"alt", [b""])[-1] == b"sse"
            dialect = GEMINI if events else GEMINI_ARRAY
            return partial(_generate, model=model, dialect=dialect, stream=True)
        case paths.EMBED | paths.EMBED_BATCH:
            return partial(_embed, model=model, one=method == paths.EMBED)
        case paths.COUNT:
            return partial(_count, model=model)
        case _:
            raise UnknownRoute(f"{call[:200]}: no such method is served here")


def _generate(
    request: GuestRequest, *, model: str, dialect: Dialect, stream: bool
) -> Opening:
    body = open_object(request.body)
    return with_tools(
        Opening(Operation.CHAT, dialect, body, model, stream=stream, close=close)
    )


def _embed(request: GuestRequest, *, model: str, one: bool) -> Opening:
    return Opening(
        Operation.EMBEDDINGS,
        GEMINI,
        open_object(request.body),
        model,
        stream=False,
        close=close,
        embeddings=GEMINI_EMBED_CONTENT if one else GEMINI_EMBEDDINGS,
    )


def _count(request: GuestRequest, *, model: str) -> Opening:
    return Opening(
        Operation.COUNT_TOKENS,
        _COUNTED,
        open_object(request.body),
        model,
        stream=False,
        close=close,
        counting=GEMINI_COUNT,
    )
