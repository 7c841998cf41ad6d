"""
WebSocket (RFC 6455) on a guest's connection that HTTP has left.

It is wsproto's frames under the limits of the site: Twisted's own
`twisted.web.websocket` takes messages of any size and time to be assembled, and may be
made to raise by a ping that crosses a close.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attrs import define, field
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason

if TYPE_CHECKING:
    from modelplex.surface.channel import GuestChannel

#: A peer that does not answer a close is not waited for any longer.
CLOSING_SECONDS = 5.0


class Listener(Protocol):
    """Who is told what a guest sends."""

    @property
    def running(self) -> bool:
        """Something is being done for the guest."""

    def received(self, message: bytes) -> None:
        """A whole message."""

    def ready(self) -> None:
        """The guest reads again."""

    def finish_up(self) -> None:
        """Begin nothing new, and close once nothing runs."""

    def ended(self) -> None:
        """Nothing more is received, and nothing can be sent. May come twice."""


@define(eq=False)
class WebSocketFrames:
    """Whole messages in and out; frames, pings and the closing handshake inside."""

    _channel: GuestChannel
    _listener: Listener
    _connection: Connection = field(
        factory=lambda: Connection(ConnectionType.SERVER), init=False
    )
    _message: bytearray = field(factory=bytearray, init=False)
    _heard: float = field(init=False)
    _begun: float | None = None  # when the message that is not complete began
    _closing: float | None = None  # when we began to close
    _over: bool = False
    _ping: Ping | None = None  # the last one, while the guest does not read

    def __attrs_post_init__(self) -> None:
        self._heard = self._channel.site.seconds()

    # For whoever speaks to the guest.

    def send(self, message: bytes) -> None:
        """Send a text; nothing once the connection closes."""
        if self._is_open:
            text = message.decode("utf-8", "replace")
            self._channel.write(self._connection.send(TextMessage(text)))

    def ping(self) -> None:
        """Show a sign of life, unless there is more to read already."""
        if self._is_open and not self._channel.blocked:
            self._channel.write(self._connection.send(Ping()))

    def close(self, code: int, reason: str) -> None:
        """Begin to close: nothing more is sent, and what comes is dropped."""
        if self._is_open:
            self._write_close(code, reason)
            self._listener.ended()

    # What the channel tells.

    @property
    def busy(self) -> bool:
        """Something runs, or the peer still has to see that this closes."""
        return self._listener.running or self._closing is not None

    def dataReceived(self, data: bytes) -> None:
        """Take what has arrived, however it is cut."""
        if self._over:
            return
        self._heard = self._channel.site.seconds()
        self._connection.receive_data(data)
        for event in self._connection.events():
            self._take(event)
            if self._over:
                return

    def resumed(self) -> None:
        """The guest reads again."""
        ping, self._ping = self._ping, None
        if ping is not None and self._is_open:
            self._channel.write(self._connection.send(ping.response()))
        self._listener.ready()

    def sweep(self, now: float) -> None:
        """Act on what has taken too long; called every second."""
        limits = self._channel.site.limits
        if self._closing is not None:
            if now - self._closing >= CLOSING_SECONDS:
                self._over = True
                self._channel.loseConnection()
        elif self._begun is not None and now - self._begun >= limits.body_timeout:
            self.close(CloseReason.POLICY_VIOLATION, "the message took too long")
        elif not self._listener.running and now - self._heard >= limits.idle_timeout:
            self.close(CloseReason.NORMAL_CLOSURE, "idle")

    def finish_up(self) -> None:
        """Begin nothing new, and close once nothing runs."""
        self._listener.finish_up()

    def input_ended(self) -> None:
        """A peer that goes without a word is not answered any more."""
        self._channel.abort()

    def lost(self) -> None:
        """Nothing: the request that was upgraded is told, and tells the listener."""

    # Ours.

    @property
    def _is_open(self) -> bool:
        return not self._over and self._connection.state is ConnectionState.OPEN

    def _take(self, event: Event) -> None:
        match event:
            case CloseConnection():
                self._closed(event)
            case _ if self._closing is not None:
                pass
            case Ping() if self._channel.blocked:
                self._ping = event
            case Ping():
                self._channel.write(self._connection.send(event.response()))
            case TextMessage() | BytesMessage():
                self._assemble(event)
            case Pong():
                pass  # it was heard

    def _assemble(self, event: TextMessage | BytesMessage) -> None:
        if self._begun is None:
            self._begun = self._heard
        data = event.data
        self._message += data.encode() if isinstance(data, str) else data
        limit = self._channel.site.limits.max_request_size
        if len(self._message) > limit:
            self._message = bytearray()
            reason = f"the message is larger than {limit} bytes"
            self.close(CloseReason.MESSAGE_TOO_BIG, reason)
        elif event.message_finished:
            message, self._message = bytes(self._message), bytearray()
            self._begun = None
            self._listener.received(message)

    def _closed(self, event: CloseConnection) -> None:
        """The peer closes, or answers our close, or has broken the protocol."""
        if self._connection.state is ConnectionState.REMOTE_CLOSING:
            self._channel.write(self._connection.send(event.response()))
        elif self._is_open:
            self._write_close(event.code, event.reason or "")
        self._over = True
        self._listener.ended()
        self._channel.loseConnection()

    def _write_close(self, code: int, reason: str) -> None:
        self._closing = self._channel.site.seconds()
        self._channel.write(self._connection.send(CloseConnection(code, reason)))
