"""Endpoints are what Twisted takes them for; real sockets are in ``integration``."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import TimeoutError
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface.verify import verifyObject

from modelplex.outbound.dialing import Dialing

URLS = pytest.mark.parametrize("url", [b"http://127.0.0.1/v1", b"https://127.0.0.1/v1"])


def dialled(url: bytes) -> tuple[MemoryReactorClock, Deferred[IProtocol]]:
    """A connection to `url` that is wanted within three seconds."""
    reactor = MemoryReactorClock()
    endpoint = Dialing(reactor, 3.0).endpointForURI(URI.fromBytes(url))
    verifyObject(IStreamClientEndpoint, endpoint)
    return reactor, endpoint.connect(Factory.forProtocol(Protocol))


def outcome(connecting: Deferred[IProtocol]) -> list[object]:
    """The exception it failed with, if it did."""
    found: list[object] = []
    connecting.addErrback(lambda failure: found.append(failure.value))
    return found


def test_it_makes_endpoints() -> None:
    verifyObject(IAgentEndpointFactory, Dialing(MemoryReactorClock(), 1.0))


@URLS
def test_connecting_ends_at_its_limit(url: bytes) -> None:
    reactor, connecting = dialled(url)
    failed = outcome(connecting)
    reactor.pump([1.0, 1.0])
    assert not failed
    reactor.advance(1.5)
    assert [type(error) for error in failed] == [TimeoutError]
    assert not reactor.getDelayedCalls()


@URLS
def test_a_cancel_stays_a_cancel(url: bytes) -> None:
    reactor, connecting = dialled(url)
    failed = outcome(connecting)
    connecting.cancel()
    assert [type(error) for error in failed] == [CancelledError]
    assert not reactor.getDelayedCalls()
