"""Sessions over HTTP: as many as may be, for as long as they are used."""

from __future__ import annotations

import json

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.task import Clock

from modelplex.errors import LimitReached
from modelplex.surface.mcp_sessions import IDLE_SECONDS, MOST, Sessions, new_session_id
from modelplex.testing.memory.guest import Guest
from modelplex.testing.memory.served import FakeServed
from modelplex.testing.memory.tools import ToolHouse, call, note, told

SLOW = {"name": "slow", "_meta": {"progressToken": "p"}}


def test_ids_cannot_be_guessed_and_are_plain_ascii() -> None:
    ids = {new_session_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(one) == 32 and one.isalnum() and one.isascii() for one in ids)


def test_an_unused_session_ends() -> None:
    house = ToolHouse()
    unused, used = house.session(), house.session()
    house.clock.advance(IDLE_SECONDS - 1)
    assert house.post(call("ping"), used).answer().status == 200
    house.clock.advance(2)
    assert house.post(call("ping"), unused).answer().status == 404
    assert house.post(call("ping"), used).answer().status == 200
    assert len(house.served.watches) == 1
    house.nothing_is_left()


def test_a_session_with_a_running_call_or_a_reader_does_not_end() -> None:
    house = ToolHouse()
    calling, listening = house.session(), house.session()
    house.post(call("tools/call", SLOW), calling).leave()
    house.listen(listening)
    for _ in range(5):
        house.clock.advance(IDLE_SECONDS)
    assert len(house.tools.mcp.sessions) == 2
    house.served.last.answer()
    for _ in range(3):
        house.clock.advance(IDLE_SECONDS)
    assert len(house.tools.mcp.sessions) == 1
    house.nothing_is_left()


def test_the_one_longest_unused_makes_room() -> None:
    clock, served = Clock(), FakeServed()
    sessions = Sessions(clock)
    ids = []
    for _ in range(MOST):
        ids.append(sessions.begin(served).id)
        clock.advance(1)
    assert sessions.find(ids[0], served)
    sessions.begin(served)
    assert sessions.find(ids[1], served) is None
    assert sessions.find(ids[0], served) and len(sessions) == MOST
    sessions.close()
    assert clock.getDelayedCalls() == []


def test_busy_sessions_make_no_room() -> None:
    house = ToolHouse()
    for _ in range(MOST):
        house.post(call("tools/call", SLOW), house.session()).leave()
    begin = call("initialize", {"protocolVersion": "2025-06-18"})
    assert house.post(begin).answer().status == 503
    with pytest.raises(LimitReached):
        house.tools.mcp.sessions.begin(house.served)
    house.served.last.answer()
    assert house.post(begin).answer().status == 200
    house.nothing_is_left()


class Life(RuleBasedStateMachine):
    """A client that calls, hangs up, comes back and loses no event it has an id for."""

    def __init__(self) -> None:
        super().__init__()
        self.house = ToolHouse()
        self.session: str | None = self.house.session("2025-11-25")
        self.reader: Guest | None = None
        self.progress = 0
        self.seen: list[int] = []  # progress that the client has read
        self.last = ""  # event id that the client has read last
        self.asked = self.finished = False

    def running(self) -> bool:
        return bool(self.house.served.requests)

    def read(self) -> None:
        if self.reader is None or not self.reader.wire:
            return
        answer = self.reader.answer()
        for line in answer.body.decode().splitlines():
            if line.startswith("id: "):
                self.last = line[4:]
        for one in told(answer) if "event-stream" in str(answer.headers) else []:
            if one.get("method") == "notifications/progress":
                found = one["params"]["progress"]
                if found not in self.seen:
                    self.seen.append(found)
            else:
                self.finished = True

    @precondition(lambda self: not self.asked)
    @rule()
    def ask(self) -> None:
        assert self.session is not None
        self.asked = True
        self.reader = self.house.post(call("tools/call", SLOW), self.session)

    @precondition(lambda self: self.running())
    @rule(times=st.integers(1, 5))
    def progressed(self, times: int) -> None:
        for _ in range(times):
            self.progress += 1
            self.house.served.last.caller.progressed(self.progress, None, None)
        self.read()

    @precondition(lambda self: self.reader is not None and self.last)
    @rule()
    def hang_up(self) -> None:
        assert self.reader is not None
        self.read()
        self.reader.leave()
        self.reader = None

    @precondition(lambda self: self.reader is None and self.last)
    @rule()
    def come_back(self) -> None:
        assert self.session is not None
        self.reader = self.house.listen(self.session, f"Last-Event-ID: {self.last}")
        assert self.reader.answer().status == 200
        self.read()

    @precondition(lambda self: self.running() and self.last)
    @rule()
    def finish(self) -> None:
        self.house.served.last.answer()
        self.read()

    @rule(seconds=st.integers(0, 100))
    def wait(self, seconds: int) -> None:
        self.house.clock.advance(seconds)

    @rule()
    def change(self) -> None:
        self.house.served.change()

    @rule()
    def ask_for_another(self) -> None:
        assert self.session is not None
        wrong = note("notifications/cancelled", {"requestId": "1"})
        assert self.house.post(wrong, self.session).answer().status == 202

    @invariant()
    def nothing_is_lost(self) -> None:
        if self.reader is not None and self.reader.open and self.last:
            self.read()
            assert self.seen == list(range(1, self.progress + 1))
            assert self.finished != self.running()

    def teardown(self) -> None:
        self.house.nothing_is_left()


def test_a_client_that_comes_back_has_missed_nothing() -> None:
    run_state_machine_as_test(Life, settings=settings(max_examples=30))


def test_a_resumed_stream_does_not_tell_what_is_anothers() -> None:
    house = ToolHouse()
    session = house.session("2025-06-18")
    first = house.post(call("tools/call", SLOW, id=1), session)
    second = house.post(call("tools/call", SLOW, id=2), session)
    one, two = house.served.requests
    for progress in (1, 2):
        one.caller.progressed(progress, None, "one")
        two.caller.progressed(progress, None, "two")
    first.leave()
    second.leave()
    back = house.listen(session, "Last-Event-ID: 2-1")
    assert [m["params"]["message"] for m in told(back.answer())] == ["two"]
    one.answer()
    two.answer("two")
    assert json.loads(json.dumps(told(back.answer())[-1]))["id"] == 2
    house.nothing_is_left()


def test_of_what_a_client_says_about_itself_little_is_kept() -> None:
    house = ToolHouse()
    house.session(
        elicitation={"form": {"much": [1] * 9}, "url": {}, "x": 1},
        sampling={"tools": {"much": 1}},
        roots={"listChanged": True, "x": {}},
        experimental={"x": ["ab"] * 1000},
    )
    [kept] = house.tools.mcp.sessions._open.values()
    assert kept.session.capabilities == {
        "elicitation": {"form": {}, "url": {}},
        "sampling": {"tools": {}},
        "roots": {"listChanged": True},
    }
    house.nothing_is_left()


def test_a_client_that_says_too_much_about_itself_has_no_session() -> None:
    house = ToolHouse()
    much = {"experimental": {"x": "a" * 2**16}}
    params = {"protocolVersion": "2025-06-18", "capabilities": much}
    answer = house.post(call("initialize", params, id=0)).answer()
    assert json.loads(answer.body)["error"]["code"] == -32602
    assert "mcp-session-id" not in answer.headers
    assert len(house.tools.mcp.sessions) == 0
    house.nothing_is_left()
