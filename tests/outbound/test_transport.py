"""Requests to an upstream, and what comes of them when nothing does."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from attrs import define, field
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error as net
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.web._newclient import RequestNotSent
from twisted.web.client import (
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.iweb import IAgent, IBodyProducer
from zope.interface import implementer
from zope.interface.verify import verifyObject

from modelplex.errors import (
    GatewayError,
    UpstreamCut,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from modelplex.outbound.address import Address, parse
from modelplex.outbound.body import read_body
from modelplex.outbound.transport import IDLE, URLS, Transport, body_failure, connect
from modelplex.testing.memory.upstream import Connection, Upstreams
from modelplex.timing import limited

ADDRESS = Address("https://up.example", "/v1", "version=7")
HEADERS = [(b"authorization", b"Bearer key"), (b"x-more", b"1"), (b"x-more", b"2")]


@implementer(IAgent)
@define(eq=False)
class Failing:
    """An agent whose every request fails."""

    error: Exception
    asked: list[Any] = field(factory=list)

    def request(
        self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None
    ) -> Deferred[Any]:
        self.asked.append((method, uri, headers, bodyProducer))
        return fail(self.error)


def failed(deferred: Deferred[Any]) -> Exception:
    """What `deferred` failed with, by now."""
    failures: list[Failure] = []
    deferred.addErrback(failures.append)
    [failure] = failures
    return failure.value  # type: ignore[return-value]


def fired(deferred: Deferred[Any]) -> Any:
    """What `deferred` gave, by now."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    [result] = results
    if isinstance(result, Failure):
        result.raiseException()
    return result


def reasons(kind: Any, *errors: Exception) -> Exception:
    wrapped: Exception = kind([Failure(error) for error in errors])
    return wrapped


WRAPPERS = [
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
]


@pytest.mark.parametrize("ask", ["post", "get"])
@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (net.ConnectionRefusedError(), UpstreamUnreachable, "no connection"),
        (net.TimeoutError(), UpstreamUnreachable, "no connection"),
        (net.NoRouteError(), UpstreamUnreachable, "no connection"),
        (net.UnknownHostError(), UpstreamUnreachable, "no connection"),
        (net.DNSLookupError("inside.corp"), UpstreamUnreachable, "not resolve"),
        (SSL.Error([("ssl", "", "bad")]), UpstreamUnreachable, "TLS"),
        (VerificationError(errors=[]), UpstreamUnreachable, "TLS"),
        (net.ConnectionLost("at /run/x"), UpstreamCut, "ended before"),
        (net.ConnectionDone(), UpstreamCut, "ended before"),
        (net.ConnectionAborted(), UpstreamCut, "ended before"),
        (RequestNotSent(), UpstreamCut, "ended before"),
        *(
            (reasons(wrapper, error), kind, words)
            for wrapper in WRAPPERS
            for error, kind, words in [
                (net.ConnectionLost(), UpstreamCut, "ended before"),
                (SSL.Error([("ssl", "", "bad")]), UpstreamUnreachable, "TLS"),
                (VerificationError(errors=[]), UpstreamUnreachable, "TLS"),
                (ValueError("parse"), UpstreamCut, "ended before"),
            ]
        ),
        (
            reasons(ResponseNeverReceived, reasons(ResponseFailed, SSL.Error())),
            UpstreamUnreachable,
            "TLS",
        ),
    ],
)
def test_a_failure_is_the_upstreams(
    ask: str, error: Exception, kind: type[GatewayError], words: str
) -> None:
    found = failed(asking(Transport("up", ADDRESS, Failing(error)), ask))
    assert type(found) is kind
    assert words in str(found)
    assert "corp" not in str(found) and "/run" not in str(found)
    assert found.__suppress_context__


@pytest.mark.parametrize("ask", ["post", "get"])
@pytest.mark.parametrize(
    "error",
    [
        CancelledError(),
        net.ConnectingCancelledError(None),
        *(reasons(wrapper, CancelledError()) for wrapper in WRAPPERS),
        *(
            reasons(wrapper, net.ConnectionLost(), CancelledError())
            for wrapper in WRAPPERS
        ),
        reasons(ResponseNeverReceived, reasons(ResponseFailed, CancelledError())),
    ],
)
def test_a_cancel_is_nobodys_failure(ask: str, error: Exception) -> None:
    found = failed(asking(Transport("up", ADDRESS, Failing(error)), ask))
    assert type(found) is CancelledError


@pytest.mark.parametrize("ask", ["post", "get"])
def test_a_bug_is_not_taken_for_a_failure(ask: str) -> None:
    error = TypeError("a bug")
    assert failed(asking(Transport("up", ADDRESS, Failing(error)), ask)) is error


