"""The Responses API over HTTP: what is asked for a guest, told to it, and kept."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from attrs import define, field
from twisted.internet.testing import MemoryReactorClock

from modelplex.config import Config, Server
from modelplex.config import Guest as Policy
from modelplex.graph import build
from modelplex.surface.root import render_error
from modelplex.surface.site import GuestSite, Limits
from modelplex.testing.memory.guest import Answered, Guest
from modelplex.testing.memory.house import House, upstream
from modelplex.testing.memory.upstream import Connection, Upstreams
from modelplex.wire import sse

RESPONSES = "/v1/responses"
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
}


def said(text: str = "Hello", **more: Any) -> bytes:
    """A chat upstream's whole answer, streamed."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None, **more}
    chunk = {"id": "c", "created": 1, "model": "m", "choices": [choice]}
    last = {"index": 0, "delta": {}, "finish_reason": more.get("finish", "stop")}
    chunks = [chunk, {**chunk, "choices": [last]}]
    events = [b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks]
    return b"".join(events) + b"data: [DONE]\n\n"


def response(id: str = "resp_own", **more: Any) -> dict[str, Any]:
    """A response object as a provider sends it that was told to store nothing."""
    return {
        "id": id,
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "m-2026",
        "output": [MESSAGE],
        "store": False,
        "error": None,
        "previous_response_id": None,
        "usage": None,
        **more,
    }


@define(eq=False)
class Asking:
    """A guest in front of one upstream that speaks ``chat`` or ``responses``."""

    api: str = "chat"
    allow: Any = ()
    house: House = field(init=False)
    connection: Connection | None = None

    def __attrs_post_init__(self) -> None:
        policy = Policy(name="default", allow=self.allow)
        self.house = House((upstream("up", api=self.api),), policy=policy)

    def post(self, target: str = RESPONSES, **members: Any) -> Guest:
        guest = self.house.guest()
        guest.post(target, {"model": "m", "input": "hello", **members})
        self.house.turn()
        if self.house.upstreams.waiting():
            self.connection = self.house.upstreams.accept()
            self.house.turn()
        return guest

    def asked(self) -> dict[str, Any]:
        """What the upstream is asked now."""
        assert self.connection is not None
        body: dict[str, Any] = json.loads(self.connection.requests()[-1].body)
        return body

    def answer(self, body: bytes, streamed: bool = True, status: int = 200) -> None:
        assert self.connection is not None
        if streamed:
            self.connection.begin()
            self.connection.chunk(body)
            self.connection.finish()
        else:
            self.connection.answer(body, status)
        self.house.turn()

    def made(self, text: str = "Hello", **members: Any) -> dict[str, Any]:
        """The response to a request that a chat upstream answers with `text`."""
        guest = self.post(**members)
        self.answer(said(text))
        answered = guest.answer()
        assert answered.status == 200, answered.body
        if members.get("stream"):
            found: dict[str, Any] = json.loads(answered.events[-1])["response"]
        else:
            found = json.loads(answered.body)
        return found

    def passed(self, **members: Any) -> dict[str, Any]:
        """The same, for an upstream that speaks the API itself."""
        guest = self.post(**members)
        self.answer(json.dumps(response()).encode(), streamed=False)
        found: dict[str, Any] = json.loads(guest.answer().body)
        return found

    def get(self, id: str, more: str = "", method: str = "GET") -> Answered:
        return self.house.guest().get(f"{RESPONSES}/{id}{more}", method)

    def done(self) -> None:
        self.house.nothing_is_left()


def contents(asked: dict[str, Any]) -> list[str]:
    """What a chat upstream was asked, message by message."""
    return [message["content"] for message in asked["messages"]]


# --- answers


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_repeats_what_was_asked(stream: bool) -> None:
    asking = Asking()
    made = asking.made(stream=stream, metadata={"a": "b"}, temperature=0.5)
    assert (made["metadata"], made["temperature"]) == ({"a": "b"}, 0.5)
    assert (made["status"], made["model"]) == ("completed", "m")
    assert made["output"][0]["content"][0]["text"] == "Hello"
    assert (made["store"], made["previous_response_id"]) == (True, None)
    asking.done()


def test_a_provider_is_told_to_store_nothing() -> None:
    asking = Asking("responses")
    asking.post(store=True)
    assert asking.asked()["store"] is False
    asking.done()


@pytest.mark.parametrize("store", [True, False])
def test_a_passed_answer_says_what_is_stored_here(store: bool) -> None:
    asking = Asking("responses")
    assert asking.passed(store=store) == response(store=store)
    assert (asking.get("resp_own").status == 200) is store
    asking.done()


def test_a_passed_stream_says_it_in_every_response_and_nothing_else() -> None:
    asking = Asking("responses")
    guest = asking.post(stream=True)
    assert asking.asked()["stream"] is True
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response(status="in_progress")},
        {"type": "response.output_text.delta", "delta": "Hello", "odd": 1.50},
        {"type": "response.completed", "response": response()},
    ]
    told = [sse.encode(json.dumps(e).encode(), e["type"]) for e in events]
    asking.answer(b"".join(told))
    events[0]["response"]["store"] = events[2]["response"]["store"] = True
    answered = guest.answer()
    assert [json.loads(event) for event in answered.events] == events
    assert told[1] in answered.body  # to the byte
    assert json.loads(asking.get("resp_own").body) == response(store=True)
    asking.done()


