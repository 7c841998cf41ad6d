"""Tokens for a remote server: asked for when it says so, from whom, and bounded."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from urllib.parse import parse_qs

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import (
    ILogObserver,
    LogEvent,
    formatEvent,
    globalLogPublisher,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from modelplex.mcp.oauth import AGAIN, ASKING, EARLY, ClientCredentials
from modelplex.mcp.remote_address import Place, place
from modelplex.mcp.remote_settings import OAuthSettings
from modelplex.outbound.address import Address
from modelplex.outbound.transport import Transport, connect
from modelplex.secret import Secret
from modelplex.testing.memory.upstream import Connection, Received, Upstreams
from modelplex.tools import ToolServerError, ToolServerTimeout

SECRET = "s3cr3t~with/odd:marks"
SERVER = "https://mcp.example/v1/mcp"
RESOURCE = "https://mcp.example/.well-known/oauth-protected-resource"
ISSUER = "https://login.example/t"
DESCRIBED = "https://login.example/.well-known/oauth-authorization-server/t"
TOKENS = "https://login.example/token"
CHALLENGE = f'Bearer resource_metadata="{RESOURCE}/x"'


@define(eq=False)
class Asking:
    """Credentials, and whoever is asked for them, each host at a path of its own."""

    settings: OAuthSettings = field(
        factory=lambda: OAuthSettings("the client", Secret(SECRET))
    )
    reactor: Any = field(factory=MemoryReactorClock)
    upstreams: Upstreams = field(init=False)
    credentials: ClientCredentials = field(init=False)
    dialled: list[tuple[str, bool]] = field(factory=list)
    pending: list[tuple[str, Connection, Received]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.upstreams = Upstreams(self.reactor)
        self.credentials = ClientCredentials(
            "r", self.settings, place(SERVER), self._dial, self.reactor
        )

    def _dial(self, to: Place, public: bool) -> Transport:
        origin = to.address.origin
        self.dialled.append((origin, public))
        here = Address("http://localhost", "", "", origin)
        return connect(self.reactor, "r", here, 5.0)

    def turn(self) -> None:
        for _ in range(3):
            self.reactor.advance(0)
            for attempt in self.upstreams.waiting():
                self.upstreams.connections.append(attempt.accept())
            for one in self.upstreams.connections:
                self.pending += [(one.path, one, r) for r in one.requests()]

    def asked(self, url: str) -> tuple[Connection, Received]:
        """The one request that is under way, which is for `url`."""
        self.turn()
        [(origin, connection, received)] = self.pending
        assert origin + received.path == url
        self.pending.clear()
        return connection, received

    def answer(self, url: str, value: Any, status: int = 200, **headers: str) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.asked(url)[0].answer(body, status, **headers)
        self.turn()

    def headers(self) -> list[Any]:
        told: list[Any] = []
        Deferred.fromCoroutine(self.credentials.headers()).addBoth(told.append)
        self.turn()
        return told

    def challenged(
        self, challenge: str = CHALLENGE, status: int = 401, sent: Any = ()
    ) -> bool:
        told: list[Any] = []
        work = self.credentials.challenged(status, challenge, sent)
        Deferred.fromCoroutine(work).addBoth(told.append)
        [again] = told
        assert isinstance(again, bool)
        return again

    def discovered(self, url: str = f"{RESOURCE}/x", **more: Any) -> None:
        """Answer the questions for metadata."""
        known = {"resource": SERVER, "authorization_servers": [ISSUER], **more}
        self.answer(url, known)
        self.answer(DESCRIBED, {"issuer": ISSUER, "token_endpoint": TOKENS})

    def granted(self, token: str = "t1", **more: Any) -> dict[str, str]:
        """Give a token; what it was asked for with."""
        connection, received = self.asked(TOKENS)
        connection.answer(json.dumps({"access_token": token, **more}).encode())
        self.turn()
        return {k: v[0] for k, v in parse_qs(received.body.decode()).items()}

    def stop(self) -> None:
        Deferred.fromCoroutine(self.credentials.close())
        self.turn()
        self.turn()
        assert self.reactor.getDelayedCalls() == []
        assert self.upstreams.open == []


def bearer(told: list[Any]) -> str:
    [[(name, value)]] = told
    assert name == b"authorization"
    return value.decode().removeprefix("Bearer ")  # type: ignore[no-any-return]


def error_of(told: list[Any]) -> ToolServerError:
    [failure] = told
    assert isinstance(failure, Failure)
    assert isinstance(failure.value, ToolServerError), failure.value
    shown = str(failure.value) + repr(vars(failure.value))
    assert SECRET not in shown and "t1" not in shown
    return failure.value


def begun(
    settings: OAuthSettings | None = None, challenge: str = CHALLENGE
) -> tuple[Asking, Any]:
    """The server has asked for a token, and it is being looked for."""
    asking = Asking() if settings is None else Asking(settings)
    assert asking.challenged(challenge)
    return asking, asking.headers()


def test_nothing_is_sent_before_the_server_asks_for_it() -> None:
    asking = Asking()
    assert asking.headers() == [()]
    assert asking.dialled == []
    asking.stop()


def test_a_token_is_found_where_the_server_says() -> None:
    asking, told = begun()
    asking.discovered()
    connection, received = asking.asked(TOKENS)
    pair = "the%20client:s3cr3t~with%2Fodd%3Amarks"
    basic = "Basic " + b64encode(pair.encode()).decode()
    assert received.header("authorization") == [basic]
    form = {k: v[0] for k, v in parse_qs(received.body.decode()).items()}
    assert form == {"grant_type": "client_credentials", "resource": SERVER}
    connection.answer(b'{"access_token":"t1","token_type":"bearer","expires_in":"60"}')
    asking.turn()
    assert bearer(told) == bearer(asking.headers()) == "t1"
    # The server's own host is known to the operator; the others must be public.
    assert asking.dialled == [
        ("https://mcp.example", False),
        ("https://login.example", True),
        ("https://login.example", True),
    ]
    asking.stop()


def test_metadata_is_looked_for_when_the_server_does_not_say_where() -> None:
    asking, told = begun(challenge="Bearer")
    asking.answer(f"{RESOURCE}/v1/mcp", b"", 404)
    asking.discovered(RESOURCE)
    asking.granted()
    assert bearer(told) == "t1"
    asking.stop()


def test_a_server_without_metadata_is_its_own_authority() -> None:
    asking, told = begun(challenge="Bearer")
    asking.answer(f"{RESOURCE}/v1/mcp", b"", 404)
    asking.answer(RESOURCE, b"", 404)
    own = "https://mcp.example"
    asking.answer(f"{own}/.well-known/oauth-authorization-server", b"", 404)
    metadata = {"issuer": own, "token_endpoint": f"{own}/token"}
    asking.answer(f"{own}/.well-known/openid-configuration", metadata)
    asking.answer(f"{own}/token", {"access_token": "t1"})
    assert bearer(told) == "t1"
    asking.stop()


def test_all_wait_for_the_same_token() -> None:
    asking, first = begun()
    second = asking.headers()
    asking.discovered()
    asking.granted()
    assert bearer(first) == bearer(second) == "t1"
    asking.stop()


def test_a_token_is_replaced_before_its_end_and_kept_while_that_fails() -> None:
    asking, _ = begun()
    asking.discovered()
    asking.granted(expires_in=1000)
    asking.reactor.advance(1000 - EARLY - 1)
    assert bearer(asking.headers()) == "t1"
    asking.reactor.advance(1)
    told = asking.headers()
    asking.answer(TOKENS, b"", 503)
    assert bearer(told) == bearer(asking.headers()) == "t1"
    asking.reactor.advance(AGAIN)
    told = asking.headers()
    asking.granted("t2")
    assert bearer(told) == "t2"
    asking.stop()


def test_a_token_that_is_refused_is_fetched_anew_from_where_it_is_now() -> None:
    asking, told = begun()
    asking.discovered()
    asking.granted()
    sent = told[0]
    assert asking.challenged(sent=sent)
    told = asking.headers()
    asking.discovered()
    asking.granted("t2")
    assert bearer(told) == "t2"
    assert asking.challenged(sent=sent)  # one that was under way meanwhile
    assert bearer(asking.headers()) == "t2"
    asking.stop()


def test_scopes_are_those_of_the_challenge_then_of_the_metadata() -> None:
    asking, _ = begun(challenge=f'{CHALLENGE}, scope="b a"')
    asking.discovered(scopes_supported=["z"])
    assert asking.granted()["scope"] == "a b"
    asking.stop()
    asking, _ = begun()
    asking.discovered(scopes_supported=["z"])
    assert asking.granted()["scope"] == "z"
    asking.stop()
    configured = OAuthSettings("the client", Secret(SECRET), scope="mine")
    asking, _ = begun(configured, challenge=f'{CHALLENGE}, scope="b a"')
    asking.discovered(scopes_supported=["z"])
    assert asking.granted()["scope"] == "mine"
    asking.stop()


def test_a_scope_that_is_missing_is_added_once() -> None:
    asking, told = begun(challenge=f'{CHALLENGE}, scope="a"')
    asking.discovered()
    asking.granted()
    more = 'Bearer error="insufficient_scope", scope="b"'
    assert not asking.challenged('Bearer scope="b"', 403, told[0])
    assert asking.challenged(more, 403, told[0])
    told = asking.headers()
    assert asking.granted("t2")["scope"] == "a b"
    assert not asking.challenged(more, 403, told[0])
    endless = " ".join(f"s{number}" for number in range(64))
    wider = f'Bearer error="insufficient_scope", scope="{endless}"'
    assert not asking.challenged(wider, 403, told[0])
    asking.stop()


@pytest.mark.parametrize(
    ("known", "why"),
    [
        ({"resource": "https://other.example/"}, "another server's"),
        ({"authorization_servers": ["nothing"]}, "no URL"),
        ({"authorization_servers": ["https://127.0.0.1/"]}, "may not be asked"),
        ({"authorization_servers": ["http://login.example/"]}, "may not be asked"),
    ],
)
def test_metadata_that_misleads_is_not_followed(known: Any, why: str) -> None:
    asking, told = begun()
    found = {"resource": SERVER, "authorization_servers": [ISSUER], **known}
    asking.answer(f"{RESOURCE}/x", found)
    assert why in error_of(told).message
    asking.stop()


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"issuer": f"{ISSUER}/", "token_endpoint": TOKENS}, "is another one"),
        ({"issuer": ISSUER, "token_endpoint": "http://login.example/"}, "not be asked"),
        ({"issuer": ISSUER, "token_endpoint": "https://[::1]/"}, "not be asked"),
        ({"issuer": ISSUER}, "cannot be read"),
    ],
)
def test_an_authority_that_is_another_gets_no_secret(metadata: Any, why: str) -> None:
    asking, told = begun()
    known = {"resource": SERVER, "authorization_servers": [ISSUER]}
    asking.answer(f"{RESOURCE}/x", known)
    asking.answer(DESCRIBED, metadata)
    assert why in error_of(told).message
    assert asking.pending == []
    asking.stop()


def test_the_secret_is_bound_to_the_authority_that_had_it_first() -> None:
    asking, told = begun()
    asking.discovered()
    asking.granted()
    asking.challenged(sent=told[0])
    told = asking.headers()
    other = {"resource": SERVER, "authorization_servers": ["https://evil.example"]}
    asking.answer(f"{RESOURCE}/x", other)
    assert "another authority" in error_of(told).message
    asking.stop()


def test_the_secret_is_bound_to_the_authority_of_the_configuration() -> None:
    settings = OAuthSettings(
        "the client", Secret(SECRET), issuer="https://mine.example"
    )
    asking, told = begun(settings)
    asking.answer(
        f"{RESOURCE}/x", {"resource": SERVER, "authorization_servers": [ISSUER]}
    )
    assert "another authority" in error_of(told).message
    asking.stop()


@pytest.mark.parametrize("url", ["http://mcp.example/m", "https://localhost/m", "/m"])
def test_metadata_is_not_fetched_from_everywhere(url: str) -> None:
    asking, told = begun(challenge=f'Bearer resource_metadata="{url}"')
    assert "may not be asked" in error_of(told).message
    assert asking.dialled == []
    asking.stop()


@pytest.mark.parametrize("status", [301, 302, 307, 500, 503])
def test_redirects_and_troubles_are_no_metadata(status: int) -> None:
    asking, told = begun()
    asking.answer(f"{RESOURCE}/x", b"", status, location=f"{RESOURCE}/y")
    assert f"answered {status}" in error_of(told).message
    assert asking.pending == []
    asking.stop()


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{}", b'{"access_token":1}', b'{"access_token":""}'),
        b'{"access_token":"a b"}',
        b'{"access_token":"a\\r\\nb"}',
        b'{"access_token":"t1","token_type":"mac"}',
        b'{"access_token":"t1","expires_in":"soon"}',
        b'{"access_token":"t1","expires_in":"nan"}',
    ],
)
def test_a_token_that_is_none_is_an_error(body: bytes) -> None:
    asking, told = begun()
    asking.discovered()
    asking.answer(TOKENS, body)
    error_of(told)
    asking.stop()


def test_a_refusal_tells_the_guest_nothing_of_it() -> None:
    lines: list[str] = []

    @implementer(ILogObserver)
    def observer(event: LogEvent) -> None:
        lines.append(formatEvent(event) + str(event))

    globalLogPublisher.addObserver(observer)
    try:
        _refused()
    finally:
        globalLogPublisher.removeObserver(observer)
    [line] = [line for line in lines if "invalid_client" in line]
    assert "internal-host" in line and "***" in line
    assert not any(SECRET in line for line in lines)


def _refused() -> None:
    asking, told = begun()
    asking.discovered()
    words = f"the secret {SECRET} of internal-host is wrong"
    refused = {"error": "invalid_client", "error_description": words}
    asking.answer(TOKENS, refused, 401)
    message = error_of(told).message
    assert message == "r: its authority gave no token; the operator was told"
    asking.stop()


def test_a_silent_authority_is_a_timeout() -> None:
    asking, told = begun()
    asking.asked(f"{RESOURCE}/x")
    asking.reactor.advance(ASKING)
    assert isinstance(error_of(told), ToolServerTimeout)
    asking.stop()


def test_secrets_are_known_and_not_shown() -> None:
    asking, _ = begun()
    asking.discovered()
    asking.granted("tok-1")
    assert set(asking.credentials.secrets) == {SECRET, "tok-1"}
    assert SECRET not in repr(asking.credentials)
    assert "tok-1" not in repr(asking.credentials)
    asking.stop()
