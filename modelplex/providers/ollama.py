"""
Ollama's own API, which can do more than its imitation of OpenAI's.

Options such as ``num_ctx``, thinking levels and real errors exist only there.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from attrs import define

from modelplex.errors import UpstreamMalformed
from modelplex.providers import embedding
from modelplex.providers.plan import Plan, translated
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.embeddings import OLLAMA_EMBEDDINGS
from modelplex.wire.ollama.dialect import OLLAMA, OLLAMA_GENERATE
from modelplex.wire.ollama.errors import decode_error
from modelplex.wire.ollama.tap import OllamaTap, whole_tap
from modelplex.wire.reading import Reader

VERSION = None
MODELS_PATH = "/api/tags"
OPERATIONS = frozenset({Operation.CHAT, Operation.COMPLETIONS, Operation.EMBEDDINGS})
_PATHS = {OLLAMA.name: "/api/chat", OLLAMA_GENERATE.name: "/api/generate"}

__all__ = [
    "MODELS_PATH",
    "OPERATIONS",
    "VERSION",
    "OllamaPlanner",
    "decode_error",
    "headers",
    "model_names",
]


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
        if asked.dialect.name in _PATHS:
            return self._passed(asked, model)
        dialect = (
            OLLAMA_GENERATE if asked.operation is Operation.COMPLETIONS else OLLAMA
        )
        request = asked.canonical_for(model, stream=True)
        encoded = dialect.encode_request(request)
        return translated(asked, dialect, _PATHS[dialect.name], encoded)

    def _passed(self, asked: Asked, model: str) -> Plan:
        # Without a word it streams.
        changes = {} if asked.stream else {"stream": b"false"}
        reader: Reader = (
            OllamaTap(decode_error)
            if asked.stream
            else whole_tap(decode_error, self.limit)
        )
        return Plan(
            path=_PATHS[asked.dialect.name],
            body=asked.spliced(model, changes),
            reader=reader,
            streamed=asked.stream,
            passed=True,
            decode_error=decode_error,
        )

    def _embeddings(self, asked: Asked, model: str) -> Plan:
        path, limit = "/api/embed", self.limit
        if embedding.embeddings_of(asked).name == OLLAMA_EMBEDDINGS.name:
            body = asked.spliced(model, {})
            return embedding.passed(path, body, decode_error, limit)
        return embedding.translated(
            asked, model, OLLAMA_EMBEDDINGS, path, decode_error, limit
        )
