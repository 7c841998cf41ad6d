"""The Responses API over a WebSocket: what a guest may send, and what it is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.logger import ILogObserver, LogEvent, Logger
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Ping, TextMessage
from zope.interface import implementer

from modelplex.config import Guest, Timeouts
from modelplex.surface.response_memory import ResponseMemory
from modelplex.surface.site import Limits
from modelplex.surface.websocket import WAITING, Conversation
from modelplex.surface.websocket_frames import CLOSING_SECONDS
from modelplex.testing.memory.house import KEEPALIVE, House, upstream
from modelplex.testing.memory.upstream import Connection as Upstream
from modelplex.testing.memory.websocket import Talker

LIMITS = Limits(
    max_request_size=2000, body_timeout=20, idle_timeout=100, stall_timeout=30
)
PLAIN = [
    *("response.created", "response.in_progress", "response.output_item.added"),
    *("response.content_part.added", "response.output_text.delta"),
    *("response.output_text.done", "response.content_part.done"),
    *("response.output_item.done", "response.completed"),
]


@define(eq=False)
class Talk:
    """A WebSocket of a guest in front of a house with one chat upstream."""

    house: House = field(factory=lambda: House(limits=LIMITS))
    talker: Talker = field(init=False)
    connection: Upstream | None = None

    def __attrs_post_init__(self) -> None:
        self.talker = self.another()

    def another(self) -> Talker:
        one = Talker(self.house.guest())
        one.open()
        assert one.head.startswith("HTTP/1.1 101 ")
        return one

    def asked(self) -> dict[str, Any]:
        """What the upstream is asked now."""
        self.house.turn()
        if self.house.upstreams.waiting():
            self.connection = self.house.upstreams.accept()
            self.house.turn()
        assert self.connection is not None
        body: dict[str, Any] = json.loads(self.connection.request().body)
        return body

    def begin(self, text: str = "Hello") -> None:
        assert self.connection is not None
        self.connection.begin()
        self.say(text)

    def say(self, text: str) -> None:
        choice = {"index": 0, "delta": {"content": text}}
        chunk = {"id": "c", "created": 1, "model": "m", "choices": [choice]}
        assert self.connection is not None
        self.connection.chunk(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self.house.turn()

    def finish(self) -> None:
        choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
        chunk = {"id": "c", "created": 1, "model": "m", "choices": [choice]}
        assert self.connection is not None
        self.connection.chunk(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self.connection.chunk(b"data: [DONE]\n\n")
        self.connection.finish()
        self.house.turn()

    def answered(self, text: str = "Hello") -> dict[str, Any]:
        """Let the upstream answer; gives the last event."""
        self.asked()
        self.begin(text)
        self.finish()
        last: dict[str, Any] = self.talker.messages()[-1]
        return last

    def done(self) -> None:
        self.house.nothing_is_left()


# --- the handshake


def test_a_handshake_is_answered_with_its_proof() -> None:
    talk = Talk()
    # The example of RFC 6455 §1.3.
    assert "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in talk.talker.head
    assert "x-request-id: req_" in talk.talker.head
    talk.done()


@pytest.mark.parametrize(
    "wrong",
    [
        {"Sec-WebSocket-Version": "8"},
        {"Sec-WebSocket-Version": None},
        {"Sec-WebSocket-Key": None},
        {"Sec-WebSocket-Key": "short"},
        {"Sec-WebSocket-Key": "%%%"},
        {"Connection": "keep-alive"},
        {"Upgrade": "h2c"},
    ],
)
def test_a_handshake_that_is_none_sends_a_client_back_to_http(wrong: Any) -> None:
    house = House()
    Talker(house.guest()).open(**wrong)
    answer = house.guests[0].answer()
    assert (answer.status, answer.error["code"]) == (426, "upgrade_refused")
    house.nothing_is_left()


def test_a_web_page_opens_no_socket() -> None:
    house = House()
    Talker(house.guest()).open(Origin="http://evil.example")
    assert house.guests[0].answer().status == 403
    house.nothing_is_left()


def test_a_get_without_an_upgrade_is_told_to_post() -> None:
    house = House()
    answer = house.guest().get("/v1/responses")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    house.nothing_is_left()


@pytest.mark.parametrize(
    "target", ["/responses", "/v1/v1/responses", "/openai/v1/responses"]
)
def test_the_paths_that_people_send_lead_there_too(target: str) -> None:
    house = House()
    talker = Talker(house.guest())
    talker.open(target)
    assert talker.head.startswith("HTTP/1.1 101 ")
    house.nothing_is_left()


def test_a_client_that_only_probes_leaves_nothing() -> None:
    talk = Talk()
    talk.talker.frame(CloseConnection(1000))
    talk.house.turn()
    assert talk.talker.closed == 1000
    assert talk.house.site.connections == 0
    talk.done()


def test_sockets_count_as_connections() -> None:
    talk = Talk(House(limits=Limits(max_connections=1)))
    refused = talk.house.guest().get("/health")
    assert (refused.status, refused.error["code"]) == (503, "too_many_connections")
    talk.done()


# --- an answer


def test_every_event_is_one_message() -> None:
    talk = Talk()
    talk.talker.ask()
    assert talk.asked()["messages"] == [{"role": "user", "content": "hello"}]
    talk.begin()
    talk.finish()
    events = talk.talker.messages()
    assert [event["type"] for event in events] == PLAIN
    assert [event["sequence_number"] for event in events] == list(range(len(PLAIN)))
    [item] = events[-1]["response"]["output"]
    assert item["content"][0]["text"] == "Hello"
    talk.done()


def test_every_answer_has_an_id_of_its_own() -> None:
    talk = Talk()
    ids = set()
    for _ in range(3):
        talk.talker.ask()
        ids.add(talk.answered()["response"]["id"])
    assert len(ids) == 3
    talk.done()


def test_the_lane_of_a_message_is_on_every_event_of_its_answer() -> None:
    talk = Talk()
    talk.talker.ask(stream_id='a"b')
    talk.asked()
    talk.begin()
    talk.finish()
    assert {event["stream_id"] for event in talk.talker.messages()} == {'a"b'}
    talk.done()


def test_what_is_sent_meanwhile_waits_for_its_turn() -> None:
    talk = Talk()
    talk.talker.ask(input="first")
    talk.talker.ask(input="second")
    assert talk.asked()["messages"][0]["content"] == "first"
    talk.begin()
    assert talk.house.upstreams.waiting() == []
    talk.finish()
    assert talk.asked()["messages"][0]["content"] == "second"
    talk.begin()
    talk.finish()
    assert talk.talker.kinds().count("response.completed") == 2
    talk.done()


def test_more_than_may_wait_ends_the_connection() -> None:
    talk = Talk()
    talk.talker.ask()
    talk.asked()
    for _ in range(WAITING):
        talk.talker.ask()
    assert talk.talker.closed is None
    talk.talker.ask()
    talk.house.turn()
    assert talk.talker.closed == 1008
    assert talk.house.upstreams.open == []
    talk.done()


def test_so_does_more_than_one_request_may_have() -> None:
    talk = Talk()
    talk.talker.ask()
    talk.asked()
    talk.talker.ask(input="x" * 1200)
    talk.talker.ask(input="x" * 1200)
    assert talk.talker.closed == 1008
    talk.done()


def test_a_waiting_guest_is_pinged() -> None:
    talk = Talk()
    talk.talker.ask()
    talk.asked()
    talk.house.wait(int(KEEPALIVE) + 1)
    assert talk.talker.pings() == 1
    assert talk.talker.messages() == []
    talk.done()


# --- errors


@pytest.mark.parametrize(
    ("message", "status", "param"),
    [
        ("{", 400, None),
        ("[]", 400, None),
        (b"\xff", 400, None),
        ('{"type":"response.create"}', 400, "model"),
        ('{"type":"response.create","model":"none"}', 404, "model"),
        ('{"type":"session.update"}', 400, "type"),
        ('{"model":"m"}', 400, "type"),
        (
            '{"type":"response.create","model":"m","conversation":"c"}',
            403,
            "conversation",
        ),
    ],
)
def test_an_error_is_an_event_with_its_status(
    message: str, status: int, param: str | None
) -> None:
    talk = Talk()
    talk.talker.send(message)
    talk.house.turn()
    [event] = talk.talker.messages()
    assert (event["type"], event["status"]) == ("error", status)
    assert event["error"]["type"] == "invalid_request_error"
    assert event["error"]["param"] == param
    talk.talker.ask()  # and it goes on
    assert talk.answered()["type"] == "response.completed"
    talk.done()


def test_an_error_says_when_to_try_again() -> None:
    talk = Talk()
    talk.talker.ask(stream_id="a")
    talk.asked()
    assert talk.connection is not None
    talk.connection.answer(b'{"error":{"message":"slow"}}', 429, retry_after="3")
    talk.house.turn()
    [event] = talk.talker.messages()
    assert (event["status"], event["stream_id"]) == (429, "a")
    assert event["error"]["headers"]["retry-after"] == "3"
    assert event["headers"]["retry-after"] == "3"
    talk.done()


def test_an_answer_that_breaks_fails_in_its_own_events() -> None:
    talk = Talk()
    talk.talker.ask()
    talk.asked()
    talk.begin()
    assert talk.connection is not None
    talk.connection.cut()
    talk.house.turn()
    events = talk.talker.messages()
    assert events[-1]["type"] == "response.failed"
    again = {"previous_response_id": events[-1]["response"]["id"]}
    talk.talker.ask(**again)
    talk.house.turn()
    [event] = talk.talker.messages()
    assert event["error"]["code"] == "previous_response_not_found"
    talk.done()


def test_nobody_can_steer() -> None:
    talk = Talk()
    steer = {"type": "response.steer", "previous_response_id": "r", "input": "left"}
    talk.talker.send(json.dumps(steer))
    talk.house.turn()
    [event] = talk.talker.messages()
    assert event["type"] == "response.steer.failed"
    assert event["error"]["code"] == "steering_not_supported"
    assert event["steer"] == {"previous_response_id": "r", "input": "left"}
    talk.done()


def test_a_bug_closes_the_connection_and_tells_the_guest_nothing() -> None:
    events: list[LogEvent] = []

    @implementer(ILogObserver)
    def keep(event: LogEvent) -> None:
        events.append(event)

    class Observed(Conversation):
        # An observer of its own: to the test run a logged failure is a failed test.
        log = Logger(observer=keep)

    class Broken:
        memory = ResponseMemory(lambda: 0.0)

        async def create(self, message: object, owner: object) -> None:
            raise TypeError("a secret")

    house = House(limits=LIMITS)
    talker = Talker(house.guest())
    talker.open()
    broken: Any = Broken()
    channel = talker.guest.channel
    channel.upgrade(Observed(broken, channel).frames)
    talker.ask()
    assert talker.messages() == []
    assert talker.closed == 1011
    [event] = [e for e in events if "log_failure" in e]
    assert event["log_failure"].check(TypeError)
    assert b"secret" not in talker.guest.wire
    house.nothing_is_left()


# --- what is remembered


@pytest.mark.parametrize("store", [True, False, None])
def test_a_conversation_goes_on_whether_it_is_stored_or_not(store: bool | None) -> None:
    talk = Talk()
    stores = {} if store is None else {"store": store}
    talk.talker.ask(**stores)
    first = talk.answered()["response"]
    assert first["store"] is (store is not False)
    talk.talker.ask(input="and?", previous_response_id=first["id"], **stores)
    messages = talk.asked()["messages"]
    assert [m["content"] for m in messages] == ["hello", "Hello", "and?"]
    talk.begin("More")
    talk.finish()
    second = talk.talker.messages()[-1]["response"]
    assert second["previous_response_id"] == first["id"]
    talk.done()


def test_what_is_not_stored_is_seen_on_its_own_connection_only() -> None:
    talk = Talk()
    talk.talker.ask(store=False)
    id = talk.answered()["response"]["id"]
    assert talk.house.guest().get(f"/v1/responses/{id}").status == 404
    other = talk.another()
    other.ask(previous_response_id=id)
    talk.house.turn()
    [event] = other.messages()
    assert (event["status"], event["error"]["param"]) == (400, "previous_response_id")
    talk.done()


def test_what_is_stored_is_seen_everywhere() -> None:
    talk = Talk()
    talk.talker.ask()
    response = talk.answered()["response"]
    answer = talk.house.guest().get(f"/v1/responses/{response['id']}")
    assert json.loads(answer.body) == response
    talk.done()


def test_state_is_prepared_without_anybody_being_asked() -> None:
    talk = Talk()
    talk.talker.ask(input="context", generate=False, store=False, stream_id="a")
    talk.house.turn()
    assert talk.house.upstreams.waiting() == []
    events = talk.talker.messages()
    assert [event["type"] for event in events] == [PLAIN[0], PLAIN[1], PLAIN[-1]]
    assert {event["stream_id"] for event in events} == {"a"}
    response = events[-1]["response"]
    assert response["output"] == [] and response["usage"]["total_tokens"] == 0
    talk.talker.ask(input="now", previous_response_id=response["id"])
    messages = talk.asked()["messages"]
    assert [m["content"] for m in messages] == ["context", "now"]
    talk.done()


def test_a_request_that_may_not_be_made_cannot_be_prepared() -> None:
    house = House(policy=Guest(name="default", models=("other",)), limits=LIMITS)
    talk = Talk(house)
    talk.talker.ask(generate=False)
    talk.house.turn()
    assert talk.talker.messages()[0]["status"] == 404
    talk.done()


# --- frames


@given(data=st.data())
def test_it_never_matters_how_what_is_sent_is_cut(data: st.DataObject) -> None:
    talk = Talk()
    client = Connection(ConnectionType.CLIENT)
    asked = json.dumps({"type": "response.create", "model": "m", "input": "größe ☃"})
    cut = data.draw(st.integers(0, len(asked)))
    wire = client.send(TextMessage(asked[:cut], message_finished=False))
    wire += client.send(Ping(b"between"))
    wire += client.send(TextMessage(asked[cut:]))
    while wire:
        size = data.draw(st.integers(1, len(wire)))
        talk.talker.guest.send(wire[:size])
        wire = wire[size:]
    assert talk.asked()["messages"][0]["content"] == "größe ☃"
    assert talk.talker.pongs() == [b"between"]
    talk.done()


def test_frames_may_follow_the_handshake_at_once() -> None:
    house = House(limits=LIMITS)
    guest = house.guest()
    client = Connection(ConnectionType.CLIENT)
    text = '{"type":"response.create","model":"m","input":"hi"}'
    asked = client.send(TextMessage(text))
    head = (
        "GET /v1/responses HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    guest.send(head.encode() + asked)
    house.turn()
    assert len(house.upstreams.waiting()) == 1
    house.nothing_is_left()


def test_a_message_that_is_too_large_is_not_kept() -> None:
    talk = Talk()
    part = TextMessage("x" * 900, message_finished=False)
    talk.talker.frame(part)
    talk.talker.frame(part)
    assert talk.talker.closed is None
    talk.talker.frame(part)
    assert talk.talker.closed == 1009
    talk.done()


def test_a_message_that_takes_too_long_is_not_waited_for() -> None:
    talk = Talk()
    talk.talker.frame(TextMessage("{", message_finished=False))
    for _ in range(3):
        talk.house.wait(6)
        talk.talker.frame(TextMessage(" ", message_finished=False))
    assert talk.talker.closed is None
    talk.house.wait(3)
    assert talk.talker.closed == 1008
    talk.done()


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x01x", 1002),  # not masked
        (b"\x8f\x80abcd", 1002),  # of no kind
        (b"\x81\x81\x00\x00\x00\x00\xff", 1007),  # a text that is none
    ],
)
def test_whoever_breaks_the_protocol_is_told_and_left(frame: bytes, code: int) -> None:
    talk = Talk()
    talk.talker.ask()
    talk.asked()
    talk.talker.guest.send(frame)
    talk.house.turn()
    assert talk.talker.closed == code
    assert talk.house.site.connections == 0
    assert talk.house.upstreams.open == []
    talk.done()


def test_a_ping_after_a_close_does_no_harm() -> None:
    talk = Talk()
    late = Connection(ConnectionType.CLIENT).send(Ping(b"late"))
    talk.talker.frame(TextMessage("x" * 2001))
    assert talk.talker.closed == 1009
    talk.talker.guest.send(late)
    talk.talker.frame(CloseConnection(1009))
    talk.house.turn()
    assert talk.talker.pongs() == []
    assert talk.house.site.connections == 0
    talk.done()


# --- time


def test_an_idle_connection_is_closed() -> None:
    talk = Talk()
    talk.house.wait(60)
    talk.talker.frame(Ping(b"here"))
    talk.house.wait(60)
    assert talk.talker.closed is None
    talk.house.wait(41)
    assert talk.talker.closed == 1000
    talk.house.wait(int(CLOSING_SECONDS) + 1)  # the close is not answered
    assert talk.house.site.connections == 0
    talk.done()


def test_a_connection_with_a_slow_answer_is_not_idle() -> None:
    patient = upstream("up", timeouts=Timeouts(first_byte=200))
    talk = Talk(House((patient,), limits=LIMITS))
    talk.talker.ask()
    talk.asked()
    talk.house.wait(110)
    assert talk.talker.closed is None
    talk.begin()
    talk.finish()
    assert talk.talker.kinds()[-1] == "response.completed"
    talk.done()


def test_the_upstream_waits_while_the_guest_does_not_read() -> None:
    talk = Talk()
    talk.talker.ask()
    talk.asked()
    talk.begin()
    talk.talker.guest.room = 100
    talk.talker.guest.stop_reading()
    talk.say("x" * 200)
    assert talk.connection is not None and talk.connection.paused
    talk.say("y")
    seen = sum(
        e["type"] == "response.output_text.delta" for e in talk.talker.messages()
    )
    assert seen == 2
    talk.talker.guest.read_on()
    talk.house.turn()
    assert not talk.connection.paused
    talk.finish()
    assert talk.talker.kinds()[-1] == "response.completed"
    talk.done()


def test_whoever_does_not_read_is_answered_no_further() -> None:
    talk = Talk()
    talk.talker.ask()
    talk.asked()
    talk.begin()
    talk.talker.guest.stop_reading()
    talk.say("x" * 200)
    size = len(talk.talker.guest.wire)
    for number in range(50):
        talk.talker.frame(Ping(b"%d" % number))
    for _ in range(3):
        talk.talker.send("{")
    assert len(talk.talker.guest.wire) == size
    talk.talker.guest.read_on()
    talk.finish()
    assert talk.talker.pongs() == [b"49"]
    talk.done()


def test_whoever_never_reads_again_is_cut_off() -> None:
    talk = Talk()
    talk.talker.ask()
    talk.asked()
    talk.begin()
    talk.talker.guest.stop_reading()
    talk.say("x" * 200)
    talk.house.wait(29)
    assert talk.talker.guest.open
    talk.house.wait(2)
    assert not talk.talker.guest.open
    assert talk.house.upstreams.open == []
    talk.done()


# --- the end


def test_a_guest_that_leaves_cancels_what_is_done_for_it() -> None:
    talk = Talk()
    talk.talker.ask()
    talk.asked()
    talk.talker.ask()
    talk.talker.guest.leave()
    assert talk.connection is not None and talk.connection.hangups == 1
    talk.house.turn()
    assert talk.house.upstreams.waiting() == []
    assert talk.house.site.connections == 0
    talk.done()


def test_a_guest_that_closes_cancels_it_too() -> None:
    talk = Talk()
    talk.talker.ask()
    talk.asked()
    talk.begin()
    talk.talker.frame(CloseConnection(1000))
    assert talk.connection is not None and talk.connection.hangups == 1
    talk.house.turn()
    assert talk.talker.closed == 1000
    talk.done()


def test_a_guest_that_sends_no_more_is_gone() -> None:
    talk = Talk()
    talk.talker.ask()
    talk.asked()
    IHalfCloseableProtocol(talk.talker.guest.channel).readConnectionLost()
    talk.house.turn()
    assert talk.house.upstreams.open == []
    talk.done()


def test_draining_closes_an_idle_connection() -> None:
    talk = Talk()
    talk.house.site.stop_keepalive()
    idle = talk.house.site.when_idle()
    assert talk.talker.closed == 1001
    assert not idle.called  # as the close has to be seen
    talk.talker.frame(CloseConnection(1001))
    talk.house.turn()
    assert idle.called
    talk.done()


def test_draining_lets_an_answer_end() -> None:
    talk = Talk()
    talk.talker.ask()
    talk.asked()
    talk.begin()
    talk.talker.ask()
    talk.house.site.stop_keepalive()
    idle = talk.house.site.when_idle()
    assert talk.talker.closed is None
    talk.finish()
    assert talk.talker.closed == 1001
    talk.house.wait(int(CLOSING_SECONDS) + 1)
    assert idle.called
    assert talk.house.upstreams.waiting() == []
    talk.done()


def test_no_socket_is_opened_while_draining() -> None:
    house = House()
    guest = house.guest()
    house.site.draining = True
    Talker(guest).open()
    assert guest.answer().status == 503
    house.nothing_is_left()


def test_cutting_everything_cuts_sockets_too() -> None:
    talk = Talk()
    talk.talker.ask()
    talk.asked()
    talk.house.site.abort_all()
    talk.house.turn()
    assert talk.house.site.connections == 0
    assert talk.house.upstreams.open == []
    talk.done()


def test_a_lane_that_is_too_long_to_be_repeated_is_refused() -> None:
    talk = Talk()
    talk.talker.ask(stream_id="a" * 257)
    talk.house.turn()
    [event] = talk.talker.messages()
    assert (event["type"], event["status"]) == ("error", 400)
    assert event["error"]["param"] == "stream_id" and "stream_id" not in event
    talk.talker.ask(stream_id="a" * 256)
    assert talk.answered()["stream_id"] == "a" * 256
    talk.done()
