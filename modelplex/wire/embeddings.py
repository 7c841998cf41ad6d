"""
Embeddings: texts in, vectors out; the shapes of OpenAI and Ollama, both ways.

OpenAI's SDKs ask for base64 when the user did not choose, and one of them reads
floats as nothing then, so what was asked for is what is answered, whatever the
provider sent.
"""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Literal, TypeAlias

import msgspec
from attrs import field, frozen

from modelplex.errors import BadRequest, UnsupportedField, UpstreamMalformed
from modelplex.events import JSON
from modelplex.wire.dialect import Encoded
from modelplex.wire.jsonobject import JsonObject
from modelplex.wire.typed import model_of, pack

Tokens: TypeAlias = tuple[int, ...]
Vector: TypeAlias = tuple[float, ...]
Encoding: TypeAlias = Literal["float", "base64"]


@frozen
class EmbeddingsRequest:
    """
    What a guest wants embedded.

    :ivar input: texts, or token arrays of the model's own vocabulary.
    :ivar encoding: how the guest wants vectors written.
    :ivar extra: members that only the guest's dialect has, by their name there.
    """

    model: str
    input: tuple[str, ...] | tuple[Tokens, ...]
    encoding: Encoding = "float"
    dimensions: int | None = None
    user: str | None = None
    extra: Mapping[str, JSON] = field(factory=dict)


@frozen
class EmbeddingsReply:
    """One vector for each input, in order."""

    model: str
    vectors: tuple[Vector, ...] = field(repr=False)
    input_tokens: int = 0


@frozen
class EmbeddingsDialect:
    """
    One API's embeddings as functions over bytes and values.

    :ivar decode_request: raises `BadRequest`.
    :ivar encode_request: raises `UnsupportedField`; `model` is the provider's name.
    :ivar decode_reply: raises `UpstreamMalformed`.
    :ivar encode_reply: answers the request, by the name and encoding asked for.
    """

    name: str
    decode_request: Callable[[JsonObject], EmbeddingsRequest]
    encode_request: Callable[[EmbeddingsRequest], Encoded]
    decode_reply: Callable[[bytes], EmbeddingsReply]
    encode_reply: Callable[[EmbeddingsReply, EmbeddingsRequest], bytes]


def _extra(body: JsonObject, known: tuple[str, ...]) -> dict[str, JSON]:
    members = {k: body.get(k, Any) for k in body.spans if k not in known}
    return {k: v for k, v in members.items() if v is not None}


def _read(body: bytes, type: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=type)
    except (msgspec.DecodeError, RecursionError) as e:
        raise UpstreamMalformed(f"the provider sent no embeddings: {e}") from None


# --- OpenAI: POST /v1/embeddings --------------------------------------------


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None


class _Row(msgspec.Struct):
    embedding: tuple[float, ...] | str
    index: int = 0


class _OpenAIReply(msgspec.Struct):
    data: list[_Row]
    model: str | None = None
    usage: _Usage | None = None


_OPENAI = ("model", "input", "encoding_format", "dimensions", "user")


def decode_openai_request(body: JsonObject) -> EmbeddingsRequest:
    """Read ``/v1/embeddings``, or raise `BadRequest` naming the field at fault."""
    given = body.get("input", str | list[str | int | list[int]])
    inputs: tuple[Any, ...]
    if isinstance(given, str):
        inputs = (given,)
    elif given and all(isinstance(item, int) for item in given):
        inputs = (tuple(given),)
    elif given and all(isinstance(item, str) for item in given):
        inputs = tuple(given)
    elif given and all(isinstance(item, list) for item in given):
        inputs = tuple(map(tuple, given))
    else:
        raise BadRequest(
            "input: a text, some texts or arrays of tokens are expected", param="input"
        )
    return EmbeddingsRequest(
        model_of(body),
        inputs,
        body.get("encoding_format", Encoding | None) or "float",
        body.get("dimensions", int | None),
        body.get("user", str | None),
        _extra(body, _OPENAI),
    )


def encode_openai_request(request: EmbeddingsRequest) -> Encoded:
    """Write ``/v1/embeddings``."""
    asked: dict[str, JSON] = {
        "model": request.model,
        "input": request.input,
        "encoding_format": request.encoding,
    }
    if request.dimensions is not None:
        asked["dimensions"] = request.dimensions
    if request.user is not None:
        asked["user"] = request.user
    return Encoded(pack(asked), tuple(request.extra))