def test_an_answer_that_breaks_ends_as_the_response_that_it_was() -> None:
    asking = Asking("responses")
    guest = asking.post(stream=True)
    begun = {"type": "response.created", "sequence_number": 0}
    begun["response"] = response(status="in_progress")
    delta = {"type": "response.output_text.delta", "sequence_number": 1, "delta": "x"}
    assert asking.connection is not None
    asking.connection.begin()
    for event in (begun, delta):
        asking.connection.chunk(sse.encode(json.dumps(event).encode(), None))
    asking.connection.cut()
    asking.house.turn()
    last = json.loads(guest.answer().events[-1])
    assert (last["type"], last["sequence_number"]) == ("response.failed", 2)
    assert last["response"]["id"] == "resp_own"
    assert asking.get("resp_own").status == 404
    asking.done()


# --- going on


@pytest.mark.parametrize("stream", [True, False])
def test_a_conversation_goes_on_from_what_was_stored(stream: bool) -> None:
    asking = Asking()
    first = asking.made("Hello", stream=stream)
    again = {"input": "and?", "previous_response_id": first["id"]}
    guest = asking.post(stream=stream, instructions="short", **again)
    asked = contents(asking.asked())
    assert asked == ["short", "hello", "Hello", "and?"]
    asking.answer(said("More"))
    answered = guest.answer()
    events = answered.events if stream else [b'{"response":%b}' % answered.body]
    second = json.loads(events[-1])["response"]
    assert second["previous_response_id"] == first["id"]
    asking.post(input="so?", previous_response_id=second["id"])
    # Instructions are not inherited.
    assert contents(asking.asked()) == ["hello", "Hello", "and?", "More", "so?"]
    asking.done()


def test_a_passed_request_has_it_all_and_no_ids_of_ours() -> None:
    asking = Asking("responses")
    first = asking.passed()
    asking.asked()
    asking.post(input="and?", previous_response_id=first["id"])
    asked = asking.asked()
    assert "previous_response_id" not in asked
    assert [item.get("id") for item in asked["input"]] == [None, None, None]
    assert [item["role"] for item in asked["input"]] == ["user", "assistant", "user"]
    asking.done()


def test_an_item_can_be_named_in_the_place_of_itself() -> None:
    asking = Asking()
    first = asking.made(store=True)
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}
    asking.post(input=[reference, {"role": "user", "content": "that"}])
    assert contents(asking.asked()) == ["Hello", "that"]
    guest = asking.post(input=[{"type": "item_reference", "id": "msg_none"}])
    assert guest.answer().error["code"] == "item_not_found"
    asking.done()


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_what_is_not_known_cannot_be_gone_on_from(api: str) -> None:
    asking = Asking(api)
    answer = asking.post(previous_response_id="resp_none").answer()
    assert (answer.status, asking.connection) == (400, None)
    assert answer.error == {
        "message": "Previous response with id 'resp_none' not found.",
        "type": "invalid_request_error",
        "param": "previous_response_id",
        "code": "previous_response_not_found",
    }
    asking.done()


def test_nothing_is_kept_of_what_is_not_to_be_stored() -> None:
    asking = Asking()
    made = asking.made(store=False)
    assert made["store"] is False
    assert asking.get(made["id"]).status == 404
    answer = asking.post(previous_response_id=made["id"]).answer()
    assert answer.error["code"] == "previous_response_not_found"
    asking.done()


def test_an_incomplete_response_is_kept_and_a_failed_one_is_not() -> None:
    asking = Asking()
    guest = asking.post()
    asking.answer(said("Hel", finish="length"))
    made = json.loads(guest.answer().body)
    assert made["status"] == "incomplete"
    assert asking.get(made["id"]).status == 200
    guest = asking.post(stream=True)
    asking.answer(said("Hel").removesuffix(b"data: [DONE]\n\n")[:-60])
    failed = json.loads(guest.answer().events[-1])["response"]
    assert failed["status"] == "failed"
    assert asking.get(failed["id"]).status == 404
    asking.done()


def test_a_guest_that_leaves_in_the_middle_leaves_nothing() -> None:
    asking = Asking()
    guest = asking.post(stream=True)
    assert asking.connection is not None
    asking.connection.begin()
    asking.connection.chunk(said().split(b"\n\n")[0] + b"\n\n")
    asking.house.turn()
    id = json.loads(guest.answer().events[0])["response"]["id"]
    guest.leave()
    asking.house.turn()
    assert asking.connection.hangups == 1
    assert asking.get(id).status == 404
    asking.done()


def test_with_server_state_the_providers_store_is_used() -> None:
    asking = Asking("responses", ("server-state",))
    reference = {"type": "item_reference", "id": "msg_theirs"}
    asking.post(input=[reference], previous_response_id="resp_theirs", store=True)
    asked = asking.asked()
    assert asked["previous_response_id"] == "resp_theirs"
    assert (asked["input"], asked["store"]) == ([reference], True)
    asking.done()


