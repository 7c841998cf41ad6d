"""How long one call may take."""

from __future__ import annotations

from twisted.internet.task import Clock

from modelplex.mcp.deadline import Deadline


def make(idle: float = 10, cap: float = 25) -> tuple[Clock, Deadline, list[float]]:
    clock, fired = Clock(), list[float]()
    return (
        clock,
        Deadline(idle, cap, clock, lambda: fired.append(clock.seconds())),
        fired,
    )


def test_silence_ends_it_once() -> None:
    clock, _, fired = make()
    clock.pump([9.5, 0.5, 100])
    assert fired == [10]
    assert not clock.getDelayedCalls()


def test_progress_extends_it_up_to_the_cap() -> None:
    clock, deadline, fired = make()
    for _ in range(20):
        deadline.touch()
        clock.advance(2.5)
    assert fired == [25]


def test_no_time_passes_while_somebody_else_is_waited_for() -> None:
    clock, deadline, fired = make()
    clock.advance(8)
    deadline.pause()
    deadline.pause()
    clock.advance(1000)
    deadline.resume()
    clock.advance(1000)
    deadline.resume()
    clock.advance(9)
    assert not fired
    clock.advance(1)
    assert fired == [2018]


def test_the_cap_counts_what_was_not_paused() -> None:
    clock, deadline, fired = make(idle=100)
    clock.advance(20)
    deadline.pause()
    clock.advance(500)
    deadline.resume()
    clock.advance(5)
    assert fired == [525]


def test_what_is_stopped_never_fires() -> None:
    clock, deadline, fired = make()
    deadline.stop()
    deadline.stop()
    clock.advance(100)
    assert not fired
    assert not clock.getDelayedCalls()
