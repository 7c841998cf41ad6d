"""Broken, hostile and merely unusual guests on a real socket."""

from __future__ import annotations

import array
import http.client
import json
import os
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field
from klein import Klein
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from modelplex.errors import GatewayError
from modelplex.sockets import Listening, listen
from modelplex.surface.refusal import RenderedError
from modelplex.surface.site import GuestSite, Limits

LIMITS = Limits(max_request_size=2**20, header_timeout=30, stall_timeout=30)


def rendered(error: GatewayError, path: bytes = b"") -> RenderedError:
    body = json.dumps({"error": {"message": str(error), "code": error.code}})
    return error.status, [(b"content-type", b"application/json")], body.encode()


@define(eq=False)
class House:
    """A Klein application on a socket, as a guest finds it."""

    path: Path
    started: Deferred[Any] = field(factory=Deferred)
    ended: Deferred[str] = field(factory=Deferred)
    answer: Deferred[bytes] = field(factory=Deferred)
    site: GuestSite = field(init=False)
    listening: Listening = field(init=False)

    def serve(self, limits: Limits) -> None:
        app = Klein()

        @app.route("/echo", methods=["POST"])
        def echo(request: Any) -> bytes:
            body: bytes = request.body
            request.setHeader(b"content-length", b"%d" % len(body))
            return body

        @app.route("/hello")
        def hello(request: Any) -> bytes:
            request.setHeader(b"content-length", b"5")
            return b"hello"

        @app.route("/wait", methods=["GET", "POST"])
        async def wait(request: Any) -> bytes:
            self.started.callback(request)
            try:
                answer = await self.answer
            except CancelledError:
                self.ended.callback("cancelled")
                raise
            request.setHeader(b"content-length", b"%d" % len(answer))
            return answer

        @app.route("/flood")
        async def flood(request: Any) -> None:
            request.registerProducer(Pausing(self.answer), True)
            request.write(bytes(2**20))  # more than the kernel keeps for a reader
            try:
                await self.started
            except CancelledError:
                self.ended.callback("cancelled")
                raise

        self.site = GuestSite(
            app.resource(), limits=limits, reactor=reactor, render_error=rendered
        )
        self.listening = listen(reactor, str(self.path), self.site)

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(str(self.path))
        return client


@define(eq=False)
class Pausing:
    """A producer that fires when it is told to pause."""

    _paused: Deferred[bytes]

    def pauseProducing(self) -> None:
        if not self._paused.called:
            self._paused.callback(b"")

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


async def until(condition: Any) -> None:
    """Wait for what another process or thread brings about."""
    for _ in range(1000):
        if condition():
            return
        await deferLater(reactor, 0.01)
    raise AssertionError("this took more than ten seconds")


def connected(house: House, number: int) -> bool:
    return house.site.connections == number


@asynccontextmanager
async def serving(tmp_path: Path, **limits: Any) -> AsyncIterator[House]:
    house = House(tmp_path / "s")
    house.serve(evolve(LIMITS, **limits))
    try:
        yield house
    finally:
        await house.listening.stop()
        house.site.abort_all()
        await until(lambda: house.site.connections == 0)


def read_all(client: socket.socket) -> bytes:
    data = b""
    while chunk := client.recv(65536):
        data += chunk
    return data


def asked(client: socket.socket, data: bytes) -> bytes:
    """Send, end the input, and read to the end."""
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)
    return read_all(client)


def get(path: str, *headers: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"GET {path} HTTP/{version}", *headers, "", ""]).encode()


# Unusual


@pytest.mark.parametrize(
    "headers", [[], ["Host: %2Frun%2Fsocket"], ["Host: a..b"], ["Host: " + "a" * 70]]
)
async def test_klein_is_never_troubled_by_the_host(
    tmp_path: Path, headers: list[str]
) -> None:
    async with serving(tmp_path) as house:
        with house.connect() as client:
            answer = await deferToThread(asked, client, get("/hello", *headers))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\nhello")


