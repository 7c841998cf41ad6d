"""How long one call may take: progress extends it, up to a bound."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime


@define(eq=False)
class Deadline:
    """
    Calls `expired` once, `idle` seconds after the last touch, and `cap` seconds after
    the beginning at the latest.

    While it is paused no time passes: somebody else is being waited for.
    """

    _idle: float
    _cap: float
    _clock: IReactorTime
    _expired: Callable[[], None]
    _touched: float = field(init=False)
    _capped: float = field(init=False)
    _paused: int = 0
    _since: float = 0.0
    _call: IDelayedCall | None = None

    def __attrs_post_init__(self) -> None:
        self._touched = now = self._clock.seconds()
        self._capped = now + self._cap
        self._schedule()

    def touch(self) -> None:
        """There is progress."""
        self._touched = self._clock.seconds()

    def pause(self) -> None:
        """Let no time pass; as often as it is resumed."""
        self._paused += 1
        if self._paused == 1:
            self._since = self._clock.seconds()
            self.stop()

    def resume(self) -> None:
        """Time passes again."""
        self._paused -= 1
        if self._paused == 0:
            self._touched = now = self._clock.seconds()
            self._capped += now - self._since
            self._schedule()

    def stop(self) -> None:
        """Never fire; may be called more than once."""
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def _left(self) -> float:
        due = min(self._touched + self._idle, self._capped)
        return due - self._clock.seconds()

    def _schedule(self) -> None:
        self._call = self._clock.callLater(max(self._left(), 0), self._check)

    def _check(self) -> None:
        self._call = None
        if self._left() > 0:  # touched meanwhile
            self._schedule()
        else:
            self._expired()
