"""
MCP's methods, as one guest may use them, for clients of every revision.

A transport gives it what a client asks and sends what it answers; whatever belongs to
a connection (sessions, ids, progress, streams) is the transport's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from attrs import define, frozen

from modelplex.errors import LimitReached
from modelplex.mcp.calls import Calls
from modelplex.mcp.changes import KINDS, Changes, honoured
from modelplex.mcp.guest_view import View
from modelplex.mcp.listed import LISTS, Listed, bounded, referred
from modelplex.mcp.parked import Asked
from modelplex.mcp.parking import Parking
from modelplex.mcp.url_asked import url_asked
from modelplex.mcp.view import Offer, Offers
from modelplex.tools import Caller, ToolServerError
from modelplex.wire.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    Note,
    Params,
    Result,
    RpcError,
)
from modelplex.wire.mcp.envelope import LEVELS, SERVER, Envelope, meta_of
from modelplex.wire.mcp.revisions import MODERN, negotiated
from modelplex.wire.mcp.shapes import not_found, told, told_error

Clean: TypeAlias = Callable[[str], str]
"""A server's text without what a guest must not get."""

_MAY_ASK = ("tools/call", "resources/read", "prompts/get")


@frozen
class _Request:
    """What a client asks; `caller` is its side of it."""

    method: str
    params: Params
    caller: Caller
    version: str

    @property
    def is_modern(self) -> bool:
        return self.version in MODERN

    def text(self, key: str) -> str:
        """A parameter that is required; raises `RpcError`."""
        value = self.params.get(key)
        if not isinstance(value, str):
            raise RpcError(INVALID_PARAMS, f"{key} is required")
        return value

    def object(self, key: str) -> Mapping[str, Any]:
        """A parameter that is an object, or absent; raises `RpcError`."""
        value = self.params.get(key)
        if value is not None and not isinstance(value, Mapping):
            raise RpcError(INVALID_PARAMS, f"{key} is not an object")
        return value or {}


class NoSuchMethod(RpcError):
    """The revision that the client speaks has no such method, or we do not."""

    def __init__(self) -> None:
        super().__init__(METHOD_NOT_FOUND, "Method not found")


def as_it_is(text: str) -> str:
    """Leave `text` unaltered."""
    return text


