"""
The Responses API over a WebSocket: one message asks, one message is one event.

A request has no ``stream`` here, an answer is always one, and its events are those of
the stream over HTTP without their framing. One response is made at a time; what is
sent meanwhile waits for its turn. What a guest does not want to be stored can be gone
on from for as long as its connection lives.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NoBase64
from collections import deque

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import generate_accept_token

from modelplex.errors import (
    BadRequest,
    Forbidden,
    GatewayError,
    ShuttingDown,
    UnknownRoute,
)
from modelplex.surface.answer import send_error
from modelplex.surface.channel import GuestChannel
from modelplex.surface.request import GuestRequest
from modelplex.surface.responses import Responses
from modelplex.surface.websocket_frames import WebSocketFrames
from modelplex.surface.websocket_message import (
    AS_OVER_HTTP,
    MessageInquiry,
    lane_of,
    steering_failed,
)
from modelplex.wire.jsonobject import open_object
from modelplex.wire.responses.dialect import RESPONSES

WAITING = 16  # messages that wait for their turn, at most
_TOKEN = re.compile(rb"[^,\s]+")
_VERSION = b"13"  # of RFC 6455, the only one there is


class UpgradeRefused(UnknownRoute):
    """A protocol that is not served here; a client falls back to HTTP at once."""

    status = 426
    code = "upgrade_refused"


def upgrade(request: GuestRequest, responses: Responses) -> Deferred[None]:
    """
    Answer a handshake (RFC 6455 §4.2) and speak on from there.

    :returns: never fires; cancel it when the connection is lost.
    :raises GatewayError: it is none, or is not answered.
    """
    accept = _accepted(request)
    channel = request.channel
    head = [
        b"HTTP/1.1 101 Switching Protocols",
        b"upgrade: websocket",
        b"connection: Upgrade",
        b"sec-websocket-accept: " + accept,
        b"x-request-id: " + request.request_id.encode("ascii"),
        b"date: " + channel.site.date(),
        b"\r\n",
    ]
    conversation = Conversation(responses, channel)
    channel.write(b"\r\n".join(head))
    channel.upgrade(conversation.frames)
    return Deferred(lambda _: conversation.ended())


def _accepted(request: GuestRequest) -> bytes:
    """What proves to the client that its handshake was understood."""
    if b"websocket" not in _tokens(request, b"upgrade"):
        raise UpgradeRefused("only a WebSocket is served here; use HTTP")
    keys = request.requestHeaders.getRawHeaders(b"sec-websocket-key", ())
    versions = request.requestHeaders.getRawHeaders(b"sec-websocket-version", ())
    if (
        b"upgrade" not in _tokens(request, b"connection")
        or list(versions) != [_VERSION]
        or len(keys) != 1
        or not _is_nonce(keys[0])
    ):
        # Some clients give up HTTP too after any other status.
        request.responseHeaders.setRawHeaders(b"sec-websocket-version", [_VERSION])
        raise UpgradeRefused("this is no handshake of WebSocket version 13; use HTTP")
    if request.requestHeaders.hasHeader(b"origin"):
        # A browser lets every page open one, to wherever it can connect.
        raise Forbidden("a WebSocket is not opened for a web page")
    if request.site.draining:
        raise ShuttingDown("shutting down")
    return generate_accept_token(keys[0])


def _is_nonce(key: bytes) -> bool:
    try:
        return len(b64decode(key, validate=True)) == 16
    except NoBase64:
        return False


def _tokens(request: GuestRequest, name: bytes) -> list[bytes]:
    values = b",".join(request.requestHeaders.getRawHeaders(name, ()))
    return _TOKEN.findall(values.lower())


@define(eq=False, repr=False)
class Conversation:
    """What one guest asks over one WebSocket, one response after the other."""

    _responses: Responses
    _channel: GuestChannel
    frames: WebSocketFrames = field(init=False)
    _waiting: deque[bytes] = field(factory=deque)
    _size: int = 0  # bytes of what waits
    _asking: Deferred[None] | None = None
    _draining: bool = False
    _ended: bool = False
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self.frames = WebSocketFrames(self._channel, self)

    # What the frames tell.

    @property
    def running(self) -> bool:
        return self._asking is not None

    def received(self, message: bytes) -> None:
        self._waiting.append(message)
        self._size += len(message)
        limit = self._channel.site.limits.max_request_size
        if len(self._waiting) > WAITING or self._size > limit:
            self.frames.close(CloseReason.POLICY_VIOLATION, "too much is waiting")
        else:
            self._go_on()

    def ready(self) -> None:
        self._go_on()

    def finish_up(self) -> None:
        self._draining = True
        self._go_on()

    def ended(self) -> None:
        self._ended = True
        self._waiting.clear()
        self._size = 0
        self._responses.memory.release(self)
        if self._asking is not None:
            self._asking.cancel()

    # Ours.

    def _go_on(self) -> None:
        """Begin what is next, unless something runs or the guest does not read."""
        while self._asking is None and not self._ended:
            if self._draining:
                self.frames.close(CloseReason.GOING_AWAY, "shutting down")
                return
            if not self._waiting or self._channel.blocked:
                return
            message = self._waiting.popleft()
            self._size -= len(message)
            asking = Deferred.fromCoroutine(self._answered(message))
            asking.addErrback(self._broken)
            if not asking.called:
                self._asking = asking
                asking.addCallback(self._over)

    def _over(self, _: None) -> None:
        self._asking = None
        self._go_on()
        self._channel.site.settle()

    def _broken(self, reason: Failure) -> None:
        """Tell the log about a bug, and the guest only that there was one."""
        if reason.check(CancelledError) and self._ended:
            return
        self.log.failure("A message failed", failure=reason)
        self.frames.close(CloseReason.INTERNAL_ERROR, "internal error")

    async def _answered(self, text: bytes) -> None:
        message = MessageInquiry(self.frames, self._channel)
        try:
            asked = open_object(text, "message")
            message.lane = lane_of(asked)
            kind = asked.get("type", str, "")
            if kind == "response.steer":
                message.tell(steering_failed(asked))
                return
            if kind != "response.create":
                raise BadRequest(f"type: {kind[:80]!r} is not known here", param="type")
            generate = asked.get("generate", bool | None)
            message.body = asked.splice(AS_OVER_HTTP)
            if generate is False:
                message.write(self._responses.prepare(message, self))
                return
        except GatewayError as e:
            send_error(message, RESPONSES, e)
            return
        await self._responses.create(message, self)
