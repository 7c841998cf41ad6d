"""One server as its guests see it: turns, timeouts, questions, changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from modelplex.mcp.child import ChildServer
from modelplex.testing.fakes.child import Asked, Watching
from modelplex.testing.memory.child import FakeProcess, Hatchery
from modelplex.tools import (
    Caller,
    Listing,
    Question,
    Silent,
    ToolServerError,
    ToolServerTimeout,
)
from modelplex.wire.jsonrpc import Answer, Call, Failure, Message, Note, RpcError

INITIALIZED = Note("notifications/initialized")


def ask(
    server: ChildServer,
    caller: Caller | None = None,
    method: str = "tools/call",
    **params: Any,
) -> Deferred[Any]:
    return Deferred.fromCoroutine(server.request(method, params, caller or Silent()))


def outcome(waiting: Deferred[Any]) -> Any:
    """The result or the error; ``None`` when there is none yet."""
    found: list[Any] = []
    waiting.addCallbacks(found.append, lambda failure: found.append(failure.value))
    return found[0] if found else None


def calls(messages: list[Message], method: str = "tools/call") -> list[Call]:
    return [m for m in messages if isinstance(m, Call) and m.method == method]


def opened(server: ChildServer, house: Hatchery, **capabilities: Any) -> FakeProcess:
    """The process of `server`, ready, with nothing in flight."""
    waiting = ask(server)
    house.last.open(**capabilities)
    (call,) = calls(house.last.sent)
    house.last.sent.remove(call)
    house.last.sent = [m for m in house.last.sent if m != INITIALIZED]
    house.last.tell(Answer(call.id, {}))
    assert outcome(waiting) == {}
    return house.last


def progress(call: Call, value: float) -> Note:
    told = {"progressToken": call.id, "progress": value}
    return Note("notifications/progress", told)


# Turns


def test_so_many_calls_at_a_time_and_so_many_wait() -> None:
    house = Hatchery()
    server = house.server(concurrency=2, queue=3)
    process = opened(server, house)
    waiting = [ask(server) for _ in range(6)]
    busy = outcome(waiting[5])
    assert isinstance(busy, ToolServerError)
    assert busy.status == 503
    first, _ = calls(process.take())
    process.tell(Answer(first.id, {}))
    assert len(calls(process.take())) == 1
    for one in reversed(waiting):
        one.cancel()
        outcome(one)
    assert calls(process.take()) == []
    assert not house.clock.getDelayedCalls()


def test_one_at_a_time_when_it_is_interactive() -> None:
    house = Hatchery()
    server = house.server(interactive=True, concurrency=16)
    process = opened(server, house)
    one, two = ask(server), ask(server)
    (call,) = calls(process.take())
    process.tell(Answer(call.id, {}))
    assert outcome(one) == {}
    assert len(calls(process.take())) == 1
    two.cancel()
    outcome(two)


def test_a_turn_that_takes_too_long_to_come_is_a_timeout() -> None:
    house = Hatchery()
    server = house.server(concurrency=1, timeout=10, timeout_cap=500)
    process = opened(server, house)
    one, two = ask(server), ask(server)
    (call,) = calls(process.take())
    for step in range(9):
        process.tell(progress(call, step))
        house.clock.advance(2)
    assert isinstance(outcome(two), ToolServerTimeout)
    process.tell(Answer(call.id, {}))
    assert outcome(one) == {}


def test_a_server_that_does_not_read_is_sent_no_more() -> None:
    house = Hatchery()
    server = house.server()
    process = opened(server, house)
    process.backlogged = True
    assert isinstance(outcome(ask(server)), ToolServerError)
    assert process.take() == []


# Timeouts


def test_silence_is_a_timeout_and_the_server_is_told() -> None:
    house = Hatchery()
    server = house.server(timeout=10)
    process = opened(server, house)
    waiting = ask(server)
    (call,) = calls(process.take())
    house.clock.advance(10)
    error = outcome(waiting)
    assert isinstance(error, ToolServerTimeout)
    assert str(error) == "tool server fake took too long"
    told = {"requestId": call.id, "reason": "it took too long"}
    assert process.take() == [Note("notifications/cancelled", told)]
    process.tell(Answer(call.id, {"late": True}))
    assert not house.clock.getDelayedCalls()


def test_progress_extends_the_time_up_to_the_cap() -> None:
    house = Hatchery()
    server = house.server(timeout=10, timeout_cap=25)
    process = opened(server, house)
    waiting = ask(server)
    (call,) = calls(process.take())
    for step in range(4):
        house.clock.advance(6)
        process.tell(progress(call, step))
        assert not waiting.called
    house.clock.advance(1)
    assert isinstance(outcome(waiting), ToolServerTimeout)


def test_a_call_that_is_cancelled_is_cancelled_at_the_server() -> None:
    house = Hatchery()
    server = house.server()
    process = opened(server, house)
    waiting = ask(server)
    (call,) = calls(process.take())
    waiting.cancel()
    assert isinstance(outcome(waiting), CancelledError)
    (note,) = process.take()
    assert isinstance(note, Note)
    assert note.params["requestId"] == call.id
    assert server.status.in_flight == 0


def test_progress_reaches_its_caller_and_not_too_often() -> None:
    house = Hatchery()
    server, caller = house.server(), Asked()
    process = opened(server, house)
    waiting = ask(server, caller)
    (call,) = calls(process.take())
    for step in range(1000):
        process.tell(progress(call, step))
    assert caller.progress == list(range(100))
    house.clock.advance(1)
    for step in range(1000, 2000):
        process.tell(progress(call, step))
    assert len(caller.progress) == 120
    waiting.cancel()
    outcome(waiting)


def test_the_error_of_the_server_is_the_callers() -> None:
    house = Hatchery()
    server = house.server()
    process = opened(server, house)
    waiting = ask(server)
    (call,) = calls(process.take())
    process.tell(Failure(call.id, -32602, "Unknown tool", {"a": 1}))
    error = outcome(waiting)
    assert isinstance(error, RpcError)
    assert (error.rpc_code, error.message, error.data) == (
        *(-32602, "Unknown tool"),
        {"a": 1},
    )


def test_what_cannot_be_written_is_an_error_of_its_call_only() -> None:
    house = Hatchery()
    server = house.server()
    process = opened(server, house)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert isinstance(outcome(ask(server, arguments=deep)), RpcError)
    while deep:
        deep = deep.pop()
    assert process.take() == []
    assert server.status.in_flight == 0


# Questions


def test_no_time_passes_while_the_caller_is_asked() -> None:
    house = Hatchery()
    answer: Deferred[Mapping[str, Any]] = Deferred()
    caller = Asked(answer=lambda _: answer)
    server = house.server(interactive=True, timeout=10, timeout_cap=15)
    process = opened(server, house)
    waiting = ask(server, caller)
    (call,) = calls(process.take())
    process.tell(Call("q", "elicitation/create", {"message": "?"}))
    house.clock.advance(10_000)
    assert not waiting.called
    answer.callback({"request": {"action": "accept"}})
    assert process.take() == [Answer("q", {"action": "accept"})]
    process.tell(Answer(call.id, {"ok": True}))
    assert outcome(waiting) == {"ok": True}
    assert not house.clock.getDelayedCalls()


@pytest.mark.parametrize(
    ("error", "code"),
    [(RpcError(-32021, "no"), -32601), (ToolServerError("gone"), -32603)],
)
def test_a_caller_that_does_not_answer_is_told_to_the_server(
    error: Exception, code: int
) -> None:
    async def refuse(_: object) -> None:
        raise error

    house = Hatchery()
    server = house.server(interactive=True)
    process = opened(server, house)
    waiting = ask(server, Asked(answer=refuse))
    process.take()
    process.tell(Call("q", "sampling/createMessage"))
    (told,) = process.take()
    assert isinstance(told, Failure)
    assert (told.id, told.code) == ("q", code)
    waiting.cancel()
    outcome(waiting)


def test_the_caller_is_no_longer_asked_when_the_call_is_over() -> None:
    house = Hatchery()
    over: list[object] = []
    answer: Deferred[Any] = Deferred(over.append)
    server = house.server(interactive=True)
    process = opened(server, house)
    waiting = ask(server, Asked(answer=lambda _: answer))
    process.take()
    process.tell(Call("q", "elicitation/create"))
    process.die()
    assert isinstance(outcome(waiting), ToolServerError)
    assert over == [answer]


def test_a_modern_server_asks_in_rounds() -> None:
    house = Hatchery()
    caller, server = Asked(), house.server(protocol="modern")
    process = opened(server, house)
    waiting = ask(server, caller, name="deploy")
    (call,) = calls(process.take())
    question = {"method": "elicitation/create", "params": {"message": "?"}}
    asked = {"resultType": "input_required", "inputRequests": {"ok": question}}
    process.tell(Answer(call.id, asked))
    assert caller.questions == [
        {"ok": Question("elicitation/create", {"message": "?"})}
    ]
    (again,) = calls(process.take())
    assert again.params["inputResponses"] == {"ok": {"action": "accept"}}
    process.tell(Answer(again.id, {"content": []}))
    assert outcome(waiting) == {"content": []}


def test_a_caller_that_cannot_be_asked_fails_its_call() -> None:
    house = Hatchery()
    server = house.server(protocol="modern")
    process = opened(server, house)
    waiting = ask(server)
    (call,) = calls(process.take())
    asked = {"ok": {"method": "elicitation/create"}}
    told = {"resultType": "input_required", "inputRequests": asked}
    process.tell(Answer(call.id, told))
    error = outcome(waiting)
    assert isinstance(error, RpcError)
    assert error.rpc_code == -32021
    assert error.data == {"requiredCapabilities": {"elicitation": {}}}


def test_a_server_that_asks_for_patience_is_asked_again_later() -> None:
    house = Hatchery()
    server = house.server(protocol="modern")
    process = opened(server, house)
    waiting = ask(server)
    told = {"resultType": "input_required", "requestState": "s"}
    for pause in (0.2, 0.4, 0.8, 1.6, 2.0):
        (call,) = calls(process.take())
        process.tell(Answer(call.id, told))
        house.clock.advance(pause - 0.01)
        assert calls(process.take()) == []
        house.clock.advance(0.01)
    waiting.cancel()
    outcome(waiting)
    assert not house.clock.getDelayedCalls()


# Lists, changes, levels


def listing(process: FakeProcess, *names: str) -> None:
    (call,) = calls(process.take(), "tools/list")
    process.tell(Answer(call.id, {"tools": [{"name": name} for name in names]}))


def test_its_lists_are_known_when_it_has_started_and_watchers_are_told() -> None:
    house, watching = Hatchery(), Watching()
    server = house.server()
    server.watch(watching)
    process = opened(server, house, tools={})
    assert server.listing == Listing()
    listing(process, "a")
    assert [tool["name"] for tool in server.listing.tools] == ["a"]
    assert watching.changes == 1


def test_a_refresh_starts_it_and_shares_what_is_being_read() -> None:
    house = Hatchery()
    server = house.server()
    waiting = [Deferred.fromCoroutine(server.refresh()) for _ in range(3)]
    house.last.open(tools={})
    listing(house.last, "a")
    assert {len(outcome(one).tools) for one in waiting} == {1}


def test_a_refresh_of_a_server_that_ends_is_an_error() -> None:
    house = Hatchery()
    server = house.server()
    waiting = Deferred.fromCoroutine(server.refresh())
    house.last.open(tools={})
    house.last.die()
    assert isinstance(outcome(waiting), ToolServerError)


def test_a_storm_of_changes_is_one_question() -> None:
    house, watching = Hatchery(), Watching()
    server = house.server()
    server.watch(watching)
    process = opened(server, house, tools={})
    listing(process, "a")
    for _ in range(100):
        process.tell(Note("notifications/tools/list_changed"))
    assert process.take() == []
    house.clock.advance(0.2)
    listing(process, "a")
    assert watching.changes == 1
    process.tell(Note("notifications/tools/list_changed"))
    house.clock.advance(0.2)
    process.tell(Note("notifications/tools/list_changed"))
    house.clock.advance(0.2)
    listing(process, "a", "b")
    house.clock.advance(0.2)
    listing(process, "a", "b", "c")
    assert watching.changes == 3
    assert not house.clock.getDelayedCalls()


def test_a_restart_keeps_what_is_known_until_it_is_known_anew() -> None:
    house = Hatchery()
    server = house.server()
    process = opened(server, house, tools={})
    listing(process, "a")
    process.tell(Note("notifications/tools/list_changed"))
    process.die()
    assert len(server.listing.tools) == 1
    house.clock.advance(1)
    house.last.open(tools={})
    listing(house.last, "a", "b")
    assert len(server.listing.tools) == 2


def test_the_most_verbose_level_is_set_and_set_again() -> None:
    house = Hatchery()
    server = house.server()
    process = opened(server, house, logging={})
    for level in ("warning", "error", "nonsense", "debug", "info"):
        assert outcome(ask(server, method="logging/setLevel", level=level)) == {}
    set = [c.params["level"] for c in calls(process.take(), "logging/setLevel")]
    assert set == ["warning", "debug"]
    process.die()
    house.clock.advance(1)
    house.last.open(logging={})
    (call,) = calls(house.last.take(), "logging/setLevel")
    assert call.params == {"level": "debug"}
    house.last.tell(Failure(call.id, -32603, "no"))


def test_a_caller_that_listens_sets_the_level() -> None:
    house = Hatchery()
    server, caller = house.server(), Asked(level="info")
    process = opened(server, house, logging={})
    waiting = ask(server, caller)
    taken = process.take()
    assert [call.method for call in taken if isinstance(call, Call)] == [
        *("logging/setLevel", "tools/call")
    ]
    told = {"level": "info", "data": "d"}
    process.tell(Note("notifications/message", told))
    assert caller.lines == [("info", "d")]
    waiting.cancel()
    outcome(waiting)


def subscribe(server: ChildServer, uri: str, how: str = "subscribe") -> Deferred[Any]:
    return ask(server, method=f"resources/{how}", uri=uri)


def test_a_resource_is_subscribed_to_once_and_again_after_a_restart() -> None:
    house, watching = Hatchery(), Watching()
    server = house.server()
    server.watch(watching)
    process = opened(server, house)
    first = subscribe(server, "a:b")
    (call,) = calls(process.take(), "resources/subscribe")
    process.tell(Answer(call.id, {}))
    assert outcome(first) == outcome(subscribe(server, "a:b")) == {}
    assert process.take() == []
    process.tell(Note("notifications/resources/updated", {"uri": "a:b"}))
    assert watching.uris == ["a:b"]
    process.die()
    house.clock.advance(1)
    house.last.open()
    process = house.last
    (call,) = calls(process.take(), "resources/subscribe")
    process.tell(Answer(call.id, {}))
    assert outcome(subscribe(server, "a:b", "unsubscribe")) == {}
    assert process.take() == []
    last = subscribe(server, "a:b", "unsubscribe")
    (call,) = calls(process.take(), "resources/unsubscribe")
    process.tell(Answer(call.id, {}))
    assert outcome(last) == outcome(subscribe(server, "a:b", "unsubscribe")) == {}
    assert process.take() == []


def test_a_subscription_that_is_refused_is_none() -> None:
    house = Hatchery()
    server = house.server()
    process = opened(server, house)
    refused = subscribe(server, "a:b")
    (call,) = calls(process.take(), "resources/subscribe")
    process.tell(Failure(call.id, -32002, "no such resource"))
    assert isinstance(outcome(refused), RpcError)
    assert outcome(subscribe(server, "a:b", "unsubscribe")) == {}
    assert isinstance(outcome(ask(server, method="resources/subscribe")), RpcError)


def filters(messages: list[Message]) -> list[Any]:
    found = calls(messages, "subscriptions/listen")
    return [call.params["notifications"] for call in found]


def test_a_modern_server_is_listened_to_in_one_stream() -> None:
    house = Hatchery()
    server = house.server(protocol="modern")
    process = opened(server, house, tools={"listChanged": True}, prompts={})
    sent = process.take()
    assert filters(sent) == [{"toolsListChanged": True}]
    (listen,) = calls(sent, "subscriptions/listen")
    assert outcome(subscribe(server, "a:b")) == {}
    again, cancelled = process.take()
    wanted = {"toolsListChanged": True, "resourceSubscriptions": ["a:b"]}
    assert filters([again]) == [wanted]
    assert isinstance(cancelled, Note)
    assert cancelled.params["requestId"] == listen.id
    process.die()
    house.clock.advance(1)
    house.last.open(tools={"listChanged": True})
    assert filters(house.last.take()) == [wanted]


def test_a_stream_of_changes_that_ends_is_asked_for_again() -> None:
    house = Hatchery()
    server = house.server(protocol="modern")
    process = opened(server, house, tools={"listChanged": True})
    (listen,) = calls(process.take(), "subscriptions/listen")
    process.tell(Answer(listen.id, {"resultType": "complete"}))
    house.clock.advance(5)
    (listen,) = calls(process.take(), "subscriptions/listen")
    process.tell(Failure(listen.id, -32601, "no such method"))
    house.clock.advance(100)
    assert filters(process.take()) == []
    assert not house.clock.getDelayedCalls()


def test_nothing_is_left_when_it_has_stopped() -> None:
    house = Hatchery()
    server = house.server(protocol="modern")
    process = opened(server, house, tools={"listChanged": True})
    waiting = [ask(server), Deferred.fromCoroutine(server.refresh())]
    (listen,) = calls(process.take(), "subscriptions/listen")
    process.tell(Answer(listen.id, {}))
    process.tell(Note("notifications/tools/list_changed"))
    done = Deferred.fromCoroutine(server.stop())
    process.die()
    assert done.called
    assert all(isinstance(outcome(one), ToolServerError) for one in waiting)
    clock: Clock = house.clock
    assert not clock.getDelayedCalls()
