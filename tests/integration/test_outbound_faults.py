"""Upstreams that fail in every way; the guest does not notice, or is told properly."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import (
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater
from zope.interface import implementer

from modelplex.testing.fakes.anthropic import Anthropic
from modelplex.testing.fakes.faults import Fault, Status
from modelplex.testing.fakes.guest import Call
from modelplex.testing.fakes.house import CHAT, House, asking
from modelplex.testing.fakes.ollama import Ollama
from modelplex.testing.fakes.openai import OpenAI
from modelplex.testing.fakes.script import Script
from modelplex.testing.fakes.upstream import Received, Upstream

reactor: Any = installed

KEY = "sk-secret-0123456789"
SPEAKERS: dict[str, Any] = {
    "openai": OpenAI(("target",), KEY),
    "anthropic": Anthropic(("target",), KEY),
    "ollama": Ollama(("target",), KEY),
}
KINDS = pytest.mark.parametrize("kind", SPEAKERS)
STREAMED = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
FALLBACK = "The fallback answers."
QUICK = "{ connect = 1, first_byte = 0.4, idle = 0.4, total = 0.7 }"
SLOW = "{ connect = 5, first_byte = 9, idle = 9, total = 9 }"
PROMPT = 0.25  # seconds within which an upstream is hung up on

Make = Callable[..., Upstream]


def provider(
    name: str, kind: str, url: str, model: str, timeouts: str = SLOW, priority: int = 1
) -> str:
    """A provider that serves the upstream's one model under another name."""
    return f"""
[[providers]]
name = "{name}"
type = "{kind}"
base_url = "{url}"
api_key = "${{KEY}}"
models = {{ "{model}" = "target" }}
timeouts = {timeouts}
priority = {priority}
"""


def opened(house: House, *providers: str, server: str = "") -> None:
    house.open("".join(providers), {"KEY": KEY}, server)


async def within(seconds: float, waiting: Deferred[Any]) -> Any:
    """What `waiting` fires with, which must be soon."""
    waiting.addTimeout(seconds, reactor)
    return await waiting


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        await deferLater(reactor, 0.01)
    raise AssertionError("this took more than two seconds")


# --- the matrix

EARLY = {
    Fault.HANG: 504,
    Fault.CLOSE: 502,
    Fault.NOT_HTTP: 502,
    Fault.HTML: 502,
    Fault.ERROR_WITH_200: 502,
    Fault.NOT_GZIP: 502,
    Fault.REDIRECT: 502,
    Fault.GARBAGE_FIRST: 502,
    Fault.CUT_FIRST: 502,
    Fault.ERROR_FIRST: 502,
    Fault.HANG_FIRST: 504,
    Fault.END_FIRST: 502,
    Fault.HUGE: 502,
}
LATE = {
    Fault.LONG_LENGTH: 502,
    Fault.SHORT_LENGTH: 502,
    Fault.BAD_CHUNK: 502,
    Fault.GARBAGE_LATER: 502,
    Fault.CUT_LATER: 502,
    Fault.ERROR_LATER: 502,
    Fault.HANG_LATER: 504,
    Fault.END_LATER: 502,
    Fault.DRIP: 504,
}
HARMLESS = (Fault.UNFRAMED, Fault.WRONG_TYPE, Fault.GZIP)
HUNG_UP_ON = (
    *(Fault.HANG, Fault.HANG_FIRST, Fault.HANG_LATER, Fault.DRIP, Fault.HUGE),
)
STATUSES = {
    Status(400): 400,
    Status(401, f"no such key: {KEY}"): 502,
    Status(403): 502,
    Status(404, "the model is not here", "model_not_found"): 404,
    Status(413): 413,
    Status(429, headers=("retry-after: 3",)): 429,
    Status(500): 502,
    Status(503): 503,
    Status(529): 503,
}
PASSED_ON = (400, 413)  # about the request: nobody else is asked


