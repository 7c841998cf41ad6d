"""MCP with sessions over HTTP: every step of the ladder, and streams that break."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from modelplex.surface.mcp_reply import PING_SECONDS
from modelplex.surface.mcp_running import MOST
from modelplex.surface.site import Limits
from modelplex.testing.memory.guest import Guest
from modelplex.testing.memory.tools import (
    ACCEPT,
    JSON,
    ToolHouse,
    call,
    ids,
    note,
    told,
)
from modelplex.tools import Question, ToolServerError
from modelplex.wire.jsonrpc import RpcError

SLOW = {"name": "slow"}
TOKEN = {"name": "slow", "_meta": {"progressToken": "p"}}
FORM = {"q": Question("elicitation/create", {"message": "?", "requestedSchema": {}})}


def result(guest: Guest) -> Any:
    answer = guest.answer()
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    return json.loads(answer.body)


def error(guest: Guest) -> Any:
    return json.loads(guest.answer().body)["error"]["code"]


# --- the ladder


def test_a_session_from_beginning_to_end() -> None:
    house = ToolHouse()
    session = house.session("2025-06-18")
    version = "MCP-Protocol-Version: 2025-06-18"
    accepted = house.post(note("notifications/initialized"), session, version).answer()
    assert (accepted.status, accepted.body) == (202, b"")
    listed = result(house.post(call("tools/list"), session, version))
    assert listed["result"]["tools"][0]["name"] == "echo"
    gone = house.guest().get("/mcp", "DELETE", session)
    assert gone.status == 200
    assert house.post(call("tools/list"), session, version).answer().status == 404
    house.nothing_is_left()


def test_initialize_is_answered_with_a_version_and_a_session() -> None:
    house = ToolHouse()
    for asked, agreed in (
        *(("2024-11-05", "2024-11-05"), ("2025-03-26", "2025-03-26")),
        *(("2025-06-18", "2025-06-18"), ("2099-01-01", "2025-11-25")),
        ("2026-07-28", "2025-11-25"),
    ):
        begun = house.post(call("initialize", {"protocolVersion": asked}, id="a"))
        assert result(begun)["id"] == "a"
        assert result(begun)["result"]["protocolVersion"] == agreed
        id = begun.answer().headers["mcp-session-id"]
        assert len(id) >= 32 and id.isalnum()
    assert len(house.tools.mcp.sessions) == 5
    house.nothing_is_left()


def test_a_session_id_on_initialize_is_ignored() -> None:
    house = ToolHouse()
    first = house.session()
    again = house.post(call("initialize", {"protocolVersion": "2025-06-18"}), first)
    assert again.answer().headers["mcp-session-id"] not in first
    house.nothing_is_left()


def test_an_initialize_that_fails_leaves_no_session() -> None:
    house = ToolHouse()
    refused = house.post(call("initialize", {}))
    assert (refused.answer().status, error(refused)) == (200, -32602)
    assert "mcp-session-id" not in refused.answer().headers
    assert len(house.tools.mcp.sessions) == 0
    house.nothing_is_left()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 406),
        (["Accept: application/json"], 406),
        (["Accept: text/event-stream"], 406),
        (["Accept: application/json, text/event-stream;q=0"], 406),
        (["Accept: text/html", "Accept: application/json"], 406),
        ([ACCEPT], 400),
        (["Accept: */*"], 400),
        (["Accept: application/*, text/*"], 400),
        (["Accept: application/json;q=0.5", "Accept: text/event-stream"], 400),
    ],
)
def test_both_media_types_must_be_accepted(headers: list[str], status: int) -> None:
    house = ToolHouse()
    guest = house.guest()
    named = headers or ["Accept: image/png"]
    guest.post("/mcp", call("tools/list"), JSON, *named)
    assert guest.answer().status == status
    house.nothing_is_left()


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("Content-Type: text/plain", 415),
        ("X-Nothing: at-all", 415),
        ("Content-Type: application/json; charset=utf-8", 400),
    ],
)
def test_a_body_must_be_json(kind: str, status: int) -> None:
    house = ToolHouse()
    guest = house.guest()
    guest.post("/mcp", call("tools/list"), ACCEPT, kind)
    assert guest.answer().status == status
    house.nothing_is_left()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"", -32700),
        (b"\xff", -32700),
        (b"[" * 100_000, -32700),
        (b'{"a":' * 1000 + b"1" + b"}" * 1000, -32700),
        (b"{}", -32600),
        (b"1", -32600),
        (b"[]", -32600),
        (b"[[]]", -32600),
        (b'{"jsonrpc":"2.0","method":"ping","id":null}', -32600),
        (b'{"jsonrpc":"2.0","method":"ping","id":1.5}', -32600),
        (b'{"jsonrpc":"2.0","method":"ping","id":true}', -32600),
        (b'{"jsonrpc":"1.0","method":"ping","id":1}', -32600),
        (b'{"jsonrpc":"2.0","method":"ping","id":1,"params":[]}', -32600),
        (b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"ping"}', None),
    ],
)
def test_what_is_no_message_is_refused(body: bytes, code: int | None) -> None:
    house = ToolHouse()
    guest = house.post(body, house.session())
    assert guest.answer().status == 400
    assert code is None or error(guest) == code
    assert json.loads(guest.answer().body)["id"] is None
    house.nothing_is_left()


def test_a_body_may_be_too_large() -> None:
    house = ToolHouse(limits=Limits(max_request_size=1000))
    guest = house.post(call("tools/call", {"name": "x" * 1000}))
    assert guest.answer().status == 413
    house.nothing_is_left()


@pytest.mark.parametrize("method", ["tools/list", "tools/call", "unknown"])
def test_without_a_session_nothing_is_answered(method: str) -> None:
    house = ToolHouse()
    assert house.post(call(method)).answer().status == 400
    assert house.post(call(method), "Mcp-Session-Id: no").answer().status == 404
    twice = house.post(call(method), house.session(), house.session())
    assert twice.answer().status == 400
    house.nothing_is_left()


def test_a_session_belongs_to_what_it_was_begun_with() -> None:
    house, other = ToolHouse(), ToolHouse()
    session = house.session()
    elsewhere = house.post(call("tools/list"), session, path="/mcp/one")
    assert elsewhere.answer().status == 404
    assert other.post(call("tools/list"), session).answer().status == 404
    for one in (house, other):
        one.nothing_is_left()


def test_one_server_has_a_path_of_its_own() -> None:
    house = ToolHouse()
    params = {"protocolVersion": "2025-06-18"}
    begun = house.post(call("initialize", params), path="/mcp/one")
    session = f"Mcp-Session-Id: {begun.answer().headers['mcp-session-id']}"
    house.post(call("tools/list"), session, path="/mcp/one")
    assert house.one.seen == [("tools/list", "2025-06-18")]
    assert house.post(call("ping"), path="/mcp/none").answer().status == 404
    house.nothing_is_left()


@pytest.mark.parametrize(
    ("version", "status"),
    [
        *(("2025-06-18", 200), ("2024-11-05", 200), ("1999-01-01", 400)),
        *(("", 400), ("latest", 400)),
    ],
)
def test_the_version_of_a_request_must_be_served(version: str, status: int) -> None:
    house = ToolHouse()
    header = f"MCP-Protocol-Version: {version}"
    guest = house.post(call("tools/list"), house.session(), header)
    assert guest.answer().status == status
    house.nothing_is_left()


def test_a_request_is_answered_in_the_version_that_was_agreed_on() -> None:
    house = ToolHouse()
    house.post(call("tools/list"), house.session("2025-03-26"))
    assert house.served.seen == [("tools/list", "2025-03-26")]
    house.nothing_is_left()


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "HEAD"])
def test_other_methods_are_not_served(method: str) -> None:
    house = ToolHouse()
    answer = house.guest().get("/mcp", method)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, POST, DELETE"
    house.nothing_is_left()


# --- what a session keeps


def test_a_ping_is_answered_at_once() -> None:
    house = ToolHouse()
    assert result(house.post(call("ping", id="x"), house.session())) == {
        "jsonrpc": "2.0",
        "id": "x",
        "result": {},
    }
    house.nothing_is_left()


def test_errors_have_status_200() -> None:
    house = ToolHouse()
    guest = house.post(call("no/such"), house.session())
    assert (guest.answer().status, error(guest)) == (200, -32601)
    house.nothing_is_left()


def test_a_server_that_fails_is_an_internal_error() -> None:
    house = ToolHouse()
    guest = house.post(call("tools/call", SLOW), house.session())
    house.served.last.fail(ToolServerError("one: it is down"))
    assert error(guest) == -32603
    house.nothing_is_left()


def test_the_log_level_is_that_of_the_session() -> None:
    house = ToolHouse()
    session = house.session()
    guest = house.post(call("tools/call", SLOW), session)
    caller = house.served.last.caller
    for level in ("debug", "info"):
        caller.logged(level, None, level)
    set_ = house.post(call("logging/setLevel", {"level": "error"}, id=2), session)
    assert result(set_)["result"] == {}
    for level in ("warning", "critical", "loud"):
        caller.logged(level, "l", level)
    house.served.last.answer()
    assert [one["params"] for one in told(guest.answer())[:-1]] == [
        {"level": "info", "data": "info"},
        {"level": "critical", "data": "critical", "logger": "l"},
    ]
    wrong = house.post(call("logging/setLevel", {"level": "loud"}), session)
    assert error(wrong) == -32602
    house.nothing_is_left()


def test_progress_is_told_to_those_who_asked_and_only_grows() -> None:
    house = ToolHouse()
    session = house.session()
    guest = house.post(call("tools/call", TOKEN), session)
    silent = house.post(call("tools/call", SLOW, id=2), session)
    for progress in (1, 1, 0.5, 2):
        house.served.requests[0].caller.progressed(progress, 3, None)
        house.served.requests[1].caller.progressed(progress, 3, None)
    for request in list(house.served.requests):
        request.answer()
    assert [one.get("params", {}).get("progress") for one in told(guest.answer())] == [
        *(1, 2, None)
    ]
    assert result(silent)["result"]["content"][0]["text"] == "done"
    house.nothing_is_left()


def test_a_stream_begins_with_an_id_where_clients_know_that() -> None:
    house = ToolHouse()
    for version, first in (("2025-06-18", "message"), ("2025-11-25", "prime")):
        guest = house.post(call("tools/call", TOKEN), house.session(version))
        house.served.last.caller.progressed(1, None, None)
        house.served.last.answer()
        answer = guest.answer()
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["cache-control"] == "no-cache, no-transform"
        assert answer.headers["mcp-session-id"]
        assert len(ids(answer)) == (3 if first == "prime" else 2)
        assert answer.body.startswith(b"id: 1-1\r\ndata:\r\n\r\n") == (first == "prime")
        assert answer.complete
    house.nothing_is_left()


def test_a_silent_call_shows_signs_of_life() -> None:
    house = ToolHouse()
    guest = house.post(call("tools/call", SLOW), house.session("2025-06-18"))
    assert guest.wire == b""
    house.clock.advance(PING_SECONDS)
    house.clock.advance(PING_SECONDS)
    house.served.last.answer()
    assert guest.answer().body.startswith(b": ping\n\n: ping\n\n")
    [answer] = told(guest.answer())
    assert answer["id"] == 1
    house.nothing_is_left()


# --- questions


def asking(house: ToolHouse, guest: Guest) -> tuple[dict[str, Any], list[Any]]:
    """Let the call that runs ask; gives the question on the wire."""
    answers: list[Any] = []
    asked = Deferred.fromCoroutine(house.served.last.caller.ask(FORM))
    asked.addBoth(answers.append)
    return told(guest.answer())[-1], answers


def test_a_question_is_asked_on_the_stream_of_its_call() -> None:
    house = ToolHouse()
    session = house.session(elicitation={})
    guest = house.post(call("tools/call", SLOW), session)
    question, answers = asking(house, guest)
    assert question["method"] == "elicitation/create"
    assert question["params"] == FORM["q"].params
    answer = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept"}}
    # Neither a wrong id nor one of another type is an answer to it.
    for id in ("ask-99", 1):
        assert house.post({**answer, "id": id}, session).answer().status == 202
    assert answers == []
    assert house.post(answer, session).answer().status == 202
    assert answers == [{"q": {"action": "accept"}}]
    assert house.post(answer, session).answer().status == 202  # once more, ignored
    house.served.last.answer()
    assert told(guest.answer())[-1]["id"] == 1
    house.nothing_is_left()


def test_another_session_cannot_answer_a_question() -> None:
    house = ToolHouse()
    guest = house.post(call("tools/call", SLOW), house.session(elicitation={}))
    question, answers = asking(house, guest)
    answer = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept"}}
    assert house.post(answer, house.session()).answer().status == 202
    assert answers == []
    house.nothing_is_left()


def test_a_client_may_refuse_to_answer() -> None:
    house = ToolHouse()
    session = house.session(elicitation={})
    guest = house.post(call("tools/call", SLOW), session)
    question, answers = asking(house, guest)
    refusal = {"code": -1, "message": "no"}
    house.post({"jsonrpc": "2.0", "id": question["id"], "error": refusal}, session)
    assert isinstance(answers[0].value, RpcError) and answers[0].value.rpc_code == -1
    house.nothing_is_left()


@pytest.mark.parametrize("declared", [{}, {"elicitation": {"url": {}}}])
def test_what_a_client_cannot_do_it_is_not_asked(declared: Any) -> None:
    house = ToolHouse()
    guest = house.post(call("tools/call", SLOW), house.session(**declared))
    answers: list[Any] = []
    Deferred.fromCoroutine(house.served.last.caller.ask(FORM)).addBoth(answers.append)
    assert answers[0].value.rpc_code == -32021
    assert answers[0].value.data == {"requiredCapabilities": {"elicitation": {}}}
    assert guest.wire == b""
    house.nothing_is_left()


# --- cancelling, hanging up, coming back


def test_a_call_is_cancelled_by_a_notification() -> None:
    house = ToolHouse()
    session = house.session()
    guest = house.post(call("tools/call", SLOW, id=7), session)
    other = house.post(call("tools/call", SLOW, id="7"), session)
    first, second = house.served.requests
    cancel = note("notifications/cancelled", {"requestId": 7})
    assert house.post(cancel, session).answer().status == 202
    assert first.cancelled and not second.cancelled
    assert error(guest) == -32800
    assert house.post(cancel, session).answer().status == 202  # it is gone
    second.answer()
    assert result(other)["id"] == "7"
    house.nothing_is_left()


def test_one_session_cannot_cancel_what_is_anothers() -> None:
    house = ToolHouse()
    house.post(call("tools/call", SLOW, id=7), house.session())
    cancel = note("notifications/cancelled", {"requestId": 7})
    house.post(cancel, house.session())
    assert not house.served.last.cancelled
    house.nothing_is_left()


def test_an_id_that_runs_cannot_be_used_again() -> None:
    house = ToolHouse()
    session = house.session()
    first = house.post(call("tools/call", SLOW), session)
    assert error(house.post(call("tools/call", SLOW), session)) == -32600
    house.served.last.answer()
    assert result(first)["result"]
    again = house.post(call("tools/call", SLOW), session)
    house.served.last.answer()
    assert result(again)["result"]
    house.nothing_is_left()


def test_what_is_told_too_late_is_dropped() -> None:
    house = ToolHouse()
    session = house.session()
    for ask in (house.post(call("tools/call", TOKEN), session), None):
        guest = ask or house.modern("tools/call", SLOW, token=1, level="info")
        caller = house.served.last.caller
        house.served.last.answer()
        before = guest.wire
        caller.progressed(1, None, None)
        caller.logged("error", None, "x")
        assert guest.wire == before
    house.nothing_is_left()


def test_a_path_may_end_with_a_slash() -> None:
    house = ToolHouse()
    begin = call("initialize", {"protocolVersion": "2025-06-18"})
    assert house.post(begin, path="/mcp/").answer().status == 200
    house.nothing_is_left()


def test_hanging_up_does_not_cancel() -> None:
    house = ToolHouse()
    session = house.session()
    guest = house.post(call("tools/call", TOKEN), session)
    request = house.served.last
    guest.leave()
    assert not request.cancelled
    request.caller.progressed(1, None, None)
    request.answer()
    house.nothing_is_left()


def test_a_client_that_was_cut_off_comes_back_for_the_rest() -> None:
    house = ToolHouse()
    session = house.session()
    guest = house.post(call("tools/call", TOKEN), session)
    request = house.served.last
    request.caller.progressed(1, None, None)
    last = ids(guest.answer())[-1]
    guest.leave()
    request.caller.progressed(2, None, None)
    back = house.listen(session, f"Last-Event-ID: {last}")
    assert [one["params"]["progress"] for one in told(back.answer())] == [2]
    request.caller.progressed(3, None, None)
    request.answer("at last")
    *_, answer = told(back.answer())
    assert answer["result"]["content"][0]["text"] == "at last"
    assert back.answer().complete
    # And once more, from the beginning.
    again = house.listen(session, "Last-Event-ID: 1-1")
    assert len(told(again.answer())) == 4 and again.answer().complete
    house.nothing_is_left()


def test_a_silent_call_can_be_come_back_to_once_it_has_shown_life() -> None:
    house = ToolHouse()
    session = house.session("2025-11-25")
    guest = house.post(call("tools/call", SLOW), session)
    house.clock.advance(PING_SECONDS)
    assert guest.answer().body == b"id: 1-1\r\ndata:\r\n\r\n: ping\n\n"
    guest.leave()
    house.served.last.answer("late")
    back = house.listen(session, "Last-Event-ID: 1-1")
    assert b"late" in back.answer().body and back.answer().complete
    again = house.listen(session, "Last-Event-ID: 1-2").answer()
    assert again.headers["content-type"] == "text/event-stream"
    assert (again.body, again.complete) == (b"", True)
    house.nothing_is_left()


@pytest.mark.parametrize(
    "last", ["", "x", "1", "9-1", "1-0", "1-99", "1-1-1", "\xb9-1", "-1"]
)
def test_what_was_never_told_cannot_be_gone_on_with(last: str) -> None:
    house = ToolHouse()
    session = house.session()
    guest = house.post(call("tools/call", TOKEN), session)
    house.served.last.caller.progressed(1, None, None)
    guest.leave()
    assert house.listen(session, f"Last-Event-ID: {last}").answer().status == 400
    house.nothing_is_left()


def test_a_stream_has_one_reader() -> None:
    house = ToolHouse()
    session = house.session()
    house.post(call("tools/call", TOKEN), session)
    house.served.last.caller.progressed(1, None, None)
    assert house.listen(session, "Last-Event-ID: 1-1").answer().status == 409
    house.listen(session)
    assert house.listen(session).answer().status == 409
    house.nothing_is_left()


# --- the stream of a session


def test_changes_are_told_on_the_stream_of_the_session() -> None:
    house = ToolHouse()
    session = house.session()
    house.served.change()  # before anybody listens
    stream = house.listen(session)
    house.served.change("prompts")
    assert [one["method"] for one in told(stream.answer())] == [
        "notifications/tools/list_changed",
        "notifications/prompts/list_changed",
    ]
    house.clock.advance(PING_SECONDS)
    house.clock.advance(PING_SECONDS)
    assert stream.answer().body.endswith(b": ping\n\n")
    stream.leave()
    house.served.change()
    back = house.listen(session)
    assert len(told(back.answer())) == 1
    house.nothing_is_left()


def test_a_stream_is_begun_before_there_is_anything_to_tell() -> None:
    house = ToolHouse()
    for version in ("2025-06-18", "2025-11-25"):
        answer = house.listen(house.session(version)).answer()
        assert (answer.status, told(answer)) == (200, [])
        assert ids(answer) == (["0-1"] if version == "2025-11-25" else [])
    house.nothing_is_left()


def test_a_stream_must_be_accepted() -> None:
    house = ToolHouse()
    session = house.session()
    answer = house.guest().get("/mcp", "GET", session, "Accept: application/json")
    assert answer.status == 406
    assert house.listen("X-No: session").answer().status == 400
    house.nothing_is_left()


def test_a_client_that_does_not_read_loses_its_stream_and_not_our_memory() -> None:
    house = ToolHouse()
    stream = house.listen(house.session())
    stream.stop_reading()
    before = len(stream.wire)
    for _ in range(100_000):
        house.served.change()
        if not stream.open:
            break
    house.clock.advance(0)
    assert not stream.open
    assert len(stream.wire) - before < 2 * 2**20
    house.nothing_is_left()


def test_progress_is_dropped_for_a_client_that_does_not_read() -> None:
    house = ToolHouse()
    guest = house.post(call("tools/call", TOKEN), house.session())
    caller = house.served.last.caller
    guest.stop_reading()
    for progress in range(1000):
        caller.progressed(progress, None, "x" * 100)
    assert len(guest.wire) < 10_000
    house.served.last.answer()
    guest.read_on()
    assert told(guest.answer())[-1]["id"] == 1
    house.nothing_is_left()


# --- the end


def test_deleting_a_session_ends_what_runs_for_it() -> None:
    house = ToolHouse()
    session = house.session()
    stream = house.listen(session)
    guest = house.post(call("tools/call", SLOW), session)
    request = house.served.last
    house.guest().get("/mcp", "DELETE", session)
    assert request.cancelled and error(guest) == -32800
    assert stream.answer().complete
    assert house.served.watches == []
    house.nothing_is_left()


def test_draining_ends_streams_and_waits_for_calls() -> None:
    house = ToolHouse()
    session = house.session()
    stream = house.listen(session)
    guest = house.post(call("tools/call", SLOW), session)
    house.site.stop_keepalive()
    idle: list[None] = []
    house.site.when_idle().addCallback(idle.append)
    assert stream.answer().complete and not idle
    house.served.last.answer()
    house.clock.advance(0)
    assert result(guest)["result"] and idle
    house.nothing_is_left()


def test_one_client_runs_so_many_calls_at_once_and_no_more() -> None:
    house = ToolHouse()
    session = house.session()
    for id in range(MOST):
        house.post(call("tools/call", SLOW, id=id), session).leave()
    assert error(house.post(call("tools/call", SLOW, id="more"), session)) == -32603
    house.served.last.answer()
    assert house.post(call("tools/call", SLOW, id="now"), session).wire == b""
    house.nothing_is_left()


# --- batches


def test_a_batch_is_answered_together_where_there_are_batches() -> None:
    house = ToolHouse()
    session = house.session("2025-03-26")
    batch = [
        call("ping", id=1),
        note("notifications/initialized"),
        call("tools/call", {"name": "echo"}, id="b"),
    ]
    answers = json.loads(house.post(batch, session).answer().body)
    assert [one["id"] for one in answers] == [1, "b"]
    notes = house.post([note("notifications/initialized")] * 2, session)
    assert (notes.answer().status, notes.answer().body) == (202, b"")
    house.nothing_is_left()


def test_a_batch_is_a_stream_when_something_comes_before_its_answers() -> None:
    house = ToolHouse()
    session = house.session("2025-03-26")
    guest = house.post([call("ping", id=1), call("tools/call", TOKEN, id=2)], session)
    house.served.last.caller.progressed(1, None, None)
    house.served.last.answer()
    assert [one.get("id") for one in told(guest.answer())] == [None, 1, 2]
    house.nothing_is_left()


@pytest.mark.parametrize("version", ["2024-11-05", "2025-06-18", "2025-11-25"])
def test_a_batch_is_refused_where_there_are_none(version: str) -> None:
    house = ToolHouse()
    guest = house.post([call("ping")], house.session(version))
    assert (guest.answer().status, error(guest)) == (400, -32600)
    house.nothing_is_left()


def test_a_batch_does_not_begin_a_session() -> None:
    house = ToolHouse()
    begin = call("initialize", {"protocolVersion": "2025-03-26"})
    assert house.post([begin]).answer().status == 400
    refused = house.post([begin], house.session("2025-03-26"))
    assert error(refused) == -32600
    house.nothing_is_left()


def test_half_of_a_surrogate_pair_does_not_crash() -> None:
    house = ToolHouse()
    body = b'{"jsonrpc":"2.0","id":"\\ud800","method":"tools/call","params":' + (
        b'{"name":"echo","arguments":{"message":"\\ud800"}}}'
    )
    guest = house.post(body, house.session())
    assert guest.answer().status in (200, 400)
    house.nothing_is_left()
