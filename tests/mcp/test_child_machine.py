"""
A server against a model: whatever it, its guests and its process do, in any order.

Every call gets one outcome, and its own; the process is sent every call once; what a
server makes up reaches nobody; what ends leaves nothing.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from modelplex.mcp.child import ChildServer
from modelplex.testing.fakes.child import Asked
from modelplex.testing.memory.child import FakeProcess, Hatchery
from modelplex.tools import ServerState, ToolServerError
from modelplex.wire import jsonrpc
from modelplex.wire.jsonrpc import Answer, Call, Note, RpcError

LINGER = 10.0 - 0.2  # seconds, less what the clock of these tests cannot tell
ENOUGH = 8  # calls at a time
picks = st.integers(0, 99)


@define(eq=False)
class Talk:
    """
    One call, as the model sees it.

    :ivar owner: the run that it was sent to, and under which id.
    :ivar due: what it must come to; ``None`` while that is open.
    """

    number: int
    caller: Asked
    waiting: Deferred[Any]
    outcomes: list[Any] = field(factory=list)
    owner: tuple[FakeProcess, int] | None = None
    due: Any = None
    ended: float | None = None  # when it was given up


class Life(RuleBasedStateMachine):
    """Guests call, cancel and wait; the process answers, lies, asks and dies."""

    def __init__(self) -> None:
        super().__init__()
        self.house = Hatchery()
        self.server: ChildServer = self.house.server(
            protocol="auto", concurrency=4, timeout=30, timeout_cap=60, queue=ENOUGH
        )
        self.talks: list[Talk] = []
        self.stopped = False
        self.used: dict[tuple[FakeProcess, Any], None] = {}
        self.opening: Call | None = None
        self.late: set[tuple[FakeProcess, int]] = set()  # answered when given up

    @initialize(modern=st.booleans(), calls=st.integers(0, 4))
    def begin(self, modern: bool, calls: int) -> None:
        """Most of what is of interest happens when it is ready."""
        for _ in range(calls):
            self.call_once()
        self.look()
        while self.opening is not None:
            self.open_up(modern)

    # What guests do

    @precondition(lambda self: len(self.open) < ENOUGH)
    @rule(times=st.integers(1, 3))
    def call(self, times: int) -> None:
        for _ in range(times):
            if len(self.open) < ENOUGH:
                self.call_once()
        self.look()

    def call_once(self) -> None:
        caller = Asked(level="debug")
        given = {"name": "t", "arguments": {"n": len(self.talks)}}
        asked = self.server.request("tools/call", given, caller)
        talk = Talk(len(self.talks), caller, Deferred.fromCoroutine(asked))
        self.talks.append(talk)

        def over(outcome: Any) -> None:
            is_error = isinstance(outcome, Failure)
            talk.outcomes.append(outcome.value if is_error else outcome)

        talk.waiting.addBoth(over)

    @precondition(lambda self: self.open)
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        talk = self.open[pick % len(self.open)]
        talk.due = CancelledError
        talk.ended = self.house.clock.seconds()
        talk.waiting.cancel()
        self.look()

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 31.0, 100.0]))
    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.house.clock.advance(0.1)
            for talk in self.talks:
                if talk.outcomes and talk.due is None and talk.ended is None:
                    talk.ended = self.house.clock.seconds()  # a timeout
        self.look()

    # What the process does

    @precondition(lambda self: self.opening is not None and self.running)
    @rule(modern=st.booleans())
    def open_up(self, modern: bool) -> None:
        call, self.opening = self.opening, None
        assert call is not None
        process = self.house.last
        if call.method == "server/discover" and not modern:
            process.tell(jsonrpc.Failure(call.id, -32601, ""))
        elif call.method == "server/discover":
            told = {"supportedVersions": ["2026-07-28"], "capabilities": {}}
            process.tell(Answer(call.id, told))
        else:
            told = {"protocolVersion": "2025-06-18", "capabilities": {}}
            process.tell(Answer(call.id, told))
        self.look()

    @precondition(lambda self: self.sent)
    @rule(pick=picks, as_text=st.booleans(), fails=st.booleans())
    def answer(self, pick: int, as_text: bool, fails: bool) -> None:
        talk = self.sent[pick % len(self.sent)]
        assert talk.owner is not None
        process, number = talk.owner
        id = str(number) if as_text else number
        if fails:
            talk.due = RpcError
            process.tell(jsonrpc.Failure(id, -32602, str(talk.number)))
        else:
            talk.due = {"n": talk.number}
            process.tell(Answer(id, {"n": talk.number}))
        self.look()

    @precondition(lambda self: self.running)
    @rule(
        id=st.integers(-5, 60) | st.text(max_size=3), again=picks, fails=st.booleans()
    )
    def lie(self, id: Any, again: int, fails: bool) -> None:
        """Answer what is not in flight: done already, given up, or never asked."""
        process = self.house.last
        mine = [number for run, number in self.used if run is process]
        if mine and again % 2:
            id = mine[again // 2 % len(mine)]
        current = {talk.owner[1] for talk in self.sent if talk.owner is not None}
        if self.opening is not None:
            current.add(self.opening.id)  # type: ignore[arg-type]
        if id in current or (str(id).isdigit() and int(id) in current):
            return
        if str(id).isdecimal():
            self.late.add((process, int(id)))
        if fails:
            process.tell(jsonrpc.Failure(id, -1, "made up"))
        else:
            process.tell(Answer(id, {"n": "made up"}))
        self.look()

    @precondition(lambda self: self.running)
    @rule(pick=picks, stray=st.booleans(), value=st.integers(0, 9))
    def report(self, pick: int, stray: bool, value: int) -> None:
        mine = [number for process, number in self.used if process is self.house.last]
        token = pick if stray or not mine else mine[pick % len(mine)]
        before = {talk: len(talk.caller.progress) for talk in self.talks}
        params = {"progressToken": token, "progress": value}
        self.house.last.tell(Note("notifications/progress", params))
        for talk in self.talks:
            if len(talk.caller.progress) > before[talk]:
                assert talk in self.sent
                assert talk.owner == (self.house.last, token)

    @precondition(lambda self: self.running)
    @rule()
    def log(self) -> None:
        before = {talk: len(talk.caller.lines) for talk in self.talks}
        told = {"level": "error", "data": "d"}
        self.house.last.tell(Note("notifications/message", told))
        heard = [t for t in self.talks if len(t.caller.lines) > before[t]]
        if len(self.sent) != 1:
            assert not heard
        elif not (gone := self.given_up()):
            assert heard == self.sent
        elif any(self.house.clock.seconds() - when < LINGER for when in gone):
            assert not heard  # it may be about what was given up a moment ago

    @precondition(lambda self: self.running)
    @rule(times=st.integers(1, 5))
    def change(self, times: int) -> None:
        for _ in range(times):
            self.house.last.tell(Note("notifications/tools/list_changed"))

    @precondition(lambda self: self.running)
    @rule(method=st.sampled_from(["ping", "roots/list", "elicitation/create"]))
    def ask(self, method: str) -> None:
        self.house.last.tell(Call("q", method))
        assert not any(talk.caller.questions for talk in self.talks)
        self.look()

    @precondition(lambda self: self.house.alive)
    @rule()
    def die(self) -> None:
        process = self.house.last
        for talk in self.sent:
            if talk.due is None:
                talk.due = ToolServerError
        self.opening = None
        process.die()
        self.look()

    @precondition(lambda self: self.running)
    @rule()
    def hear_nothing(self) -> None:
        for talk in self.sent:
            talk.due = ToolServerError
        self.opening = None
        self.house.last.owner.deaf("it closed its input")
        self.look()

    # What the operator does

    @rule()
    def restart(self) -> None:
        if not self.stopped:
            for talk in self.sent:
                talk.due = ToolServerError
            if self.running:
                self.opening = None
            self.server.restart()
            self.look()

    # The model

    @property
    def open(self) -> list[Talk]:
        return [talk for talk in self.talks if not talk.outcomes]

    @property
    def sent(self) -> list[Talk]:
        return [
            talk
            for talk in self.open
            if talk.owner is not None and talk.owner[0].pid is not None
        ]

    def given_up(self) -> list[float]:
        """When each call was given up that its process may still work on."""
        return [
            talk.ended
            for talk in self.talks
            if talk.ended is not None
            and talk.owner is not None
            and talk.owner[0] is self.house.last
            and talk.owner not in self.late
        ]

    @property
    def running(self) -> bool:
        return bool(self.house.alive) and not self.house.last.ending

    def look(self) -> None:
        """Take what the process was sent."""
        for process in self.house.runs:
            for message in process.take():
                if not isinstance(message, Call):
                    continue
                assert (process, message.id) not in self.used, "an id was used twice"
                self.used[process, message.id] = None
                if message.method == "tools/call":
                    talk = self.talks[message.params["arguments"]["n"]]
                    assert talk.owner is None, "it was sent twice"
                    assert isinstance(message.id, int)
                    talk.owner = (process, message.id)
                elif message.method in ("server/discover", "initialize"):
                    self.opening = message

    @invariant()
    def every_outcome_is_its_own(self) -> None:
        for talk in self.talks:
            assert len(talk.outcomes) <= 1
            reports = talk.caller.progress
            assert reports == sorted(set(reports))
            for outcome in talk.outcomes:
                if isinstance(talk.due, dict):
                    assert outcome == talk.due
                elif talk.due is not None:
                    assert isinstance(outcome, talk.due)
                else:  # a timeout, or the server could not be started
                    assert isinstance(outcome, ToolServerError)
                if isinstance(outcome, RpcError):
                    assert outcome.message == str(talk.number)
            if talk.due is not None:
                assert talk.outcomes

    @invariant()
    def it_runs_once_at_most(self) -> None:
        assert len(self.house.alive) <= 1
        assert len(self.sent) <= 4
        if self.running:
            assert self.server.status.in_flight == len(self.sent)
        state = self.server.status.state
        if state in (ServerState.FAILED, ServerState.STOPPED, ServerState.IDLE):
            assert not self.house.alive

    def teardown(self) -> None:
        self.stopped = True
        done = Deferred.fromCoroutine(self.server.stop())
        if self.house.alive:
            assert not done.called
            self.house.last.die()
        assert done.called
        assert not self.open
        assert not self.house.clock.getDelayedCalls()


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=250, stateful_step_count=50)
