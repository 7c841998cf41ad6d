"""Timers, on a clock that the test owns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from modelplex.errors import UpstreamError, UpstreamTimeout
from modelplex.timing import IdleTimer, limited


def test_silence_fires_once_after_the_last_touch() -> None:
    clock, fired = Clock(), list[float]()
    timer = IdleTimer(10.0, clock, lambda: fired.append(clock.seconds()))
    clock.advance(9.0)
    timer.touch()
    clock.pump([9.0, 1.0, 100.0])
    assert fired == [19.0]
    assert clock.getDelayedCalls() == []


@given(st.lists(st.integers(1, 9), max_size=8), st.integers(1, 12))
def test_it_fires_exactly_after_the_first_long_silence(
    gaps: list[int], seconds: int
) -> None:
    clock, fired = Clock(), list[float]()
    timer = IdleTimer(seconds, clock, lambda: fired.append(clock.seconds()))
    expected, now = None, 0
    for gap in [*gaps, 20]:
        if expected is None and gap >= seconds:
            expected = now + seconds
        for _ in range(gap):
            clock.advance(1)
        now += gap
        timer.touch()
    assert fired == [expected]
    assert clock.getDelayedCalls() == []


def test_a_touch_costs_no_delayed_call() -> None:
    clock = Clock()
    timer = IdleTimer(10.0, clock, lambda: None)
    [call] = clock.getDelayedCalls()
    for _ in range(100):
        timer.touch()
    assert clock.getDelayedCalls() == [call]
    timer.stop()


def test_a_stopped_timer_never_fires_and_may_be_stopped_again() -> None:
    clock, fired = Clock(), list[float]()
    timer = IdleTimer(10.0, clock, lambda: fired.append(clock.seconds()))
    timer.stop()
    timer.stop()
    timer.touch()
    clock.advance(100.0)
    assert fired == []
    ended = list[IdleTimer]()
    ended.append(IdleTimer(1.0, clock, lambda: ended[0].stop()))
    clock.advance(1.0)
    assert clock.getDelayedCalls() == []


def outcome(waiting: Deferred[str]) -> list[object]:
    seen: list[object] = []
    waiting.addBoth(lambda result: seen.append(result))
    return [one.value if isinstance(one, Failure) else one for one in seen] or [
        "waiting"
    ]


def timeout() -> UpstreamTimeout:
    return UpstreamTimeout("too long")


def test_a_promise_kept_in_time_is_the_promise() -> None:
    clock, promise = Clock(), Deferred[str]()
    waiting = limited(promise, 5.0, clock, timeout)
    clock.advance(4.9)
    promise.callback("kept")
    assert outcome(waiting) == ["kept"]
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("seconds", [5.0, 0.0, -3.0])
def test_a_promise_not_kept_is_cancelled_and_fails(seconds: float) -> None:
    clock, cancelled = Clock(), list[bool]()
    promise = Deferred[str](lambda _: cancelled.append(True))
    waiting = limited(promise, seconds, clock, timeout)
    clock.advance(max(seconds, 0))
    [error] = outcome(waiting)
    assert isinstance(error, UpstreamTimeout)
    assert cancelled == [True]
    assert clock.getDelayedCalls() == []


def test_a_cancel_from_elsewhere_stays_a_cancel() -> None:
    clock, promise = Clock(), Deferred[str]()
    waiting = limited(promise, 5.0, clock, timeout)
    waiting.cancel()
    [error] = outcome(waiting)
    assert isinstance(error, CancelledError)
    assert clock.getDelayedCalls() == []


def test_a_failure_before_the_time_is_that_failure() -> None:
    clock, promise = Clock(), Deferred[str]()
    waiting = limited(promise, 5.0, clock, timeout)
    promise.errback(UpstreamError("broken"))
    [error] = outcome(waiting)
    assert type(error) is UpstreamError
    assert clock.getDelayedCalls() == []
