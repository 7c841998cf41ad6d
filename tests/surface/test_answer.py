"""What a guest is answered, from the upstream's bytes to the guest's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import define, evolve
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from modelplex.config import Demo, Provider
from modelplex.config import Guest as Policy
from modelplex.errors import UpstreamRateLimited
from modelplex.events import TextDelta
from modelplex.exchange import Exchange
from modelplex.interfaces import IReply, IReplySink
from modelplex.providers.demo import DemoProvider
from modelplex.routing.table import Candidate
from modelplex.surface.answer import Answer, header_safe, retry_headers
from modelplex.surface.request import GuestRequest
from modelplex.testing.contract import ask
from modelplex.testing.memory.guest import Guest
from modelplex.testing.memory.house import KEEPALIVE, KEY, House, upstream
from modelplex.testing.memory.upstream import Connection
from modelplex.wire.asked import Operation


def event(**members: Any) -> bytes:
    return b"data: " + json.dumps(members).encode() + b"\n\n"


def delta(text: str, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return event(id="1", choices=[choice], more="é", **more)


ROLE = event(id="1", choices=[{"index": 0, "delta": {"role": "assistant"}}])
STOP = event(id="1", choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
DONE = b"data: [DONE]\n\n"
WAITING = b": waiting\n\n"
WHOLE = b'{ "id":"1", "odd":1.50,"choices":[{"index":0,"message":{"content":"hi"}}]}'


def streaming(house: House, *chunks: bytes, **members: Any) -> tuple[Guest, Connection]:
    """A guest whose stream has begun with `chunks`."""
    guest = house.asking(stream=True, **members)
    connection = house.upstreams.accept()
    connection.begin()
    for chunk in chunks:
        connection.chunk(chunk)
    return guest, connection


def test_an_answer_is_a_sink() -> None:
    house = House()
    guest = house.guest()
    request = guest.channel.requestFactory(guest.channel)
    asked, clock = ask(), MemoryReactorClock()
    exchange = Exchange("r", "g", Operation.CHAT, "m", True, 0.0, clock)
    answer = Answer(request, asked, exchange, clock, KEEPALIVE)
    verifyObject(IReplySink, answer)
    answer.close()
    answer.close()
    assert clock.getDelayedCalls() == []


# Passed through


def test_a_stream_is_passed_on_as_it_came() -> None:
    house = House()
    guest, connection = streaming(house, ROLE)
    assert guest.answers() == []
    connection.chunk(delta("he"))
    first = guest.answer()
    assert (first.status, first.complete) == (200, False)
    assert first.headers["content-type"] == "text/event-stream"
    assert first.headers["cache-control"] == "no-store"
    assert first.headers["modelplex-provider"] == "up"
    assert first.headers["modelplex-model"] == "m"
    assert "modelplex-dropped" not in first.headers
    assert first.body == ROLE + delta("he")
    connection.chunk(delta("llo") + STOP)
    connection.chunk(DONE)
    connection.finish()
    answer = guest.answer()
    assert answer.complete
    assert answer.body == ROLE + delta("he") + delta("llo") + STOP + DONE
    assert guest.open
    assert connection.open
    house.nothing_is_left()


def test_only_whole_events_are_passed_on() -> None:
    house = House()
    guest, connection = streaming(house, delta("a"))
    for byte in delta("b"):
        assert guest.answer().body == delta("a")
        connection.chunk(bytes([byte]))
    assert guest.answer().body == delta("a") + delta("b")
    house.nothing_is_left()


def test_usage_that_the_guest_did_not_ask_for_stays_here() -> None:
    house = House()
    guest, connection = streaming(house)
    assert json.loads(connection.request().body)["stream_options"] == {
        "include_usage": True
    }
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    connection.chunk(delta("a", usage=None) + STOP + event(choices=[], usage=usage))
    connection.chunk(DONE)
    connection.finish()
    assert guest.answer().body == delta("a") + STOP + DONE
    house.nothing_is_left()


@pytest.mark.parametrize("target", ["/v1/chat/completions", "/v1/embeddings"])
def test_a_whole_answer_is_passed_on_as_it_came(target: str) -> None:
    house = House()
    guest = house.asking(target)
    connection = house.upstreams.accept()
    connection.answer(WHOLE)
    answer = guest.answer()
    assert (answer.status, answer.body, answer.complete) == (200, WHOLE, True)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(WHOLE))
    assert answer.headers["modelplex-provider"] == "up"
    assert guest.open
    house.nothing_is_left()


def test_a_connection_serves_one_request_after_the_other() -> None:
    house = House()
    guest = house.asking()
    house.upstreams.accept().answer(WHOLE)
    guest.post("/v1/chat/completions", {"model": "m", "messages": []})
    [connection] = house.upstreams.connections
    assert len(connection.requests()) == 2
    connection.answer(WHOLE)
    assert [answer.body for answer in guest.answers()] == [WHOLE, WHOLE]
    house.nothing_is_left()


# Translated

OLLAMA = (upstream("up", type="ollama"),)


def line(text: str = "", **members: Any) -> bytes:
    message = {"role": "assistant", "content": text}
    told = {"model": "m", "message": message, "done": False, **members}
    return json.dumps(told).encode() + b"\n"


LAST = line(done=True, done_reason="stop", prompt_eval_count=1, eval_count=2)


def test_a_translated_stream_is_one_of_the_guests_dialect() -> None:
    house = House(OLLAMA)
    guest, connection = streaming(house, line("one "), seed=7, user="me", logprobs=None)
    connection.chunk(line("two") + LAST)
    connection.finish()
    answer = guest.answer()
    assert answer.complete
    assert answer.headers["modelplex-dropped"] == "user"
    *chunks, done = answer.events
    assert done == b"[DONE]"
    choices = [json.loads(chunk)["choices"][0] for chunk in chunks]
    said = [choice["delta"].get("content") or "" for choice in choices]
    assert "".join(said) == "one two"
    assert choices[-1]["finish_reason"] == "stop"
    house.nothing_is_left()


def test_a_translated_whole_answer_is_put_together() -> None:
    house = House(OLLAMA)
    guest = house.asking()
    connection = house.upstreams.accept()
    connection.begin(content_type="application/x-ndjson")
    connection.chunk(line("one "))
    connection.chunk(line("two") + LAST)
    connection.finish()
    answer = guest.answer()
    assert answer.complete
    assert answer.headers["content-type"] == "application/json"
    reply = json.loads(answer.body)
    assert reply["choices"][0]["message"]["content"] == "one two"
    assert reply["usage"]["total_tokens"] == 3
    house.nothing_is_left()


def test_what_changes_the_meaning_is_refused_not_dropped() -> None:
    house = House(OLLAMA)
    answer = house.asking(n=3).answer()
    assert answer.status == 400
    assert answer.error["param"] == "n"
    assert house.upstreams.waiting() == []
    house.nothing_is_left()


# Errors


@pytest.mark.parametrize("stream", [True, False])
def test_an_error_before_the_answer_is_a_status(stream: bool) -> None:
    house = House()
    guest = house.asking(stream=stream)
    told = b'{"error":{"message":"slow down","type":"rate_limit_error"}}'
    house.upstreams.accept().answer(told, 429, retry_after_ms="1500")
    answer = guest.answer()
    assert (answer.status, answer.error["message"]) == (429, "slow down")
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["retry-after-ms"] == "1500"
    assert guest.open
    house.nothing_is_left()


def test_retry_headers_say_when_and_whether() -> None:
    error = UpstreamRateLimited("x", retry_after=1.2)
    assert retry_headers(error) == [
        (b"retry-after", b"2"),
        (b"retry-after-ms", b"1200"),
    ]
    error.should_retry, error.retry_after = False, None
    assert retry_headers(error) == [(b"x-should-retry", b"false")]


@pytest.mark.parametrize("end", ["cut", "close", "finish"])
def test_an_error_after_the_first_event_is_told_in_the_stream(end: str) -> None:
    house = House()
    guest, connection = streaming(house, delta("a"))
    connection.chunk(delta("b")[:12])
    getattr(connection, end)()
    answer = guest.answer()
    assert answer.complete
    assert answer.body.startswith(delta("a") + b"data: ")
    _said, error = answer.events
    assert json.loads(error)["error"]["code"].startswith("upstream_")
    assert b"[DONE]" not in answer.body
    house.nothing_is_left()


def test_an_error_event_of_the_upstream_is_told_in_the_stream() -> None:
    house = House()
    guest, connection = streaming(house, delta("a"))
    connection.chunk(event(error={"message": f"bad {KEY}", "type": "server_error"}))
    answer = guest.answer()
    assert answer.complete
    assert json.loads(answer.events[-1])["error"]["message"] == "bad ***"
    assert not connection.open
    house.nothing_is_left()


@pytest.mark.parametrize("providers", [(upstream("up"),), OLLAMA])
def test_a_broken_whole_answer_is_a_status(providers: tuple[Provider, ...]) -> None:
    house = House(providers)
    guest = house.asking()
    connection = house.upstreams.accept()
    connection.begin(content_type="application/x-ndjson")
    connection.chunk(line("one "))
    connection.cut()
    answer = guest.answer()
    assert answer.status == 502
    assert answer.error["code"] == "upstream_cut"
    house.nothing_is_left()


def test_a_guest_does_not_notice_a_provider_that_fails() -> None:
    house = House((upstream("a"), upstream("b", priority=2)))
    guest = house.asking(stream=True)
    first = house.upstreams.accept("/a")
    first.begin()
    first.chunk(ROLE)
    first.cut()
    second = house.upstreams.accept("/b")
    second.begin()
    second.chunk(delta("b") + STOP + DONE)
    second.finish()
    answer = guest.answer()
    assert answer.complete
    assert answer.body == delta("b") + STOP + DONE
    assert answer.headers["modelplex-provider"] == "b"
    house.nothing_is_left()


# Signs of life


def test_a_waiting_stream_shows_signs_of_life() -> None:
    house = House()
    guest = house.asking(stream=True)
    connection = house.upstreams.accept()
    house.wait(int(KEEPALIVE) - 1)
    assert guest.answers() == []
    house.wait(1)
    answer = guest.answer()
    assert (answer.status, answer.body) == (200, WAITING)
    assert answer.headers["content-type"] == "text/event-stream"
    house.wait(int(KEEPALIVE))
    assert guest.answer().body == WAITING * 2
    connection.begin()
    connection.chunk(delta("a"))
    assert guest.answer().body == WAITING * 2 + delta("a")
    house.nothing_is_left()


def test_signs_of_life_come_between_whole_events_only() -> None:
    house = House()
    guest, connection = streaming(house, delta("a"), delta("b")[:10])
    for _ in range(2):
        house.wait(int(KEEPALIVE))
    connection.chunk(delta("b")[10:])
    body = guest.answer().body
    assert body == delta("a") + WAITING + delta("b")
    house.nothing_is_left()


def test_an_answer_that_flows_needs_no_sign_of_life() -> None:
    house = House()
    guest, connection = streaming(house, delta("a"))
    for _ in range(6):
        house.wait(int(KEEPALIVE / 2))
        connection.chunk(delta("a"))
    assert guest.answer().body == delta("a") * 7
    house.nothing_is_left()


def test_after_a_sign_of_life_an_error_can_only_be_told_in_the_stream() -> None:
    house = House()
    guest = house.asking(stream=True)
    connection = house.upstreams.accept()
    house.wait(int(KEEPALIVE))
    connection.answer(b'{"error":{"message":"busy"}}', 503)
    answer = guest.answer()
    assert (answer.status, answer.complete) == (200, True)
    assert answer.body.startswith(WAITING + b"data: ")
    assert json.loads(answer.events[0])["error"]["message"] == "busy"
    assert guest.open
    house.nothing_is_left()


def test_an_answer_that_is_not_streamed_is_waited_for_in_silence() -> None:
    house = House()
    guest = house.asking()
    house.upstreams.accept()
    house.wait(60)
    assert guest.answers() == []
    house.nothing_is_left()


# The guest's pace, and its leaving


def test_a_guest_that_reads_slowly_slows_the_upstream() -> None:
    house = House()
    guest, connection = streaming(house, delta("a"))
    guest.stop_reading()
    for _ in range(100):
        connection.chunk(delta("b"))
    assert connection.paused
    assert guest.answer().body == delta("a") + delta("b")
    guest.read_on()
    house.turn()
    assert not connection.paused
    assert guest.answer().body == delta("a") + delta("b") * 100
    house.nothing_is_left()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("phase", range(5))
def test_a_guest_that_leaves_takes_the_upstream_with_it(
    stream: bool, phase: int
) -> None:
    house = House((upstream("a"), upstream("b", priority=2)))
    guest = house.asking(stream=stream)
    if phase:
        connection = house.upstreams.accept("/a")
    if phase > 1:
        connection.begin(content_type="" if stream else "application/json")
    if phase > 2:
        connection.chunk(ROLE if stream else WHOLE[:9])
    if phase > 3:
        connection.chunk(delta("a") if stream else WHOLE[9:20])
    guest.leave()
    house.reactor.advance(0.25)
    assert house.upstreams.open == []
    assert house.upstreams.waiting() == []
    house.nothing_is_left()


def test_a_guest_that_leaves_while_it_does_not_read_does_so_too() -> None:
    house = House()
    guest, connection = streaming(house, delta("a"))
    guest.stop_reading()
    connection.chunk(delta("b"))
    assert connection.paused
    guest.leave()
    house.reactor.advance(0.25)
    assert not connection.open
    house.nothing_is_left()


def test_a_cancel_alone_hangs_up_too() -> None:
    house = House()
    guest, connection = streaming(house, delta("a"))
    guest.channel.unregisterProducer()  # so that nobody else tells the reply
    guest.leave()
    house.turn()
    assert not connection.open
    house.nothing_is_left()


# Bugs


class Breaks:
    """An encoder with a bug."""

    def __init__(self, where: str) -> None:
        self._where = where

    def encode(self, event: Any) -> bytes:
        return self._told("encode")

    def end(self) -> bytes:
        return self._told("end")

    def fail(self, error: Any) -> bytes:
        return self._told("fail")

    def _told(self, where: str) -> bytes:
        if where == self._where:
            raise TypeError("a bug")
        return b": told\n\n"


@pytest.mark.parametrize("where", ["encode", "end", "fail"])
def test_a_bug_in_the_middle_cuts_the_guest_off(where: str) -> None:
    events: list[LogEvent] = []

    @implementer(ILogObserver)
    def keep(event: LogEvent) -> None:
        events.append(event)

    class Observed(GuestRequest):
        # An observer of its own: to the test run a logged failure is a failed test.
        log = Logger(observer=keep)

    house = House(OLLAMA)
    house.site.requestFactory = Observed
    guest = house.asking(stream=True)
    connection = house.upstreams.accept()
    connection.begin(content_type="application/x-ndjson")
    connection.chunk(line("one "))
    answer = guest.channel.requests[0].producer._sink
    assert isinstance(answer, Answer)
    answer._encoder = Breaks(where)
    connection.chunk(line("two"))
    assert connection.open is (where != "encode")
    if where == "fail":
        connection.cut()
    elif where == "end":
        connection.chunk(LAST)
    house.turn()
    assert not connection.open
    assert not guest.open
    assert not guest.answer().complete
    assert [event["log_failure"].type for event in events] == [TypeError]
    house.nothing_is_left()


@implementer(IReply)
@define(eq=False)
class Scripted:
    """A reply that a test drives."""

    reader: Any = None
    passed: bool = False
    dropped: tuple[str, ...] = ()
    sink: Any = None
    stopped: int = 0

    def deliver(self, sink: Any) -> None:
        self.sink = sink

    def pauseProducing(self) -> None:
        """It gives nothing by itself."""

    def resumeProducing(self) -> None:
        """It gives nothing by itself."""

    def stopProducing(self) -> None:
        self.stopped += 1


def test_a_bug_at_the_end_of_a_whole_answer_is_raised_where_it_is_waited_for() -> None:
    def broken(*_: object) -> bytes:
        raise TypeError("a bug")

    house = House()
    guest = house.guest()
    request = guest.channel.requestFactory(guest.channel)
    asked = ask(stream=False)
    asked.dialect = evolve(asked.dialect, encode_reply=broken)
    clock = house.reactor
    exchange = Exchange("r", "g", Operation.CHAT, "m", False, 0.0, clock)
    answer = Answer(request, asked, exchange, clock, KEEPALIVE)
    provider = DemoProvider("demo", Demo(), clock)
    reply = Scripted()
    verifyObject(IReply, reply)
    delivering = Deferred.fromCoroutine(
        answer.deliver(Candidate(provider, "m", "m"), reply)
    )
    failures: list[Failure] = []
    delivering.addErrback(failures.append)
    reply.sink.received([TextDelta("hello")])
    reply.sink.ended()
    assert [failure.type for failure in failures] == [TypeError]
    assert reply.stopped == 1
    assert request.producer is None
    assert guest.answers() == []  # it can still be told of an internal error
    house.nothing_is_left()


# Details


def test_a_header_holds_no_line_end() -> None:
    assert header_safe("a\r\nb: ü") == b"a??b: ??"


def test_the_demo_is_answered_too() -> None:
    demo = Provider(name="demo", type="demo", models=("m",), demo=Demo(delay=1.0))
    house = House((demo,))
    guest = house.asking(stream=True)
    house.wait(10)
    answer = guest.answer()
    assert answer.complete
    assert answer.events[-1] == b"[DONE]"
    house.nothing_is_left()


def test_what_a_policy_drops_is_listed() -> None:
    house = House()
    guest = house.asking(store=True, tools=[{"type": "web_search"}])
    connection = house.upstreams.accept()
    body = json.loads(connection.request().body)
    assert body["store"] is False
    assert "tools" not in body
    connection.answer(WHOLE)
    assert guest.answer().headers["modelplex-dropped"] == "store, tools[web_search]"
    house.nothing_is_left()


def test_a_word_opens_what_is_closed() -> None:
    policy = Policy(name="default", allow=("hosted-tools", "server-state"))
    house = House(policy=policy)
    house.asking(store=True, tools=[{"type": "web_search"}])
    body = json.loads(house.upstreams.accept().request().body)
    assert body["store"] is True
    assert body["tools"] == [{"type": "web_search"}]
    house.nothing_is_left()
