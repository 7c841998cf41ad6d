"""
An interactive server that two guests share, whatever it asks and whoever answers.

One call runs at a time; those that wait for their client hold nobody up; nothing that
the server says for one guest reaches the other; and when all is over a call is made at
once, so nothing is left of any turn.
"""

from __future__ import annotations

from collections.abc import Mapping
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

from modelplex.mcp.child import ChildServer
from modelplex.testing.fakes.child import Asked
from modelplex.testing.memory.child import Hatchery
from modelplex.tools import Question, ToolServerError
from modelplex.wire.jsonrpc import Answer, Call, Failure, Note, RpcError

ENOUGH = 6  # calls at a time
picks = st.integers(0, 99)


@define(eq=False)
class Talk:
    """
    One call.

    :ivar id: that the server was sent it under.
    :ivar asked: the server's questions that its client has not answered.
    :ivar unbidden: the server took a question back, and goes on when it likes.
    """

    number: int
    guest: str
    caller: Asked = field(init=False)
    waiting: Deferred[Any] = field(init=False)
    id: Any = None
    asked: list[Deferred[Any]] = field(factory=list)
    outcomes: list[Any] = field(factory=list)
    unbidden: bool = False

    def __attrs_post_init__(self) -> None:
        self.caller = Asked("debug", self._answered)
        self.caller.guest = self.guest

    async def _answered(self, questions: Mapping[str, Question]) -> Any:
        answer: Deferred[Any] = Deferred()
        self.asked.append(answer)
        try:
            return await answer
        finally:
            self.asked.remove(answer)

    @property
    def is_over(self) -> bool:
        return bool(self.outcomes)