# What each fault is called; a whole answer that was cut may be no JSON any more.
CODES = {
    "upstream_timeout": ("HANG", "DRIP"),
    "upstream_malformed": (
        "HTML",
        "NOT_GZIP",
        "GARBAGE",
        "HUGE",
        "SHORT",
        "END",
        "CUT",
    ),
    "upstream_cut": (
        "CLOSE",
        "NOT_HTTP",
        "NOT_GZIP",
        "BAD_CHUNK",
        "CUT",
        "END",
        "LONG",
        "SHORT",
    ),
    "upstream_overloaded": ("ERROR",),
    "server_is_overloaded": ("ERROR",),
    "upstream_error": ("REDIRECT", "ERROR"),
}


def check_code(error: dict[str, Any], fault: Fault) -> None:
    assert fault.name.startswith(CODES[error["code"]]), (fault, error)


def status_of(kind: str, fault: Fault) -> int:
    """The status that tells of a fault before any byte of an answer."""
    if kind == "anthropic" and fault in (Fault.ERROR_FIRST, Fault.ERROR_LATER):
        return 503  # it says that it is overloaded, and OpenAI has no 529
    return {**EARLY, **LATE}[fault]


@asynccontextmanager
async def two_upstreams(
    house: House, upstream: Make, kind: str, fault: Fault | Status
) -> AsyncIterator[tuple[Upstream, Upstream, Upstream]]:
    """
    Two with the same fault, the second with nobody behind it, and the healthy one.

    :returns: the one that has a fallback, the lonely one, the fallback.
    """
    elsewhere = upstream(SPEAKERS["openai"])
    script = Script(repeat=30 if fault is Fault.DRIP else 1)
    broken, lonely = (
        upstream(
            SPEAKERS[kind],
            fault=fault,
            script=script,
            elsewhere=f"{elsewhere.url}/v1/chat/completions",
        )
        for _ in range(2)
    )
    healthy = upstream(SPEAKERS["openai"], script=Script(FALLBACK))
    opened(
        house,
        provider("broken", kind, broken.url, "both", QUICK),
        provider("fallback", "openai", healthy.url, "both", priority=2),
        provider("lonely", kind, lonely.url, "alone", QUICK),
        server='max_response_size = "1MiB"',
    )
    yield broken, lonely, healthy
    assert not elsewhere.accepted, "a redirect was followed"


async def both(house: House, stream: bool) -> tuple[Call, Call]:
    """The answers with and without a fallback, asked for at the same time."""
    asked = [house.chat(model, stream) for model in ("both", "alone")]
    waiting = DeferredList([Deferred.fromCoroutine(one) for one in asked])
    (_, helped), (_, alone) = await waiting
    return helped, alone


def check_told(answer: Call, status: int) -> None:
    """An error that came before any byte of an answer."""
    assert answer.whole and answer.status == status
    error = answer.error()
    assert error["message"] and error["type"], error
    assert KEY not in answer.raw.decode()


def check_told_in_band(answer: Call, text: str, fault: Fault) -> None:
    """Some of `text` and then an error, and nothing that looks like a proper end."""
    assert answer.whole and answer.status == 200
    *events, last = answer.events()
    assert set(last["error"]) == {"message", "type", "param", "code"}
    check_code(last["error"], fault)
    assert "[DONE]" not in events and "data: [DONE]" not in answer.body.decode()
    assert answer.text() and text.startswith(answer.text())
    assert KEY not in answer.raw.decode()


