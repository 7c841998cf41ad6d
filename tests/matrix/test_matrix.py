"""Every official SDK before every upstream, unmodified, through one socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.threads import deferToThread

from modelplex.testing.fakes.azure import Azure
from modelplex.testing.fakes.house import House
from modelplex.testing.fakes.speaker import Speaker
from modelplex.testing.fakes.upstream import Upstream
from tests.matrix.asking import Guest
from tests.matrix.cases import CASES
from tests.matrix.cell import Cell, Refused
from tests.matrix.columns import COLUMNS, FURTHER, KEY, Column
from tests.matrix.guests import GUESTS
from tests.matrix.sdk_openai import OpenAIChat

_DEAD = "http://127.0.0.1:1"  # where nothing listens


def cells() -> Iterator[Any]:
    """Every cell that there is."""
    for guest in GUESTS:
        for column in (*COLUMNS, *FURTHER):
            for name, case in CASES.items():
                if case.suits(guest, column):
                    id = f"{guest.name}-{column.name}-{name}"
                    yield pytest.param(guest.make, column, name, id=id)


@pytest.mark.parametrize(("make", "column", "name"), list(cells()))
async def test_every_sdk_gets_what_it_asks_of_every_upstream(
    house: House,
    fake: Callable[[Speaker], Upstream],
    make: Callable[[str], Guest],
    column: Column,
    name: str,
) -> None:
    speaker = column.fake()
    if isinstance(speaker, Azure):
        # What the filter tells later comes without a delta, which the SDK's own
        # stream of a chat cannot read, with or without Modelplex.
        speaker.asynchronous = make is not OpenAIChat
    one = fake(speaker)
    names = f'{{ fast = "{column.model}", spare = "{column.model}" }}'
    dead = column.provider("dead", _DEAD, '{ spare = "gone" }', 0)
    house.open(dead + column.provider("p", one.url, names), {"KEY": KEY})

    def run() -> None:
        guest = make(house.socket)
        try:
            CASES[name].run(Cell(guest, column, one))
        except Refused:
            pass  # as declared
        finally:
            guest.close()

    await deferToThread(run)
