"""What one client is told of changes, until it does not listen any more."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from modelplex.errors import GatewayError
from modelplex.interfaces import IToolServer
from modelplex.mcp.guest_view import View
from modelplex.mcp.view import can_subscribe
from modelplex.wire.jsonrpc import INVALID_PARAMS, Note, RpcError

MOST = 1000  # resources that one client subscribes to

KINDS = ("tools", "prompts", "resources")


@define(eq=False, repr=False)
class Changes:
    """
    Tells one client of changes to its lists and to resources.

    :ivar honoured: what of a modern client's filter is; empty for a legacy one.
    """

    _view: View
    _tell: Callable[[Note], None]
    _kinds: frozenset[str]
    honoured: Mapping[str, Any] = field(factory=dict)
    _uris: dict[str, IToolServer] = field(factory=dict, init=False)
    _end: Callable[[], None] | None = field(default=None, init=False)
    _stopped: bool = field(default=False, init=False)
    log = Logger()

    def __attrs_post_init__(self) -> None:
        if self._kinds:
            self._end = self._view.watch(self._changed)

    async def subscribe(self, uri: str, missing: RpcError) -> None:
        """
        Tell of changes to the resource `uri`, too.

        :raises RpcError: there is none that tells of changes (`missing`), its server
            refuses, or there are too many.
        :raises ToolServerError: its server could not be asked.
        """
        if uri in self._uris or self._stopped:
            return
        server = teller(self._view, uri)
        if server is None:
            raise missing
        if len(self._uris) >= MOST:
            raise RpcError(INVALID_PARAMS, f"at most {MOST} resources at a time")
        self._uris[uri] = server
        try:
            await self._view.subscriptions.add(server, uri, self._updated)
        except (GatewayError, CancelledError):
            self._uris.pop(uri, None)
            raise

    async def unsubscribe(self, uri: str) -> None:
        """
        Do not tell of changes to `uri` any more; no error when it was not told.

        :raises GatewayError: its server could not be told; nothing is told all the
            same.
        """
        server = self._uris.pop(uri, None)
        if server is not None:
            await self._view.subscriptions.remove(server, uri, self._updated)

    def subscribe_all(self, uris: Iterable[str]) -> None:
        """
        Subscribe to `uris`, and do not wait for that.

        One that its server refuses is never told of.
        """
        missing = RpcError(INVALID_PARAMS, "Resource not found")
        for uri in uris:
            self._in_background(self.subscribe(uri, missing))

    def stop(self) -> None:
        """Tell nothing more. May be called more than once."""
        self._stopped = True
        end, self._end = self._end, None
        if end is not None:
            end()
        for uri in list(self._uris):
            self._in_background(self.unsubscribe(uri))

    def _changed(self, kinds: frozenset[str]) -> None:
        for kind in KINDS:
            if kind in kinds & self._kinds:
                self._tell(Note(f"notifications/{kind}/list_changed"))

    def _updated(self, uri: str) -> None:
        # It may have been taken away from this guest since.
        if not self._stopped and self._view.offers.owner(uri) is not None:
            self._tell(Note("notifications/resources/updated", {"uri": uri}))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        done: Deferred[None] = Deferred.fromCoroutine(work)
        done.addErrback(_expected)
        done.addErrback(lambda reason: self.log.failure("Cannot subscribe", reason))


@frozen
class Honoured:
    """
    What of a modern client's wishes is fulfilled.

    :ivar told: the same, as the client is told.
    """

    kinds: frozenset[str]
    uris: tuple[str, ...]
    told: Mapping[str, Any]


def honoured(wanted: object, view: View) -> Honoured:
    """
    What of the filter of a ``subscriptions/listen`` is fulfilled for `view`.

    :raises RpcError: it is no filter (-32602).
    """
    if not isinstance(wanted, Mapping):
        raise RpcError(INVALID_PARAMS, "notifications is required")
    told: dict[str, Any] = {}
    for kind in KINDS:
        key = f"{kind}ListChanged"
        if not isinstance(wanted.get(key, False), bool):
            raise RpcError(INVALID_PARAMS, f"notifications: {key} is true or false")
        if wanted.get(key):
            told[key] = True
    uris = wanted.get("resourceSubscriptions", [])
    if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
        raise RpcError(INVALID_PARAMS, "resourceSubscriptions is a list of URIs")
    if len(uris) > MOST:
        raise RpcError(INVALID_PARAMS, f"at most {MOST} resources at a time")
    heard = [uri for uri in dict.fromkeys(uris) if teller(view, uri) is not None]
    if heard:
        told["resourceSubscriptions"] = heard
    kinds = frozenset(kind for kind in KINDS if f"{kind}ListChanged" in told)
    return Honoured(kinds, tuple(heard), told)


def teller(view: View, uri: str) -> IToolServer | None:
    """The server that would tell of changes to `uri`, if the guest may see it."""
    offer = view.offers.owner(uri)
    if offer is None or not can_subscribe(offer.server.listing.capabilities):
        return None
    return offer.server


def _expected(reason: Failure) -> None:
    reason.trap(GatewayError)
