"""
The rounds of a model with the tools of the host, told to the guest as one answer.

The model is asked; what it calls of the host's tools is called, all at once and with
the guest's permissions; the model is asked again with what that gave, until it has
answered. Providers see an ordinary request with ordinary tools, so it works with every
one. Whoever has answered is asked first again; another one may be as long as nothing of
a round has reached the guest.

When as many rounds are made as may be, the calls of the last one are not made. Where
the dialect shows calls, they have failed and say so, and the model has paused; where it
does not, the answer says so, and ends as one that became too long.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from modelplex.errors import GatewayError
from modelplex.events import (
    Event,
    Finished,
    FinishReason,
    Message,
    Request,
    TextDelta,
    ToolCall,
    UsageReported,
)
from modelplex.exchange import Exchange
from modelplex.interfaces import IReply, IReplySink
from modelplex.routing.failover import Failover
from modelplex.routing.table import Candidate
from modelplex.surface.mixed_turns import MixedTurns
from modelplex.surface.tool_calls import Bounds, HostTools, ToolCalls
from modelplex.surface.tool_forms import ToolsWanted
from modelplex.surface.tool_hearing import Hearing, RoundsReader
from modelplex.surface.tool_round import Round, Told, continued, turn
from modelplex.surface.toolkit import Toolkit, chosen
from modelplex.timing import limited
from modelplex.wire.asked import Asked


class ToolRoundsTimeout(GatewayError):
    """A model and its tools took longer than all of it may."""

    kind = "tool_rounds_timeout"
    status = 504
    code = "tool_rounds_timeout"
    should_retry = False


@define(eq=False)
class ToolRounds:
    """Answers requests of one guest that offer tools of the host."""

    _tools: HostTools
    _failover: Failover
    _clock: IReactorTime
    bounds: Bounds = field(factory=Bounds)
    _turns: MixedTurns = field(factory=MixedTurns)

    async def open(
        self,
        wanted: ToolsWanted,
        asked: Asked,
        candidates: Sequence[Candidate],
        exchange: Exchange,
    ) -> tuple[Candidate, IReply]:
        """
        Begin the first round; the rest follow when its reply is delivered.

        :raises GatewayError: nobody accepted, or the request cannot be one.
        """
        request = self._turns.restored(asked.canonical())
        kit = chosen(wanted, await self._tools.offered(), request)
        rounds = _Rounds(
            self._tools,
            self._failover,
            self._clock,
            self.bounds,
            self._turns,
            kit,
            asked,
            candidates,
            exchange,
            kit.added_to(request),
        )
        return await rounds.open()


@implementer(IReply)
@define(eq=False, repr=False)
class _Rounds:
    """All rounds as one reply."""

    _tools: HostTools
    _failover: Failover
    _clock: IReactorTime
    _bounds: Bounds
    _turns: MixedTurns
    _kit: Toolkit
    _asked: Asked
    _candidates: Sequence[Candidate]
    _exchange: Exchange
    _request: Request
    passed: bool = field(default=False, init=False)
    dropped: Sequence[str] = field(default=(), init=False)
    reader: RoundsReader = field(factory=RoundsReader, init=False)
    _until: float = field(init=False)
    _calls: ToolCalls = field(init=False)
    _candidate: Candidate | None = field(default=None, init=False)
    _reply: IReply | None = field(default=None, init=False)
    _sink: IReplySink | None = field(default=None, init=False)
    _running: Deferred[None] | None = field(default=None, init=False)
    _paused: bool = field(default=False, init=False)
    _told: Told = field(factory=Told, init=False)
    _telling: bool = field(default=False, init=False)
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self._until = self._exchange.started + self._bounds.total
        self._calls = ToolCalls(
            self._tools,
            self._kit,
            self._bounds,
            self._tell,
            self._exchange.request_id,
        )

    async def open(self) -> tuple[Candidate, IReply]:
        """The first round."""
        candidate, reply = await self._opened()
        self._reply = reply
        self.dropped = reply.dropped
        return candidate, self

    async def _opened(self) -> tuple[Candidate, IReply]:
        """Ask the model; the dialect is no provider's, so nothing is passed on."""
        dialect = self._asked.dialect
        asked = evolve(
            self._asked,
            dialect=evolve(dialect, name=f"{dialect.name} with tools"),
            decoded=[self._request],
        )
        now = self._clock.seconds()
        if now >= self._until:
            raise self._late()
        longest = max(candidate.total for candidate in self._candidates)
        candidate, reply = await self._failover.open(
            asked,
            self._candidates,
            self._exchange,
            first=self._candidate,
            until=min(now + longest, self._until),
        )
        self._candidate = candidate
        return candidate, reply

    @staticmethod
    def _late() -> GatewayError:
        return ToolRoundsTimeout("the model and its tools took too long")

    # --- IReply

    def deliver(self, sink: IReplySink) -> None:
        self._sink = sink
        running = limited(
            Deferred.fromCoroutine(self._run()),
            self._until - self._clock.seconds(),
            self._clock,
            self._late,
        )
        self._running = running
        running.addErrback(self._failed)
        if self._sink is None:
            running.cancel()  # it was over, or was ended, before there was a way to

    def pauseProducing(self) -> None:
        self._paused = True
        if self._reply is not None:
            self._reply.pauseProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        if self._reply is not None:
            self._reply.resumeProducing()

    def stopProducing(self) -> None:
        self._sink = None
        running, self._running = self._running, None
        if running is not None and self._telling:
            self._clock.callLater(0, running.cancel)  # it may be what is telling
        elif running is not None:
            running.cancel()
        elif self._reply is not None:
            self._reply.stopProducing()

    # --- what becomes of it

    async def _run(self) -> None:
        self._tell(self._kit.listed())
        number = 0
        messages: tuple[Message, ...] = ()
        while True:
            number += 1
            heard = Round(self._kit, self._told)
            await self._delivered(heard)
            heard.end()
            parts = heard.parts
            calls = heard.ours(parts)
            if not calls:
                self._end(heard.finish)
                return
            last = number >= self._bounds.rounds
            if last:
                results = self._calls.unmade(calls, self._why_not())
            else:
                results = await self._calls.made(calls)
            messages = (*messages, *turn(parts, results))
            if heard.has_theirs:
                self._keep(messages)
                self._end(heard.finish)
                return
            if last:
                self._exhausted()
                return
            self._request = continued(self._request, parts, results)
            _, self._reply = await self._opened()

    async def _delivered(self, heard: Round) -> None:
        """Wait until one round has been told."""
        reply = self._reply
        assert reply is not None
        done: Deferred[None] = Deferred(lambda _: reply.stopProducing())
        if self._paused:
            reply.pauseProducing()
        reply.deliver(Hearing(heard, reply, self._tell, done))
        try:
            await done
        finally:
            self._reply = None

    def _keep(self, messages: tuple[Message, ...]) -> None:
        """Remember what the guest is not shown and will go on from."""
        if self._kit.wanted.shown:
            return
        calls = [part for part in messages[-2].parts if isinstance(part, ToolCall)]
        theirs = tuple(c.id for c in calls if not self._kit.is_ours(c.name))
        self._turns.keep(theirs, messages)

    def _end(self, finish: Finished) -> None:
        self._tell([finish, UsageReported(self._told.usage)])
        self.reader.done = True
        self._running = None
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.ended()

    def _exhausted(self) -> None:
        """No further round may be made."""
        if self._kit.wanted.shown:
            self._end(Finished(FinishReason.PAUSE))
            return
        before = "\n\n" if self._told.spoken else ""
        self._tell([TextDelta(f"{before}[{self._why_not()}]")])
        self._end(Finished(FinishReason.LENGTH))

    def _why_not(self) -> str:
        return (
            f"the model has been asked {self._bounds.rounds} times, "
            "which is the most for one answer."
        )

    def _failed(self, failure: Failure) -> None:
        self._running = None
        sink, self._sink = self._sink, None
        error = failure.value
        if not isinstance(error, GatewayError):
            if sink is None and failure.check(CancelledError):
                return  # nobody wants to know any more
            self.log.failure("A model's rounds with its tools broke", failure)
            error = GatewayError("something went wrong here")
        if sink is not None:
            self.reader.error = error
            sink.failed(error)

    def _tell(self, events: Sequence[Event]) -> None:
        if self._sink is not None and events:
            self.reader.saw(events)
            self._telling = True
            try:
                self._sink.received([*events])
            finally:
                self._telling = False
