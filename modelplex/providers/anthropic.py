"""
Anthropic's Messages API.

What a model may be asked for differs from one to the next and changes monthly, so
the API itself is asked once per model; until it has answered, the name is a guess.
A guest that speaks it too gets the provider's bytes as they are, and the provider the
guest's, but for the name of the model.
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from modelplex.errors import (
    GatewayError,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from modelplex.outbound.body import read_body
from modelplex.outbound.transport import Transport
from modelplex.providers import counting
from modelplex.providers.openai import model_names
from modelplex.providers.plan import Plan, translated
from modelplex.timing import limited
from modelplex.wire.anthropic.abilities import Abilities, from_model, guess
from modelplex.wire.anthropic.count_tokens import ANTHROPIC_COUNT
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.anthropic.errors import decode_error
from modelplex.wire.anthropic.request_out import encode_request
from modelplex.wire.anthropic.tap import AnthropicTap, whole_tap
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.reading import Reader

__all__ = ["AnthropicPlanner", "decode_error", "headers", "model_names"]

VERSION = "v1"
MODELS_PATH = "/models"
PATH = "/messages"
COUNT_PATH = "/messages/count_tokens"
OPERATIONS = frozenset({Operation.CHAT, Operation.COMPLETIONS, Operation.COUNT_TOKENS})

_API_VERSION = b"2023-06-01"  # the last one that has sampling parameters
_KNOWN = 256  # models whose abilities are remembered
_ASKING = 5.0  # seconds that a request waits for them
_AGAIN = 300.0  # seconds until a failed look-up is tried again
_BODY = 2**18  # bytes of a model's description that are read


def headers(key: str | None) -> list[tuple[bytes, bytes]]:
    """
    The version, and the credentials.

    An OAuth token goes as a bearer, an API key as ``x-api-key``; either way alone,
    because the API takes the latter when it sees both.
    """
    version = (b"anthropic-version", _API_VERSION)
    if not key:
        return [version]
    if key.startswith("sk-ant-oat"):
        return [version, (b"authorization", f"Bearer {key}".encode())]
    return [version, (b"x-api-key", key.encode())]


@define(eq=False)
class AnthropicPlanner:
    """
    Plans requests to the Messages API.

    :ivar max_tokens: the longest answer, when the guest does not say.
    :ivar limit: bytes that a reply which is not streamed may have.
    """

    max_tokens: int | None
    limit: int
    _transport: Transport
    _headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    _clock: IReactorTime
    _abilities: dict[str, tuple[Abilities, float]] = field(factory=dict)

    async def __call__(self, asked: Asked, model: str) -> Plan:
        if asked.operation is Operation.COUNT_TOKENS:
            return self._counted(asked, model)
        if asked.dialect.name == ANTHROPIC.name:
            return self._passed(asked, model)
        request = asked.canonical_for(model, stream=True)
        if request.max_tokens is None and self.max_tokens is not None:
            request = evolve(request, max_tokens=self.max_tokens)
        abilities = await self._abilities_of(model)
        return translated(asked, ANTHROPIC, PATH, encode_request(request, abilities))

    def _passed(self, asked: Asked, model: str) -> Plan:
        reader: Reader = (
            AnthropicTap(decode_error, asked.noted)
            if asked.stream
            else whole_tap(decode_error, self.limit, asked.noted)
        )
        return Plan(
            path=PATH,
            body=asked.spliced(model, {}),
            reader=reader,
            streamed=asked.stream,
            passed=True,
            decode_error=decode_error,
        )

    def _counted(self, asked: Asked, model: str) -> Plan:
        if counting.is_own(asked, ANTHROPIC_COUNT):
            reader = whole_tap(decode_error, self.limit)
            body = asked.spliced(model, {})
            return counting.passed(COUNT_PATH, body, decode_error, reader)
        return counting.translated(
            asked, model, ANTHROPIC_COUNT, COUNT_PATH, decode_error, self.limit
        )

    async def _abilities_of(self, model: str) -> Abilities:
        known = self._abilities.get(model)
        if known is not None and self._clock.seconds() < known[1]:
            return known[0]
        try:
            abilities = await limited(
                Deferred.fromCoroutine(self._asked_about(model)),
                _ASKING,
                self._clock,
                lambda: UpstreamTimeout("no word about the model"),
            )
            until = float("inf")
        except UpstreamUnreachable:
            raise  # so is the rest of the API
        except GatewayError:
            abilities, until = guess(model), self._clock.seconds() + _AGAIN
        if len(self._abilities) >= _KNOWN:
            self._abilities.pop(next(iter(self._abilities)))
        self._abilities[model] = (abilities, until)
        return abilities

    async def _asked_about(self, model: str) -> Abilities:
        response = await self._transport.get(
            f"{MODELS_PATH}/{quote(model, safe='')}", list(self._headers)
        )
        body = await read_body(response, _BODY, self._clock, _ASKING)
        try:
            described = msgspec.json.decode(body, type=dict)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamMalformed("the model's description is unreadable") from None
        if response.code != 200 or "capabilities" not in described:
            raise UpstreamMalformed("no description of the model")
        return from_model(described)