@KINDS
@STREAMED
@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
async def test_a_fault_is_made_good_or_told(
    house: House, upstream: Make, kind: str, stream: bool, fault: Fault
) -> None:
    async with two_upstreams(house, upstream, kind, fault) as made:
        broken, lonely, _ = made
        script = broken.script
        helped, alone = await both(house, stream)
        text = script.text * script.repeat
        asked = (1, 1, 0)
        if fault in HARMLESS:
            for answer in (helped, alone):
                assert answer.status == 200 and spoken(answer, stream) == text
        elif stream and fault in LATE:
            check_told_in_band(helped, text, fault)
            check_told_in_band(alone, text, fault)
        else:
            assert helped.status == 200 and spoken(helped, stream) == FALLBACK
            assert helped.headers["modelplex-provider"] == "fallback"
            check_told(alone, status_of(kind, fault))
            check_code(alone.error(), fault)
            asked = (1, 1, 1)
        assert tuple(len(one.posts()) for one in made) == asked
        if fault in HUNG_UP_ON:
            await within(PROMPT, lonely.posts()[0].gone)
        assert lonely.posts()[0].sent < 20 * 2**20, "it was read without a bound"
        # It goes on: the same upstream, healed, is asked again.
        lonely.fault, lonely.script = None, Script()
        again = await house.chat("alone", stream)
        assert again.status == 200 and spoken(again, stream) == Script().text


def spoken(answer: Call, stream: bool) -> str:
    """What the model said in a whole answer."""
    assert answer.whole
    if not stream:
        message: str = answer.json()["choices"][0]["message"]["content"]
        return message
    assert answer.events()[-1] == "[DONE]"
    return answer.text()


@KINDS
@STREAMED
@pytest.mark.parametrize("fault", STATUSES, ids=lambda fault: str(fault.status))
async def test_an_error_status_is_made_good_or_told(
    house: House, upstream: Make, kind: str, stream: bool, fault: Status
) -> None:
    async with two_upstreams(house, upstream, kind, fault) as made:
        helped, alone = await both(house, stream)
        check_told(alone, STATUSES[fault])
        if fault.status in PASSED_ON:
            check_told(helped, STATUSES[fault])
        else:
            assert spoken(helped, stream) == FALLBACK
        if fault.status == 429:
            assert alone.headers["retry-after"] == "3"
        fallback = 0 if fault.status in PASSED_ON else 1
        assert tuple(len(one.posts()) for one in made) == (1, 1, fallback)


@KINDS
@STREAMED
async def test_a_refused_connection_is_made_good_or_told(
    house: House, upstream: Make, kind: str, stream: bool
) -> None:
    async with two_upstreams(house, upstream, kind, Fault.CLOSE) as made:
        broken, lonely, _ = made
        await broken.refuse()
        await lonely.refuse()
        helped, alone = await both(house, stream)
        assert spoken(helped, stream) == FALLBACK
        check_told(alone, 502)
        assert alone.error()["code"] == "upstream_unreachable"


@pytest.mark.parametrize(
    "url", ["http+unix://%2Fnowhere%2Fs", "https://127.0.0.1:1", "TLS"]
)
async def test_an_upstream_that_cannot_be_reached_is_told_apart(
    house: House, upstream: Make, url: str
) -> None:
    if url == "TLS":
        url = upstream(SPEAKERS["openai"], tls=self_signed()).url
    opened(house, provider("p", "openai", url, "m"))
    answer = await house.chat("m", True)
    check_told(answer, 502)
    assert answer.error()["code"] == "upstream_unreachable"
    assert "nowhere" not in answer.body.decode()


def self_signed(path: Path | None = None) -> CertificateOptions:
    """
    A certificate for the loopback address that nobody has signed.

    :param path: where to write it, for those who are to trust it.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.IPAddress(IPv4Address("127.0.0.1"))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    if path is not None:
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return CertificateOptions(
        privateKey=key,  # type: ignore[arg-type]  # pyOpenSSL wants this one now
        certificate=certificate,  # type: ignore[arg-type]
    )


@KINDS
@STREAMED
async def test_an_upstream_is_talked_to_over_tls(
    house: House,
    upstream: Make,
    kind: str,
    stream: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    trusted = tmp_path / "trusted.pem"
    one = upstream(SPEAKERS[kind], tls=self_signed(trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))  # OpenSSL looks there
    opened(house, provider("p", kind, one.url, "m"))
    for _ in range(2):
        assert spoken(await house.chat("m", stream), stream) == Script().text
    assert one.accepted == 1, "the connection is not kept"
    one.fault = Fault.HANG_LATER
    received: Any = one.request()
    call = await house.call(CHAT, asking("m", stream))
    asked: Received = await received
    await asked.held
    call.hang_up()
    await within(PROMPT, asked.gone)


class Closing(Protocol):
    """Closes as soon as it is connected."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


