"""The official suite through the socket, with a backend of each era behind it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.conformance.suite import need, required, run

if TYPE_CHECKING:  # their imports must wait until the reactor is chosen
    from modelplex.testing.fakes.house import House
    from tests.conformance.forwarder import Forwarder

pytestmark = [pytest.mark.package_network, pytest.mark.timeout(300)]

FIXTURE = "modelplex.testing.fakes.mcp_fixture"
REQUIRED = {"2025-11-25": 30, "2026-07-28": 37}


@pytest_twisted.async_yield_fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A service that is still to be opened."""
    from twisted.internet import reactor

    from modelplex.testing.fakes.house import House

    one = House(tmp_path, reactor)
    yield one
    await one.close()


@pytest_twisted.async_yield_fixture
async def forwarder(house: House) -> AsyncIterator[Forwarder]:
    """Leads to the guest's socket."""
    from twisted.internet import reactor

    from tests.conformance.forwarder import Forwarder

    one = Forwarder(str(house.directory / "g" / "s"), reactor)
    one.listen()
    yield one
    await one.stop()


@pytest.mark.parametrize("backend", ["legacy", "modern"])
@pytest.mark.parametrize("revision", REQUIRED)
async def test_every_required_scenario_passes_through_the_socket(
    house: House, forwarder: Forwarder, tmp_path: Path, revision: str, backend: str
) -> None:
    need()
    wanted = required(revision)
    assert len(wanted) == REQUIRED[revision]
    # `auto`: the era of the backend is found out.
    house.open(
        # A tool that comes later would be kept from guests.
        f'[mcp]\nstate = "{tmp_path / "state"}"\npin = false\n'
        f'[[mcp.servers]]\nname = "fixture"\ncommand = "{sys.executable}"\n'
        f'args = ["-m", "{FIXTURE}", "--era", "{backend}"]\n'
        "interactive = true\nguest_roots = true\n",
        {},
    )
    url = f"http://localhost:{forwarder.port}/mcp/fixture"
    results = tmp_path / "results"
    results.mkdir()
    ran = await deferToThread(run, url, revision, results)
    failed = {name: ran.failed.get(name, ["not run"]) for name in wanted}
    for name in ran.passed:
        failed.pop(name, None)
    told = "\n".join(f"{name}: {'; '.join(why)}" for name, why in failed.items())
    assert not failed, f"{len(failed)} of {len(wanted)} scenarios failed\n{told}"
