"""A tool server that is a child of ours: `IToolServer` over pipes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorProcess,
    IReactorTime,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from modelplex.errors import GatewayError
from modelplex.interfaces import IToolServer, IToolServerWatcher
from modelplex.mcp.child_settings import ChildSettings
from modelplex.mcp.client_session import ClientSession
from modelplex.mcp.conversation import Conversation
from modelplex.mcp.guardian import Guardian
from modelplex.mcp.life import Life, Process
from modelplex.mcp.listing import everything
from modelplex.mcp.ourselves import Ourselves
from modelplex.mcp.process import ChildProcess, Owner
from modelplex.mcp.restarts import Restarts
from modelplex.mcp.standing import Standing
from modelplex.mcp.supervisor import supervised
from modelplex.mcp.turn import Turn
from modelplex.timing import limited
from modelplex.tools import (
    Caller,
    Listing,
    ServerStatus,
    ToolServerError,
    ToolServerTimeout,
)
from modelplex.wire.jsonrpc import Params, Result

CHANGES = 0.2  # seconds in which several changes are one
T = TypeVar("T")

LISTS = 30.0  # seconds for one page of a list


def spawning(
    reactor: Any, host: Mapping[str, str], guardian: Guardian
) -> Callable[[ChildSettings, Owner], Process]:
    """
    Runs real processes.

    :param reactor: an `IReactorProcess` and `IReactorTime`.
    :param host: our own environment, of which children get very little.
    """

    def spawn(settings: ChildSettings, owner: Owner) -> Process:
        process = ChildProcess(settings, IReactorTime(reactor), owner, guardian)
        process.start(IReactorProcess(reactor), host)
        return process

    return spawn


@implementer(IToolServer)
@define(eq=False, repr=False)
class ChildServer:
    """
    One server, started when it is first needed.

    :param info: our own name and version, as servers are told.
    :param chance: a number from 0 to 1, another one each time.
    :param listing: what it offered when it last ran, if that is known.
    """

    settings: ChildSettings
    _clock: IReactorTime
    _spawn: Callable[[ChildSettings, Owner], Process]
    _info: Mapping[str, Any]
    _chance: Callable[[], float]
    listing: Listing = field(factory=Listing)
    _life: Life = field(init=False)
    _turns: DeferredSemaphore = field(init=False)
    _alone: DeferredSemaphore = field(init=False)
    _standing: Standing = field(init=False)
    _watchers: list[IToolServerWatcher] = field(factory=list)
    _listing_now: Deferred[None] | None = None
    _listed_for: Conversation | None = None  # whose lists `listing` has
    _wanted: list[Deferred[Listing]] = field(factory=list)
    _changes: IDelayedCall | None = None
    log = Logger()

    def __attrs_post_init__(self) -> None:
        known = self.settings
        self._turns = DeferredSemaphore(known.concurrency)
        self._alone = DeferredSemaphore(1)
        self._standing = Standing(known.name, self._clock, known.timeout)
        self._life = supervised(
            Life(
                known.name,
                self._clock,
                Restarts(known.restarts, self._chance),
                known.start_timeout,
                lambda owner: self._spawn(known, owner),
                self._converse,
                self._began,
                self._over,
            )
        )

    @property
    def name(self) -> str:
        """The server's key in the config file."""
        return self.settings.name

    @property
    def status(self) -> ServerStatus:
        """How it is, for the operator."""
        life = self._life
        session = life.conversation.session if life.conversation is not None else None
        opened = session.opened if session is not None else None
        return ServerStatus(
            life.state,
            life.why,
            life.count,
            life.process.pid if life.process is not None else None,
            opened.version if opened is not None else "",
            session.in_flight if session is not None else 0,
        )

    async def request(self, method: str, params: Params, caller: Caller) -> Result:
        if len(self._turns.waiting) >= self.settings.queue:
            raise ToolServerError(f"{self._called} is busy", status=503)
        async with Turn(self._turns, caller, self._in_time) as turn:
            conversation = await self._ready()
            match method:
                case "resources/subscribe":
                    uri = params.get("uri")
                    return await self._standing.subscribe(conversation, uri)
                case "resources/unsubscribe":
                    uri = params.get("uri")
                    return await self._standing.unsubscribe(conversation, uri)
                case "logging/setLevel":
                    self._standing.hear(conversation, params.get("level"))
                    return {}
            if not self.settings.interactive or conversation.opened.modern:
                return await self._made(conversation, method, params, turn)
            # What it asks names no call, so there is only one that it can be about.
            async with Turn(self._alone, turn, self._in_time) as alone:
                return await self._made(conversation, method, params, alone)

    async def _made(
        self, conversation: Conversation, method: str, params: Params, caller: Caller
    ) -> Result:
        self._standing.hear(conversation, caller.log_level)
        if self._life.backlogged:
            raise ToolServerError(f"{self._called} does not read", status=503)
        idle, cap = self.settings.timeout, self.settings.timeout_cap
        return await conversation.request(method, params, caller, idle, cap)

    async def refresh(self) -> Listing:
        await self._ready()
        answer: Deferred[Listing] = Deferred()
        self._wanted.append(answer)
        self._relist()
        return await answer

    async def offered(self) -> None:
        if self._listed_for is not await self._ready():
            await self.refresh()

    def watch(self, watcher: IToolServerWatcher) -> None:
        self._watchers.append(watcher)

    def restart(self) -> None:
        """Begin anew, whatever it does now and however often it has ended."""
        self._life.machine.restart()

    async def stop(self) -> None:
        await self._life.stopped()

    @property
    def _called(self) -> str:
        return f"tool server {self.name}"

    async def _ready(self) -> Conversation:
        return await self._in_time(self._life.ready())

    async def _in_time(self, waiting: Deferred[T]) -> T:
        if waiting.called:  # as nearly always: no timer is needed
            return await waiting
        return await limited(
            waiting,
            self.settings.timeout,
            self._clock,
            lambda: ToolServerTimeout(f"{self._called} took too long"),
        )

    # What its life needs

    def _converse(self, process: Process, life: Life, legacy: bool) -> Conversation:
        known = self.settings
        us = Ourselves(
            self._info, known.told_roots(), known.interactive, known.guest_roots
        )
        era = "legacy" if legacy and known.protocol == "auto" else known.protocol
        return Conversation(
            self._called,
            ClientSession(us, era),
            process.send,
            self._clock,
            _Heard(self, life),
            known.probe_timeout,
        )

    def _began(self, conversation: Conversation) -> None:
        self._standing.begin(conversation)
        self._relist()

    def _over(self) -> None:
        self._standing.over()
        changes, self._changes = self._changes, None
        if changes is not None and changes.active():
            changes.cancel()

    # What it offers

    def changed(self) -> None:
        """It says that it offers something else: look, but not each time it says so."""
        if self._changes is None:
            self._changes = self._clock.callLater(CHANGES, self._look)

    def updated(self, uri: str) -> None:
        """A resource has changed."""
        for watcher in self._watchers:
            watcher.updated(self, uri)

    def _look(self) -> None:
        self._changes = None
        if self._listing_now is not None:
            self.changed()  # what is being read may be old already
        else:
            self._relist()

    def _relist(self) -> None:
        conversation = self._life.conversation
        if self._listing_now is None and conversation is not None:
            self._listing_now = now = Deferred.fromCoroutine(self._list(conversation))
            now.addBoth(self._listed)

    async def _list(self, conversation: Conversation) -> None:
        async def ask(method: str, params: Params) -> Result:
            return await conversation.ask(method, params, LISTS)

        found = await everything(
            self.name, ask, conversation.opened, self.listing, self.log
        )
        self._listed_for = conversation
        if found != self.listing:
            self.listing = found
            for watcher in self._watchers:
                watcher.changed(self)

    def _listed(self, outcome: Failure | None) -> None:
        self._listing_now = None
        wanted, self._wanted = self._wanted, []
        if isinstance(outcome, Failure):
            if not outcome.check(GatewayError, CancelledError):
                self.log.failure("The lists of {name}", outcome, name=self.name)
            for one in wanted:
                one.errback(ToolServerError(f"{self._called} does not tell its lists"))
        else:
            for one in wanted:
                one.callback(self.listing)


@define(eq=False)
class _Heard:
    """What a conversation says, told to the two that it concerns."""

    _server: ChildServer
    _life: Life

    def opened(self, opened: Any) -> None:
        self._life.opened(opened)

    def unfit(self, why: str) -> None:
        self._life.machine.useless(why)

    def changed(self) -> None:
        self._server.changed()

    def updated(self, uri: str) -> None:
        self._server.updated(uri)
