"""Forms between a guest and a provider that are in each other's way, over sockets."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
import pytest_twisted
from attrs import define, field
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from modelplex.testing.fakes.house import House

KEY = "sk-secret-0123456789"
SIZE = 24 * 2**20
ERROR = b'{"error":{"message":"that is too much","type":"t","param":null,"code":null}}'


def answer(status: int, body: bytes) -> bytes:
    head = b"HTTP/1.1 %d Said\r\ncontent-type: application/json\r\n" % status
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


@define(eq=False)
class Rude(ServerFactory):
    """
    A provider that does something once a request's header is there.

    :ivar act: ``stop`` reading, ``close``, or go on to ``read``.
    :ivar gone: fires with the time when the client hangs up.
    """

    said: bytes
    act: str
    connection: Any = None
    came: int = 0
    begun: Deferred[None] = field(factory=Deferred)
    gone: Deferred[float] = field(factory=Deferred)
    noisy = False

    def buildProtocol(self, addr: object) -> Protocol:
        made = self.connection = _Connection(self)
        return made


@define(eq=False)
class _Connection(Protocol):
    _rude: Rude
    _seen: bytes = b""

    def dataReceived(self, data: bytes) -> None:
        rude, wire = self._rude, self._wire
        rude.came += len(data)
        if rude.begun.called:
            return
        self._seen += data
        if b"\r\n\r\n" not in self._seen:
            return
        rude.begun.callback(None)
        if rude.said:
            wire.write(rude.said)
        if rude.act == "stop":
            wire.pauseProducing()
        elif rude.act == "close":
            wire.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._rude.gone.callback(time.monotonic())

    @property
    def _wire(self) -> Any:
        return self.transport


def self_signed(path: Path) -> CertificateOptions:
    """A certificate for the loopback address, written to `path` to be trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.IPAddress(IPv4Address("127.0.0.1"))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return CertificateOptions(
        privateKey=key,  # type: ignore[arg-type]  # pyOpenSSL wants this one now
        certificate=certificate,  # type: ignore[arg-type]
    )


@define(eq=False)
class Scene:
    house: House
    directory: Path
    trust: pytest.MonkeyPatch
    reactor: Any
    ports: list[Any] = field(factory=list)

    def open(self, kind: str, said: bytes, act: str) -> Rude:
        """A service in front of such a provider."""
        rude, told = Rude(said, act), ""
        if kind == "unix":
            path = str(self.directory / "u")
            self.ports.append(self.reactor.listenUNIX(path, rude))
            told = f"http+unix://{quote(path, safe='')}"
        elif kind == "tls":
            trusted = self.directory / "trusted.pem"
            self.trust.setenv("SSL_CERT_FILE", str(trusted))  # OpenSSL looks there
            port = self.reactor.listenSSL(
                0, rude, self_signed(trusted), interface="127.0.0.1"
            )
            self.ports.append(port)
            told = f"https://127.0.0.1:{port.getHost().port}"
        else:
            port = self.reactor.listenTCP(0, rude, interface="127.0.0.1")
            self.ports.append(port)
            told = f"http://127.0.0.1:{port.getHost().port}"
        one = '[[providers]]\nname = "p"\ntype = "openai"\nmodels = ["m"]\n'
        one += f'base_url = "{told}"\napi_key = "${{KEY}}"\n'
        self.house.open(one, {"KEY": KEY})
        return rude

    def post(self, size: int = SIZE) -> httpx2.Response:
        """Send a form as a guest, in this thread."""
        transport = httpx2.HTTPTransport(uds=self.house.socket)
        with httpx2.Client(transport=transport, timeout=20) as client:
            return client.post(
                "http://modelplex/v1/audio/transcriptions",
                data={"model": "m"},
                files={"file": ("a", bytes(size), "audio/mpeg")},
            )


@pytest_twisted.async_yield_fixture
async def scene(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    from twisted.internet import reactor

    one = Scene(house, tmp_path, monkeypatch, reactor)
    yield one
    await house.close()
    for port in one.ports:
        await maybeDeferred(port.stopListening)


@pytest.mark.parametrize("kind", ["tcp", "tls", "unix"])
@pytest.mark.parametrize("act", ["read", "stop", "close"])
@pytest.mark.parametrize("status", [413, 429])
async def test_a_provider_that_refuses_early_is_heard(
    scene: Scene, kind: str, act: str, status: int
) -> None:
    rude = scene.open(kind, answer(status, ERROR), act)
    response = await deferToThread(scene.post)
    assert response.status_code == status
    assert response.json()["error"]["message"] == "that is too much"
    assert response.headers["connection"] == "close"
    assert rude.came < SIZE
    if act == "stop":  # who does not read does not see the other's end
        rude.connection._wire.resumeProducing()
    await rude.gone
    [line] = scene.house.exchanges()
    assert (line["status"], line["attempts"]) == (status, 1)


@define(eq=False)
class Slow:
    """A guest with a plain socket: what it could send, and when it left."""

    wire: socket.socket
    sent: int = 0

    def send_while_taken(self, patience: float) -> None:
        """Send a form until nothing is taken for `patience` seconds."""
        head = (
            "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: a\r\n"
            f"content-length: {SIZE}\r\n"
            "content-type: multipart/form-data; boundary=b\r\n\r\n"
            '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
            '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        )
        self.wire.settimeout(patience)
        self.wire.sendall(head.encode())
        block = bytes(2**16)
        try:
            while self.sent < SIZE // 2:
                self.sent += self.wire.send(block)
        except TimeoutError:
            pass


@pytest.mark.parametrize("kind", ["tcp", "tls", "unix"])
async def test_a_provider_that_does_not_read_stops_the_guest_who_can_still_leave(
    scene: Scene, kind: str
) -> None:
    rude = scene.open(kind, b"", "stop")
    wire = socket.socket(socket.AF_UNIX)
    wire.connect(scene.house.socket)
    guest = Slow(wire)
    await deferToThread(guest.send_while_taken, 0.5)
    assert guest.sent < SIZE // 2  # what the kernel holds, and little more
    left = time.monotonic()
    wire.close()
    assert rude.connection is not None
    while not scene.house.exchanges():
        await deferLater(scene.reactor, 0.01)
    assert time.monotonic() - left < 0.25
    [line] = scene.house.exchanges()
    assert line["error"] == "cancelled"
    # Only now, as who does not read does not see the other's end.
    rude.connection._wire.resumeProducing()
    await rude.gone


async def test_a_provider_that_reads_on_gets_it_all(scene: Scene) -> None:
    rude = scene.open("tcp", b"", "stop")
    posting = deferToThread(scene.post)
    await rude.begun
    await deferLater(scene.reactor, 0.3)
    assert rude.came < SIZE // 2
    rude.connection._wire.resumeProducing()
    while rude.came < SIZE:
        await deferLater(scene.reactor, 0.01)
    rude.connection._wire.write(answer(200, b'{"text":"x"}'))
    response = await posting
    assert (response.status_code, response.json()) == (200, {"text": "x"})