def asking(transport: Transport, ask: str = "post") -> Deferred[Any]:
    if ask == "post":
        return Deferred.fromCoroutine(transport.post("/chat", HEADERS, b"{}"))
    return Deferred.fromCoroutine(transport.get("/chat", HEADERS))


def test_a_request_is_what_was_put_in() -> None:
    agent = Failing(net.ConnectionDone())
    transport = Transport("up", ADDRESS, agent)
    for _ in range(2):
        failed(asking(transport))
    for method, uri, headers, body in agent.asked:
        assert (method, uri) == (b"POST", b"https://up.example/v1/chat?version=7")
        assert sorted(headers.getAllRawHeaders()) == [
            (b"Authorization", [b"Bearer key"]),
            (b"X-More", [b"1", b"2"]),
        ]
        verifyObject(IBodyProducer, body)
        assert body.length == 2
    assert agent.asked[0][2] is not agent.asked[1][2]


def test_names_of_models_in_paths_fill_no_memory() -> None:
    agent = Failing(net.ConnectionRefusedError())
    transport = Transport("up", ADDRESS, agent)
    for number in range(2 * URLS + 1):
        failed(Deferred.fromCoroutine(transport.post(f"/{number}?a=b", [], b"")))
        assert agent.asked[-1][1] == b"https://up.example/v1/%d?a=b&version=7" % number
    assert len(transport._urls) <= URLS


@pytest.mark.parametrize("ask", ["post", "get"])
@pytest.mark.parametrize(
    ("base_url", "uri"),
    [
        (
            "https://b\u00fccher.example/\u00e9",
            b"https://xn--bcher-kva.example/%C3%A9/v1",
        ),
        ("http://h:81/a%2Fb?key=x%3D1&y=", b"http://h:81/a%2Fb/v1"),
        ("https://[::1]:8080", b"https://[::1]:8080/v1"),
    ],
)
def test_an_address_may_be_written_as_people_do(
    ask: str, base_url: str, uri: bytes
) -> None:
    agent = Failing(net.ConnectionDone())
    failed(asking(Transport("up", parse(base_url, "v1"), agent), ask))
    [(_method, asked, _headers, _body)] = agent.asked
    query = b"?key=x%3D1&y=" if "?" in base_url else b""
    assert asked == uri + b"/chat" + query


# Over connections in memory


@define(eq=False)
class Line:
    """A transport to one upstream."""

    reactor: MemoryReactorClock = field(factory=MemoryReactorClock)
    upstreams: Upstreams = field(init=False)
    transport: Transport = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.upstreams = Upstreams(self.reactor)
        self.transport = connect(
            self.reactor,
            "up",
            parse("http+unix://%2Fup", "v1"),
            3.0,
        )

    def asked(self, ask: str = "post") -> tuple[Deferred[Any], Connection]:
        asked = asking(self.transport, ask)
        return asked, self.upstreams.accept("/up")

    def closed(self) -> None:
        """Close; nothing is left running."""
        closing = Deferred.fromCoroutine(self.transport.close())
        self.reactor.advance(0)
        fired(closing)
        assert self.reactor.getDelayedCalls() == []
        assert self.upstreams.open == []
        assert self.upstreams.waiting() == []

    def body(self, response: Any, limit: int = 100, within: float = 5) -> Any:
        return Deferred.fromCoroutine(read_body(response, limit, self.reactor, within))


def test_a_connection_is_used_again_and_then_given_up() -> None:
    line = Line()
    asked, connection = line.asked()
    received = connection.request()
    assert (received.method, received.path) == ("POST", "/v1/chat")
    assert received.header("content-length") == ["2"]
    assert received.body == b"{}"
    connection.answer(b'{"a":1}')
    assert fired(line.body(fired(asked))) == b'{"a":1}'
    again = asking(line.transport)
    assert line.upstreams.waiting() == []
    assert connection.request().body == b"{}"
    connection.answer(b"{}")
    assert fired(line.body(fired(again))) == b"{}"
    line.reactor.advance(IDLE + 1)
    line.reactor.advance(0)
    assert not connection.open
    line.closed()


def test_connecting_has_its_own_timeout() -> None:
    line = Line()
    asking(line.transport).addErrback(lambda _: None)
    [(_path, _factory, timeout, _check)] = line.reactor.unixClients
    assert timeout == 3.0


