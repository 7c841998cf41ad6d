"""The ways to a tool that are compared: how each is opened, and how a call goes."""

from __future__ import annotations

import asyncio
import json
from itertools import count
from typing import Any, Protocol

from attrs import define, field, frozen

from benchmarks.client import Address, Connection

LEGACY, MODERN = "2025-11-25", "2026-07-28"
_CLIENT = {"name": "bench", "version": "1"}
_PREFIX = "io.modelcontextprotocol/"
_LINE = 1 << 20  # bytes


class CallFailed(Exception):
    """A call was not answered as it should be."""


class Calling(Protocol):
    """A client that is connected."""

    async def call(self, number: int) -> None:
        """
        Call the tool, and look whether it says `number`.

        :raises CallFailed: it does not.
        """

    async def close(self) -> None:
        """Hang up."""


class Way(Protocol):
    """How a tool is reached."""

    async def open(self) -> Calling:
        """Connect, and agree on what there is to agree on."""


def _mark(number: int) -> str:
    return f"said {number} so"


def _look(number: int, told: bytes) -> None:
    if _mark(number).encode() not in told:
        raise CallFailed(repr(told[:300]))


def _message(id: int, method: str, params: dict[str, Any]) -> bytes:
    asked = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
    return json.dumps(asked).encode()


def _initialize(id: int) -> bytes:
    params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": _CLIENT}
    return _message(id, "initialize", params)


_INITIALIZED = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'


@define(eq=False)
class _Lines:
    """Lines to and from a server, answered in any order."""

    tool: str
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    _process: asyncio.subprocess.Process | None = None
    _numbers: count[int] = field(factory=lambda: count(1))
    _waiting: dict[int, asyncio.Future[bytes]] = field(factory=dict)
    _reading: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        self._reading = asyncio.ensure_future(self._read())
        await self._ask("initialize")
        self._writer.write(_INITIALIZED + b"\n")

    async def call(self, number: int) -> None:
        _look(number, await self._ask("tools/call", _mark(number)))

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        self._writer.close()
        if self._process is not None:
            self._process.kill()
            await self._process.wait()

    async def _ask(self, method: str, text: str = "") -> bytes:
        id = next(self._numbers)
        if method == "initialize":
            line = _initialize(id)
        else:
            params = {"name": self.tool, "arguments": {"text": text}}
            line = _message(id, method, params)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[id] = answer
        self._writer.write(line + b"\n")
        return await answer

    async def _read(self) -> None:
        while line := await self._reader.readline():
            told = json.loads(line)
            waiting = self._waiting.pop(told.get("id"), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(line)
        for waiting in self._waiting.values():
            waiting.set_exception(CallFailed("the connection has ended"))


@frozen
class Pipes:
    """The server's own pipes; all callers share one process."""

    command: tuple[str, ...]
    tool: str

    async def open(self) -> Calling:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *self.command, stdin=pipe, stdout=pipe, limit=_LINE
        )
        assert process.stdin is not None and process.stdout is not None
        found = _Lines(self.tool, process.stdout, process.stdin, process)
        await found.begin()
        return found


@frozen
class SocketLines:
    """Lines over a UNIX socket; each caller has a connection."""

    path: str
    tool: str

    async def open(self) -> Calling:
        reader, writer = await asyncio.open_unix_connection(self.path, limit=_LINE)
        found = _Lines(self.tool, reader, writer)
        await found.begin()
        return found


@define(eq=False)
class _Http:
    """A connection that is kept open."""

    way: Http
    _connection: Connection
    _session: tuple[str, ...] = ()
    _numbers: count[int] = field(factory=lambda: count(1))

    async def begin(self) -> None:
        if self.way.kind != "legacy":
            return
        reply = await self._connection.ask(self._request(_initialize(0)))
        session = self._connection.header("mcp-session-id")
        if reply.status != 200:
            raise CallFailed(f"{reply.status} {reply.body[:300]!r}")
        version = f"mcp-protocol-version: {LEGACY}"
        self._session = (version, *([f"mcp-session-id: {session}"] if session else []))
        await self._connection.ask(self._request(_INITIALIZED))

    async def call(self, number: int) -> None:
        if not self._connection.open:
            self._connection = await self.way.address.connect()
        reply = await self._connection.ask(self._asked(_mark(number)))
        if reply.status != 200:
            raise CallFailed(f"{reply.status} {reply.body[:300]!r}")
        _look(number, reply.body)

    async def close(self) -> None:
        self._connection.close()

    def _asked(self, text: str) -> bytes:
        tool, arguments = self.way.tool, {"text": text}
        if self.way.kind == "rest":
            body = json.dumps(arguments).encode()
            return self._request(body, f"/v1/tools/{tool}")
        params: dict[str, Any] = {"name": tool, "arguments": arguments}
        more: tuple[str, ...] = ()
        if self.way.kind == "modern":
            params["_meta"] = {
                f"{_PREFIX}protocolVersion": MODERN,
                f"{_PREFIX}clientInfo": _CLIENT,
                f"{_PREFIX}clientCapabilities": {},
            }
            more = (
                f"mcp-protocol-version: {MODERN}",
                "mcp-method: tools/call",
                f"mcp-name: {tool}",
            )
        body = _message(next(self._numbers), "tools/call", params)
        return self._request(body, more=more)

    def _request(
        self, body: bytes, path: str = "", more: tuple[str, ...] = ()
    ) -> bytes:
        head = (
            f"POST {path or self.way.path} HTTP/1.1",
            "host: localhost",
            "content-type: application/json",
            "accept: application/json, text/event-stream",
            f"content-length: {len(body)}",
            *self._session,
            *more,
        )
        return "\r\n".join((*head, "", "")).encode() + body


@frozen
class Http:
    """
    HTTP; each caller has a connection, and a session where there are sessions.

    :ivar kind: ``legacy``, ``modern``, or ``rest``: plain JSON.
    """

    address: Address
    kind: str
    tool: str
    path: str = "/mcp"

    async def open(self) -> Calling:
        found = _Http(self, await self.address.connect())
        await found.begin()
        return found
