"""Remote servers of every era, met and asked; the test plays the server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from modelplex.errors import ConfigError
from modelplex.interfaces import IToolServer
from modelplex.mcp.remote import LATER, QUIET
from modelplex.mcp.remote_making import remote_server
from modelplex.mcp.remote_settings import RemoteSettings
from modelplex.secret import Secret
from modelplex.testing.memory.remote import (
    INFO,
    RESULT,
    TOOL,
    URL,
    Asked,
    Guest,
    Played,
)
from modelplex.testing.strategies import chopped
from modelplex.tools import ServerState, ToolServerError, ToolServerTimeout
from modelplex.wire.jsonrpc import RpcError

PREFIX = "io.modelcontextprotocol/"
ASKS = {
    "resultType": "input_required",
    "inputRequests": {
        "ok": {"method": "elicitation/create", "params": {"message": "Deploy?"}}
    },
    "requestState": "v1.x",
}
YES = {"action": "accept", "content": {"confirm": True}}
COMPLETE = {"resultType": "complete", **RESULT}


def modern(**settings: Any) -> Played:
    """A modern server that has been met."""
    played = Played(RemoteSettings("r", URL, **settings))
    Deferred.fromCoroutine(played.server.refresh())
    played.meet_modern()
    return played


def legacy(listens: bool = False, **settings: Any) -> tuple[Played, Asked | None]:
    """A legacy server that has been met, and its GET."""
    known = {"protocol": "legacy", **settings}
    played = Played(RemoteSettings("r", URL, **known))
    Deferred.fromCoroutine(played.server.refresh())
    return played, played.meet_legacy(listens=listens)


def failed(told: list[Any], kind: Any) -> Any:
    """The error that a call failed with."""
    [failure] = told
    assert isinstance(failure, Failure), failure
    assert isinstance(failure.value, kind), failure.value
    return failure.value


# --- what passes (golden transcripts)


def test_a_modern_call_says_all_of_itself_twice() -> None:
    played = modern()
    _, told = played.call(arguments={"message": "hi"})
    asked = played.asked("tools/call")
    assert asked.received.method == "POST" and asked.received.path == "/mcp"
    assert asked.header("accept") == "application/json, text/event-stream"
    assert asked.header("content-type") == "application/json"
    assert asked.header("mcp-protocol-version") == "2026-07-28"
    assert asked.header("mcp-method") == "tools/call"
    assert asked.header("mcp-name") == "echo"
    assert asked.header("mcp-session-id") is None
    message = asked.message
    meta = message["params"].pop("_meta")
    assert message == {
        "jsonrpc": "2.0",
        "id": message["id"],
        "method": "tools/call",
        "params": {"name": "echo", "arguments": {"message": "hi"}},
    }
    assert meta == {
        f"{PREFIX}protocolVersion": "2026-07-28",
        f"{PREFIX}clientInfo": INFO,
        f"{PREFIX}clientCapabilities": {},
        "progressToken": message["id"],
    }
    asked.answer(COMPLETE)
    played.turn()
    assert told == [COMPLETE]
    played.stop()


def test_a_legacy_session_from_its_beginning_to_its_end() -> None:
    played = Played()
    verifyObject(IToolServer, played.server)
    refreshing = Deferred.fromCoroutine(played.server.refresh())
    played.asked("server/discover").status(400)
    first = played.asked("initialize")
    assert first.header("mcp-session-id") is None
    assert first.header("mcp-protocol-version") is None
    assert first.message["params"] == {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": INFO,
    }
    first.answer(
        {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}},
        mcp_session_id="S",
    )
    asked = [played.asked("notifications/initialized")]
    assert "id" not in asked[0].message
    asked[0].status(202)
    asked.append(played.asked("GET"))
    assert asked[1].header("accept") == "text/event-stream"
    asked[1].status(405)
    asked.append(played.asked("tools/list"))
    asked[2].answer({"tools": [TOOL]})
    played.turn()
    assert refreshing.result.tools == (TOOL,)  # type: ignore[attr-defined]
    status = played.server.status
    assert (status.state, status.version) == (ServerState.READY, "2025-06-18")
    _, told = played.call()
    asked.append(played.asked("tools/call"))
    assert asked[3].message["params"]["_meta"] == {
        "progressToken": asked[3].message["id"]
    }
    asked[3].answer(RESULT)
    played.turn()
    assert told == [RESULT]
    stopping = Deferred.fromCoroutine(played.server.stop())
    asked.append(played.asked("DELETE"))
    asked[4].status(200)
    played.turn()
    assert stopping.called
    for one in asked:
        assert one.header("mcp-session-id") == "S"
        assert one.header("mcp-protocol-version") == "2025-06-18"
    played.stop()


def test_a_modern_server_asks_and_gets_the_same_request_with_the_answer() -> None:
    played, guest = modern(), Guest(answers={"elicitation/create": YES})
    _, told = played.call(guest)
    first = played.asked("tools/call")
    envelope = first.message["params"]["_meta"]
    assert envelope[f"{PREFIX}clientCapabilities"] == guest.capabilities
    assert envelope[f"{PREFIX}logLevel"] == "info"
    first.answer(ASKS)
    second = played.asked("tools/call")
    assert second.message["id"] != first.message["id"]
    params = second.message["params"]
    assert params["inputResponses"] == {"ok": YES}
    assert params["requestState"] == "v1.x"
    assert params["arguments"] == first.message["params"]["arguments"]
    second.answer(COMPLETE)
    played.turn()
    assert told == [COMPLETE]
    played.stop()


def test_a_server_that_asks_for_ever_is_not_answered_for_ever() -> None:
    played, guest = modern(), Guest(answers={"elicitation/create": YES})
    _, told = played.call(guest)
    for _ in range(11):
        played.asked("tools/call").answer(ASKS)
    played.turn()
    assert "over 10 times" in failed(told, RpcError).message
    played.stop()


def test_a_legacy_server_asks_on_the_stream_of_the_call() -> None:
    played, _ = legacy(interactive=True)
    guests = [Guest(answers={"elicitation/create": YES}), Guest()]
    calls = [played.call(guest) for guest in guests]
    first, second = played.asked("tools/call"), played.asked("tools/call")
    first.begin()
    second.begin()
    question = {"message": "Deploy?", "requestedSchema": {"type": "object"}}
    first.say(id="srv-1", method="elicitation/create", params=question)
    answer = played.asked("POST")
    assert answer.message == {"jsonrpc": "2.0", "id": "srv-1", "result": YES}
    assert answer.header("mcp-session-id") == "S"
    answer.status(202)
    first.result(RESULT)
    second.result(RESULT)
    played.turn()
    assert [told for _, told in calls] == [[RESULT], [RESULT]]
    assert (len(guests[0].asked), len(guests[1].asked)) == (1, 0)
    played.stop()


def test_what_a_server_logs_reaches_the_guest_whose_call_it_is() -> None:
    for played in (modern(), legacy()[0]):
        guests = Guest(), Guest(log_level="error")
        calls = [played.call(guest) for guest in guests]
        for number in range(2):
            asked = played.asked("tools/call")
            asked.begin()
            told = {"level": "info", "data": number}
            asked.say(method="notifications/message", params=told)
            progress = {"progressToken": asked.message["id"], "progress": 0.5}
            asked.say(method="notifications/progress", params=progress)
            asked.result(COMPLETE)
        played.turn()
        assert all(told == [COMPLETE] for _, told in calls)
        assert guests[0].heard == [("info", 0), (0.5, None, None)]
        assert guests[1].heard == [(0.5, None, None)]
        played.stop()


@pytest.mark.parametrize("method", ["sampling/createMessage", "elicitation/create"])
def test_what_nobody_was_declared_to_answer_is_refused(method: str) -> None:
    played, stream = legacy(listens=True)
    assert stream is not None
    played.call(Guest())
    played.asked("tools/call")
    stream.say(id=7, method=method, params={})
    answer = played.asked("POST")
    assert answer.message["error"]["code"] == -32601
    answer.status(202)
    played.stop()


def test_a_question_on_no_calls_stream_is_that_of_the_only_call() -> None:
    played, stream = legacy(listens=True, interactive=True)
    assert stream is not None
    guest = Guest(answers={"elicitation/create": YES})
    played.call(guest)
    played.asked("tools/call")
    stream.say(id=7, method="elicitation/create", params={"message": "?"})
    answer = played.asked("POST")
    assert answer.message["result"] == YES
    answer.status(202)
    played.call(Guest())
    played.asked("tools/call")
    stream.say(id=8, method="elicitation/create", params={"message": "?"})
    answer = played.asked("POST")
    assert "error" in answer.message
    answer.status(202)
    assert len(guest.asked) == 1
    played.stop()


def test_roots_come_from_the_configuration_and_pings_are_answered() -> None:
    root = {"uri": "file:///srv", "name": "srv"}
    played, stream = legacy(listens=True, roots=(root,))
    assert stream is not None
    for method, result in (("roots/list", {"roots": [root]}), ("ping", {})):
        stream.say(id="x", method=method)
        answer = played.asked("POST")
        assert answer.message["result"] == result
        answer.status(202)
    played.stop()


# --- eras


@pytest.mark.parametrize("status", [400, 404, 405, 406, 415])
def test_any_refusal_that_says_nothing_means_legacy(status: int) -> None:
    played = Played()
    _, told = played.call()
    played.asked("server/discover").status(status, b"<p>no", content_type="text/html")
    played.initialize()
    played.asked("GET").status(405)
    played.list()
    played.asked("tools/call").answer(RESULT)
    played.turn()
    assert told == [RESULT]
    played.stop()


@pytest.mark.parametrize("code", [-32601, -32602, -32600, -32000, -32001])
def test_an_error_of_the_legacy_era_means_legacy(code: int) -> None:
    played = Played()
    played.call()
    played.asked("server/discover").fail(code, 200 if code == -32601 else 400)
    assert played.asked("initialize")
    played.stop()


def test_an_unsupported_version_is_asked_for_in_one_that_is_supported() -> None:
    played = Played()
    played.call()
    supported = {"supported": ["2027-01-01", "2026-07-28"], "requested": "2026-07-28"}
    played.asked("server/discover").fail(-32022, 400, data=supported)
    played.meet_modern()
    played.asked("tools/call")
    played.stop()


def test_a_modern_server_that_speaks_nothing_of_ours_is_told_so() -> None:
    played = Played()
    _, told = played.call()
    played.asked("server/discover").fail(
        -32022, 400, data={"supported": ["2030-01-01"]}
    )
    played.turn()
    failed(told, ToolServerError)
    assert played.server.status.state is ServerState.BACKOFF
    played.stop()


def test_a_missing_method_with_404_means_modern() -> None:
    played = Played()
    played.call()
    played.asked("server/discover").fail(-32601, 404)
    played.list()
    for what in ("resources/list", "resources/templates/list", "prompts/list"):
        played.asked(what).fail(-32601, 404)
    assert played.asked("tools/call").header("mcp-protocol-version") == "2026-07-28"
    assert played.server.listing.tools == (TOOL,)
    played.stop()


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_an_answer_that_is_inconclusive_is_an_error_and_no_era(status: int) -> None:
    played = Played()
    _, told = played.call()
    played.asked("server/discover").status(status)
    played.turn()
    assert f"answered {status}" in failed(told, ToolServerError).message
    assert played.idle() == []
    played.stop()


def test_modern_only_never_initializes() -> None:
    played = Played(RemoteSettings("r", URL, protocol="modern"))
    _, told = played.call()
    played.asked("server/discover").status(400)
    played.turn()
    failed(told, ToolServerError)
    assert played.idle() == []
    played.stop()


def test_a_server_of_2024_has_one_stream_for_all() -> None:
    played = Played(RemoteSettings("r", URL, interactive=True))
    guest = Guest(answers={"elicitation/create": YES})
    _, told = played.call(guest)
    played.asked("server/discover").status(405)
    played.asked("initialize").status(405)
    stream = played.asked("GET")
    stream.begin()
    stream.connection.chunk(b"event: endpoint\r\ndata: /messages?session=1\r\n\r\n")
    first = played.asked("initialize")
    assert first.received.path == "/messages?session=1"
    first.status(202)
    about = {"protocolVersion": "2024-11-05", "capabilities": {"tools": {}}}
    stream.say(id=first.message["id"], result=about)
    played.asked("notifications/initialized").status(202)
    listing = played.asked("tools/list")
    listing.status(202)
    stream.say(id=listing.message["id"], result={"tools": [TOOL]})
    call = played.asked("tools/call")
    call.status(202)
    stream.say(id="q", method="elicitation/create", params={"message": "?"})
    answer = played.asked("POST")
    assert answer.message["result"] == YES
    answer.status(202)
    stream.say(id=call.message["id"], result=RESULT)
    played.turn()
    assert told == [RESULT]
    assert played.server.status.version == "2024-11-05"
    _, told = played.call()
    played.asked("tools/call").status(202)
    stream.connection.cut()
    played.turn()
    assert "stream has ended" in failed(told, ToolServerError).message
    assert played.server.status.state is ServerState.IDLE
    played.stop()


@pytest.mark.parametrize(
    "where", ["https://evil.example/messages", "//evil.example/", "http://localhost:1/"]
)
def test_a_stream_that_leads_to_another_host_is_not_followed(where: str) -> None:
    played = Played()
    _, told = played.call()
    played.asked("server/discover").status(404)
    played.asked("initialize").status(404)
    stream = played.asked("GET")
    stream.begin()
    stream.connection.chunk(f"event: endpoint\ndata: {where}\n\n".encode())
    played.turn()
    failed(told, ToolServerError)
    assert played.idle() == []
    played.stop()


# --- sessions and streams that end


def test_a_session_that_is_gone_is_begun_anew_once() -> None:
    played, _ = legacy(listens=True)
    _, told = played.call()
    played.asked("tools/call").status(404)
    played.initialize("T")
    played.asked("GET").status(405)
    played.list()
    again = played.asked("tools/call")
    assert again.header("mcp-session-id") == "T"
    again.status(404)
    played.turn()
    assert "ended our session" in failed(told, ToolServerError).message
    assert played.server.status.restarts == 1
    assert played.idle() == []
    played.stop()


def test_a_server_that_has_forgotten_may_also_say_400() -> None:
    played, _ = legacy()
    _, told = played.call()
    error = b'"error":{"code":-32000,"message":"Bad Request: No valid session ID"}'
    played.asked("tools/call").status(400, b'{"jsonrpc":"2.0",%s}' % error)
    played.initialize("T")
    played.asked("GET").status(405)
    played.list()
    played.asked("tools/call").answer(RESULT)
    played.turn()
    assert told == [RESULT]
    played.stop()


@pytest.mark.parametrize("status", [400, 404])
def test_a_server_that_was_listened_to_and_forgets_is_met_again(status: int) -> None:
    played, stream = legacy(listens=True)
    assert stream is not None
    stream.connection.cut()
    played.turn()
    played.reactor.advance(1.0)
    played.asked("GET").status(status)
    played.turn()
    assert played.server.status.state is ServerState.IDLE
    played.reactor.advance(LATER)
    played.initialize("T")
    played.asked("GET").status(405)
    played.list([{**TOOL, "name": "other"}])
    assert [tool["name"] for tool in played.server.listing.tools] == ["other"]
    played.stop()


def test_calls_that_a_new_session_overtakes_still_get_their_answers() -> None:
    played, _ = legacy()
    first, second = played.call(), played.call()
    asked = played.asked("tools/call"), played.asked("tools/call")
    asked[0].begin()
    asked[1].status(404)
    played.initialize("T")
    played.asked("GET").status(405)
    played.list()
    asked[0].result(RESULT)
    played.asked("tools/call").answer(RESULT)
    played.turn()
    assert first[1] == second[1] == [RESULT]
    played.stop()


def test_what_a_server_was_told_it_is_told_again() -> None:
    played, _ = legacy()
    played.call(method="resources/subscribe", uri="x://1")
    played.asked("resources/subscribe").answer({})
    played.call(method="logging/setLevel", level="debug")
    played.asked("logging/setLevel").answer({})
    played.call()
    played.asked("tools/call").status(404)
    played.initialize("T")
    played.asked("GET").status(405)
    again = played.asked("resources/subscribe")
    assert again.message["params"]["uri"] == "x://1"
    again.answer({})
    again = played.asked("logging/setLevel")
    assert again.message["params"]["level"] == "debug"
    again.fail(-32601)
    played.list()
    assert played.asked("tools/call")
    played.stop()


def test_a_stream_with_an_id_goes_on_where_it_ended() -> None:
    played, _ = legacy()
    _, told = played.call()
    asked = played.asked("tools/call")
    asked.begin()
    asked.connection.chunk(b"id: e1\nretry: 500\ndata:\n\n")
    asked.connection.finish()
    assert played.idle() == []
    played.reactor.advance(0.4)
    assert played.idle() == []
    played.reactor.advance(0.2)
    again = played.asked("GET")
    assert again.header("last-event-id") == "e1"
    again.begin()
    again.say(id=asked.message["id"], result=RESULT)
    played.turn()
    assert told == [RESULT]
    played.stop()


def test_a_stream_that_was_cut_goes_on_too() -> None:
    played, _ = legacy()
    _, told = played.call()
    asked = played.asked("tools/call")
    asked.begin()
    asked.connection.chunk(b"id: e1\ndata:\n\n")
    asked.connection.cut()
    played.turn()
    played.reactor.advance(1.0)
    again = played.asked("GET")
    again.begin()
    again.say(id=asked.message["id"], result=RESULT)
    played.turn()
    assert told == [RESULT]
    played.stop()


def test_a_stream_is_not_resumed_for_ever() -> None:
    played, _ = legacy()
    _, told = played.call()
    asked = played.asked("tools/call")
    asked.begin()
    asked.connection.chunk(b"id: e1\ndata:\n\n")
    asked.connection.finish()
    asked_for = 0
    for _ in range(40):
        played.turn()
        played.reactor.advance(1.0)
        if "GET" in played.idle():
            asked_for += 1
            one = played.asked("GET")
            one.begin()
            one.connection.finish()
    assert asked_for == 5
    assert "ended too early" in failed(told, ToolServerError).message
    played.stop()


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_a_call_whose_answer_is_lost_is_not_made_twice(era: str) -> None:
    played = modern() if era == "modern" else legacy()[0]
    _, told = played.call()
    asked = played.asked("tools/call")
    asked.begin()
    asked.connection.cut()
    played.turn()
    assert "ended too early" in failed(told, ToolServerError).message
    assert played.idle() == []
    played.stop()


def test_what_changes_nothing_is_asked_once_more() -> None:
    played = modern()
    _, told = played.call(method="prompts/get", name="p")
    asked = played.asked("prompts/get")
    assert asked.header("mcp-name") == "p"
    asked.connection.cut()
    played.turn()
    again = played.asked("prompts/get")
    assert again.message["id"] != asked.message["id"]
    again.connection.cut()
    played.turn()
    failed(told, ToolServerError)
    played.stop()


def test_the_stream_for_news_is_opened_again_and_goes_on() -> None:
    played, stream = legacy(listens=True)
    assert stream is not None
    stream.connection.chunk(b"id: n1\nretry: 2000\ndata:\n\n")
    stream.connection.finish()
    played.turn()
    played.reactor.advance(1.9)
    assert played.idle() == []
    played.reactor.advance(0.2)
    again = played.asked("GET")
    assert again.header("last-event-id") == "n1"
    again.status(405)
    played.turn()
    played.reactor.advance(100)
    assert played.idle() == []
    played.stop()


# --- lists


def test_changes_are_read_after_a_moment_and_told_once() -> None:
    played, stream = legacy(listens=True)
    assert stream is not None
    changed: list[Any] = []

    class Watcher:
        def changed(self, server: Any) -> None:
            changed.append(server.listing.tools)

        def updated(self, server: Any, uri: str) -> None:
            changed.append(uri)

    played.server.watch(Watcher())  # type: ignore[arg-type]
    for _ in range(20):
        stream.say(method="notifications/tools/list_changed")
    stream.say(method="notifications/resources/updated", params={"uri": "x://1"})
    assert played.idle() == []
    played.reactor.advance(QUIET)
    other = {**TOOL, "name": "other"}
    played.list([other])
    assert changed == ["x://1", (other,)]
    stream.say(method="notifications/tools/list_changed")
    played.turn()
    played.reactor.advance(QUIET)
    played.list([other])
    assert len(changed) == 2  # it is the same
    played.stop()


def test_a_modern_server_is_listened_to_and_told_what_for() -> None:
    played = Played()
    Deferred.fromCoroutine(played.server.refresh())
    played.meet_modern(prompts={"listChanged": True})
    played.asked("prompts/list").answer({"prompts": []})
    listening = played.asked("subscriptions/listen")
    wanted = listening.message["params"]["notifications"]
    assert wanted == {"promptsListChanged": True}
    listening.begin()
    _, told = played.call(method="resources/subscribe", uri="x://1")
    assert told == [{}]
    again = played.asked("subscriptions/listen")
    assert not listening.connection.open
    wanted = again.message["params"]["notifications"]
    assert wanted == {"promptsListChanged": True, "resourceSubscriptions": ["x://1"]}
    again.begin()
    again.connection.finish()
    played.turn()
    played.reactor.advance(1.0)
    assert played.asked("subscriptions/listen")
    played.stop()


def test_a_tool_with_a_wrong_mark_is_left_out_and_right_ones_are_headers() -> None:
    played = Played()
    Deferred.fromCoroutine(played.server.refresh())
    region = {"type": "string", "x-mcp-header": "Region"}
    good = {**TOOL, "inputSchema": {"type": "object", "properties": {"r": region}}}
    number = {"type": "number", "x-mcp-header": "N"}
    bad = {
        "name": "bad",
        "inputSchema": {"type": "object", "properties": {"n": number}},
    }
    played.meet_modern([good, bad])
    assert played.server.listing.tools == (good,)
    played.call(arguments={"r": " é"})
    asked = played.asked("tools/call")
    assert asked.header("mcp-param-region") == "=?base64?IMOp?="
    asked.fail(-32020, 400)
    played.list([TOOL])
    again = played.asked("tools/call")
    assert again.header("mcp-param-region") is None
    played.stop()


def test_pages_are_read_until_one_comes_twice() -> None:
    played = Played()
    Deferred.fromCoroutine(played.server.refresh())
    played.meet_modern([])
    Deferred.fromCoroutine(played.server.refresh())
    for number in range(3):
        asked = played.asked("tools/list")
        tool = {**TOOL, "name": f"t{number}"}
        asked.answer({"tools": [tool], "nextCursor": "" if number == 0 else "same"})
    played.turn()
    assert [tool["name"] for tool in played.server.listing.tools] == ["t0", "t1", "t2"]
    assert played.idle() == []
    played.stop()


# --- time, and giving up


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_a_call_that_is_given_up_is_given_up_there_too(era: str) -> None:
    played = modern() if era == "modern" else legacy()[0]
    calling, told = played.call()
    asked = played.asked("tools/call")
    asked.begin()
    played.turn()
    calling.cancel()
    failed(told, CancelledError)
    played.turn()
    assert not asked.connection.open
    if era == "legacy":
        note = played.asked("notifications/cancelled")
        assert note.message["params"]["requestId"] == asked.message["id"]
        note.status(202)
    assert played.idle() == []
    played.stop()


def test_silence_is_a_timeout_and_progress_is_not() -> None:
    played = modern(timeout=10.0, timeout_cap=25.0)
    _, told = played.call(Guest())
    asked = played.asked("tools/call")
    asked.begin()
    for number in range(2):
        played.reactor.advance(9.0)
        token = {"progressToken": asked.message["id"], "progress": number}
        asked.say(method="notifications/progress", params=token)
        played.turn()
        assert told == []
    played.reactor.advance(8.0)  # more than it may be in all
    failed(told, ToolServerTimeout)
    played.turn()
    assert not asked.connection.open
    played.stop()


def test_no_time_passes_while_somebody_is_asked() -> None:
    played, _ = legacy(interactive=True, timeout=10.0)
    thinking: Deferred[Any] = Deferred()
    _, told = played.call(Guest(answers={"elicitation/create": thinking}))
    asked = played.asked("tools/call")
    asked.begin()
    asked.say(id=1, method="elicitation/create", params={"message": "?"})
    played.turn()
    played.reactor.advance(500.0)
    thinking.callback(YES)
    played.asked("POST").status(202)
    asked.result(RESULT)
    played.turn()
    assert told == [RESULT]
    played.stop()


def test_a_server_that_cannot_be_met_is_not_tried_at_once_again() -> None:
    played = Played()
    _, told = played.call()
    played.upstreams.refuse()
    played.turn()
    assert failed(told, ToolServerError).message == "r: no connection could be made"
    _, again = played.call()
    failed(again, ToolServerError)
    assert played.upstreams.waiting() == []
    played.reactor.advance(1.0)
    played.call()
    assert played.asked("server/discover")
    played.stop()


def test_the_operator_can_have_it_met_anew() -> None:
    played = modern()
    played.server.restart()
    assert played.server.status.state is ServerState.IDLE
    played.call()
    played.meet_modern()
    assert played.asked("tools/call")
    assert played.server.status.restarts == 1
    played.stop()
    played = Played()
    played.call()
    played.upstreams.refuse()
    played.turn()
    played.server.restart()
    played.call()
    assert played.asked("server/discover")  # without waiting
    played.stop()


def test_meeting_ends_at_its_limit() -> None:
    played = Played(RemoteSettings("r", URL, start_timeout=7.0))
    _, told = played.call()
    played.asked("server/discover")
    played.reactor.advance(7.0)
    failed(told, ToolServerTimeout)
    played.stop()


def test_one_meeting_is_shared_and_one_who_leaves_does_not_end_it() -> None:
    played = Played()
    first, told = played.call()
    second = played.call()
    first.cancel()
    failed(told, CancelledError)
    played.meet_modern()
    played.asked("tools/call").answer(COMPLETE)
    played.turn()
    assert second[1] == [COMPLETE]
    played.stop()


def test_calls_wait_for_their_turn_and_only_so_many() -> None:
    played = modern(concurrency=1, queue=1)
    calls = [played.call() for _ in range(3)]
    assert "too many" in failed(calls[2][1], ToolServerError).message
    for _ in range(2):
        assert played.idle().count("tools/call") == 1
        played.asked("tools/call").answer(COMPLETE)
    played.turn()
    assert calls[0][1] == calls[1][1] == [COMPLETE]
    played.stop()


@pytest.mark.parametrize("era", ["modern", "legacy", "meeting"])
def test_stopping_fails_what_is_in_flight(era: str) -> None:
    played = {"modern": modern, "legacy": lambda: legacy(True)[0], "meeting": Played}[
        era
    ]()
    _, told = played.call()
    played.asked("server/discover" if era == "meeting" else "tools/call")
    played.stop()
    failed(told, ToolServerError | CancelledError)
    _, told = played.call()
    assert "stopped" in failed(told, ToolServerError).message
    assert played.server.status.state is ServerState.STOPPED


# --- faults


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (202, b"", ""),
        (200, b"<p>hello", "text/html"),
        (200, b"{", "application/json"),
        (200, b"[]", "application/json"),
        (200, b'{"jsonrpc":"2.0","id":999999,"result":{}}', "application/json"),
        (500, b"{}", "application/json"),
        (302, b"", "text/html"),
    ],
)
def test_what_is_no_answer_is_an_error(status: int, body: bytes, kind: str) -> None:
    for played in (modern(), legacy()[0]):
        _, told = played.call()
        played.asked("tools/call").status(status, body, content_type=kind)
        played.turn()
        error = failed(told, ToolServerError)
        assert error.message.startswith("r: ")
        played.stop()


def test_what_is_no_message_in_a_stream_is_passed_over() -> None:
    played = modern()
    _, told = played.call()
    asked = played.asked("tools/call")
    asked.begin()
    asked.connection.chunk(b"data: {oops\n\ndata: ping\n\nevent: x\ndata: {}\n\n")
    asked.result(COMPLETE)
    played.turn()
    assert told == [COMPLETE]
    played.stop()


@pytest.mark.parametrize("status", [200, 400, 404])
def test_an_error_of_the_protocol_is_told_as_it_came(status: int) -> None:
    for played in (modern(), legacy()[0]):
        if status == 404 and played.server.status.version != "2026-07-28":
            continue  # that is the end of a session
        _, told = played.call()
        played.asked("tools/call").fail(-32602, status, data={"x": 1})
        played.turn()
        error = failed(told, RpcError)
        assert (error.rpc_code, error.data) == (-32602, {"x": 1})
        played.stop()


@given(data=st.data())
def test_chunks_of_a_stream_never_matter(data: st.DataObject) -> None:
    played, guest = modern(), Guest()
    _, told = played.call(guest)
    asked = played.asked("tools/call")
    asked.begin()
    number = asked.message["id"]
    stream = (
        '\ufeffevent: message\r\ndata: {"jsonrpc":"2.0",\r\ndata: "method":'
        '"notifications/message","params":{"level":"info","data":"é"}}\r\n\r\n'
        ": ping\r\n\r\nevent: message\r\ndata: "
        f'{{"jsonrpc":"2.0","id":{number},"result":{{"resultType":"complete"}}}}'
        "\r\n\r\n"
    ).encode()
    for chunk in data.draw(chopped(stream)):
        if chunk:
            asked.connection.chunk(chunk)
    played.turn()
    assert told == [{"resultType": "complete"}]
    assert guest.heard == [("info", "é")]
    played.stop()


def test_redirects_stay_on_the_origin_with_the_body() -> None:
    played = modern(headers={"X-Key": Secret("sk-secret")})
    _, told = played.call()
    first = played.asked("tools/call")
    first.status(307, location="/moved")
    again = played.asked("tools/call")
    assert again.received.path == "/moved"
    assert again.received.body == first.received.body
    assert again.header("x-key") == "sk-secret"
    again.status(308, location="https://evil.example/mcp")
    played.turn()
    error = failed(told, ToolServerError)
    assert error.message == "r: redirected to another host"
    _, told = played.call()
    for _ in range(4):
        played.asked("tools/call").status(307, location="/mcp")
    played.turn()
    assert "too often" in failed(told, ToolServerError).message
    played.stop()


def test_no_secret_is_shown() -> None:
    url = "http+unix://%2Fserver/mcp?key=sk-secret"
    headers = {"Authorization": Secret("Bearer sk-secret")}
    played = Played(RemoteSettings("r", url, headers=headers))
    _, told = played.call()
    asked = played.asked("server/discover")
    assert asked.received.path == "/mcp?key=sk-secret"
    assert asked.header("authorization") == "Bearer sk-secret"
    asked.connection.cut()
    played.turn()
    error = failed(told, ToolServerError)
    shown = repr(played.server) + str(error) + repr(vars(error))
    assert "sk-secret" not in shown + repr(played.server.status)
    played.stop()


@pytest.mark.parametrize("url", ["http://a.example/mcp", "ftp://a/", "https://u:p@a/"])
def test_a_url_that_is_not_safe_is_a_mistake_in_the_configuration(url: str) -> None:
    with pytest.raises(ConfigError, match=r"mcp\.servers\.r\.url: "):
        remote_server(RemoteSettings("r", url), None, INFO)
