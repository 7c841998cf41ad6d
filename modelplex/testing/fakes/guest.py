"""A guest on a real UNIX socket: one HTTP request, looked at while it is answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure


@define(eq=False)
class Call(Protocol):
    """
    One request and its answer, on a connection of its own.

    :ivar begun: fires when some of the answer's body is there.
    :ivar ended: fires when the connection has ended.
    """

    request: bytes = field(repr=False)
    raw: bytearray = field(factory=bytearray, repr=False)
    begun: Deferred[None] = field(factory=Deferred)
    ended: Deferred[None] = field(factory=Deferred)

    def connectionMade(self) -> None:
        self._wire.write(self.request)

    def dataReceived(self, data: bytes) -> None:
        self.raw += data
        if not self.begun.called and self.raw[:8192].partition(b"\r\n\r\n")[2]:
            self.begun.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended.callback(None)

    @property
    def _wire(self) -> Any:
        return self.transport

    def hang_up(self) -> None:
        """Go away at once."""
        self._wire.abortConnection()

    def stop_reading(self) -> None:
        """Take no byte more."""
        self._wire.pauseProducing()

    def go_on_reading(self) -> None:
        """Undo `stop_reading`."""
        self._wire.resumeProducing()

    # --- what came

    @property
    def status(self) -> int:
        """The status of the answer."""
        return int(self.raw.split(b" ", 2)[1])

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's header, by lower-case name."""
        head = bytes(self.raw).partition(b"\r\n\r\n")[0].decode("latin-1")
        pairs = (line.partition(":") for line in head.split("\r\n")[1:])
        return {name.lower(): value.strip() for name, _, value in pairs}

    @property
    def whole(self) -> bool:
        """Whether the answer has come to its proper end, as HTTP has it."""
        return self._unframed()[1]

    @property
    def body(self) -> bytes:
        """The answer's body, as far as it came."""
        return self._unframed()[0]

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    def error(self) -> dict[str, Any]:
        """The error in a body of OpenAI's shape, all four members of it."""
        told: dict[str, Any] = self.json()["error"]
        assert set(told) == {"message", "type", "param", "code"}, told
        return told

    def events(self) -> list[Any]:
        """The payloads of a stream: decoded JSON, or the text ``[DONE]``."""
        found: list[Any] = []
        for event in self.body.decode().split("\n\n"):
            if event.startswith("data: "):
                told = event.removeprefix("data: ")
                found.append(told if told == "[DONE]" else json.loads(told))
        return found

    def text(self) -> str:
        """What the model said in a streamed chat."""
        return "".join(
            choice["delta"].get("content") or ""
            for event in self.events()
            if isinstance(event, dict)
            for choice in event.get("choices", ())
        )

    def _unframed(self) -> tuple[bytes, bool]:
        head, _, rest = bytes(self.raw).partition(b"\r\n\r\n")
        if b"chunked" not in head:
            length = self.headers.get("content-length")
            return rest, length is not None and len(rest) == int(length)
        pieces: list[bytes] = []
        position = 0
        while (end := rest.find(b"\r\n", position)) >= 0:
            size = int(rest[position:end], 16)
            if not size:
                return b"".join(pieces), rest[end:] == b"\r\n\r\n"
            pieces.append(rest[end + 2 : end + 2 + size])
            position = end + 2 + size + 2
        return b"".join(pieces), False


async def call(
    reactor: Any, path: str, target: str, body: object = None, *headers: str
) -> Call:
    """
    Connect and send one request.

    :param body: sent as JSON by POST; without one it is a GET.
    """
    data = b"" if body is None else json.dumps(body).encode()
    lines = [
        f"{'GET' if body is None else 'POST'} {target} HTTP/1.1",
        "host: modelplex",
        "connection: close",
        "content-type: application/json",
        f"content-length: {len(data)}",
        *headers,
    ]
    request = "\r\n".join([*lines, "", ""]).encode() + data
    endpoint = UNIXClientEndpoint(reactor, path)
    made: Call = await connectProtocol(endpoint, Call(request))
    return made


async def answered(
    reactor: Any, path: str, target: str, body: object = None, *headers: str
) -> Call:
    """The same, once the answer is complete."""
    made = await call(reactor, path, target, body, *headers)
    await made.ended
    return made
