"""A guest in memory that speaks over a WebSocket."""

from __future__ import annotations

import json
from typing import Any

from attrs import define, field
from wsproto.connection import Connection, ConnectionType
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    Pong,
    TextMessage,
)

from modelplex.testing.memory.guest import Guest

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455 §1.3
HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


@define(eq=False)
class Talker:
    """
    One WebSocket of a guest.

    :ivar head: the answer to the handshake.
    :ivar others: every frame so far that is no message.
    """

    guest: Guest
    head: str = ""
    others: list[Event] = field(factory=list)
    _connection: Connection = field(
        factory=lambda: Connection(ConnectionType.CLIENT), init=False
    )
    _seen: int = 0
    _message: str = ""

    def open(self, target: str = "/v1/responses", **headers: str | None) -> None:
        """Send a handshake; one of its headers is left out if it is ``None``."""
        given = {**HANDSHAKE, **headers}
        lines = [f"{k}: {v}" for k, v in given.items() if v is not None]
        self.guest.send(
            "\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode()
        )
        head, _, _ = self.guest.wire.partition(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        self._seen = len(head) + 4

    def ask(self, **members: Any) -> None:
        """Ask for a response."""
        asked = {"type": "response.create", "model": "m", "input": "hello", **members}
        self.send(json.dumps(asked))

    def send(self, message: str | bytes) -> None:
        """Send a message."""
        event: Message[Any]
        if isinstance(message, str):
            event = TextMessage(message)
        else:
            event = BytesMessage(message)
        self.frame(event)

    def frame(self, event: Event) -> None:
        """Send any frame."""
        self.guest.send(self._connection.send(event))

    def messages(self) -> list[dict[str, Any]]:
        """Every event since the last call."""
        wire = self.guest.wire
        new, self._seen = wire[self._seen :], len(wire)
        if new:
            self._connection.receive_data(new)
        found: list[dict[str, Any]] = []
        for event in self._connection.events():
            if isinstance(event, TextMessage):
                self._message += event.data
                if event.message_finished:
                    found.append(json.loads(self._message))
                    self._message = ""
            else:
                self.others.append(event)
        return found

    def kinds(self) -> list[str]:
        """The types of every event since the last call."""
        return [message["type"] for message in self.messages()]

    @property
    def closed(self) -> int | None:
        """The code with which the server has closed, if it has."""
        self.messages()
        codes = [e.code for e in self.others if isinstance(e, CloseConnection)]
        return codes[0] if codes else None

    def pings(self) -> int:
        """How many signs of life there were."""
        self.messages()
        return sum(isinstance(event, Ping) for event in self.others)

    def pongs(self) -> list[bytes]:
        """What pings were answered with."""
        self.messages()
        return [bytes(e.payload) for e in self.others if isinstance(e, Pong)]