class Shared(RuleBasedStateMachine):
    """Guests call, answer and cancel; the server asks, logs, answers and dies."""

    def __init__(self) -> None:
        super().__init__()
        self.house = Hatchery()
        self.server: ChildServer = self.house.server(
            interactive=True, guest_roots=True, concurrency=4, queue=ENOUGH
        )
        self.talks: list[Talk] = []
        self.open: dict[str, Talk] = {}  # questions of the server, and whose they are
        self.put: dict[str, Talk] = {}  # and to whom they were put
        self.questions = 0
        self.answered: set[Any] = set()

    @initialize()
    def begin(self) -> None:
        self.call("one")
        self.start()

    def start(self) -> None:
        """Let the server begin, if it does."""
        if self.house.alive:
            self.house.last.open()
        self.look()

    # What guests do

    @precondition(lambda self: len(self.live) < ENOUGH)
    @rule(guest=st.sampled_from(["one", "one", "one", "two"]))
    def call(self, guest: str) -> None:
        talk = Talk(len(self.talks), guest)
        self.talks.append(talk)
        given = {"name": "t", "arguments": {"n": talk.number}}
        work = self.server.request("tools/call", given, talk.caller)
        talk.waiting = Deferred.fromCoroutine(work)
        talk.waiting.addBoth(lambda found: talk.outcomes.append(found))
        self.look()

    @precondition(lambda self: self.parked)
    @rule(pick=picks, refuses=st.booleans())
    def reply(self, pick: int, refuses: bool) -> None:
        talk = self.parked[pick % len(self.parked)]
        answer = talk.asked[pick // 7 % len(talk.asked)]
        if refuses:
            answer.errback(RpcError(-1, "no"))
        else:
            answer.callback({"request": {"action": "accept"}, "roots": []})
        self.look()

    @precondition(lambda self: self.live)
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        talk = self.live[pick % len(self.live)]
        talk.waiting.cancel()
        [failure] = talk.outcomes
        assert failure.check(CancelledError)
        self.look()

    # What the server does

    @precondition(lambda self: self.sent)
    @rule(pick=picks)
    def answer(self, pick: int) -> None:
        talk = self.sent[pick % len(self.sent)]
        self.answered.add(talk.id)
        self.house.last.tell(Answer(talk.id, {"n": talk.number}))
        assert talk.outcomes == [{"n": talk.number}]
        self.look()

    @precondition(lambda self: self.working)
    @rule(pick=picks, method=st.sampled_from(["elicitation/create", "roots/list"] * 2))
    def ask(self, pick: int, method: str) -> None:
        """One that runs asks, or one that waits, or one that was given up."""
        speaker = self.working[pick % len(self.working)]
        running = self.running
        before = {talk: len(talk.caller.questions) for talk in self.talks}
        self.questions += 1
        id = f"q{self.questions}"
        self.open[id] = speaker
        self.house.last.tell(Call(id, method))
        asked = [t for t in self.talks if len(t.caller.questions) > before[t]]
        assert len(asked) <= 1
        for talk in asked:
            self.put[id] = talk
            assert talk.guest == speaker.guest, "another guest is asked"
        guests = {talk.guest for talk in self.sent} | {talk.guest for talk in asked}
        given_up = [talk for talk in self.working if talk.is_over]
        if running == [speaker] and len(guests) == 1 and not given_up:
            assert asked == [speaker]
        self.look()

    @precondition(lambda self: self.working)
    @rule(pick=picks)
    def log(self, pick: int) -> None:
        speaker = self.working[pick % len(self.working)]
        before = {talk: len(talk.caller.lines) for talk in self.talks}
        self.house.last.tell(
            Note("notifications/message", {"level": "error", "data": "d"})
        )
        heard = [t for t in self.talks if len(t.caller.lines) > before[t]]
        for talk in heard:
            assert talk.guest == speaker.guest, "another guest hears of it"

    @precondition(lambda self: self.open)
    @rule(pick=picks)
    def take_back(self, pick: int) -> None:
        ids = list(self.open)
        id = ids[pick % len(ids)]
        self.house.last.tell(Note("notifications/cancelled", {"requestId": id}))
        del self.open[id]
        if id in self.put:
            self.put.pop(id).unbidden = True
        self.look()

    @rule()
    def die(self) -> None:
        if not self.house.alive:
            return
        live = self.sent
        self.house.last.die()
        self.open.clear()
        self.put.clear()
        self.answered.clear()
        for talk in live:
            [failure] = talk.outcomes
            assert failure.check(ToolServerError)
        for talk in self.talks:
            talk.id = None
        self.house.clock.advance(8)
        self.start()

    # The model

    @property
    def live(self) -> list[Talk]:
        return [talk for talk in self.talks if not talk.is_over]

    @property
    def sent(self) -> list[Talk]:
        return [talk for talk in self.live if talk.id is not None]

    @property
    def parked(self) -> list[Talk]:
        return [talk for talk in self.live if talk.asked]

    @property
    def running(self) -> list[Talk]:
        """Those that the server does not wait for anything with."""
        waiting = set(self.open.values())
        return [talk for talk in self.sent if talk not in waiting]

    @property
    def busy(self) -> list[Talk]:
        """Those that have their place: the server waits for no answer to them."""
        waiting = set(self.put.values())
        return [talk for talk in self.sent if talk not in waiting]

    @property
    def working(self) -> list[Talk]:
        """All that the server may still work on: it may not heed a cancellation."""
        if not self.house.alive or self.house.last.ending:
            return []
        return [
            talk
            for talk in self.talks
            if talk.id is not None and talk.id not in self.answered
        ]

    def look(self) -> None:
        """Take what the server was sent."""
        if not self.server.status.version:
            return  # it is not open yet
        for message in self.house.last.take():
            match message:
                case Call(id, "tools/call", {"arguments": {"n": number}}):
                    talk = self.talks[number]
                    assert talk.id is None, "it was sent twice"
                    talk.id = id
                case Answer(id) | Failure(id):
                    self.open.pop(str(id), None)
                    self.put.pop(str(id), None)

    @invariant()
    def one_runs_at_a_time(self) -> None:
        assert len([talk for talk in self.busy if not talk.unbidden]) <= 1

    @invariant()
    def nobody_waits_for_those_that_wait(self) -> None:
        if not self.busy and self.house.alive and self.server.status.version:
            assert not [talk for talk in self.live if talk.id is None]

    def teardown(self) -> None:
        if not self.house.alive:
            return
        for talk in self.live:
            talk.waiting.cancel()
        self.look()
        self.call("two")
        last = self.talks[-1]
        if self.server.status.version:
            assert last.id is not None, "a place was lost"
        last.waiting.cancel()
        done = Deferred.fromCoroutine(self.server.stop())
        self.house.last.die()
        assert done.called
        assert not self.house.clock.getDelayedCalls()


TestShared = Shared.TestCase
TestShared.settings = settings(max_examples=150, stateful_step_count=40)
