"""Real tool servers, all at once, for every kind of client over the socket."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_twisted
from attrs import evolve
from twisted.internet.threads import deferToThread

from tests.mcp_servers.asked import WAYS
from tests.mcp_servers.servers import TEXT, Ask, Server, need, servers

if TYPE_CHECKING:  # their imports must wait until the reactor is chosen
    from modelplex.testing.fakes.house import House

pytestmark = pytest.mark.package_network

INVALID_PARAMS = -32602


@pytest_twisted.async_yield_fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A service that is still to be opened."""
    from twisted.internet import reactor

    from modelplex.testing.fakes.house import House

    one = House(tmp_path, reactor)
    yield one
    await one.close()


def serve(house: House, found: list[Server], tmp_path: Path) -> None:
    configured = "".join(one.configured() for one in found)
    house.open(f'[mcp]\nstate = "{tmp_path / "state"}"\n{configured}', {})


@pytest.mark.parametrize("way", WAYS)
async def test_every_tool_is_listed_and_some_of_each_server_are_called(
    house: House, tmp_path: Path, way: str
) -> None:
    need()
    if way == "nc" and shutil.which("nc") is None:
        pytest.skip("nc is not installed")
    found = servers(tmp_path)
    serve(house, found, tmp_path)
    # Servers have ways of their own of saying that they have no such tool.
    unknown = Ask("no_such_tool", {}, 404 if way == "rest" else INVALID_PARAMS)
    asks = [(one.name, ask) for one in found for ask in (*one.asks, unknown)]
    calls = [(f"{name}__{ask.tool}", dict(ask.arguments)) for name, ask in asks]
    directory = tmp_path / "client"
    directory.mkdir()
    await settled(house, found)
    told = await deferToThread(WAYS[way], house.socket, calls, directory)

    listed = {one.name: 0 for one in found}
    for name in told["tools"]:
        listed[name.partition("__")[0]] += 1
    assert listed == {one.name: one.tools for one in found}
    for (name, ask), result in zip(asks, told["results"], strict=True):
        if isinstance(ask.says, int):
            assert result == {"code": ask.says}, (name, ask)
        else:
            assert ask.says in result.get("text", ""), (name, ask, result)
            assert result["failed"] is ask.failed, (name, ask, result)


@pytest.mark.parametrize("mode", ["legacy", "modern"])
async def test_a_server_that_asks_is_answered_by_a_client_of_either_era(
    house: House, tmp_path: Path, mode: str
) -> None:
    need()
    [everything] = [one for one in servers(tmp_path) if one.name == "everything"]
    serve(house, [evolve(everything, interactive=True)], tmp_path)
    await settled(house, [everything])
    calls = [
        ("everything__trigger-elicitation-request", {}),
        ("everything__trigger-sampling-request", {"prompt": TEXT}),
    ]
    way = WAYS[f"python-2-{mode}"]
    told = await deferToThread(way, house.socket, calls, tmp_path)
    assert "everything__trigger-elicitation-request" in told["tools"]
    elicited, sampled = told["results"]
    assert "Ada" in elicited["text"] and not elicited["failed"], elicited
    assert TEXT in sampled["text"] and not sampled["failed"], sampled


async def settled(house: House, found: list[Server]) -> None:
    """Wait until every server has said what it offers: nobody waits for the slow."""
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    wanted = {one.name for one in found}
    for _ in range(400):
        listed = (await house.answered("/v1/tools")).json()["data"]
        known = {one["name"].partition("__")[0] for one in listed}
        if known == wanted:
            return
        await deferLater(reactor, 0.05)
    raise AssertionError(f"not started: {wanted - known}")
