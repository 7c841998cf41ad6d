"""
All tool servers, and what each guest sees of them.

Lists come from what is known of each server, so that one that is down, or slow, delays
nobody. What changes is told after a moment of quiet, and only to those whose own lists
changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from modelplex.errors import GatewayError
from modelplex.guests.tools import ToolPolicy
from modelplex.interfaces import IToolServer, IToolServerWatcher
from modelplex.mcp.guest_view import View, as_it_is
from modelplex.mcp.subscriptions import Subscriptions
from modelplex.mcp.view import Names, Shown
from modelplex.tools import Listing

LAGGING = 1.0  # seconds that the slow have once anything is known
AGAIN = 30.0  # seconds until a server that could not be asked is asked again

Noted: TypeAlias = Callable[[IToolServer], None]


def not_noted(server: IToolServer) -> None:
    """Keep nothing of what `server` offers."""


@implementer(IToolServerWatcher)
@define(eq=False, repr=False)
class Registry:
    """
    The servers of one configuration, watched.

    :ivar stamp: another number whenever anything may look different.
    :ivar quiet: seconds over which changes are gathered before they are told.
    :ivar patience: seconds that a guest waits when nothing at all is known yet.
    :ivar noted: is given every server with something new to offer, before any guest
        sees that: where definitions are pinned and listings kept.
    """

    servers: Sequence[IToolServer]
    _clock: IReactorTime
    noted: Noted = not_noted
    quiet: float = 0.2
    patience: float = 10.0
    stamp: int = 0
    subscriptions: Subscriptions = field(init=False)
    _names: tuple[int, Names] = field(default=(-1, Names()), init=False)
    _views: list[View] = field(factory=list, init=False)
    _soon: IDelayedCall | None = field(default=None, init=False)
    _tried: dict[str, float] = field(factory=dict, init=False)
    _asking: dict[str, Deferred[None]] = field(factory=dict, init=False)
    _waiting: dict[Deferred[None], tuple[frozenset[str], IDelayedCall]] = field(
        factory=dict, init=False
    )
    _stopped: bool = field(default=False, init=False)
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self.subscriptions = Subscriptions(self._clock, self.quiet)
        for server in self.servers:
            if server.listing != Listing():
                self.noted(server)
            server.watch(self)

    def view(
        self, policy: ToolPolicy, server: str | None = None, shown: Shown = as_it_is
    ) -> View:
        """
        A view of all servers, or, under its own names, of one.

        :param shown: how the guest sees definitions.
        :raises KeyError: there is no such server.
        """
        chosen = [one for one in self.servers if server in (None, one.name)]
        if server is not None and not chosen:
            raise KeyError(server)
        view = View(policy, chosen, server is None, self, shown)
        self._views.append(view)
        return view

    def forget(self, view: View) -> None:
        """Its guest is gone."""
        if view in self._views:
            self._views.remove(view)

    def names(self) -> Names:
        """What everything is called now."""
        stamp, names = self._names
        if stamp != self.stamp:
            names = Names.of([(one.name, one.listing) for one in self.servers])
            self._names = self.stamp, names
        return names

    def changed(self, server: IToolServer) -> None:
        self.noted(server)
        self.reconsider()

    def updated(self, server: IToolServer, uri: str) -> None:
        if not self._stopped:
            self.subscriptions.updated(server, uri)

    def reconsider(self) -> None:
        """Something is different: a list, or what guests may see of it."""
        self.stamp += 1
        # Not put off by what follows: a storm is told of once in a while.
        if self._soon is None and not self._stopped:
            self._soon = self._clock.callLater(self.quiet, self._tell)

    def begin(self, servers: Sequence[IToolServer]) -> None:
        """Ask those of `servers` that were not asked yet, all at once."""
        for server in servers:
            self._ask(server)

    async def settled(self, servers: Sequence[IToolServer]) -> None:
        """
        Ask those of `servers` that were not asked yet, and do not wait for them.

        Only when nothing is known of any, wait until all have answered or failed,
        which those that come after the first have `LAGGING` seconds for, or `patience`
        is at an end.
        """
        self.begin(servers)
        names = frozenset(server.name for server in servers)
        if any(map(self.is_known, servers)) or not names & self._asking.keys():
            return
        waiting: Deferred[None] = Deferred()
        late = self._clock.callLater(self.patience, _fire, waiting)
        self._waiting[waiting] = names, late
        try:
            await waiting
        finally:
            del self._waiting[waiting]
            if late.active():
                late.cancel()

    async def stop(self) -> None:
        """Ask nobody any more and tell nobody anything."""
        self._stopped = True
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        self._views.clear()
        for asking in list(self._asking.values()):
            asking.cancel()
        self.subscriptions.stop()
        for waiting in list(self._waiting):
            _fire(waiting)

    def is_known(self, server: IToolServer) -> bool:
        """Whether `server` has said what it offers, or could not be asked."""
        if server.listing != Listing():
            return True
        return server.name in self._tried and server.name not in self._asking

    def _ask(self, server: IToolServer) -> None:
        """Refresh what is known about `server` when it has not been done."""
        name, now = server.name, self._clock.seconds()
        if self._stopped or name in self._asking or self._tried.get(name, now) > now:
            return
        self._tried[name] = float("inf")
        asking: Deferred[None] = Deferred.fromCoroutine(self._refresh(server))
        if not asking.called:
            self._asking[name] = asking
        asking.addBoth(partial(self._asked, name))

    async def _refresh(self, server: IToolServer) -> None:
        try:
            await server.refresh()
        except GatewayError as e:
            self._tried[server.name] = self._clock.seconds() + AGAIN
            self.log.warn(
                "Tool server {name} could not be asked for its lists: {why}",
                name=server.name,
                why=e.message,
            )

    def _asked(self, name: str, result: Failure | None) -> None:
        self._asking.pop(name, None)
        if isinstance(result, Failure) and not result.check(CancelledError):
            self.log.failure("Tool server {name} cannot be asked", result, name=name)
        soon = self._clock.seconds() + LAGGING
        known = {one.name for one in self.servers if one.listing != Listing()}
        for waiting, (names, late) in list(self._waiting.items()):
            if not names & self._asking.keys():
                _fire(waiting)
            elif names & known and late.active() and late.getTime() > soon:
                late.reset(LAGGING)

    def _tell(self) -> None:
        self._soon = None
        for view in list(self._views):
            view.tell()


def _fire(waiting: Deferred[None]) -> None:
    if not waiting.called:
        waiting.callback(None)
