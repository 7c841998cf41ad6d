"""A loopback port that leads to a UNIX socket: the suite knows nothing else."""

from __future__ import annotations

from typing import Any

from attrs import define
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory, Protocol


class _Pipe(Protocol):
    """One end of a connection; what it hears the other end says."""

    def __init__(self, other: _Pipe | None = None) -> None:
        self.other = other

    def dataReceived(self, data: bytes) -> None:
        self.other.transport.write(data)  # type: ignore[union-attr]

    def connectionLost(self, reason: Any = None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.loseConnection()


class _Near(_Pipe):
    """The end at the port; it is not read before there is another."""

    def __init__(self, forwarder: Forwarder) -> None:
        super().__init__()
        self._forwarder = forwarder

    def connectionMade(self) -> None:
        self.transport.pauseProducing()  # type: ignore[union-attr]
        far = Factory.forProtocol(lambda: _Far(self))
        UNIXClientEndpoint(self._forwarder.reactor, self._forwarder.path).connect(far)


class _Far(_Pipe):
    def connectionMade(self) -> None:
        assert isinstance(self.other, _Near)
        self.other.other = self
        self.other.transport.resumeProducing()  # type: ignore[union-attr]


@define(eq=False)
class Forwarder:
    """Leads connections from a free port to a UNIX socket."""

    path: str
    reactor: Any
    _listening: Any = None

    @property
    def port(self) -> int:
        """Where connections are taken."""
        return int(self._listening.getHost().port)

    def listen(self) -> None:
        """Take connections from now on."""
        factory = Factory.forProtocol(lambda: _Near(self))
        factory.noisy = False
        self._listening = self.reactor.listenTCP(0, factory, interface="127.0.0.1")

    async def stop(self) -> None:
        """Take no more of them."""
        await self._listening.stopListening()
