"""A remote tool server in memory: the test plays it, request by request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from modelplex.mcp.remote import RemoteServer
from modelplex.mcp.remote_making import remote_server
from modelplex.mcp.remote_settings import RemoteSettings
from modelplex.testing.memory.upstream import Connection, Received, Upstreams
from modelplex.tools import Question, Silent

URL = "http+unix://%2Fserver/mcp"
INFO = {"name": "modelplex", "version": "1"}
TOOL = {"name": "echo", "inputSchema": {"type": "object"}}
RESULT = {"content": [{"type": "text", "text": "hello"}]}


@define(eq=False)
class Asked:
    """One request that the server got, and its answer."""

    connection: Connection
    received: Received

    @property
    def message(self) -> dict[str, Any]:
        """Its message; empty when it has no body."""
        body = self.received.body
        found: dict[str, Any] = json.loads(body) if body else {}
        return found

    @property
    def what(self) -> str:
        """Its JSON-RPC method, or else that of HTTP."""
        return str(self.message.get("method") or self.received.method)

    def header(self, name: str) -> str | None:
        """The header `name`, which is in lower case; ``None`` without one."""
        return next(iter(self.received.header(name)), None)

    def status(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer with a status."""
        self.connection.answer(body, status, **headers)

    def answer(self, result: Mapping[str, Any], **headers: str) -> None:
        """Answer with a result."""
        body = {"jsonrpc": "2.0", "id": self.message["id"], "result": result}
        self.connection.answer(json.dumps(body).encode(), 200, **headers)

    def fail(self, code: int, status: int = 200, **more: Any) -> None:
        """Answer with an error."""
        error = {"code": code, "message": "no", **more}
        body = {"jsonrpc": "2.0", "id": self.message.get("id"), "error": error}
        self.connection.answer(json.dumps(body).encode(), status)

    def begin(self) -> None:
        """Begin a stream."""
        self.connection.begin()

    def say(self, **message: Any) -> None:
        """Say a message in the stream."""
        text = json.dumps({"jsonrpc": "2.0", **message})
        self.connection.chunk(f"data: {text}\n\n".encode())

    def result(self, result: Mapping[str, Any]) -> None:
        """Say the answer, and end the stream."""
        self.say(id=self.message["id"], result=result)
        self.connection.finish()


@define(eq=False)
class Guest(Silent):
    """
    A caller that remembers what it was told, and answers what it is asked.

    :ivar answers: to questions, by method; a `Deferred` for later.
    """

    guest: str = "guest"
    capabilities: Mapping[str, Any] = field(
        factory=lambda: {"elicitation": {}, "sampling": {}}
    )
    log_level: str | None = "info"
    heard: list[Any] = field(factory=list)
    asked: list[Mapping[str, Question]] = field(factory=list)
    answers: dict[str, Any] = field(factory=dict)

    def progressed(
        self, progress: float, total: float | None, message: str | None
    ) -> None:
        self.heard.append((progress, total, message))

    def logged(self, level: str, logger: str | None, data: Any) -> None:
        self.heard.append((level, data))

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Any]:
        self.asked.append(questions)
        found = {}
        for key, question in questions.items():
            answer = self.answers[question.method]
            found[key] = await answer if isinstance(answer, Deferred) else answer
        return found


@define(eq=False)
class Played:
    """
    A `RemoteServer` and the server that it talks to.

    :ivar pending: requests that are not answered yet.
    """

    settings: RemoteSettings = field(factory=lambda: RemoteSettings("r", URL))
    reactor: Any = field(factory=MemoryReactorClock)
    upstreams: Upstreams = field(init=False)
    server: RemoteServer = field(init=False)
    pending: list[Asked] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.upstreams = Upstreams(self.reactor)
        self.server = remote_server(self.settings, self.reactor, INFO)

    def turn(self) -> None:
        """Let everything happen that needs no time."""
        for _ in range(4):
            self.reactor.advance(0)
            for attempt in self.upstreams.waiting():
                self.upstreams.connections.append(attempt.accept())
            for connection in self.upstreams.connections:
                for received in connection.requests():
                    self.pending.append(Asked(connection, received))

    def asked(self, what: str) -> Asked:
        """The request that is under way: its method, JSON-RPC's or else HTTP's."""
        self.turn()
        found = [one for one in self.pending if one.what == what]
        assert found, f"{what} is not among {[one.what for one in self.pending]}"
        self.pending.remove(found[0])
        return found[0]

    def idle(self) -> list[str]:
        """What is under way."""
        self.turn()
        return [one.what for one in self.pending if one.connection.open]

    def call(
        self, caller: Silent | None = None, method: str = "tools/call", **params: Any
    ) -> tuple[Deferred[Any], list[Any]]:
        """Make a call; by default of the tool ``echo``."""
        if method == "tools/call":
            params = {"name": "echo", "arguments": {}, **params}
        told: list[Any] = []
        work = self.server.request(method, params, caller or Silent("guest"))
        calling = Deferred.fromCoroutine(work)
        calling.addBoth(told.append)
        return calling, told

    def meet_modern(self, tools: list[Any] | None = None, **capabilities: Any) -> None:
        """Be a modern server until it has been met."""
        self.asked("server/discover").answer(
            {
                "resultType": "complete",
                "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}, **capabilities},
            }
        )
        self.list(tools)

    def meet_legacy(self, session: str = "S", listens: bool = False) -> Asked | None:
        """Be a legacy server until it has been met; gives its GET if it `listens`."""
        if self.settings.protocol == "auto":
            self.asked("server/discover").status(400)
        self.initialize(session)
        stream = self.asked("GET")
        if listens:
            stream.begin()
        else:
            stream.status(405)
        self.list()
        return stream if listens else None

    def initialize(self, session: str = "S") -> None:
        """Answer the beginning of a session."""
        self.asked("initialize").answer(
            {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {"listChanged": True}},
                "serverInfo": {"name": "fake", "version": "1"},
            },
            mcp_session_id=session,
        )
        self.asked("notifications/initialized").status(202)

    def list(self, tools: list[Any] | None = None) -> None:
        """Answer the question for tools."""
        self.asked("tools/list").answer({"tools": [TOOL] if tools is None else tools})
        self.turn()

    def stop(self) -> None:
        """Stop it; nothing must be left."""
        stopping = Deferred.fromCoroutine(self.server.stop())
        self.turn()
        for one in self.pending:
            if one.connection.open and one.what == "DELETE":
                one.status(200)
        self.turn()
        assert stopping.called
        failed: list[Any] = []
        stopping.addErrback(failed.append)
        assert not failed, failed
        assert self.reactor.getDelayedCalls() == []
        assert self.upstreams.open == []
