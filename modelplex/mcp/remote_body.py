"""The body of an answer, given on as it comes; nothing is kept here."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

from modelplex.errors import GatewayError
from modelplex.outbound.transport import hang_up

LINGER = 2.0  # seconds a server may take to end a body whose answer is there


@define(eq=False)
class Body(Protocol):
    """
    One body.

    :ivar ended: fires with whether it ended properly, or was cut; fails with what
        `_take` raised. Cancelling it hangs up.
    """

    _take: Callable[[bytes], None]
    _clock: IReactorTime
    _gone: Callable[[Body], None]
    ended: Deferred[bool] = field(init=False)
    _error: GatewayError | None = None
    _over: bool = False
    _call: IDelayedCall | None = None

    def __attrs_post_init__(self) -> None:
        self.ended = Deferred(lambda _: self.stop())

    def dataReceived(self, data: bytes) -> None:
        if self._over or self._error is not None:
            return
        try:
            self._take(data)
        except GatewayError as e:
            self._error = e
            self.stop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._over = True
        self._uncall()
        self._gone(self)
        if self.ended.called:
            return
        if self._error is not None:
            self.ended.errback(self._error)
        else:
            clean = reason.check(ResponseDone, PotentialDataLoss) is not None
            self.ended.callback(clean)

    def stop(self) -> None:
        """Hang up."""
        self._uncall()
        if not self._over and self.transport is not None:
            hang_up(self.transport)

    def release(self) -> None:
        """All that matters is here: it may end by itself, so its connection lasts."""
        if not self._over and self._call is None:
            self._call = self._clock.callLater(LINGER, self._lingered)

    def _lingered(self) -> None:
        self._call = None
        self.stop()

    def _uncall(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
