"""
A fake upstream on a real socket: it speaks a provider's protocol, or fails on purpose.

It is verified: what the real API refuses it refuses, and the official SDKs read what
it answers. It reads HTTP by itself, because a server that can be trusted to write
only proper HTTP is no good here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IPullProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from modelplex.testing.fakes.arriving import Arriving
from modelplex.testing.fakes.faults import (
    Act,
    Fault,
    Status,
    Step,
    broken,
    good,
    refused,
)
from modelplex.testing.fakes.script import Heard, Script
from modelplex.testing.fakes.speaker import Asked, Refused, Speaker


@define(eq=False)
class Received(Asked):
    """
    One request, and what became of its answer.

    :ivar heard: what it asked for, if that was understood.
    :ivar sent: bytes of the answer that the socket has taken.
    :ivar complete: all of the answer was sent.
    :ivar gone: fires with the clock's seconds when the client hangs up before that.
    :ivar held: fires when the answer has come to `Act.HOLD`.
    """

    heard: Heard | None = None
    sent: int = 0
    complete: bool = False
    gone: Deferred[float] = field(factory=Deferred)
    held: Deferred[None] = field(factory=Deferred)
    _release: Deferred[None] = field(factory=Deferred)

    def release(self) -> None:
        """Go on after `Act.HOLD`."""
        self._release.callback(None)


@define(eq=False)
class Upstream:
    """
    One fake provider; its script and its fault may be changed between requests.

    :ivar wholly: the fault hits questions about models, too, and not only answers.
    :ivar elsewhere: the URL that `Fault.REDIRECT` leads to.
    :ivar received: every request, oldest first.
    :ivar accepted: how many connections there were.
    :ivar url: where it is, once it listens.
    """

    speaker: Speaker
    script: Script = field(factory=Script)
    fault: Fault | Status | None = None
    wholly: bool = False
    elsewhere: str = ""
    received: list[Received] = field(factory=list)
    accepted: int = 0
    url: str = ""
    _port: Any = None
    _open: set[_Connection] = field(factory=set)
    _waiting: list[Deferred[Received]] = field(factory=list)
    _quiet: list[Deferred[None]] = field(factory=list)

    def listen(self, reactor: Any, path: str | None = None, tls: Any = None) -> None:
        """
        Serve on a free loopback port, or on the UNIX socket `path`.

        :param tls: a context factory, to serve HTTPS.
        """
        factory = _Connections(self, reactor)
        if path is not None:
            self._port = reactor.listenUNIX(path, factory)
            self.url = f"http+unix://{quote(path, safe='')}"
            return
        if tls is None:
            self._port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        else:
            self._port = reactor.listenSSL(0, factory, tls, interface="127.0.0.1")
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._port.getHost().port}"

    def request(self) -> Deferred[Received]:
        """Fires with the next request that asks for an answer."""
        waiting: Deferred[Received] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def posts(self) -> list[Received]:
        """The requests that asked for an answer, and not about the models."""
        return [one for one in self.received if one.method == "POST"]

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def close_idle(self) -> None:
        """Close every connection on which no request is being answered."""
        for connection in list(self._open):
            if connection.idle:
                connection.abort()

    async def refuse(self) -> None:
        """Close the port, so that connecting is refused; `url` stays as it is."""
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)

    async def stop(self) -> None:
        """Close everything."""
        await self.refuse()
        for connection in list(self._open):
            connection.abort()
        if self._open:
            quiet: Deferred[None] = Deferred()
            self._quiet.append(quiet)
            await quiet

    # --- for its connections

    def steps(self, asked: Received) -> Iterator[Step]:
        """The answer to `asked`."""
        self.received.append(asked)
        fault = self.fault
        if asked.method == "POST":
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                one.callback(asked)
        elif not self.wholly:
            fault = None
        if isinstance(fault, Status):
            return refused(self.speaker, fault)
        try:
            answer = self.speaker.answer(asked, self.script)
        except Refused as e:
            return refused(self.speaker, Status(e.status, e.message, e.code))
        asked.heard = answer.heard
        if fault is None:
            return good(answer)
        return broken(answer, fault, self.speaker, self.elsewhere)

    def began(self, connection: _Connection) -> None:
        """`connection` is open."""
        self.accepted += 1
        self._open.add(connection)

    def ended(self, connection: _Connection) -> None:
        """`connection` is closed."""
        self._open.discard(connection)
        if not self._open:
            quiet, self._quiet = self._quiet, []
            for one in quiet:
                one.callback(None)


@define(eq=False)
class _Connections(ServerFactory):
    """Makes the connections of one upstream."""

    _upstream: Upstream
    _reactor: Any
    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> _Connection:
        return _Connection(self._upstream, self._reactor)


@implementer(IPullProducer)
@define(eq=False)
class _Connection(Protocol):
    """One connection; each request is answered before the next is read."""

    _upstream: Upstream
    _reactor: Any
    _arriving: Arriving = field(factory=Arriving)
    _asked: Received | None = None
    _steps: Iterator[Step] = field(factory=lambda: iter(()))
    _pulling: bool = False
    _call: IDelayedCall | None = None
    _closed: bool = False

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)  # like every server that streams
        self._upstream.began(self)

    def dataReceived(self, data: bytes) -> None:
        self._arriving.feed(data)
        if self._asked is None:
            self._read()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._closed = True
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.gone.callback(self._reactor.seconds())
        self._upstream.ended(self)

    @property
    def idle(self) -> bool:
        """No request is being received or answered."""
        return self._asked is None and not self._arriving.begun

    def abort(self) -> None:
        """Close at once."""
        self._wire.abortConnection()

    @property
    def _wire(self) -> Any:
        return self.transport

    def _read(self) -> None:
        """Take one whole request off the buffer, if there is one, and answer it."""
        came = self._arriving.take()
        if came is None:
            return
        path, _, query = came.target.partition("?")
        self._asked = Received(came.method, path, came.headers, came.body, query)
        self._steps = self._upstream.steps(self._asked)
        self._pull()

    # --- the answer, at the pace of whoever reads it

    def _pull(self) -> None:
        if not self._pulling and not self._closed:
            self._pulling = True
            # It calls `resumeProducing` whenever everything has been sent.
            self._wire.registerProducer(self, False)

    def resumeProducing(self) -> None:
        asked = self._asked
        if asked is None:
            return
        match next(self._steps, None):
            case None:
                self._asked = None
                asked.complete = True
                self._rest()
                self._read()
            case Act.HOLD:
                self._rest()
                asked._release.addCallback(lambda _: self._pull())
                asked.held.callback(None)
            case Act.CLOSE:
                self._asked = None
                self._rest()
                self._wire.loseConnection()
            case float() as seconds:
                self._rest()
                self._call = self._reactor.callLater(seconds, self._later)
            case bytes() as data:
                asked.sent += len(data)
                self._wire.write(data)

    def stopProducing(self) -> None:
        """The connection is gone, which `connectionLost` tells."""

    def _rest(self) -> None:
        if self._pulling:
            self._pulling = False
            self._wire.unregisterProducer()

    def _later(self) -> None:
        self._call = None
        self._pull()
