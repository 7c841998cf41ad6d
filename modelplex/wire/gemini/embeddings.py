"""
Gemini's embeddings, both ways: one content, or the batch that its SDK always sends.

Gemini embeds texts and counts no tokens. In a batch every request has settings of
its own; they must agree, since other APIs have one for all.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from modelplex.errors import BadRequest, UnsupportedField, UpstreamMalformed
from modelplex.events import JSON
from modelplex.wire.dialect import Encoded
from modelplex.wire.embeddings import (
    EmbeddingsDialect,
    EmbeddingsReply,
    EmbeddingsRequest,
)
from modelplex.wire.gemini.contents_in import system_texts
from modelplex.wire.gemini.errors import decode_error
from modelplex.wire.gemini.members import Members, body_members, members
from modelplex.wire.gemini.request_in import plain_model
from modelplex.wire.jsonobject import JsonObject
from modelplex.wire.typed import pack

_OWN = ("taskType", "title")
_READ = frozenset({"model", "content", "outputDimensionality", "embedContentConfig"})


def decode_single_request(body: JsonObject) -> EmbeddingsRequest:
    """Read ``embedContent``, or raise `BadRequest` naming the field at fault."""
    return _one(body_members(body))


def decode_batch_request(body: JsonObject) -> EmbeddingsRequest:
    """Read ``batchEmbedContents``, or raise `BadRequest` naming the field at fault."""
    given = body_members(body)
    given.need("requests", list[Raw])
    found = [_one(members(raw, where)) for raw, where in given.items("requests")]
    if not found:
        raise BadRequest("requests: must not be empty", param="requests")
    first = found[0]
    for number, other in enumerate(found):
        if (other.dimensions, other.extra) != (first.dimensions, first.extra):
            where = f"requests[{number}]"
            raise UnsupportedField(
                f"{where}: its settings differ from those of the first", param=where
            )
    model = given.get("model", str)
    return EmbeddingsRequest(
        plain_model(model) if model else first.model,
        tuple(text for one in found for text in one.input if isinstance(text, str)),
        dimensions=first.dimensions,
        extra=first.extra,
    )


def _one(given: Members) -> EmbeddingsRequest:
    given.need("content", Raw)
    text = "\n".join(
        part.text
        for part in system_texts(given.get("content", Raw), given.where("content"))
    )
    config = given.within("embedContentConfig")
    extra: dict[str, JSON] = {}
    dimensions: int | None = None
    for place in (given, config):
        dimensions = place.get("outputDimensionality", int) or dimensions
        extra |= {n: place.get(n, Any) for n in place if n not in _READ}
    model = plain_model(given.get("model", str) or "")
    return EmbeddingsRequest(model, (text,), dimensions=dimensions, extra=extra)


def encode_batch_request(request: EmbeddingsRequest) -> Encoded:
    """
    Write ``batchEmbedContents``.

    :raises UnsupportedField: the input is tokens, which Gemini does not take.
    """
    model = f"models/{plain_model(request.model)}"
    settings: dict[str, JSON] = {k: v for k, v in request.extra.items() if k in _OWN}
    if request.dimensions is not None:
        settings["outputDimensionality"] = request.dimensions
    asked: list[dict[str, JSON]] = []
    for text in request.input:
        if not isinstance(text, str):
            raise UnsupportedField(
                "input: Gemini embeds texts, not arrays of tokens", param="input"
            )
        content = {"parts": [{"text": text}]}
        asked.append({"model": model, "content": content, **settings})
    lost = [name for name in request.extra if name not in _OWN]
    if request.user is not None:
        lost.insert(0, "user")
    return Encoded(pack({"requests": asked}), tuple(lost))


class _Values(Struct):
    values: tuple[float, ...]


class _Counts(Struct, rename="camel"):
    prompt_token_count: int | None = None


class _Reply(Struct, rename="camel"):
    embeddings: list[_Values] | None = None
    embedding: _Values | None = None
    usage_metadata: _Counts | None = None
    error: Raw = Raw(b"null")


def decode_reply(body: bytes) -> EmbeddingsReply:
    """Read a reply of either method, or raise `UpstreamMalformed`."""
    try:
        reply = msgspec.json.decode(body, type=_Reply)
    except (msgspec.DecodeError, RecursionError) as e:
        raise UpstreamMalformed(f"the provider sent no embeddings: {e}") from None
    if bytes(reply.error) != b"null":
        raise decode_error(200, body)
    found = reply.embeddings
    if found is None:
        if reply.embedding is None:
            raise UpstreamMalformed("the provider sent no embeddings")
        found = [reply.embedding]
    counted = reply.usage_metadata
    tokens = (counted.prompt_token_count or 0) if counted else 0
    return EmbeddingsReply("", tuple(one.values for one in found), max(tokens, 0))


def encode_batch_reply(reply: EmbeddingsReply, request: EmbeddingsRequest) -> bytes:
    """Write a reply to ``batchEmbedContents``."""
    return msgspec.json.encode(
        {"embeddings": [{"values": vector} for vector in reply.vectors]}
    )


def encode_single_reply(reply: EmbeddingsReply, request: EmbeddingsRequest) -> bytes:
    """
    Write a reply to ``embedContent``.

    :raises UpstreamMalformed: it is not one vector.
    """
    if len(reply.vectors) != 1:
        raise UpstreamMalformed("one embedding was asked for")
    return msgspec.json.encode({"embedding": {"values": reply.vectors[0]}})


GEMINI_EMBEDDINGS = EmbeddingsDialect(
    "gemini",
    decode_batch_request,
    encode_batch_request,
    decode_reply,
    encode_batch_reply,
)

GEMINI_EMBED_CONTENT = EmbeddingsDialect(
    "gemini-single",
    decode_single_request,
    encode_batch_request,
    decode_reply,
    encode_single_reply,
)
"""For guests only: providers are always asked for a batch."""
