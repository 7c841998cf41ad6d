"""One conversation with a server, whatever the server sends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.mcp.client_session import ClientSession
from modelplex.mcp.effects import (
    Again,
    Answered,
    Asks,
    Changed,
    Effect,
    Failed,
    Logged,
    Progressed,
    Send,
    Ticket,
    Updated,
    Withdrawn,
)
from modelplex.mcp.handshake import Opened, Unfit
from modelplex.mcp.ourselves import Ourselves
from modelplex.mcp.pending import LINGERING, Pending
from modelplex.mcp.rounds import ROUNDS
from modelplex.tools import Question, ToolServerError
from modelplex.wire.jsonrpc import (
    Answer,
    Call,
    Failure,
    Message,
    Note,
    RpcError,
    message_of,
)

INFO = {"name": "modelplex", "version": "1"}
ROOTS = ({"uri": "file:///w", "name": "w"},)
CAPABILITIES: dict[str, Any] = {"tools": {}}
P = "io.modelcontextprotocol/"


def sent(effects: list[Effect]) -> list[Message]:
    return [e.message for e in effects if isinstance(e, Send)]


def call_of(effects: list[Effect]) -> Call:
    (call,) = [m for m in sent(effects) if isinstance(m, Call)]
    return call


def legacy(*, interactive: bool = False, roots: Any = ()) -> ClientSession:
    session = ClientSession(Ourselves(INFO, roots, interactive), "legacy")
    number = call_of(session.begin()).id
    told = {"protocolVersion": "2025-11-25", "capabilities": CAPABILITIES}
    session.receive(Answer(number, told))
    return session


def modern(*, roots: Any = ()) -> ClientSession:
    session = ClientSession(Ourselves(INFO, roots), "modern")
    number = call_of(session.begin()).id
    told = {"supportedVersions": ["2026-07-28"], "capabilities": CAPABILITIES}
    session.receive(Answer(number, told))
    return session


def begun(session: ClientSession, **more: Any) -> tuple[Ticket, Call]:
    ticket = Ticket("tools/call", {"name": "t"}, **more)
    return ticket, call_of(session.call(ticket))


# Opening


def test_a_legacy_server_is_told_that_it_is_initialized_before_anything_else() -> None:
    session = ClientSession(Ourselves(INFO), "legacy")
    call = call_of(session.begin())
    assert call.method == "initialize"
    assert call.params == {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": INFO,
    }
    told = {"protocolVersion": "2024-11-05", "capabilities": CAPABILITIES}
    opened = Opened("2024-11-05", CAPABILITIES)
    assert session.receive(Answer(call.id, told)) == [
        Send(Note("notifications/initialized")),
        opened,
    ]
    assert session.opened == opened


def test_only_what_can_be_answered_is_declared() -> None:
    declared = [
        call_of(ClientSession(Ourselves(INFO, roots, some), "legacy").begin()).params
        for roots, some in [((), False), (ROOTS, False), ((), True)]
    ]
    assert [one["capabilities"] for one in declared] == [
        {},
        {"roots": {}},
        {"sampling": {}, "elicitation": {}},
    ]


def test_a_probe_carries_an_envelope_and_is_given_up_when_it_is_overdue() -> None:
    session = ClientSession(Ourselves(INFO))
    probe = call_of(session.begin())
    assert probe.params["_meta"] == {
        P + "protocolVersion": "2026-07-28",
        P + "clientCapabilities": {},
        P + "clientInfo": INFO,
    }
    assert session.probing
    call = call_of(session.overdue())
    assert (call.method, session.probing, session.overdue()) == (
        "initialize",
        False,
        [],
    )
    late = Answer(probe.id, {"supportedVersions": ["2026-07-28"]})
    assert session.receive(late) == []
    assert session.ignored["late"] == 1


def test_what_comes_before_it_is_open_is_answered_or_dropped() -> None:
    session = ClientSession(Ourselves(INFO, ROOTS, True), "legacy")
    session.begin()
    changed = Note("notifications/tools/list_changed")
    assert session.receive(changed) == []
    assert session.receive(Call("a", "ping")) == [Send(Answer("a", {}))]
    (refused,) = sent(session.receive(Call("b", "sampling/createMessage")))
    assert isinstance(refused, Failure)


def test_a_server_that_cannot_be_talked_to_is_unfit() -> None:
    session = ClientSession(Ourselves(INFO), "legacy")
    number = call_of(session.begin()).id
    (unfit,) = session.receive(Failure(number, -32603, "no"))
    assert isinstance(unfit, Unfit)


# Requests


def test_a_legacy_request_has_no_envelope_and_a_token_of_ours() -> None:
    session = legacy()
    meta = {P + "clientInfo": {}, "progressToken": "theirs", "traceparent": "t"}
    ticket = Ticket("tools/call", {"name": "t", "_meta": meta, "task": {"ttl": 1}})
    call = call_of(session.call(ticket))
    assert call.params == {
        "name": "t",
        "_meta": {"traceparent": "t", "progressToken": call.id},
    }


def test_a_modern_request_tells_what_its_caller_can_be_asked() -> None:
    session = modern(roots=ROOTS)
    can: dict[str, Any] = {"elicitation": {}, "tasks": {}}
    _, call = begun(session, capabilities=can, log_level="info")
    meta = call.params["_meta"]
    assert meta[P + "clientCapabilities"] == {"elicitation": {}, "roots": {}}
    assert meta[P + "logLevel"] == "info"
    assert meta["progressToken"] == call.id


def test_requests_of_our_own_ask_for_no_progress() -> None:
    ticket = Ticket("tools/list", {}, private=False)
    session = legacy()
    assert call_of(session.call(ticket)).params == {}
    assert session.in_flight == 0


def test_an_id_is_never_used_again() -> None:
    session = modern()
    seen = set()
    for _ in range(20):
        ticket, call = begun(session)
        seen.add(call.id)
        session.receive(Answer(call.id, {"content": []}))
        session.cancel(ticket, "")
    assert len(seen) == 20


def test_answers_may_come_in_any_order_and_as_text() -> None:
    session = legacy()
    (one, first), (two, second) = begun(session), begun(session)
    assert session.receive(Answer(str(second.id), {"n": 2})) == [
        Answered(two, {"n": 2})
    ]
    (failed,) = session.receive(Failure(first.id, -32602, "no such tool", {"a": 1}))
    assert isinstance(failed, Failed)
    assert failed.ticket is one
    assert isinstance(failed.error, RpcError)
    assert (failed.error.rpc_code, failed.error.data) == (-32602, {"a": 1})


def test_an_answer_that_nobody_waits_for_is_counted_and_dropped() -> None:
    session = legacy()
    _, call = begun(session)
    session.receive(Answer(call.id, {}))
    for stray in (call.id, 0, -1, 10**30, "abc", "", "٣", 99):
        assert session.receive(Answer(stray, {"spoofed": True})) == []
        assert session.receive(Failure(stray, -1, "")) == []
    assert session.receive(Failure(None, -32700, "")) == []
    assert session.ignored["late"] == 2
    assert session.ignored["unknown"] == 15


@pytest.mark.parametrize("result", [None, 3, "x", [], True])
def test_a_result_that_is_no_object_is_a_failure(result: Any) -> None:
    for session in (legacy(), modern()):
        ticket, call = begun(session)
        (failed,) = session.receive(Answer(call.id, result))
        assert isinstance(failed, Failed)
        assert failed.ticket is ticket


def test_a_modern_result_of_an_unknown_type_is_a_failure() -> None:
    session = modern()
    _, call = begun(session)
    (failed,) = session.receive(Answer(call.id, {"resultType": "task"}))
    assert isinstance(failed, Failed)


def test_the_end_fails_everything_once_and_sends_nothing() -> None:
    session, error = legacy(interactive=True), ToolServerError("gone")
    ticket, call = begun(session)
    session.receive(Call("q", "elicitation/create"))
    effects = session.close(error)
    assert [type(e) for e in effects] == [Withdrawn, Failed]
    assert effects[-1] == Failed(ticket, error)
    assert session.close(error) == []
    assert session.receive(Answer(call.id, {})) == []


def test_a_round_that_waits_for_the_caller_fails_at_the_end_too() -> None:
    session, error = modern(), ToolServerError("gone")
    ticket, call = begun(session)
    session.receive(Answer(call.id, asking()))
    assert session.close(error)[-1] == Failed(ticket, error)


# Progress and logs


def progress(token: Any, value: Any, **more: Any) -> Note:
    given = {"progressToken": token, "progress": value, **more}
    return Note("notifications/progress", given)


def test_progress_reaches_whose_token_it_names_and_only_rises() -> None:
    session = legacy()
    (one, first), (two, second) = begun(session), begun(session)
    assert session.receive(progress(second.id, 1, total=4, message="m")) == [
        Progressed(two, 1, 4, "m")
    ]
    assert session.receive(progress(second.id, 1)) == []
    assert session.receive(progress(second.id, 0.5)) == []
    assert session.receive(progress(str(first.id), -3, total="x")) == [
        Progressed(one, -3, None, None)
    ]
    for nonsense in (progress(99, 1), progress(True, 5), progress(first.id, "9")):
        assert session.receive(nonsense) == []
    for number in (float("nan"), float("inf"), True, None, 10**400):
        assert session.receive(progress(first.id, number)) == []
    session.receive(Answer(first.id, {}))
    assert session.receive(progress(first.id, 9)) == []


def log(level: Any = "error") -> Note:
    return Note("notifications/message", {"level": level, "data": "d", "logger": "l"})


def test_a_line_belongs_to_the_only_request_and_to_its_level() -> None:
    for session in (legacy(), modern()):
        ticket, _ = begun(session, log_level="warning")
        assert session.receive(log()) == [Logged(ticket, "error", "l", "d")]
        assert session.receive(log("info")) == []
        assert session.receive(log("loud")) == []
        assert session.receive(log(["error"])) == []


def test_a_line_that_may_be_somebody_elses_is_dropped() -> None:
    session = legacy()
    assert session.receive(log()) == []
    _, first = begun(session, log_level="debug")
    begun(session, log_level="debug")
    assert session.receive(log()) == []
    session.receive(Answer(first.id, {}))
    assert len(session.receive(log())) == 1


def test_a_request_that_was_given_up_may_still_be_what_a_line_is_about() -> None:
    session = legacy()
    gone, call = begun(session)
    session.cancel(gone, "")
    begun(session, log_level="debug")
    assert session.receive(log()) == []
    assert isinstance(call.id, int)
    session.forget(call.id)
    assert len(session.receive(log())) == 1


def test_the_late_answer_ends_that_doubt() -> None:
    session = legacy()
    gone, call = begun(session)
    session.cancel(gone, "")
    begun(session, log_level="debug")
    assert session.receive(Answer(call.id, {})) == []
    assert len(session.receive(log())) == 1


def test_our_own_requests_do_not_make_a_line_doubtful() -> None:
    session = legacy()
    session.call(Ticket("tools/list", {}, private=False))
    begun(session, log_level="debug")
    assert len(session.receive(log())) == 1


def test_what_was_given_up_is_remembered_within_a_bound() -> None:
    pending = Pending()
    for number in range(LINGERING + 1):
        pending.linger(number)
    pending.put(Ticket("tools/call", {}))
    for number in range(1, LINGERING + 1):
        assert pending.only() is None
        pending.forget(number)
    assert pending.only() is not None


# Cancelling


def test_a_request_that_is_cancelled_is_told_and_its_answer_dropped() -> None:
    session = legacy()
    ticket, call = begun(session)
    told = {"requestId": call.id, "reason": "gone"}
    cancelled = Send(Note("notifications/cancelled", told))
    assert session.cancel(ticket, "gone") == [cancelled]
    assert session.cancel(ticket, "gone") == []
    assert session.receive(Answer(call.id, {})) == []
    assert session.in_flight == 0


# Questions of a legacy server


def test_a_ping_is_answered_with_its_own_id() -> None:
    session = legacy()
    for number in (1, "1", "srv-1"):
        assert session.receive(Call(number, "ping")) == [Send(Answer(number, {}))]


def test_roots_are_told_from_our_configuration() -> None:
    told = {"roots": list(ROOTS)}
    assert legacy(roots=ROOTS).receive(Call(0, "roots/list")) == [Send(Answer(0, told))]
    (refused,) = sent(legacy().receive(Call(0, "roots/list")))
    assert isinstance(refused, Failure)
    assert refused.code == -32601


@pytest.mark.parametrize("method", ["sampling/createMessage", "elicitation/create"])
def test_nobody_is_asked_what_was_not_declared(method: str) -> None:
    session = legacy()
    begun(session)
    (refused,) = sent(session.receive(Call(5, method)))
    assert refused == Failure(5, -32601, "this client has no such method")


def test_the_only_caller_is_asked() -> None:
    session = legacy(interactive=True)
    ticket, _ = begun(session)
    (asks,) = session.receive(Call("q", "elicitation/create", {"message": "?"}))
    question = Question("elicitation/create", {"message": "?"})
    assert asks == Asks(ticket, {"request": question}, "q")
    assert isinstance(asks, Asks)
    answer = {"action": "accept"}
    assert session.replied(asks, {"request": answer}) == [Send(Answer("q", answer))]
    assert session.replied(asks, {"request": answer}) == []
    assert session.refused(asks, RpcError(-1, "")) == []


def test_nobody_is_asked_when_it_is_not_clear_who() -> None:
    session = legacy(interactive=True)
    for _ in range(2):
        (refused,) = sent(session.receive(Call("q", "elicitation/create")))
        assert isinstance(refused, Failure)
        assert refused.code == -32603
        begun(session)
        begun(session)


def test_a_mode_that_was_not_declared_is_refused() -> None:
    session = legacy(interactive=True)
    begun(session)
    (refused,) = sent(session.receive(Call(1, "elicitation/create", {"mode": "url"})))
    assert isinstance(refused, Failure)
    assert refused.code == -32602


def test_a_refusal_is_told_and_modern_codes_are_not() -> None:
    for code, told in ((-1, -1), (-32021, -32601), (-32603, -32603)):
        session = legacy(interactive=True)
        begun(session)
        (asks,) = session.receive(Call("q", "elicitation/create"))
        assert isinstance(asks, Asks)
        assert session.refused(asks, RpcError(code, "no", {"x": 1})) == [
            Send(Failure("q", told, "no"))
        ]


def test_a_question_ends_with_the_request_it_belongs_to() -> None:
    session = legacy(interactive=True)
    ticket, call = begun(session)
    (asks,) = session.receive(Call("q", "elicitation/create"))
    assert isinstance(asks, Asks)
    withdrawn, closed, answered = session.receive(Answer(call.id, {}))
    assert (withdrawn, answered) == (Withdrawn(asks), Answered(ticket, {}))
    assert isinstance(closed, Send)
    assert isinstance(closed.message, Failure)
    assert closed.message.id == "q"
    assert session.replied(asks, {"request": {}}) == []


def test_a_server_may_withdraw_its_question() -> None:
    session = legacy(interactive=True)
    begun(session)
    (asks,) = session.receive(Call("q", "elicitation/create"))
    assert isinstance(asks, Asks)
    cancelled = Note("notifications/cancelled", {"requestId": "q"})
    assert session.receive(cancelled) == [Withdrawn(asks)]
    assert session.receive(cancelled) == []
    assert session.replied(asks, {"request": {}}) == []


def test_a_server_has_so_many_questions_at_a_time_and_each_id_once() -> None:
    session = legacy(interactive=True)
    begun(session)
    found = [session.receive(Call(n % 20, "elicitation/create")) for n in range(40)]
    asked = [e for effects in found for e in effects if isinstance(e, Asks)]
    assert [one.id for one in asked] == list(range(16))


def test_a_modern_server_has_nothing_to_ask() -> None:
    session = modern()
    begun(session)
    for method in ("ping", "roots/list", "elicitation/create"):
        assert session.receive(Call(1, method)) == []
    assert session.ignored["request"] == 3


# Rounds of a modern server


def asking(state: Any = "s", **requests: str) -> dict[str, Any]:
    asked = {key: {"method": method, "params": {}} for key, method in requests.items()}
    asked = asked or {"ok": {"method": "elicitation/create", "params": {}}}
    round: dict[str, Any] = {"resultType": "input_required", "inputRequests": asked}
    return round if state is None else {**round, "requestState": state}


def test_a_round_is_the_same_request_with_answers_and_a_new_id() -> None:
    session = modern()
    ticket, first = begun(session)
    (asks,) = session.receive(Answer(first.id, asking(ok="elicitation/create")))
    assert isinstance(asks, Asks)
    assert asks.questions == {"ok": Question("elicitation/create", {})}
    assert session.receive(Answer(first.id, {})) == []
    second = call_of(session.replied(asks, {"ok": {"action": "decline"}}))
    assert second.id != first.id
    told = dict(second.params)
    assert told.pop("_meta")["progressToken"] == second.id
    assert told == {
        "name": "t",
        "inputResponses": {"ok": {"action": "decline"}},
        "requestState": "s",
    }
    (done,) = session.receive(Answer(second.id, {"resultType": "complete"}))
    assert done == Answered(ticket, {"resultType": "complete"})
    assert ticket.params == {"name": "t"}


def test_a_round_without_a_state_is_answered_without_one() -> None:
    session = modern()
    _, first = begun(session)
    (asks,) = session.receive(Answer(first.id, asking(None)))
    assert isinstance(asks, Asks)
    assert "requestState" not in call_of(session.replied(asks, {"ok": {}})).params


def test_a_round_without_questions_is_asked_again_later() -> None:
    session = modern()
    _, first = begun(session)
    told = {"resultType": "input_required", "requestState": "s"}
    (again,) = session.receive(Answer(first.id, told))
    assert isinstance(again, Again)
    params = call_of(session.replied(again.asks, {})).params
    assert params["requestState"] == "s"
    assert "inputResponses" not in params


def test_roots_are_answered_from_our_configuration_and_the_rest_is_asked() -> None:
    session = modern(roots=ROOTS)
    _, first = begun(session)
    asked = asking(where="roots/list", ok="elicitation/create")
    (asks,) = session.receive(Answer(first.id, asked))
    assert isinstance(asks, Asks)
    assert set(asks.questions) == {"ok"}
    second = call_of(session.replied(asks, {"ok": {}}))
    told = {"roots": list(ROOTS)}
    assert second.params["inputResponses"] == {"where": told, "ok": {}}
    third = call_of(session.receive(Answer(second.id, asking(where="roots/list"))))
    assert third.params["inputResponses"] == {"where": told}


def test_there_is_a_bound_on_rounds() -> None:
    session = modern()
    ticket, call = begun(session)
    for _ in range(ROUNDS):
        (asks,) = session.receive(Answer(call.id, asking()))
        assert isinstance(asks, Asks)
        call = call_of(session.replied(asks, {}))
    (failed,) = session.receive(Answer(call.id, asking()))
    assert isinstance(failed, Failed)
    assert failed.ticket is ticket


@pytest.mark.parametrize(
    "round",
    [
        {},
        {"requestState": 3},
        {"inputRequests": []},
        {"inputRequests": {"a": None}},
        {"inputRequests": {"a": {"method": "tools/call"}}},
        {"inputRequests": {"a": {"method": "roots/list", "params": 3}}},
        {"inputRequests": {str(n): {"method": "roots/list"} for n in range(33)}},
    ],
)
def test_a_round_that_cannot_be_read_is_a_failure(round: dict[str, Any]) -> None:
    session = modern()
    _, call = begun(session)
    told = {"resultType": "input_required", **round}
    (failed,) = session.receive(Answer(call.id, told))
    assert isinstance(failed, Failed)


def test_only_three_methods_have_rounds() -> None:
    session = modern()
    call = call_of(session.call(Ticket("completion/complete", {})))
    (failed,) = session.receive(Answer(call.id, asking()))
    assert isinstance(failed, Failed)


def test_a_caller_that_refuses_a_round_fails_the_request() -> None:
    session, error = modern(), RpcError(-32021, "cannot be asked")
    ticket, call = begun(session)
    (asks,) = session.receive(Answer(call.id, asking()))
    assert isinstance(asks, Asks)
    assert session.refused(asks, error) == [Failed(ticket, error)]


def test_a_request_that_is_cancelled_between_rounds_tells_the_server_nothing() -> None:
    session = modern()
    ticket, call = begun(session)
    (asks,) = session.receive(Answer(call.id, asking()))
    assert isinstance(asks, Asks)
    assert session.cancel(ticket, "") == [Withdrawn(asks)]
    assert session.replied(asks, {}) == []


# Changes


def test_changes_are_told() -> None:
    for session in (legacy(), modern()):
        for kind in ("tools", "resources", "prompts"):
            note = Note(f"notifications/{kind}/list_changed")
            assert session.receive(note) == [Changed()]
        updated = Note("notifications/resources/updated", {"uri": "a:b"})
        assert session.receive(updated) == [Updated("a:b")]
        assert session.receive(Note("notifications/resources/updated")) == []


def test_a_modern_server_may_end_the_stream_of_changes() -> None:
    session = modern()
    ticket = Ticket("subscriptions/listen", {}, private=False)
    number = call_of(session.call(ticket)).id
    (failed,) = session.receive(Note("notifications/cancelled", {"requestId": number}))
    assert isinstance(failed, Failed)
    _, call = begun(session)
    other = Note("notifications/cancelled", {"requestId": call.id})
    assert session.receive(other) == []


# Anything at all

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["1", "2", "complete", "input_required", "s", "error"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "a",
                    "progressToken",
                    "progress",
                    "requestId",
                    "method",
                    "uri",
                    "level",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
methods = st.sampled_from(
    [
        *("ping", "roots/list", "sampling/createMessage", "elicitation/create", "x"),
        *("notifications/progress", "notifications/message", "notifications/x"),
        *("notifications/cancelled", "notifications/tools/list_changed"),
        "notifications/resources/updated",
    ]
)
MEMBERS = (
    *("resultType", "inputRequests", "requestState", "protocolVersion", "supported"),
    "supportedVersions",
)
objects = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0")},
    optional={
        "id": st.integers(0, 12) | st.text(max_size=2) | json_values,
        "method": methods | json_values,
        "params": json_values,
        "result": st.dictionaries(st.sampled_from(MEMBERS), json_values) | json_values,
        "error": st.fixed_dictionaries(
            {}, optional={"code": json_values, "data": json_values}
        )
        | json_values,
    },
)


@given(
    st.sampled_from(["auto", "legacy", "modern", "open", "modern open"]),
    st.booleans(),
    st.lists(st.tuples(objects, st.integers(0, 4)), max_size=12),
)
def test_no_object_makes_it_raise(
    protocol: Any, interactive: bool, told: list[tuple[dict[str, Any], int]]
) -> None:
    if protocol == "open":
        session = legacy(interactive=interactive, roots=ROOTS)
    elif protocol == "modern open":
        session = modern()
    else:
        session = ClientSession(Ourselves(INFO, (), interactive), protocol)
        session.begin()
    if session.opened:
        for _ in range(3):
            begun(session, log_level="debug")
    for value, what in told:
        try:
            message = message_of(value)
        except RpcError:
            continue
        for effect in session.receive(message):
            if isinstance(effect, Asks) and what == 1:
                session.replied(effect, {})
            elif isinstance(effect, Asks) and what == 2:
                session.refused(effect, RpcError(-1, ""))
    failed = [e for e in session.close(ToolServerError("")) if isinstance(e, Failed)]
    assert len({id(e.ticket) for e in failed}) == len(failed)
    assert not session.in_flight
