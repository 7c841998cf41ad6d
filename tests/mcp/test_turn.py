"""A place that is another's while whoever has it waits for an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.task import Clock

from modelplex.mcp.turn import Turn
from modelplex.timing import limited
from modelplex.tools import Question, Silent, ToolServerTimeout
from modelplex.wire.jsonrpc import RpcError

ASK = {"one": Question("roots/list")}


def _late() -> ToolServerTimeout:
    return ToolServerTimeout("it took too long")


@define
class Busy:
    """A turn whose work asks what the test wants, and as often."""

    places: DeferredSemaphore
    clock: Clock = field(factory=Clock)
    answers: list[Deferred[Mapping[str, Any]]] = field(factory=list)
    told: list[Any] = field(factory=list)
    turn: Turn = field(init=False)
    finish: Deferred[None] = field(factory=Deferred)

    def __attrs_post_init__(self) -> None:
        busy = self

        class Client(Silent):
            async def ask(self, questions: Mapping[str, Question]) -> Any:
                busy.answers.append(Deferred())
                return await busy.answers[-1]

        async def in_time(waiting: Deferred[Any]) -> Any:
            return await limited(waiting, 10, self.clock, _late)

        self.turn = Turn(self.places, Client("guest"), in_time)

    async def _work(self) -> None:
        async with self.turn:
            await self.finish

    def start(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._work())

    def ask(self) -> Deferred[Any]:
        """As a server of the legacy era makes it ask; `told` is what it is told."""
        asking = Deferred.fromCoroutine(self.turn.ask(ASK))
        asking.addCallback(self.told.append)
        asking.addErrback(lambda failure: self.told.append(failure.value))
        return asking


class Asked(Silent):
    """A client that answers when the test says so."""

    def __init__(self) -> None:
        super().__init__("guest")
        self.answer: Deferred[Mapping[str, Any]] = Deferred()

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Any]:
        return await self.answer


@define
class Work:
    """Something that is done in a turn, and asks once."""

    places: DeferredSemaphore
    client: Asked = field(factory=Asked)
    log: list[str] = field(factory=list)
    finish: Deferred[None] = field(factory=Deferred)

    async def _do(self) -> None:
        async with Turn(self.places, self.client) as turn:
            self.log.append("begun")
            try:
                await turn.ask(ASK)
            except RpcError:
                self.log.append("refused")
            self.log.append("goes on")
            await self.finish

    def start(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._do())


def test_others_have_the_place_while_a_client_is_asked() -> None:
    places = DeferredSemaphore(1)
    one, two = Work(places), Work(places)
    one.start()
    two.start()
    assert (one.log, two.log) == (["begun"], ["begun"])
    one.client.answer.callback({})
    assert one.log == ["begun", "goes on"]
    two.client.answer.callback({})
    assert two.log == ["begun"]
    one.finish.callback(None)
    assert two.log == ["begun", "goes on"]
    two.finish.callback(None)
    assert places.tokens == 1


def test_what_is_told_meanwhile_reaches_the_caller() -> None:
    class Ear(Silent):
        def __init__(self) -> None:
            super().__init__("guest")
            self.heard: list[Any] = []

        def progressed(self, *told: Any) -> None:
            self.heard.append(told)

        def logged(self, *told: Any) -> None:
            self.heard.append(told)

    ear = Ear()
    turn = Turn(DeferredSemaphore(1), ear)
    turn.progressed(1, 2, "x")
    turn.logged("info", None, "line")
    assert ear.heard == [(1, 2, "x"), ("info", None, "line")]


def test_a_refusal_goes_on_in_its_turn_too() -> None:
    places = DeferredSemaphore(1)
    work = Work(places)
    work.start()
    assert places.tokens == 1
    work.client.answer.errback(RpcError(-1, "no"))
    assert work.log == ["begun", "refused", "goes on"]
    assert places.tokens == 0
    work.finish.callback(None)
    assert places.tokens == 1


@pytest.mark.parametrize("answered", [False, True])
def test_whoever_goes_leaves_the_place(answered: bool) -> None:
    places = DeferredSemaphore(1)
    work = Work(places)
    running = work.start()
    if answered:
        work.client.answer.callback({})
    running.addErrback(lambda reason: None)
    running.cancel()
    assert places.tokens == 1


def test_an_answer_that_comes_after_the_end_takes_no_place() -> None:
    """The question is put by a task of its own, as servers of the legacy era do it."""
    places, client, done = DeferredSemaphore(1), Asked(), Deferred[None]()

    async def work() -> None:
        async with Turn(places, client) as turn:
            Deferred.fromCoroutine(turn.ask(ASK))
            await done

    Deferred.fromCoroutine(work())
    assert places.tokens == 1
    other = places.acquire()
    client.answer.callback({})
    done.callback(None)
    assert places.tokens == 0
    assert other.called
    places.release()
    assert places.tokens == 1


def test_what_is_asked_at_once_is_answered_together_and_takes_one_place() -> None:
    places = DeferredSemaphore(2)
    busy = Busy(places)
    working = busy.start()
    busy.ask()
    busy.ask()
    assert places.tokens == 2
    busy.answers[1].callback({"one": 2})
    assert (busy.told, places.tokens) == ([], 2)
    busy.answers[0].callback({"one": 1})
    assert (len(busy.told), places.tokens) == (2, 1)
    busy.finish.callback(None)
    assert (working.called, places.tokens) == (True, 2)


def test_two_answers_that_wait_for_the_one_place_both_get_there() -> None:
    places = DeferredSemaphore(1)
    busy = Busy(places)
    busy.start()
    busy.ask()
    busy.ask()
    places.acquire()
    for answer in busy.answers:
        answer.callback({})
    assert busy.told == []
    places.release()
    assert busy.told == [{}, {}]
    busy.finish.callback(None)
    assert (places.tokens, places.waiting) == (1, [])


def test_a_question_that_is_taken_back_lets_the_work_go_on_in_its_place() -> None:
    places = DeferredSemaphore(1)
    busy = Busy(places)
    busy.start()
    asking = busy.ask()
    assert places.tokens == 1
    asking.cancel()
    assert isinstance(busy.told[0], CancelledError)
    assert places.tokens == 0
    busy.finish.callback(None)
    assert places.tokens == 1


def test_an_answer_waits_for_a_place_only_so_long() -> None:
    places = DeferredSemaphore(1)
    busy = Busy(places)
    busy.start()
    busy.ask()
    places.acquire()
    busy.answers[0].callback({})
    busy.clock.advance(10)
    assert isinstance(busy.told[0], ToolServerTimeout)
    busy.finish.callback(None)
    places.release()
    assert (places.tokens, places.waiting) == (1, [])
    assert not busy.clock.getDelayedCalls()


def test_a_further_question_gives_up_the_wait_for_a_place() -> None:
    places = DeferredSemaphore(1)
    busy = Busy(places)
    busy.start()
    busy.ask()
    places.acquire()
    busy.answers[0].callback({})
    busy.ask()
    assert places.waiting == []
    places.release()
    assert busy.told == []
    busy.answers[1].callback({})
    assert (len(busy.told), places.tokens) == (2, 0)
    busy.finish.callback(None)
    assert places.tokens == 1


@pytest.mark.parametrize("when", ["begins", "asks", "comes back"])
def test_whoever_is_cancelled_leaves_no_one_waiting(when: str) -> None:
    places = DeferredSemaphore(1)
    busy = Busy(places)
    if when == "begins":
        places.acquire()
    working = busy.start()
    working.addErrback(lambda failure: failure.trap(CancelledError) and None)
    if when != "begins":
        busy.ask()
        places.acquire()
    if when == "comes back":
        busy.answers[0].callback({})
        assert len(places.waiting) == 1
    working.cancel()
    assert places.waiting == []
    places.release()
    assert places.tokens == 1
    assert not busy.clock.getDelayedCalls()
