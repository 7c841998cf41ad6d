"""
HTTP to one upstream: the one module that knows treq.

A request goes out with the operator's headers and nothing of the guest's but what
the caller put in. Redirects are never followed, or a 303 would carry the key to
another host, and no cookie is kept, or one guest's requests could be told from
another's.
"""

from __future__ import annotations

from collections.abc import Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import cast

from attrs import define, field
from hyperlink import EncodedURL
from OpenSSL import SSL
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    DNSLookupError,
)
from twisted.internet.interfaces import (
    IConsumer,
    IReactorCore,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import VerificationError
from twisted.python.failure import Failure
from twisted.web._newclient import RequestNotSent
from twisted.web.client import (
    Agent,
    GzipDecoder,
    HTTPConnectionPool,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import (
    IAgent,
    IAgentEndpointFactory,
    IBodyProducer,
    IResponse,
)
from zope.interface import implementer

from modelplex.errors import (
    GatewayError,
    UpstreamCut,
    UpstreamMalformed,
    UpstreamUnreachable,
)
from modelplex.outbound.address import Address
from modelplex.outbound.dialing import Dialing
from modelplex.outbound.early import EarlyAnswers, Watched

IDLE = 30.0  # seconds an unused connection is kept; below every provider's own limit
CONNECTIONS = 64  # unused connections kept to one upstream
URLS = 256  # kept ready to be sent; some hold the name of a model


@implementer(IAgentEndpointFactory)
@define(eq=False)
class _Socket:
    """Connects to a UNIX socket, whatever the URL says."""

    _reactor: IReactorCore
    _path: str
    _timeout: float

    def endpointForURI(self, uri: object) -> IStreamClientEndpoint:
        return UNIXClientEndpoint(self._reactor, self._path, self._timeout)


@implementer(IBodyProducer)
@define(eq=False)
class _Body:
    """A body that is in memory already, so it is written at once."""

    _content: bytes = field(repr=False)
    length: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.length = len(self._content)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._content)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Nothing is left to pause."""

    def resumeProducing(self) -> None:
        """Nothing is left to resume."""

    def stopProducing(self) -> None:
        """Nothing is left to stop."""


@define(eq=False)
class Transport:
    """
    A pool of connections to one upstream.

    :ivar name: how errors call the upstream; not its address.
    """

    name: str
    _address: Address
    _agent: IAgent
    _pool: HTTPConnectionPool | None = None
    _client: HTTPClient = field(init=False)
    _urls: dict[str, bytes] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        jar = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self._client = HTTPClient(self._agent, jar)  # type: ignore[arg-type]

    async def post(
        self, path: str, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> IResponse:
        """
        Send one request with a body that is in memory; see `request`.

        :param path: below the API's version segment, such as ``/chat/completions``.
        """
        return await self.request(b"POST", path, headers, body)

    async def request(
        self,
        method: bytes,
        path: str,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes | IBodyProducer | None,
    ) -> IResponse:
        """
        Send one request, the way that every exchange goes.

        It asks the agent itself: treq would encode the URL anew and look for cookies
        each time, for a tenth of what the whole exchange costs
        (``docs/performance.rst``).

        :param path: below the API's version segment; may have a query.
        :returns: when the headers of the answer are there, whatever the status; the
            body is still to be read, or given up.
        :raises UpstreamUnreachable: no connection could be made.
        :raises UpstreamCut: the connection ended before the headers came.
        """
        url = self._urls.get(path)
        if url is None:
            if len(self._urls) >= URLS:
                self._urls.clear()
            url = self._urls[path] = _ascii(self._address.url(path)).encode("ascii")
        fresh = Headers()
        for header, value in headers:
            fresh.addRawHeader(header, value)
        try:
            producer: IBodyProducer | None = None
            if body is not None:
                producer = _Body(body) if isinstance(body, bytes) else Watched(body)
            response = await self._agent.request(method, url, fresh, producer)
        except _FAILURES as e:
            raise _meaning(e, self.name) from None
        return _decoded(response, self.name)

    async def get(self, path: str, headers: Iterable[tuple[bytes, bytes]]) -> IResponse:
        """Ask for something that is not an exchange; otherwise like `post`."""
        fresh = Headers()
        for header, value in headers:
            fresh.addRawHeader(header, value)
        try:
            return await self._client.get(
                _Ready.from_text(_ascii(self._address.url(path))),
                headers=fresh,
                allow_redirects=False,
                unbuffered=True,
            )
        except _FAILURES as e:
            raise _meaning(e, self.name) from None

    async def close(self) -> None:
        """Give up the idle connections."""
        if self._pool is not None:
            await self._pool.closeCachedConnections()


def _ascii(url: str) -> str:
    """`url` as it goes over the wire; names of hosts may be in any script."""
    return url if url.isascii() else EncodedURL.from_text(url).to_uri().to_text()


class _Ready(EncodedURL):
    """A URL in ASCII, for treq; hyperlink takes an IPv6 address for a name."""

    def to_uri(self) -> _Ready:
        return self


def connect(
    reactor: IReactorCore,
    name: str,
    address: Address,
    connect_timeout: float,
    *,
    public: bool = False,
) -> Transport:
    """
    A `Transport` over real connections.

    :param connect_timeout: in seconds.
    :param public: connect to addresses of the public internet only.
    """
    pool = HTTPConnectionPool(reactor)
    pool._factory = EarlyAnswers
    pool.maxPersistentPerHost = CONNECTIONS
    pool.cachedConnectionTimeout = IDLE  # type: ignore[assignment]
    agent: IAgent
    if address.socket is not None:
        agent = Agent.usingEndpointFactory(
            reactor, _Socket(reactor, address.socket, connect_timeout), pool=pool
        )
    else:
        agent = Agent.usingEndpointFactory(
            reactor, Dialing(reactor, connect_timeout, public=public), pool=pool
        )
    return Transport(name, address, agent, pool)


def _decoded(response: IResponse, name: str) -> IResponse:
    """`response`, unzipped if the upstream zipped it though nobody asked it to."""
    codings = response.headers.getRawHeaders(b"content-encoding")
    if codings is None or codings == [b"identity"]:
        return response
    if [coding.strip().lower() for coding in codings] == [b"gzip"]:
        return cast(IResponse, GzipDecoder(response))
    response.deliverBody(_Unwanted())  # or it would hold its connection for ever
    raise UpstreamMalformed(f"{name}: its answer is encoded in a way not asked for")


class _Unwanted(Protocol):
    """A body that is given up."""

    def connectionMade(self) -> None:
        hang_up(self.transport)


_FAILURES = (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    DNSLookupError,
    RequestGenerationFailed,
    RequestNotSent,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
    SSL.Error,
    VerificationError,
)


def _meaning(error: Exception, name: str) -> Exception:
    """The error to raise for one of treq's; a cancel stays a cancel."""
    reasons = _reasons(error)
    # Cancelling a request that is under way comes back wrapped, or by another name;
    # taken for a failure of the upstream it would be sent, and paid, a second time
    # elsewhere.
    if any(isinstance(r, CancelledError | ConnectingCancelledError) for r in reasons):
        return CancelledError()
    for reason in reasons:
        if isinstance(reason, SSL.Error | VerificationError):
            return UpstreamUnreachable(f"{name}: TLS failed")
        if isinstance(reason, DNSLookupError):
            return UpstreamUnreachable(f"{name}: the host name does not resolve")
        if isinstance(reason, ConnectError):
            return UpstreamUnreachable(f"{name}: no connection could be made")
    return UpstreamCut(f"{name}: the connection ended before an answer came")


def _reasons(error: BaseException | None) -> list[BaseException]:
    found = [] if error is None else [error]
    for reason in getattr(error, "reasons", ()):
        if isinstance(reason, Failure):
            found += _reasons(reason.value)
    return found


def hang_up(body: object) -> None:
    """
    Close the connection of a response that nobody reads to its end.

    :param body: what ``deliverBody`` gave as transport. It can only lose its
        connection (twisted#8227), which waits for what is still to be written and,
        over TLS, for a goodbye that is not read while paused; so this reaches
        through it for the connection.
    """
    connection = getattr(body, "_producer", None)
    abort = getattr(connection, "abortConnection", None)
    if abort is None:
        abort = getattr(body, "loseConnection")  # noqa: B009  # of an object
    abort()


def body_failure(reason: Failure, name: str) -> GatewayError:
    """Why a body broke off, given what ``connectionLost`` was told."""
    if any(isinstance(e, SSL.Error) for e in _reasons(reason.value)):
        return UpstreamCut(f"{name}: TLS broke while the answer came")
    return UpstreamCut(f"{name}: the connection broke while the answer came")
