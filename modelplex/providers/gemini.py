"""
Google's Gemini API.

The model and whether to stream stand in the path. A guest that speaks it too gets the
provider's bytes as they are, and the provider the guest's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from attrs import define
from msgspec import Raw, Struct

from modelplex.errors import BadRequest, UpstreamMalformed
from modelplex.outbound.address import segments_of
from modelplex.providers import counting, embedding
from modelplex.providers.plan import Plan, translated
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.gemini.abilities import guess
from modelplex.wire.gemini.count_tokens import GEMINI_COUNT
from modelplex.wire.gemini.dialect import GEMINI, GEMINI_ARRAY
from modelplex.wire.gemini.embeddings import GEMINI_EMBED_CONTENT, GEMINI_EMBEDDINGS
from modelplex.wire.gemini.errors import decode_error
from modelplex.wire.gemini.paths import (
    COUNT,
    EMBED,
    EMBED_BATCH,
    GENERATE,
    method_path,
    stream_path,
)
from modelplex.wire.gemini.request_out import encode_request
from modelplex.wire.gemini.tap import GeminiTap, array_tap, whole_tap
from modelplex.wire.jsonobject import open_object
from modelplex.wire.reading import Reader

VERSION = "v1beta"
MODELS_PATH = "/models?pageSize=1000"  # the most it gives at a time
OPERATIONS = frozenset(
    {
        *(Operation.CHAT, Operation.COMPLETIONS),
        *(Operation.EMBEDDINGS, Operation.COUNT_TOKENS),
    }
)
_METHODS = frozenset({GENERATE, EMBED, EMBED_BATCH})


def headers(key: str | None) -> list[tuple[bytes, bytes]]:
    """The credentials, which never stand in a URL."""
    return [(b"x-goog-api-key", key.encode())] if key else []


class _Model(Struct, rename="camel"):
    name: str
    supported_generation_methods: tuple[str, ...] = ()


class _Models(Struct):
    models: list[_Model] = []


def model_names(body: bytes) -> Sequence[str]:
    """The names in an answer to ``GET /models`` of what can generate or embed."""
    try:
        listed = msgspec.json.decode(body, type=_Models).models
    except (msgspec.DecodeError, RecursionError) as e:
        raise UpstreamMalformed(f"its list of models is unreadable: {e}") from None
    return [
        one.name.removeprefix("models/")
        for one in listed
        if not _METHODS.isdisjoint(one.supported_generation_methods)
    ]


@define(eq=False)
class GeminiPlanner:
    """Plans requests to Gemini; `limit` is the bytes of a reply not streamed."""

    limit: int

    async def __call__(self, asked: Asked, model: str) -> Plan:
        segments_of(model, safe="/")  # refuses what leads elsewhere
        if asked.operation is Operation.EMBEDDINGS:
            return self._embeddings(asked, model)
        if asked.operation is Operation.COUNT_TOKENS:
            return self._counted(asked, model)
        if asked.dialect.name == GEMINI.name:
            return self._passed(asked, model)
        request = asked.canonical_for(model, stream=True)
        encoded = encode_request(request, guess(model))
        return translated(asked, GEMINI, f"/{stream_path(model)}", encoded)

    def _passed(self, asked: Asked, model: str) -> Plan:
        path = stream_path(model) if asked.stream else method_path(model, GENERATE)
        return Plan(
            path=f"/{path}",
            body=asked.without_model(_NO_MODEL),
            reader=self._reader(asked),
            streamed=asked.stream,
            passed=True,
            decode_error=decode_error,
        )

    def _reader(self, asked: Asked) -> Reader:
        if not asked.stream:
            return whole_tap(decode_error, self.limit, asked.noted)
        if asked.dialect.media_type == GEMINI_ARRAY.media_type:
            return array_tap(decode_error, asked.noted)
        return GeminiTap(decode_error, asked.noted)

    def _counted(self, asked: Asked, model: str) -> Plan:
        path = f"/{method_path(model, COUNT)}"
        if not counting.is_own(asked, GEMINI_COUNT):
            return counting.translated(
                asked, model, GEMINI_COUNT, path, decode_error, self.limit
            )
        changes = dict(_NO_MODEL)
        changes |= _whole(asked, _named(model))
        reader = whole_tap(decode_error, self.limit)
        return counting.passed(path, asked.without_model(changes), decode_error, reader)

    def _embeddings(self, asked: Asked, model: str) -> Plan:
        """A guest may ask for one embedding or a batch; a provider, for a batch."""
        guest = embedding.embeddings_of(asked).name
        method = EMBED if guest == GEMINI_EMBED_CONTENT.name else EMBED_BATCH
        path = f"/{method_path(model, method)}"
        named = _named(model)
        if method == EMBED:
            body = asked.without_model({"model": named})
        elif guest == GEMINI_EMBEDDINGS.name:
            body = asked.without_model({**_NO_MODEL, **_addressed(asked, named)})
        else:
            return embedding.translated(
                asked, model, GEMINI_EMBEDDINGS, path, decode_error, self.limit
            )
        return embedding.passed(path, body, decode_error, self.limit)


_NO_MODEL: Mapping[str, bytes | None] = {"model": None}


def _named(model: str) -> bytes:
    """The name of the model as a body has it."""
    known = model.startswith(("models/", "tunedModels/"))
    return msgspec.json.encode(model if known else f"models/{model}")


def _admitted(asked: Asked, key: str) -> bytes | None:
    """A member as the guest's policy leaves it."""
    return asked.changes[key] if key in asked.changes else asked.body.raw(key)


def _whole(asked: Asked, named: bytes) -> Mapping[str, bytes | None]:
    """The request inside of one to count, which names the model."""
    key = "generateContentRequest"
    whole = _admitted(asked, key)
    if whole is None:
        return {}
    return {key: open_object(whole, key).splice({"model": named})}


def _addressed(asked: Asked, named: bytes) -> Mapping[str, bytes | None]:
    """The requests of a batch, each of which names the model."""
    whole = _admitted(asked, "requests")
    if whole is None:
        return {}
    try:
        requests = msgspec.json.decode(whole, type=list[Raw])
    except (msgspec.DecodeError, RecursionError) as e:
        raise BadRequest(f"requests: {e}", param="requests") from None
    return {
        "requests": b"[%b]"
        % b",".join(
            open_object(bytes(one), f"requests[{number}]").splice({"model": named})
            for number, one in enumerate(requests)
        )
    }
