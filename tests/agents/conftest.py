"""A Modelplex in front of one scripted model, and a sandbox with its socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_twisted

if TYPE_CHECKING:  # their imports must wait until the reactor is chosen
    from modelplex.testing.fakes.house import House
    from modelplex.testing.fakes.script import Script
    from modelplex.testing.fakes.upstream import Upstream


@pytest_twisted.async_yield_fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A service that is still to be opened; no key may be in what it logs."""
    from twisted.internet import reactor

    from modelplex.testing.fakes.house import House
    from tests.agents.kinds import KEY

    directory = tmp_path / "house"
    directory.mkdir(mode=0o700)
    one = House(directory, reactor)
    yield one
    await one.close()
    assert not any(KEY in line for line in one.log.texts)


@pytest_twisted.async_yield_fixture
async def upstream(house: House) -> AsyncIterator[Callable[..., Upstream]]:
    """``upstream(kind, script, *models)`` opens the service in front of a fake."""
    from twisted.internet import reactor

    from modelplex.testing.fakes.upstream import Upstream
    from tests.agents.kinds import KEY, MODEL, SPEAKERS, provider

    made: list[Upstream] = []

    def make(kind: str, script: Script, *models: str) -> Upstream:
        one = Upstream(SPEAKERS[kind](KEY), script=script)
        made.append(one)
        one.listen(reactor)
        house.open(provider(kind, one.url, models or (MODEL,)), {"KEY": KEY})
        return one

    yield make
    await house.close()
    for one in made:
        await one.stop()
