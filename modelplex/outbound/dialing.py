"""Connecting to an upstream's host: its name, TCP and TLS within one time limit."""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionClosed, TimeoutError
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI, BrowserLikePolicyForHTTPS
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

from modelplex.outbound.public import PublicNames

# Seconds between attempts at a host's addresses (RFC 8305 §5); a host whose only
# address refuses is not given up before that.
_BETWEEN = 0.1


@implementer(IAgentEndpointFactory)
@define(eq=False)
class Dialing:
    """
    Makes the endpoint for the host of a URL.

    :ivar timeout: seconds until there must be a connection; over TLS, a safe one.
    :ivar public: only addresses of the public internet are connected to; a name
        without one does not resolve.
    """

    _reactor: Any
    _timeout: float
    _policy: IPolicyForHTTPS = field(factory=BrowserLikePolicyForHTTPS)
    _public: bool = False

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        reactor = PublicNames(self._reactor) if self._public else self._reactor
        host: IStreamClientEndpoint = HostnameEndpoint(
            reactor, uri.host, uri.port, self._timeout, attemptDelay=_BETWEEN
        )
        if uri.scheme == b"https":
            options = self._policy.creatorForNetloc(uri.host, uri.port)
            host = _Secured(wrapClientTLS(options, host))
        return _Limited(host, self._timeout, self._reactor)


@implementer(IStreamClientEndpoint)
@define(eq=False)
class _Limited:
    """
    Another endpoint within a time limit.

    A cancel stays a cancel: Twisted's takes it for an unknown host while it looks
    for the name, and then somebody else would be asked for a guest that has gone.
    """

    _endpoint: IStreamClientEndpoint
    _timeout: float
    _clock: Any

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        connecting = self._endpoint.connect(protocolFactory)
        gone = False

        def cancel(_: object) -> None:
            nonlocal gone
            gone = True
            connecting.cancel()

        def ended(result: Any) -> None:
            if not gone:
                connected.callback(result)

        connected: Deferred[IProtocol] = Deferred(cancel)
        connecting.addBoth(ended)
        return connected.addTimeout(self._timeout, self._clock, onTimeoutCancel=_late)


def _late(_value: object, seconds: float) -> IProtocol:
    raise TimeoutError(string=f"no connection in {seconds:g} seconds")


@implementer(IStreamClientEndpoint)
@define(eq=False)
class _Secured:
    """A TLS endpoint that is connected when the handshake is done, and not before."""

    _endpoint: IStreamClientEndpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._connected(protocolFactory))

    async def _connected(self, factory: IProtocolFactory) -> IProtocol:
        handshake = _Handshake(factory)
        try:
            await self._endpoint.connect(_Handshakes(handshake))
            return await handshake.done
        except ConnectionClosed:
            raise ConnectError(string="closed in the TLS handshake") from None


@define(eq=False)
class _Handshakes(Factory):
    """Gives one `_Handshake` its transport."""

    _handshake: _Handshake
    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> _Handshake:
        assert addr is not None
        self._handshake.address = addr
        return self._handshake


@implementer(IHandshakeListener)
@define(eq=False)
class _Handshake(Protocol):
    """
    Makes the real protocol once TLS is up, and then only passes on.

    :ivar done: fires with that protocol; cancelling it hangs up.
    """

    _factory: IProtocolFactory
    address: IAddress = field(init=False)
    done: Deferred[IProtocol] = field(init=False)
    _inner: IProtocol | None = None

    def __attrs_post_init__(self) -> None:
        self.done = Deferred(lambda _: self._wire.abortConnection())

    @property
    def _wire(self) -> Any:
        return self.transport

    def handshakeCompleted(self) -> None:
        inner = self._factory.buildProtocol(self.address)
        assert inner is not None
        self._inner = inner
        inner.makeConnection(self._wire)
        self.done.callback(inner)

    def dataReceived(self, data: bytes) -> None:
        assert self._inner is not None  # TLS carries nothing before its handshake
        self._inner.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._inner is not None:
            self._inner.connectionLost(reason)
        elif not self.done.called:
            self.done.errback(reason)
