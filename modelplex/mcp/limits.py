"""How often, and how many at a time, each tool is called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from attrs import define, field, frozen
from twisted.internet.defer import DeferredSemaphore
from twisted.internet.interfaces import IReactorTime

from modelplex.errors import LimitReached
from modelplex.mcp.turn import Turn
from modelplex.tools import Caller

QUEUE = 64  # calls of one tool that wait for a place
MOST = 10_000  # tools that are counted


@frozen
class Limit:
    """
    What holds for one tool.

    :ivar concurrency: calls at a time; others wait. 0 for no limit.
    :ivar per_minute: calls in any minute; others are refused. 0 for no limit.
    """

    concurrency: int = 0
    per_minute: float = 0


LimitOf: TypeAlias = Callable[[str, str], Limit]
"""The limit of a server's tool, both by the names they have in the config file."""


@define(eq=False)
class Limits:
    """Counts the calls of all guests, per tool."""

    _of: LimitOf
    _clock: IReactorTime
    _tools: dict[tuple[str, str], _Tool] = field(factory=dict, init=False)

    @asynccontextmanager
    async def place(
        self, server: str, tool: str, caller: Caller
    ) -> AsyncIterator[Caller]:
        """
        A place for one call of `caller`, for as long as the context lasts.

        :returns: who is to be told of it; while that is asked, the place is another's.
        :raises LimitReached: it may not be called now.
        """
        limit = self._of(server, tool)
        counted = self._tools.get((server, tool))
        if counted is None or counted.limit != limit:
            counted = _Tool(limit, self._clock.seconds())
            if len(self._tools) >= MOST:
                del self._tools[next(iter(self._tools))]
            self._tools[server, tool] = counted
        counted.count(self._clock.seconds())
        if counted.places is None:
            yield caller
            return
        if len(counted.places.waiting) >= QUEUE:
            raise LimitReached("too many calls wait for this tool")
        async with Turn(counted.places, caller) as turn:
            yield turn


@define(eq=False)
class _Tool:
    """The calls of one tool; `left` of them may still be made, as of `since`."""

    limit: Limit
    since: float
    left: float = field(init=False)
    places: DeferredSemaphore | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.left = self.limit.per_minute
        places = self.limit.concurrency
        self.places = DeferredSemaphore(places) if places else None

    def count(self, now: float) -> None:
        """Count a call; raises `LimitReached` when it is one too many."""
        rate = self.limit.per_minute
        if not rate:
            return
        self.left = min(rate, self.left + (now - self.since) * rate / 60)
        self.since = now
        if self.left < 1:
            wait = (1 - self.left) * 60 / rate
            raise LimitReached(
                f"this tool may be called {rate:g} times a minute; "
                f"wait {max(1, round(wait))} s",
                retry_after=wait,
            )
        self.left -= 1