@define(eq=False)
class Endpoint:
    """
    All servers that one guest may use, or one of them, without a transport.

    :ivar view: what of all servers it shows.
    :ivar stamp: our ``serverInfo``.
    """

    view: View
    _calls: Calls
    _parking: Parking
    stamp: Mapping[str, Any]
    _clean: Clean = as_it_is

    @property
    def guest(self) -> str:
        """Whose it is."""
        return self.view.guest

    def initialize(self, params: Params) -> dict[str, Any]:
        """
        The answer to a legacy client's first request.

        :raises RpcError: it says no version (-32602).
        """
        asked = params.get("protocolVersion")
        if not isinstance(asked, str):
            raise RpcError(INVALID_PARAMS, "protocolVersion is required")
        return {
            "protocolVersion": negotiated(asked),
            "serverInfo": dict(self.stamp),
            **self._introduced(),
        }

    async def request(
        self, method: str, params: Params, caller: Caller, version: str
    ) -> Result:
        """
        The answer to any request but those that belong to a connection.

        :param version: the revision that the client speaks.
        :raises RpcError: there is none.

        Cancelling cancels whatever is done for it.
        """
        if version not in MODERN or method not in _MAY_ASK:
            return await self._told(_Request(method, params, caller, version))
        found = await self._parking.run(
            self.view.scope,
            method,
            params,
            caller,
            lambda parked: self._told(_Request(method, params, parked, version)),
        )
        if isinstance(found, Asked):
            return self._asked(found.result)
        return found

    def watch(self, tell: Callable[[Note], None]) -> Changes:
        """Tell a legacy client of every change, and of resources it subscribes to."""
        return Changes(self.view, tell, frozenset(KINDS))

    def listen(
        self, envelope: Envelope, params: Params, tell: Callable[[Note], None]
    ) -> Changes:
        """
        Tell a modern client of the changes that it asks for.

        What it is told may precede what `tell` hears first.

        :raises RpcError: it asks for what cannot be (-32602).
        """
        wanted = honoured(params.get("notifications"), self.view)
        changes = Changes(self.view, tell, wanted.kinds, wanted.told)
        changes.subscribe_all(wanted.uris)
        return changes

    async def _told(self, request: _Request) -> Result:
        """The answer in the client's own revision."""
        method, version = request.method, request.version
        offer: Offer | None = None
        try:
            if method in _MAY_ASK:
                key = "uri" if method == "resources/read" else "name"
                offer = self.view.offers.current(method, request.text(key))
            result = await self._answered(request)
            if offer is None and method == "tools/call":  # known only since then
                offer = self.view.offers.tools.get(request.text("name"))
            tool = None if offer is None else offer.entry
            found = told(method, result, version, self.stamp, tool)
        except (ToolServerError, LimitReached) as e:
            raise RpcError(INTERNAL_ERROR, e.message) from None
        except NoSuchMethod:
            raise
        except RpcError as e:
            if request.is_modern:
                asked = url_asked(e, request.caller.capabilities)
                if asked is not None:
                    return self._asked(asked)
            if _is_missing(request, offer, e):
                raise not_found(request.text("uri"), version) from None
            raise told_error(method, e, version) from None
        if method == "resources/read" and request.is_modern and not found["contents"]:
            raise not_found(request.text("uri"), version)
        return found

    async def _answered(self, request: _Request) -> Result:
        caller, meta = request.caller, meta_of(request.params)
        match request.method:
            case "tools/call":
                name, arguments = request.text("name"), request.object("arguments")
                return await self._calls.call(self.view, name, arguments, caller, meta)
            case "prompts/get":
                name, arguments = request.text("name"), request.object("arguments")
                return await self._calls.get(self.view, name, arguments, caller, meta)
            case "resources/read":
                return await self._calls.read(
                    self.view, request.text("uri"), caller, meta
                )
            case "completion/complete":
                return await self._completed(request)
            case method if method in LISTS:
                return await self._listed(request, LISTS[method])
            case "server/discover" if request.is_modern:
                return {"supportedVersions": list(MODERN), **self._introduced()}
            case "ping" if not request.is_modern:
                return {}
            case "logging/setLevel" if not request.is_modern:
                # The level itself is known to the session, which is the transport's.
                if request.params.get("level") not in LEVELS:
                    raise RpcError(INVALID_PARAMS, "level: no such level")
                return {}
        raise NoSuchMethod

    def _introduced(self) -> dict[str, Any]:
        """What a client is told first; waits for no server, and starts them all."""
        self.view.begin()
        offers = self.view.offers
        known = self.view.is_known
        found: dict[str, Any] = {
            "capabilities": offers.capabilities() if known else Offers.anything()
        }
        instructions = offers.instructions(self._clean)
        return {**found, "instructions": instructions} if instructions else found

    async def _listed(self, request: _Request, listed: Listed) -> Result:
        if request.params.get("cursor") is not None:
            raise RpcError(INVALID_PARAMS, "cursor: there are no further pages")
        return listed(await self.view.settled(), request.version)

    async def _completed(self, request: _Request) -> Result:
        ref, argument = request.object("ref"), request.object("argument")
        if not isinstance(argument.get("name"), str):
            raise RpcError(INVALID_PARAMS, "argument: a name and a value are required")
        offers = await self.view.settled()
        offer, own = referred(offers, ref)
        if offer is None:
            raise RpcError(INVALID_PARAMS, "ref: there is no such thing")
        params: dict[str, Any] = {"ref": own, "argument": dict(argument)}
        if context := request.object("context"):
            params["context"] = context
        try:
            result = await self._calls.complete(offer, params, request.caller)
        except RpcError as e:
            if e.rpc_code != METHOD_NOT_FOUND:
                raise
            # This server has none, though another has.
            result = {"completion": {"values": []}}
        return bounded(result)

    def _asked(self, result: Mapping[str, Any]) -> dict[str, Any]:
        return {**result, "_meta": {SERVER: dict(self.stamp)}}


def _is_missing(request: _Request, offer: Offer | None, error: RpcError) -> bool:
    """Whether a modern server tells a legacy client that a resource does not exist."""
    return (
        request.method == "resources/read"
        and not request.is_modern
        and error.rpc_code == INVALID_PARAMS
        and offer is not None
        and offer.server.status.version in MODERN
    )