async def test_a_handshake_that_is_broken_off_is_no_connection(house: House) -> None:
    factory = Factory.forProtocol(Closing)
    factory.noisy = False
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    url = f"https://127.0.0.1:{port.getHost().port}"
    opened(house, provider("p", "openai", url, "m"))
    answer = await house.chat("m", True)
    await port.stopListening()
    check_told(answer, 502)
    assert answer.error()["code"] == "upstream_unreachable"


# --- time


@STREAMED
async def test_one_deadline_holds_for_all_attempts(
    house: House, upstream: Make, stream: bool
) -> None:
    ones = [upstream(speaker, fault=Fault.HANG) for speaker in SPEAKERS.values()]
    timeouts = "{ first_byte = 0.3, total = 0.5 }"
    opened(
        house,
        *(
            provider(f"p{number}", kind, one.url, "m", timeouts, number)
            for number, (kind, one) in enumerate(zip(SPEAKERS, ones, strict=True))
        ),
    )
    begun = reactor.seconds()
    answer = await house.chat("m", stream)
    assert 0.4 < reactor.seconds() - begun < 1
    check_told(answer, 504)
    assert not ones[2].received, "it was asked after the deadline"


@KINDS
async def test_a_waiting_guest_gets_signs_of_life(
    house: House, upstream: Make, kind: str
) -> None:
    one = upstream(SPEAKERS[kind], fault=Fault.HANG)
    opened(house, provider("p", kind, one.url, "m"), server="keepalive = 0.05")
    received = one.request()
    call = await house.call(CHAT, asking("m", True))
    await call.begun
    assert call.status == 200 and call.headers["content-type"] == "text/event-stream"
    await until(lambda: call.body.count(b":") >= 3)
    assert all(part.startswith(b":") for part in call.body.split(b"\n\n") if part)
    (await received).release()
    await call.ended
    assert spoken(call, True) == Script().text
    assert len(one.posts()) == 1


async def test_a_guest_that_was_kept_alive_gets_the_fallbacks_answer(
    house: House, upstream: Make
) -> None:
    hung = upstream(SPEAKERS["openai"], fault=Fault.HANG)
    other = upstream(SPEAKERS["anthropic"])
    opened(
        house,
        provider("p", "openai", hung.url, "m", QUICK),
        provider("q", "anthropic", other.url, "m", priority=2),
        server="keepalive = 0.05",
    )
    answer = await house.chat("m", True)
    assert answer.body.startswith(b":")
    assert spoken(answer, True) == Script().text
    assert len(hung.posts()) == len(other.posts()) == 1


async def test_a_guest_that_was_kept_alive_is_told_of_errors_in_band(
    house: House, upstream: Make
) -> None:
    ones = [upstream(SPEAKERS["openai"], fault=Fault.HANG) for _ in range(2)]
    providers = [
        provider(f"p{number}", "openai", one.url, "m", QUICK, number)
        for number, one in enumerate(ones)
    ]
    opened(house, *providers, server="keepalive = 0.05")
    answer = await house.chat("m", True)
    assert answer.status == 200 and answer.whole
    assert b":" in answer.body.partition(b"data")[0]
    [event] = answer.events()
    assert event["error"]["code"] == "upstream_timeout"
    assert [len(one.posts()) for one in ones] == [1, 1]


