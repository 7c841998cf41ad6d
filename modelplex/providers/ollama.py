"""
Ollama's own API, which can do more than its imitation of OpenAI's.

Options such as ``num_ctx``, thinking levels and real errors exist only there.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from attrs import define, evolve

from modelplex.errors import UpstreamMalformed
from modelplex.providers.plan import Plan, translated
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.embeddings import (
    decode_ollama_reply,
    decode_openai_request,
    encode_ollama_request,
    encode_openai_reply,
)
from modelplex.wire.ollama.dialect import OLLAMA, OLLAMA_GENERATE
from modelplex.wire.tap import WholeTap

VERSION = None
MODELS_PATH = "/api/tags"
OPERATIONS = frozenset(Operation)


def headers(key: str | None) -> list[tuple[bytes, bytes]]:
    """A bearer for Ollama's cloud; a local server wants none."""
    return [(b"authorization", f"Bearer {key}".encode())] if key else []


def model_names(body: bytes) -> Sequence[str]:
    """The names in an answer to ``GET /api/tags``."""
    try:
        return [model.name for model in msgspec.json.decode(body, type=_Tags).models]
    except msgspec.DecodeError as e:
        raise UpstreamMalformed(f"its list of models is unreadable: {e}") from None


class _Tag(msgspec.Struct):
    name: str


class _Tags(msgspec.Struct):
    models: list[_Tag]


@define(eq=False)
class OllamaPlanner:
    """Plans requests to Ollama; `limit` is the bytes of a reply not streamed."""

    limit: int

    async def __call__(self, asked: Asked, model: str) -> Plan:
        if asked.operation is Operation.EMBEDDINGS:
            return self._embeddings(asked, model)
        dialect, path = (
            (OLLAMA_GENERATE, "/api/generate")
            if asked.operation is Operation.COMPLETIONS
            else (OLLAMA, "/api/chat")
        )
        request = asked.canonical_for(model, stream=True)
        return translated(dialect, path, dialect.encode_request(request))

    def _embeddings(self, asked: Asked, model: str) -> Plan:
        request = decode_openai_request(asked.body)
        encoded = encode_ollama_request(evolve(request, model=model))

        def rewrite(body: bytes) -> bytes:
            return encode_openai_reply(decode_ollama_reply(body), request)

        return Plan(
            path="/api/embed",
            body=encoded.body,
            reader=WholeTap(OLLAMA.decode_error, self.limit, rewrite),
            streamed=False,
            passed=True,
            decode_error=OLLAMA.decode_error,
            dropped=encoded.dropped,
        )
