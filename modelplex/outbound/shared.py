"""One piece of work that many wait for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


@define(eq=False)
class Shared(Generic[T]):
    """
    Work that whoever comes first begins, and all who wait for it share.

    One who is cancelled leaves the others waiting; with the last, the work is given
    up. What comes of it is not kept: who comes later begins it anew.
    """

    _work: Callable[[], Coroutine[Deferred[Any], Any, T]]
    _running: Deferred[T] | None = None
    _waiting: list[Deferred[T]] = field(factory=list)

    def wait(self) -> Deferred[T]:
        """What comes of the work that is under way, or else of new work."""
        waiting: Deferred[T] = Deferred(self._left)
        self._waiting.append(waiting)
        if self._running is None:
            # It may end before `fromCoroutine` has returned.
            running = self._running = Deferred.fromCoroutine(self._work())
            running.addBoth(self._told, running)
        return waiting

    def stop(self) -> None:
        """Cancel everybody, and the work with them."""
        for waiting in list(self._waiting):
            waiting.cancel()

    def _told(self, result: T | Failure, running: Deferred[T]) -> None:
        if self._running is not running:
            return  # given up
        self._running = None
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if one.called:  # cancelled by one who was told before
                continue
            if isinstance(result, Failure):
                assert result.value is not None
                one.errback(result.value)
            else:
                one.callback(result)

    def _left(self, waiting: Deferred[T]) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)
        running = self._running
        if not self._waiting and running is not None:
            self._running = None
            running.cancel()
