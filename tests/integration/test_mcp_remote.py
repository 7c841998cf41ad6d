"""Remote tool servers on real sockets: fakes of every era, and the official SDKs."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater

from modelplex.secret import Secret
from modelplex.tools import ServerState, ToolServerError
from modelplex.wire.jsonrpc import RpcError

if TYPE_CHECKING:  # their imports must wait until the reactor is chosen
    from modelplex.mcp.remote import RemoteServer
    from modelplex.testing.fakes.mcp_http import FakeMcp

INFO = {"name": "modelplex", "version": "1"}
YES = {"action": "accept", "content": {"confirm": True}}
PYTHON_SDK = pytest.mark.skipif(find_spec("mcp") is None, reason="mcp is not installed")
NODE = Path(__file__).parents[2] / ".venv" / "node" / "node_modules" / ".bin"
EVERYTHING = shutil.which(
    "mcp-server-everything", path=f"{NODE}{os.pathsep}{os.environ['PATH']}"
)
ERAS = pytest.mark.parametrize("era", ["modern", "legacy"])
FIXTURE = """
import sys
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
server = MCPServer("fixture")
@server.tool()
def add(a: int, b: int) -> int:
    return a + b
@server.tool()
async def steps(ctx: Context) -> str:
    for number in range(3):
        await ctx.report_progress(number + 1, 3, str(number))
    return "done"
@server.resource("test://one")
def one() -> str:
    return "first"