@KINDS
@pytest.mark.parametrize("fault", [Fault.HANG, Fault.HANG_FIRST, Fault.HANG_LATER])
async def test_silence_is_noticed_long_before_the_deadline(
    house: House, upstream: Make, kind: str, fault: Fault
) -> None:
    if kind == "openai" and fault is Fault.HANG:
        pytest.skip("an OpenAI server says nothing before it has a whole answer")
    silent, other = upstream(SPEAKERS[kind], fault=fault), upstream(SPEAKERS[kind])
    timeouts = "{ first_byte = 0.2, idle = 0.2, total = 9 }"
    opened(
        house,
        provider("p", kind, silent.url, "m", timeouts),
        provider("q", kind, other.url, "m", priority=2),
    )
    begun = reactor.seconds()
    assert spoken(await house.chat("m", False), False) == Script().text
    assert reactor.seconds() - begun < 2
    await within(PROMPT, silent.posts()[0].gone)


# --- a guest that goes away, or reads slowly


@KINDS
@STREAMED
@pytest.mark.parametrize("fault", [Fault.HANG, Fault.HANG_FIRST, Fault.HANG_LATER])
async def test_a_guest_that_hangs_up_is_hung_up_for(
    house: House, upstream: Make, kind: str, stream: bool, fault: Fault
) -> None:
    one = upstream(SPEAKERS[kind], fault=fault)
    other = upstream(SPEAKERS[kind])
    opened(
        house,
        provider("p", kind, one.url, "m"),
        provider("q", kind, other.url, "m", priority=2),
        server="keepalive = 0.05",  # so that a stream may have begun without one
    )
    received: Any = one.request()
    call = await house.call(CHAT, asking("m", stream))
    asked: Received = await received
    await asked.held
    if stream and fault is Fault.HANG_LATER:
        await call.begun
    begun = reactor.seconds()
    call.hang_up()
    gone = await within(1, asked.gone)
    assert gone - begun < PROMPT
    assert not other.posts(), "a request was made that nobody waits for"
    [exchange] = house.exchanges()
    assert exchange["error"] == "cancelled"


async def test_a_guest_that_hangs_up_ends_a_question_about_the_model(
    house: House, upstream: Make
) -> None:
    one = upstream(SPEAKERS["anthropic"], fault=Fault.HANG, wholly=True)
    opened(house, provider("p", "anthropic", one.url, "m"))
    call = await house.call(CHAT, asking("m", True))
    await until(lambda: bool(one.received))
    begun = reactor.seconds()
    call.hang_up()
    gone = await within(1, one.received[0].gone)
    assert gone - begun < PROMPT and not one.posts()


async def test_a_question_about_the_model_counts_for_the_deadline(
    house: House, upstream: Make
) -> None:
    one = upstream(SPEAKERS["anthropic"], fault=Fault.HANG, wholly=True)
    other = upstream(SPEAKERS["openai"])
    opened(
        house,
        provider("p", "anthropic", one.url, "m", QUICK),
        provider("q", "openai", other.url, "m", priority=2),
    )
    begun = reactor.seconds()
    assert spoken(await house.chat("m", True), True) == Script().text
    assert reactor.seconds() - begun < 1


@pytest.fixture
def full() -> Iterator[tuple[int, Callable[[], int]]]:
    """A port on which connecting takes for ever, and how many are trying to."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        filling = [socket.socket() for _ in range(3)]
        for one in filling:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        ours = {one.getsockname()[1] for one in filling}

        def connecting() -> int:
            lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
            rows = [line.split() for line in lines]
            return sum(
                row[3] == "02"  # SYN_SENT
                and int(row[2].partition(":")[2], 16) == port
                and int(row[1].partition(":")[2], 16) not in ours
                for row in rows
            )

        yield port, connecting
        for one in filling:
            one.close()


async def test_a_guest_that_hangs_up_ends_a_connection_attempt(
    house: House, full: tuple[int, Callable[[], int]]
) -> None:
    port, connecting = full
    opened(house, provider("p", "openai", f"http://127.0.0.1:{port}", "m"))
    call = await house.call(CHAT, asking("m", True))
    await until(lambda: connecting() == 1)
    begun = reactor.seconds()
    call.hang_up()
    await until(lambda: connecting() == 0)
    assert reactor.seconds() - begun < PROMPT


async def test_a_connection_that_takes_too_long_is_given_up(
    house: House, upstream: Make, full: tuple[int, Callable[[], int]]
) -> None:
    one = upstream(SPEAKERS["openai"])
    url = f"http://127.0.0.1:{full[0]}"
    opened(
        house,
        provider("p", "openai", url, "m", "{ connect = 0.2 }"),
        provider("q", "openai", one.url, "m", priority=2),
    )
    answer = await house.chat("m", True)
    assert spoken(answer, True) == Script().text


@pytest.fixture
def mute() -> Iterator[int]:
    """A port that accepts connections and says nothing, least of all TLS."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        yield listening.getsockname()[1]


