"""What is remembered of a response, and how a request goes on from it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from modelplex.errors import BadRequest
from modelplex.events import (
    Event,
    Finished,
    FinishReason,
    Message,
    Role,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingSigned,
    ToolCall,
    ToolCallStarted,
)
from modelplex.wire.dialect import Answering
from modelplex.wire.jsonobject import JsonObject, open_object
from modelplex.wire.responses.dialect import RESPONSES
from modelplex.wire.responses.history import (
    Stored,
    continued,
    input_items,
    item_at,
    places,
    resolved,
    stored,
    without_foreign,
)
from modelplex.wire.responses.stream_out import ResponseStream


def body(input: Any, **members: Any) -> JsonObject:
    return open_object(msgspec.json.encode({"model": "m", "input": input} | members))


def spliced(request: JsonObject, changes: Any) -> JsonObject:
    return open_object(request.splice(changes))


def answered(request: JsonObject, *events: Event, id: str = "1") -> Stored:
    stream = ResponseStream(Answering("m", 1, id=id))
    for event in (*events, Finished(FinishReason.STOP)):
        stream.encode(event)
    stream.end()
    return stored(request, stream.final)


def texts(raw: bytes) -> list[Any]:
    return [item["content"] for item in json.loads(raw)["data"]]


def test_a_conversation_goes_on_from_what_was_said() -> None:
    first = answered(body("Hi", instructions="Be brief."), TextDelta("Hello"), id="1")
    again = body("More", previous_response_id=first.id, instructions="In verse.")
    whole = spliced(again, continued(again, first))
    second = answered(whole, TextDelta("Verse"), ToolCallStarted(0, "c", "f"), id="2")
    third = body(
        [{"type": "function_call_output", "call_id": "c", "output": "x"}],
        previous_response_id=second.id,
    )
    request = RESPONSES.decode_request(spliced(third, continued(third, second)))
    assert request.messages[:4] == (
        Message(Role.USER, (Text("Hi"),)),
        Message(Role.ASSISTANT, (Text("Hello"),)),
        Message(Role.USER, (Text("More"),)),
        Message(Role.ASSISTANT, (Text("Verse"), ToolCall("c", "f", "{}"))),
    )
    assert request.messages[4].role is Role.TOOL


def test_the_ids_of_reasoning_stay_and_others_go() -> None:
    first = answered(
        body("Hi"), ThinkingDelta("Hm"), ThinkingSigned("s"), TextDelta("a")
    )
    changes = continued(body("More"), first)
    assert changes["input"] is not None
    sent = json.loads(changes["input"])
    assert [item.get("id") for item in sent] == [None, "rs_1_0", None, None]
    request = RESPONSES.decode_request(spliced(body("More"), changes))
    assert request.messages[1].parts[0] == Thinking("Hm", "s")


def test_the_same_history_gives_the_same_bytes() -> None:
    first = answered(body("Hi"), TextDelta("Hello"))
    assert continued(body("x"), first) == continued(body("x"), first)


def test_size_is_what_it_takes() -> None:
    first = answered(body("Hi" * 1000), TextDelta("Hello"))
    assert first.size > 2000 + len(first.response)


def test_references_are_to_input_and_output() -> None:
    first = answered(body([{"role": "user", "content": "Hi"}]), TextDelta("Hello"))
    known = {id: item_at(first, place) for id, place in places(first).items()}
    assert set(known) == {"msg_1_in_0", "msg_1_0"}
    request = body(
        [
            {"type": "item_reference", "id": "msg_1_in_0"},
            {"type": None, "id": "msg_1_0"},
            {"role": "user", "content": "More"},
        ]
    )
    read = RESPONSES.decode_request(spliced(request, resolved(request, known)))
    assert [m.parts for m in read.messages] == [
        (Text("Hi"),),
        (Text("Hello"),),
        (Text("More"),),
    ]


def test_a_reference_to_nothing_is_refused_by_name() -> None:
    request = body([{"type": "item_reference", "id": "msg_9"}])
    with pytest.raises(BadRequest) as raised:
        resolved(request, {})
    assert raised.value.param == "input[0].id"


@pytest.mark.parametrize(
    "input", ["Hi", [], None, [{"role": "user", "content": "x", "id": "m"}]]
)
def test_without_references_nothing_changes(input: Any) -> None:
    assert resolved(body(input), {}) == {}


def test_input_items_come_in_pages() -> None:
    said = [{"role": "user", "content": str(n)} for n in range(5)]
    first = answered(body(said))
    page = input_items(first, limit=2)
    listed = json.loads(page)
    assert texts(page) == ["4", "3"]
    assert (listed["first_id"], listed["last_id"]) == ("msg_1_in_4", "msg_1_in_3")
    assert listed["object"] == "list" and listed["has_more"] is True
    last = input_items(first, after="msg_1_in_1", limit=2)
    assert texts(last) == ["0"] and json.loads(last)["has_more"] is False
    assert texts(input_items(first, order="asc")) == ["0", "1", "2", "3", "4"]
    empty = json.loads(input_items(first, after="msg_1_in_0"))
    assert (empty["data"], empty["first_id"]) == ([], None)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"order": "up"}, "order"),
        ({"after": "x"}, "after"),
    ],
)
def test_a_page_that_is_not_there_is_refused(asked: Any, param: str) -> None:
    with pytest.raises(BadRequest) as raised:
        input_items(answered(body("Hi")), **asked)
    assert raised.value.param == param


def test_reasoning_of_another_dialect_is_not_passed_on() -> None:
    own = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}
    other = own | {"encrypted_content": "modelplex:signed:x"}
    said = {"role": "user", "content": "about modelplex: things"}
    request = body([own, other, said])
    left = spliced(request, without_foreign(request, None))
    kept = json.loads(left.raw("input") or b"")
    assert kept == [own, said]
    assert without_foreign(body([own]), None) == {}
    assert without_foreign(body("modelplex:"), None) == {}


def test_what_cannot_be_remembered_is_refused() -> None:
    with pytest.raises(BadRequest):
        stored(body("Hi"), b"[")
    with pytest.raises(BadRequest):
        stored(body({}), b"{}")


def test_items_that_are_no_items_are_left_to_the_decoder() -> None:
    request = body([1, {"id": 2}, {"id": "a", "role": "user", "content": "x"}])
    assert resolved(request, {}) == {}
    first = answered(request, TextDelta("a"))
    page = json.loads(input_items(first, order="asc", limit=1, after="msg_1_in_0"))
    assert page["data"] == [{"id": "msg_1_in_1"}]


def test_a_request_without_input_has_no_items() -> None:
    empty = open_object(b'{"model":"m"}')
    assert answered(empty, TextDelta("a")).input == ()
