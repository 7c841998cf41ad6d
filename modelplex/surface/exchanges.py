"""One guest's exchanges: from what was asked to an answer, whatever the dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from time import time
from typing import TypeAlias, TypeVar

import msgspec
from attrs import define, evolve, field, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from modelplex.errors import BadRequest, GatewayError, UpstreamError, UpstreamRejected
from modelplex.exchange import Exchange
from modelplex.guests.admitted import Closing
from modelplex.guests.hosted import check_name
from modelplex.guests.policy import Policy
from modelplex.observability.exchanges import log_exchange
from modelplex.routing.catalogue import Catalogue
from modelplex.routing.failover import Failover
from modelplex.routing.table import Candidate
from modelplex.surface.answer import Answer, send_error
from modelplex.surface.inquiry import Inquiry
from modelplex.surface.request import GuestRequest
from modelplex.surface.tool_forms import Found, ToolsWanted, plain
from modelplex.surface.tool_rounds import ToolRounds
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.counting import CountDialect, estimate
from modelplex.wire.dialect import Answering, Dialect
from modelplex.wire.embeddings import EmbeddingsDialect
from modelplex.wire.jsonobject import JsonObject
from modelplex.wire.reasoning import ReasoningMemory

_IDEMPOTENCY = b"idempotency-key"
# What of a guest's headers may reach a provider of any dialect: nothing that names a
# person, a host or a key.
_PASSED = (_IDEMPOTENCY, b"traceparent", b"tracestate")
_LONGEST = 1024  # bytes of a header that is passed on
_UNCOUNTED = (404, 405, 501)  # from compatible servers that cannot count
_NAME = 256  # characters of a model's name

Asker = TypeVar("Asker", bound=Inquiry)


@frozen
class Opening:
    """
    What a dialect's surface reads in a request before anybody is asked.

    :ivar close: holds the body against the guest's policy.
    :ivar headers: names of the guest's headers that a provider of this dialect knows.
    :ivar include_usage: the guest asked for usage in a stream.
    :ivar echo: members of the request that the answer repeats.
    :ivar embeddings: how vectors are asked for and answered, for `EMBEDDINGS`.
    :ivar counting: how a number of tokens is answered, for `COUNT_TOKENS`.
    :ivar retold: what is made of the bytes of an answer that is passed on.
    :ivar tools: those of the host that the model is offered; they are not in `body`.
    """

    operation: Operation
    dialect: Dialect
    body: JsonObject
    model: str
    stream: bool
    close: Closing
    headers: tuple[bytes, ...] = ()
    include_usage: bool = False
    echo: Mapping[str, msgspec.Raw] = field(factory=dict)
    embeddings: EmbeddingsDialect | None = None
    counting: CountDialect | None = None
    retold: Callable[[bytes], bytes] | None = None
    tools: ToolsWanted | None = None


Opener: TypeAlias = Callable[[GuestRequest], Opening]
"""Reads a request; raises `GatewayError` when it cannot be one."""


def with_tools(
    opening: Opening, form: Callable[[JsonObject], Found] = plain
) -> Opening:
    """
    The same, with the tools of the host that it asks for in `form`.

    :raises BadRequest: it asks for them in a way that is none.
    """
    body, tools = form(opening.body)
    if body is opening.body:
        return opening
    return evolve(opening, body=body, tools=tools)


@define(eq=False, repr=False)
class Exchanges:
    """
    Runs the exchanges of one guest.

    :ivar keepalive: seconds after which a waiting stream shows a sign of life.
    :ivar rounds: lets models use tools of the host; ``None`` when there are none.
    """

    policy: Policy
    catalogue: Catalogue
    _failover: Failover
    _clock: IReactorTime
    _keepalive: float
    _verbose: bool = False
    _now: Callable[[], float] = time
    _reasoning: ReasoningMemory = field(factory=ReasoningMemory)
    _rounds: ToolRounds | None = None
    log = Logger()

    def now(self) -> float:
        """Seconds since 1970."""
        return self._now()

    def seconds(self) -> float:
        """The time, on the clock of everything that is done."""
        return self._clock.seconds()

    async def answer(
        self, request: Asker, dialect: Dialect, opener: Callable[[Asker], Opening]
    ) -> Answer | None:
        """
        Do everything for one request; cancelling it stops all of that.

        :param dialect: of the error when `opener` finds one.
        :returns: what was answered, unless nobody could be asked.
        """
        started = self._clock.seconds()
        try:
            opening = opener(request)
            request.release_body()
            asked = self._asked(request, opening)
            if opening.tools is not None and self._rounds is None:
                param = opening.tools.param
                message = f"{param}: this Modelplex has no tools for its guests"
                raise BadRequest(message, param=param)
        except GatewayError as e:
            send_error(request, dialect, e)
            return None
        exchange = Exchange(
            request.request_id,
            self.policy.guest,
            asked.operation,
            asked.model,
            asked.stream,
            started,
            self._clock,
        )
        answer = Answer(
            request, asked, exchange, self._clock, self._keepalive, opening.retold
        )
        try:
            await self._exchanged(asked, opening, exchange, answer)
        except GatewayError as e:
            answer.refuse(e)
        finally:
            answer.close()
            log_exchange(self.log, exchange, self._clock.seconds(), self._verbose)
        return answer

    async def _exchanged(
        self, asked: Asked, opening: Opening, exchange: Exchange, answer: Answer
    ) -> None:
        check_name(asked.model, self.policy)
        admitted = opening.close(asked.body, asked.model, self.policy)
        asked.changes = admitted.changes
        exchange.dropped = admitted.dropped
        if asked.counting is not None:
            await self._counted(asked, asked.counting, exchange, answer)
            return
        candidates = self.catalogue.candidates(
            asked.model, asked.operation, self.policy
        )
        await self._delivered(asked, candidates, exchange, answer, opening.tools)

    async def _counted(
        self,
        asked: Asked,
        counting: CountDialect,
        exchange: Exchange,
        answer: Answer,
    ) -> None:
        """Whoever may answer is asked; an estimate is better than no number."""
        candidates = self.catalogue.candidates(asked.model, None, self.policy)
        able = [c for c in candidates if c.provider.serves(asked.operation)]
        if able:
            try:
                await self._delivered(asked, able, exchange, answer)
            except (UpstreamError, UpstreamRejected) as e:
                if not e.failover and e.status not in _UNCOUNTED:
                    raise
            else:
                return
        answer.tell(counting.encode_reply(estimate(asked.canonical())))

    async def _delivered(
        self,
        asked: Asked,
        candidates: Sequence[Candidate],
        exchange: Exchange,
        answer: Answer,
        tools: ToolsWanted | None = None,
    ) -> None:
        if tools is None:
            candidate, reply = await self._failover.open(asked, candidates, exchange)
        else:
            assert self._rounds is not None
            candidate, reply = await self._rounds.open(
                tools, asked, candidates, exchange
            )
        exchange.provider = candidate.provider.name
        exchange.target = candidate.model
        exchange.dropped = (*exchange.dropped, *reply.dropped)
        try:
            await answer.deliver(candidate, reply)
        finally:
            exchange.finish = reply.reader.finish
            if (usage := reply.reader.usage) is not None:
                exchange.input_tokens = usage.input_tokens
                exchange.output_tokens = usage.output_tokens

    def _asked(self, request: Inquiry, opening: Opening) -> Asked:
        model = opening.model
        check_model(model)
        return Asked(
            opening.operation,
            opening.dialect,
            opening.body,
            model,
            opening.stream,
            Answering(
                model,
                int(self._now()),
                include_usage=opening.include_usage,
                id=request.request_id,
                echo=opening.echo,
            ),
            headers=passed_headers(request, opening.headers, self.policy.guest),
            embeddings=opening.embeddings,
            counting=opening.counting,
            reasoning=self._reasoning,
        )


def check_model(model: str) -> None:
    """
    Ask whether `model` can be the name of a model.

    :raises BadRequest: it cannot.
    """
    if not model:
        raise BadRequest("model is required", param="model")
    if len(model) > _NAME or not model.isprintable():
        raise BadRequest(
            f"model: up to {_NAME} printable characters are expected", param="model"
        )


def passed_headers(
    request: Inquiry, known: tuple[bytes, ...], guest: str
) -> tuple[tuple[bytes, bytes], ...]:
    """
    Those of a guest's headers that may reach a provider; `known` are a dialect's.

    A key that makes a request the same as another is made the guest's own: a provider
    may answer it with what it answered before, and all guests are one to it.
    """
    found: list[tuple[bytes, bytes]] = []
    for name in (*_PASSED, *known):
        for value in request.requestHeaders.getRawHeaders(name, ()):
            if len(value) > _LONGEST:
                continue
            if name == _IDEMPOTENCY:
                # Without a secret: a retry after a restart is still the same.
                own = b"\0".join((b"modelplex", guest.encode(), value))
                value = b"mpx-" + sha256(own).hexdigest().encode("ascii")
            found.append((name, value))
    return tuple(found)
