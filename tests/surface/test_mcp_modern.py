"""MCP without sessions over HTTP: every step of the ladder, and every golden row."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from modelplex.surface.mcp_reply import PING_SECONDS
from modelplex.testing.memory.guest import Guest
from modelplex.testing.memory.tools import (
    ACCEPT,
    JSON,
    ToolHouse,
    call,
    enveloped,
    header_lines,
    note,
    told,
)
from modelplex.tools import Question
from modelplex.wire.jsonrpc import RpcError
from modelplex.wire.mcp.envelope import CAPABILITIES, SUBSCRIPTION, VERSION

V = "2026-07-28"
ECHO = {"name": "echo", "arguments": {"message": "hi"}}
SLOW = {"name": "slow"}
TOOLS = {"notifications": {"toolsListChanged": True, "promptsListChanged": True}}


def outcome(guest: Guest) -> tuple[int, int | None]:
    """The status, and the code of the error if it is one."""
    answer = guest.answer()
    error = json.loads(answer.body).get("error")
    return answer.status, None if error is None else error["code"]


def sent(house: ToolHouse, value: object, *headers: str) -> Guest:
    guest = house.guest()
    guest.post("/mcp", value, ACCEPT, JSON, *headers)
    return guest


def without(name: str) -> list[str]:
    lines = header_lines(enveloped("tools/call", ECHO))
    return [line for line in lines if not line.startswith(name)]


def test_the_golden_transcript() -> None:
    house = ToolHouse()
    guest = sent(
        house,
        enveloped("tools/call", ECHO),
        f"MCP-Protocol-Version: {V}",
        "Mcp-Method: tools/call",
        "Mcp-Name: echo",
        "Mcp-Session-Id: x",
        "Last-Event-ID: 1-1",
    )
    answer = guest.answer()
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    said = {"content": [{"type": "text", "text": "Echo: hi"}]}
    assert json.loads(answer.body) == {"jsonrpc": "2.0", "id": 1, "result": said}
    assert "mcp-session-id" not in answer.headers
    assert house.served.seen == [("tools/call", V)]
    house.nothing_is_left()


def test_a_request_without_an_envelope_is_refused() -> None:
    house = ToolHouse()
    headers = header_lines(enveloped("tools/call", ECHO))
    assert outcome(sent(house, call("tools/call", ECHO), *headers)) == (400, -32602)
    house.nothing_is_left()


@pytest.mark.parametrize(
    "meta",
    [
        {VERSION: 20260728, CAPABILITIES: {}},
        {VERSION: V},
        {VERSION: V, CAPABILITIES: []},
        {VERSION: V, CAPABILITIES: None},
        {VERSION: None, CAPABILITIES: {}},
    ],
)
def test_an_envelope_must_be_complete(meta: Any) -> None:
    house = ToolHouse()
    value = call("tools/call", {**ECHO, "_meta": meta}, id="a")
    guest = sent(house, value, *header_lines(enveloped("tools/call", ECHO)))
    assert outcome(guest) == (400, -32602)
    assert json.loads(guest.answer().body)["id"] == "a"
    house.nothing_is_left()


def test_who_the_client_is_may_be_left_out() -> None:
    house = ToolHouse()
    value = enveloped("tools/list", {})
    value["params"]["_meta"] = {VERSION: V, CAPABILITIES: {}}
    assert outcome(sent(house, value, *header_lines(value))) == (200, None)
    house.nothing_is_left()


@pytest.mark.parametrize(
    "headers",
    [
        without("MCP-Protocol-Version"),
        without("Mcp-Method"),
        without("Mcp-Name"),
        [*without("Mcp-Name"), "Mcp-Name: other"],
        [*without("Mcp-Name"), "Mcp-Name: Echo"],
        [*without("Mcp-Name"), "Mcp-Name: =?base64?ZWNobw?="],
        [*without("Mcp-Method"), "Mcp-Method: tools/list"],
        [*without("MCP-Protocol-Version"), "MCP-Protocol-Version: 2025-06-18"],
        [*without("MCP-Protocol-Version"), "MCP-Protocol-Version: 1900-01-01"],
        [*without("-"), "Mcp-Name: echo"],
        [*without("-"), "Mcp-Method: tools/call"],
        [*without("-"), f"MCP-Protocol-Version: {V}"],
    ],
)
def test_headers_must_say_what_the_body_says(headers: list[str]) -> None:
    house = ToolHouse()
    guest = sent(house, enveloped("tools/call", ECHO), *headers)
    assert outcome(guest) == (400, -32020)
    assert not house.served.seen
    house.nothing_is_left()


def test_a_name_may_come_as_base64() -> None:
    house = ToolHouse()
    headers = [*without("Mcp-Name"), "Mcp-Name: =?base64?ZWNobw==?="]
    guest = sent(house, enveloped("tools/call", ECHO), *headers, "Mcp-Param-X: any")
    assert outcome(guest) == (200, None)
    house.nothing_is_left()


@pytest.mark.parametrize("version", ["1900-01-01", "2025-11-25"])
def test_a_version_that_is_not_served_is_refused_with_those_that_are(
    version: str,
) -> None:
    house = ToolHouse()
    guest = house.modern("tools/call", ECHO, version=version)
    assert outcome(guest) == (400, -32022)
    error = json.loads(guest.answer().body)["error"]
    assert error["data"] == {"supported": [V], "requested": version}
    house.nothing_is_left()


def test_headers_are_held_against_a_version_that_is_not_served_too() -> None:
    house = ToolHouse()
    value = enveloped("tools/call", ECHO, version="1900-01-01")
    headers = header_lines(enveloped("tools/call", ECHO))
    assert outcome(sent(house, value, *headers)) == (400, -32020)
    house.nothing_is_left()


@pytest.mark.parametrize(
    "method",
    ["ping", "initialize", "logging/setLevel", "resources/subscribe", "tasks/list", ""],
)
def test_what_this_revision_does_not_have_is_not_found(method: str) -> None:
    house = ToolHouse()
    assert outcome(house.modern(method, {})) == (404, -32601)
    house.nothing_is_left()


def test_initialize_under_a_modern_header_is_refused() -> None:
    house = ToolHouse()
    value = call("initialize", {"protocolVersion": "2025-06-18"})
    assert outcome(sent(house, value, f"MCP-Protocol-Version: {V}")) == (400, -32020)
    house.nothing_is_left()


@pytest.mark.parametrize(
    "value",
    [
        [enveloped("tools/list", {})],
        [call("ping"), enveloped("tools/list", {}, id=2)],
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        {"jsonrpc": "2.0", "id": None, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 1},
    ],
)
def test_only_one_request_is_taken(value: object) -> None:
    house = ToolHouse()
    guest = sent(house, value, f"MCP-Protocol-Version: {V}")
    assert outcome(guest) == (400, -32600)
    house.nothing_is_left()


def test_notifications_are_accepted_and_do_nothing() -> None:
    house = ToolHouse()
    running = house.modern("tools/call", SLOW)
    cancel = note("notifications/cancelled", {"requestId": 1})
    guest = sent(house, cancel, f"MCP-Protocol-Version: {V}")
    assert (guest.answer().status, guest.answer().body) == (202, b"")
    assert not house.served.last.cancelled and running.wire == b""
    house.nothing_is_left()


def test_get_and_delete_belong_to_sessions() -> None:
    house = ToolHouse()
    version = f"MCP-Protocol-Version: {V}"
    for method in ("GET", "DELETE"):
        answer = house.guest().get("/mcp", method, version, "Accept: */*")
        assert answer.status == 400
    house.nothing_is_left()


@pytest.mark.parametrize(
    ("code", "status"),
    [
        *((-32600, 400), (-32601, 404), (-32602, 200), (-32603, 200)),
        *((-32021, 400), (-1, 200), (7, 200)),
    ],
)
def test_an_error_has_its_status(code: int, status: int) -> None:
    house = ToolHouse()
    guest = house.modern("tools/call", SLOW)
    house.served.last.fail(RpcError(code, "no", {"x": 1}))
    assert outcome(guest) == (status, code)
    assert json.loads(guest.answer().body)["error"]["data"] == {"x": 1}
    house.nothing_is_left()


def test_an_error_after_the_stream_began_is_its_last_event() -> None:
    house = ToolHouse()
    guest = house.modern("tools/call", SLOW, token=1)
    house.served.last.caller.progressed(1, 2, "x")
    house.served.last.fail(RpcError(-32601, "no"))
    answer = guest.answer()
    assert answer.status == 200 and answer.complete
    assert [one.get("id") for one in told(answer)] == [None, 1]
    house.nothing_is_left()


def test_progress_and_logs_are_told_on_the_stream_of_the_request() -> None:
    house = ToolHouse()
    guest = house.modern("tools/call", SLOW, token="t", level="warning")
    caller = house.served.last.caller
    caller.logged("info", None, "unheard")
    assert guest.wire == b""
    caller.logged("error", "l", {"a": 1})
    caller.progressed(1, None, None)
    house.served.last.answer()
    answer = guest.answer()
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["cache-control"] == "no-cache, no-transform"
    assert b"id:" not in answer.body.partition(b"data:")[0]
    log, progress, _ = told(answer)
    assert log["params"] == {"level": "error", "logger": "l", "data": {"a": 1}}
    assert progress["params"] == {"progressToken": "t", "progress": 1}
    house.nothing_is_left()


def test_without_a_level_and_a_token_nothing_is_told() -> None:
    house = ToolHouse()
    guest = house.modern("tools/call", SLOW)
    caller = house.served.last.caller
    caller.logged("emergency", None, "x")
    caller.progressed(1, None, None)
    house.served.last.answer()
    assert outcome(guest) == (200, None)
    house.nothing_is_left()


def test_a_level_must_be_one() -> None:
    house = ToolHouse()
    assert outcome(house.modern("tools/call", ECHO, level="loud")) == (400, -32602)
    house.nothing_is_left()


def test_a_silent_request_shows_signs_of_life() -> None:
    house = ToolHouse()
    guest = house.modern("tools/call", SLOW)
    house.clock.advance(PING_SECONDS - 1)
    assert guest.wire == b""
    house.clock.advance(1)
    assert guest.answer().body == b": ping\n\n"
    house.served.last.answer()
    assert told(guest.answer())[0]["id"] == 1
    house.nothing_is_left()


def test_hanging_up_cancels() -> None:
    house = ToolHouse()
    for begun in (False, True):
        guest = house.modern("tools/call", SLOW, token=1)
        request = house.served.last
        if begun:
            request.caller.progressed(1, None, None)
        guest.leave()
        assert request.cancelled
    house.nothing_is_left()


def test_what_a_cancelled_request_still_tells_is_dropped() -> None:
    house = ToolHouse()
    guest = house.modern("tools/call", SLOW, token=1)
    request = house.served.last

    def goodbye(reason: Failure) -> Failure:
        request.caller.progressed(1, None, None)
        return reason

    request.waiting.addErrback(goodbye)
    guest.leave()
    assert request.cancelled
    house.nothing_is_left()


def test_a_client_is_not_sent_requests() -> None:
    house = ToolHouse()
    guest = house.modern("tools/call", SLOW, capabilities={"sampling": {}})
    asked = {"q": Question("sampling/createMessage", {})}
    failed: list[Any] = []
    ask = Deferred.fromCoroutine(house.served.last.caller.ask(asked))
    ask.addErrback(failed.append)
    assert failed[0].value.rpc_code == -32021 and guest.wire == b""
    house.nothing_is_left()


def test_two_requests_may_have_the_same_id() -> None:
    house = ToolHouse()
    first, second = (house.modern("tools/call", SLOW) for _ in range(2))
    for text, request in zip("ab", list(house.served.requests), strict=True):
        request.answer(text)
    for text, guest in zip("ab", (first, second), strict=True):
        assert text.encode() in guest.answer().body
    house.nothing_is_left()


# --- subscriptions


@pytest.mark.parametrize("id", [7, "7"])
def test_a_subscription_is_acknowledged_first_and_named_throughout(id: Any) -> None:
    house = ToolHouse()
    guest = house.modern("subscriptions/listen", TOOLS, id=id)
    house.served.change()
    house.site.stop_keepalive()
    acknowledged, changed, ended = told(guest.answer())
    assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
    assert acknowledged["params"]["notifications"] == {"toolsListChanged": True}
    assert changed["method"] == "notifications/tools/list_changed"
    assert ended["id"] == id and ended["result"]["resultType"] == "complete"
    for one in (acknowledged["params"], changed["params"], ended["result"]):
        assert one["_meta"][SUBSCRIPTION] == id
        assert type(one["_meta"][SUBSCRIPTION]) is type(id)
    assert guest.answer().complete and not house.served.watches
    house.nothing_is_left()


def test_a_subscription_ends_when_its_client_hangs_up() -> None:
    house = ToolHouse()
    guest = house.modern("subscriptions/listen", TOOLS)
    house.clock.advance(PING_SECONDS)
    house.clock.advance(PING_SECONDS)
    assert guest.answer().body.endswith(b": ping\n\n")
    guest.leave()
    assert not house.served.watches
    house.nothing_is_left()


def test_a_subscription_to_nothing_is_refused() -> None:
    house = ToolHouse()
    guest = house.modern("subscriptions/listen", {})
    assert outcome(guest) == (200, -32602)
    house.nothing_is_left()


def test_a_client_that_does_not_read_loses_its_subscription() -> None:
    house = ToolHouse()
    guest = house.modern("subscriptions/listen", TOOLS)
    guest.stop_reading()
    before = len(guest.wire)
    for _ in range(100_000):
        house.served.change()
        if not guest.open:
            break
    house.clock.advance(0)
    assert not guest.open and not house.served.watches
    assert len(guest.wire) - before < 2**20
    house.nothing_is_left()


def test_draining_begins_no_subscription() -> None:
    house = ToolHouse()
    guest = house.guest()
    value = enveloped("subscriptions/listen", TOOLS)
    text = json.dumps(value).encode()
    lines = ["POST /mcp HTTP/1.1", ACCEPT, JSON, f"Content-Length: {len(text)}"]
    lines += header_lines(value)
    guest.send("\r\n".join([*lines, "", ""]).encode())
    house.site.stop_keepalive()
    guest.send(text)
    assert outcome(guest) == (200, -32603)
    assert not house.served.watches
    house.nothing_is_left()
