"""A keep-alive HTTP connection for measuring, over a Unix socket or loopback TCP."""

from __future__ import annotations

import asyncio
import socket
import time

from attrs import frozen

from benchmarks.http1 import MessageReader

_CONNECT = 10.0  # seconds; a busy server's backlog may be full for a while


@frozen
class Address:
    """Where a target listens: a path, or a loopback port."""

    path: str = ""
    port: int = 0

    async def connect(self) -> Connection:
        """:raises OSError: when nobody listens."""
        loop = asyncio.get_running_loop()
        if self.port:
            _, made = await loop.create_connection(Connection, "127.0.0.1", self.port)
            return made
        endpoint = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            endpoint.setblocking(False)
            await _dial(endpoint, self.path)
            _, made = await loop.create_unix_connection(Connection, sock=endpoint)
        except BaseException:
            endpoint.close()
            raise
        return made


async def _dial(endpoint: socket.socket, path: str) -> None:
    """A full backlog is EAGAIN here, which asyncio takes for a connect under way."""
    give_up = time.monotonic() + _CONNECT
    while True:
        try:
            endpoint.connect(path)
            return
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise
        await asyncio.sleep(0.005)


@frozen
class Reply:
    """One answer, and when it came; times are seconds after the request was sent."""

    status: int
    body: bytes
    first: float  # its first body byte was there
    total: float


class Connection(asyncio.Protocol):
    """Sends one request at a time and reads the answer."""

    def __init__(self) -> None:
        self.open = True
        self.answering = False  # a 200 head is there, its end is not
        self._transport: asyncio.Transport | None = None
        self._reader = MessageReader(is_response=True)
        self._answer: asyncio.Future[Reply] | None = None
        self._sent = 0.0
        self._first = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        self.answering = False
        if self._answer is not None:
            if self._reader.has_head and self._reader.eof():
                self._complete()
            else:
                answer, self._answer = self._answer, None
                if not answer.done():
                    answer.set_exception(ConnectionError("closed before the end"))

    def ask(self, payload: bytes) -> asyncio.Future[Reply]:
        """
        Send a request; fires with the whole answer.

        :raises ConnectionError: in the future, when the connection ends before it.
        """
        self._reader = MessageReader(is_response=True)
        answer = self._answer = asyncio.get_running_loop().create_future()
        self._first = 0.0
        self._sent = time.perf_counter()
        if self._transport is None or not self.open:
            answer.set_exception(ConnectionError("not connected"))
        else:
            self._transport.write(payload)
        return answer

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        complete = reader.feed(data)
        if not self._first and reader.has_body():
            self._first = time.perf_counter()
            self.answering = reader.status == 200
        if complete:
            self._complete()

    def header(self, name: str) -> str:
        """A header of the last answer; empty when it had none."""
        for line in self._reader.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name:
                return value.strip()
        return ""

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def _complete(self) -> None:
        now = time.perf_counter()
        answer, self._answer = self._answer, None
        reader = self._reader
        self.answering = False
        if reader.closes:
            self.open = False
            self.close()
        if answer is not None and not answer.done():
            first = (self._first or now) - self._sent
            reply = Reply(reader.status, reader.body(), first, now - self._sent)
            answer.set_result(reply)
