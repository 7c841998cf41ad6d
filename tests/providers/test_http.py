"""What an upstream's answer means, and what of a guest's request reaches it."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from modelplex.config import Provider, Timeouts
from modelplex.errors import (
    GatewayError,
    UpstreamCut,
    UpstreamDenied,
    UpstreamError,
    UpstreamMalformed,
    UpstreamModelMissing,
    UpstreamOverloaded,
    UpstreamQuota,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from modelplex.graph import providers_of
from modelplex.interfaces import IModelProvider
from modelplex.secret import Secret
from modelplex.testing.contract import Told, ask
from modelplex.testing.memory.upstream import Connection, Upstreams

KEY = "sk-proj/abc+def=="
EXTRA = "a value kept secret"
TIMEOUTS = Timeouts(connect=2, first_byte=10, idle=20, total=50)
HELLO = b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n'
ROLE = b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n'
WHOLE = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'


@define(eq=False)
class Opening:
    """A provider that was asked for an answer."""

    asked: Any = field(factory=ask)
    type: str = "openai"
    within: float = 900.0
    model: str = "m"
    reactor: MemoryReactorClock = field(factory=MemoryReactorClock)
    upstreams: Upstreams = field(init=False)
    provider: Any = field(init=False)
    opening: Deferred[Any] = field(init=False)
    opened: list[Any] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.upstreams = Upstreams(self.reactor)
        config = Provider(
            name="up",
            type=self.type,  # type: ignore[arg-type]
            base_url="http+unix://%2Fup",
            api_keys=(Secret(KEY),),
            headers={"X-Extra": Secret(EXTRA)},
            timeouts=TIMEOUTS,
        )
        [self.provider] = providers_of(config, self.reactor, 1000)
        coroutine = self.provider.open(self.asked, self.model, self.within)
        self.opening = Deferred.fromCoroutine(coroutine)
        self.opening.addBoth(self.opened.append)

    def accept(self) -> Connection:
        return self.upstreams.accept("/up")

    @property
    def error(self) -> Any:
        [failure] = self.opened
        assert isinstance(failure, Failure), failure
        return failure.value

    @property
    def reply(self) -> Any:
        [reply] = self.opened
        assert not isinstance(reply, Failure), reply
        return reply

    def turn(self) -> None:
        self.reactor.advance(0)

    def nothing_is_left(self) -> None:
        self.turn()
        closing = Deferred.fromCoroutine(self.provider.close())
        self.turn()
        assert closing.called
        assert self.reactor.getDelayedCalls() == []
        assert self.upstreams.open == []


def answered(status: int, body: bytes | dict[str, Any], **more: Any) -> Any:
    """The error that an answer means."""
    opening = Opening(**more.pop("opening", {}))
    if isinstance(body, dict):
        body = json.dumps(body).encode()
    opening.accept().answer(body, status, **more)
    error = opening.error
    opening.nothing_is_left()
    assert KEY not in repr(vars(error)) + str(error) + repr(error)
    return error


def complaint(message: str = "no", **members: Any) -> dict[str, Any]:
    return {"error": {"message": message, **members}}


def test_it_is_a_provider() -> None:
    opening = Opening()
    verifyObject(IModelProvider, opening.provider)
    assert KEY not in repr(opening.provider)
    opening.opening.cancel()


# What an answer means (design §6)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("status", "said", "kind", "shown"),
    [
        (400, complaint(), UpstreamRejected, 400),
        (413, complaint(), UpstreamRejected, 413),
        (422, complaint(), UpstreamRejected, 422),
        (404, complaint("no such path"), UpstreamRejected, 404),
        (404, complaint(code="model_not_found"), UpstreamModelMissing, 404),
        (404, complaint("the model is not there"), UpstreamModelMissing, 404),
        (401, complaint(), UpstreamDenied, 502),
        (402, complaint(), UpstreamDenied, 502),
        (403, complaint(), UpstreamDenied, 502),
        (408, complaint(), UpstreamTimeout, 504),
        (429, complaint(), UpstreamRateLimited, 429),
        (429, complaint(code="insufficient_quota"), UpstreamQuota, 429),
        (500, complaint(), UpstreamOverloaded, 502),
        (502, complaint(), UpstreamOverloaded, 502),
        (503, complaint(), UpstreamOverloaded, 503),
        (504, complaint(), UpstreamTimeout, 504),
        (529, complaint(), UpstreamOverloaded, 529),
        (201, complaint(), UpstreamError, 502),
        (204, {}, UpstreamError, 502),
        (301, {}, UpstreamError, 502),
        (303, complaint(), UpstreamError, 502),
        (307, {}, UpstreamError, 502),
    ],
)
def test_a_status_means(
    stream: bool,
    status: int,
    said: dict[str, Any],
    kind: type[GatewayError],
    shown: int,
) -> None:
    error = answered(status, said, opening={"asked": ask(stream)})
    assert (type(error), error.status) == (kind, shown)
    assert error.failover is not (kind is UpstreamRejected)


def test_a_redirect_goes_nowhere() -> None:
    opening = Opening()
    opening.accept().answer(b"", 303, location="http://elsewhere.example/")
    assert type(opening.error) is UpstreamError
    assert "303" in opening.error.message
    assert opening.upstreams.waiting() == []
    assert len(opening.reactor.unixClients) == 1
    assert not opening.reactor.tcpClients
    opening.nothing_is_left()


@pytest.mark.parametrize("status", [400, 429, 503, 529])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "7", "retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "soon"}, None),
        ({}, None),
    ],
)
def test_when_to_retry_is_kept(
    status: int, headers: dict[str, str], seconds: float | None
) -> None:
    assert answered(status, complaint(), **headers).retry_after == seconds


@pytest.mark.parametrize(("header", "seconds"), [(None, 7.0), ("9", 9.0)])
def test_when_to_retry_may_be_told_in_the_body(
    header: str | None, seconds: float
) -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
    body = {"error": {"code": 429, "message": "no", "details": [info]}}
    headers = {} if header is None else {"retry_after": header}
    error = answered(429, body, opening={"type": "gemini"}, **headers)
    assert error.retry_after == seconds


def test_a_refusal_keeps_the_providers_words() -> None:
    body = complaint("too many", type="invalid_request_error", param="n", code="x")
    error = answered(400, body)
    assert (error.message, error.type, error.param, error.code) == (
        *("too many", "invalid_request_error", "n", "x"),
    )
    assert json.loads(error.body) == body


def test_a_denial_is_told_to_the_operator_alone() -> None:
    error = answered(401, complaint(f"wrong key {KEY} of account 42"))
    assert "42" not in error.message
    assert error.told_operator == "401 wrong key *** of account 42"


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
@pytest.mark.parametrize("secret", [KEY, EXTRA])
@pytest.mark.parametrize("escape", [False, True])
def test_no_error_holds_a_secret(status: int, secret: str, escape: bool) -> None:
    words = f"got {secret}"
    said = complaint(words, type=words, code=words, param=words)
    body = json.dumps(said).replace("/", "\\/" if escape else "/")
    error = answered(status, body.encode())
    kept = vars(error) | {"args": error.args}
    assert secret not in repr(kept)
    held = kept.get("body", b"").replace(b"\\/", b"/")
    assert secret.encode() not in held


@pytest.mark.parametrize("kind", ["text/html", "text/html; charset=utf-8", "TEXT/HTML"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_page_is_no_answer(kind: str, stream: bool) -> None:
    page = b"<html>log in to the wifi</html>"
    error = answered(200, page, content_type=kind, opening={"asked": ask(stream)})
    assert type(error) is UpstreamMalformed
    assert "wifi" not in error.message


def test_a_page_with_an_error_status_is_that_error() -> None:
    error = answered(503, b"<html>busy</html>", content_type="text/html")
    assert (type(error), error.status) == (UpstreamOverloaded, 503)


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; a=b"])
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (complaint(type="overloaded_error"), UpstreamOverloaded),
        (complaint(code="insufficient_quota"), UpstreamQuota),
        (complaint(type="invalid_request_error"), UpstreamRejected),
        (complaint(), UpstreamOverloaded),
    ],
)
def test_json_for_a_stream_is_an_error(
    kind: str, said: dict[str, Any], expected: type[GatewayError]
) -> None:
    assert type(answered(200, said, content_type=kind)) is expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (complaint(type="overloaded_error"), UpstreamOverloaded),
        (b"[]", UpstreamMalformed),
        (b"", UpstreamMalformed),
        (b"{", UpstreamMalformed),
    ],
)
def test_a_whole_answer_may_be_an_error_too(
    said: Any, expected: type[GatewayError]
) -> None:
    assert type(answered(200, said, opening={"asked": ask(False)})) is expected


def test_a_gigabyte_of_an_error_is_not_read() -> None:
    opening = Opening()
    connection = opening.accept()
    connection.begin(400)
    for _ in range(100):
        if connection.open:
            connection.chunk(b"x" * 2000)
    assert type(opening.error) is UpstreamRejected
    assert not connection.open
    opening.nothing_is_left()


def test_a_reply_over_the_limit_is_not_read() -> None:
    opening = Opening(ask(False))
    connection = opening.accept()
    connection.begin(content_type="application/json")
    connection.chunk(b'{"a":"' + b"x" * 1000)
    assert type(opening.error) is UpstreamMalformed
    assert not connection.open
    opening.nothing_is_left()


def test_a_reply_shorter_than_it_says_is_cut() -> None:
    opening = Opening(ask(False))
    connection = opening.accept()
    connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + WHOLE)
    connection.close()
    assert type(opening.error) is UpstreamCut
    opening.nothing_is_left()


def test_an_upstream_that_refuses_is_unreachable() -> None:
    opening = Opening()
    opening.upstreams.refuse()
    assert type(opening.error) is UpstreamUnreachable
    assert "/up" not in opening.error.message
    opening.nothing_is_left()


# In the middle


def test_an_error_in_the_middle_holds_no_secret() -> None:
    opening = Opening()
    connection = opening.accept()
    connection.begin()
    connection.chunk(HELLO)
    told = Told()
    opening.reply.deliver(told)
    connection.chunk(b"data: " + json.dumps(complaint(f"got {KEY}")).encode() + b"\n\n")
    [error] = told.ends
    assert error is not None and error.message == "got ***"
    opening.nothing_is_left()


# Time


def test_the_first_byte_is_the_first_of_the_answer() -> None:
    opening = Opening()
    connection = opening.accept()
    connection.begin()
    for _ in range(9):
        connection.chunk(ROLE)
        opening.reactor.advance(1)
    assert opening.opened == []
    opening.reactor.advance(1)
    assert type(opening.error) is UpstreamTimeout
    opening.nothing_is_left()


def test_a_whole_answer_may_take_until_the_total() -> None:
    opening = Opening(ask(False))
    connection = opening.accept()
    opening.reactor.advance(TIMEOUTS.total - 1)
    connection.answer(WHOLE)
    opening.reply.deliver(told := Told())
    assert told.batches == [WHOLE]
    opening.nothing_is_left()
    opening = Opening(ask(False))
    opening.accept()
    opening.reactor.advance(TIMEOUTS.total)
    assert type(opening.error) is UpstreamTimeout
    opening.nothing_is_left()


@pytest.mark.parametrize("stream", [True, False])
def test_what_is_left_of_the_exchange_may_be_less(stream: bool) -> None:
    opening = Opening(ask(stream), within=3)
    opening.accept()
    opening.reactor.advance(2.9)
    assert opening.opened == []
    opening.reactor.advance(0.1)
    assert type(opening.error) is UpstreamTimeout
    opening.nothing_is_left()


def test_asking_about_a_model_counts_too() -> None:
    opening = Opening(type="anthropic", within=3)
    connection = opening.accept()
    assert connection.request().method == "GET"
    opening.reactor.advance(3)
    assert type(opening.error) is UpstreamTimeout
    opening.nothing_is_left()


@pytest.mark.parametrize(("within", "seconds"), [(900.0, 50), (30.0, 30)])
def test_a_stream_must_have_ended_in_time(within: float, seconds: int) -> None:
    opening = Opening(within=within)
    connection = opening.accept()
    opening.reactor.advance(5)
    connection.begin()
    connection.chunk(HELLO)
    told = Told()
    opening.reply.deliver(told)
    for _ in range(seconds - 5):
        assert told.ends == []
        connection.chunk(HELLO)
        opening.reactor.advance(1)
    assert [type(end) for end in told.ends] == [UpstreamTimeout]
    opening.nothing_is_left()


def test_an_upstream_that_closes_late_is_closed() -> None:
    opening = Opening()
    connection = opening.accept()
    connection.begin()
    connection.chunk(HELLO + b"data: [DONE]\n\n")
    told = Told()
    opening.reply.deliver(told)
    assert told.ends == [None]
    assert connection.open
    opening.reactor.advance(5)
    assert not connection.open
    opening.nothing_is_left()


# A cancel


def _nothing(opening: Opening) -> None:
    pass


def _connected(opening: Opening) -> None:
    opening.accept()


def _error_begun(opening: Opening) -> None:
    connection = opening.accept()
    connection.begin(500)
    connection.chunk(b"half")


def _announced(opening: Opening) -> None:
    connection = opening.accept()
    connection.begin()
    connection.chunk(b"\n" if opening.type == "ollama" else ROLE)


def _half_a_whole(opening: Opening) -> None:
    connection = opening.accept()
    connection.begin(content_type="application/json")
    connection.chunk(WHOLE[:9])


@pytest.mark.parametrize("type", ["openai", "anthropic", "ollama"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "phase", [_nothing, _connected, _error_begun, _announced, _half_a_whole]
)
def test_a_cancel_stays_a_cancel(type: str, stream: bool, phase: Any) -> None:
    opening = Opening(ask(stream), type=type)
    phase(opening)
    opening.opening.cancel()
    assert opening.error.__class__ is CancelledError
    opening.reactor.advance(0.25)
    assert opening.upstreams.open == []
    assert opening.upstreams.waiting() == []
    opening.nothing_is_left()


# What reaches an upstream

TRACE = ((b"traceparent", b"00-1-2-03"), (b"openai-beta", b"x=1"))


def test_a_guests_headers_go_along_when_its_bytes_do() -> None:
    opening = Opening(ask(headers=TRACE))
    received = opening.accept().request()
    assert sorted(received.headers) == sorted(
        [
            ("host", "localhost"),
            ("content-length", str(len(received.body))),
            ("content-type", "application/json"),
            ("authorization", f"Bearer {KEY}"),
            ("x-extra", EXTRA),
            ("traceparent", "00-1-2-03"),
            ("openai-beta", "x=1"),
        ]
    )
    opening.opening.cancel()


def test_a_translated_request_takes_no_header_along() -> None:
    opening = Opening(ask(headers=TRACE), type="ollama")
    received = opening.accept().request()
    assert received.header("traceparent") == []
    assert received.header("openai-beta") == []
    assert received.header("authorization") == [f"Bearer {KEY}"]
    opening.opening.cancel()


def test_the_model_is_named_as_the_provider_names_it() -> None:
    opening = Opening(ask(model="fast", unknown=[1.50, "é"]), model="gpt-4o-mini")
    body = json.loads(opening.accept().request().body)
    assert body["model"] == "gpt-4o-mini"
    assert body["unknown"] == [1.5, "é"]
    assert body["stream_options"] == {"include_usage": True}
    opening.opening.cancel()


# The list of models


def listed(opening: Opening) -> list[Any]:
    opening.opening.cancel()
    opening.turn()
    found: list[Any] = []
    listing = Deferred.fromCoroutine(opening.provider.list_models())
    listing.addBoth(found.append)
    return found


def test_the_models_are_listed() -> None:
    opening = Opening()
    found = listed(opening)
    connection = opening.accept()
    received = connection.request()
    assert (received.method, received.path) == ("GET", "/v1/models")
    assert received.header("authorization") == [f"Bearer {KEY}"]
    connection.answer(b'{"data":[{"id":"a"},{"id":"b/c:d"}]}')
    assert found == [["a", "b/c:d"]]
    opening.nothing_is_left()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b"bad key " + KEY.encode(), UpstreamDenied),
        (404, b"nothing here", UpstreamRejected),
        (500, b"<html>", UpstreamOverloaded),
        (200, b"<html>", UpstreamMalformed),
        (200, b'{"data":[{"id":1}]}', UpstreamMalformed),
    ],
)
def test_a_list_that_cannot_be_had_is_an_error(
    status: int, body: bytes, kind: type[GatewayError]
) -> None:
    opening = Opening()
    found = listed(opening)
    opening.accept().answer(body, status)
    assert type(found[0].value) is kind
    assert KEY not in repr(vars(found[0].value))
    opening.nothing_is_left()


def test_a_list_is_not_waited_for_long() -> None:
    opening = Opening()
    found = listed(opening)
    connection = opening.accept()
    connection.begin(content_type="application/json")
    opening.reactor.advance(10)
    assert type(found[0].value) is UpstreamTimeout
    opening.nothing_is_left()


# What comes zipped though nobody asked for it


def zipped(*pieces: bytes) -> tuple[Opening, Connection]:
    opening = Opening()
    connection = opening.accept()
    connection.begin(content_encoding="gzip")
    for piece in pieces:
        connection.chunk(piece)
    return opening, connection


def test_a_zipped_stream_is_delivered_as_it_comes() -> None:
    zipper = zlib.compressobj(wbits=31)
    hello = zipper.compress(HELLO) + zipper.flush(zlib.Z_SYNC_FLUSH)
    opening, connection = zipped(hello)
    told = Told()
    opening.reply.deliver(told)
    assert told.batches == [HELLO]
    connection.chunk(zipper.compress(b"data: [DONE]\n\n") + zipper.flush())
    connection.finish()
    assert told.batches == [HELLO, b"data: [DONE]\n\n"]
    assert told.ends == [None]
    opening.nothing_is_left()


def test_what_cannot_be_unzipped_is_cut() -> None:
    opening, _connection = zipped(b"this is no gzip")
    assert type(opening.error) is UpstreamCut
    opening.nothing_is_left()


def test_a_zipped_stream_that_ends_in_the_middle_is_cut() -> None:
    zipper = zlib.compressobj(wbits=31)
    opening, connection = zipped(
        zipper.compress(HELLO) + zipper.flush(zlib.Z_SYNC_FLUSH)
    )
    told = Told()
    opening.reply.deliver(told)
    connection.finish()
    assert [type(end) for end in told.ends] == [UpstreamCut]
    opening.nothing_is_left()


def test_a_small_answer_does_not_grow_large() -> None:
    opening = Opening(ask(False))
    connection = opening.accept()
    connection.begin(content_type="application/json", content_encoding="gzip")
    connection.chunk(gzip.compress(b" " * 2**20))
    assert type(opening.error) is UpstreamMalformed
    assert not connection.open
    opening.nothing_is_left()
