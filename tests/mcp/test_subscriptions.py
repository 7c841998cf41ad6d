"""Resources that guests subscribe to, and servers that are asked once for all."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from modelplex.mcp.subscriptions import MOST, Subscriptions, is_part
from modelplex.testing.fakes.tool_server import FakeToolServer, fails, waits
from modelplex.tools import ToolServerError

SUBSCRIBE, UNSUBSCRIBE = "resources/subscribe", "resources/unsubscribe"


class Ear:
    """Somebody who wants to hear of a resource."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def told(self, uri: str) -> None:
        self.heard.append(uri)


def run(work: Any) -> list[Any]:
    found: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(found.append)
    return found


def test_a_server_is_asked_once_for_all_and_told_when_the_last_is_gone() -> None:
    clock, server = Clock(), FakeToolServer("a")
    subscriptions = Subscriptions(clock, 0.2)
    one, two = Ear(), Ear()
    run(subscriptions.add(server, "x:1", one.told))
    run(subscriptions.add(server, "x:1", two.told))
    assert server.methods() == [SUBSCRIBE]
    run(subscriptions.remove(server, "x:1", one.told))
    subscriptions.updated(server, "x:1")
    clock.advance(1)
    assert (one.heard, two.heard) == ([], ["x:1"])
    run(subscriptions.remove(server, "x:1", two.told))
    assert server.methods() == [SUBSCRIBE, UNSUBSCRIBE]
    assert len(subscriptions) == 0


def test_a_part_of_a_resource_is_told_and_a_flood_is_one_change() -> None:
    clock, server = Clock(), FakeToolServer("a")
    subscriptions = Subscriptions(clock, 0.2)
    ear = Ear()
    run(subscriptions.add(server, "x:/a", ear.told))
    for _ in range(100):
        for uri in ("x:/a", "x:/a/b", "x:/ab", "x:/b"):
            subscriptions.updated(server, uri)
    subscriptions.updated(FakeToolServer("b"), "x:/a/c")
    clock.advance(1)
    assert ear.heard == ["x:/a", "x:/a/b"]
    assert is_part("x:/a/b", "x:/a/")


def test_updates_are_bounded() -> None:
    clock, server = Clock(), FakeToolServer("a")
    subscriptions = Subscriptions(clock, 0.2)
    ear = Ear()
    run(subscriptions.add(server, "x:", ear.told))
    for number in range(MOST * 2):
        subscriptions.updated(server, f"x:/{number}")
    clock.advance(1)
    assert len(ear.heard) == MOST


def test_a_server_that_refuses_leaves_nothing() -> None:
    server, ear = FakeToolServer("a"), Ear()
    server.set(SUBSCRIBE, fails(ToolServerError("a: it is down")))
    subscriptions = Subscriptions(Clock(), 0.2)
    [failure] = run(subscriptions.add(server, "x:1", ear.told))
    assert failure.check(ToolServerError)
    assert len(subscriptions) == 0


def test_whoever_goes_while_the_server_is_asked_is_forgotten() -> None:
    server, ear, answer = FakeToolServer("a"), Ear(), Deferred[Any]()
    server.set(SUBSCRIBE, waits(answer))
    subscriptions = Subscriptions(Clock(), 0.2)
    run(subscriptions.add(server, "x:1", ear.told))
    run(subscriptions.remove(server, "x:1", ear.told))
    answer.callback({})
    assert server.methods() == [SUBSCRIBE, UNSUBSCRIBE]
    assert len(subscriptions) == 0


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=20))
def test_the_server_knows_whether_anybody_listens(
    steps: list[tuple[int, bool]],
) -> None:
    server, clock = FakeToolServer("a"), Clock()
    subscriptions = Subscriptions(clock, 0.2)
    ears = [Ear() for _ in range(3)]
    listening: set[int] = set()
    for who, starts in steps:
        if starts and who not in listening:
            listening.add(who)
            run(subscriptions.add(server, "x:1", ears[who].told))
        elif not starts:
            listening.discard(who)
            run(subscriptions.remove(server, "x:1", ears[who].told))
        asked = server.methods()
        knows = bool(asked) and asked[-1] == SUBSCRIBE
        assert knows == bool(listening)
        assert len(subscriptions) == knows
    subscriptions.stop()


def test_after_its_end_nothing_is_told() -> None:
    clock, server, ear = Clock(), FakeToolServer("a"), Ear()
    subscriptions = Subscriptions(clock, 0.2)
    run(subscriptions.add(server, "x:1", ear.told))
    subscriptions.updated(server, "x:1")
    subscriptions.stop()
    clock.advance(1)
    assert ear.heard == []
    assert clock.getDelayedCalls() == []
