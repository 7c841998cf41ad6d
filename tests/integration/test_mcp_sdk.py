"""The official Python SDK over the real socket: both eras, with HTTP and without."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_twisted
from attrs import define, field

mcp = pytest.importorskip("mcp")

# What one revision has lost the others still have.
pytestmark = pytest.mark.filterwarnings(
    "ignore::mcp.shared.exceptions.MCPDeprecationWarning"
)

if TYPE_CHECKING:  # their imports must wait until the reactor is chosen
    from modelplex.surface.site import GuestSite
    from modelplex.testing.fakes.tool_server import FakeToolServer

#: Copies what it reads to a socket, and what that says to its output: ``nc -U``.
BRIDGE = """
import os, socket, sys, threading
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
def forth():
    while data := os.read(0, 65536):
        peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
threading.Thread(target=forth, daemon=True).start()
while data := peer.recv(65536):
    while data:
        data = data[os.write(1, data):]
"""
MODES = ["legacy", "2026-07-28", "auto"]
WAYS = ["http", "lines"]


@define(eq=False)
class Socket:
    """A guest's socket with one fake tool server behind it."""

    path: str
    server: FakeToolServer
    site: GuestSite
    told: list[Any] = field(factory=list)

    async def session(
        self, way: str, mode: str, act: Callable[[Any], Awaitable[Any]], **more: Any
    ) -> Any:
        """What `act` gives, in a thread of its own, for a client that is connected."""
        from twisted.internet.threads import deferToThread

        async def connected() -> Any:
            async with AsyncExitStack() as stack:
                to = await self._transport(way, stack)
                client = mcp.Client(to, mode=mode, **more)
                return await act(await stack.enter_async_context(client))

        return await deferToThread(lambda: asyncio.run(connected()))

    async def _transport(self, way: str, stack: AsyncExitStack) -> Any:
        if way == "lines":
            args = ["-c", BRIDGE, self.path]
            return mcp.StdioServerParameters(command=sys.executable, args=args)
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        uds = httpx2.AsyncHTTPTransport(uds=self.path)
        client = await stack.enter_async_context(httpx2.AsyncClient(transport=uds))
        return streamable_http_client("http://localhost/mcp", http_client=client)


@pytest_twisted.async_yield_fixture
async def socket(tmp_path: Path) -> AsyncIterator[Socket]:
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    from modelplex.surface.site import Limits
    from modelplex.testing.fakes import tool_server as fake
    from modelplex.testing.fakes.tool_site import guest_tools, tool_site
    from modelplex.tools import Listing, Question

    server = fake.FakeToolServer("one")
    form = {
        "message": "Who?",
        "requestedSchema": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
        },
    }
    asks = fake.asks({"who": Question("elicitation/create", form)})
    server.set("tools/call", asks, "asks")
    server.set(
        "tools/call", fake.reports((1, 3, "a"), (2, 3, "b"), log="said"), "reports"
    )
    server.set("tools/call", fake.hangs(), "hangs")
    names = ("plain", "asks", "reports", "hangs")
    server.listing = Listing(
        tools=tuple(fake.tool(name) for name in names),
        resources=({"uri": "test://a", "name": "a"},),
        prompts=({"name": "p"},),
        capabilities={
            "tools": {},
            "prompts": {},
            "resources": {"subscribe": True},
            "logging": {},
        },
    )
    tools = guest_tools([server], reactor)
    site = tool_site(tools, reactor, Limits())
    path = str(tmp_path / "guest.sock")
    port: Any = reactor.listenUNIX(path, site)  # type: ignore[attr-defined]
    yield Socket(path, server, site)
    await port.stopListening()
    site.abort_all()
    tools.close()
    for _ in range(100):
        if not site.connections and not server.running:
            break
        await deferLater(reactor, 0.01)
    assert site.connections == 0 and server.running == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", WAYS)
async def test_a_client_lists_calls_reads_and_gets(
    socket: Socket, way: str, mode: str
) -> None:
    async def act(client: Any) -> None:
        tools = (await client.list_tools()).tools
        assert [one.name for one in tools] == [
            *("one__plain", "one__asks", "one__reports", "one__hangs")
        ]
        found = await client.call_tool("one__plain", {"a": "\u2603"})
        assert found.content[0].text == "plain: {'a': '\u2603'}"
        read = await client.read_resource("test://a")
        assert read.contents[0].text == "contents"
        prompt = await client.get_prompt("one__p")
        assert prompt.messages[0].content.text == "prompt p"
        with pytest.raises(mcp.MCPError):
            await client.call_tool("one__none", {})
        if mode == "legacy":
            await client.send_ping()

    await socket.session(way, mode, act)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", WAYS)
async def test_a_client_is_asked(socket: Socket, way: str, mode: str) -> None:
    from mcp.types import ElicitResult

    async def answer(context: Any, params: Any) -> Any:
        socket.told.append(params.message)
        return ElicitResult(action="accept", content={"name": "Ada"})

    async def act(client: Any) -> None:
        found = await client.call_tool("one__asks", {})
        assert found.structured_content == {
            "answers": [{"who": {"action": "accept", "content": {"name": "Ada"}}}]
        }

    await socket.session(way, mode, act, elicitation_callback=answer)
    assert socket.told == ["Who?"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", WAYS)
async def test_a_client_hears_of_progress_and_logs(
    socket: Socket, way: str, mode: str
) -> None:
    logs: list[Any] = []

    async def logged(params: Any) -> None:
        logs.append(params.data)

    async def progressed(progress: float, total: Any, message: Any) -> None:
        socket.told.append((progress, total, message))

    async def act(client: Any) -> None:
        found = await client.call_tool("one__reports", {}, progress_callback=progressed)
        assert found.content[0].text == "done"

    more = {} if mode == "legacy" else {"log_level": "info"}
    await socket.session(way, mode, act, logging_callback=logged, **more)
    assert socket.told == [(1, 3, "a"), (2, 3, "b")] and logs == ["said"]


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_client_that_gives_up_cancels(
    socket: Socket, way: str, mode: str
) -> None:
    async def act(client: Any) -> None:
        with pytest.raises(mcp.MCPError):
            await client.call_tool("one__hangs", {}, read_timeout_seconds=0.3)
        found = await client.call_tool("one__plain", {})
        assert found.content

    await socket.session(way, mode, act)
    assert [one.params["name"] for one in socket.server.cancelled] == ["hangs"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_client_hears_that_lists_have_changed(socket: Socket, way: str) -> None:
    from twisted.internet import reactor

    from modelplex.testing.fakes import tool_server as fake

    async def heard(message: Any) -> None:
        socket.told.append(type(message).__name__)

    async def act(client: Any) -> None:
        await client.list_tools()
        await asyncio.sleep(0.2)  # its stream opens in the background
        reactor.callFromThread(socket.server.offer, fake.tool("new"))  # type: ignore[attr-defined]
        for _ in range(100):
            if socket.told:
                return
            await asyncio.sleep(0.05)

    await socket.session(way, "legacy", act, message_handler=heard)
    assert socket.told == ["ToolListChangedNotification"]
