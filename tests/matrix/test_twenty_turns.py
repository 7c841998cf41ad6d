"""A long conversation that moves to another provider and back, with its reasoning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.threads import deferToThread

from modelplex.testing.fakes.faults import Status
from modelplex.testing.fakes.house import House
from modelplex.testing.fakes.script import Call, Script
from modelplex.testing.fakes.speaker import Speaker
from modelplex.testing.fakes.upstream import Upstream
from modelplex.wire.gemini.dialect import GEMINI
from tests.matrix.asking import Ask, Guest
from tests.matrix.cases import THOUGHT, TOOLS
from tests.matrix.columns import COLUMNS, FURTHER, KEY, Column
from tests.matrix.guests import GUESTS

TURNS = 20
DOWN = range(6, 13)  # the turns in which the first provider is down
QUIET = 5  # every so many turns the model calls nothing, and the user speaks again

BY_NAME = {column.name: column for column in (*COLUMNS, *FURTHER)}
#: Two of one kind have each its own seals, like two accounts or routes of a vendor.
PAIRS = [
    ("anthropic", "gemini"),
    ("responses", "anthropic"),
    ("anthropic", "anthropic"),
    ("gemini", "gemini"),
    ("gemini", "responses"),
    ("anthropic-4.6", "anthropic-4.6"),
    ("responses", "responses"),
    ("anthropic", "openai"),
    ("gemini", "ollama"),
]


@define(eq=False)
class Talk:
    """
    A conversation of one guest with two providers.

    :ivar proved: how many calls of each came with a proof.
    """

    guest: Guest
    upstreams: dict[str, Upstream]
    columns: dict[str, Column]
    history: list[Any] = field(factory=list)
    proved: dict[str, int] = field(factory=lambda: {"a": 0, "b": 0})

    def take(self, turn: int) -> None:
        """One turn; whoever is up answers it."""
        quiet = turn % QUIET == QUIET - 1
        down = turn in DOWN
        calls = (
            () if quiet else (Call(f"call_{turn}", "weather", {"city": f"☃{turn}"}),)
        )
        script = Script(thinking=f"{THOUGHT} {turn}", calls=calls, again=True)
        for upstream in self.upstreams.values():
            upstream.script = script
        self.upstreams["a"].fault = Status(503, "busy") if down else None
        if turn % QUIET == 0:
            self.history += self.guest.user(f"Question {turn}")
        ask = Ask(stream=turn % 2 == 0, tools=TOOLS, thinks=True)
        said = self.guest.ask(self.history, ask, "fast")
        asked = self.guest.traffic.answered["modelplex-provider"]
        assert asked == ("b" if down else "a")
        self._understood(turn, asked)
        self.history += said.turn
        if quiet:
            said_back = f"result {turn - 1}"
            assert said.text.endswith(said_back) and said.ending == "stop"
            return
        assert [call.name for call in said.calls] == ["weather"]
        self.history += self.guest.results(said, [f"result {turn}"])
        self.proved[asked] += self._proves(asked)

    def _proves(self, asked: str) -> bool:
        """
        Whether the last call of a provider came with a proof of its reasoning.

        Where a turn was begun by another, a model that thinks for a budget cannot.
        """
        heard = self.upstreams[asked].posts()[-1].heard
        assert heard is not None
        signs = self.columns[asked].dialect.name == GEMINI.name
        return heard.thinks or signs

    def _understood(self, turn: int, asked: str) -> None:
        """The provider has heard the end, and got back all that it has proved."""
        request = self.upstreams[asked].posts()[-1]
        assert request.heard is not None
        if turn % QUIET == 0:
            assert request.heard.said == f"Question {turn}"
            assert request.heard.thinks, "it does not think any more"
        else:
            assert [text for _, text in request.heard.results] == [f"result {turn - 1}"]
        column = self.columns[asked]
        if column.proof:
            # Another's would have been refused; those beside calls are all its own.
            assert len(column.proofs(request.body)) >= self.proved[asked], turn


@pytest.mark.parametrize("make", [pytest.param(g.make, id=g.name) for g in GUESTS])
@pytest.mark.parametrize(("one", "other"), PAIRS)
async def test_20_turns_go_to_another_provider_and_return(
    house: House,
    fake: Callable[[Speaker], Upstream],
    make: Callable[[str], Guest],
    one: str,
    other: str,
) -> None:
    columns = {"a": BY_NAME[one], "b": BY_NAME[other]}
    upstreams = {name: fake(column.fake()) for name, column in columns.items()}
    config = "".join(
        column.provider(
            name, upstreams[name].url, f'{{ fast = "{column.model}" }}', priority
        )
        for priority, (name, column) in enumerate(columns.items())
    )
    house.open(config, {"KEY": KEY})

    def run() -> None:
        guest = make(house.socket)
        talk = Talk(guest, upstreams, columns)
        try:
            for turn in range(TURNS):
                talk.take(turn)
        finally:
            guest.close()

    await deferToThread(run)
