"""What of a stream is kept for a client that comes back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelplex.surface.mcp_sessions import ENDED
from modelplex.surface.mcp_stream import EVENTS, SIZE, History
from modelplex.testing.memory.tools import ToolHouse, call, told

SLOW = {"name": "slow", "_meta": {"progressToken": "p"}}

RECORDS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, SIZE + 1)))


@given(records=RECORDS)
def test_a_history_has_bounds_and_keeps_the_latest(
    records: list[tuple[int, int]],
) -> None:
    history = History()
    told: list[tuple[int, int, bytes]] = []
    for stream, size in records:
        number = 1 + sum(one[0] == stream for one in told)
        told.append((stream, number, bytes(size)))
        before = len(history)
        history.record(stream, number, bytes(size))
        kept = [(s, n, p) for s in range(4) for n, p in history.after(s, 0)]
        assert len(kept) == len(history) <= EVENTS
        assert sum(len(payload) for _, _, payload in kept) <= SIZE
        assert set(kept) <= set(told)
        if size <= SIZE:
            assert (stream, number, bytes(size)) in kept
        else:  # and nothing makes room for what has none
            assert len(history) == before
    history.forget()
    assert len(history) == 0


def test_a_history_keeps_so_many_events() -> None:
    history = History()
    for number in range(1, EVENTS + 11):
        history.record(1, number, b"x")
    assert [n for n, _ in history.after(1, 0)] == list(range(11, EVENTS + 11))
    assert [n for n, _ in history.after(1, EVENTS)] == list(
        range(EVENTS + 1, EVENTS + 11)
    )


def test_who_comes_back_too_late_is_told_so() -> None:
    house = ToolHouse()
    session = house.session("2025-06-18")
    guest = house.post(call("tools/call", SLOW), session)
    caller = house.served.last.caller
    caller.progressed(1, None, None)
    guest.leave()
    for progress in range(2, EVENTS + 10):
        caller.progressed(progress, None, None)
    assert house.listen(session, "Last-Event-ID: 1-1").answer().status == 400
    recent = house.listen(session, f"Last-Event-ID: 1-{EVENTS}")
    assert len(told(recent.answer())) == 9
    house.nothing_is_left()


def test_streams_that_have_ended_can_be_read_again_for_a_while() -> None:
    house = ToolHouse()
    session = house.session("2025-06-18")

    def called() -> None:
        house.post(call("tools/call", SLOW), session)
        house.served.last.caller.progressed(1, None, None)
        house.served.last.answer()

    called()
    called()
    again = house.listen(session, "Last-Event-ID: 1-1").answer()
    assert [one.get("id") for one in told(again)] == [1] and again.complete
    for _ in range(ENDED + 1):
        called()
    assert house.listen(session, "Last-Event-ID: 1-1").answer().status == 400
    house.nothing_is_left()


def test_a_result_too_large_to_be_kept_is_still_told_to_who_reads() -> None:
    house = ToolHouse()
    session = house.session("2025-06-18")
    guest = house.post(call("tools/call", SLOW), session)
    house.served.last.caller.progressed(1, None, None)
    house.served.last.answer("x" * (SIZE + 1))
    assert len(told(guest.answer())[-1]["result"]["content"][0]["text"]) == SIZE + 1
    assert house.listen(session, "Last-Event-ID: 1-1").answer().status == 400
    house.nothing_is_left()
