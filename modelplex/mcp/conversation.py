"""A `ClientSession` at work: Deferreds for tickets, timers, questions to callers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from modelplex.errors import GatewayError
from modelplex.mcp.client_session import ClientSession
from modelplex.mcp.deadline import Deadline
from modelplex.mcp.effects import (
    Again,
    Answered,
    Asks,
    Changed,
    Effect,
    Failed,
    Logged,
    Progressed,
    Send,
    Ticket,
    Updated,
    Withdrawn,
)
from modelplex.mcp.handshake import Opened, Unfit
from modelplex.tools import Caller, Silent, ToolServerTimeout
from modelplex.wire.jsonrpc import INTERNAL_ERROR, Message, Params, Result, RpcError
from modelplex.wire.mcp.lines import line

LINGER = 10.0  # seconds in which a request that was given up may still be heard of
PROGRESS_BURST = 100  # reports of one call at once
PROGRESS_RATE = 20.0  # and each second
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # seconds before asking again


class Listener(Protocol):
    """Whoever has the conversation."""

    def opened(self, opened: Opened) -> None:
        """Requests can be made."""

    def unfit(self, why: str) -> None:
        """None ever can."""

    def changed(self) -> None:
        """The server offers something else."""

    def updated(self, uri: str) -> None:
        """A resource has changed."""


@define(eq=False)
class _Talk:
    """
    One request and whoever waits for it.

    :ivar asking: what the caller is being asked for.
    """

    caller: Caller
    answer: Deferred[Result]
    started: float
    deadline: Deadline | None = None
    asking: dict[int, Deferred[Any]] = field(factory=dict)
    told: int = 0

    def over(self) -> None:
        if self.deadline is not None:
            self.deadline.stop()
        asking, self.asking = self.asking, {}
        for one in asking.values():
            one.cancel()


@define(eq=False, repr=False)
class Conversation:
    """
    One conversation with a server, from its beginning until `close`.

    :param name: the server's, for messages to guests.
    :param send: takes the lines for the server.
    """

    name: str
    session: ClientSession
    _send: Callable[[bytes], None]
    _clock: IReactorTime
    _listener: Listener
    _probe_timeout: float = 5.0
    _talks: dict[Ticket, _Talk] = field(factory=dict)
    _given_up: deque[tuple[float, int]] = field(factory=deque)
    _probe: IDelayedCall | None = None
    _closed: GatewayError | None = None
    log = Logger()

    @property
    def opened(self) -> Opened:
        """What was agreed on."""
        assert self.session.opened is not None
        return self.session.opened

    def begin(self) -> None:
        """Open it; the listener is told how that went."""
        self._perform(self.session.begin())
        if self.session.probing:
            self._probe = self._clock.callLater(self._probe_timeout, self._overdue)

    def received(self, message: Message) -> None:
        """The server has sent this."""
        if self._closed is None:
            now = self._clock.seconds()
            while self._given_up and self._given_up[0][0] + LINGER <= now:
                self.session.forget(self._given_up.popleft()[1])
            self._perform(self.session.receive(message))

    def request(
        self, method: str, params: Params, caller: Caller, idle: float, cap: float
    ) -> Deferred[Result]:
        """
        Make a guest's request.

        :param idle: seconds without an answer or progress.
        :param cap: seconds in all, without those in which the guest is asked.
        :returns: fails with `RpcError` as the server answered, `ToolServerTimeout`, or
            what the conversation was closed with. Cancelling it tells the server.
        """
        return self._begin(
            Ticket(
                method,
                params,
                caller.capabilities,
                caller.log_level,
                guest=caller.guest,
            ),
            caller,
            idle,
            cap,
        )

    def ask(self, method: str, params: Params, timeout: float) -> Deferred[Result]:
        """Make a request of our own; as `request`."""
        return self._begin(
            Ticket(method, params, private=False), Silent(), timeout, timeout
        )

    def listen(self, params: Params) -> Deferred[Result]:
        """Make a request that is answered when it ends, however late."""
        ticket = Ticket("subscriptions/listen", params, private=False)
        return self._begin(ticket, Silent(), None, 0)

    def close(self, error: GatewayError) -> None:
        """The server is gone; every request fails with `error`, also later ones."""
        if self._closed is None:
            self._closed = error
            self._probed()
            self._perform(self.session.close(error))

    def _begin(
        self, ticket: Ticket, caller: Caller, idle: float | None, cap: float
    ) -> Deferred[Result]:
        def cancelled(_: object) -> None:
            self._give_up(ticket, "nobody waits for it")

        answer: Deferred[Result] = Deferred(cancelled)
        if self._closed is not None:
            answer.errback(self._closed)
            return answer
        talk = _Talk(caller, answer, self._clock.seconds())
        self._talks[ticket] = talk
        self._perform(self.session.call(ticket))
        if idle is not None and ticket in self._talks:

            def expired() -> None:
                self._give_up(ticket, "it took too long")
                answer.errback(ToolServerTimeout(f"{self.name} took too long"))

            talk.deadline = Deadline(idle, cap, self._clock, expired)
        return answer

    def _give_up(self, ticket: Ticket, why: str) -> None:
        talk = self._talks.pop(ticket, None)
        number = ticket.id
        self._perform(self.session.cancel(ticket, why))
        if number is not None and ticket.private:
            self._given_up.append((self._clock.seconds(), number))
        if talk is not None:
            talk.over()

    def _overdue(self) -> None:
        self._probe = None
        self._perform(self.session.overdue())

    def _probed(self) -> None:
        probe, self._probe = self._probe, None
        if probe is not None and probe.active():
            probe.cancel()

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(message):
                    self._write(message)
                case Answered(ticket, result):
                    self._settled(ticket, result)
                case Failed(ticket, error):
                    self._settled(ticket, error)
                case Asks() | Again():
                    self._ask(effect)
                case Withdrawn(asks):
                    self._withdraw(asks)
                case Progressed():
                    self._progress(effect)
                case Logged(ticket, level, logger, said):
                    if ticket in self._talks:
                        self._talks[ticket].caller.logged(level, logger, said)
                case Changed():
                    self._listener.changed()
                case Updated(uri):
                    self._listener.updated(uri)
                case Opened():
                    self._probed()
                    self._listener.opened(effect)
                case Unfit(why):
                    self._probed()
                    self._listener.unfit(why)

    def _write(self, message: Message) -> None:
        try:
            text = line(message)
        except RpcError as e:
            self._perform(self.session.undeliverable(message, e))
        else:
            self._send(text)

    def _settled(self, ticket: Ticket, outcome: Result | GatewayError) -> None:
        talk = self._talks.pop(ticket, None)
        if talk is None:
            return
        talk.over()
        if isinstance(outcome, GatewayError):
            # One error may be that of many, and each would add to what it tells.
            talk.answer.errback(outcome.with_traceback(None))
        else:
            talk.answer.callback(outcome)

    def _progress(self, effect: Progressed) -> None:
        talk = self._talks.get(effect.ticket)
        if talk is None:
            return
        if talk.deadline is not None:
            talk.deadline.touch()
        passed = self._clock.seconds() - talk.started
        if talk.told < PROGRESS_BURST + passed * PROGRESS_RATE:
            talk.told += 1
            talk.caller.progressed(effect.progress, effect.total, effect.message)

    def _ask(self, effect: Asks | Again) -> None:
        asks = effect if isinstance(effect, Asks) else effect.asks
        talk = self._talks.get(asks.ticket)
        if talk is None:
            return
        deadline = talk.deadline if isinstance(effect, Asks) else None
        if isinstance(effect, Again):
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**effect.round)
            asking: Deferred[Any] = deferLater(self._clock, pause, dict)
        else:
            asking = Deferred.fromCoroutine(talk.caller.ask(asks.questions))
        if deadline is not None:
            deadline.pause()
        talk.asking[id(asks)] = asking

        def told(outcome: Any) -> None:
            known = talk.asking.pop(id(asks), None)
            if deadline is not None and known is not None:
                deadline.resume()
            # It may be another request of the same client by now.
            asks.ticket.capabilities = talk.caller.capabilities
            asks.ticket.log_level = talk.caller.log_level
            if isinstance(outcome, Failure):
                self._perform(self.session.refused(asks, self._refusal(outcome)))
            else:
                self._perform(self.session.replied(asks, outcome))

        asking.addBoth(told)

    def _withdraw(self, asks: Asks) -> None:
        talk = self._talks.get(asks.ticket)
        asking = None if talk is None else talk.asking.get(id(asks))
        if asking is not None:
            asking.cancel()

    def _refusal(self, failure: Failure) -> RpcError:
        error = failure.value
        if isinstance(error, RpcError):
            return error
        if not isinstance(error, GatewayError | CancelledError):
            self.log.failure("Asking a guest of {name}", failure, name=self.name)
        return RpcError(INTERNAL_ERROR, "the client did not answer")
