"""A tool server at a URL, of whatever revision."""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure as Broken
from zope.interface import implementer

from modelplex.errors import GatewayError, UpstreamError
from modelplex.interfaces import IToolServer, IToolServerWatcher
from modelplex.mcp.ourselves import Ourselves
from modelplex.mcp.remote_link import Link
from modelplex.mcp.remote_lists import Lists
from modelplex.mcp.remote_opening import Opening
from modelplex.mcp.remote_settings import RemoteSettings
from modelplex.mcp.remote_sse import SseLink
from modelplex.mcp.remote_told import LEVEL, REMEMBERED, Told
from modelplex.mcp.remote_url import RemoteUrl
from modelplex.mcp.remote_wire import SessionGone, StreamLost, meaning
from modelplex.outbound.shared import Shared
from modelplex.timing import limited
from modelplex.tools import (
    Caller,
    Listing,
    ServerState,
    ServerStatus,
    ToolServerError,
    ToolServerTimeout,
)
from modelplex.wire.jsonrpc import Params, Result, RpcError
from modelplex.wire.mcp.envelope import HEADER_MISMATCH, UNSUPPORTED_VERSION

QUIET = 0.25  # seconds in which changes of lists are gathered
LATER = 5.0  # seconds after which a server that has hung up is met again
PATIENT = (1.0, 60.0)  # seconds after a failure in which it is not tried again
WHY = 200  # characters of a trouble that are told
#: Requests that may be made twice, because they change nothing.
SAFE = frozenset(
    (
        *("tools/list", "resources/list", "resources/templates/list", "prompts/list"),
        *("resources/read", "prompts/get", "completion/complete", "ping"),
    )
)


