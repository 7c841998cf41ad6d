"""A Modelplex in this process, and fake upstreams for it, closed after each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest_twisted

if TYPE_CHECKING:  # their imports must wait until the reactor is chosen
    from modelplex.testing.fakes.house import House
    from modelplex.testing.fakes.speaker import Speaker
    from modelplex.testing.fakes.upstream import Upstream


@pytest_twisted.async_yield_fixture
async def upstream() -> AsyncIterator[Callable[..., Upstream]]:
    """Makes fake upstreams that listen: ``upstream(speaker, fault=…)``."""
    from twisted.internet import reactor

    from modelplex.testing.fakes.upstream import Upstream

    made: list[Upstream] = []

    def make(
        speaker: Speaker, *, path: str | None = None, tls: Any = None, **more: Any
    ) -> Upstream:
        one = Upstream(speaker, **more)
        one.listen(reactor, path, tls)
        made.append(one)
        return one

    yield make
    for one in made:
        await one.stop()


@pytest_twisted.async_yield_fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A service that is still to be opened; no secret may be in what it logs."""
    from twisted.internet import reactor

    from modelplex.testing.fakes.house import House

    one = House(tmp_path, reactor)
    yield one
    await one.close()
    leaked = [line for line in one.log.texts if "sk-secret" in line]
    assert not leaked, leaked
