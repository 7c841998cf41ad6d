"""One connection of a guest: which part of a request it is in, and for how long."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.http_headers import Headers
from zope.interface import implementer

from modelplex.errors import (
    BadRequest,
    GatewayError,
    LimitReached,
    RequestTimeout,
    TooLarge,
)
from modelplex.surface.peer import Stall, hung_up
from modelplex.surface.refusal import refusal, request_id
from modelplex.surface.request import GuestRequest
from modelplex.surface.request_target import objection
from modelplex.wire.jsonrpc import METHOD_NOT_FOUND, encode
from modelplex.wire.jsonrpc import Failure as RpcFailure

if TYPE_CHECKING:
    from modelplex.surface.site import GuestSite

#: After a refusal the guest may still be sending, and a client whose write fails may
#: never read the answer; so what it sends is read and dropped, up to these bounds.
LINGER_SECONDS = 5.0
LINGER_BYTES = 128 * 2**20

#: Twisted's parser copies all that follows at every line it takes from a buffer, so a
#: header is given to it without the body that arrived with it.
_WORTH_SPLITTING = 2048  # bytes

_SPACE = b" \t\r\n"
_LEADING = 1024  # bytes of it before a connection must have said what it speaks


class State(Enum):
    """What the connection waits for."""

    FRESH = "the first byte of the first request"
    IDLE = "the first byte of another request"
    HEADER = "the rest of a header"
    BODY = "the rest of a body"
    RUNNING = "the answer"
    REFUSED = "the guest to read an error and go"
    CLOSING = "the last bytes to leave"
    UPGRADED = "whatever a protocol of its own says"


class Upgraded(Protocol):
    """What is spoken on a connection that has left HTTP."""

    @property
    def busy(self) -> bool:
        """Something is being answered, or the end has not been said."""

    def dataReceived(self, data: bytes) -> None:
        """Take what has arrived."""

    def resumed(self) -> None:
        """What was written has left."""

    def sweep(self, now: float) -> None:
        """Act on what has taken too long; called every second."""

    def finish_up(self) -> None:
        """Begin nothing new, and close once nothing runs."""

    def input_ended(self) -> None:
        """The guest sends no more; it may still be reading."""

    def lost(self) -> None:
        """The connection is gone."""


@implementer(IHalfCloseableProtocol)
class GuestChannel(HTTPChannel):
    """
    HTTP/1.1 with a guest who may be broken or hostile.

    It owns no timer: the site asks it to `sweep` every second.
    """

    MAX_LENGTH = 16384  # bytes in one line
    totalHeadersSize = 32768  # bytes in a request line and its headers
    maxHeaders = 200

    site: GuestSite
    transport: Any  # what Twisted gives is more than `ITransport` says
    _networkProducer: Any
    _peer: IAddress
    _host: IAddress
    state = State.FRESH
    #: Accepted while the site had enough connections already.
    surplus = False

    _upgraded: Upgraded | None = None
    _lines = False  # what is upgraded never was HTTP
    _leading = b""  # space, before it is known what is spoken
    _since = 0.0
    _read_closed = False
    _flushed = False  # our side is shut: a refusal has left
    _discarded = 0  # bytes
    _held_since: float | None = None  # a body is not read, for whom it goes to
    _pipelined = 0  # bytes

    # What the site sees.

    @property
    def refused(self) -> bool:
        """Nothing more of what arrives is looked at."""
        return self.state is State.REFUSED or self.state is State.CLOSING

    @property
    def busy(self) -> bool:
        """A request is being received or answered, or its answer has not left."""
        if self.state is State.REFUSED:
            return not self._flushed
        if self.state is State.UPGRADED and self._upgraded is not None:
            return self._upgraded.busy
        return self.state is not State.IDLE and self.state is not State.FRESH

    @property
    def blocked(self) -> bool:
        """The guest does not read what was written."""
        return self._waitingForTransport

    def upgrade(self, protocol: Upgraded) -> None:
        """Leave HTTP: what arrives from now on is for `protocol`."""
        self._upgraded = protocol
        self._enter(State.UPGRADED)

    def finish_up(self) -> None:
        """Serve no further request: close now if idle, else after the answer."""
        if self.state is State.UPGRADED and self._upgraded is not None:
            self._upgraded.finish_up()
        elif self.state is State.IDLE or self.state is State.FRESH:
            self.loseConnection()
        elif self.state is State.BODY or self.state is State.RUNNING:
            self.persistent = False
            request = self.requests[0]
            if not request.startedWriting:
                request.responseHeaders.setRawHeaders(b"connection", [b"close"])
            if request.drained is not None:
                request.drained()

    def abort(self) -> None:
        """Cut the connection; what runs for it is cancelled."""
        self.transport.abortConnection()

    def sweep(self, now: float) -> None:
        """Act on what has taken too long; called every second."""
        limits = self.site.limits
        waited = now - self._since
        if self._held_since is not None:
            waited -= now - self._held_since
        if self.state is State.UPGRADED and self._upgraded is not None:
            self._upgraded.sweep(now)
        match self.state:
            case State.FRESH if waited >= limits.header_timeout:
                self.loseConnection()
            case State.IDLE if waited >= limits.idle_timeout:
                self.loseConnection()
            case State.HEADER if waited >= limits.header_timeout:
                self.refuse(RequestTimeout("the request header took too long"))
            case State.BODY if waited >= limits.body_timeout:
                self.refuse(RequestTimeout("the request body took too long"))
            case State.REFUSED if self._flushed:
                if waited >= LINGER_SECONDS:
                    self.abort()
            case _ if self._waitingForTransport or self.refused:
                if self._stall.lasted(self.transport, now) >= limits.stall_timeout:
                    self.abort()

    def check(self) -> bool:
        """Cut the connection if the guest has hung up; whether to ask again."""
        waits = self.state is State.RUNNING or self._held_since is not None
        if not waits and not (self.state is State.UPGRADED and self._read_closed):
            return False
        if hung_up(self.transport):
            self.abort()
            return False
        return True

    # What the transport calls.

    def connectionMade(self) -> None:
        """Begin; the addresses never change, and asking costs a system call."""
        self._peer, self._host = self.transport.getPeer(), self.transport.getHost()
        self._stall = Stall()
        self._enter(State.FRESH)
        super().connectionMade()

    def getPeer(self) -> IAddress:
        """Who connected."""
        return self._peer

    def getHost(self) -> IAddress:
        """What it connected to."""
        return self._host

    def dataReceived(self, data: bytes) -> None:
        """Take what arrived, or drop it when a refusal was sent already."""
        if self.state is State.IDLE or self.state is State.FRESH:
            if self.state is State.FRESH and self.site.lines is not None:
                data = self._without_lines(data)
                if not data:
                    return
            elif self.state is State.FRESH and data.startswith(b"{"):
                self._refuse_lines()
                return
            end = data.find(b"\r\n\r\n") + 4
            if 4 <= end < len(data) - _WORTH_SPLITTING:
                self._parse(data[:end])
                data = data[end:]
        elif self._lines and self._upgraded is not None:
            self._upgraded.dataReceived(data)
            return
        self._parse(data)

    def _without_lines(self, data: bytes) -> bytes:
        """What of the first bytes is for HTTP: all, or nothing (yet)."""
        if data[:1] not in b"{" + _SPACE and not self._leading:
            return data
        data, self._leading = self._leading + data, b""
        said = data.lstrip(_SPACE)
        if not said and len(data) <= _LEADING:
            self._leading = data
            return b""
        if not said.startswith(b"{"):
            return data
        assert self.site.lines is not None
        self._lines = True
        talk = self.site.lines(self)
        self.upgrade(talk)
        talk.dataReceived(said)
        return b""

    def _refuse_lines(self) -> None:
        """Tell a client of MCP, in its own words, that there is none."""
        assert self.transport is not None
        error = RpcFailure(None, METHOD_NOT_FOUND, "only HTTP is spoken here: no tools")
        self.transport.write(encode(error) + b"\n")
        self.loseConnection()

    def _parse(self, data: bytes) -> None:
        if self.refused:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.loseConnection()
            return
        if self.state is State.IDLE or self.state is State.FRESH:
            self._enter(State.HEADER)
        super().dataReceived(data)
        if self.state is State.IDLE and self._buffer:
            # A request was answered at once, and half of another came with it.
            self._enter(State.HEADER)

    def pauseProducing(self) -> None:
        """The guest reads more slowly than it is sent to."""
        if not self._waitingForTransport:  # it is said again at every write
            self._stall.begin(self.site.seconds())
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """The guest has read what it was sent."""
        super().resumeProducing()
        if self._held_since is not None:
            self._networkProducer.pauseProducing()
        if self.state is State.UPGRADED and self._upgraded is not None:
            self._upgraded.resumed()

    def readConnectionLost(self) -> None:
        """The guest sends no more; it may still be reading."""
        self._read_closed = True
        if self.state is State.UPGRADED and self._upgraded is not None:
            if hung_up(self.transport) is False:
                self.site.watch(self)
                self._upgraded.input_ended()
            else:
                self.abort()
        elif self.state is not State.RUNNING:
            self._input_ended()
        elif hung_up(self.transport) is False:
            # The reactor stops watching a connection that was read to its end.
            self.site.watch(self)
        else:
            self.abort()

    def writeConnectionLost(self) -> None:
        """Everything was sent, and our side is shut."""
        self._flushed = True
        if self.state is State.REFUSED:
            self._enter(State.REFUSED)  # it is from now that the guest may linger
        self.site.settle()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is gone: cancel what runs for it."""
        super().connectionLost(reason)
        if self._upgraded is not None:
            self._upgraded.lost()
        self.site.forget(self)

    def loseConnection(self) -> None:
        """Close once everything is sent."""
        assert self.transport is not None
        if self.state is State.CLOSING:
            return
        if self.state is State.REFUSED:
            self.transport.loseConnection()  # it is no producer any more
        else:
            super().loseConnection()
        self._enter(State.CLOSING)
        self._stall.begin(self.site.seconds())

    # What Twisted's parser calls.

    def lineReceived(self, line: bytes) -> None:
        """Refuse what Twisted lets pass, else go on."""
        if line < b"!" and line[:1] in (b" ", b"\t"):  # obs-fold (RFC 9112 §5.2)
            self.refuse(BadRequest("a header line is folded"))
        elif len(line) > 1024 and line[:14].lower() == b"content-length":
            # int() raises on thousands of digits.
            self.refuse(BadRequest("content-length is not a length"))
        else:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """One line is longer than `MAX_LENGTH`."""
        if self._receivedHeaderSize == 0:
            self.refuse(
                BadRequest("the URL is too long", status=414, code="uri_too_long")
            )
        else:
            self.refuse(self._headers_too_large())

    def _respondToBadRequestAndDisconnect(self) -> None:
        # Called for every way in which a request can be malformed.
        if (
            self._receivedHeaderSize > self.totalHeadersSize
            or self._receivedHeaderCount > self.maxHeaders
        ):
            self.refuse(self._headers_too_large())
        else:
            self.refuse(BadRequest("this is not a valid HTTP/1.1 request"))

    def _headers_too_large(self) -> GatewayError:
        return BadRequest(
            f"the request header is larger than {self.totalHeadersSize} bytes"
            f" or {self.maxHeaders} fields",
            status=431,
            code="header_too_large",
        )

    def checkPersistence(self, request: GuestRequest, version: bytes) -> bool:
        """Whether another request may follow; Twisted overlooks ``close, TE``."""
        if version == b"HTTP/1.1" and not self.site.draining:
            given = request.requestHeaders.getRawHeaders(b"connection")
            if given is None:
                return True
            tokens = b",".join(given).lower().split(b",")
            if b"close" not in [token.strip() for token in tokens]:
                return True
        request.responseHeaders.setRawHeaders(b"connection", [b"close"])
        return False

    def allHeadersReceived(self) -> None:
        """Refuse what can be refused before its body is sent."""
        if self.refused:
            return
        error = self._objection()
        if error is not None:
            self.refuse(error)
            return
        self._enter(State.BODY)
        super().allHeadersReceived()
        try:
            self.requests[-1].begin(self._command, self._path, self._version)
        except GatewayError as e:
            self.refuse(e)

    def _objection(self) -> GatewayError | None:
        limits = self.site.limits
        if self.surplus and self.site.connections > limits.max_connections:
            return LimitReached(
                "too many connections",
                status=503,
                code="too_many_connections",
                retry_after=1,
            )
        if self.length is not None and self.length > limits.max_request_size:
            return TooLarge(
                f"the request is larger than {limits.max_request_size} bytes"
            )
        return objection(self._path)

    def rawDataReceived(self, data: bytes) -> None:
        """Take a piece of a body, or keep what was sent ahead of an answer."""
        if not self._handlingRequest:
            super().rawDataReceived(data)
            return
        if self._upgraded is not None:
            self._upgraded.dataReceived(data)
            return
        self._dataBuffer.append(data)
        self._pipelined += len(data)
        if self._pipelined > self._optimisticEagerReadSize:
            # Twisted goes on reading, without bound, while the guest does not read.
            self._networkProducer.pauseProducing()
            self.site.watch(self)  # as a hang-up is not seen while not reading

    def allContentReceived(self) -> None:
        """Run the request, unless it was refused on the way."""
        if self.refused:
            return
        self.release()
        self._enter(State.RUNNING)
        super().allContentReceived()

    def writeHeaders(
        self, version: bytes, code: bytes, reason: bytes, headers: Any
    ) -> None:
        """Say that no request can follow an answer that comes before its request."""
        if self.state is State.BODY:
            self.persistent = False
            headers.setRawHeaders(b"connection", [b"close"])
        super().writeHeaders(version, code, reason, headers)

    def requestDone(self, request: GuestRequest) -> None:
        """Its answer is complete; go on with what was sent ahead, if anything."""
        self._pipelined = 0
        if self.state is State.BODY:
            self._linger()
            self.site.settle()
            return
        if self.state is State.RUNNING:
            self._enter(State.IDLE)
        super().requestDone(request)
        if self._read_closed and not self._busyReceiving:
            self._input_ended()
        self.site.settle()

    # Ours.

    def refuse(self, error: GatewayError) -> None:
        """
        Answer `error` instead of what is being received, and then close.

        The guest is read from, and not listened to, until it has had the time to
        read the answer.
        """
        if self.refused:
            return
        if self.state is State.BODY and self.requests[-1].interrupt(error):
            return
        assert self.transport is not None
        headers = self.requests[-1].requestHeaders if self.requests else Headers()
        self.transport.write(
            refusal(
                self.site.rendered(error, getattr(self, "_path", b"")),
                request_id(headers, self.site.new_id),
                self.site.date(),
                without_body=getattr(self, "_command", b"") == b"HEAD",
            )
        )
        self._linger()

    def hold(self) -> None:
        """Read no more of a body, as whoever it goes to does not take it."""
        if self._held_since is None and self.state is State.BODY:
            self._held_since = self.site.seconds()
            self._networkProducer.pauseProducing()
            self.site.watch(self)  # as a hang-up is not seen while not reading

    def release(self) -> None:
        """Read on; the guest is not blamed for the time that has passed."""
        since, self._held_since = self._held_since, None
        if since is not None:
            self._since += self.site.seconds() - since
            if not self._waitingForTransport:
                self._networkProducer.resumeProducing()

    def _linger(self) -> None:
        """The answer is written: drop what comes, and close once it may be read."""
        self._held_since = None
        self.requests.clear()
        self.clearLineBuffer()
        self.setRawMode()
        if self._read_closed:
            self.loseConnection()
            return
        assert self.transport is not None
        self._enter(State.REFUSED)
        self._stall.begin(self.site.seconds())
        self._networkProducer.unregisterProducer()
        self._networkProducer.resumeProducing()
        shut = getattr(self.transport, "loseWriteConnection", None)
        if shut is not None:
            shut()  # and `writeConnectionLost` follows
        else:
            self.writeConnectionLost()

    def _enter(self, state: State) -> None:
        self.state = state
        self._since = self.site.seconds()

    def _input_ended(self) -> None:
        match self.state:
            case State.HEADER | State.BODY:
                self.refuse(BadRequest("the request ended before it was complete"))
            case State.IDLE | State.FRESH | State.REFUSED:
                self.loseConnection()
