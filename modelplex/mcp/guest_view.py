"""One guest's view of the servers, as it is at any time, and who hears of changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from attrs import define, field

from modelplex.guests.tools import ToolPolicy
from modelplex.interfaces import IToolServer
from modelplex.mcp.subscriptions import Subscriptions
from modelplex.mcp.view import Entry, Kind, Names, Offers, Shown, offers

Told: TypeAlias = Callable[[frozenset[str]], None]
"""Hears which lists changed: ``tools``, ``prompts``, ``resources``."""


class Servers(Protocol):
    """All servers, see `modelplex.mcp.registry.Registry`."""

    stamp: int
    subscriptions: Subscriptions

    def names(self) -> Names:
        """What everything is called now."""

    def is_known(self, server: IToolServer) -> bool:
        """Whether `server` has said what it offers, or could not be asked."""

    def begin(self, servers: Sequence[IToolServer]) -> None:
        """Ask those of `servers` that were not asked yet."""

    async def settled(self, servers: Sequence[IToolServer]) -> None:
        """Wait, but not for long, when nothing is known of any."""


def as_it_is(server: str, kind: Kind, entry: Entry) -> Entry:
    """Show `entry` unaltered."""
    return entry


@define(eq=False)
class View:
    """
    What one guest sees of some servers, as it is now.

    :ivar servers: in configured order.
    :ivar prefixed: whether names say which server they are of.
    """

    policy: ToolPolicy
    servers: Sequence[IToolServer]
    prefixed: bool
    _all: Servers
    _shown: Shown
    _offers: Offers = field(factory=Offers)
    _stamp: int = -1
    _changed: frozenset[str] = frozenset()
    _watchers: list[Told] = field(factory=list)

    @property
    def guest(self) -> str:
        """Whose it is."""
        return self.policy.guest

    @property
    def scope(self) -> str:
        """What tells it from the guest's other views."""
        return "" if self.prefixed else self.servers[0].name

    @property
    def offers(self) -> Offers:
        """What the guest may use now."""
        self._look()
        return self._offers

    @property
    def is_known(self) -> bool:
        """Whether it is known of all its servers what they offer."""
        return all(map(self._all.is_known, self.servers))

    @property
    def subscriptions(self) -> Subscriptions:
        """Those to resources, of all guests."""
        return self._all.subscriptions

    def begin(self) -> None:
        """Ask its servers what they offer, those that were not asked yet."""
        self._all.begin(self.servers)

    async def settled(self) -> Offers:
        """The same, as soon as anything at all is known."""
        await self._all.settled(self.servers)
        return self.offers

    def watch(self, told: Told) -> Callable[[], None]:
        """
        Tell `told` when the lists of this view have changed.

        :returns: what ends that.
        """
        if not self._watchers:
            self._look()
            self._changed = frozenset()  # what they know already
        self._watchers.append(told)

        def end() -> None:
            if told in self._watchers:
                self._watchers.remove(told)

        return end

    def tell(self) -> None:
        """Tell the watchers what has changed since they were told last."""
        if not self._watchers:
            return
        self._look()
        changed, self._changed = self._changed, frozenset()
        if changed:
            for told in list(self._watchers):
                told(changed)

    def _look(self) -> None:
        """Bring the offers up to date, and note what is different."""
        stamp = self._all.stamp
        if self._stamp == stamp:
            return
        found = offers(
            [(server, server.listing) for server in self.servers],
            self.policy,
            self._shown,
            self._all.names(),
            self.prefixed,
        )
        # What was listed in between and is gone again was seen by somebody.
        self._changed |= found.differences(self._offers)
        self._offers, self._stamp = found, stamp
