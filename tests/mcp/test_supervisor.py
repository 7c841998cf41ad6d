"""The life of a server: started, started again, given up, ended."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from modelplex.interfaces import IToolServer
from modelplex.mcp.child import ChildServer
from modelplex.testing.memory.child import Hatchery
from modelplex.tools import ServerState, Silent, ToolServerError
from modelplex.wire.jsonrpc import Answer, Call, Message, Note
from modelplex.wire.jsonrpc import Failure as Refusal

LATE = "it was not ready in time"


def ask(server: ChildServer, name: str = "t") -> Deferred[Any]:
    given = {"name": name}
    return Deferred.fromCoroutine(server.request("tools/call", given, Silent()))


def failure_of(waiting: Deferred[Any]) -> BaseException:
    found: list[BaseException] = []

    def failed(failure: Failure) -> None:
        assert failure.value is not None
        found.append(failure.value)

    waiting.addErrback(failed)
    assert found, "it has not failed"
    return found[0]


def result_of(waiting: Deferred[Any]) -> Any:
    found: list[Any] = []
    waiting.addCallback(found.append)
    assert found, "it has no result"
    return found[0]


def state(server: ChildServer) -> ServerState:
    return server.status.state


def calls(messages: list[Message]) -> list[Call]:
    return [one for one in messages if isinstance(one, Call)]


def stopped(server: ChildServer) -> Deferred[None]:
    return Deferred.fromCoroutine(server.stop())


def test_it_is_a_tool_server() -> None:
    assert verifyObject(IToolServer, Hatchery().server())


def test_it_starts_when_it_is_needed() -> None:
    house = Hatchery()
    server = house.server()
    assert (state(server), house.runs) == (ServerState.IDLE, [])
    waiting = ask(server)
    assert state(server) is ServerState.STARTING
    house.last.open()
    assert state(server) is ServerState.READY
    assert (server.status.pid, server.status.version) == (1000, "2025-11-25")
    (call,) = calls(house.last.take())
    house.last.tell(Answer(call.id, {"content": []}))
    assert result_of(waiting) == {"content": []}
    assert not house.clock.getDelayedCalls()


def test_several_that_wait_start_it_once() -> None:
    house = Hatchery()
    server = house.server()
    waiting = [ask(server) for _ in range(5)]
    house.last.open()
    for call in calls(house.last.take()):
        house.last.tell(Answer(call.id, {"n": call.id}))
    assert len({result_of(one)["n"] for one in waiting}) == 5
    assert len(house.runs) == 1


@pytest.mark.parametrize("ready", [True, False])
def test_one_that_waits_may_be_cancelled_by_another(ready: bool) -> None:
    house = Hatchery()
    server = house.server()
    first, second = ask(server), ask(server)
    first.addBoth(lambda _: second.cancel())
    if ready:
        house.last.open()
        first.cancel()
        house.last.die()
    else:
        Deferred.fromCoroutine(server.stop())
        house.last.die()
    assert isinstance(failure_of(second), CancelledError)


def test_one_that_no_longer_waits_is_not_asked_for() -> None:
    house = Hatchery()
    waiting = ask(house.server())
    waiting.cancel()
    assert isinstance(failure_of(waiting), CancelledError)
    house.last.open()
    assert calls(house.last.take()) == []


def test_what_is_in_flight_fails_at_once_when_it_ends() -> None:
    house = Hatchery()
    server = house.server()
    waiting = ask(server)
    house.last.open()
    house.last.die("killed by SIGKILL")
    error = failure_of(waiting)
    assert isinstance(error, ToolServerError)
    assert str(error) == "tool server fake ended before it had answered"
    assert state(server) is ServerState.BACKOFF
    assert (server.status.why, server.status.restarts) == ("killed by SIGKILL", 1)


def test_it_is_started_again_and_whoever_waits_is_served() -> None:
    house = Hatchery()
    server = house.server()
    failed = ask(server)
    house.last.open()
    house.last.die()
    failure_of(failed)
    waiting = ask(server)
    house.clock.advance(0.9)
    assert len(house.runs) == 1
    house.clock.advance(0.1)
    house.last.open()
    (call,) = calls(house.last.take())
    house.last.tell(Answer(call.id, {}))
    assert result_of(waiting) == {}


def test_each_end_waits_longer_and_then_it_is_given_up() -> None:
    house = Hatchery()
    server = house.server()
    waiting = ask(server)
    for delay in (1.0, 2.0, 4.0):
        house.last.die()
        house.clock.advance(delay - 0.1)
        assert not house.alive
        house.clock.advance(0.1)
    house.last.die("exit code 7")
    assert state(server) is ServerState.FAILED
    assert server.status.why == "exit code 7"
    assert str(failure_of(waiting)) == "tool server fake is not running"
    assert isinstance(failure_of(ask(server)), ToolServerError)
    house.clock.advance(10_000)
    assert len(house.runs) == 4


def test_the_operator_starts_one_that_was_given_up() -> None:
    house = Hatchery()
    server = house.server()
    waiting = ask(server)
    while state(server) is not ServerState.FAILED:
        house.last.die()
        house.clock.advance(8)
    failure_of(waiting)
    server.restart()
    house.last.open()
    assert (state(server), server.status.why) == (ServerState.READY, "")
    house.last.die()
    assert state(server) is ServerState.BACKOFF


def test_the_operator_restarts_one_that_runs() -> None:
    house = Hatchery()
    server = house.server()
    waiting = ask(server)
    house.last.open()
    server.restart()
    assert isinstance(failure_of(waiting), ToolServerError)
    assert house.last.ending
    server.restart()
    later = ask(server)
    house.last.die()
    house.last.open()
    assert len(house.runs) == 2
    assert len(calls(house.last.take())) == 1
    later.cancel()
    failure_of(later)


def test_a_start_that_takes_too_long_counts_as_an_end() -> None:
    house = Hatchery()
    server = house.server(start_timeout=10, timeout=1000)
    waiting = ask(server)
    house.clock.advance(10)
    assert house.last.ending
    assert state(server) is ServerState.BACKOFF
    house.last.die("killed by SIGTERM")
    assert server.status.why == LATE
    house.clock.advance(1)
    house.last.open()
    assert state(server) is ServerState.READY
    waiting.cancel()
    failure_of(waiting)


def test_a_server_that_cannot_be_talked_to_is_ended() -> None:
    house = Hatchery()
    server = house.server()
    waiting = ask(server)
    (call,) = calls(house.last.take())
    house.last.tell(Refusal(call.id, -32603, "no"))
    assert house.last.ending
    house.last.die("exit code 0")
    assert server.status.why == "it refused to begin: error -32603"
    waiting.cancel()
    failure_of(waiting)


def test_a_server_that_ends_on_a_probe_is_started_again_at_once_as_legacy() -> None:
    house = Hatchery()
    server = house.server(protocol="auto")
    waiting = ask(server)
    assert calls(house.last.take())[0].method == "server/discover"
    house.last.die()
    assert len(house.runs) == 2
    assert calls(house.last.sent)[0].method == "initialize"
    house.last.open()
    assert (state(server), server.status.restarts) == (ServerState.READY, 0)
    house.last.die()
    house.clock.advance(1)
    assert calls(house.last.take())[0].method == "initialize"
    house.last.die()
    failure_of(waiting)
    assert state(server) is ServerState.BACKOFF


def opening(house: Hatchery) -> str:
    """How the last run is spoken to first."""
    return calls(house.last.sent)[0].method


def test_a_modern_server_that_was_killed_while_it_was_probed_is_probed_again() -> None:
    house = Hatchery()
    server = house.server(protocol="auto")
    waiting = ask(server)
    house.last.die("killed by SIGKILL")
    (call,) = calls(house.last.take())
    assert call.method == "initialize"
    house.last.tell(Refusal(call.id, -32022, "modern only"))
    house.last.die("exit code 0")
    house.clock.advance(1)
    assert opening(house) == "server/discover"
    house.last.open()
    assert server.status.version == "2026-07-28"
    house.last.die()
    failure_of(waiting)
    house.clock.advance(2)
    assert opening(house) == "server/discover"
    house.last.die()
    assert state(server) is ServerState.BACKOFF  # for the probe it has survived before


def test_a_legacy_server_that_does_not_start_may_have_become_modern() -> None:
    house = Hatchery()
    server = house.server(protocol="auto")
    waiting = ask(server)
    house.last.die()
    house.last.open()
    house.last.die()
    failure_of(waiting)
    house.clock.advance(1)
    assert opening(house) == "initialize"
    house.last.die()
    house.clock.advance(2)
    assert opening(house) == "server/discover"


def test_a_server_that_was_said_to_be_modern_is_not_started_as_legacy() -> None:
    house = Hatchery()
    server = house.server(protocol="modern")
    waiting = ask(server)
    house.last.die()
    assert state(server) is ServerState.BACKOFF
    waiting.cancel()
    failure_of(waiting)


def test_a_probe_without_an_answer_is_followed_by_initialize() -> None:
    house = Hatchery()
    server = house.server(protocol="auto", probe_timeout=5)
    waiting = ask(server)
    house.last.take()
    house.clock.advance(5)
    house.last.open()
    assert state(server) is ServerState.READY
    waiting.cancel()
    failure_of(waiting)


def test_a_server_that_hangs_since_it_was_probed_is_not_probed_again() -> None:
    house = Hatchery()
    waiting = ask(house.server(protocol="auto", start_timeout=10))
    house.clock.advance(10)
    house.last.die()
    house.clock.advance(1)
    assert calls(house.last.take())[0].method == "initialize"
    waiting.cancel()
    failure_of(waiting)


def test_a_system_without_room_is_an_end_too() -> None:
    house = Hatchery(full=True)
    server = house.server()
    waiting = ask(server)
    assert state(server) is ServerState.BACKOFF
    assert "Resource temporarily unavailable" in server.status.why
    house.full = False
    house.clock.advance(1)
    house.last.open()
    waiting.cancel()
    failure_of(waiting)


def test_stopping_waits_until_it_is_gone() -> None:
    house = Hatchery()
    server = house.server()
    waiting = ask(server)
    house.last.open()
    done = [stopped(server), stopped(server)]
    assert isinstance(failure_of(waiting), ToolServerError)
    assert house.last.ending
    assert not any(one.called for one in done)
    house.last.die()
    assert all(one.called for one in done)
    assert state(server) is ServerState.STOPPED
    assert isinstance(failure_of(ask(server)), ToolServerError)
    house.clock.advance(10_000)
    assert len(house.runs) == 1
    assert not house.clock.getDelayedCalls()


@pytest.mark.parametrize("when", ["idle", "starting", "backoff", "ending", "failed"])
def test_stopping_works_in_every_state(when: str) -> None:
    house = Hatchery()
    server = house.server(start_timeout=10)
    waiting = None if when == "idle" else ask(server)
    if when == "backoff":
        house.last.die()
    elif when == "ending":
        house.clock.advance(10)
    elif when == "failed":
        while state(server) is not ServerState.FAILED:
            house.last.die()
            house.clock.advance(8)
    done = stopped(server)
    if house.alive:
        assert not done.called
        house.last.die()
    assert done.called
    if waiting is not None:
        assert isinstance(failure_of(waiting), ToolServerError)
    house.clock.advance(10_000)
    assert not house.alive
    assert not house.clock.getDelayedCalls()


def test_what_comes_from_a_process_that_is_being_ended_is_dropped() -> None:
    house = Hatchery()
    server = house.server()
    waiting = ask(server)
    house.last.open()
    (call,) = calls(house.last.take())
    done = stopped(server)
    failure_of(waiting)
    house.last.tell(Answer(call.id, {}))
    house.last.tell(Note("notifications/tools/list_changed"))
    house.last.owner.deaf("it closed its output")
    house.last.die()
    assert done.called


def test_a_process_that_hears_nothing_any_more_is_ended() -> None:
    house = Hatchery()
    server = house.server()
    waiting = ask(server)
    house.last.open()
    house.last.owner.deaf("it closed its input")
    assert isinstance(failure_of(waiting), ToolServerError)
    assert house.last.ending
    house.last.die("killed by SIGTERM")
    assert server.status.why == "it closed its input"
