"""
Answers that come while the request is still being sent.

Twisted's client gives an answer only once all of the request was sent. An upstream
that refuses a long body early, and reads no more of it, would be waited for until a
timeout, and what it said would be lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IConsumer
from twisted.python.failure import Failure
from twisted.web._newclient import HTTP11ClientProtocol
from twisted.web.client import _HTTP11ClientFactory
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

_REFUSED = 300  # the least status after which no more of the request is wanted


@implementer(IBodyProducer)
@define(eq=False)
class Watched:
    """
    A body that is sent over an `EarlyProtocol`.

    :ivar look: called when the connection is lost while there is more to send.
    """

    _body: IBodyProducer
    look: Callable[[], None] | None = None

    @property
    def length(self) -> Any:
        return self._body.length

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        started: Deferred[None] = self._body.startProducing(consumer)
        return started

    def pauseProducing(self) -> None:
        self._body.pauseProducing()

    def resumeProducing(self) -> None:
        self._body.resumeProducing()

    def stopProducing(self) -> None:
        look, self.look = self.look, None
        if look is not None:
            look()
        self._body.stopProducing()


class EarlyProtocol(HTTP11ClientProtocol):
    """
    Gives a refusal at once, and stops sending.

    Its connection is not used again. An answer that is none still waits for the end
    of the request: whoever gives it is reading.
    """

    _cut_short = False

    def request(self, request: Any) -> Any:
        if isinstance(request.bodyProducer, Watched):
            request.bodyProducer.look = self._look
        finished = super().request(request)
        if self._state == "TRANSMITTING" and self._responseDeferred is not None:
            self._responseDeferred.addCallback(self._answered, request)
        return finished

    def _answered(self, response: Any, request: Any) -> Any:
        if self._state == "TRANSMITTING" and response.code >= _REFUSED:
            assert self._responseDeferred is not None and self.transport is not None
            self._state = "WAITING"
            self._cut_short = True
            request.persistent = False
            self.transport.unregisterProducer()  # type: ignore[attr-defined]
            request.stopWriting()
            assert self._finishedRequest is not None
            self._responseDeferred.chainDeferred(self._finishedRequest)
        return response

    def _look(self) -> None:
        """
        Read what an upstream has said before it closed.

        To write to it then is an error, which Twisted takes for the end of the
        connection, though what was said is still there to be read.
        """
        wire: Any = self.transport
        while wire is not None and not hasattr(wire, "doRead"):
            wire = getattr(wire, "transport", None)  # of what TLS is spoken over
        if wire is not None and wire.disconnected:
            wire.doRead()

    def _giveUp(self, reason: Failure) -> None:
        if self._cut_short or self._state.startswith("TRANSMITTING"):
            # Closing would wait for what is still to be sent, and nobody reads that.
            self.transport.abortConnection()  # type: ignore[union-attr]
        super()._giveUp(reason)


class EarlyAnswers(_HTTP11ClientFactory):
    """Makes the connections of a pool."""

    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> EarlyProtocol:
        return EarlyProtocol(self._quiescentCallback)
