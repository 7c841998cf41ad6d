"""OpenAI's API as a guest sees it: chat, completions and embeddings."""

from __future__ import annotations

from collections.abc import Callable
from time import time

import msgspec
from attrs import define
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from modelplex.errors import BadRequest, GatewayError
from modelplex.exchange import Exchange
from modelplex.guests.closed import close
from modelplex.guests.policy import Policy
from modelplex.observability.exchanges import log_exchange
from modelplex.routing.catalogue import Catalogue
from modelplex.routing.failover import Failover
from modelplex.surface.answer import Answer, send_error
from modelplex.surface.request import GuestRequest
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.dialect import Answering, Dialect
from modelplex.wire.jsonobject import JsonObject, open_object
from modelplex.wire.openai.dialect import OPENAI_CHAT, OPENAI_COMPLETIONS

_DIALECTS: dict[Operation, Dialect] = {
    Operation.CHAT: OPENAI_CHAT,
    Operation.COMPLETIONS: OPENAI_COMPLETIONS,
    Operation.EMBEDDINGS: OPENAI_CHAT,
}
# What of a guest's headers may reach a provider: nothing that names a person, a
# host or a key.
_PASSED = (b"openai-beta", b"idempotency-key", b"traceparent", b"tracestate")
_LONGEST = 1024  # bytes of a header that is passed on
_NAME = 256  # characters of a model's name


@define(eq=False)
class OpenAISurface:
    """
    Answers OpenAI requests for one guest.

    :ivar keepalive: seconds after which a waiting stream shows a sign of life.
    """

    _policy: Policy
    _catalogue: Catalogue
    _failover: Failover
    _clock: IReactorTime
    _keepalive: float
    _verbose: bool = False
    _now: Callable[[], float] = time
    log = Logger()

    async def answer(self, request: GuestRequest, operation: Operation) -> None:
        """Do everything for one request; cancelling it stops all of that."""
        started = self._clock.seconds()
        try:
            asked = self._opened(request, operation)
        except GatewayError as e:
            send_error(request, _DIALECTS[operation], e)
            return
        exchange = Exchange(
            request.request_id,
            self._policy.guest,
            operation,
            asked.model,
            asked.stream,
            started,
            self._clock,
        )
        answer = Answer(request, asked, exchange, self._clock, self._keepalive)
        try:
            await self._exchanged(asked, exchange, answer)
        except GatewayError as e:
            answer.refuse(e)
        finally:
            answer.close()
            log_exchange(self.log, exchange, self._clock.seconds(), self._verbose)

    async def _exchanged(
        self, asked: Asked, exchange: Exchange, answer: Answer
    ) -> None:
        admitted = close(asked.body, asked.model, self._policy)
        asked.changes = admitted.changes
        candidates = self._catalogue.candidates(
            asked.model, asked.operation, self._policy
        )
        candidate, reply = await self._failover.open(asked, candidates, exchange)
        exchange.provider = candidate.provider.name
        exchange.target = candidate.model
        exchange.dropped = (*admitted.dropped, *reply.dropped)
        try:
            await answer.deliver(candidate, reply)
        finally:
            exchange.finish = reply.reader.finish
            if (usage := reply.reader.usage) is not None:
                exchange.input_tokens = usage.input_tokens
                exchange.output_tokens = usage.output_tokens

    def _opened(self, request: GuestRequest, operation: Operation) -> Asked:
        body = open_object(request.body)
        request.release_body()
        model = body.get("model", str)
        if not model:
            raise BadRequest("model is required", param="model")
        if len(model) > _NAME or not model.isprintable():
            raise BadRequest(
                f"model: up to {_NAME} printable characters are expected", param="model"
            )
        stream = operation is not Operation.EMBEDDINGS and bool(
            body.get("stream", bool | None)
        )
        return Asked(
            operation,
            _DIALECTS[operation],
            body,
            model,
            stream,
            Answering(
                model,
                int(self._now()),
                include_usage=_wants_usage(body),
                id=request.request_id,
            ),
            headers=_passed_headers(request),
        )


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


def _wants_usage(body: JsonObject) -> bool:
    options = body.get("stream_options", _StreamOptions | None)
    return options is not None and bool(options.include_usage)


def _passed_headers(request: GuestRequest) -> tuple[tuple[bytes, bytes], ...]:
    found: list[tuple[bytes, bytes]] = []
    for name in _PASSED:
        for value in request.requestHeaders.getRawHeaders(name, ()):
            if len(value) <= _LONGEST:
                found.append((name, value))
    return tuple(found)
