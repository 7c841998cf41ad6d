"""
Upstreams in memory: what they are asked over a UNIX socket, and what they do then.

Everything above the sockets is real: the connection pool, HTTP, the clock's calls.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field, frozen
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
)
from twisted.internet.interfaces import IProtocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure


@frozen
class Received:
    """One request that an upstream got."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> list[str]:
        """Every value of the header `name`, which is in lower case."""
        return [value for key, value in self.headers if key == name]


class _End(StringTransport):
    """The client's end of a connection."""

    connection: Connection

    def __init__(self) -> None:
        super().__init__(lenient=True)

    def resumeProducing(self) -> None:
        super().resumeProducing()
        self.connection.later()

    def loseConnection(self) -> None:
        super().loseConnection()
        self.connection.hung_up(ConnectionDone())

    def abortConnection(self) -> None:
        self.connection.hung_up(ConnectionAborted())


@define(eq=False)
class Connection:
    """
    One connection, from the upstream's side.

    What it sends while the client has paused waits, as in a socket's buffer.

    :ivar open: the client has neither hung up nor been told that it was cut.
    """

    path: str
    reactor: MemoryReactorClock
    protocol: Any = None
    open: bool = True
    hangups: int = 0
    _end: _End = field(factory=_End)
    _queue: list[bytes | Exception] = field(factory=list)

    def accept(self, factory: Any) -> None:
        """Complete the connection."""
        self._end.connection = self
        self.protocol = factory.buildProtocol(None)
        IProtocol(self.protocol).makeConnection(self._end)

    @property
    def paused(self) -> bool:
        """Whether the client reads nothing at present."""
        return self._end.producerState == "paused"

    def requests(self) -> list[Received]:
        """Every whole request since the last call."""
        found: list[Received] = []
        data = self._end.value()
        while b"\r\n\r\n" in data:
            head, _, rest = data.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            method, path, _version = first.split(" ")
            pairs = [line.split(": ", 1) for line in lines]
            headers = tuple((name.lower(), value) for name, value in pairs)
            size = int(dict(headers).get("content-length", "0"))
            if len(rest) < size:
                break
            found.append(Received(method, path, headers, rest[:size]))
            data = rest[size:]
        self._end.clear()
        self._end.io.write(data)
        return found

    def request(self) -> Received:
        """The one request since the last call."""
        [received] = self.requests()
        return received

    # What it does.

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self._queue.append(data)
        self._pump()

    def close(self) -> None:
        """End the connection after what was sent."""
        self._queue.append(ConnectionDone())
        self._pump()

    def cut(self) -> None:
        """Break the connection off."""
        self._queue.append(ConnectionLost())
        self._pump()

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        """Send a whole answer; ``_`` in the names of `headers` stands for ``-``."""
        headers.setdefault("content_type", "application/json")
        self.send(_head(status, content_length=str(len(body)), **headers) + body)

    def begin(self, status: int = 200, **headers: str) -> None:
        """Send the headers of an answer in chunks."""
        headers.setdefault("content_type", "text/event-stream")
        self.send(_head(status, transfer_encoding="chunked", **headers))

    def chunk(self, data: bytes) -> None:
        """Send one chunk."""
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def finish(self) -> None:
        """Send the last chunk."""
        self.send(b"0\r\n\r\n")

    # What the client's end tells.

    def later(self) -> None:
        """Go on sending when the reactor next turns."""
        self.reactor.callLater(0, self._pump)

    def hung_up(self, reason: Exception) -> None:
        """The client has closed."""
        self.hangups += 1
        if self.open:
            self.open = False
            self._queue.clear()
            self.reactor.callLater(0, self.protocol.connectionLost, Failure(reason))

    def _pump(self) -> None:
        while self._queue and self.open and not self.paused:
            item = self._queue.pop(0)
            if isinstance(item, bytes):
                self.protocol.dataReceived(item)
            else:
                self.open = False
                self.protocol.connectionLost(Failure(item))


def _head(status: int, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@define(eq=False)
class Attempt:
    """A connection that a client wants; it waits until something is done about it."""

    path: str
    reactor: MemoryReactorClock
    _factory: Any
    _connector: Any
    settled: bool = False

    @property
    def given_up(self) -> bool:
        """The client waits no longer."""
        return bool(self._connector.stoppedConnecting)

    def accept(self) -> Connection:
        """Connect it."""
        self.settled = True
        connection = Connection(self.path, self.reactor)
        connection.accept(self._factory)
        return connection

    def fail(self, error: Exception | None = None) -> None:
        """Fail it; refused, unless `error` says otherwise."""
        self.settled = True
        reason = Failure(error or ConnectionRefusedError())
        self._factory.clientConnectionFailed(self._connector, reason)


@define(eq=False)
class Upstreams:
    """Every upstream that a reactor is asked to connect to, each by its path."""

    reactor: MemoryReactorClock
    connections: list[Connection] = field(factory=list)
    _attempts: list[Attempt] = field(factory=list)
    _seen: int = 0

    def waiting(self, path: str | None = None) -> list[Attempt]:
        """The connections that are wanted now, the oldest first."""
        for number in range(self._seen, len(self.reactor.unixClients)):
            where, factory, *_ = self.reactor.unixClients[number]
            connector = self.reactor.connectors[number]
            self._attempts.append(Attempt(where, self.reactor, factory, connector))
        self._seen = len(self.reactor.unixClients)
        return [
            attempt
            for attempt in self._attempts
            if path in (None, attempt.path)
            and not attempt.settled
            and not attempt.given_up
        ]

    def accept(self, path: str | None = None) -> Connection:
        """Accept the one connection that is wanted."""
        [attempt] = self.waiting(path)
        connection = attempt.accept()
        self.connections.append(connection)
        return connection

    def refuse(self, path: str | None = None, error: Exception | None = None) -> None:
        """Refuse the one connection that is wanted."""
        [attempt] = self.waiting(path)
        attempt.fail(error)

    @property
    def open(self) -> list[Connection]:
        """The connections that are open."""
        return [connection for connection in self.connections if connection.open]
