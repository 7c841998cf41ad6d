"""The inbound rim: limits and lifetimes of every connection to one guest's socket."""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex

from attrs import frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.web.http import Request, datetimeToString
from twisted.web.resource import IResource
from twisted.web.server import Site

from modelplex.errors import GatewayError
from modelplex.surface.channel import GuestChannel, Upgraded
from modelplex.surface.paths import Route
from modelplex.surface.refusal import RenderedError
from modelplex.surface.request import GuestRequest

#: Connections above `Limits.max_connections` that still get a polite 503.
HEADROOM = 64

SWEEP_SECONDS = 1.0
WATCH_SECONDS = 0.1


@frozen
class Limits:
    """What one guest's connections may take."""

    max_request_size: int = 32 * 2**20  # bytes, before and after decompression
    header_timeout: float = 20.0  # seconds, from connecting or a header's first byte
    body_timeout: float = 120.0  # seconds, for a whole body
    idle_timeout: float = 300.0  # seconds between requests
    stall_timeout: float = 60.0  # seconds in which the guest reads nothing of an answer
    max_connections: int = 1024


def new_request_id() -> str:
    """A fresh id for a request whose guest gave none."""
    return f"req_{token_hex(16)}"


class GuestSite(Site):
    """
    Serves one resource to one guest, whatever the guest does.

    One timer a second looks after every timeout of every connection, and runs only
    while there are connections.

    :ivar limits: read at every use.
    :ivar route: what a path means; by default what it says.
    :ivar lines: begins what is spoken on a connection whose first byte is a brace;
        by default only HTTP is.
    :ivar draining: no connection is kept for another request.
    """

    requestFactory = GuestRequest
    noisy = False
    draining = False

    def __init__(
        self,
        resource: IResource,
        *,
        limits: Limits,
        reactor: IReactorTime,
        render_error: Callable[[GatewayError, bytes], RenderedError],
        route: Callable[[str], Route] = Route,
        new_id: Callable[[], str] = new_request_id,
        lines: Callable[[GuestChannel], Upgraded] | None = None,
    ) -> None:
        super().__init__(resource, reactor=reactor, parsePOSTFormSubmission=False)
        self.limits = limits
        self.new_id = new_id
        self.route = route
        self.lines = lines
        self.seconds = reactor.seconds
        self._render_error = render_error
        self._channels: set[GuestChannel] = set()
        self._watched: set[GuestChannel] = set()
        self._waiting: list[Deferred[None]] = []
        self._dated = -1, b""
        self._sweeping = LoopingCall(self._sweep)
        self._watching = LoopingCall(self._check)
        self._sweeping.clock = self._watching.clock = reactor

    # For whoever runs the service.

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._channels)

    def stop_keepalive(self) -> None:
        """Close every idle connection now, and every other after its answer."""
        self.draining = True
        for channel in list(self._channels):
            channel.finish_up()

    def when_idle(self) -> Deferred[None]:
        """Fires once no request is being received, answered or flushed."""
        if not self._busy():
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def abort_all(self) -> None:
        """Cut every connection, which cancels what runs for it."""
        for channel in list(self._channels):
            channel.abort()

    # For the channels.

    def rendered(self, error: GatewayError, path: bytes) -> RenderedError:
        """`error` as a guest sees it that asked for `path`, as far as that is known."""
        status, headers, body = self._render_error(error, path)
        if error.retry_after is not None and not any(
            name.lower() == b"retry-after" for name, _ in headers
        ):
            seconds = max(1, round(error.retry_after))
            headers = [*headers, (b"retry-after", b"%d" % seconds)]
        return status, headers, body

    def date(self) -> bytes:
        """The value of a Date header now; made once a second."""
        second = int(self.seconds())
        if self._dated[0] != second:
            self._dated = second, datetimeToString(second)
        return self._dated[1]

    def watch(self, channel: GuestChannel) -> None:
        """Look for a hang-up of `channel` while its request runs and it is not read."""
        self._watched.add(channel)
        if not self._watching.running:
            self._watching.start(WATCH_SECONDS, now=False)

    def settle(self) -> None:
        """Something has ended; perhaps it was the last."""
        if self._waiting and not self._busy():
            waiting, self._waiting = self._waiting, []
            for idle in waiting:
                idle.callback(None)

    def forget(self, channel: GuestChannel) -> None:
        """`channel` is gone."""
        self._channels.discard(channel)
        self._watched.discard(channel)
        self._stop_timers()
        self.settle()

    # What Twisted calls.

    def buildProtocol(  # type: ignore[override]  # not the HTTP/2 proxy
        self, addr: IAddress | None
    ) -> GuestChannel | None:
        """A channel for a new connection; none when there are far too many."""
        if self.connections >= self.limits.max_connections + HEADROOM:
            return None
        channel = GuestChannel()
        channel.factory = channel.site = self
        channel.requestFactory = self.requestFactory
        channel.timeOut = None
        channel.surplus = self.connections >= self.limits.max_connections
        self._channels.add(channel)
        if not self._sweeping.running:
            self._sweeping.start(SWEEP_SECONDS, now=False)
        return channel

    def acceptableProtocols(self) -> list[bytes]:
        """HTTP/1.1 only: its limits are the ones enforced here."""
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """Nothing: Twisted would start its access log and that log's clock."""

    def stopFactory(self) -> None:
        """The last port is closed; its connections may live on."""
        self._stop_timers()

    def log(self, request: Request) -> None:
        """Nothing: the exchange is logged where its model and provider are known."""

    def _busy(self) -> bool:
        return any(channel.busy for channel in self._channels)

    def _sweep(self) -> None:
        now = self.seconds()
        for channel in list(self._channels):
            channel.sweep(now)
        if not self._channels and self._sweeping.running:
            self._sweeping.stop()

    def _check(self) -> None:
        for channel in list(self._watched):
            if not channel.check():
                self._watched.discard(channel)
        self._stop_timers()

    def _stop_timers(self) -> None:
        # While listening the sweep is left to stop by itself: a connection per
        # request must not start and stop it every time.
        if not self._channels and not self.numPorts and self._sweeping.running:
            self._sweeping.stop()
        if not self._watched and self._watching.running:
            self._watching.stop()