async def test_a_guest_that_half_closes_gets_every_answer(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        with house.connect() as client:
            data = get("/wait") + get("/hello") + get("/hello", version="1.0")
            reading = deferToThread(asked, client, data)
            await house.started
            await deferLater(reactor, 0.3)  # longer than a hang-up goes unnoticed
            house.answer.callback(b"patience")
            answers = await reading
        bodies = [part.split(b"HTTP/1")[0] for part in answers.split(b"\r\n\r\n")]
        assert bodies[1:] == [b"patience", b"hello", b"hello"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize(
    "options",
    [[], ["-0"], ["-H", "Host:"], ["-H", "Transfer-Encoding: chunked"]],
    ids=["plain", "http1.0", "no-host", "chunked"],
)
@pytest.mark.parametrize("size", [10, 500_000])  # curl sends Expect with the larger
async def test_curl_is_answered(tmp_path: Path, options: list[str], size: int) -> None:
    command = ["curl", "-sS", "--unix-socket", str(tmp_path / "s"), *options]
    command += ["-H", "Expect: 100-continue", "--data-binary", "@-", "http://x/echo"]
    body = os.urandom(size)
    async with serving(tmp_path) as house:
        assert house.site.connections == 0
        done = await deferToThread(
            subprocess.run, command, input=body, capture_output=True, timeout=30
        )
    assert done.stderr == b""
    assert done.stdout == body


# Gone


async def hang_up_is_noticed(house: House, client: socket.socket) -> None:
    await house.started
    hung_up = time.monotonic()
    client.close()
    assert await house.ended == "cancelled"
    assert time.monotonic() - hung_up < 0.25


async def test_a_guest_that_hangs_up_cancels_what_runs(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        client = house.connect()
        client.sendall(get("/wait"))
        await hang_up_is_noticed(house, client)


async def test_a_hang_up_after_a_half_close_cancels_what_runs(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        client = house.connect()
        client.sendall(get("/wait"))
        client.shutdown(socket.SHUT_WR)
        await house.started
        await deferLater(reactor, 0.15)
        assert not house.ended.called
        await hang_up_is_noticed(house, client)


async def test_a_hang_up_behind_unread_input_cancels_what_runs(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        client = house.connect()
        client.sendall(get("/wait") + bytes(100_000))
        await house.started
        await deferLater(reactor, 0.15)
        await hang_up_is_noticed(house, client)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /hel",
        b"POST /echo HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf",
        b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        b"nonsense\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n",
    ],
)
async def test_a_guest_may_go_at_any_point(tmp_path: Path, sent: bytes) -> None:
    async with serving(tmp_path) as house:
        client = house.connect()
        client.sendall(sent)
        await until(lambda: house.site.connections == 1)
        client.close()
        await until(lambda: house.site.connections == 0)
        with house.connect() as client:
            answer = await deferToThread(asked, client, get("/hello"))
        assert answer.startswith(b"HTTP/1.1 200")


# Too much


def upload(house: House, size: int, *, chunked: bool) -> tuple[int, bytes]:
    """Send a whole body before reading a byte of the answer, as `http.client` does."""
    connection = http.client.HTTPConnection("ignored")
    connection.sock = house.connect()
    pieces = (bytes(2**16) for _ in range(size // 2**16))
    headers = {} if chunked else {"Content-Length": str(size)}
    connection.request("POST", "/echo", pieces, headers, encode_chunked=chunked)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_huge_upload_is_refused_and_the_answer_can_be_read(
    tmp_path: Path, chunked: bool
) -> None:
    async with serving(tmp_path) as house:
        status, body = await deferToThread(upload, house, 50 * 2**20, chunked=chunked)
        assert status == 413
        assert json.loads(body)["error"]["code"] == "request_too_large"


async def test_an_upload_of_just_the_limit_comes_back_whole(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        status, body = await deferToThread(upload, house, 2**20, chunked=True)
        assert (status, len(body)) == (200, 2**20)


async def test_the_refusal_comes_while_the_body_is_still_being_sent(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as house:
        with house.connect() as client:
            client.sendall(b"POST /echo HTTP/1.1\r\nContent-Length: 2000000\r\n\r\nx")
            answer = await deferToThread(read_all, client)
        assert answer.startswith(b"HTTP/1.1 413 ")


async def test_five_hundred_idle_connections_hurt_nobody(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard > 0 else 4096, hard))
    idle: list[socket.socket] = []
    try:
        async with serving(tmp_path) as house:
            for hundreds in range(1, 6):
                idle += [house.connect() for _ in range(100)]
                await until(partial(connected, house, hundreds * 100))
            for half in idle[::2]:
                half.sendall(b"GET /hello HTTP/1.1\r\nX-Slow:")
            begun = time.monotonic()
            with house.connect() as client:
                answer = await deferToThread(asked, client, get("/hello"))
            assert answer.endswith(b"hello")
            assert time.monotonic() - begun < 1
            for client in idle:
                client.close()
            await until(lambda: house.site.connections == 0)
    finally:
        for client in idle:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_one_connection_too_many_is_answered(tmp_path: Path) -> None:
    async with serving(tmp_path, max_connections=1) as house:
        with house.connect(), house.connect() as second:
            answer = await deferToThread(asked, second, get("/hello"))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in answer


# Too slow


async def test_a_slow_header_is_answered_with_a_timeout(tmp_path: Path) -> None:
    async with serving(tmp_path, header_timeout=1) as house:
        with house.connect() as client:
            client.sendall(b"GET /hello HT")
            answer = await deferToThread(read_all, client)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"request_timeout" in answer


async def test_a_guest_that_stops_reading_is_cut(tmp_path: Path) -> None:
    async with serving(tmp_path, stall_timeout=1) as house:
        with house.connect() as client:
            client.sendall(get("/flood"))
            await house.answer  # the producer was paused
            assert await house.ended == "cancelled"
            await until(lambda: house.site.connections == 0)


# Descriptors


async def test_descriptors_that_a_guest_sends_are_closed(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        with house.connect() as client, open(os.devnull) as sent:
            await until(lambda: house.site.connections == 1)
            before = len(os.listdir("/proc/self/fd"))
            rights = array.array("i", [sent.fileno()] * 10)
            client.sendmsg(
                [get("/hello")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
            )
            answer = await deferToThread(client.recv, 1000)
            assert answer.endswith(b"hello")
            assert len(os.listdir("/proc/self/fd")) <= before


# The end


async def test_what_runs_is_answered_before_the_house_closes(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        with house.connect() as idle, house.connect() as busy:
            busy.sendall(get("/wait"))
            await house.started
            await until(lambda: house.site.connections == 2)
            await house.listening.stop()
            house.site.stop_keepalive()
            settled = house.site.when_idle()
            assert await deferToThread(read_all, idle) == b""
            assert not settled.called
            house.answer.callback(bytes(10**6))
            answer = await deferToThread(read_all, busy)
            await settled
        assert b"\r\nConnection: close\r\n" in answer
        assert len(answer) > 10**6
