"""A place among few that a call gives up while it waits for an answer of its client."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.python.failure import Failure

from modelplex.errors import GatewayError
from modelplex.tools import Caller, Question

InTime: TypeAlias = Callable[[Deferred[Any]], Coroutine[Any, Any, Any]]
"""Bounds how long a place is waited for."""


async def however_long(waiting: Deferred[Any]) -> Any:
    """Wait without a bound."""
    return await waiting


@define(eq=False)
class Turn:
    """
    A caller on whose behalf something is done that only a few may do at a time.

    Whoever is asked may take minutes, or never answer: others have the place meanwhile,
    and what is done goes on when one is free again. What is asked at the same time is
    answered together, so that nothing has a place and waits for its client. To be used
    as a context.
    """

    _places: DeferredSemaphore
    _caller: Caller
    _in_time: InTime = however_long
    guest: str = field(init=False)
    request_id: str = field(init=False)
    capabilities: Mapping[str, Any] = field(init=False)
    log_level: str | None = field(init=False)
    _held: bool = field(default=False, init=False)
    _over: bool = field(default=False, init=False)
    _asked: int = field(default=0, init=False)  # questions that are not answered
    _answered: list[Deferred[None]] = field(factory=list, init=False)
    _seeking: Deferred[Any] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._look()

    async def __aenter__(self) -> Turn:
        await self._in_time(self._places.acquire())
        self._held = True
        self._look()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        self._give()
        self._go_on()

    def progressed(
        self, progress: float, total: float | None, message: str | None
    ) -> None:
        self._caller.progressed(progress, total, message)

    def logged(self, level: str, logger: str | None, data: Any) -> None:
        self._caller.logged(level, logger, data)

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Any]:
        self._asked += 1
        self._give()
        try:
            answers = await self._caller.ask(questions)
        except CancelledError:  # nobody waits for it; what has asked may go on
            self._asked -= 1
            self._seek()
            raise
        except GatewayError:  # of which the server is told, and goes on
            self._asked -= 1
            await self._back()
            raise
        self._asked -= 1
        await self._back()
        return answers

    def _look(self) -> None:
        """It may be another request of the same client by now."""
        caller = self._caller
        self.guest, self.request_id = caller.guest, caller.request_id
        self.capabilities, self.log_level = caller.capabilities, caller.log_level

    async def _back(self) -> None:
        """Wait for a place, and for the answers to all else that is asked."""
        if self._over:
            return
        back: Deferred[None] = Deferred(self._answered.remove)
        self._answered.append(back)
        self._seek()
        await back

    def _seek(self) -> None:
        """Wait for a place, unless its client is being asked."""
        if self._asked or self._held or self._over:
            return
        waiting = self._in_time(self._places.acquire())
        self._seeking = seeking = Deferred.fromCoroutine(waiting)
        seeking.addCallbacks(self._found, self._missed)

    def _found(self, _: object) -> None:
        self._seeking, self._held = None, True
        self._look()
        self._go_on()

    def _missed(self, failure: Failure) -> None:
        self._seeking = None
        if not failure.check(CancelledError):  # those wait on, or have ended
            self._go_on(failure)

    def _go_on(self, failure: Failure | None = None) -> None:
        answered, self._answered = self._answered, []
        for one in answered:
            if failure is None:
                one.callback(None)
            else:
                one.errback(failure)

    def _give(self) -> None:
        if self._held:
            self._held = False
            self._places.release()
        elif self._seeking is not None:
            self._seeking.cancel()
