"""What MCP is spoken about, in memory: a test answers what it is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred

from modelplex.tools import Caller
from modelplex.wire.jsonrpc import INVALID_PARAMS, Note, Params, Result, RpcError
from modelplex.wire.mcp.envelope import Envelope
from modelplex.wire.mcp.revisions import MODERN, negotiated

INFO = {"name": "fake", "version": "1"}
TOOL = {"name": "echo", "description": "Says it.", "inputSchema": {"type": "object"}}


@define(eq=False)
class Request:
    """Something that was asked and waits for the test to answer it."""

    method: str
    params: Params
    caller: Caller
    version: str
    waiting: Deferred[Result]
    cancelled: bool = False

    def answer(self, text: str = "done") -> None:
        """Answer with a tool's text."""
        self.waiting.callback({"content": [{"type": "text", "text": text}]})

    def fail(self, error: Exception) -> None:
        """Do not answer."""
        self.waiting.errback(error)


@define(eq=False)
class Watch:
    """Somebody who is told of changes."""

    _served: FakeServed
    tell: Callable[[Note], None]
    honoured: Mapping[str, Any] = field(factory=dict)
    uris: set[str] = field(factory=set)

    async def subscribe(self, uri: str, missing: RpcError) -> None:
        if not uri.startswith("test://"):
            raise missing
        self.uris.add(uri)

    async def unsubscribe(self, uri: str) -> None:
        self.uris.discard(uri)

    def stop(self) -> None:
        if self in self._served.watches:
            self._served.watches.remove(self)


@define(eq=False)
class FakeServed:
    """
    A `Served` with the tool ``echo``, and others that wait for `Request.answer`.

    :ivar requests: those that wait.
    :ivar watches: those who are told of changes.
    """

    guest: str = "default"
    stamp: Mapping[str, Any] = field(factory=lambda: INFO)
    requests: list[Request] = field(factory=list)
    watches: list[Watch] = field(factory=list)
    seen: list[tuple[str, str]] = field(factory=list)

    @property
    def last(self) -> Request:
        """What was asked last of all that waits."""
        return self.requests[-1]

    def change(self, kind: str = "tools") -> None:
        """Tell everybody that a list has changed."""
        for watch in list(self.watches):
            watch.tell(Note(f"notifications/{kind}/list_changed"))

    def update(self, uri: str) -> None:
        """Tell those who subscribed that a resource has changed."""
        for watch in list(self.watches):
            if uri in watch.uris:
                watch.tell(Note("notifications/resources/updated", {"uri": uri}))

    def initialize(self, params: Params) -> Result:
        if "protocolVersion" not in params:
            raise RpcError(INVALID_PARAMS, "protocolVersion is required")
        return {
            "protocolVersion": negotiated(params["protocolVersion"]),
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": INFO,
        }

    async def request(
        self, method: str, params: Params, caller: Caller, version: str
    ) -> Result:
        self.seen.append((method, version))
        match method:
            case "server/discover":
                return {"supportedVersions": list(MODERN), "resultType": "complete"}
            case "tools/list":
                return {"tools": [TOOL]}
            case "tools/call" if params.get("name") == "echo":
                said = params.get("arguments", {}).get("message", "")
                if not isinstance(said, str):
                    raise RpcError(INVALID_PARAMS, "message: a string is expected")
                return {"content": [{"type": "text", "text": f"Echo: {said}"}]}
            case "tools/call":
                return await self._asked(method, params, caller, version)
            case _:
                raise RpcError(-32601, "Method not found")

    def watch(self, tell: Callable[[Note], None]) -> Watch:
        watch = Watch(self, tell)
        self.watches.append(watch)
        return watch

    def listen(
        self, envelope: Envelope, params: Params, tell: Callable[[Note], None]
    ) -> Watch:
        wanted = params.get("notifications")
        if not isinstance(wanted, dict):
            raise RpcError(INVALID_PARAMS, "notifications is required")
        watch = self.watch(tell)
        watch.honoured = {k: v for k, v in wanted.items() if k == "toolsListChanged"}
        return watch

    async def _asked(
        self, method: str, params: Params, caller: Caller, version: str
    ) -> Result:
        request = Request(method, params, caller, version, Deferred())
        self.requests.append(request)
        try:
            return await request.waiting
        except BaseException:
            request.cancelled = True
            raise
        finally:
            self.requests.remove(request)
