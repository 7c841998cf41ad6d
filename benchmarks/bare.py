"""The floor: a relay of Klein and Twisted's Agent that does nothing else.

Run as ``python -m benchmarks.bare SOCKET UPSTREAM``, both Unix sockets. No routing, no
limits, no log, no failover, no error answers: what is left is what the libraries cost.
"""

from __future__ import annotations

import sys
from io import BytesIO
from typing import Any

from klein import Klein
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import UNIXClientEndpoint, UNIXServerEndpoint
from twisted.internet.protocol import Protocol
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import (
    UNKNOWN_LENGTH,
    IAgentEndpointFactory,
    IBodyProducer,
    IRequest,
)
from twisted.web.server import Site
from zope.interface import implementer


@implementer(IAgentEndpointFactory)
class ToSocket:
    """Every URL leads to one Unix socket."""

    def __init__(self, path: str) -> None:
        self._path = path

    def endpointForURI(self, uri: object) -> UNIXClientEndpoint:
        return UNIXClientEndpoint(reactor, self._path)


@implementer(IBodyProducer)
class Whole:
    """A request body that is in memory."""

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None: ...
    def resumeProducing(self) -> None: ...
    def stopProducing(self) -> None: ...


class Relay(Protocol):
    """Hands on what arrives; the guest's socket sets the pace."""

    def __init__(self, request: Any, done: Deferred[None]) -> None:
        self._request = request
        self._done = done

    def connectionMade(self) -> None:
        self._request.registerProducer(self.transport, True)

    def dataReceived(self, data: bytes) -> None:
        self._request.write(data)

    def connectionLost(self, reason: Any = None) -> None:
        self._request.unregisterProducer()
        self._done.callback(None)


def relay(upstream: str) -> Klein:
    """The whole application."""
    app = Klein()
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = 256
    agent = Agent.usingEndpointFactory(reactor, ToSocket(upstream), pool=pool)
    sent = {b"content-type": [b"application/json"], b"authorization": [b"Bearer x"]}

    @app.route("/v1/chat/completions", methods=["POST"])
    async def chat(request: IRequest) -> None:
        body = Whole(request.content.read())
        url = b"http://upstream/v1/chat/completions"
        response = await agent.request(b"POST", url, Headers(sent), body)
        request.setResponseCode(response.code)
        kind = response.headers.getRawHeaders(b"content-type") or [b"text/plain"]
        request.setHeader(b"content-type", kind[0])
        if response.length is not UNKNOWN_LENGTH:
            request.setHeader(b"content-length", b"%d" % response.length)
        done: Deferred[None] = Deferred()
        response.deliverBody(Relay(request, done))
        await done

    return app


class InMemory(Site):
    """A site whose request bodies do not spill into a file."""

    def getContentFile(self, length: int | None) -> BytesIO:
        return BytesIO()


if __name__ == "__main__":
    site = InMemory(relay(sys.argv[2]).resource(), parsePOSTFormSubmission=False)
    UNIXServerEndpoint(reactor, sys.argv[1], backlog=1024).listen(site)
    reactor.run()
