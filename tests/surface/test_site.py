"""What a guest may send, and what it is answered, over a connection in memory."""

from __future__ import annotations

import gzip
import json
import re
from io import BytesIO
from itertools import pairwise
from typing import Any

import pytest
from attrs import define, evolve, field
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer
from zope.interface.verify import verifyObject

from modelplex.errors import GatewayError
from modelplex.surface.channel import LINGER_BYTES, LINGER_SECONDS, GuestChannel
from modelplex.surface.refusal import RenderedError
from modelplex.surface.request import GuestRequest
from modelplex.surface.site import HEADROOM, GuestSite, Limits

LIMITS = Limits(
    max_request_size=1000,
    header_timeout=10,
    body_timeout=20,
    idle_timeout=100,
    stall_timeout=30,
    max_connections=3,
)


def rendered(error: GatewayError, path: bytes = b"") -> RenderedError:
    body = json.dumps({"error": {"message": str(error), "code": error.code}})
    return error.status, [(b"content-type", b"application/json")], body.encode()


class App(Resource):
    """Echoes bodies; `/wait` answers when the test says so."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[GuestRequest] = []
        self.served: list[bytes] = []
        self.cancelled: list[bytes] = []

    def render(self, request: Any) -> Any:
        self.served.append(request.uri)
        if request.path == b"/wait":
            self.waiting.append(request)
            request.notifyFinish().addErrback(
                lambda _: self.cancelled.append(request.uri)
            )
            return NOT_DONE_YET
        if request.path == b"/bug":
            raise RuntimeError("a secret in a traceback")
        if request.path == b"/host":
            return bytes(request.getRequestHostname())
        return request.body


@define
class Answer:
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        assert self.headers[b"content-type"] == b"application/json"
        error: dict[str, Any] = json.loads(self.body)["error"]
        return error


def parsed(data: bytes) -> list[Answer]:
    """Every answer in `data`, each of which must be whole and of a known length."""
    answers = []
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        assert end
        first, *lines = head.split(b"\r\n")
        headers = {
            name.lower(): value
            for name, value in (line.split(b": ", 1) for line in lines)
        }
        status = int(first.split(b" ")[1])
        if status == 100:
            answers.append(Answer(status, headers, b""))
            continue
        assert first.split(b" ", 2)[2] != b"Unknown"
        size = int(headers[b"content-length"])
        assert len(data) >= size
        answers.append(Answer(status, headers, data[:size]))
        data = data[size:]
    return answers


@define(eq=False)
class Guest:
    """One connection."""

    channel: GuestChannel
    transport: StringTransport = field(factory=lambda: StringTransport(lenient=True))

    def __attrs_post_init__(self) -> None:
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.channel.dataReceived(data)

    def answers(self) -> list[Answer]:
        data = self.transport.value()
        self.transport.clear()
        return parsed(data)

    def answer(self) -> Answer:
        (answer,) = self.answers()
        return answer

    @property
    def closed(self) -> bool:
        return self.transport.disconnecting

    @property
    def aborted(self) -> bool:
        return self.transport.disconnected

    def gone(self) -> None:
        self.channel.connectionLost(Failure(ConnectionDone()))


@define(eq=False)
class House:
    """A site and its clock."""

    limits: Limits = LIMITS
    app: App = field(factory=App)
    clock: Clock = field(factory=Clock)
    site: GuestSite = field(init=False)

    def __attrs_post_init__(self) -> None:
        ids = iter(range(10**6))
        self.site = GuestSite(
            self.app,
            limits=self.limits,
            reactor=IReactorTime(self.clock),
            render_error=rendered,
            new_id=lambda: f"new-{next(ids)}",
        )

    def guest(self) -> Guest:
        channel = self.site.buildProtocol(None)
        assert channel is not None
        return Guest(channel)

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([1.0] * int(seconds))


def asked(data: bytes, **limits: Any) -> list[Answer]:
    """What a fresh guest is answered, all at once."""
    guest = House(evolve(LIMITS, **limits)).guest()
    guest.send(data)
    return guest.answers()


def get(target: bytes, *headers: bytes, version: bytes = b"1.1") -> bytes:
    lines = [b"GET %s HTTP/%s" % (target, version), *headers, b"", b""]
    return b"\r\n".join(lines)


def post(body: bytes, *headers: bytes, target: bytes = b"/echo") -> bytes:
    length = b"Content-Length: %d" % len(body)
    head = [b"POST %s HTTP/1.1" % target, length, *headers, b"", b""]
    return b"\r\n".join(head) + body


CHUNKED = b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


# What is served


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [b"Host: "],
        [b"Host: %2Frun%2Fmodelplex%2Fsocket"],
        [b"Host: " + b"a" * 300],
        [b"Host: a..b"],
        [b"Host: \xff\xfe"],
        [b"Host: one", b"Host: two"],
    ],
)
def test_the_host_header_means_nothing(headers: list[bytes]) -> None:
    (answer,) = asked(get(b"/host", *headers))
    assert (answer.status, answer.body) == (200, b"modelplex")


def test_a_body_arrives_as_it_was_sent() -> None:
    (answer,) = asked(post(b"\x00 any bytes \xff"))
    assert answer.body == b"\x00 any bytes \xff"


@given(
    bodies=st.lists(st.binary(max_size=40), min_size=1, max_size=4),
    cuts=st.lists(st.integers(min_value=0, max_value=400)),
    chunked=st.booleans(),
)
def test_chunking_never_matters(
    bodies: list[bytes], cuts: list[int], chunked: bool
) -> None:
    if chunked:
        wire = b"".join(
            CHUNKED
            + b"".join(b"%x\r\n%b\r\n" % (1, body[i : i + 1]) for i in range(len(body)))
            + b"0\r\n\r\n"
            for body in bodies
        )
    else:
        wire = b"".join(map(post, bodies))
    guest = House().guest()
    edges = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    for start, end in pairwise(edges):
        guest.send(wire[start:end])
    assert [answer.body for answer in guest.answers()] == bodies
    assert not guest.closed


def test_pipelined_requests_are_answered_in_order() -> None:
    house = House()
    guest = house.guest()
    guest.send(get(b"/wait") + post(b"second") + post(b"third"))
    assert guest.answers() == []
    house.app.waiting[0].setHeader(b"content-length", b"5")
    house.app.waiting[0].write(b"first")
    house.app.waiting[0].finish()
    assert [answer.body for answer in guest.answers()] == [
        b"first",
        b"second",
        b"third",
    ]


def test_thousands_of_requests_may_arrive_at_once() -> None:
    answers = asked(get(b"/host") * 3000)
    assert [answer.status for answer in answers] == [200] * 3000


def test_a_large_body_stays_in_memory() -> None:
    house = House(evolve(LIMITS, max_request_size=10**6))
    house.guest().send(post(bytes(500_000), target=b"/wait"))
    assert isinstance(house.app.waiting[0].content, BytesIO)
    house.guest().send(CHUNKED.replace(b"echo", b"wait") + b"1\r\nx\r\n0\r\n\r\n")
    assert isinstance(house.app.waiting[1].content, BytesIO)


def test_a_client_that_expects_100_gets_it_before_it_sends() -> None:
    guest = House().guest()
    head, body = post(b"hello", b"Expect: 100-continue").split(b"\r\n\r\n")
    guest.send(head + b"\r\n\r\n")
    assert guest.answer().status == 100
    guest.send(body)
    assert guest.answer().body == b"hello"


@pytest.mark.parametrize("headers", [[], [b"Connection: keep-alive"]])
def test_http_1_0_is_answered_and_closed(headers: list[bytes]) -> None:
    guest = House().guest()
    guest.send(get(b"/host", *headers, version=b"1.0"))
    answer = guest.answer()
    assert answer.body == b"modelplex"
    assert answer.headers[b"connection"] == b"close"
    assert guest.closed


@pytest.mark.parametrize(
    "header", [b"Connection: close", b"Connection: Close, TE", b"connection: te,close"]
)
def test_a_connection_is_closed_when_asked(header: bytes) -> None:
    guest = House().guest()
    guest.send(get(b"/host", header) + get(b"/host"))
    assert guest.answer().headers[b"connection"] == b"close"
    assert guest.closed


def test_a_compressed_body_arrives_decompressed() -> None:
    packed = gzip.compress(b"hello" * 100)
    (answer,) = asked(post(packed, b"Content-Encoding: gzip"))
    assert answer.body == b"hello" * 100


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (gzip.compress(bytes(1001)), b"gzip", 413),
        (gzip.compress(b"hello")[:-1], b"gzip", 400),
        (b"hello", b"zstd", 400),
        (b"hello", b"br", 415),
    ],
    ids=["bomb", "cut", "garbage", "unknown"],
)
def test_a_body_that_cannot_be_decoded_is_refused_and_the_connection_kept(
    body: bytes, encoding: bytes, status: int
) -> None:
    refused, served = asked(
        post(body, b"Content-Encoding: " + encoding) + post(b"next")
    )
    assert refused.status == status
    assert refused.error["message"]
    assert served.body == b"next"
    if status == 415:
        assert refused.headers[b"accept-encoding"] == b"gzip, deflate, zstd, identity"


def test_a_released_body_is_forgotten() -> None:
    house = House()
    house.guest().send(post(b"long", target=b"/wait"))
    request = house.app.waiting[0]
    assert request.content is not None
    assert request.body == request.content.read() == b"long"
    request.release_body()
    assert request.body == request.content.read() == b""


# Request ids


def test_a_sane_request_id_is_kept_and_any_other_replaced() -> None:
    house = House()
    for given_id, expected in [
        (b"my-id.1:2_3", b"my-id.1:2_3"),
        (b"x" * 128, b"x" * 128),
        (b"x" * 129, b"new-0"),
        (b"a b", b"new-1"),
        (b"", b"new-2"),
        (b"\xff", b"new-3"),
    ]:
        guest = house.guest()
        guest.send(get(b"/host", b"X-Request-Id: " + given_id))
        assert guest.answer().headers[b"x-request-id"] == expected
        guest.gone()


def test_a_refusal_carries_the_request_id_too() -> None:
    guest = House().guest()
    guest.send(b"POST / HTTP/1.1\r\nX-Request-Id: mine\r\nContent-Length: 9999\r\n\r\n")
    assert guest.answer().headers[b"x-request-id"] == b"mine"


# Sizes


def test_a_body_of_just_the_limit_is_served() -> None:
    (answer,) = asked(post(bytes(1000)))
    assert answer.status == 200


def test_a_declared_length_over_the_limit_is_refused_before_the_body() -> None:
    guest = House().guest()
    guest.send(
        b"POST /echo HTTP/1.1\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n"
    )
    answer = guest.answer()
    assert answer.status == 413
    assert answer.error["code"] == "request_too_large"
    assert answer.headers[b"connection"] == b"close"


def test_a_chunked_body_is_refused_as_soon_as_it_is_too_large() -> None:
    house = House()
    guest = house.guest()
    guest.send(CHUNKED + b"3e8\r\n" + bytes(1000))
    assert guest.answers() == []
    guest.send(b"\r\nffffffff\r\n!")
    assert guest.answer().status == 413
    assert house.app.served == []


def test_after_a_refusal_the_guest_may_finish_sending_and_read() -> None:
    house = House()
    guest = house.guest()
    guest.send(b"POST /echo HTTP/1.1\r\nContent-Length: 5000\r\n\r\n")
    guest.send(bytes(4000))
    guest.send(bytes(1000) + get(b"/host"))
    assert guest.answer().status == 413
    assert house.app.served == []
    assert not guest.closed
    guest.channel.readConnectionLost()
    assert guest.closed


def test_after_a_refusal_a_guest_that_never_goes_is_cut() -> None:
    house = House()
    guest = house.guest()
    guest.send(b"nonsense\r\n\r\n")
    house.pass_time(LINGER_SECONDS - 1)
    assert not guest.closed
    house.pass_time(1)
    assert guest.aborted


def test_after_a_refusal_only_so_much_is_read() -> None:
    guest = House().guest()
    guest.send(b"nonsense\r\n\r\n")
    mebibytes = bytes(2**20)
    for _ in range(LINGER_BYTES // len(mebibytes)):
        guest.send(mebibytes)
    assert not guest.closed
    guest.send(b"!")
    assert guest.closed


# What is refused


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n", 400),
        (b"GET  / HTTP/1.1\r\n", 400),
        (b"G\x01T / HTTP/1.1\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", 400),  # TLS
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET http://example.com/ HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT example.com:443 HTTP/1.1\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/../admin HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/%2e%2e%2fadmin HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1%2fmodels HTTP/1.1\r\n\r\n", 404),
        (b"GET /%00 HTTP/1.1\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nspace : before colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: folded\r\n over\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: a\nb\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (CHUNKED + b"0x1\r\na\r\n", 400),
        (CHUNKED + b"-1\r\na\r\n", 400),
        (CHUNKED + b"1\r\nab\r\n", 400),
        (CHUNKED + b"1" * 2000, 400),
        (CHUNKED + b"0\r\n" + b"X: y\r\n" * 20000, 400),
        (b"GET /" + b"a" * 20000, 414),
        (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 20000, 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 300 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + (b"X: %b\r\n" % (b"y" * 9000)) * 5 + b"\r\n", 431),
    ],
)
def test_what_is_malformed_is_refused_in_json_and_the_connection_ends(
    data: bytes, status: int
) -> None:
    house = House()
    guest = house.guest()
    guest.send(data + get(b"/host"))
    answer = guest.answer()
    assert answer.status == status
    assert answer.error["message"]
    assert answer.headers[b"connection"] == b"close"
    assert answer.headers[b"x-request-id"] == b"new-0"
    assert house.app.served == []
    guest.send(get(b"/host"))
    assert guest.answers() == []


def test_a_refused_head_request_has_no_body() -> None:
    guest = House().guest()
    guest.send(b"HEAD /v1/../admin HTTP/1.1\r\n\r\n")
    head, end, body = guest.transport.value().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert (end, body) == (b"\r\n\r\n", b"")


hostile = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [
            b"\r\n",
            b"\r\n\r\n",
            b"GET / HTTP/1.1\r\n",
            b"POST /echo HTTP/1.1\r\n",
            b"HEAD /%2e%2e HTTP/1.0\r\n",
            b"Content-Length: 3\r\n",
            b"Content-Length: 99999\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Content-Encoding: gzip\r\n",
            b"Expect: 100-continue\r\n",
            b"Connection: close\r\n",
            b"3\r\nabc\r\n",
            b"0\r\n\r\n",
            b"X:" + b"y" * 17000,
        ]
    ),
)


@given(pieces=st.lists(hostile, max_size=12), half_closed=st.booleans())
@example(pieces=[b"POST /echo HTTP/1.1\r\n", b"\r\n\r\n", b"\r\n"], half_closed=True)
def test_any_bytes_are_answered_whole_or_waited_for(
    pieces: list[bytes], half_closed: bool
) -> None:
    house = House()
    guest = house.guest()
    for piece in pieces:
        guest.send(piece)
    if half_closed:
        guest.channel.readConnectionLost()
    house.pass_time(LIMITS.idle_timeout + LINGER_SECONDS)
    value = guest.transport.value()
    if b"HEAD" not in b"".join(pieces):
        for answer in parsed(value):
            if answer.status >= 400:
                assert answer.error["message"]
    assert b"<html" not in value
    assert guest.closed
    guest.gone()
    assert house.clock.getDelayedCalls() == []
    assert house.site.connections == 0


# Bugs of ours


def test_a_bug_is_a_500_that_tells_the_guest_nothing() -> None:
    events: list[LogEvent] = []

    @implementer(ILogObserver)
    def keep(event: LogEvent) -> None:
        events.append(event)

    class Observed(GuestRequest):
        # An observer of its own: to the test run a logged failure is a failed test.
        log = Logger(observer=keep)

    house = House()
    house.site.requestFactory = Observed
    guest = house.guest()
    guest.send(get(b"/bug", b"X-Request-Id: mine"))
    answer = guest.answer()
    assert answer.status == 500
    assert answer.error["message"] == "internal error"
    (event,) = [e for e in events if "log_failure" in e]
    assert event["log_failure"].check(RuntimeError)
    assert event["request_id"] == "mine"


# Time


def test_a_header_must_arrive_in_time() -> None:
    house = House()
    guest = house.guest()
    for byte in b"GET / HTTP":
        guest.send(bytes([byte]))
        house.pass_time(1)
    answer = guest.answer()
    assert answer.status == 408
    assert answer.error["code"] == "request_timeout"


def test_a_guest_that_never_says_anything_is_let_go_silently() -> None:
    house = House()
    guest = house.guest()
    house.pass_time(9)
    assert not guest.closed
    house.pass_time(1)
    assert guest.closed
    assert guest.answers() == []


def test_a_body_must_arrive_in_time() -> None:
    house = House()
    guest = house.guest()
    guest.send(b"POST /echo HTTP/1.1\r\nContent-Length: 100\r\n\r\n")
    for _ in range(19):
        guest.send(b"x")
        house.pass_time(1)
    assert guest.answers() == []
    house.pass_time(1)
    assert guest.answer().status == 408


def test_an_answered_guest_may_idle_for_long() -> None:
    house = House()
    guest = house.guest()
    guest.send(get(b"/host"))
    house.pass_time(LIMITS.idle_timeout - 1)
    assert not guest.closed
    house.pass_time(1)
    assert guest.closed


def test_half_a_header_after_an_answer_counts_as_begun() -> None:
    house = House()
    guest = house.guest()
    guest.send(get(b"/host") + b"GET /ho")
    house.pass_time(LIMITS.header_timeout)
    assert [answer.status for answer in guest.answers()] == [200, 408]


def test_a_running_request_has_no_time_limit_here() -> None:
    house = House()
    guest = house.guest()
    guest.send(get(b"/wait"))
    house.pass_time(1000)
    assert not guest.closed
    house.app.waiting[0].finish()


def test_a_guest_that_stops_reading_is_cut_and_what_runs_is_cancelled() -> None:
    house = House()
    guest = house.guest()
    guest.send(get(b"/wait"))
    guest.channel.pauseProducing()
    house.pass_time(LIMITS.stall_timeout - 1)
    assert not guest.closed
    house.pass_time(1)
    assert guest.aborted
    guest.gone()
    assert house.app.cancelled == [b"/wait"]


def test_a_guest_that_reads_slowly_is_served() -> None:
    house = House()
    guest = house.guest()
    guest.transport.offset = 0  # type: ignore[attr-defined]  # as a real one has
    guest.send(get(b"/wait"))
    guest.channel.pauseProducing()
    for sent in range(5):
        house.pass_time(LIMITS.stall_timeout - 2)
        guest.transport.offset = sent + 1  # type: ignore[attr-defined]
    assert not guest.closed


def test_a_guest_that_resumes_reading_is_not_stalled() -> None:
    house = House()
    guest = house.guest()
    guest.send(get(b"/wait"))
    for _ in range(5):
        guest.channel.pauseProducing()
        house.pass_time(LIMITS.stall_timeout - 1)
        guest.channel.resumeProducing()
    house.pass_time(1000)
    assert not guest.closed


def test_what_is_sent_ahead_is_bounded_even_while_the_guest_does_not_read() -> None:
    guest = House().guest()
    guest.send(get(b"/wait"))
    guest.channel.pauseProducing()
    guest.send(bytes(10000))
    assert guest.transport.producerState == "producing"
    guest.send(bytes(10000))
    assert guest.transport.producerState == "paused"


# The end of the input


def test_the_channel_is_told_of_half_closes() -> None:
    assert verifyObject(IHalfCloseableProtocol, House().guest().channel)


def test_an_end_of_input_that_may_be_a_hang_up_cancels() -> None:
    # As on TCP, where the two cannot be told apart.
    guest = House().guest()
    guest.send(get(b"/wait"))
    guest.channel.readConnectionLost()
    assert guest.aborted


@pytest.mark.parametrize(
    "begun", [b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"]
)
def test_half_a_request_is_refused_and_closed(begun: bytes) -> None:
    guest = House().guest()
    guest.send(begun)
    guest.channel.readConnectionLost()
    assert guest.answer().status == 400
    assert guest.closed


def test_an_idle_connection_ends_with_its_input() -> None:
    guest = House().guest()
    guest.send(get(b"/host"))
    guest.channel.readConnectionLost()
    assert guest.answer().status == 200
    assert guest.closed


# Many connections


def test_one_connection_too_many_is_told_to_come_back() -> None:
    house = House()
    guests = [house.guest() for _ in range(LIMITS.max_connections + 1)]
    for guest in guests:
        guest.send(get(b"/host"))
    assert [guest.answer().status for guest in guests[:-1]] == [200, 200, 200]
    refused = guests[-1].answer()
    assert refused.status == 503
    assert refused.error["code"] == "too_many_connections"
    assert refused.headers[b"retry-after"] == b"1"
    assert refused.headers[b"connection"] == b"close"


def test_a_late_connection_is_served_once_there_is_room() -> None:
    house = House()
    guests = [house.guest() for _ in range(LIMITS.max_connections + 1)]
    guests[0].gone()
    guests[-1].send(get(b"/host"))
    assert guests[-1].answer().status == 200


def test_far_too_many_connections_are_not_even_answered() -> None:
    house = House()
    for _ in range(LIMITS.max_connections + HEADROOM):
        house.guest()
    assert house.site.buildProtocol(None) is None


# Stopping


def test_idle_connections_close_at_once_and_busy_ones_after_their_answer() -> None:
    house = House()
    fresh, idle, busy = house.guest(), house.guest(), house.guest()
    idle.send(get(b"/host"))
    busy.send(get(b"/wait"))
    house.site.stop_keepalive()
    assert fresh.closed
    assert idle.closed
    assert not busy.closed
    house.app.waiting[0].setHeader(b"content-length", b"0")
    house.app.waiting[0].finish()
    assert busy.answer().headers[b"connection"] == b"close"
    assert busy.closed


def test_a_request_that_is_arriving_is_still_answered() -> None:
    house = House()
    header, body = house.guest(), house.guest()
    header.send(b"GET /host HT")
    body.send(b"POST /echo HTTP/1.1\r\nContent-Length: 4\r\n\r\nha")
    house.site.stop_keepalive()
    header.send(b"TP/1.1\r\n\r\n")
    body.send(b"lf")
    for guest, expected in [(header, b"modelplex"), (body, b"half")]:
        answer = guest.answer()
        assert answer.body == expected
        assert answer.headers[b"connection"] == b"close"
        assert guest.closed


def test_idle_is_told_when_the_last_answer_has_left() -> None:
    house = House()
    one, two = house.guest(), house.guest()
    assert house.site.when_idle().called
    one.send(get(b"/wait"))
    two.send(b"GET /ho")
    idle = house.site.when_idle()
    two.send(b"st HTTP/1.1\r\n\r\n")
    assert not idle.called
    house.site.stop_keepalive()
    two.gone()
    house.app.waiting[0].finish()
    assert not idle.called  # the answer is still being sent
    one.gone()
    assert idle.called


def test_waiting_for_idle_can_be_given_up() -> None:
    house = House()
    guest = house.guest()
    guest.send(get(b"/wait"))
    idle = house.site.when_idle()
    idle.addErrback(lambda _: None)
    idle.cancel()
    guest.gone()


def test_everything_can_be_cut() -> None:
    house = House()
    guests = [house.guest(), house.guest()]
    guests[0].send(get(b"/wait"))
    house.site.abort_all()
    assert all(guest.aborted for guest in guests)
    for guest in guests:
        guest.gone()
    assert house.app.cancelled == [b"/wait"]
    assert house.site.connections == 0


# Timers


def test_no_timer_outlives_the_last_connection() -> None:
    house = House()
    guest = house.guest()
    assert len(house.clock.getDelayedCalls()) == 1
    guest.gone()
    assert house.clock.getDelayedCalls() == []


def test_while_listening_the_sweep_ends_by_itself() -> None:
    house = House()
    house.site.doStart()
    assert house.clock.getDelayedCalls() == []
    house.guest().gone()
    assert len(house.clock.getDelayedCalls()) == 1
    house.pass_time(1)
    assert house.clock.getDelayedCalls() == []
    house.guest().gone()
    house.site.doStop()
    assert house.clock.getDelayedCalls() == []


def test_a_new_id_is_made_when_none_is_injected() -> None:
    clock = Clock()
    site = GuestSite(
        App(), limits=LIMITS, reactor=IReactorTime(clock), render_error=rendered
    )
    assert re.fullmatch("req_[0-9a-f]{32}", site.new_id())
    assert site.new_id() != site.new_id()
