"""Tokens are fetched by need, in time, once for everybody, and never shown."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from modelplex.config import Entra
from modelplex.errors import (
    GatewayError,
    UpstreamCut,
    UpstreamDenied,
    UpstreamError,
    UpstreamMalformed,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from modelplex.outbound.address import plain
from modelplex.outbound.transport import connect
from modelplex.providers.entra import AGAIN, ASKING, EARLY, EntraCredentials
from modelplex.secret import Secret
from modelplex.testing.memory.upstream import Connection, Upstreams

SECRET = "s3cr3t~with/odd+marks"
HOUR = 3600.0
ENTRA = Entra(
    tenant_id="the tenant",
    client_id="the client",
    client_secret=Secret(SECRET),
    authority="http+unix://%2Flogin",
)


def granted(token: str = "t1", lasts: Any = HOUR) -> bytes:
    said = {"token_type": "Bearer", "expires_in": lasts, "access_token": token}
    return json.dumps(said).encode()


@define(eq=False)
class Asking:
    """Credentials, the authority that gives them, and who waits for them."""

    reactor: Any = field(factory=MemoryReactorClock)
    upstreams: Upstreams = field(init=False)
    credentials: EntraCredentials = field(init=False)
    _connection: Connection | None = None

    def __attrs_post_init__(self) -> None:
        self.upstreams = Upstreams(self.reactor)
        transport = connect(self.reactor, "az", plain(ENTRA.authority), 5.0)
        self.credentials = EntraCredentials("az", ENTRA, transport, self.reactor)

    def ask(self) -> tuple[Deferred[Any], list[Any]]:
        told: list[Any] = []
        asking = Deferred.fromCoroutine(self.credentials.headers())
        asking.addBoth(told.append)
        return asking, told

    def asked(self) -> list[Connection]:
        """The connections on which a token was asked for and not answered yet."""
        self.reactor.advance(0)
        for attempt in self.upstreams.waiting():
            self.upstreams.connections.append(attempt.accept())
        return [c for c in self.upstreams.open if c.requests()]

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        [connection] = self.asked()
        connection.answer(body, status, **headers)
        self.reactor.advance(0)

    def token(self) -> str:
        """The token that there is without asking for one."""
        [[(name, value)]] = self.ask()[1]
        assert name == b"authorization"
        return value.decode().removeprefix("Bearer ")  # type: ignore[no-any-return]

    def nothing_is_left(self) -> None:
        closing = Deferred.fromCoroutine(self.credentials.close())
        self.reactor.advance(0)
        self.reactor.advance(0)
        assert closing.called
        assert self.reactor.getDelayedCalls() == []
        assert self.upstreams.open == []


def refused(status: int, body: bytes, **headers: str) -> Any:
    """Why there is no token, after such an answer."""
    asking = Asking()
    _, told = asking.ask()
    asking.answer(body, status, **headers)
    [failure] = told
    assert isinstance(failure, Failure)
    asking.nothing_is_left()
    error: Any = failure.value
    assert SECRET not in repr(vars(error)) + str(error) + repr(error)
    return error


def test_it_asks_with_the_client_credentials_grant() -> None:
    asking = Asking()
    _, told = asking.ask()
    [attempt] = asking.upstreams.waiting("/login")
    connection = attempt.accept()
    request = connection.request()
    assert request.method == "POST"
    assert request.path == "/the%20tenant/oauth2/v2.0/token"
    assert request.header("content-type") == ["application/x-www-form-urlencoded"]
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["the client"],
        "client_secret": [SECRET],
        "scope": ["https://cognitiveservices.azure.com/.default"],
    }
    connection.answer(granted())
    assert told == [((b"authorization", b"Bearer t1"),)]
    asking.reactor.advance(30)  # which is all that an idle connection is kept
    assert asking.reactor.getDelayedCalls() == []  # nothing watches the token


def test_a_token_is_kept_until_its_last_minutes() -> None:
    asking = Asking()
    asking.ask()
    asking.answer(granted("t1"))
    asking.reactor.advance(HOUR - EARLY - 1)
    assert asking.token() == "t1"
    assert asking.asked() == []
    asking.reactor.advance(1)
    _, told = asking.ask()
    assert told == []
    asking.answer(granted("t2"))
    assert told == [((b"authorization", b"Bearer t2"),)]
    assert asking.token() == "t2"
    asking.nothing_is_left()


def test_a_short_life_is_kept_for_half_of_it() -> None:
    asking = Asking()
    asking.ask()
    asking.answer(granted("t1", "60"))
    asking.reactor.advance(29)
    assert asking.token() == "t1"
    asking.reactor.advance(1)
    assert asking.ask()[1] == []
    asking.nothing_is_left()


def test_the_old_token_serves_while_there_is_no_new_one() -> None:
    asking = Asking()
    asking.ask()
    asking.answer(granted("t1"))
    asking.reactor.advance(HOUR - EARLY)
    _, told = asking.ask()
    asking.answer(b"", 503)
    assert told == [((b"authorization", b"Bearer t1"),)]
    assert asking.token() == "t1"  # and nobody waits for each request
    assert asking.asked() == []
    asking.reactor.advance(AGAIN)
    _, told = asking.ask()
    asking.answer(granted("t2"))
    assert told == [((b"authorization", b"Bearer t2"),)]
    asking.nothing_is_left()


def test_an_old_token_is_not_used_when_it_is_over() -> None:
    asking = Asking()
    asking.ask()
    asking.answer(granted("t1"))
    asking.reactor.advance(HOUR)
    _, told = asking.ask()
    asking.answer(b"", 503)
    [failure] = told
    assert failure.check(UpstreamOverloaded)
    asking.nothing_is_left()


def test_a_token_that_was_refused_is_not_used_again() -> None:
    asking = Asking()
    asking.ask()
    asking.answer(granted("t1"))
    asking.credentials.refused()
    _, told = asking.ask()
    assert told == []
    asking.answer(granted("t2"))
    assert told == [((b"authorization", b"Bearer t2"),)]
    assert set(asking.credentials.secrets) == {SECRET, "t1", "t2"}
    asking.nothing_is_left()


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_told_to_the_operator_alone(status: int) -> None:
    said = {
        "error": "invalid_client",
        "error_description": f"AADSTS7000215: Invalid client\r\nsecret {SECRET}.",
    }
    error = refused(status, json.dumps(said).encode())
    assert type(error) is UpstreamDenied
    assert "AADSTS" not in error.message
    assert error.told_operator == (
        f"{status} from the authority: invalid_client "
        "AADSTS7000215: Invalid client secret ***."
    )


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":{"a":1}}', b"\xff"])
def test_a_refusal_without_words_is_one(body: bytes) -> None:
    error = refused(401, body)
    assert type(error) is UpstreamDenied
    assert error.told_operator == "401 from the authority:"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, UpstreamError),
        (408, UpstreamTimeout),
        (429, UpstreamRateLimited),
        (500, UpstreamOverloaded),
        (503, UpstreamOverloaded),
    ],
)
def test_a_failure_of_the_authority_is_no_refusal(
    status: int, kind: type[GatewayError]
) -> None:
    error = refused(status, SECRET.encode(), retry_after="7")
    assert type(error) is kind
    if kind is not UpstreamError:
        assert error.retry_after == 7.0


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b"[1]", b'{"access_token":"a"}', b"\xff"),
        granted(""),
        granted("a b"),
        granted("a\nb"),
        granted("\u00fc"),
        granted("a", "soon"),
        granted("a", "nan"),
        granted("a", None),
    ],
)
def test_what_is_no_token_is_malformed(body: bytes) -> None:
    assert type(refused(200, body)) is UpstreamMalformed


def test_an_authority_that_cannot_be_reached_is_unreachable() -> None:
    asking = Asking()
    _, told = asking.ask()
    asking.upstreams.refuse()
    [failure] = told
    assert failure.check(UpstreamUnreachable)
    asking.nothing_is_left()


def test_an_authority_that_hangs_up_is_a_cut() -> None:
    asking = Asking()
    _, told = asking.ask()
    asking.upstreams.accept().cut()
    [failure] = told
    assert failure.check(UpstreamCut)
    asking.nothing_is_left()


def test_silence_is_a_timeout() -> None:
    asking = Asking()
    _, told = asking.ask()
    asking.asked()
    asking.reactor.advance(ASKING)
    [failure] = told
    assert failure.check(UpstreamTimeout)
    asking.nothing_is_left()


def test_no_secret_is_in_its_repr() -> None:
    asking = Asking()
    asking.ask()
    asking.answer(granted("the-token"))
    assert "the-token" not in repr(asking.credentials)
    assert SECRET not in repr(asking.credentials)
    asking.nothing_is_left()


STEPS = st.lists(
    st.sampled_from(["ask", "grant", "fail", "refuse connection", "refused"])
    | st.tuples(st.just("leave"), st.integers(0, 5))
    | st.tuples(st.just("wait"), st.sampled_from([1.0, ASKING, AGAIN, 3300.0, HOUR])),
    max_size=30,
)


@given(STEPS)
def test_everybody_gets_a_token_that_is_good_or_an_error_and_one_is_fetched_at_a_time(
    steps: list[Any],
) -> None:
    asking = Asking()
    ends: dict[str, float] = {}  # by token, when it is over
    everybody: list[tuple[Deferred[Any], list[Any]]] = []
    left: set[int] = set()
    pending: list[tuple[Connection, float]] = []  # and when it asked
    for step in steps:
        now = asking.reactor.seconds()
        if step == "ask":
            begun, told = asking.ask()
            everybody.append((begun, told))
            if told and not isinstance(told[0], Failure):
                assert ends[told[0][0][1].decode()[7:]] > now
        elif step == "refused":
            asking.credentials.refused()
        elif isinstance(step, tuple) and step[0] == "leave":
            if step[1] < len(everybody) and not everybody[step[1]][1]:
                left.add(step[1])
                everybody[step[1]][0].cancel()
        elif isinstance(step, tuple):
            asking.reactor.advance(step[1])
        elif step == "refuse connection":
            for attempt in asking.upstreams.waiting():
                attempt.fail()
        else:
            pending = [(c, at) for c, at in pending if c.open]
            pending += [(c, now) for c in asking.asked()]
            if pending:
                connection, at = pending.pop()
                token = f"t{len(ends)}"
                if step == "grant":
                    ends[token] = at + HOUR
                    connection.answer(granted(token))
                else:
                    connection.answer(b"", 503)
        asking.reactor.advance(0)
        waiting = [told for _, told in everybody if not told]
        busy = asking.upstreams.waiting()
        assert len(busy) <= 1
        if not waiting:
            assert busy == []
    for number, (_, told) in enumerate(everybody):
        assert len(told) <= 1
        if number in left:
            assert told[0].check(CancelledError)
        elif told and isinstance(told[0], Failure):
            assert told[0].check(GatewayError)
            assert not told[0].check(CancelledError)
    asking.nothing_is_left()
    assert all(told for _, told in everybody)
