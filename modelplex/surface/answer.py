"""What one guest is told: a reply, an error, or signs of life while it waits."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import cast

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from modelplex.errors import GatewayError
from modelplex.events import Event, gather
from modelplex.exchange import Exchange
from modelplex.interfaces import IReply, IReplySink
from modelplex.routing.table import Candidate
from modelplex.surface.inquiry import Inquiry
from modelplex.surface.refusal import reason_phrase
from modelplex.wire.asked import Asked
from modelplex.wire.dialect import Dialect, StreamEncoder
from modelplex.wire.tap import Tap

_DROPPED = 2000  # bytes of the header that lists what was dropped


@implementer(IReplySink)
@define(eq=False)
class Answer:
    """
    The answer to one request.

    A streamed one starts when the reply does, or after `keepalive` seconds of
    waiting, when the guest is sent a comment so that it does not give up; from then
    on an error can only be told inside the stream.

    :ivar reply: what was delivered, or is being.
    :ivar body: the answer that was not streamed, once it is complete.
    """

    _request: Inquiry
    _asked: Asked
    _exchange: Exchange
    _clock: IReactorTime
    _keepalive: float
    _retold: Callable[[bytes], bytes] | None = None
    reply: IReply | None = None
    body: bytes = b""
    _encoder: StreamEncoder | None = None
    _begun: bool = False
    _wrote: bool = False
    _alive: IDelayedCall | None = None
    _done: Deferred[None] | None = None
    _whole: list[Event] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        if self._asked.stream and self._asked.dialect.keepalive:
            self._alive = self._clock.callLater(self._keepalive, self._still_alive)

    @property
    def encoder(self) -> StreamEncoder:
        """What writes the stream, unless that is passed on."""
        if self._encoder is None:
            self._encoder = self._asked.dialect.encoder(self._asked.answering)
        return self._encoder

    @property
    def provider(self) -> str:
        """Who answers; empty until that is known."""
        return self._exchange.provider or ""

    async def deliver(self, candidate: Candidate, reply: IReply) -> None:
        """
        Send `reply`; returns when it is complete, well or not.

        Cancelling hangs up on the upstream.
        """
        self.reply = reply
        if not self._begun:
            self._describe(candidate)
        if self._asked.stream:
            self._begin()
        done: Deferred[None] = Deferred(lambda _: reply.stopProducing())
        self._done = done
        self._request.registerProducer(reply, True)
        reply.deliver(self)
        await done

    def tell(self, body: bytes) -> None:
        """Answer with `body`, which nobody had to be asked for."""
        self.close()
        self._length(len(body))
        self.body = body
        self._exchange.status = 200
        self._request.write(body)
        self._request.finish()

    def refuse(self, error: GatewayError) -> None:
        """Tell the guest of an error, the way it still can be told."""
        self.close()
        self._exchange.error = error.kind
        if self._begun:
            self._exchange.status = 200
            self._request.write(self._broken_off(error))
            self._request.finish()
        else:
            self._exchange.status = send_error(
                self._request, self._asked.dialect, error
            )

    def close(self) -> None:
        """Stop the signs of life; may be called more than once."""
        alive, self._alive = self._alive, None
        if alive is not None and alive.active():
            alive.cancel()

    # --- what the reply tells

    # These run in the upstream's connection, which would take whatever they raise for
    # an answer that broke, and leave the guest waiting.

    def received(self, batch: bytes | list[Event]) -> None:
        try:
            self._received(batch)
        except Exception:  # a bug
            self._broken()

    def ended(self) -> None:
        try:
            self._ended()
        except Exception:  # a bug
            self._broken()

    def failed(self, error: GatewayError) -> None:
        try:
            self._failed(error)
        except Exception:  # a bug
            self._broken()

    # --- details

    def _received(self, batch: bytes | list[Event]) -> None:
        if self._exchange.first_event is None:
            self._exchange.first_event = self._clock.seconds()
        if isinstance(batch, bytes):
            if self._retold is not None and batch:
                batch = self._retold(batch)
            if not self._asked.stream:
                self._length(len(batch))
                self.body = batch
            data = batch
        elif self._asked.stream:
            data = b"".join(map(self.encoder.encode, batch))
        else:
            self._whole += batch
            return
        if data:
            self._wrote = True
            self._request.write(data)

    def _ended(self) -> None:
        assert self.reply is not None
        if not self._asked.stream:
            if not self.reply.passed:
                whole = gather(self._whole)
                body = self._asked.dialect.encode_reply(whole, self._asked.answering)
                self._length(len(body))
                self._request.write(body)
                self.body = body
        elif not self.reply.passed:
            self._request.write(self.encoder.end())
        self._exchange.status = 200
        self._finish()

    def _failed(self, error: GatewayError) -> None:
        self._exchange.error = error.kind
        if self._begun:
            self._exchange.status = 200
            self._request.write(self._broken_off(error))
        else:
            self._request.unregisterProducer()
            self._exchange.status = send_error(
                self._request, self._asked.dialect, error
            )
            self._over()
            return
        self._finish()

    def _broken_off(self, error: GatewayError) -> bytes:
        """What ends a stream that has begun, right for where it stands."""
        if self.reply is not None and self.reply.passed:
            return cast(Tap, self.reply.reader).fail(error)
        return self.encoder.fail(error)

    def _broken(self) -> None:
        """Let the coroutine that waits for the end raise what is being handled."""
        bug = Failure()
        assert self.reply is not None
        self.reply.stopProducing()
        if self._request.producer is not None:
            self._request.unregisterProducer()
        self.close()
        done, self._done = self._done, None
        if done is not None:
            done.errback(bug)

    def _finish(self) -> None:
        self._request.unregisterProducer()
        self._request.finish()
        self._over()

    def _over(self) -> None:
        self.close()
        done, self._done = self._done, None
        if done is not None:
            done.callback(None)

    def _describe(self, candidate: Candidate) -> None:
        headers = self._request.responseHeaders
        headers.setRawHeaders(b"modelplex-provider", [candidate.provider.name.encode()])
        headers.setRawHeaders(b"modelplex-model", [header_safe(candidate.model)])
        if self._exchange.dropped:
            listed = ", ".join(self._exchange.dropped)
            headers.setRawHeaders(
                b"modelplex-dropped", [header_safe(listed)[:_DROPPED]]
            )

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        headers = self._request.responseHeaders
        headers.setRawHeaders(b"content-type", [self._asked.dialect.media_type])
        headers.setRawHeaders(b"cache-control", [b"no-store"])

    def _length(self, size: int) -> None:
        headers = self._request.responseHeaders
        headers.setRawHeaders(b"content-type", [b"application/json"])
        headers.setRawHeaders(b"content-length", [b"%d" % size])

    def _still_alive(self) -> None:
        self._alive = self._clock.callLater(self._keepalive, self._still_alive)
        if not self._wrote:
            self._begin()
            self._request.write(self._asked.dialect.keepalive)
        self._wrote = False


def header_safe(text: str) -> bytes:
    """`text` with whatever a header field cannot hold replaced."""
    return bytes(byte if 0x20 <= byte < 0x7F else 0x3F for byte in text.encode("utf-8"))


def send_error(request: Inquiry, dialect: Dialect, error: GatewayError) -> int:
    """Answer `error` in the guest's dialect and finish; gives the HTTP status."""
    request.write(error_body(request, dialect, error))
    request.finish()
    return request.code


def error_body(request: Inquiry, dialect: Dialect, error: GatewayError) -> bytes:
    """The body that tells of `error`; status and headers are set."""
    status, body = dialect.encode_error(error, request.request_id)
    request.setResponseCode(status, reason_phrase(status))
    headers = request.responseHeaders
    headers.setRawHeaders(b"content-type", [b"application/json"])
    headers.setRawHeaders(b"content-length", [b"%d" % len(body)])
    for name, value in retry_headers(error):
        headers.setRawHeaders(name, [value])
    return body


def retry_headers(error: GatewayError) -> list[tuple[bytes, bytes]]:
    """What tells a client's own retries what to do."""
    headers: list[tuple[bytes, bytes]] = []
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % ceil(error.retry_after)))
        headers.append((b"retry-after-ms", b"%d" % ceil(error.retry_after * 1000)))
    if error.should_retry is not None:
        word = b"true" if error.should_retry else b"false"
        headers.append((b"x-should-retry", word))
    return headers
