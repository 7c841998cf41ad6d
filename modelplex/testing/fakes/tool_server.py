"""
A tool server in memory, which does what a test says: lists, answers, asks and fails.

What it is asked is in `asked`; what it does for it is in `script`, by method, or by
method and name. Without a script it answers as an obliging server would.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from attrs import define, evolve, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from zope.interface import implementer

from modelplex.interfaces import IToolServer, IToolServerWatcher
from modelplex.tools import (
    Caller,
    Listing,
    Question,
    ServerState,
    ServerStatus,
    ToolServerError,
)
from modelplex.wire.jsonrpc import METHOD_NOT_FOUND, Params, Result, RpcError

Act: TypeAlias = Callable[[Params, Caller], Awaitable[Result]]
"""What is done for a request."""


@frozen
class Request:
    """One request that the server was sent."""

    method: str
    params: Params
    caller: Caller


@implementer(IToolServer)
@define(eq=False)
class FakeToolServer:
    """
    A server under a test's control.

    :ivar listing: what it is known to offer.
    :ivar found: what `refresh` finds; as `listing` when it is ``None``. A failure is
        raised, and a Deferred is waited for.
    :ivar cancelled: the requests whose callers went away.
    :ivar running: how many requests wait for their answers.
    """

    name: str = "fake"
    listing: Listing = field(factory=Listing)
    status: ServerStatus = field(factory=lambda: _ready("2025-11-25"))
    script: dict[str | tuple[str, str], Act] = field(factory=dict)
    found: Listing | ToolServerError | Deferred[Listing] | None = None
    asked: list[Request] = field(factory=list)
    cancelled: list[Request] = field(factory=list)
    running: int = 0
    refreshed: int = 0
    restarted: int = 0
    stopped: bool = False
    watchers: list[IToolServerWatcher] = field(factory=list)

    async def request(self, method: str, params: Params, caller: Caller) -> Result:
        asked = Request(method, params, caller)
        self.asked.append(asked)
        self.running += 1
        try:
            return await self._act(method, params)(params, caller)
        except CancelledError:
            self.cancelled.append(asked)
            raise
        finally:
            self.running -= 1

    async def refresh(self) -> Listing:
        self.refreshed += 1
        found = self.found
        if isinstance(found, ToolServerError):
            raise found
        if isinstance(found, Deferred):
            found = await found
        if found is not None and found != self.listing:
            self.change(found)
        return self.listing

    async def offered(self) -> None:
        """Nothing: a test says what it offers."""

    def watch(self, watcher: IToolServerWatcher) -> None:
        self.watchers.append(watcher)

    def restart(self) -> None:
        self.restarted += 1

    async def stop(self) -> None:
        self.stopped = True

    def change(self, listing: Listing) -> None:
        """Offer something else from now on."""
        self.listing = listing
        for watcher in self.watchers:
            watcher.changed(self)

    def offer(self, *tools: Mapping[str, Any]) -> None:
        """Offer these tools from now on, and the rest as before."""
        self.change(evolve(self.listing, tools=tools))

    def speak(self, version: str) -> None:
        """Be a server that speaks that revision."""
        self.status = _ready(version)

    def touch(self, uri: str) -> None:
        """Say that a resource has changed."""
        for watcher in self.watchers:
            watcher.updated(self, uri)

    def set(self, method: str, act: Act, name: str | None = None) -> None:
        """Do `act` for `method`, or only where it is about `name`."""
        self.script[method if name is None else (method, name)] = act

    def methods(self) -> list[str]:
        """The methods that were asked for, in order."""
        return [one.method for one in self.asked]

    def _act(self, method: str, params: Params) -> Act:
        name = params.get("name", params.get("uri"))
        named = self.script.get((method, name)) if isinstance(name, str) else None
        return named or self.script.get(method) or _obliging(method)


def _ready(version: str) -> ServerStatus:
    return ServerStatus(ServerState.READY, version=version)


def tool(name: str, **more: Any) -> dict[str, Any]:
    """The definition of a tool that takes anything."""
    return {"name": name, "inputSchema": {"type": "object"}, **more}


def text(said: str, **more: Any) -> dict[str, Any]:
    """A result of one piece of text."""
    return {"content": [{"type": "text", "text": said}], **more}


def answers(result: Result) -> Act:
    """Answer `result` at once."""

    async def act(params: Params, caller: Caller) -> Result:
        return result

    return act


def fails(error: RpcError | ToolServerError) -> Act:
    """Fail with `error`."""

    async def act(params: Params, caller: Caller) -> Result:
        raise error

    return act


def waits(answer: Deferred[Any]) -> Act:
    """Answer when `answer` fires."""

    async def act(params: Params, caller: Caller) -> Result:
        return await answer

    return act


def hangs() -> Act:
    """Never answer; every request waits until it is cancelled."""

    async def act(params: Params, caller: Caller) -> Result:
        return await Deferred()

    return act


def asks(*rounds: Mapping[str, Question]) -> Act:
    """Ask the caller each of `rounds` in turn, then answer with what was answered."""

    async def act(params: Params, caller: Caller) -> Result:
        found = [dict(await caller.ask(questions)) for questions in rounds]
        return text(str(found), structuredContent={"answers": found})

    return act


def reports(*steps: tuple[float, float | None, str | None], log: str = "") -> Act:
    """Tell of progress, and of a line of its log, then answer."""

    async def act(params: Params, caller: Caller) -> Result:
        for progress, total, message in steps:
            caller.progressed(progress, total, message)
        if log:
            caller.logged("info", None, log)
        return text("done")

    return act


def _obliging(method: str) -> Act:
    async def act(params: Params, caller: Caller) -> Result:
        match method:
            case "tools/call":
                return text(
                    f"{params.get('name')}: {dict(params.get('arguments', {}))}"
                )
            case "resources/read":
                return {"contents": [{"uri": params.get("uri"), "text": "contents"}]}
            case "prompts/get":
                said = {"type": "text", "text": f"prompt {params.get('name')}"}
                return {"messages": [{"role": "user", "content": said}]}
            case "completion/complete":
                return {"completion": {"values": ["one", "two"]}}
            case "resources/subscribe" | "resources/unsubscribe":
                return {}
        raise RpcError(METHOD_NOT_FOUND, "Method not found")

    return act
