"""
A fake remote tool server on a real socket: every revision, and faults on purpose.

It is strict where the protocol is: a modern request whose headers and body differ, a
legacy one without its session, an answer that nobody asked for are all refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from attrs import define, field
from twisted.internet.defer import maybeDeferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from modelplex.testing.fakes.mcp_answers import (
    Fault,
    Tool,
    abort,
    as_json,
    begin,
    event,
    status,
    text,
)
from modelplex.testing.fakes.mcp_oauth import FakeAuthority
from modelplex.testing.fakes.mcp_plays import Plays
from modelplex.wire.jsonrpc import RpcError
from modelplex.wire.mcp.envelope import opened
from modelplex.wire.mcp.headers import check, check_marked, check_single, marked

LEGACY = "2025-11-25"


@define(eq=False)
class FakeMcp:
    """
    One server.

    :ivar eras: those it speaks: ``modern``, ``legacy`` (Streamable HTTP), ``sse``.
    :ivar tools: by name: its definition, and what it does.
    :ivar fault: of the next call of a tool only.
    :ivar received: methods and messages with their headers, oldest first.
    :ivar plays: its tools at work.
    :ivar sessions: those that are known.
    """

    eras: frozenset[str] = frozenset(("modern", "legacy"))
    tools: dict[str, tuple[dict[str, Any], Tool]] = field(factory=dict)
    fault: Fault | None = None
    authority: FakeAuthority | None = None
    capabilities: dict[str, Any] = field(
        factory=lambda: {"tools": {"listChanged": True}}
    )
    received: list[tuple[str, dict[str, Any], dict[str, str]]] = field(factory=list)
    sessions: set[str] = field(factory=set)
    url: str = ""
    _reactor: Any = None
    _port: Any = None
    _site: Any = None
    _listeners: list[tuple[Request, Any]] = field(factory=list)
    plays: Plays = field(factory=Plays)
    _count: int = 0
    _open: set[Request] = field(factory=set)

    def listen(self, reactor: Any, path: str | None = None) -> None:
        """Serve on a free loopback port, or on the UNIX socket `path`."""
        self._reactor = reactor
        self._site = Site(_Root(self), timeout=None)
        self._site.noisy = False
        where = "/sse" if self.eras == {"sse"} else "/mcp"
        if path is not None:
            self._port = reactor.listenUNIX(path, self._site)
            origin = f"http+unix://{quote(path, safe='')}"
        else:
            self._port = reactor.listenTCP(0, self._site, interface="127.0.0.1")
            origin = f"http://127.0.0.1:{self._port.getHost().port}"
        self.url = origin + where
        if self.authority is not None:
            self.authority.origin = origin

    async def stop(self) -> None:
        """Close everything."""
        for request in list(self._open):
            abort(request)
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)

    def methods(self) -> list[str]:
        """What was asked for: the method, JSON-RPC's or else HTTP's."""
        return [message.get("method", method) for method, message, _ in self.received]

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def announce(self, method: str, **params: Any) -> None:
        """Tell everybody who listens."""
        for request, number in self._listeners:
            said: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
            meta = {"io.modelcontextprotocol/subscriptionId": number}
            said["params"] = {**params, **({} if number is None else {"_meta": meta})}
            request.write(event(said))

    def say(self, message: Mapping[str, Any]) -> None:
        """Send `message` to everybody who listens, as it is."""
        for request, _ in self._listeners:
            request.write(event(message))

    def hang_up(self) -> None:
        """End the streams of those who listen."""
        for request, _ in list(self._listeners):
            request.finish()

    # --- what comes in

    def render(self, request: Request) -> Any:
        """Answer one request."""
        headers = {
            k.decode().lower(): v[-1].decode("latin-1")
            for k, v in request.requestHeaders.getAllRawHeaders()
        }
        if self.authority is not None:
            found = self.authority.answer(request)
            if found is not None:
                return found
        body = request.content.read() if request.content is not None else b""
        message = json.loads(body) if body else {}
        if self.authority is not None:
            tool = message.get("params", {}).get("name")
            if self.authority.challenge(request, tool):
                return b""
        method = request.method.decode()
        self.received.append((method, message, headers))
        self._open.add(request)
        request.notifyFinish().addBoth(lambda _: self._closed(request))
        path = request.path.decode()
        if path in ("/sse", "/messages"):
            return self._old(request, method, message)
        if path not in ("/mcp", "/moved"):
            return status(request, 404)
        if method != "POST":
            return self._session(request, method, headers)
        if "_meta" in message.get("params", {}) and "modern" in self.eras:
            meta = message["params"]["_meta"]
            if any(key.startswith("io.modelcontextprotocol/") for key in meta):
                return self._modern(request, message)
        if "legacy" in self.eras:
            return self._legacy(request, message, headers)
        return status(request, 400)

    def _closed(self, request: Request) -> None:
        self._open.discard(request)
        self._listeners = [one for one in self._listeners if one[0] is not request]

    # --- the modern era

    def _modern(self, request: Request, message: dict[str, Any]) -> Any:
        id, method, params = message["id"], message["method"], message["params"]

        def lookup(name: str) -> Sequence[bytes]:
            return request.requestHeaders.getRawHeaders(name.encode()) or []

        try:
            check_single(lookup)
            check(lookup, method, params)
            opened(params)
            if method == "tools/call" and params["name"] in self.tools:
                schema = self.tools[params["name"]][0]["inputSchema"]
                check_marked(lookup, params.get("arguments"), marked(schema))
        except RpcError as e:
            error = {"code": e.rpc_code, "message": e.message, "data": e.data}
            return as_json(request, {"jsonrpc": "2.0", "id": id, "error": error}, 400)
        if method == "server/discover":
            versions = {"supportedVersions": ["2026-07-28"]}
            return self._result(request, id, {**versions, **self._about()})
        if method == "subscriptions/listen":
            begin(request)
            self._listeners.append((request, id))
            self.announce(
                "notifications/subscriptions/acknowledged",
                notifications=params["notifications"],
            )
            return NOT_DONE_YET
        if method == "tools/list":
            return self._result(request, id, self._listed())
        if method == "tools/call":
            return self._play(request, message)
        error = {"code": -32601, "message": "no such method"}
        return as_json(request, {"jsonrpc": "2.0", "id": id, "error": error}, 404)

    # --- the legacy era

    def _legacy(
        self, request: Request, message: dict[str, Any], headers: dict[str, str]
    ) -> Any:
        method = message.get("method")
        if method == "initialize":
            self._count += 1
            session = f"session-secret-{self._count}"
            self.sessions.add(session)
            request.setHeader("mcp-session-id", session)
            version = {"protocolVersion": LEGACY}
            return self._result(request, message["id"], {**version, **self._about()})
        session = headers.get("mcp-session-id", "")
        if self.fault is Fault.FORGET and method == "tools/call":
            self.fault = None
            self.sessions.clear()
        if session not in self.sessions:
            return status(request, 404 if session else 400)
        if headers.get("mcp-protocol-version") != LEGACY:
            return status(request, 400)
        if "id" not in message:
            return status(request, 202)
        if method is None:
            return self._answered(request, message)
        return self._legacy_method(request, message)

    def _legacy_method(self, request: Request, message: dict[str, Any]) -> Any:
        match message["method"]:
            case "tools/list":
                return self._result(request, message["id"], self._listed())
            case "tools/call":
                return self._play(request, message)
            case "ping" | "logging/setLevel" | "resources/subscribe":
                return self._result(request, message["id"], {})
        error = {"code": -32601, "message": "no such method"}
        return as_json(request, {"jsonrpc": "2.0", "id": message["id"], "error": error})

    def _session(self, request: Request, method: str, headers: dict[str, str]) -> Any:
        session = headers.get("mcp-session-id", "")
        if "legacy" not in self.eras:
            return status(request, 405)
        if session not in self.sessions:
            return status(request, 404 if session else 400)
        if method == "DELETE":
            self.sessions.discard(session)
            return status(request, 200)
        last = headers.get("last-event-id")
        begin(request)
        if last is not None:
            request.write(self.plays.kept.pop(last, b""))
            request.finish()
        else:
            self._listeners.append((request, None))
        return NOT_DONE_YET

    def _answered(self, request: Request, message: dict[str, Any]) -> Any:
        """The client has answered a question."""
        answering = self.plays.answered(message)
        if answering is None:
            return status(request, 400)
        self._reactor.callLater(0, answering)
        return status(request, 202)

    # --- 2024-11-05

    def _old(self, request: Request, method: str, message: dict[str, Any]) -> Any:
        if "sse" not in self.eras:
            return status(request, 404)
        if method == "GET":
            begin(request)
            request.write(b"event: endpoint\ndata: /messages?session=1\n\n")
            self._listeners.append((request, None))
            return NOT_DONE_YET
        if request.path == b"/sse":
            return status(request, 405)
        found: dict[str, Any] | None = None
        match message.get("method"):
            case "initialize":
                found = {"protocolVersion": "2024-11-05", **self._about()}
            case "tools/list":
                found = self._listed()
            case "tools/call":
                found = text(json.dumps(message["params"].get("arguments")))
        if found is not None:
            told = {"jsonrpc": "2.0", "id": message["id"], "result": found}
            self._reactor.callLater(0, self.say, told)
        return status(request, 202)

    # --- answers

    def _about(self) -> dict[str, Any]:
        about = {"serverInfo": {"name": "fake", "version": "1"}}
        return {"capabilities": self.capabilities, **about, "instructions": "Be kind."}

    def _listed(self) -> dict[str, Any]:
        return {"tools": [definition for definition, _ in self.tools.values()]}

    def _play(self, request: Request, message: dict[str, Any]) -> Any:
        fault, self.fault = self.fault, None
        known = self.tools.get(message["params"]["name"])
        return self.plays.called(request, message, known and known[1], fault)

    def _result(self, request: Request, id: Any, result: dict[str, Any]) -> Any:
        return as_json(request, {"jsonrpc": "2.0", "id": id, "result": result})


class _Root(Resource):
    """All paths of one server."""

    isLeaf = True

    def __init__(self, fake: FakeMcp) -> None:
        super().__init__()
        self._fake = fake

    def render(self, request: Request) -> Any:
        return self._fake.render(request)
