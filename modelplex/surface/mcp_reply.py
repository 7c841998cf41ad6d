"""The answer to one HTTP request of MCP: JSON, or a stream once more must be told."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from modelplex.surface.refusal import reason_phrase
from modelplex.surface.request import GuestRequest
from modelplex.wire.jsonrpc import INVALID_REQUEST, Failure, encode

PING_SECONDS = 15.0
_PING = b": ping\n\n"


@define(eq=False)
class Reply:
    """
    One answer, begun as late as can be.

    While nothing has been told it may still be plain JSON with a status of its own.
    The first event makes it a stream, and so does `PING_SECONDS` of waiting, after
    which the client is shown a sign of life.

    :ivar waited: called before the first sign of life.
    :ivar begun: it is a stream.
    :ivar open: nobody has finished it, and the client has not hung up.
    """

    _request: GuestRequest
    _clock: IReactorTime
    waited: Callable[[], None] | None = None
    begun: bool = False
    open: bool = True
    _wrote: bool = False
    _ping: IDelayedCall | None = None
    _done: Deferred[None] | None = None

    def __attrs_post_init__(self) -> None:
        self._ping = self._clock.callLater(PING_SECONDS, self._still_alive)

    @property
    def blocked(self) -> bool:
        """The client does not read what was written."""
        # Without a channel, once the answer is complete or the client is gone.
        channel = getattr(self._request, "channel", None)
        return channel is not None and channel.blocked

    async def done(self) -> None:
        """Wait until it is finished; cancelled when the client hangs up."""
        if self.open:
            self._done = Deferred()
            try:
                await self._done
            finally:
                self._done = None
                self._over()

    def begin(self) -> None:
        """Be a stream from now on."""
        if self.begun or not self.open:
            return
        self.begun = True
        headers = self._request.responseHeaders
        headers.setRawHeaders(b"content-type", [b"text/event-stream"])
        headers.setRawHeaders(b"cache-control", [b"no-cache, no-transform"])
        headers.setRawHeaders(b"x-accel-buffering", [b"no"])
        self._request.write(b"")

    def event(self, payload: bytes, id: str = "") -> None:
        """Tell something; without a payload only its id."""
        if not self.open:
            return
        self.begin()
        self._wrote = True
        if payload:
            framed = b"event: message\r\ndata: " + payload + b"\r\n\r\n"
        else:
            framed = b"data:\r\n\r\n"
        self._request.write(b"id: " + id.encode() + b"\r\n" + framed if id else framed)

    def finish(self, payload: bytes = b"", status: int = 200, id: str = "") -> None:
        """Answer `payload` as the last event, or as all there is to say."""
        if not self.open:
            return
        if self.begun:
            if payload:
                self.event(payload, id)
            self._request.finish()
        else:
            answer(self._request, payload, status)
        self._over()

    def cut(self) -> None:
        """Hang up on a client that does not read."""
        if self.open:
            self.open = False
            self._request.channel.abort()  # and whoever waits is cancelled

    def close(self) -> None:
        """Nothing more is told; may be called more than once."""
        self._over()

    def _over(self) -> None:
        self.open = False
        ping, self._ping = self._ping, None
        if ping is not None and ping.active():
            ping.cancel()
        done, self._done = self._done, None
        if done is not None and not done.called:
            done.callback(None)

    def _still_alive(self) -> None:
        self._ping = self._clock.callLater(PING_SECONDS, self._still_alive)
        if not self._wrote and not self.blocked:
            if self.waited is not None and not self.begun:
                self.waited()
            self.begin()
            self._request.write(_PING)
        self._wrote = False


def answer(request: GuestRequest, payload: bytes, status: int) -> None:
    """Answer `payload`, which is JSON, or nothing, and finish."""
    request.setResponseCode(status, reason_phrase(status))
    headers = request.responseHeaders
    headers.setRawHeaders(b"content-length", [b"%d" % len(payload)])
    if payload:
        headers.setRawHeaders(b"content-type", [b"application/json"])
        headers.setRawHeaders(b"cache-control", [b"no-store"])
    request.write(payload)
    request.finish()


def refuse(
    request: GuestRequest, status: int, message: str, code: int = INVALID_REQUEST
) -> None:
    """Answer an error that belongs to no message that could be read."""
    answer(request, encode(Failure(None, code, message)), status)


def accept(request: GuestRequest) -> None:
    """Say that a message was taken to which there is no answer."""
    answer(request, b"", HTTPStatus.ACCEPTED)