@pytest.mark.parametrize("ask", ["post", "get"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(ask: str, status: int) -> None:
    line = Line()
    asked, connection = line.asked(ask)
    connection.answer(b"", status=status, location="http://other.example/")
    response = fired(asked)
    assert response.code == status
    assert line.upstreams.waiting() == []
    fired(line.body(response))
    line.closed()


@pytest.mark.parametrize("ask", ["post", "get"])
def test_no_cookie_is_kept(ask: str) -> None:
    line = Line()
    asked, connection = line.asked(ask)
    connection.requests()
    connection.answer(b"", set_cookie="a=b; Path=/")
    fired(line.body(fired(asked)))
    again = asking(line.transport, ask)
    assert connection.request().header("cookie") == []
    connection.answer(b"")
    fired(line.body(fired(again)))
    line.closed()


@pytest.mark.parametrize("ask", ["post", "get"])
def test_a_cancel_while_connecting(ask: str) -> None:
    line = Line()
    asked = asking(line.transport, ask)
    [attempt] = line.upstreams.waiting()
    asked.cancel()
    assert type(failed(asked)) is CancelledError
    assert attempt.given_up
    line.closed()


@pytest.mark.parametrize("ask", ["post", "get"])
@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\ncontent-"])
def test_a_cancel_while_waiting_for_the_answer(ask: str, head: bytes) -> None:
    line = Line()
    asked, connection = line.asked(ask)
    connection.send(head)
    asked.cancel()
    assert type(failed(asked)) is CancelledError
    assert not connection.open
    line.reactor.advance(0)
    line.closed()


def test_a_cancel_while_reading_a_body() -> None:
    line = Line()
    asked, connection = line.asked()
    connection.begin(500)
    connection.chunk(b"half")
    body = line.body(fired(asked))
    body.cancel()
    assert type(failed(body)) is CancelledError
    assert not connection.open
    line.reactor.advance(0)
    line.closed()


def test_a_body_is_read_up_to_its_limit() -> None:
    line = Line()
    asked, connection = line.asked()
    connection.begin(500)
    body = line.body(fired(asked), limit=10)
    connection.chunk(b"12345678")
    connection.chunk(b"90abcdef")
    connection.chunk(b"more")
    assert fired(body) == b"1234567890abcdef"
    assert connection.hangups == 1
    line.reactor.advance(0)
    line.closed()


def test_a_body_is_waited_for_so_long() -> None:
    line = Line()
    asked, connection = line.asked()
    connection.begin(500)
    connection.chunk(b"half")
    body = line.body(fired(asked), within=5)
    line.reactor.advance(5)
    assert isinstance(failed(body), UpstreamTimeout)
    assert not connection.open
    line.reactor.advance(0)
    line.closed()


def test_a_body_that_breaks_off_is_what_came() -> None:
    line = Line()
    asked, connection = line.asked()
    connection.begin(500)
    connection.chunk(b"half")
    body = line.body(fired(asked))
    connection.cut()
    assert fired(body) == b"half"
    line.closed()


@pytest.mark.parametrize("ask", ["post", "get"])
def test_a_timeout_is_the_error_it_was_said_to_be(ask: str) -> None:
    line = Line()
    late = UpstreamTimeout("late")
    asked = limited(asking(line.transport, ask), 2, line.reactor, lambda: late)
    [attempt] = line.upstreams.waiting()
    line.reactor.advance(2)
    assert failed(asked) is late
    assert attempt.given_up
    line.closed()


def test_a_cancel_before_the_time_is_no_timeout() -> None:
    line = Line()
    asked = limited(
        asking(line.transport), 2, line.reactor, lambda: UpstreamTimeout("late")
    )
    asked.cancel()
    assert type(failed(asked)) is CancelledError
    line.closed()


@pytest.mark.parametrize("ask", ["post", "get"])
@pytest.mark.parametrize(
    ("wire", "kind"),
    [
        (b"", UpstreamCut),
        (b"HTTP/1.1 2", UpstreamCut),
        (b"SSH-2.0-x\r\n", UpstreamCut),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", None),
    ],
)
def test_an_upstream_that_speaks_no_http_is_cut(
    ask: str, wire: bytes, kind: type[GatewayError] | None
) -> None:
    line = Line()
    asked, connection = line.asked(ask)
    connection.send(wire)
    connection.close()
    assert type(failed(asked)) is (kind or UpstreamCut)
    line.reactor.advance(0)
    line.closed()


def test_a_zipped_answer_is_unzipped() -> None:
    line = Line()
    asked, connection = line.asked()
    assert connection.request().header("accept-encoding") == []
    connection.answer(gzip.compress(b"hello"), content_encoding="GZIP")
    assert fired(line.body(fired(asked))) == b"hello"
    line.closed()


def test_an_answer_in_an_unknown_coding_is_given_up() -> None:
    line = Line()
    asked, connection = line.asked()
    connection.begin(content_encoding="br")
    assert isinstance(failed(asked), UpstreamMalformed)
    line.reactor.advance(0)
    assert not connection.open
    line.closed()


def test_a_body_broken_off_is_a_cut() -> None:
    assert "TLS" in str(body_failure(Failure(reasons(ResponseFailed, SSL.Error())), ""))
    assert "TLS" not in str(body_failure(Failure(net.ConnectionLost()), "up"))
    assert isinstance(body_failure(Failure(net.ConnectionLost()), "up"), UpstreamCut)