def test_another_guest_has_no_part_in_it() -> None:
    reactor = MemoryReactorClock()
    upstreams = Upstreams(reactor)
    names = (Policy(name="mine"), Policy(name="theirs"))
    config = Config(server=Server(), providers=(upstream("up"),), guests=names)
    graph = build(config, reactor)
    mine, theirs = (
        GuestSite(root, limits=Limits(), reactor=reactor, render_error=render_error)
        for root in [door.root for door in graph.doors]
    )
    guest = Guest(mine, reactor)
    guest.post(RESPONSES, {"model": "m", "input": "secret"})
    reactor.advance(0)
    connection = upstreams.accept()
    connection.begin()
    connection.chunk(said())
    connection.finish()
    id = json.loads(guest.answer().body)["id"]
    target = f"{RESPONSES}/{id}"
    assert guest.get(target).status == 200
    other = Guest(theirs, reactor)
    for method, more in (("GET", ""), ("DELETE", ""), ("GET", "/input_items")):
        assert other.get(target + more, method).status == 404
    other.post(RESPONSES, {"model": "m", "input": "", "previous_response_id": id})
    assert other.answers()[-1].error["code"] == "previous_response_not_found"
    assert guest.get(target).status == 200
    for one in (guest, other):
        one.leave()


# --- what is stored


def test_a_response_is_retrieved_as_it_was_answered() -> None:
    asking = Asking()
    made = asking.made()
    answer = asking.get(made["id"])
    assert json.loads(answer.body) == made
    assert answer.headers["content-type"] == "application/json"
    asking.done()


def test_nobody_keeps_the_events_of_a_stream() -> None:
    asking = Asking()
    made = asking.made(stream=True)
    answer = asking.get(made["id"], "?stream=true&starting_after=1")
    assert (answer.status, answer.error["param"]) == (400, "stream")
    asking.done()


def test_a_response_can_be_deleted_once() -> None:
    asking = Asking()
    id = asking.made()["id"]
    answer = asking.get(id, method="DELETE")
    deleted = {"id": id, "object": "response", "deleted": True}
    assert (answer.status, json.loads(answer.body)) == (200, deleted)
    assert asking.get(id, method="DELETE").status == 404
    assert asking.get(id).status == 404
    asking.done()


def test_nothing_runs_that_could_be_cancelled() -> None:
    asking = Asking()
    id = asking.made()["id"]
    answer = asking.get(id, "/cancel", "POST")
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")
    assert answer.error["message"] == "Cannot cancel a synchronous response."
    asking.done()


@pytest.mark.parametrize(
    ("method", "more"),
    [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")],
)
def test_what_is_not_known_is_not_found(method: str, more: str) -> None:
    asking = Asking()
    answer = asking.get("resp_none", more, method)
    assert (answer.status, answer.error["type"]) == (404, "invalid_request_error")
    assert answer.error["message"] == "Response with id 'resp_none' not found."
    asking.done()


def test_the_input_is_listed_a_page_at_a_time() -> None:
    asking = Asking()
    words = [{"role": "user", "content": f"{n}"} for n in range(3)]
    id = asking.made(input=words)["id"]
    newest = json.loads(asking.get(id, "/input_items").body)
    assert [item["content"] for item in newest["data"]] == ["2", "1", "0"]
    assert newest["has_more"] is False
    page = json.loads(asking.get(id, "/input_items?limit=2&order=asc").body)
    assert [item["content"] for item in page["data"]] == ["0", "1"]
    assert page["has_more"] is True
    rest = f"/input_items?order=asc&after={page['last_id']}"
    page = json.loads(asking.get(id, rest).body)
    assert [item["content"] for item in page["data"]] == ["2"]
    asking.done()


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=²", "order=up", "after=no"]
)
def test_a_page_that_cannot_be_is_refused(query: str) -> None:
    asking = Asking()
    id = asking.made()["id"]
    answer = asking.get(id, f"/input_items?{quote(query, safe='=')}")
    assert (answer.status, answer.error["param"]) == (400, query.split("=")[0])
    asking.done()


# --- compaction


def test_compaction_is_passed_on() -> None:
    asking = Asking("responses")
    first = asking.passed()
    asking.asked()
    guest = asking.post("/v1/responses/compact", previous_response_id=first["id"])
    assert asking.connection is not None
    received = asking.connection.request()
    assert received.path == "/v1/responses/compact"
    asked = json.loads(received.body)
    assert asked.keys() == {"model", "input"}
    assert len(asked["input"]) == 3
    body = b'{"id":"resp_2","object":"response.compaction","output":[],"odd":1.50}'
    asking.answer(body, streamed=False)
    assert guest.answer().body == body
    assert asking.get("resp_2").status == 404
    asking.done()


def test_nobody_compacts_who_has_another_api() -> None:
    asking = Asking("chat")
    answer = asking.post("/v1/responses/compact").answer()
    assert (answer.status, answer.error["param"]) == (400, "model")
    answer = asking.post("/v1/responses/compact", model="none").answer()
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    asking.done()
