"""
Which guests want to hear of which resources; a server is subscribed to once for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from attrs import define, field
from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from modelplex.interfaces import IToolServer
from modelplex.tools import Silent

MOST = 1000  # changes that are gathered; those beyond are lost

Updated: TypeAlias = Callable[[str], None]
"""Hears the URI of a resource that has changed."""


@define(eq=False)
class _Subscription:
    """Those who want to hear of one resource, and whether its server knows."""

    server: IToolServer
    uri: str
    told: list[Updated] = field(factory=list)
    known: bool = False
    lock: DeferredLock = field(factory=DeferredLock)


@define(eq=False)
class Subscriptions:
    """
    The resources that any guest has subscribed to.

    :ivar quiet: seconds over which changes are gathered before they are told.
    """

    _clock: IReactorTime
    quiet: float
    _open: dict[tuple[str, str], _Subscription] = field(factory=dict, init=False)
    _changed: dict[tuple[str, str], None] = field(factory=dict, init=False)
    _soon: IDelayedCall | None = field(default=None, init=False)

    def __len__(self) -> int:
        return len(self._open)

    async def add(self, server: IToolServer, uri: str, told: Updated) -> None:
        """
        Tell `told` whenever the resource changes.

        :raises RpcError: the server refused.
        :raises ToolServerError: it could not be asked.
        """
        key = server.name, uri
        one = self._open.setdefault(key, _Subscription(server, uri))
        one.told.append(told)
        try:
            await self._agree(one)
        finally:
            if not one.known and told in one.told:
                one.told.remove(told)
            self._forget(one)

    async def remove(self, server: IToolServer, uri: str, told: Updated) -> None:
        """
        Do not tell `told` any more.

        :raises RpcError: the server refused.
        :raises ToolServerError: it could not be asked; it is not told again.
        """
        one = self._open.get((server.name, uri))
        if one is None or told not in one.told:
            return
        one.told.remove(told)
        try:
            await self._agree(one)
        finally:
            self._forget(one)

    def updated(self, server: IToolServer, uri: str) -> None:
        """A resource of `server` has changed."""
        if len(self._changed) < MOST:
            self._changed[server.name, uri] = None
        if self._soon is None:
            self._soon = self._clock.callLater(self.quiet, self._tell)

    def stop(self) -> None:
        """Tell nobody anything any more."""
        self._changed.clear()
        self._open.clear()
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None

    async def _agree(self, one: _Subscription) -> None:
        """Make the server know what is wanted; one request at a time."""
        async with one.lock:
            wanted = bool(one.told)
            if wanted == one.known:
                return
            method = "resources/subscribe" if wanted else "resources/unsubscribe"
            # What it is not told of any more, it may forget by itself.
            one.known = False
            await one.server.request(method, {"uri": one.uri}, Silent())
            one.known = wanted

    def _forget(self, one: _Subscription) -> None:
        key = one.server.name, one.uri
        if not one.told and not one.lock.locked and self._open.get(key) is one:
            del self._open[key]

    def _tell(self) -> None:
        self._soon = None
        changed, self._changed = list(self._changed), {}
        for server, uri in changed:
            for one in list(self._open.values()):
                if one.server.name == server and is_part(uri, one.uri):
                    for told in list(one.told):
                        told(uri)


def is_part(uri: str, whole: str) -> bool:
    """Whether `uri` is `whole` or something below it."""
    if uri == whole:
        return True
    return uri.startswith(whole if whole.endswith("/") else f"{whole}/")