@implementer(IToolServer)
@define(eq=False, repr=False)
class RemoteServer:
    """
    One remote server; it is met when it is needed, and met anew when it has forgotten.

    :ivar listing: what it offers, as far as is known; may be given what was stored.
    """

    log = Logger()

    _settings: RemoteSettings
    _url: RemoteUrl
    _us: Ourselves
    _clock: IReactorTime
    listing: Listing = field(factory=Listing)
    _watchers: list[IToolServerWatcher] = field(factory=list)
    _link: Link | SseLink | None = None
    _retired: set[Link | SseLink] = field(factory=set)  # somebody may still wait
    _opening: Shared[Link | SseLink] = field(init=False)
    _reading: Shared[Listing] = field(init=False)
    _slots: DeferredSemaphore = field(init=False)
    _state: ServerState = ServerState.IDLE
    _why: str = ""
    _opened: int = 0  # times
    _failures: int = 0  # in a row
    _until: float = 0.0  # when it is tried again
    _lists: Lists = field(init=False)
    _told: Told = field(init=False)
    _soon: IDelayedCall | None = None
    _loose: set[Deferred[Any]] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        self._lists, self._told = Lists(self.name), Told(self.name)
        self._opening = Shared(self._open)
        self._reading = Shared(self._read_again)
        self._slots = DeferredSemaphore(self._settings.concurrency)

    @property
    def name(self) -> str:
        return self._settings.name

    @property
    def status(self) -> ServerStatus:
        link = self._link
        return ServerStatus(
            self._state,
            self._why,
            restarts=max(self._opened - 1, 0),
            version="" if link is None else link.agreed.version,
            in_flight=0 if link is None else link.in_flight,
        )

    def watch(self, watcher: IToolServerWatcher) -> None:
        self._watchers.append(watcher)

    async def request(self, method: str, params: Params, caller: Caller) -> Result:
        if len(self._slots.waiting) >= self._settings.queue:
            raise ToolServerError(f"{self.name}: too many calls wait for it")
        async with self._slots:
            return await self._requested(method, params, caller)

    async def refresh(self) -> Listing:
        before = self._link
        if await self._ready() is before:
            await self._reading.wait()
        return self.listing

    async def offered(self) -> None:
        await self._ready()  # its lists are read when it is met

    async def stop(self) -> None:
        self._state = ServerState.STOPPED
        error = ToolServerError(f"{self.name}: it was stopped")
        soon, self._soon = self._soon, None
        if soon is not None:
            soon.cancel()
        self._opening.stop()
        self._reading.stop()
        link, self._link = self._link, None
        for one in [*self._retired, *([] if link is None else [link])]:
            await one.close(error)
        for loose in list(self._loose):
            loose.cancel()
        await self._url.close()

    # Requests

    async def _requested(self, method: str, params: Params, caller: Caller) -> Result:
        link = await self._ready()
        try:
            return await self._once(link, method, params, caller)
        except SessionGone:
            self._drop(link)
        except StreamLost:
            if method not in SAFE:
                raise
        except RpcError as e:
            match e.rpc_code:
                case code if code == HEADER_MISMATCH and method == "tools/call":
                    await self._reading.wait()  # its tools are not what they were
                case code if code == UNSUPPORTED_VERSION:
                    self._drop(link)
                case _:
                    raise
        return await self._once(await self._ready(), method, params, caller)

    async def _once(
        self, link: Link | SseLink, method: str, params: Params, caller: Caller
    ) -> Result:
        if not link.agreed.modern:
            result = await link.request(method, params, caller)
            self._told.remember(method, params)
            return result
        if method in REMEMBERED:
            # A modern server is told with each request, and when it is listened to.
            self._told.remember(method, params)
            link.uris = self._told.uris
            if method != LEVEL:
                link.listen_anew()
            return {}
        return await link.request(method, params, caller)

    # Meeting it

    async def _ready(self) -> Link | SseLink:
        if self._state is ServerState.STOPPED:
            raise ToolServerError(f"{self.name}: it was stopped")
        if self._link is not None:
            return self._link
        if self._clock.seconds() < self._until:
            raise ToolServerError(self._why)
        return await self._opening.wait()

    async def _open(self) -> Link | SseLink:
        self._state = ServerState.STARTING
        try:
            link = await limited(
                Deferred.fromCoroutine(self._met()),
                self._settings.start_timeout,
                self._clock,
                lambda: ToolServerTimeout(f"{self.name}: it did not answer in time"),
            )
        except (UpstreamError, ToolServerError, RpcError) as e:
            raise self._failed(e) from None
        except CancelledError:
            if self._state is ServerState.STARTING:
                self._state = ServerState.IDLE
            raise
        self._link, self._state, self._why = link, ServerState.READY, ""
        self._opened += 1
        self._failures = 0
        return link

    def _failed(self, error: GatewayError) -> ToolServerError:
        if isinstance(error, UpstreamError):
            error = meaning(error, self.name)
        elif not isinstance(error, ToolServerError):
            error = ToolServerError(f"{self.name}: {error.message}")
        first, most = PATIENT
        self._until = self._clock.seconds() + min(first * 2.0**self._failures, most)
        self._failures = min(self._failures + 1, 16)
        self._state, self._why = ServerState.BACKOFF, error.message[:WHY]
        return error

    async def _met(self) -> Link | SseLink:
        opening = Opening(
            self._url, self._us, self._settings, self._clock, self._lists.marked
        )
        link = await opening.link(self)
        try:
            link.uris = self._told.uris
            link.begin()
            if not link.agreed.modern:
                await self._told.retell(link)
            self._tell_if_other(await self._lists.read(link, self.listing))
        except BaseException:
            self._later(link.close(ToolServerError(f"{self.name}: it is given up")))
            raise
        return link

    def restart(self) -> None:
        self._failures, self._until = 0, 0.0
        if self._link is not None:
            self._drop(self._link)
        elif self._state is not ServerState.STOPPED:
            self._state = ServerState.IDLE

    def _drop(self, link: Link | SseLink) -> None:
        """It is no good any more; whoever comes next meets the server anew."""
        if self._link is link:
            self._link = None
            if self._state is ServerState.READY:
                self._state = ServerState.IDLE
            self._retired.add(link)
            self._later(self._retire(link))

    async def _retire(self, link: Link | SseLink) -> None:
        await link.retire()
        self._retired.discard(link)

    def _later(self, work: Any) -> None:
        """Let `work` go on by itself until `stop`."""
        loose = Deferred.fromCoroutine(work)
        self._loose.add(loose)

        def over(outcome: Any) -> None:
            self._loose.discard(loose)
            if isinstance(outcome, Broken):
                outcome.trap(GatewayError, CancelledError)

        loose.addBoth(over)

    # What it offers

    async def _read_again(self) -> Listing:
        link = self._link
        if link is not None:
            try:
                self._tell_if_other(await self._lists.read(link, self.listing))
            except SessionGone:
                self._drop(link)
                await self._ready()
        return self.listing

    def _tell_if_other(self, found: Listing) -> None:
        if found == self.listing:
            return
        self.listing = found
        for watcher in list(self._watchers):
            watcher.changed(self)

    def changed(self) -> None:
        """It says so; it may say so often."""
        self._look(QUIET)

    def lost(self, link: Link | SseLink) -> None:
        """It has ended by itself; what it offers may be something else now."""
        if self._link is link:
            self._drop(link)
            self._look(LATER)

    def _look(self, seconds: float) -> None:
        if self._soon is None and self._state is not ServerState.STOPPED:
            self._soon = self._clock.callLater(seconds, self._due)

    def _due(self) -> None:
        self._soon = None
        self._later(self._noticed())

    async def _noticed(self) -> None:
        try:
            await self.refresh()
        except (ToolServerError, RpcError) as e:
            self.log.warn(
                "Tool server {name} does not tell what changed: {why}",
                name=self.name,
                why=e.message[:WHY],
            )

    def updated(self, uri: str) -> None:
        """A resource of it has changed."""
        for watcher in list(self._watchers):
            watcher.updated(self, uri)