def decode_openai_reply(body: bytes) -> EmbeddingsReply:
    """Read a reply, its vectors written either way, or raise `UpstreamMalformed`."""
    reply: _OpenAIReply = _read(body, _OpenAIReply)
    rows = sorted(reply.data, key=lambda row: row.index)
    tokens = reply.usage.prompt_tokens if reply.usage else None
    return EmbeddingsReply(
        reply.model or "",
        tuple(
            _unpack(row.embedding) if isinstance(row.embedding, str) else row.embedding
            for row in rows
        ),
        max(tokens or 0, 0),
    )


def encode_openai_reply(reply: EmbeddingsReply, request: EmbeddingsRequest) -> bytes:
    """Write a reply."""
    written = _pack if request.encoding == "base64" else tuple
    return msgspec.json.encode(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": written(vector)}
                for index, vector in enumerate(reply.vectors)
            ],
            "model": request.model,
            "usage": {
                "prompt_tokens": reply.input_tokens,
                "total_tokens": reply.input_tokens,
            },
        }
    )


def _pack(vector: Vector) -> str:
    """Little-endian float32 in base64."""
    try:
        return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except OverflowError:
        raise UpstreamMalformed("an embedding is out of float32's range") from None


def _unpack(text: str) -> Vector:
    try:
        packed = b64decode(text, validate=True)
        vector = struct.unpack(f"<{len(packed) // 4}f", packed)
    except (BadBase64, ValueError, struct.error) as e:
        raise UpstreamMalformed(f"an embedding is no base64 of float32: {e}") from None
    if not all(map(isfinite, vector)):
        raise UpstreamMalformed("an embedding holds what is no number")
    return vector


# --- Ollama: POST /api/embed ------------------------------------------------


class _OllamaReply(msgspec.Struct):
    embeddings: tuple[tuple[float, ...], ...]
    model: str | None = None
    prompt_eval_count: int | None = None


_OLLAMA = ("model", "input", "dimensions")
_OLLAMA_ONLY = ("keep_alive", "options", "truncate")


def decode_ollama_request(body: JsonObject) -> EmbeddingsRequest:
    """
    Read ``/api/embed``; no input at all is legal, and only loads the model.

    :raises BadRequest: a value is missing or of the wrong type; names the field.
    """
    given = body.get("input", str | list[str] | None)
    return EmbeddingsRequest(
        model_of(body),
        (given,) if isinstance(given, str) else tuple(given or ()),
        dimensions=body.get("dimensions", int | None),
        extra=_extra(body, _OLLAMA),
    )


def encode_ollama_request(request: EmbeddingsRequest) -> Encoded:
    """
    Write ``/api/embed``.

    :raises UnsupportedField: the input is tokens, which Ollama does not take.
    """
    if not all(isinstance(item, str) for item in request.input):
        raise UnsupportedField(
            "input: Ollama embeds texts, not arrays of tokens", param="input"
        )
    asked: dict[str, JSON] = {"model": request.model, "input": request.input}
    if request.dimensions is not None:
        asked["dimensions"] = request.dimensions
    dropped = [name for name in request.extra if name not in _OLLAMA_ONLY]
    if request.user is not None:
        dropped.insert(0, "user")
    asked |= {k: request.extra[k] for k in _OLLAMA_ONLY if k in request.extra}
    return Encoded(pack(asked), tuple(dropped))


def decode_ollama_reply(body: bytes) -> EmbeddingsReply:
    """Read a reply, or raise `UpstreamMalformed`."""
    reply: _OllamaReply = _read(body, _OllamaReply)
    tokens = max(reply.prompt_eval_count or 0, 0)
    return EmbeddingsReply(reply.model or "", reply.embeddings, tokens)


def encode_ollama_reply(reply: EmbeddingsReply, request: EmbeddingsRequest) -> bytes:
    """Write a reply; durations, which nobody measured, are left out."""
    return msgspec.json.encode(
        {
            "model": request.model,
            "embeddings": reply.vectors,
            "prompt_eval_count": reply.input_tokens,
        }
    )


OPENAI_EMBEDDINGS = EmbeddingsDialect(
    "openai",
    decode_openai_request,
    encode_openai_request,
    decode_openai_reply,
    encode_openai_reply,
)

OLLAMA_EMBEDDINGS = EmbeddingsDialect(
    "ollama",
    decode_ollama_request,
    encode_ollama_request,
    decode_ollama_reply,
    encode_ollama_reply,
)
