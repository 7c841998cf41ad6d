"""Calls that wait for the operator."""

from __future__ import annotations

from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from modelplex.mcp.approvals import (
    TIMED_OUT,
    TOO_MANY,
    Answer,
    Approvals,
    Approved,
    Asking,
    Denied,
    shown,
)


def asking(guest: str = "g", digest: str = "d") -> Asking:
    return Asking(guest, "fs", "rm", "fs__rm", digest, {"path": "/x"}, "h", "p")


def numbered(clock: Clock, most: int = 64) -> Approvals:
    ids = count(1)
    return Approvals(clock, 60.0, most, lambda: str(next(ids)))


def waits(approvals: Approvals, one: Asking) -> Deferred[Answer]:
    return Deferred.fromCoroutine(approvals.ask(one))


def result(waiting: Deferred[Answer]) -> Answer:
    found: list[Answer] = []
    waiting.addCallback(found.append)
    [one] = found
    return one


def test_exactly_the_call_that_was_approved_goes_on() -> None:
    approvals = numbered(Clock())
    one, other = asking(digest="1"), asking(digest="2")
    first, second = waits(approvals, one), waits(approvals, other)
    assert [w.asking for w in approvals.waiting()] == [one, other]
    assert approvals.approve("2")
    assert result(second) == Approved(other)
    assert not first.called
    assert approvals.deny("1", "not now")
    assert result(first) == Denied("the operator denied the call: not now")


def test_an_approval_is_good_for_one_call() -> None:
    clock = Clock()
    approvals = numbered(clock)
    done = waits(approvals, asking())
    assert approvals.approve("1") and not approvals.approve("1")
    assert result(done) == Approved(asking())
    again = waits(approvals, asking())
    assert not again.called, "the same call made again is asked about again"
    approvals.stop()
    assert isinstance(result(again), Denied)
    assert clock.getDelayedCalls() == []


def test_nobody_answering_in_time_is_a_denial() -> None:
    clock = Clock()
    approvals = numbered(clock)
    done = waits(approvals, asking())
    clock.advance(59.9)
    assert not done.called
    assert shown(approvals.waiting()[0], clock.seconds())["seconds_left"] == 0
    clock.advance(0.2)
    assert result(done) == TIMED_OUT
    assert not approvals.approve("1") and approvals.waiting() == []


def test_a_guest_that_goes_takes_its_call_away() -> None:
    clock = Clock()
    approvals = numbered(clock)
    done = waits(approvals, asking())
    done.addErrback(lambda failure: failure.trap(CancelledError) and None)
    done.cancel()
    assert approvals.waiting() == [] and clock.getDelayedCalls() == []
    assert not approvals.approve("1")


def test_one_guest_cannot_keep_the_others_from_being_asked_about() -> None:
    """A flood of calls that wait fills half of the places, and no more."""
    approvals = numbered(Clock(), most=4)
    first = [waits(approvals, asking("a")) for _ in range(5)]
    assert [one.called for one in first] == [False, False, True, True, True]
    assert result(first[-1]) == TOO_MANY
    others = [waits(approvals, asking(name)) for name in "bcd"]
    assert [one.called for one in others] == [False, False, True]
    approvals.stop()


def test_what_the_operator_is_shown_is_redacted_and_enough() -> None:
    clock = Clock()
    approvals = numbered(clock)
    done = waits(approvals, asking())
    clock.advance(10)
    assert shown(approvals.waiting()[0], clock.seconds()) == {
        "id": "1",
        "guest": "g",
        "server": "fs",
        "tool": "rm",
        "exposed": "fs__rm",
        "arguments": {"path": "/x"},
        "digest": "d",
        "definition": "h",
        "policy": "p",
        "seconds_waited": 10,
        "seconds_left": 50,
    }
    approvals.stop()
    assert done.called


def test_ids_cannot_be_guessed() -> None:
    approvals = Approvals(Clock(), 60.0)
    done = [waits(approvals, asking(str(n))) for n in range(20)]
    ids = {w.id for w in approvals.waiting()}
    assert len(ids) == 20 and all(len(one) == 8 for one in ids)
    approvals.stop()
    assert all(one.called for one in done)


class Life(RuleBasedStateMachine):
    """Calls that wait, against a list of what must still be waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.approvals = numbered(self.clock, most=6)
        self.open: dict[str, tuple[float, Deferred[Answer]]] = {}

    @rule(guest=st.sampled_from("ab"))
    def ask(self, guest: str) -> None:
        before = {w.id for w in self.approvals.waiting()}
        theirs = sum(w.asking.guest == guest for w in self.approvals.waiting())
        done = waits(self.approvals, asking(guest))
        new = {w.id for w in self.approvals.waiting()} - before
        assert bool(new) == (theirs < 3 and len(before) < 6)
        assert done.called != bool(new)
        for id in new:
            self.open[id] = self.clock.seconds() + 60, done

    @rule(n=st.integers(1, 30), yes=st.booleans())
    def decide(self, n: int, yes: bool) -> None:
        id = str(n)
        decide = self.approvals.approve if yes else self.approvals.deny
        there = id in self.open
        assert decide(id) == there
        if there:
            answer = result(self.open.pop(id)[1])
            assert isinstance(answer, Approved if yes else Denied)

    @rule(n=st.integers(1, 30))
    def cancel(self, n: int) -> None:
        if str(n) in self.open:
            _, done = self.open.pop(str(n))
            done.addErrback(lambda failure: failure.trap(CancelledError) and None)
            done.cancel()

    @rule(seconds=st.floats(0, 50))
    def passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for id, (until, done) in list(self.open.items()):
            if until <= self.clock.seconds():
                del self.open[id]
                assert result(done) == TIMED_OUT

    @invariant()
    def only_these_wait(self) -> None:
        assert {w.id for w in self.approvals.waiting()} == set(self.open)
        assert len(self.clock.getDelayedCalls()) == len(self.open)


TestLife = Life.TestCase
