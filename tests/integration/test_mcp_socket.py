"""Lines and streams over a real socket: half-closed, hung up, and not read."""

from __future__ import annotations

import json
import socket as sockets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest_twisted
from attrs import define

if TYPE_CHECKING:  # their imports must wait until the reactor is chosen
    from modelplex.surface.site import GuestSite
    from modelplex.testing.fakes.tool_server import FakeToolServer

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


def call(name: str, id: int = 2) -> dict[str, Any]:
    params = {"name": f"one__{name}"}
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}


def encoded(*messages: object) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in messages)


def read_all(peer: sockets.socket) -> bytes:
    found = b""
    while data := peer.recv(65536):
        found += data
    return found


@define(eq=False)
class Place:
    """A guest's socket with one fake tool server behind it."""

    path: str
    server: FakeToolServer
    site: GuestSite

    async def peer(self, act: Callable[[sockets.socket], Any]) -> Any:
        """What `act` gives, in a thread of its own, for a new connection."""
        from twisted.internet.threads import deferToThread

        def acted() -> Any:
            with sockets.socket(sockets.AF_UNIX) as peer:
                peer.settimeout(20)
                peer.connect(self.path)
                return act(peer)

        return await deferToThread(acted)

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait for something that happens soon."""
        from twisted.internet import reactor
        from twisted.internet.task import deferLater

        for _ in range(500):
            if met():
                return
            await deferLater(reactor, 0.01)
        raise AssertionError("it has not happened")


@pytest_twisted.async_yield_fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    from twisted.internet import reactor

    from modelplex.surface.site import Limits
    from modelplex.testing.fakes import tool_server as fake
    from modelplex.testing.fakes.tool_site import guest_tools, tool_site
    from modelplex.tools import Listing

    server = fake.FakeToolServer("one")
    server.set("tools/call", fake.hangs(), "hangs")
    server.set("tools/call", fake.answers(fake.text("x" * 2**20)), "large")
    names = ("plain", "hangs", "large")
    server.listing = Listing(tools=tuple(fake.tool(name) for name in names))
    tools = guest_tools([server], reactor)
    site = tool_site(tools, reactor, Limits())
    path = str(tmp_path / "guest.sock")
    port: Any = reactor.listenUNIX(path, site)  # type: ignore[attr-defined]
    one = Place(path, server, site)
    yield one
    await port.stopListening()
    site.abort_all()
    tools.close()
    await one.until(lambda: site.connections == 0 and server.running == 0)


async def test_who_half_closes_is_answered_and_then_closed(place: Place) -> None:
    def act(peer: sockets.socket) -> bytes:
        peer.sendall(encoded(PING, call("plain")) + b'{"jsonrpc":"2.0","id":3,')
        peer.sendall(b'"method":"ping"}')  # the last line needs no end
        peer.shutdown(sockets.SHUT_WR)
        return read_all(peer)

    told = [json.loads(line) for line in (await place.peer(act)).splitlines()]
    assert [one["id"] for one in told] == [1, 2, 3]


async def test_a_half_closed_connection_waits_for_what_runs(place: Place) -> None:
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred

    from modelplex.testing.fakes import tool_server as fake

    answer: Deferred[Any] = Deferred()
    place.server.set("tools/call", fake.waits(answer), "plain")

    def act(peer: sockets.socket) -> bytes:
        peer.sendall(encoded(call("plain")))
        peer.shutdown(sockets.SHUT_WR)
        later = fake.text("late")
        late: Any = reactor
        late.callFromThread(late.callLater, 0.3, answer.callback, later)
        return read_all(peer)

    assert b"late" in await place.peer(act)


async def test_a_hang_up_cancels_even_after_half_a_close(place: Place) -> None:
    for half in (False, True):

        def act(peer: sockets.socket, half: bool = half) -> None:
            peer.sendall(encoded(call("hangs")))
            if half:
                peer.shutdown(sockets.SHUT_WR)
            while not place.server.running:
                pass

        await place.peer(act)
        await place.until(lambda: not place.server.running)
    assert len(place.server.cancelled) == 2


async def test_a_large_answer_arrives_whole_however_slowly_it_is_read(
    place: Place,
) -> None:
    def act(peer: sockets.socket) -> bytes:
        peer.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        asked = [call("large", id) for id in range(8)]
        peer.sendall(encoded(*asked))
        peer.shutdown(sockets.SHUT_WR)
        return read_all(peer)

    told = [json.loads(line) for line in (await place.peer(act)).splitlines()]
    assert sorted(one["id"] for one in told) == list(range(8))
    assert all(len(one["result"]["content"][0]["text"]) == 2**20 for one in told)


async def test_a_stopping_service_says_goodbye_to_lines(place: Place) -> None:
    from twisted.internet import reactor

    def act(peer: sockets.socket) -> bytes:
        peer.sendall(encoded(PING))
        peer.recv(65536)
        reactor.callFromThread(place.site.stop_keepalive)  # type: ignore[attr-defined]
        return read_all(peer)

    assert await place.peer(act) == b""


async def test_http_and_lines_live_on_one_socket(place: Place) -> None:
    def act(peer: sockets.socket) -> bytes:
        peer.sendall(
            b"POST /v1/tools/one__plain HTTP/1.1\r\nHost: x\r\n"
            b"Connection: close\r\nContent-Length: 9\r\n\r\n"
            b'{"a":"b"}'
        )
        return read_all(peer)

    assert (await place.peer(act)).endswith(b"plain: {'a': 'b'}\"}]}")
