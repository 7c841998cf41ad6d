"""
OpenAI and everything that speaks its API.

A guest that speaks it too gets the provider's bytes as they are, and the provider
the guest's, but for the name of the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from attrs import define

from modelplex.errors import UpstreamMalformed
from modelplex.providers.plan import Plan, translated
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.dialect import Dialect
from modelplex.wire.jsonobject import open_object
from modelplex.wire.openai.dialect import OPENAI_CHAT, OPENAI_COMPLETIONS
from modelplex.wire.tap import StreamTap, WholeTap

VERSION = "v1"
MODELS_PATH = "/models"
_PATHS = {
    Operation.CHAT: "/chat/completions",
    Operation.COMPLETIONS: "/completions",
    Operation.EMBEDDINGS: "/embeddings",
}
_DIALECTS: Mapping[Operation, Dialect] = {
    Operation.CHAT: OPENAI_CHAT,
    Operation.COMPLETIONS: OPENAI_COMPLETIONS,
    Operation.EMBEDDINGS: OPENAI_CHAT,  # for its errors
}
OPERATIONS = frozenset(_PATHS)


def headers(key: str | None) -> list[tuple[bytes, bytes]]:
    """The credentials; none for a local server without a key."""
    return [(b"authorization", f"Bearer {key}".encode())] if key else []


def model_names(body: bytes) -> Sequence[str]:
    """The ids in an answer to ``GET /models``; Anthropic's has the same shape."""
    try:
        return [model.id for model in msgspec.json.decode(body, type=_Models).data]
    except msgspec.DecodeError as e:
        raise UpstreamMalformed(f"its list of models is unreadable: {e}") from None


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


@define(eq=False)
class OpenAIPlanner:
    """
    Plans requests to an OpenAI API.

    :ivar stream_usage: ask for usage in streams, which some old servers refuse.
    :ivar limit: bytes that a reply which is not streamed may have.
    """

    stream_usage: bool
    limit: int

    async def __call__(self, asked: Asked, model: str) -> Plan:
        dialect, path = _DIALECTS[asked.operation], _PATHS[asked.operation]
        if asked.dialect is not dialect:
            request = asked.canonical_for(model, stream=True)
            return translated(dialect, path, dialect.encode_request(request))
        if not asked.stream:
            return Plan(
                path=path,
                body=asked.spliced(model, {}),
                reader=WholeTap(dialect.decode_error, self.limit),
                streamed=False,
                passed=True,
                decode_error=dialect.decode_error,
            )
        hide = self.stream_usage and not asked.answering.include_usage
        changes = {"stream_options": _with_usage(asked)} if hide else {}
        return Plan(
            path=path,
            body=asked.spliced(model, changes),
            reader=StreamTap(dialect.decode_error, hide),
            streamed=True,
            passed=True,
            decode_error=dialect.decode_error,
        )


def _with_usage(asked: Asked) -> bytes:
    """The guest's stream options, and usage asked for."""
    options = asked.body.raw("stream_options")
    if options is None or options == b"null":
        return b'{"include_usage":true}'
    return open_object(options, "stream_options").splice({"include_usage": b"true"})
