"""MCP a line at a time: the era, the ends, and whatever else a client may send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from modelplex.surface.mcp_line import MISSED
from modelplex.surface.site import Limits
from modelplex.testing.memory.guest import Guest
from modelplex.testing.memory.tools import (
    ToolHouse,
    call,
    enveloped,
    lines,
    note,
)
from modelplex.testing.pieces import chopped
from modelplex.tools import Question
from modelplex.wire.jsonrpc import RpcError
from modelplex.wire.mcp.envelope import SUBSCRIPTION

BEGIN = call("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}}, id=0)
SLOW = {"name": "slow", "_meta": {"progressToken": "p"}}
ECHO = {"name": "echo", "arguments": {"message": "hi"}}
TOOLS = {"notifications": {"toolsListChanged": True}}


def say(guest: Guest, *messages: object) -> None:
    guest.send(b"".join(json.dumps(one).encode() + b"\n" for one in messages))


def begun(house: ToolHouse, **capabilities: Any) -> Guest:
    guest = house.guest()
    params = {"protocolVersion": "2025-06-18", "capabilities": capabilities}
    say(guest, call("initialize", params, id=0), note("notifications/initialized"))
    return guest


def code(message: dict[str, Any]) -> int:
    found: int = message["error"]["code"]
    return found


# --- what is spoken


@pytest.mark.parametrize("space", [b"", b" ", b"\n", b"\r\n\r\n \t"])
def test_a_brace_begins_a_conversation_in_lines(space: bytes) -> None:
    house = ToolHouse()
    for cut in range(len(space) + 1):
        guest = house.guest()
        guest.send(space[:cut]) if cut else None
        guest.send(space[cut:] + b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        assert lines(guest) == [{"jsonrpc": "2.0", "id": 1, "result": {}}]
    house.nothing_is_left()


@pytest.mark.parametrize("space", [b"", b"\r\n"])
def test_anything_else_is_http(space: bytes) -> None:
    house = ToolHouse()
    guest = house.guest()
    for byte in space + b"GET /health HTTP/1.1\r\n\r\n":
        guest.send(bytes([byte]))
    assert guest.answer().status == 200
    house.nothing_is_left()


def test_endless_space_is_no_conversation() -> None:
    house = ToolHouse()
    guest = house.guest()
    for _ in range(100):
        guest.send(b" " * 1000)
    house.clock.advance(0)
    assert guest.answer().status in (400, 414)
    quiet = house.guest()
    quiet.send(b"\n")
    for _ in range(25):
        house.clock.advance(1)
    assert not quiet.open
    house.nothing_is_left()


def test_http_cannot_turn_into_lines() -> None:
    house = ToolHouse()
    guest = house.guest()
    guest.get("/health")
    guest.send(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n\r\n')
    assert guest.answers()[1].status == 400
    house.nothing_is_left()


# --- eras


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [
        *(("2025-06-18", "2025-06-18"), ("2099-01-01", "2025-11-25")),
        ("2024-11-05", "2024-11-05"),
    ],
)
def test_a_legacy_client_begins_with_initialize(asked: str, agreed: str) -> None:
    house = ToolHouse()
    guest = house.guest()
    say(guest, call("initialize", {"protocolVersion": asked}, id="i"))
    assert lines(guest)[0]["result"]["protocolVersion"] == agreed
    say(guest, call("tools/call", ECHO))
    assert house.served.seen == [("tools/call", agreed)]
    house.nothing_is_left()


def test_a_client_may_begin_anew() -> None:
    house = ToolHouse()
    guest = begun(house)
    say(guest, call("initialize", {"protocolVersion": "2024-11-05"}, id=5))
    assert lines(guest)[1]["result"]["protocolVersion"] == "2024-11-05"
    assert len(house.served.watches) == 1
    house.nothing_is_left()


def test_a_client_may_ask_without_beginning() -> None:
    house = ToolHouse()
    guest = house.guest()
    say(guest, call("tools/list"))
    assert lines(guest)[0]["result"]["tools"]
    house.nothing_is_left()


def test_a_modern_client_begins_with_a_request() -> None:
    house = ToolHouse()
    guest = house.guest()
    say(guest, enveloped("server/discover", {}), enveloped("tools/call", ECHO, id=2))
    assert [one["id"] for one in lines(guest)] == [1, 2]
    assert house.served.seen[1] == ("tools/call", "2026-07-28")
    say(guest, BEGIN)
    assert code(lines(guest)[2]) == -32022
    assert lines(guest)[2]["error"]["data"]["supported"] == ["2026-07-28"]
    say(guest, call("tools/list"))
    assert code(lines(guest)[3]) == -32602
    house.nothing_is_left()


def test_a_legacy_connection_stays_one() -> None:
    house = ToolHouse()
    guest = begun(house)
    say(guest, enveloped("tools/list", {}))
    assert code(lines(guest)[1]) == -32600
    house.nothing_is_left()


def test_a_probe_with_a_version_that_is_not_served_decides_nothing() -> None:
    house = ToolHouse()
    guest = house.guest()
    say(guest, enveloped("server/discover", {}, version="2027-01-01"), BEGIN)
    refused, answered = lines(guest)
    assert code(refused) == -32022 and "result" in answered
    house.nothing_is_left()


def test_a_notification_decides_nothing() -> None:
    house = ToolHouse()
    guest = house.guest()
    say(guest, note("notifications/initialized"), enveloped("tools/list", {}))
    assert "result" in lines(guest)[0]
    house.nothing_is_left()


# --- calls


def test_calls_are_answered_as_they_get_ready() -> None:
    house = ToolHouse()
    guest = begun(house)
    say(guest, call("tools/call", SLOW, id=1), call("tools/call", ECHO, id="1"))
    house.served.last.caller.progressed(1, None, None)
    house.served.last.answer()
    assert [one.get("id") for one in lines(guest)] == [0, "1", None, 1]
    house.nothing_is_left()


def test_a_legacy_client_is_asked_and_answers() -> None:
    house = ToolHouse()
    guest = begun(house, sampling={}, roots={})
    say(guest, call("tools/call", SLOW))
    asked = {
        "a": Question("sampling/createMessage", {"maxTokens": 1}),
        "b": Question("roots/list"),
    }
    answers: list[Any] = []
    ask = Deferred.fromCoroutine(house.served.last.caller.ask(asked))
    ask.addBoth(answers.append)
    for kind in ("sampling/createMessage", "roots/list"):
        question = lines(guest)[-1]
        assert question["method"] == kind
        say(guest, {"jsonrpc": "2.0", "id": question["id"], "result": {"kind": kind}})
    assert [one["kind"] for one in answers[0].values()] == [
        *("sampling/createMessage", "roots/list")
    ]
    house.nothing_is_left()


def test_a_question_whose_call_is_cancelled_is_taken_back() -> None:
    house = ToolHouse()
    guest = begun(house, roots={})
    say(guest, call("tools/call", SLOW))
    ask = Deferred.fromCoroutine(
        house.served.last.caller.ask({"a": Question("roots/list")})
    )
    ask.addErrback(lambda reason: None)
    question = lines(guest)[-1]["id"]
    ask.cancel()
    assert lines(guest)[-1]["method"] == "notifications/cancelled"
    assert lines(guest)[-1]["params"]["requestId"] == question
    say(guest, {"jsonrpc": "2.0", "id": question, "result": {}})  # late
    house.nothing_is_left()


@pytest.mark.parametrize("modern", [False, True])
def test_a_cancelled_call_is_not_answered(modern: bool) -> None:
    house = ToolHouse()
    guest = house.guest()
    make = enveloped if modern else call
    say(guest, make("tools/call", SLOW, id=7), make("tools/call", SLOW, id="7"))
    first, second = house.served.requests
    say(guest, note("notifications/cancelled", {"requestId": 7}))
    for id in (8, None, True, 7.5, [7], {"a": 1}):
        say(guest, note("notifications/cancelled", {"requestId": id}))
    assert first.cancelled and not second.cancelled
    second.answer()
    assert [one["id"] for one in lines(guest)] == ["7"]
    house.nothing_is_left()


def test_changes_are_told_to_legacy_clients() -> None:
    house = ToolHouse()
    guest, other = begun(house), begun(house)
    house.served.change()
    for one in (guest, other):
        assert lines(one)[-1]["method"] == "notifications/tools/list_changed"
    say(guest, call("resources/subscribe", {"uri": "test://a"}))
    house.served.update("test://a")
    assert lines(guest)[-1]["params"] == {"uri": "test://a"}
    assert len(lines(other)) == 2
    say(guest, call("resources/unsubscribe", {"uri": "test://a"}))
    house.served.update("test://a")
    assert lines(guest)[-1] == {"jsonrpc": "2.0", "id": 1, "result": {}}
    for uri, wrong in (("http://no", -32002), (7, -32602)):
        say(guest, call("resources/subscribe", {"uri": uri}))
        assert code(lines(guest)[-1]) == wrong
    house.nothing_is_left()


def test_modern_clients_listen() -> None:
    house = ToolHouse()
    guest = house.guest()
    for id in (1, "1"):
        say(guest, enveloped("subscriptions/listen", TOOLS, id=id))
    house.served.change()
    found = [one["params"]["_meta"][SUBSCRIPTION] for one in lines(guest)]
    assert found == [1, "1", 1, "1"]
    say(guest, enveloped("subscriptions/listen", TOOLS))
    assert code(lines(guest)[-1]) == -32600
    say(guest, note("notifications/cancelled", {"requestId": 1}))
    house.served.change()
    assert lines(guest)[-1]["params"]["_meta"][SUBSCRIPTION] == "1"
    say(guest, enveloped("subscriptions/listen", TOOLS))
    assert lines(guest)[-1]["method"] == "notifications/subscriptions/acknowledged"
    house.site.stop_keepalive()
    assert [one["id"] for one in lines(guest)[-2:]] == ["1", 1]
    house.clock.advance(0)
    assert not guest.open and not house.served.watches
    house.nothing_is_left()


def test_a_batch_is_answered_together_where_there_are_batches() -> None:
    house = ToolHouse()
    guest = house.guest()
    say(guest, call("initialize", {"protocolVersion": "2025-03-26"}, id=0))
    say(
        guest,
        [call("ping", id=1), call("tools/call", SLOW, id=2), note("notifications/x")],
        [call("ping", id=3)],
        [note("notifications/initialized")],
    )
    house.served.last.caller.progressed(1, None, None)
    house.served.last.answer()
    found: list[Any] = lines(guest)
    assert [one["id"] for one in found[1]] == [3]
    assert found[2]["method"] == "notifications/progress"
    assert [one["id"] for one in found[3]] == [1, 2] and len(found) == 4
    say(guest, [call("initialize", {"protocolVersion": "2025-03-26"})], [])
    assert [code(one) for one in lines(guest)[4:]] == [-32600, -32600]
    house.nothing_is_left()


# --- ends


def test_hanging_up_cancels() -> None:
    house = ToolHouse()
    guest = begun(house)
    say(guest, call("tools/call", SLOW))
    request = house.served.last
    guest.leave()
    assert request.cancelled and not house.served.watches
    house.nothing_is_left()


def test_draining_answers_what_runs_and_begins_nothing() -> None:
    house = ToolHouse()
    idle = begun(house)
    guest = begun(house)
    say(guest, call("tools/call", SLOW))
    house.site.stop_keepalive()
    done: list[None] = []
    house.site.when_idle().addCallback(done.append)
    say(guest, call("tools/call", ECHO, id=2))
    assert code(lines(guest)[-1]) == -32603
    house.clock.advance(0)
    assert not idle.open and guest.open and not done
    house.served.last.answer()
    house.clock.advance(0)
    assert lines(guest)[-1]["id"] == 1 and not guest.open and done == [None]
    house.nothing_is_left()


def test_cutting_cancels() -> None:
    house = ToolHouse()
    guest = begun(house)
    say(guest, call("tools/call", SLOW))
    request = house.served.last
    house.site.abort_all()
    house.clock.advance(0)
    assert request.cancelled
    house.nothing_is_left()


def test_a_first_line_must_come_in_time() -> None:
    house = ToolHouse(limits=Limits(header_timeout=5, body_timeout=50))
    slow, begun_ = house.guest(), begun(house)
    slow.send(b'{"jsonrpc"')
    begun_.send(b'{"jsonrpc"')
    for _ in range(6):
        house.clock.advance(1)
    assert not slow.open and begun_.open
    for _ in range(50):
        house.clock.advance(1)
    assert not begun_.open
    house.nothing_is_left()


def test_who_asks_nothing_may_not_stay() -> None:
    house = ToolHouse(limits=Limits(idle_timeout=10))
    guest = house.guest()
    say(guest, note("notifications/initialized"))
    for _ in range(11):
        house.clock.advance(1)
    assert not guest.open
    house.nothing_is_left()


def test_who_was_let_in_may_stay() -> None:
    house = ToolHouse(limits=Limits(max_connections=1))
    first, second = house.guest(), house.guest()
    first.leave()
    say(second, call("ping"))
    house.guest()
    say(second, call("ping", id=2))
    assert [one["id"] for one in lines(second)] == [1, 2]
    house.nothing_is_left()


def test_a_client_may_be_silent_for_long() -> None:
    house = ToolHouse(limits=Limits(idle_timeout=10))
    guest = begun(house)
    for _ in range(1000):
        house.clock.advance(1)
    say(guest, call("ping"))
    assert lines(guest)[-1]["id"] == 1
    house.nothing_is_left()


def test_a_line_has_a_limit() -> None:
    house = ToolHouse(limits=Limits(max_request_size=1000))
    guest = begun(house)
    say(guest, call("tools/call", ECHO))
    for _ in range(20):
        guest.send(b"{" * 100)
    assert code(lines(guest)[-1]) == -32600
    house.clock.advance(0)
    assert not guest.open
    house.nothing_is_left()


def test_connections_have_a_limit() -> None:
    house = ToolHouse(limits=Limits(max_connections=2))
    first = begun(house), begun(house)
    guest = house.guest()
    say(guest, BEGIN)
    [refused] = lines(guest)
    assert code(refused) == -32603
    house.clock.advance(0)
    assert not guest.open and all(one.open for one in first)
    house.nothing_is_left()


def test_a_client_that_does_not_read_is_not_read_from() -> None:
    house = ToolHouse(limits=Limits(stall_timeout=10))
    guest = begun(house)
    guest.stop_reading()
    say(guest, call("ping"))
    assert guest.paused
    assert guest.channel._networkProducer.producerState == "paused"
    for _ in range(12):
        house.clock.advance(1)
    assert not guest.open
    house.nothing_is_left()


def test_changes_wait_once_for_a_client_that_does_not_read() -> None:
    house = ToolHouse()
    guest = begun(house)
    guest.stop_reading()
    say(guest, call("tools/call", SLOW))
    house.served.last.caller.progressed(1, None, None)
    before = len(lines(guest))
    for progress in range(2, 100):
        house.served.change()
        house.served.change("prompts")
        house.served.last.caller.progressed(progress, None, None)
    assert len(lines(guest)) == before
    guest.read_on()
    assert [one["method"] for one in lines(guest)[before:]] == [
        "notifications/tools/list_changed",
        "notifications/prompts/list_changed",
    ]
    house.nothing_is_left()


def test_a_client_that_does_not_read_misses_changes_and_not_our_memory() -> None:
    house = ToolHouse()
    guest = begun(house)
    uris = [f"test://{number}" for number in range(MISSED + 100)]
    for uri in uris:
        say(guest, call("resources/subscribe", {"uri": uri}))
    guest.stop_reading()
    say(guest, call("ping"))
    before = len(lines(guest))
    for uri in uris:
        house.served.update(uri)
    guest.read_on()
    assert len(lines(guest)) - before == MISSED
    house.nothing_is_left()


# --- what is no message


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        *((b"{", -32700), (b"nonsense", -32700), (b"\xff\xfe", -32700)),
        *((b"{}", -32600), (b"[]", -32600), (b"1", -32600), (b"null", -32600)),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
        (b"[" * 5000, -32700),
    ],
)
def test_what_is_no_message_is_told_and_survived(line: bytes, wrong: int) -> None:
    house = ToolHouse()
    guest = begun(house)
    guest.send(line + b"\n")
    refused = lines(guest)[-1]
    assert code(refused) == wrong and refused["id"] is None
    say(guest, call("ping"))
    assert lines(guest)[-1]["result"] == {}
    house.nothing_is_left()


def test_empty_lines_and_carriage_returns_are_nothing() -> None:
    house = ToolHouse()
    guest = begun(house)
    guest.send(b'\r\n\n  \n{"jsonrpc":"2.0","id":1,"method":"ping"}\r\n')
    assert len(lines(guest)) == 2
    house.nothing_is_left()


MESSAGES = st.one_of(
    st.sampled_from(
        [
            BEGIN,
            call("ping"),
            call("tools/call", SLOW, id="s"),
            call("tools/call", ECHO, id=2),
            enveloped("server/discover", {}),
            enveloped("tools/call", SLOW, id="m"),
            enveloped("subscriptions/listen", TOOLS, id=3),
            note("notifications/cancelled", {"requestId": "s"}),
            note("notifications/cancelled", {"requestId": 3}),
            {"jsonrpc": "2.0", "id": "ask-1", "result": {}},
            {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "x"}},
        ]
    ).map(lambda one: json.dumps(one).encode()),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner),
        max_leaves=5,
    ).map(lambda one: json.dumps(one).encode()),
    st.binary(max_size=30).map(lambda one: one.replace(b"\n", b"")),
)


@given(said=st.lists(MESSAGES, max_size=12), extra=st.data())
def test_whatever_is_said_nothing_is_left(
    said: list[bytes], extra: st.DataObject
) -> None:
    house = ToolHouse()
    guest = house.guest()
    wire = b'{"a":1}\n' + b"".join(one + b"\n" for one in said)
    for piece in extra.draw(chopped(wire)):
        guest.send(piece)
    while house.served.requests:
        waiting = house.served.last
        if extra.draw(st.booleans()):
            waiting.answer()
        else:
            waiting.fail(RpcError(-1, "no"))
    assert all(one["jsonrpc"] == "2.0" for one in lines(guest))
    guest.leave()
    house.nothing_is_left()
