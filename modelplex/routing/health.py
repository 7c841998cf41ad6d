"""What recent failures mean for the next request: pure, given the time."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from attrs import define, field, frozen

from modelplex.errors import (
    GatewayError,
    UpstreamDenied,
    UpstreamQuota,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from modelplex.routing.table import Candidate

RATE_LIMITED = 10.0  # seconds, when a 429 does not say how long
UNREACHABLE = 5.0  # seconds, so that not every request waits for a connection
DENIED = 60.0  # seconds until a refused key is tried again; doubles each time
LONGEST = 3600.0  # seconds


class Condition(Enum):
    """Whether a target is asked."""

    UP = "up"
    COOLING = "cooling"  # asked after all others
    OUT = "out"  # not asked; its key was refused


@frozen
class Standing:
    """How a target stands: `until` on the clock, and `why` in words."""

    condition: Condition
    until: float = 0.0
    why: str = ""
    times: int = 0


UP = Standing(Condition.UP)


@define(eq=False)
class Health:
    """
    Remembers the last failure of each target, and of each key.

    It holds at most one entry for each target that was ever asked and bounds those
    to `limit`, since a glob lets guests invent names.
    """

    limit: int = 10_000
    _standing: dict[tuple[str, str], Standing] = field(factory=dict)

    def of(self, candidate: Candidate, now: float) -> Standing:
        """How `candidate` stands at `now`; its key counts too."""
        for key in ((candidate.provider.concern, ""), candidate.target):
            standing = self._standing.get(key)
            if standing is not None and standing.until > now:
                return standing
        return UP

    def rank(self, candidates: Sequence[Candidate], now: float) -> list[Candidate]:
        """The candidates to ask, in order; those that are out are left out."""
        if not self._standing:
            return list(candidates)
        standings = [(self.of(c, now), c) for c in candidates]
        return [c for s, c in standings if s.condition is Condition.UP] + [
            c
            for s, c in sorted(standings, key=lambda pair: pair[0].until)
            if s.condition is Condition.COOLING
        ]

    def succeeded(self, candidate: Candidate) -> None:
        """`candidate` answered: what was held against it is forgotten."""
        if self._standing:
            self._standing.pop(candidate.target, None)
            self._standing.pop((candidate.provider.concern, ""), None)

    def failed(self, candidate: Candidate, error: GatewayError, now: float) -> None:
        """`candidate` failed with `error`."""
        match error:
            case UpstreamDenied() | UpstreamQuota():
                key = (candidate.provider.concern, "")
                times = self._standing.get(key, UP).times + 1
                pause = min(DENIED * 2 ** min(times - 1, 10), LONGEST)
                condition = Condition.OUT
            case UpstreamRateLimited():
                key, times, condition = candidate.target, 1, Condition.COOLING
                after = error.retry_after
                pause = RATE_LIMITED if after is None else min(after, LONGEST)
            case UpstreamUnreachable() | UpstreamTimeout():
                key, times, condition = candidate.target, 1, Condition.COOLING
                pause = UNREACHABLE
            case _:
                return
        self._standing.pop(key, None)  # the newest stands last
        if len(self._standing) >= self.limit:
            self._standing.pop(next(iter(self._standing)))
        self._standing[key] = Standing(condition, now + pause, error.kind, times)
