"""
Whole exchanges against a model: whoever fails, leaves or stalls, each guest is told
one thing, of one provider, and nothing is left running.
"""

from __future__ import annotations

import json

from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from modelplex.config import Timeouts
from modelplex.surface.site import Limits
from modelplex.testing.memory.guest import Answered, Guest
from modelplex.testing.memory.house import KEY, House, upstream
from modelplex.testing.memory.upstream import Connection

TOTAL = 60  # seconds
TIMES = Timeouts(connect=5, first_byte=10, idle=20, total=TOTAL)
PROVIDERS = (
    upstream("a", models=("two", "one"), timeouts=TIMES),
    upstream("b", priority=2, models=("two", "mixed"), timeouts=TIMES),
    upstream("c", type="ollama", models=("mixed", "other"), timeouts=TIMES),
)
CANDIDATES = {"one": 1, "two": 2, "mixed": 2, "other": 1}
ENOUGH = 4  # exchanges at a time

picks = st.integers(min_value=0, max_value=99)


@define(eq=False)
class Talk:
    """
    One request of a guest, as the model sees it.

    :ivar asked: the providers that got it.
    """

    number: int
    guest: Guest
    stream: bool
    model: str
    started: float
    earlier: int  # answers on the same connection before this one
    asked: list[str] = field(factory=list)
    left: bool = False
    _said: tuple[Answered | None, list[str]] = (None, [])

    @property
    def answer(self) -> Answered | None:
        """Its answer, as far as it has come."""
        answers = self.guest.answers()
        return answers[self.earlier] if len(answers) > self.earlier else None

    @property
    def told(self) -> bool:
        """A terminal outcome was sent."""
        return (answer := self.answer) is not None and answer.complete

    @property
    def live(self) -> bool:
        """Something must be under way for it."""
        return not self.left and not self.told

    @property
    def said(self) -> list[str]:
        """The words that reached the guest."""
        answer = self.answer
        if answer is None or answer.status != 200:
            return []
        if self._said[0] is not answer:
            self._said = answer, self._words(answer)
        return self._said[1]

    def _words(self, answer: Answered) -> list[str]:
        if not self.stream:
            if not answer.complete:
                return []
            message = json.loads(answer.body)["choices"][0]["message"]
            return str(message["content"]).split()
        words: list[str] = []
        for payload in answer.events:
            if payload != b"[DONE]" and b'"error"' not in payload:
                for choice in json.loads(payload)["choices"]:
                    words += (choice["delta"].get("content") or "").split()
        return words


