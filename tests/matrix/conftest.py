"""A Modelplex in this process before fake upstreams, closed after each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_twisted

if TYPE_CHECKING:  # their imports must wait until the reactor is chosen
    from modelplex.testing.fakes.house import House
    from modelplex.testing.fakes.speaker import Speaker
    from modelplex.testing.fakes.upstream import Upstream


@pytest_twisted.async_yield_fixture
async def fake() -> AsyncIterator[Callable[[Speaker], Upstream]]:
    """Makes fake upstreams that listen."""
    from twisted.internet import reactor

    from modelplex.testing.fakes.upstream import Upstream

    made: list[Upstream] = []

    def make(speaker: Speaker) -> Upstream:
        one = Upstream(speaker)
        one.listen(reactor)
        made.append(one)
        return one

    yield make
    for one in made:
        await one.stop()


@pytest_twisted.async_yield_fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A service that is still to be opened; no key may be in what it logs."""
    from twisted.internet import reactor

    from modelplex.testing.fakes.house import House
    from tests.matrix.columns import KEY

    one = House(tmp_path, reactor)
    yield one
    await one.close()
    assert not any(KEY in line for line in one.log.texts)
