"""An answer that a guest gets as the provider gave it."""

from __future__ import annotations

from typing import cast

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from modelplex.errors import GatewayError
from modelplex.events import Event
from modelplex.exchange import Exchange
from modelplex.interfaces import IReply, IReplySink
from modelplex.routing.table import Candidate
from modelplex.surface.answer import header_safe, send_error
from modelplex.surface.refusal import reason_phrase
from modelplex.surface.request import GuestRequest
from modelplex.wire.openai.dialect import OPENAI_CHAT
from modelplex.wire.relay import Head, RelayReader


@implementer(IReplySink)
@define(eq=False)
class RelayAnswer:
    """
    The answer to one request, with the provider's own status and type.

    Its bytes are not looked at, so what breaks after the first of them can only be
    told by cutting the connection.
    """

    _request: GuestRequest
    _exchange: Exchange
    _clock: IReactorTime
    _done: Deferred[None] | None = None

    async def deliver(self, candidate: Candidate, reply: IReply) -> None:
        """
        Send `reply`; returns when it is complete, well or not.

        Cancelling hangs up on the upstream.
        """
        head = cast(RelayReader, reply.reader).head
        assert head is not None
        self._begin(candidate, head)
        done: Deferred[None] = Deferred(lambda _: reply.stopProducing())
        self._done = done
        self._request.registerProducer(reply, True)
        reply.deliver(self)
        await done

    def refuse(self, error: GatewayError) -> None:
        """Tell the guest of an error, the way it still can be told."""
        self._exchange.error = error.kind
        if self._request.startedWriting:
            self._request.channel.abort()
        else:
            status = send_error(self._request, OPENAI_CHAT, error)
            self._exchange.status = status

    # --- what the reply tells

    def received(self, batch: bytes | list[Event]) -> None:
        assert isinstance(batch, bytes)
        if self._exchange.first_event is None:
            self._exchange.first_event = self._clock.seconds()
        self._request.write(batch)

    def ended(self) -> None:
        self._request.unregisterProducer()
        self._request.finish()
        self._over()

    def failed(self, error: GatewayError) -> None:
        self._request.unregisterProducer()
        self.refuse(error)
        self._over()

    def _begin(self, candidate: Candidate, head: Head) -> None:
        request = self._request
        request.setResponseCode(head.status, reason_phrase(head.status))
        self._exchange.status = head.status
        headers = request.responseHeaders
        headers.setRawHeaders(b"content-type", [head.media_type])
        if head.length is not None:
            headers.setRawHeaders(b"content-length", [b"%d" % head.length])
        headers.setRawHeaders(b"modelplex-provider", [candidate.provider.name.encode()])
        if candidate.model:
            headers.setRawHeaders(b"modelplex-model", [header_safe(candidate.model)])

    def _over(self) -> None:
        done, self._done = self._done, None
        if done is not None and not done.called:  # a cut may have cancelled it
            done.callback(None)