@define(eq=False)
class Service:
    """
    What one upstream does about one request.

    :ivar over: it has said all it ever will, well or not.
    """

    number: int
    talk: Talk
    connection: Connection
    kind: str  # "sse", "lines" or "whole"
    begun: bool = False
    failing: bool = False  # the answer has an error status
    over: bool = False
    ended: bool = False
    words: list[str] = field(factory=list)
    rest: bytes = b""  # of an event that was sent by half

    @property
    def active(self) -> bool:
        return self.connection.open and not self.over

    def word(self) -> bytes:
        """One more word, in the provider's own way."""
        word = f"{self.number}.{len(self.words)}"
        self.words.append(word)
        return self._event(f"{word} ")

    def _event(self, text: str, finish: str | None = None) -> bytes:
        if self.kind == "lines":
            message = {"role": "assistant", "content": text}
            line = {"model": "m", "message": message, "done": finish is not None}
            return json.dumps(line | {"done_reason": finish}).encode() + b"\n"
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
        return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"

    def announcement(self) -> bytes:
        if self.kind == "lines":
            return self._event("")
        choice = {"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}
        return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"

    def end(self) -> bytes:
        if self.kind == "lines":
            return self._event("", "stop")
        return self._event("", "stop") + b"data: [DONE]\n\n"

    def error(self) -> bytes:
        error = json.dumps({"error": {"message": f"broke, {KEY}"}}).encode()
        return error + b"\n" if self.kind == "lines" else b"data: " + error + b"\n\n"

    def whole(self) -> bytes:
        self.words = [f"{self.number}.0"]
        message = {"role": "assistant", "content": self.words[0]}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return json.dumps({"id": "1", "choices": [choice]}).encode()


class Exchanges(RuleBasedStateMachine):
    """Guests on one side, upstreams on the other, and the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.house = House(PROVIDERS, limits=Limits(stall_timeout=1000))
        self.talks: list[Talk] = []
        self.services: list[Service] = []
        self.failures: list[LogEvent] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            if "log_failure" in event:
                self.failures.append(event)
            assert KEY not in str(event)

        self.observe = observe
        globalLogPublisher.addObserver(observe)

    def settle(self) -> None:
        """Let the reactor turn, and see who was asked what."""
        self.house.turn()
        for connection in self.house.upstreams.connections:
            for request in connection.requests():
                body = json.loads(request.body)
                number = int(body["messages"][0]["content"])
                talk = self.talks[number]
                provider = connection.path.strip("/")
                assert not talk.left, "asked for a guest that has left"
                assert not talk.told, "asked for a guest that was answered"
                assert talk.said == [], "asked after the first delivered byte"
                assert provider not in talk.asked, "asked twice"
                talk.asked.append(provider)
                assert len(talk.asked) <= CANDIDATES[talk.model]
                kind = "lines" if provider == "c" else "sse"
                if kind == "sse" and not body["stream"]:
                    kind = "whole"
                self.services.append(
                    Service(len(self.services), talk, connection, kind)
                )

    @property
    def live(self) -> list[Talk]:
        return [talk for talk in self.talks if talk.live]

    @property
    def active(self) -> list[Service]:
        return [s for s in self.services if s.active and s.talk.live]

    def pick(self, number: int, begun: bool) -> Service | None:
        found = [s for s in self.active if s.begun is begun]
        return found[number % len(found)] if found else None

    def is_held(self, service: Service) -> bool:
        """Whether its last words wait for a guest that has paused."""
        connection = service.connection
        [*_, last] = [s for s in self.services if s.connection is connection]
        return last is service and connection.open and connection.paused

    # What guests do

    @precondition(lambda self: len(self.live) < ENOUGH)
    @rule(
        stream=st.sampled_from([True, True, False]),
        model=st.sampled_from(sorted(CANDIDATES)),
        pick=picks,
        reached=st.sampled_from([True, True, False]),
    )
    def ask(self, stream: bool, model: str, pick: int, reached: bool) -> None:
        before = self.house.upstreams.waiting()
        idle = [
            guest
            for guest in self.house.guests
            if guest.open and not any(t.live for t in self.talks if t.guest is guest)
        ]
        guest = idle[pick % len(idle)] if idle and pick % 2 else self.house.guest()
        number = len(self.talks)
        now, earlier = self.house.reactor.seconds(), len(guest.answers())
        self.talks.append(Talk(number, guest, stream, model, now, earlier))
        said = [{"role": "user", "content": str(number)}]
        body = {"model": model, "messages": said, "stream": stream}
        guest.post("/v1/chat/completions", body)
        for attempt in self.house.upstreams.waiting():
            if reached and attempt not in before:
                self.house.upstreams.connections.append(attempt.accept())
        self.settle()

    @precondition(lambda self: self.live)
    @rule(pick=picks, what=st.sampled_from([*["stop", "go on"] * 3, "leave"]))
    def listen(self, pick: int, what: str) -> None:
        talk = self.live[pick % len(self.live)]
        if what == "leave":
            self.leave(talk)
        elif what == "stop":
            talk.guest.stop_reading()
        else:
            talk.guest.read_on()
        self.settle()

    def leave(self, talk: Talk) -> None:
        talk.left = True
        talk.guest.leave()
        # A reactor's turn is far below the 250 ms it may take.
        self.settle()
        for service in self.services:
            if service.talk is talk and not service.over:
                assert not service.connection.open, "not hung up on"

    # What upstreams do

    @precondition(lambda self: self.house.upstreams.waiting())
    @rule(pick=picks, accept=st.sampled_from([True, True, True, False]))
    def connect(self, pick: int, accept: bool) -> None:
        waiting = self.house.upstreams.waiting()
        attempt = waiting[pick % len(waiting)]
        if accept:
            self.house.upstreams.connections.append(attempt.accept())
        else:
            attempt.fail()
        self.settle()

    @precondition(lambda self: self.pick(0, False))
    @rule(
        pick=picks,
        status=st.sampled_from([200] * 9 + [400, 401, 404, 429, 500]),
        words=st.sampled_from([0, 1, 1, 2]),
    )
    def head(self, pick: int, status: int, words: int) -> None:
        service = self.pick(pick, False)
        assert service is not None
        kind = {"sse": "text/event-stream", "lines": "application/x-ndjson"}
        content_type = kind.get(service.kind, "application/json")
        service.connection.begin(status, content_type=content_type)
        service.begun, service.failing = True, status != 200
        for _ in range(words):
            if service.kind != "whole" and not service.failing:
                service.connection.chunk(service.word())
        self.settle()

    @precondition(lambda self: self.pick(0, True))
    @rule(pick=picks, what=st.sampled_from(["say"] * 4 + ["half", "announce"]))
    def send(self, pick: int, what: str) -> None:
        service = self.pick(pick, True)
        assert service is not None
        if service.failing or service.kind == "whole":
            service.connection.chunk(b" ")
        else:
            rest, service.rest = service.rest, b""
            if what == "announce":
                data = rest + service.announcement()
            else:
                data = rest + service.word()
            if what == "half":
                data, service.rest = data[:-5], data[-5:]
            service.connection.chunk(data)
        self.settle()

    @precondition(lambda self: self.pick(0, True))
    @rule(pick=picks)
    def finish(self, pick: int) -> None:
        service = self.pick(pick, True)
        assert service is not None
        told = not service.connection.paused
        service.over = True
        if service.failing:
            service.connection.chunk(b'{"error":{"message":"no"}}')
        elif service.kind == "whole":
            service.connection.chunk(service.whole())
        else:
            service.connection.chunk(service.rest + service.end())
        service.ended = not service.failing
        service.connection.finish()
        self.settle()
        if told and service.ended:
            assert service.talk.said == service.words
            assert service.talk.told

    @precondition(lambda self: self.active)
    @rule(
        pick=picks,
        how=st.sampled_from(["cut", "close", "finish", "error", "garbage"]),
    )
    def break_off(self, pick: int, how: str) -> None:
        service = self.active[pick % len(self.active)]
        service.over = True
        if not service.begun:
            how = "cut"
        if how == "error":
            service.connection.chunk(service.error())
        elif how == "garbage":
            service.connection.chunk(b"data: {]\n\n{]\n")
        if how in ("error", "garbage") and (service.failing or service.kind == "whole"):
            service.connection.finish()
        elif how in ("cut", "close", "finish"):
            getattr(service.connection, how)()
        self.settle()

    # Time

    @rule(seconds=st.sampled_from([1, 1, 3, 5, 10, 16]))
    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.house.wait(1)
            self.settle()

    # What must be true at any time

    @invariant()
    def whoever_waits_is_served_by_one(self) -> None:
        unserved = 0
        for talk in self.live:
            serving = [s for s in self.services if s.talk is talk and s.active]
            # What was sent to a guest that has paused has not arrived yet.
            held = [
                s
                for s in self.services
                if s.talk is talk and s.over and self.is_held(s)
            ]
            assert len(serving) + len(held) <= 1, "two upstreams for one guest"
            unserved += not serving and not held
        assert len(self.house.upstreams.waiting()) == unserved

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        for talk in self.live:
            assert self.house.reactor.seconds() - talk.started <= TOTAL + 1

    @invariant()
    def what_is_told_is_of_one_provider(self) -> None:
        for talk in self.talks:
            if said := talk.said:
                [service] = [s for s in self.services if s.words[:1] == said[:1]]
                assert service.talk is talk
                assert said == service.words[: len(said)]
                assert KEY.encode() not in talk.answer.body  # type: ignore[union-attr]

    @invariant()
    def what_is_told_has_one_end(self) -> None:
        for guest in self.house.guests:
            asked = [talk for talk in self.talks if talk.guest is guest]
            assert len(guest.answers()) <= len(asked)
        for talk in self.talks:
            answer = talk.answer
            if answer is None:
                continue
            if answer.status != 200:
                assert answer.complete and answer.error["message"]
                assert KEY not in answer.error["message"]
            elif talk.stream:
                ends = [
                    payload
                    for payload in answer.events
                    if payload == b"[DONE]" or b'"error"' in payload
                ]
                assert len(ends) == answer.complete
                assert ends == answer.events[len(answer.events) - len(ends) :]
                if ends == [b"[DONE]"]:
                    self._was_ended(talk)
            elif answer.complete:
                self._was_ended(talk)

    def _was_ended(self, talk: Talk) -> None:
        [service] = [s for s in self.services if s.talk is talk and s.ended]
        assert talk.said == service.words

    @invariant()
    def the_guests_pace_is_the_upstreams(self) -> None:
        for service in self.active:
            if service.talk.guest.paused and service.talk.said:
                assert service.connection.paused

    @invariant()
    def nothing_is_a_bug(self) -> None:
        assert self.failures == []

    def teardown(self) -> None:
        globalLogPublisher.removeObserver(self.observe)
        for guest in self.house.guests:
            guest.read_on()
        for _ in range(TOTAL // 5 + 2):
            self.house.wait(5)
            self.settle()
        assert self.live == []
        self.what_is_told_has_one_end()
        self.what_is_told_is_of_one_provider()
        self.house.nothing_is_left()


TestExchanges = Exchanges.TestCase
TestExchanges.settings = settings(max_examples=150, stateful_step_count=40)
