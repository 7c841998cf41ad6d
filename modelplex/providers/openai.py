"""
OpenAI and everything that speaks its API.

A guest that speaks it too gets the provider's bytes as they are, and the provider
the guest's, but for the name of the model. Text is asked for as a chat, or where that
is configured as a response.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
from attrs import define, evolve

from modelplex.errors import GatewayError, UpstreamMalformed
from modelplex.providers import counting, embedding, relaying
from modelplex.providers.plan import Plan, translated
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.dialect import Dialect
from modelplex.wire.embeddings import OPENAI_EMBEDDINGS
from modelplex.wire.jsonobject import open_object
from modelplex.wire.openai.dialect import OPENAI_CHAT, OPENAI_COMPLETIONS
from modelplex.wire.openai.errors import decode_error
from modelplex.wire.openai.tap import StreamTap, whole_tap
from modelplex.wire.reading import Reader
from modelplex.wire.responses.count_tokens import RESPONSES_COUNT
from modelplex.wire.responses.dialect import RESPONSES
from modelplex.wire.responses.tap import ResponsesTap, whole_response_tap

VERSION = "v1"
MODELS_PATH = "/models"
OPERATIONS = relaying.OPERATIONS | {
    *(Operation.CHAT, Operation.COMPLETIONS, Operation.EMBEDDINGS)
}
_PATHS: Mapping[str, str] = {
    OPENAI_CHAT.name: "/chat/completions",
    OPENAI_COMPLETIONS.name: "/completions",
    RESPONSES.name: "/responses",
}

__all__ = [
    "MODELS_PATH",
    "OPERATIONS",
    "VERSION",
    "OpenAIPlanner",
    "decode_error",
    "headers",
    "model_names",
]


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
    :ivar responses: text is asked for as a response, and not as a chat.
    :ivar decode_error: (HTTP status, body) to the error it means, if the server has
        errors of its own.
    """

    stream_usage: bool
    limit: int
    responses: bool = False
    decode_error: Callable[[int, bytes], GatewayError] | None = None

    async def __call__(self, asked: Asked, model: str) -> Plan:
        if asked.relay is not None:
            errors = self.decode_error or decode_error
            return relaying.relayed(asked, asked.relay, model, errors)
        if asked.operation is Operation.EMBEDDINGS:
            return self._embeddings(asked, model)
        if asked.operation is Operation.COUNT_TOKENS:
            return self._counted(asked, model)
        if asked.operation is Operation.COMPACT:
            return self._compacted(asked, model)
        dialect = self._dialect(asked.operation)
        path = _PATHS[dialect.name]
        if asked.dialect.name != dialect.name:
            request = asked.canonical_for(model, stream=True)
            plan = translated(asked, dialect, path, dialect.encode_request(request))
            return evolve(plan, decode_error=self._errors(dialect))
        changes, reader = self._passed(asked, dialect)
        return Plan(
            path=path,
            body=asked.spliced(model, changes),
            reader=reader,
            streamed=asked.stream,
            passed=True,
            decode_error=self._errors(dialect),
        )

    def _dialect(self, operation: Operation) -> Dialect:
        if operation is Operation.COMPLETIONS:
            return OPENAI_COMPLETIONS
        return RESPONSES if self.responses else OPENAI_CHAT

    def _errors(self, dialect: Dialect) -> Callable[[int, bytes], GatewayError]:
        return self.decode_error or dialect.decode_error

    def _passed(
        self, asked: Asked, dialect: Dialect
    ) -> tuple[Mapping[str, bytes | None], Reader]:
        """What is changed in a guest's own request, and how its answer is read."""
        errors = self._errors(dialect)
        if dialect.name == RESPONSES.name:
            if asked.stream:
                return {}, ResponsesTap(errors, asked.noted, asked.answering)
            return {}, whole_response_tap(errors, self.limit, asked.noted)
        if not asked.stream:
            return {}, whole_tap(errors, self.limit, noted=asked.noted)
        hide = self.stream_usage and not asked.answering.include_usage
        changes = {"stream_options": _with_usage(asked)} if hide else {}
        return changes, StreamTap(errors, hide, asked.noted)

    def _counted(self, asked: Asked, model: str) -> Plan:
        errors, path = self.decode_error or decode_error, "/responses/input_tokens"
        if counting.is_own(asked, RESPONSES_COUNT):
            reader = whole_response_tap(errors, self.limit)
            return counting.passed(path, asked.spliced(model, {}), errors, reader)
        return counting.translated(
            asked, model, RESPONSES_COUNT, path, errors, self.limit
        )

    def _compacted(self, asked: Asked, model: str) -> Plan:
        """Only who speaks this API too asks for it, so it is always passed on."""
        errors = self._errors(RESPONSES)
        return Plan(
            path="/responses/compact",
            body=asked.spliced(model, {}),
            reader=whole_response_tap(errors, self.limit, asked.noted),
            streamed=False,
            passed=True,
            decode_error=errors,
        )

    def _embeddings(self, asked: Asked, model: str) -> Plan:
        errors, path = self.decode_error or decode_error, "/embeddings"
        if embedding.embeddings_of(asked).name == OPENAI_EMBEDDINGS.name:
            return embedding.passed(path, asked.spliced(model, {}), errors, self.limit)
        return embedding.translated(
            asked, model, OPENAI_EMBEDDINGS, path, errors, self.limit
        )


def _with_usage(asked: Asked) -> bytes:
    """The guest's stream options, and usage asked for."""
    options = asked.body.raw("stream_options")
    if options is None or options == b"null":
        return b'{"include_usage":true}'
    return open_object(options, "stream_options").splice({"include_usage": b"true"})
