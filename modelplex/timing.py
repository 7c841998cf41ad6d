"""Timers over an injected clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from modelplex.errors import GatewayError

T = TypeVar("T")


@define(eq=False)
class IdleTimer:
    """
    Calls `expired` once, when nothing was touched for `seconds`.

    A touch only notes the time, so it may happen for every chunk of a stream; the
    one delayed call moves itself on when it finds that it came too early.
    """

    seconds: float
    _clock: IReactorTime
    _expired: Callable[[], None]
    _touched: float = field(init=False)
    _call: IDelayedCall | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._touched = self._clock.seconds()
        self._call = self._clock.callLater(self.seconds, self._check)

    def touch(self) -> None:
        """Start counting anew."""
        self._touched = self._clock.seconds()

    def stop(self) -> None:
        """Never fire; may be called more than once."""
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def _check(self) -> None:
        left = self._touched + self.seconds - self._clock.seconds()
        if left > 0:
            self._call = self._clock.callLater(left, self._check)
        else:
            self._call = None
            self._expired()


def limited(
    waiting: Deferred[T],
    seconds: float,
    clock: IReactorTime,
    error: Callable[[], GatewayError],
) -> Deferred[T]:
    """
    `waiting`, cancelled after `seconds`; it then fails with `error()`.

    A cancel that comes from anywhere else stays a cancel.
    """

    def expired(_value: object, _seconds: float) -> T:
        raise error()

    return waiting.addTimeout(max(seconds, 0), clock, onTimeoutCancel=expired)
