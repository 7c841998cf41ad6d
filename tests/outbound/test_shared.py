"""Many wait for one piece of work, and each may leave."""

from __future__ import annotations

from typing import Any

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from modelplex.errors import UpstreamError
from modelplex.outbound.shared import Shared


@define(eq=False)
class Work:
    """Work that ends when a test says so."""

    begun: list[Deferred[int]] = field(factory=list)
    given_up: int = 0

    async def __call__(self) -> int:
        running: Deferred[int] = Deferred()
        self.begun.append(running)
        try:
            return await running
        except CancelledError:
            self.given_up += 1
            raise


def waiter(shared: Shared[int]) -> tuple[Deferred[int], list[Any]]:
    told: list[Any] = []
    waiting = shared.wait()
    waiting.addBoth(told.append)
    return waiting, told


STEPS = st.lists(
    st.sampled_from(["come", "end", "fail"])
    | st.tuples(st.just("leave"), st.integers(0, 9)),
    max_size=40,
)


@given(STEPS)
def test_whoever_waits_is_told_once_and_the_work_runs_for_them_alone(
    steps: list[Any],
) -> None:
    work = Work()
    shared: Shared[int] = Shared(work)
    everybody: list[tuple[Deferred[int], list[Any]]] = []
    left: set[int] = set()
    expected: dict[int, Any] = {}
    for number, step in enumerate(steps):
        waiting = [
            i for i in range(len(everybody)) if i not in left and i not in expected
        ]
        if step == "come":
            everybody.append(waiter(shared))
        elif step in ("end", "fail"):
            if not waiting:
                continue
            running = work.begun[-1]
            if step == "end":
                running.callback(number)
            else:
                running.errback(UpstreamError(str(number)))
            expected |= dict.fromkeys(waiting, (step, number))
        elif step[1] in waiting:
            left.add(step[1])
            everybody[step[1]][0].cancel()
        waiting = [
            i for i in range(len(everybody)) if i not in left and i not in expected
        ]
        running_now = [one for one in work.begun if not one.called]
        assert len(running_now) == bool(waiting)
    for i, (_, told) in enumerate(everybody):
        if i in left:
            [failure] = told
            assert failure.check(CancelledError)
        elif i in expected:
            how, number = expected[i]
            [result] = told
            if how == "end":
                assert result == number
            else:
                assert isinstance(result, Failure)
                assert str(result.value) == str(number)
        else:
            assert told == []
    shared.stop()
    assert all(told for _, told in everybody)
    assert not [one for one in work.begun if not one.called]


def test_one_who_is_told_may_cancel_the_next() -> None:
    work = Work()
    shared: Shared[int] = Shared(work)
    second: Deferred[int]
    first = shared.wait()
    first.addCallback(lambda _: second.cancel())
    second, told = waiter(shared)
    work.begun[0].callback(1)
    assert told[0].check(CancelledError)


def test_one_who_is_told_may_wait_again() -> None:
    work = Work()
    shared: Shared[int] = Shared(work)
    again: list[Any] = []
    shared.wait().addCallback(lambda _: again.append(waiter(shared)))
    work.begun[0].callback(1)
    assert len(work.begun) == 2
    work.begun[1].callback(2)
    assert again[0][1] == [2]


def test_work_that_is_done_at_once_is_told_at_once() -> None:
    async def work() -> int:
        return 3

    shared: Shared[int] = Shared(work)
    for _ in range(2):
        assert waiter(shared)[1] == [3]
