"""A guest in memory: sends requests over one connection, and reads, or does not."""

from __future__ import annotations

import json
from typing import Any

from attrs import define, field, frozen
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorTime
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from modelplex.surface.site import GuestSite
from modelplex.wire import sse


@frozen
class Answered:
    """
    An answer as far as it has come.

    :ivar complete: its end was seen too.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool

    @property
    def error(self) -> dict[str, Any]:
        """OpenAI's error object, of an answer that is nothing else."""
        assert self.headers["content-type"] == "application/json"
        error: dict[str, Any] = json.loads(self.body)["error"]
        return error

    @property
    def events(self) -> list[bytes]:
        """The payloads of a stream of events."""
        payloads = map(sse.data, sse.events(self.body))
        return [payload for payload in payloads if payload is not None]


def answers(wire: bytes) -> list[Answered]:
    """Every answer in `wire`; only the last may be incomplete."""
    found: list[Answered] = []
    while b"\r\n\r\n" in wire:
        head, _, rest = wire.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value
            for name, value in (line.split(": ", 1) for line in lines)
        }
        status = int(first.split(" ")[1])
        if "content-length" in headers:
            size = int(headers["content-length"])
            body, wire, complete = rest[:size], rest[size:], len(rest) >= size
        else:
            body, wire, complete = _unchunked(rest)
        found.append(Answered(status, headers, body, complete))
    assert not wire or not found or not found[-1].complete, wire
    return found


def _unchunked(wire: bytes) -> tuple[bytes, bytes, bool]:
    body = b""
    while b"\r\n" in wire:
        size, _, rest = wire.partition(b"\r\n")
        length = int(size, 16)
        if len(rest) < length + 2:
            break
        body, wire = body + rest[:length], rest[length + 2 :]
        if not length:
            return body, wire, True
    return body, b"", False


class _End(StringTransport):
    """The server's end of a guest's connection, with a buffer of `room` bytes."""

    guest: Guest

    def __init__(self) -> None:
        super().__init__(lenient=True)

    def write(self, data: bytes) -> None:
        if self.guest.open:
            super().write(data)
            self.guest.written()

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        super().loseConnection()
        self.guest.closed_by_server()

    def abortConnection(self) -> None:
        self.guest.closed_by_server()


@define(eq=False)
class Guest:
    """
    One connection to a `GuestSite`.

    :ivar room: bytes that the server may write unread before it is told to pause.
    """

    site: GuestSite
    clock: IReactorTime
    room: int = 0
    reading: bool = True
    open: bool = True
    paused: bool = False
    channel: Any = None
    _end: _End = field(factory=_End)
    _read: int = 0  # bytes
    _parsed: tuple[int, list[Answered]] = (0, [])

    def __attrs_post_init__(self) -> None:
        self._end.guest = self
        self.channel = self.site.buildProtocol(None)
        self.channel.makeConnection(self._end)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.channel.dataReceived(data)

    def get(self, target: str, method: str = "GET", *headers: str) -> Answered:
        """Ask for `target`; gives the answer, which must be there at once."""
        before = len(self.answers())
        lines = [f"{method} {target} HTTP/1.1", *headers, "", ""]
        self.send("\r\n".join(lines).encode())
        return self.answers()[before]

    def post(self, target: str, value: object, *headers: str) -> None:
        """Send `value` as JSON, or as it is when it is bytes."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        lines = [f"POST {target} HTTP/1.1", f"content-length: {len(body)}"]
        self.send("\r\n".join([*lines, *headers, "", ""]).encode() + body)

    def answers(self) -> list[Answered]:
        """Every answer so far, whether it was read or lies in the buffer."""
        if self._parsed[0] != self._end.io.tell():
            self._parsed = self._end.io.tell(), answers(self._end.value())
        return self._parsed[1]

    def answer(self) -> Answered:
        """The one answer so far."""
        [answer] = self.answers()
        return answer

    @property
    def wire(self) -> bytes:
        """Every byte so far, whether it was read or lies in the buffer."""
        return bytes(self._end.value())

    def stop_reading(self) -> None:
        """Leave what is written from now on in the buffer."""
        self.reading = False

    def read_on(self) -> None:
        """Read all there is, and whatever comes."""
        self.reading = True
        self._read = len(self._end.value())
        if self.paused and self.open:
            self.paused = False
            assert self._end.producer is not None
            self._end.producer.resumeProducing()

    def leave(self) -> None:
        """Hang up."""
        if self.open:
            self.open = False
            self._lost(ConnectionLost())

    # What the server's end tells.

    def written(self) -> None:
        """Something was written."""
        if self.reading:
            self._read = len(self._end.value())
            return
        producer = self._end.producer
        if producer is not None and len(self._end.value()) - self._read > self.room:
            self.paused = True
            producer.pauseProducing()

    def closed_by_server(self) -> None:
        """The server has closed."""
        if self.open:
            self.open = False
            self.clock.callLater(0, self._lost, ConnectionDone())

    def _lost(self, reason: Exception) -> None:
        producer = self._end.producer
        if producer is not None:
            producer.stopProducing()  # as a real transport does
        self.channel.connectionLost(Failure(reason))