@implementer(IHostResolution)
@frozen
class Resolution:
    """What a resolver looks for."""

    name: str

    def cancel(self) -> None:
        """Twisted does not, either."""


@implementer(IHostnameResolver)
class NoAnswer:
    """A resolver that never finds anything out; or finds at once that there is none."""

    def __init__(self, ends: bool) -> None:
        self.ends = ends
        self.asked: Deferred[None] = Deferred()

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        resolution = Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        if self.ends:
            resolutionReceiver.resolutionComplete()
        if not self.asked.called:
            self.asked.callback(None)
        return resolution


@pytest.fixture
def resolving() -> Iterator[Callable[[bool], NoAnswer]]:
    """Puts a `NoAnswer` into the reactor."""
    before: list[Any] = []

    def install(ends: bool) -> NoAnswer:
        resolver = NoAnswer(ends)
        before.append(reactor.installNameResolver(resolver))
        return resolver

    yield install
    for one in before[:1]:
        reactor.installNameResolver(one)


async def test_a_host_without_an_address_cannot_be_reached(
    house: House, resolving: Callable[[bool], NoAnswer]
) -> None:
    resolving(True)
    opened(house, provider("p", "openai", "https://modelplex.invalid", "m"))
    answer = await house.chat("m", True)
    check_told(answer, 502)
    assert answer.error()["code"] == "upstream_unreachable"
    assert "modelplex.invalid" not in answer.body.decode()


@STREAMED
async def test_a_guest_that_hangs_up_ends_the_search_for_a_host(
    house: House,
    upstream: Make,
    resolving: Callable[[bool], NoAnswer],
    stream: bool,
) -> None:
    resolver = resolving(False)
    one = upstream(SPEAKERS["openai"], fault=Fault.HANG)
    opened(
        house,
        provider("p", "openai", "http://modelplex.invalid", "m"),
        provider("q", "openai", one.url, "m", priority=2),
    )
    call = await house.call(CHAT, asking("m", stream))
    await within(1, resolver.asked)
    call.hang_up()
    await until(lambda: bool(house.exchanges()))
    assert house.exchanges()[0]["error"] == "cancelled"
    await deferLater(reactor, 0.05)  # what would be asked then is asked at once
    assert not one.accepted, "a request was made that nobody waits for"


@pytest.mark.parametrize("phase", ["name", "tls"])
async def test_name_and_handshake_count_as_connecting(
    house: House,
    upstream: Make,
    resolving: Callable[[bool], NoAnswer],
    mute: int,
    phase: str,
) -> None:
    path = str(house.directory / "u")
    one = upstream(SPEAKERS["openai"], path=path)
    url = f"https://127.0.0.1:{mute}"
    if phase == "name":
        resolving(False)
        url = "http://modelplex.invalid"
    opened(
        house,
        provider("p", "openai", url, "m", "{ connect = 0.2, first_byte = 9 }"),
        provider("q", "openai", one.url, "m", priority=2),
    )
    begun = reactor.seconds()
    assert spoken(await house.chat("m", True), True) == Script().text
    assert reactor.seconds() - begun < 2


