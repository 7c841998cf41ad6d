"""Calls that wait for the answers of modern clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from modelplex.mcp.parked import QUESTIONS, ROUNDS, Asked, Work
from modelplex.mcp.parking import Parking
from modelplex.testing.fakes.tool_server import FakeToolServer, asks, hangs, text
from modelplex.tools import Caller, Question, Silent
from modelplex.wire.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, Params, RpcError

ASK = Question("elicitation/create", {"message": "Name?", "requestedSchema": {}})
ROOTS = Question("roots/list")
YES = {"action": "accept", "content": {"name": "x"}}
PARAMS: Params = {"name": "t", "arguments": {"a": 1}}


class Client(Silent):
    """One request of a modern client."""

    def __init__(self, guest: str = "guest", **capabilities: Any) -> None:
        super().__init__(guest)
        self.capabilities = capabilities or {"elicitation": {}, "roots": {}}
        self.progress: list[float] = []

    def progressed(
        self, progress: float, total: float | None, message: str | None
    ) -> None:
        self.progress.append(progress)


def calling(server: FakeToolServer, params: Params = PARAMS) -> Work:
    async def work(caller: Caller) -> Any:
        return await server.request("tools/call", params, caller)

    return work


@define
class Room:
    """A parking with one server."""

    clock: Clock = field(factory=Clock)
    server: FakeToolServer = field(factory=FakeToolServer)
    parking: Parking = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.parking = Parking(self.clock, b"k" * 32, gather=0)

    def start(self, params: Params = PARAMS, **more: Any) -> Deferred[Any]:
        caller = more.get("caller") or Client()
        run = self.parking.run(
            more.get("scope", ""),
            more.get("method", "tools/call"),
            params,
            caller,
            calling(self.server, params),
        )
        return Deferred.fromCoroutine(run)

    def ask(self, params: Params = PARAMS, **more: Any) -> Mapping[str, Any]:
        """What is asked."""
        found = result(self.start(params, **more))
        assert isinstance(found, Asked)
        return found.result

    def refused(self, params: Params, **more: Any) -> int:
        with pytest.raises(RpcError) as caught:
            result(self.start(params, **more))
        return caught.value.rpc_code


def result(work: Deferred[Any]) -> Any:
    found: list[Any] = []
    work.addBoth(found.append)
    assert found, "it waits"
    if hasattr(found[0], "raiseException"):
        found[0].raiseException()
    return found[0]


def again(asked: Mapping[str, Any], **answers: Any) -> Params:
    state = asked["requestState"]
    return {**PARAMS, "requestState": state, "inputResponses": answers}


def test_a_call_without_questions_is_answered() -> None:
    room = Room()
    assert "t: {'a': 1}" in str(result(room.start()))
    assert len(room.parking) == 0


def test_a_question_is_the_answer_and_the_answer_goes_on() -> None:
    room = Room()
    room.server.set("tools/call", asks({"who": ASK}))
    asked = room.ask()
    assert asked["resultType"] == "input_required"
    assert asked["inputRequests"] == {
        "who": {
            "method": "elicitation/create",
            "params": {"message": "Name?", "requestedSchema": {}, "mode": "form"},
        }
    }
    assert len(room.parking) == 1
    found = result(room.start(again(asked, who=YES)))
    assert found["structuredContent"] == {"answers": [{"who": YES}]}
    assert room.server.methods() == ["tools/call"]
    assert room.clock.getDelayedCalls() == []


def test_questions_of_several_rounds_are_asked_in_turn() -> None:
    room = Room()
    room.server.set("tools/call", asks({"one": ASK}, {"two": ROOTS}))
    second = room.ask(again(room.ask(), one=YES))
    assert list(second["inputRequests"]) == ["two"]
    found = result(room.start(again(second, two={"roots": []})))
    assert found["structuredContent"]["answers"] == [
        {"one": YES},
        {"two": {"roots": []}},
    ]


def test_what_is_missing_is_asked_again_and_what_is_unknown_is_ignored() -> None:
    room = Room()
    room.server.set("tools/call", asks({"one": ASK, "two": ROOTS}))
    rest = room.ask(again(room.ask(), one=YES, other={"x": 1}))
    assert list(rest["inputRequests"]) == ["two"]
    found = result(room.start(again(rest, two={"roots": []})))
    assert found["structuredContent"]["answers"] == [{"one": YES, "two": {"roots": []}}]


def test_a_client_that_never_answers_is_not_asked_for_ever() -> None:
    room = Room()
    room.server.set("tools/call", asks({"one": ASK}))
    asked = room.ask()
    for _ in range(ROUNDS - 1):
        asked = room.ask(again(asked))
    assert room.refused(again(asked)) == INTERNAL_ERROR
    assert room.server.running == len(room.parking) == 0


@pytest.mark.parametrize(
    "answer",
    [
        *(None, 3, "x", [], {}, {"action": "maybe"}),
        {"action": "accept", "content": []},
        {"roots": []},
    ],
)
def test_an_answer_of_the_wrong_shape_is_refused_and_may_be_given_again(
    answer: Any,
) -> None:
    room = Room()
    room.server.set("tools/call", asks({"one": ASK}))
    asked = room.ask()
    assert room.refused(again(asked, one=answer)) == INVALID_PARAMS
    assert room.refused({**again(asked), "inputResponses": [1]}) == INVALID_PARAMS
    assert "content" in result(room.start(again(asked, one=YES)))


def test_a_client_that_cannot_be_asked_is_not_asked() -> None:
    for capabilities, question in (
        ({"roots": {}}, ASK),
        ({"elicitation": {"form": {}}}, Question(ASK.method, {"mode": "url"})),
        ({"elicitation": {"url": {}}}, ASK),
        ({"sampling": {}}, Question("sampling/createMessage", {"tools": []})),
    ):
        room = Room()
        room.server.set("tools/call", asks({"one": question}))
        with pytest.raises(RpcError) as caught:
            result(room.start(caller=Client(**capabilities)))
        assert caught.value.rpc_code == -32021
        assert isinstance(caught.value.data["requiredCapabilities"], dict)
        assert len(room.parking) == 0


@pytest.mark.parametrize("failing", [True, False])
def test_a_server_that_cannot_do_without_an_answer_is_told_of_as_such(
    failing: bool,
) -> None:
    """As a legacy server does: it hears of a refusal, and fails in its own way."""
    room = Room()

    async def act(params: Params, caller: Caller) -> Any:
        try:
            await caller.ask({"one": ASK})
        except RpcError:
            return text("no answer", isError=failing)

    room.server.set("tools/call", act)
    if failing:
        assert room.refused(PARAMS, caller=Client(roots={})) == -32021
    else:
        assert "no answer" in str(result(room.start(caller=Client(roots={}))))


def test_what_no_client_can_be_asked_is_not_asked() -> None:
    room = Room()
    room.server.set("tools/call", asks({"one": Question("tools/call")}))
    assert room.refused(PARAMS) == INTERNAL_ERROR


def test_a_state_is_good_once() -> None:
    room = Room()
    room.server.set("tools/call", asks({"one": ASK}, {"two": ASK}))
    first = room.ask()
    room.ask(again(first, one=YES))
    assert room.refused(again(first, one=YES)) == INVALID_PARAMS


def test_an_altered_state_is_refused_and_the_call_still_waits() -> None:
    room = Room()
    room.server.set("tools/call", asks({"one": ASK}))
    asked = room.ask()
    state = asked["requestState"]
    for bad in (state + "x", state[1:], "", None, 3, {"a": 1}, "é", "x" * 10_000):
        params = {**again(asked, one=YES), "requestState": bad}
        assert room.refused(params) == INVALID_PARAMS
    assert "content" in result(room.start(again(asked, one=YES)))


def test_a_state_is_good_for_its_guest_request_and_view_only() -> None:
    room = Room()
    room.server.set("tools/call", asks({"one": ASK}))
    asked = room.ask()
    params = again(asked, one=YES)
    assert room.refused({**params, "arguments": {"a": 2}}) == INVALID_PARAMS
    assert room.refused(params, method="prompts/get") == INVALID_PARAMS
    assert room.refused(params, scope="other") == INVALID_PARAMS
    assert room.refused(params, caller=Client("other")) == INVALID_PARAMS
    assert room.refused({**params, "more": 1}) == INVALID_PARAMS
    assert "content" in result(room.start(params))


def test_after_a_restart_an_old_state_is_refused() -> None:
    room = Room()
    room.server.set("tools/call", asks({"one": ASK}))
    asked = room.ask()
    old = room.parking
    room.parking = Parking(room.clock, b"another")
    assert room.refused(again(asked, one=YES)) == INVALID_PARAMS
    old.stop()


def test_a_call_that_waits_too_long_is_cancelled() -> None:
    room = Room()
    room.server.set("tools/call", asks({"one": ASK}))
    asked = room.ask()
    room.clock.advance(room.parking.ttl)
    assert len(room.server.cancelled) == 1
    assert room.refused(again(asked, one=YES)) == INVALID_PARAMS
    assert len(room.parking) == 0


def test_a_late_timer_makes_no_state_good_for_longer() -> None:
    room = Room()
    room.server.set("tools/call", asks({"one": ASK}))
    asked = room.ask()
    room.clock.rightNow += room.parking.ttl + 1
    assert room.refused(again(asked, one=YES)) == INVALID_PARAMS
    room.parking.stop()


def test_a_server_does_not_ask_for_ever() -> None:
    room = Room()
    room.server.set("tools/call", asks(*[{"one": ASK}] * (ROUNDS + 1)))
    asked = room.ask()
    for _ in range(ROUNDS - 1):
        asked = room.ask(again(asked, one=YES))
    assert room.refused(again(asked, one=YES)) == INTERNAL_ERROR
    assert room.server.running == len(room.parking) == 0


def test_a_question_of_a_call_that_is_dropped_is_not_waited_for() -> None:
    room = Room()
    questions: list[Deferred[Any]] = []

    async def act(params: Params, caller: Caller) -> Any:
        ask = Deferred.fromCoroutine(caller.ask({"one": ASK}))
        questions.append(ask.addErrback(lambda reason: str(reason.value)))
        return await Deferred()

    room.server.set("tools/call", act)
    room.ask()
    room.parking.forget("guest")
    assert result(questions[0]) == "the client is gone"
    assert len(room.server.cancelled) == 1


def test_a_guest_that_goes_takes_its_own_parked_calls_along() -> None:
    room = Room()
    room.server.set("tools/call", asks({"one": ASK}))
    room.ask()
    room.ask(caller=Client("other"))
    room.parking.forget("guest")
    assert len(room.server.cancelled) == len(room.parking) == 1
    room.parking.stop()
    assert room.server.running == len(room.parking) == 0
    assert room.clock.getDelayedCalls() == []


def test_whoever_hangs_up_cancels_the_call() -> None:
    for rounds in (0, 1):
        room = Room()
        finish: Deferred[Any] = Deferred()

        async def act(params: Params, caller: Caller) -> Any:
            for _ in range(rounds):  # noqa: B023
                await caller.ask({"one": ASK})
            return await finish  # noqa: B023

        room.server.set("tools/call", act)
        work = room.start(again(room.ask(), one=YES)) if rounds else room.start()
        work.addErrback(lambda reason: None)
        work.cancel()
        assert room.server.running == 0
        assert len(room.server.cancelled) == 1


def test_a_call_that_ends_while_it_is_parked_is_answered_when_the_client_returns() -> (
    None
):
    room = Room()
    questions: list[Deferred[Any]] = []

    async def act(params: Params, caller: Caller) -> Any:
        # As a server whose question and whose answer are not of one piece.
        ask = Deferred.fromCoroutine(caller.ask({"one": ASK}))
        ask.addErrback(lambda reason: str(reason.value))
        questions.append(ask)
        return text("did not wait")

    room.server.set("tools/call", act)
    asked = room.ask()
    assert result(questions[0]) == "the call is over"
    assert "did not wait" in str(result(room.start(again(asked, one=YES))))
    assert room.clock.getDelayedCalls() == []


def test_questions_at_once_are_one_round() -> None:
    room = Room()
    room.parking.gather = 0.02
    answers: list[Any] = []
    done: Deferred[Any] = Deferred()

    async def act(params: Params, caller: Caller) -> Any:
        for question in (ASK, ROOTS):
            ask = Deferred.fromCoroutine(caller.ask({"request": question}))
            ask.addCallback(answers.append)
        return await done

    room.server.set("tools/call", act)
    work = room.start()
    room.clock.advance(0.02)
    asked = result(work).result
    assert list(asked["inputRequests"]) == ["request", "request-2"]
    more = again(asked, **{"request": YES, "request-2": {"roots": []}})
    work = room.start(more)
    assert answers == [{"request": YES}, {"request": {"roots": []}}]
    done.callback(text("ok"))
    assert "ok" in str(result(work))
    assert room.clock.getDelayedCalls() == []


def test_a_question_while_the_client_is_away_is_put_when_it_is_back() -> None:
    room = Room()
    answers: list[Any] = []
    done: Deferred[Any] = Deferred()

    async def act(params: Params, caller: Caller) -> Any:
        for key in ("one", "two"):
            ask = Deferred.fromCoroutine(caller.ask({key: ASK}))
            ask.addCallback(answers.append)
        return await done

    room.server.set("tools/call", act)
    second = room.ask(again(room.ask(), one=YES))
    assert list(second["inputRequests"]) == ["two"]
    work = room.start(again(second, two=YES))
    assert answers == [{"one": YES}, {"two": YES}]
    done.callback(text("ok"))
    assert "ok" in str(result(work))


def test_a_server_does_not_ask_endlessly_much_at_once() -> None:
    room = Room()
    questions = {str(number): ASK for number in range(QUESTIONS + 1)}
    room.server.set("tools/call", asks(questions))
    assert room.refused(PARAMS) == INTERNAL_ERROR
    del questions["0"]
    assert len(room.ask()["inputRequests"]) == QUESTIONS
    room.parking.stop()


def test_a_question_of_a_call_that_is_over_is_refused() -> None:
    room = Room()
    callers: list[Caller] = []

    async def act(params: Params, caller: Caller) -> Any:
        callers.append(caller)
        return text("done")

    room.server.set("tools/call", act)
    result(room.start())
    with pytest.raises(RpcError):
        result(Deferred.fromCoroutine(callers[0].ask({"one": ASK})))
    assert room.clock.getDelayedCalls() == []


def test_a_question_that_is_taken_back_is_not_put_again() -> None:
    room = Room()
    asking: list[Deferred[Any]] = []
    done: Deferred[Any] = Deferred()

    async def act(params: Params, caller: Caller) -> Any:
        ask = Deferred.fromCoroutine(caller.ask({"one": ASK}))
        asking.append(ask.addErrback(lambda reason: "taken back"))
        return await done

    room.server.set("tools/call", act)
    asked = room.ask()
    asking[0].cancel()
    work = room.start(again(asked))
    done.callback(text("ok"))
    assert "ok" in str(result(work))


def test_a_call_that_ends_before_its_question_is_put_is_answered() -> None:
    room = Room()
    room.parking.gather = 0.02
    asked: list[Any] = []

    async def act(params: Params, caller: Caller) -> Any:
        ask = Deferred.fromCoroutine(caller.ask({"one": ASK}))
        ask.addErrback(lambda reason: asked.append(str(reason.value)))
        return text("did not wait")

    room.server.set("tools/call", act)
    assert "did not wait" in str(result(room.start()))
    assert asked == ["the call is over"]
    assert room.clock.getDelayedCalls() == []


def test_progress_reaches_the_request_that_waits_and_none_before() -> None:
    room = Room()
    more: Deferred[None] = Deferred()

    async def act(params: Params, caller: Caller) -> Any:
        caller.progressed(1, None, None)
        asked = Deferred.fromCoroutine(caller.ask({"one": ASK}))
        caller.progressed(2, None, None)  # nobody waits now
        await asked
        caller.progressed(3, None, None)
        return text("ok")

    room.server.set("tools/call", act)
    first, second = Client(), Client()
    asked = room.ask(caller=first)
    result(room.start(again(asked, one=YES), caller=second))
    assert (first.progress, second.progress) == ([1], [3])
    more.callback(None)


def test_a_guest_may_not_fill_the_parking() -> None:
    room = Room()
    room.parking.share = 2
    room.server.set("tools/call", asks({"one": ASK}))
    for number in range(2):
        room.ask({"name": "t", "arguments": {"a": number}})
    assert room.refused(PARAMS) == INTERNAL_ERROR
    room.ask(caller=Client("other"))
    room.parking.most = 3
    assert room.refused(PARAMS, caller=Client("third")) == INTERNAL_ERROR
    room.parking.stop()
    assert room.server.running == 0


def test_answers_of_a_client_that_kept_no_state_are_those_to_the_first_question() -> (
    None
):
    room = Room()
    room.server.set("tools/call", asks({"one": ASK}, {"one": ASK}))
    early = {"one": YES, "other": {"x": 1}}
    asked = room.ask({**PARAMS, "inputResponses": early})
    found = result(room.start(again(asked, one={"action": "decline"})))
    answers = [{"one": YES}, {"one": {"action": "decline"}}]
    assert found["structuredContent"]["answers"] == answers


@pytest.mark.parametrize("early", [{"wrong": YES}, {"one": 12345}, {}])
def test_early_answers_that_are_none_are_asked_for(early: dict[str, Any]) -> None:
    room = Room()
    room.server.set("tools/call", asks({"one": ASK}))
    asked = room.ask({**PARAMS, "inputResponses": early})
    assert list(asked["inputRequests"]) == ["one"]
    assert room.refused({**PARAMS, "inputResponses": None}) == INVALID_PARAMS
    room.parking.stop()


def test_a_url_has_no_id_there_and_nothing_of_the_hop_is_told() -> None:
    room = Room()
    params = {
        "mode": "url",
        "url": "https://x",
        "elicitationId": "e1",
        "_meta": {"progressToken": 1, "vendor/a": 1},
        "task": {},
    }
    room.server.set("tools/call", asks({"one": Question(ASK.method, params)}))
    asked = room.ask(caller=Client(elicitation={"url": {}}))
    assert asked["inputRequests"]["one"]["params"] == {
        "mode": "url",
        "url": "https://x",
        "_meta": {"vendor/a": 1},
    }
    room.parking.stop()


def test_a_call_that_hangs_is_no_parked_call() -> None:
    room = Room()
    room.server.set("tools/call", hangs())
    work = room.start()
    work.addErrback(lambda reason: None)
    room.parking.stop()
    assert room.server.running == 1
    work.cancel()
    assert room.server.running == 0