server.run(sys.argv[2], port=int(sys.argv[1]))
"""


def echo(params: Mapping[str, Any]) -> Any:
    yield from ()
    said = params.get("arguments", {}).get("message", "")
    return {"content": [{"type": "text", "text": said}]}


def progress(params: Mapping[str, Any]) -> Any:
    token = params["_meta"]["progressToken"]
    for number in (1, 2):
        told = {"progressToken": token, "progress": number}
        yield {
            "jsonrpc": "2.0",
            "method": "notifications/progress",
            "params": told,
        }
    return {"content": []}


def asks(params: Mapping[str, Any]) -> Any:
    """Asks in the middle of its stream, as a legacy server does."""
    question = {"message": "Deploy?", "requestedSchema": {"type": "object"}}
    answer = yield {
        "jsonrpc": "2.0",
        "id": "srv-1",
        "method": "elicitation/create",
        "params": question,
    }
    return {"content": [{"type": "text", "text": json.dumps(answer["result"])}]}


def asks_first(params: Mapping[str, Any]) -> Any:
    """Answers with its question, as a modern server does."""
    yield from ()
    if "inputResponses" in params:
        assert params["requestState"] == "v1"
        said = json.dumps(params["inputResponses"]["ok"])
        return {"resultType": "complete", "content": [{"type": "text", "text": said}]}
    question = {"method": "elicitation/create", "params": {"message": "Deploy?"}}
    asked = {"inputRequests": {"ok": question}, "requestState": "v1"}
    return {"resultType": "input_required", **asked}


def tool(name: str, play: Any, **schema: Any) -> Any:
    return {"name": name, "inputSchema": {"type": "object", **schema}}, play


def fake(eras: str, **more: Any) -> FakeMcp:
    from modelplex.testing.fakes.mcp_http import FakeMcp

    marked = {"message": {"type": "string", "x-mcp-header": "Message"}}
    tools = {
        "echo": tool("echo", echo, properties=marked),
        "progress": tool("progress", progress),
        "asks": tool("asks", asks if eras == "legacy" else asks_first),
    }
    return FakeMcp(frozenset([eras]), tools, **more)


Met = Callable[..., Any]


@pytest_twisted.async_yield_fixture
async def met() -> AsyncIterator[Met]:
    """Makes servers for fakes, or URLs, that leave nothing behind."""
    from twisted.internet import reactor

    from modelplex.mcp.remote_making import remote_server
    from modelplex.mcp.remote_settings import RemoteSettings

    servers: list[RemoteServer] = []
    fakes: list[FakeMcp] = []

    def make(one: FakeMcp | str, path: str | None = None, **more: Any) -> RemoteServer:
        if not isinstance(one, str):
            one.listen(reactor, path)
            fakes.append(one)
            one = one.url
        server = remote_server(
            RemoteSettings("r", one, interactive=True, **more), reactor, INFO
        )
        servers.append(server)
        return server

    yield make
    for server in servers:
        await server.stop()
    for one in fakes:
        await one.stop()


def guest() -> Any:
    from modelplex.testing.memory.remote import Guest

    return Guest(answers={"elicitation/create": YES})


async def called(
    server: RemoteServer, name: str, caller: Any = None, **args: Any
) -> Any:
    params = {"name": name, "arguments": args}
    result = await server.request("tools/call", params, caller or guest())
    return result["content"][0]["text"] if result["content"] else None


async def until(true: Callable[[], Any], seconds: float = 5.0) -> None:
    from twisted.internet import reactor

    end = reactor.seconds() + seconds
    while not true():
        assert reactor.seconds() < end, "it did not become so"
        await deferLater(reactor, 0.01)


@ERAS
async def test_calls_progress_and_questions(era: str, met: Met) -> None:
    one, caller = fake(era), guest()
    server = met(one)
    assert [t["name"] for t in (await server.refresh()).tools] == list(one.tools)
    assert server.listing.instructions == "Be kind."
    assert await called(server, "echo", message=" é ") == " é "
    await called(server, "progress", caller)
    assert caller.heard == [(1, None, None), (2, None, None)]
    assert json.loads(await called(server, "asks", caller)) == YES
    assert server.status.state is ServerState.READY


@ERAS
async def test_it_is_the_same_over_a_unix_socket(
    era: str, met: Met, tmp_path: Path
) -> None:
    assert await called(met(fake(era), str(tmp_path / "s")), "echo", message="x") == "x"


async def test_the_oldest_servers_are_found_by_either_url(met: Met) -> None:
    server = met(fake("sse"))
    assert await called(server, "echo", message="x") == '{"message": "x"}'
    assert server.status.version == "2024-11-05"


@ERAS
async def test_faults_are_errors_and_the_next_call_is_well(era: str, met: Met) -> None:
    from modelplex.testing.fakes.mcp_answers import Fault

    one = fake(era)
    server = met(one, timeout=1.0)
    survived = {Fault.FORGET, Fault.REDIRECT} | (
        {Fault.PAUSE} if era == "legacy" else set()
    )
    for fault in Fault:
        if fault is Fault.FORGET and era == "modern":
            continue
        one.fault = fault
        if fault in survived:
            said = await called(server, "echo", message="m")
            assert said == ("late" if fault is Fault.PAUSE else "m")
        else:
            with pytest.raises(ToolServerError):
                await called(server, "echo", message="m")
        assert await called(server, "echo", message="n") == "n"
    assert server.status.restarts == (1 if era == "legacy" else 0)


@ERAS
async def test_giving_up_reaches_the_server(era: str, met: Met) -> None:
    from modelplex.testing.fakes.mcp_answers import Fault

    one = fake(era)
    server = met(one)
    await server.refresh()
    one.fault = Fault.DEAF
    calling = Deferred.fromCoroutine(called(server, "echo"))
    await until(lambda: "tools/call" in one.methods())
    calling.cancel()
    with pytest.raises(CancelledError):
        await calling
    await until(lambda: one.plays.gone)
    if era == "legacy":
        await until(lambda: "notifications/cancelled" in one.methods())


@ERAS
async def test_news_reach_the_watchers_also_after_a_cut(era: str, met: Met) -> None:
    one, changed, updated = fake(era), [], []

    class Watcher:
        def changed(self, server: Any) -> None:
            changed.append(len(server.listing.tools))

        def updated(self, server: Any, uri: str) -> None:
            updated.append(uri)

    server = met(one)
    await server.refresh()
    server.watch(Watcher())
    await server.request("resources/subscribe", {"uri": "x://1"}, guest())
    listens = ("subscriptions/listen", 2) if era == "modern" else ("GET", 1)
    await until(lambda: one.methods().count(listens[0]) == listens[1])
    for number in range(2):
        await until(lambda: one.listeners == 1)
        one.announce("notifications/resources/updated", uri="x://1")
        one.tools[f"new{number}"] = tool(f"new{number}", echo)
        one.announce("notifications/tools/list_changed")
        await until(lambda: len(changed) == number + 1)  # noqa: B023
        one.hang_up()
        await until(lambda: not one.listeners)
    assert changed == [4, 5]
    assert updated == ["x://1", "x://1"]


@ERAS
@pytest.mark.parametrize("way", ["client_secret_basic", "client_secret_post"])
async def test_a_token_is_fetched_kept_widened_and_fetched_anew(
    era: str, way: str, met: Met
) -> None:
    from modelplex.mcp.remote_settings import OAuthSettings
    from modelplex.testing.fakes.mcp_oauth import FakeAuthority

    authority = FakeAuthority(ways=(way,), scopes={"*": "mcp", "asks": "more"})
    one = fake(era, authority=authority)
    server = met(one, oauth=OAuthSettings("client-x", Secret("secret-x")))
    assert await called(server, "echo", message="x") == "x"
    assert [form["scope"] for form in authority.asked] == ["mcp"]
    assert authority.asked[0]["resource"] == one.url
    assert json.loads(await called(server, "asks")) == YES
    assert [form["scope"] for form in authority.asked] == ["mcp", "mcp more"]
    authority.revoke()
    assert await called(server, "echo", message="y") == "y"
    assert len(authority.asked) <= 4  # who listens needs one too
    authority.revoke()
    authority.secret = "another"  # of a fake
    with pytest.raises(ToolServerError, match="the operator was told"):
        await called(server, "echo")


async def test_a_server_that_wants_more_than_we_have_is_told_no(met: Met) -> None:
    from modelplex.testing.fakes.mcp_oauth import FakeAuthority

    with pytest.raises(ToolServerError, match="answered 401"):
        await met(fake("modern", authority=FakeAuthority())).refresh()


# --- the official servers


class Printing(ProcessProtocol):
    """A child until it has said that it listens."""

    def __init__(self, listens: bytes) -> None:
        self.listens, self.said = listens, b""
        self.ready: Deferred[None] = Deferred()
        self.ended: Deferred[None] = Deferred()

    def outReceived(self, data: bytes) -> None:
        self.said += data
        if self.listens in self.said and not self.ready.called:
            self.ready.callback(None)

    errReceived = outReceived

    def processEnded(self, reason: Any) -> None:
        self.ended.callback(None)
        if not self.ready.called:
            self.ready.errback(AssertionError(self.said.decode("utf-8", "replace")))


Official = Callable[..., Deferred[str]]


@pytest_twisted.async_yield_fixture
async def official() -> AsyncIterator[Official]:
    """Runs an official server; gives its origin."""
    from twisted.internet import reactor

    running: list[Any] = []

    async def run(listens: str, *command: str, **env: str) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        argv = [port if word == "PORT" else word for word in command]
        printing = Printing(listens.encode())
        process = reactor.spawnProcess(
            printing,
            argv[0],
            argv,
            env={"PATH": os.environ["PATH"], "PORT": port, **env},
        )
        running.append((process, printing))
        await printing.ready
        return f"http://127.0.0.1:{port}"

    yield run  # type: ignore[misc]
    for process, printing in running:
        process.signalProcess("KILL")
        await printing.ended


@PYTHON_SDK
@pytest.mark.parametrize("protocol", ["auto", "legacy"])
async def test_the_python_sdk(
    protocol: str, met: Met, official: Any, tmp_path: Path
) -> None:
    script = tmp_path / "fixture.py"
    script.write_text(FIXTURE)
    origin = await official(
        "Uvicorn running", sys.executable, str(script), "PORT", "streamable-http"
    )
    server, caller = met(f"{origin}/mcp", protocol=protocol), guest()
    assert await called(server, "add", a=2, b=3) == "5"
    assert await called(server, "steps", caller) == "done"
    assert [told[0] for told in caller.heard] == [1, 2, 3]
    found = await server.request("resources/read", {"uri": "test://one"}, guest())
    assert found["contents"][0]["text"] == "first"
    with pytest.raises(RpcError):
        await server.request("resources/read", {"uri": "test://none"}, guest())
    version = server.status.version
    assert version == ("2026-07-28" if protocol == "auto" else "2025-11-25")


@PYTHON_SDK
async def test_the_python_sdk_as_it_was_in_2024(
    met: Met, official: Any, tmp_path: Path
) -> None:
    script = tmp_path / "fixture.py"
    script.write_text(FIXTURE)
    origin = await official(
        "Uvicorn running", sys.executable, str(script), "PORT", "sse"
    )
    server, caller = met(f"{origin}/sse"), guest()
    assert await called(server, "add", a=2, b=3) == "5"
    assert await called(server, "steps", caller) == "done"
    assert len(caller.heard) == 3


@pytest.mark.skipif(EVERYTHING is None, reason="server-everything is not installed")
@pytest.mark.parametrize(
    ("kind", "listens", "path"),
    [("streamableHttp", "listening", "/mcp"), ("sse", "running", "/sse")],
)
async def test_the_typescript_sdk(
    kind: str, listens: str, path: str, met: Met, official: Any
) -> None:
    assert EVERYTHING is not None
    server = met(await official(listens, EVERYTHING, kind) + path)
    assert await called(server, "echo", message="x") == "Echo: x"
    caller = guest()
    args = {"duration": 0.2, "steps": 2}
    await called(server, "trigger-long-running-operation", caller, **args)
    assert [told[0] for told in caller.heard] == [1, 2]
    said = await called(server, "trigger-elicitation-request", caller)
    assert "provided the requested information" in said