@KINDS
async def test_a_guest_that_stops_reading_stops_the_upstream(
    house: House, upstream: Make, kind: str, tmp_path: Path
) -> None:
    script = Script(repeat=1500)
    one = upstream(SPEAKERS[kind], path=str(tmp_path / "u"), script=script)
    opened(house, provider("p", kind, one.url, "m"))
    received: Any = one.request()
    call = await house.call(CHAT, asking("m", True))
    asked: Received = await received
    await call.begun
    call.stop_reading()
    seen = -1
    while seen != asked.sent:
        seen = asked.sent
        await deferLater(reactor, 0.1)
    assert not asked.complete and asked.sent < 300_000
    call.go_on_reading()
    await call.ended
    assert spoken(call, True) == script.text * script.repeat
    assert asked.sent > 500_000


# --- what stays


@KINDS
async def test_many_streams_at_a_time_are_kept_apart(
    house: House, upstream: Make, kind: str
) -> None:
    one = upstream(SPEAKERS[kind], script=Script(repeat=20))
    opened(house, provider("p", kind, one.url, "m"))
    calls = [Deferred.fromCoroutine(house.chat("m", True)) for _ in range(30)]
    for call in calls:
        assert spoken(await call, True) == Script().text * 20
    assert len(one.posts()) == 30


@KINDS
@STREAMED
async def test_what_still_runs_is_hung_up_on_when_the_service_is_cut(
    house: House, upstream: Make, kind: str, stream: bool
) -> None:
    one = upstream(SPEAKERS[kind], fault=Fault.HANG_LATER)
    opened(house, provider("p", kind, one.url, "m"))
    received: Any = one.request()
    call = await house.call(CHAT, asking("m", stream))
    asked: Received = await received
    await asked.held
    await house.close()
    await within(PROMPT, asked.gone)
    await within(PROMPT, call.ended)
    assert b"[DONE]" not in call.raw


@KINDS
async def test_connections_are_used_again_and_closed_at_the_end(
    house: House, upstream: Make, kind: str
) -> None:
    one = upstream(SPEAKERS[kind])
    opened(house, provider("p", kind, one.url, "m"))
    for stream in (True, False, True):
        assert spoken(await house.chat("m", stream), stream) == Script().text
    assert len(one.posts()) == 3 and one.accepted == 1
    await house.close()
    await until(lambda: not one.connections)


@KINDS
async def test_a_connection_that_the_upstream_closed_is_not_used_again(
    house: House, upstream: Make, kind: str
) -> None:
    one = upstream(SPEAKERS[kind])
    opened(house, provider("p", kind, one.url, "m"))
    for number in (1, 2, 3):
        assert spoken(await house.chat("m", True), True) == Script().text
        assert one.accepted == number
        one.close_idle()
        await until(lambda: not one.connections)


@KINDS
@STREAMED
async def test_a_refused_key_gives_way_to_the_next(
    house: House, upstream: Make, kind: str, stream: bool
) -> None:
    one = upstream(SPEAKERS[kind])
    text = provider("p", kind, one.url, "m")
    keys = f'api_keys = ["sk-secret-refused", "{KEY}"]'
    opened(house, text.replace('api_key = "${KEY}"', keys))
    for _ in range(4):
        answer = await house.chat("m", stream)
        assert spoken(answer, stream) == Script().text
    assert len(one.posts()) <= 5, "a refused key is tried again and again"


async def test_no_rendering_of_the_service_shows_a_key(
    house: House, upstream: Make
) -> None:
    ones = [provider(k, k, upstream(SPEAKERS[k]).url, k) for k in SPEAKERS]
    opened(house, *ones)
    graph = house.service._graph
    assert graph is not None
    for one in (graph, *graph.providers, *vars_of(graph.providers)):
        assert KEY not in repr(one)


def vars_of(providers: Any) -> list[Any]:
    """What the providers are made of."""
    return [p._planner for p in providers] + [p._transport for p in providers]
