"""One message of a guest's WebSocket: what it asks, and the messages that answer it."""

from __future__ import annotations

import msgspec
from attrs import define, field
from twisted.internet.interfaces import IPushProducer
from twisted.web.http_headers import Headers

from modelplex.errors import BadRequest
from modelplex.surface.channel import GuestChannel
from modelplex.surface.websocket_frames import WebSocketFrames
from modelplex.wire import sse
from modelplex.wire.jsonobject import JsonObject
from modelplex.wire.typed import pack

LONGEST_LANE = 256  # characters
_RETRY = (b"retry-after", b"retry-after-ms", b"x-should-retry")

# What only a message has, or is of no use in one.
AS_OVER_HTTP = {
    "type": None,
    "stream_id": None,
    "generate": None,
    "background": None,
    "stream": b"true",
}


def lane_of(asked: JsonObject) -> bytes:
    """
    The member that all events of an answer repeat, if the message has it.

    :raises BadRequest: it is too long to be repeated.
    """
    lane = asked.get("stream_id", str | None)
    if lane is not None and len(lane) > LONGEST_LANE:
        raise BadRequest(
            f"stream_id: over {LONGEST_LANE} characters long", param="stream_id"
        )
    return b"" if lane is None else b',"stream_id":' + msgspec.json.encode(lane)


def steering_failed(asked: JsonObject) -> bytes:
    """The refusal of what would change a response on its way."""
    return pack(
        {
            "type": "response.steer.failed",
            "sequence_number": 0,
            "error": {
                "type": "invalid_request_error",
                "code": "steering_not_supported",
                "message": "A response cannot be steered here.",
            },
            "steer": {
                key: msgspec.Raw(asked.raw(key) or b"null")
                for key in ("previous_response_id", "input")
            },
        }
    )


@define(eq=False)
class MessageInquiry:
    """
    One message, as the `Inquiry` that it is.

    :ivar lane: what is added to every event of the answer.
    """

    _frames: WebSocketFrames
    _channel: GuestChannel
    body: bytes = b""
    lane: bytes = b""
    request_id: str = field(init=False)
    # What the handshake said is not said again with every message.
    requestHeaders: Headers = field(factory=Headers)
    responseHeaders: Headers = field(factory=Headers)
    code: int = 200
    producer: IPushProducer | None = None

    def __attrs_post_init__(self) -> None:
        self.request_id = self._channel.site.new_id()

    def release_body(self) -> None:
        self.body = b""

    def setResponseCode(self, code: int, message: bytes | None = None) -> None:
        self.code = code

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        self.producer = producer
        self._channel.registerProducer(producer, streaming)
        if self._channel.blocked:  # by what was sent before
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        self.producer = None
        self._channel.unregisterProducer()

    def write(self, data: bytes) -> None:
        if self.code != 200:
            self.tell(self._error(data))
            return
        for event in sse.events(data):
            payload = sse.data(event)
            if payload is None:
                self._frames.ping()  # instead of a comment
            else:
                self.tell(payload)

    def tell(self, event: bytes) -> None:
        """Send one event."""
        if self.lane:
            event = event.rstrip()[:-1] + self.lane + b"}"
        self._frames.send(event)

    def finish(self) -> None:
        pass  # the last event says so

    def _error(self, body: bytes) -> bytes:
        """The event for an error that over HTTP has a status and headers."""
        error = msgspec.json.decode(body)["error"]
        told = {"type": "error", "status": self.code, "error": error}
        headers: dict[str, str] = {}
        for name in _RETRY:
            for value in self.responseHeaders.getRawHeaders(name, ()):
                headers[name.decode()] = value.decode()
        if headers:
            # Where the SDKs look for them, and where Codex does.
            told["error"] = {**error, "headers": headers}
            told["headers"] = headers
        return msgspec.json.encode(told)
