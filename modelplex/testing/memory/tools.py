"""A guest's socket in memory with tools behind it, and what MCP says over it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import define, field
from twisted.internet.task import Clock

from modelplex.surface.site import GuestSite, Limits
from modelplex.surface.tools import GuestTools
from modelplex.testing.fakes.tool_site import tool_site
from modelplex.testing.memory.guest import Answered, Guest
from modelplex.testing.memory.served import FakeServed
from modelplex.wire import sse
from modelplex.wire.mcp.envelope import CAPABILITIES, CLIENT, LOG_LEVEL, VERSION
from modelplex.wire.mcp.headers import rendered
from modelplex.wire.mcp.revisions import LATEST_LEGACY, LATEST_MODERN

ACCEPT = "Accept: application/json, text/event-stream"
JSON = "Content-Type: application/json"


@define(eq=False)
class ToolHouse:
    """One guest's site with a fake behind ``/mcp`` and one behind ``/mcp/one``."""

    limits: Limits = field(factory=Limits)
    clock: Clock = field(factory=Clock)
    served: FakeServed = field(factory=FakeServed)
    one: FakeServed = field(factory=FakeServed)
    tools: GuestTools = field(init=False)
    site: GuestSite = field(init=False)

    def __attrs_post_init__(self) -> None:
        every: dict[str | None, FakeServed] = {None: self.served, "one": self.one}
        self.tools = GuestTools(every.get, self.clock)
        self.site = tool_site(self.tools, self.clock, self.limits)

    def guest(self) -> Guest:
        """A new connection."""
        return Guest(self.site, self.clock)

    def post(self, value: object, *headers: str, path: str = "/mcp") -> Guest:
        """Send `value` as a legacy client does, over a new connection."""
        guest = self.guest()
        guest.post(path, value, ACCEPT, JSON, *headers)
        return guest

    def modern(self, method: str, params: Mapping[str, Any], **more: Any) -> Guest:
        """Send a request as a modern client does, over a new connection."""
        guest = self.guest()
        value = enveloped(method, params, **more)
        guest.post("/mcp", value, ACCEPT, JSON, *header_lines(value))
        return guest

    def session(self, version: str = LATEST_LEGACY, **capabilities: Any) -> str:
        """Begin a session; gives the header that names it."""
        params = {"protocolVersion": version, "capabilities": capabilities}
        answer = self.post(call("initialize", params, id=0)).answer()
        assert answer.status == 200
        return f"Mcp-Session-Id: {answer.headers['mcp-session-id']}"

    def listen(self, session: str, *headers: str, path: str = "/mcp") -> Guest:
        """Open the stream of a session."""
        guest = self.guest()
        lines = [f"GET {path} HTTP/1.1", "Accept: text/event-stream", session, *headers]
        guest.send("\r\n".join([*lines, "", ""]).encode())
        return guest

    def nothing_is_left(self) -> None:
        """Fail unless everything that was begun has ended."""
        self.tools.close()
        self.site.abort_all()
        self.clock.advance(0)
        self.clock.advance(2)
        assert not self.served.requests and not self.served.watches
        assert not self.one.requests and not self.one.watches
        assert self.site.connections == 0
        assert self.clock.getDelayedCalls() == []


def call(method: str, params: Any = None, id: str | int = 1) -> dict[str, Any]:
    """A request."""
    found: dict[str, Any] = {"jsonrpc": "2.0", "id": id, "method": method}
    return found if params is None else {**found, "params": params}


def note(method: str, params: Any = None) -> dict[str, Any]:
    """A notification."""
    found: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    return found if params is None else {**found, "params": params}


def enveloped(
    method: str,
    params: Mapping[str, Any],
    id: str | int = 1,
    version: str = LATEST_MODERN,
    capabilities: Mapping[str, Any] | None = None,
    token: str | int | None = None,
    level: str | None = None,
) -> dict[str, Any]:
    """A request of the modern era."""
    meta: dict[str, Any] = {
        VERSION: version,
        CAPABILITIES: capabilities or {},
        CLIENT: {"name": "t", "version": "1"},
    }
    if token is not None:
        meta["progressToken"] = token
    if level is not None:
        meta[LOG_LEVEL] = level
    return call(method, {**params, "_meta": meta}, id)


def header_lines(value: Mapping[str, Any]) -> list[str]:
    """The headers that belong to a modern request."""
    params = value["params"]
    version = params["_meta"][VERSION]
    return [f"{k}: {v}" for k, v in rendered(version, value["method"], params)]


def told(answer: Answered) -> list[dict[str, Any]]:
    """Every message of a stream of events."""
    payloads = map(sse.data, sse.events(answer.body))
    return [json.loads(payload) for payload in payloads if payload]


def ids(answer: Answered) -> list[str]:
    """The id of every event that has one."""
    return [
        line.partition(":")[2].strip()
        for line in answer.body.decode().splitlines()
        if line.startswith("id:")
    ]


def lines(guest: Guest) -> list[dict[str, Any]]:
    """Every message of a connection that is not HTTP."""
    return [json.loads(line) for line in guest.wire.splitlines()]
