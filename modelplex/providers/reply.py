"""An upstream's reply: read until it says something, held, then delivered."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import cast

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IResponse
from zope.interface import implementer

from modelplex.errors import GatewayError, UpstreamMalformed, UpstreamTimeout
from modelplex.events import Event
from modelplex.interfaces import IReply, IReplySink
from modelplex.outbound.transport import body_failure, hang_up
from modelplex.timing import IdleTimer
from modelplex.wire.reading import Reader

HELD = 2**20  # bytes that may announce before anything is said
LINGER = 5.0  # seconds an upstream may take to close after its last event


class _BodyTransport(typing.Protocol):
    """What a response gives to whom its body is delivered to."""

    def pauseProducing(self) -> None: ...
    def resumeProducing(self) -> None: ...


@implementer(IReply)
@define(eq=False, repr=False)
class UpstreamReply(Protocol):
    """
    The body of a response on its way through a `Reader`.

    :ivar whole: nothing is delivered before all of it is there.
    :ivar limit: bytes that a whole reply may have.
    :ivar until: when it must have ended, on the clock.
    :ivar scrub: takes our secrets out of an error.
    """

    name: str
    reader: Reader
    passed: bool
    dropped: tuple[str, ...]
    whole: bool
    limit: int
    _idle: float
    _until: float
    _scrub: Callable[[GatewayError], GatewayError]
    _clock: IReactorTime
    _opening: Deferred[None] | None = None
    _held: list[bytes | list[Event]] = field(factory=list)
    _seen: int = 0
    _sink: IReplySink | None = None
    _over: bool = False
    _stopped: bool = False
    _lost: bool = False
    _paused: bool = False
    _timer: IdleTimer | None = None
    _deadline: IDelayedCall | None = None
    log = Logger()

    def opened(self, response: IResponse) -> Deferred[None]:
        """
        Start reading; fires when the reply has something to deliver.

        Fails with the reply's `GatewayError` if there was none before that.
        Cancelling hangs up.
        """
        opening: Deferred[None] = Deferred(lambda _: self.stopProducing())
        self._opening = opening
        if self.whole:
            # The deadline alone would leave no time to ask anybody else.
            self._timer = IdleTimer(self._idle, self._clock, self._silent)
        response.deliverBody(self)
        return opening

    def deliver(self, sink: IReplySink) -> None:
        # The guest may pause or leave while it is given what was held.
        while self._held and not self._stopped:
            sink.received(self._held.pop(0))
        if self._stopped:
            return
        self._sink = sink
        if self._over:
            self._tell_end()
            return
        left = max(self._until - self._clock.seconds(), 0)
        self._deadline = self._clock.callLater(left, self._late)
        if not self._paused:
            self.resumeProducing()

    # --- what the upstream does

    def dataReceived(self, data: bytes) -> None:
        if self._over:
            return
        if self._timer is not None:
            self._timer.touch()
        batch = self.reader.feed(data)
        if batch:
            self._give(batch)
        if self.reader.error is not None or self.reader.done:
            self._finish()
        elif self._opening is not None:
            self._seen += len(data)
            if self.whole:
                if self._seen > self.limit:
                    self._break(f"its reply is over {self.limit} bytes")
            elif self.reader.meaningful:
                self._body().pauseProducing()  # until it is delivered
                opening, self._opening = self._opening, None
                opening.callback(None)
            elif self._seen > HELD:
                self._break(f"{HELD} bytes came without an answer in them")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        if self._over:
            self._stop_timers()
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            try:
                batch = self.reader.eof()
            except Exception:  # a bug, which Twisted would swallow here
                self.log.failure("The reader of {name}'s reply failed", name=self.name)
                self.reader.error = GatewayError("internal error")
            else:
                if batch:
                    self._give(batch)
        elif self.reader.error is None:
            self.reader.error = body_failure(reason, self.name)
        self._finish()

    # --- what the guest's side does

    def pauseProducing(self) -> None:
        self._paused = True
        if self._over or self._sink is None:
            return
        self._body().pauseProducing()
        # A guest that reads slowly is no upstream that is silent.
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()

    def resumeProducing(self) -> None:
        self._paused = False
        if self._over or self._sink is None:
            return  # `deliver` resumes once what was held is given
        if self._timer is None:
            self._timer = IdleTimer(self._idle, self._clock, self._silent)
        self._body().resumeProducing()

    def stopProducing(self) -> None:
        self._over = self._stopped = True
        self._sink = None
        self._held.clear()
        self._stop_timers()
        self._hang_up()

    # --- the two ends

    def _give(self, batch: bytes | list[Event]) -> None:
        if self._sink is not None:
            self._sink.received(batch)
        else:
            self._held.append(batch)

    def _break(self, why: str) -> None:
        self.reader.error = UpstreamMalformed(f"{self.name}: {why}")
        self._finish()

    def _finish(self) -> None:
        self._over = True
        self._stop_timers()
        if not self._lost:
            if self.reader.error is not None:
                self._hang_up()
            else:
                # The rest of the body frees the connection for the next request.
                self._body().resumeProducing()
                self._timer = IdleTimer(LINGER, self._clock, self._hang_up)
        if self._sink is not None:
            self._tell_end()
        elif self._opening is not None:
            opening, self._opening = self._opening, None
            if self.reader.error is not None and not (
                self.reader.meaningful and not self.whole
            ):
                opening.errback(self._scrub(self.reader.error))
            else:
                opening.callback(None)

    def _tell_end(self) -> None:
        sink, self._sink = self._sink, None
        assert sink is not None
        error: GatewayError | None = self.reader.error
        if error is None:
            sink.ended()
        else:
            sink.failed(self._scrub(error))

    def _silent(self) -> None:
        self.reader.error = UpstreamTimeout(
            f"{self.name}: nothing came for {self._idle:g} seconds"
        )
        self._finish()

    def _late(self) -> None:
        self._deadline = None
        self.reader.error = UpstreamTimeout(
            f"{self.name}: its answer took longer than it may"
        )
        self._finish()

    def _stop_timers(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()

    def _hang_up(self) -> None:
        if not self._lost and self.transport is not None:
            self._lost = True  # for us it is, and once is enough
            hang_up(self.transport)

    def _body(self) -> _BodyTransport:
        assert self.transport is not None
        return cast(_BodyTransport, self.transport)
