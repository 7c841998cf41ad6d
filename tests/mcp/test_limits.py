"""How often, and how many at a time, a tool is called."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from modelplex.errors import LimitReached
from modelplex.mcp.limits import QUEUE, Limit, Limits
from modelplex.tools import Silent


def limits(clock: Clock, **limit: float) -> Limits:
    return Limits(lambda server, tool: Limit(**limit), clock)  # type: ignore[arg-type]


def call(limits: Limits, until: Deferred[None], tool: str = "t") -> Deferred[None]:
    async def work() -> None:
        async with limits.place("s", tool, Silent()):
            await until

    return Deferred.fromCoroutine(work())


def fired() -> Deferred[None]:
    done: Deferred[None] = Deferred()
    done.callback(None)
    return done


def refused(work: Deferred[None]) -> str:
    found: list[object] = []
    work.addErrback(lambda reason: found.append(reason.trap(LimitReached) and reason))
    assert found, "it was let through"
    return found[0].value.message  # type: ignore[attr-defined, no-any-return]


def test_calls_of_a_minute_are_counted_and_come_back_evenly() -> None:
    clock = Clock()
    counted = limits(clock, per_minute=6)
    for _ in range(6):
        assert call(counted, fired()).called
    assert "6 times a minute; wait 10 s" in refused(call(counted, fired()))
    clock.advance(10)
    assert call(counted, fired()).called
    refused(call(counted, fired()))
    clock.advance(1000)
    for _ in range(6):
        assert call(counted, fired()).called
    refused(call(counted, fired()))


def test_each_tool_is_counted_by_itself() -> None:
    counted = limits(Clock(), per_minute=1)
    assert call(counted, fired(), "a").called
    assert call(counted, fired(), "b").called
    refused(call(counted, fired(), "a"))


def test_one_too_many_waits_its_turn() -> None:
    counted = limits(Clock(), concurrency=1)
    first: Deferred[None] = Deferred()
    one, two = call(counted, first), call(counted, fired())
    assert not two.called
    first.callback(None)
    assert one.called
    assert two.called


def test_not_endlessly_many_wait() -> None:
    counted = limits(Clock(), concurrency=1)
    running = [call(counted, Deferred()) for _ in range(QUEUE + 1)]
    assert "wait" in refused(call(counted, fired()))
    for work in reversed(running):
        work.addErrback(lambda reason: reason.trap(CancelledError) and None)
        work.cancel()
    assert call(counted, fired()).called


@pytest.mark.parametrize("count", [1, 100])
def test_without_limits_nobody_waits(count: int) -> None:
    counted = limits(Clock())
    waiting = [call(counted, Deferred()) for _ in range(count)]
    assert call(counted, fired()).called
    for work in waiting:
        work.addErrback(lambda reason: None)
        work.cancel()
