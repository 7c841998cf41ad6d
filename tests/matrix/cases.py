"""The rows of the matrix: what is asked of every upstream by every SDK."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from attrs import evolve, frozen

from modelplex.testing.fakes.faults import Fault
from modelplex.testing.fakes.openai import vector_of
from modelplex.testing.fakes.script import Call, Script
from modelplex.wire.fidelity import Feature
from modelplex.wire.gemini.dialect import GEMINI
from modelplex.wire.ollama.dialect import OLLAMA
from tests.matrix.asking import PIXEL, Ask, Counts, Embeds, Tokens, Tool
from tests.matrix.cell import Cell, inbound
from tests.matrix.columns import COLUMNS, Chopped, Column
from tests.matrix.faults import breaks_off, fails_as_itself, survives_a_dead_provider
from tests.matrix.guests import Row

THOUGHT = "Hm, größer ☃? Let me see."
TEXTS = ("sunny, 3 °C ☃", "noon")
CALLS = (
    Call("call_1", "weather", {"city": "Köln ☃"}),
    Call("call_2", "clock", {"h": 24}),
)
TOOLS = (
    Tool(
        "weather",
        {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Where"}},
            "required": ["city"],
        },
    ),
    Tool("clock", {"type": "object", "properties": {"h": {"type": "integer"}}}),
)
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["name", "count"],
    "additionalProperties": False,
}
ODD = 'größe e\u0301 \u2028 \u0085 👩‍👩‍👧 \U0001d4b3 \\ " </s>'
WHOLE = frozenset({GEMINI.name, OLLAMA.name})  # where calls are never in pieces
_ALPHABET = str.maketrans("-_", "+/")
WORDS = " ".join(f"word{number}" for number in range(40))


@frozen
class Case:
    """
    A row.

    :ivar asks: what the guest's API needs a word for.
    :ivar needs: the method that the SDK needs.
    :ivar of: what is asked of an upstream that has not got everything.
    :ivar further: it is worth a look at `tests.matrix.columns.FURTHER`, too.
    """

    run: Callable[..., None]
    asks: Feature | None = None
    needs: str = "ask"
    of: Callable[[Column], bool] = lambda column: True
    further: bool = False

    def suits(self, guest: Row, column: Column) -> bool:
        """Whether there is such a cell."""
        return (
            self.asks not in inbound(guest.dialect.name).never
            and hasattr(guest.make, self.needs)
            and self.of(column)
            and (self.further or column in COLUMNS)
        )


def answers(cell: Cell, stream: bool) -> None:
    said = cell.ask(cell.guest.user("Hi there"), Ask(stream))
    assert (said.text, said.ending, said.calls) == (Script().text, "stop", ())
    assert (said.tokens.input, said.tokens.output) == (11, 7)
    assert said.pieces > 2 or not stream
    assert cell.heard.said == "Hi there"


def shown(cell: Cell) -> bool:
    """
    Whether the guest is shown what the model thinks.

    A chat has no word for wanting that; most models think aloud all the same, but a
    response tells of its reasoning only when it is asked to, which OpenAI refuses to
    organizations that it has not verified.
    """
    return (cell.guest.name, cell.column.name) != ("openai", "responses")


def proves(cell: Cell) -> bool:
    """
    Whether proofs of reasoning come back to who wrote them.

    Ollama's API has no place for them and its SDK drops the ids of calls; a turn is
    known again by what it thought and called.
    """
    return True


def calls_tools(cell: Cell, stream: bool, thinks: bool = False) -> None:
    """Parallel ones; then a second turn, with everything as the SDK has it."""
    cell.says(calls=CALLS, thinking=THOUGHT)
    ask = Ask(stream, tools=TOOLS, thinks=thinks)
    asked = cell.guest.user("Hi there")
    said = cell.ask(asked, ask)
    assert said.ending == "tool_calls"
    assert [(c.name, c.arguments) for c in said.calls] == [
        (c.name, c.arguments) for c in CALLS
    ]
    assert said.thinking == (THOUGHT if thinks and shown(cell) else "")
    ids = [call.id for call in said.calls]
    if cell.guest.keeps_ids and cell.column.ids:
        assert ids == ["call_1", "call_2"]
    elif cell.guest.keeps_ids:
        # Made here, for a guest that needs them.
        assert len(set(ids)) == 2 or cell.passed
    assert cell.heard.tools == ("weather", "clock")
    if stream and WHOLE.isdisjoint({cell.guest.name, cell.column.dialect.name}):
        assert said.pieces > 4, "the arguments came whole"

    results = cell.guest.results(said, TEXTS)
    again = cell.ask([*asked, *said.turn, *results], ask)
    assert [text for _, text in cell.heard.results] == list(TEXTS)
    told = [id for id, _ in cell.heard.results]
    if cell.guest.keeps_ids and cell.column.ids:
        assert told == ids
    assert again.text == f"{told[0]} said {TEXTS[0]}; {told[1]} said {TEXTS[1]}"
    assert again.ending == "stop"
    if thinks and cell.column.proof:
        assert bool(cell.proofs()) == proves(cell)
        assert cell.heard.thinks or not proves(cell)

    # And on, with the answer as a turn of its own.
    more = [*asked, *said.turn, *results, *again.turn, *cell.guest.user("And?")]
    cell.ask(more, ask)
    assert cell.heard.said == "And?"


def hides_thoughts(cell: Cell, stream: bool) -> None:
    """What only the upstream can read comes back to it all the same."""
    cell.says(calls=CALLS, thinking=THOUGHT, redacted=True)
    ask = Ask(stream, tools=TOOLS, thinks=True)
    asked = cell.guest.user("Hi there")
    said = cell.ask(asked, ask)
    assert said.thinking == ""
    cell.ask([*asked, *said.turn, *cell.guest.results(said, TEXTS)], ask)
    assert len(cell.proofs()) == proves(cell)
    assert cell.heard.thinks or not proves(cell)


def thinks_aloud(cell: Cell, stream: bool) -> None:
    cell.says(thinking=THOUGHT)
    asked = cell.guest.user("Hi there")
    said = cell.ask(asked, Ask(stream, thinks=True))
    assert (said.thinking, said.text) == (THOUGHT if shown(cell) else "", Script().text)
    cell.ask([*asked, *said.turn, *cell.guest.user("And?")], Ask(stream, thinks=True))
    assert cell.heard.thinks and cell.heard.said == "And?"


def shows_an_image(cell: Cell) -> None:
    cell.ask(cell.guest.user("What is this?", PIXEL), Ask())
    kind = "image/png" if cell.column.types else ""
    [(heard, image)] = cell.heard.images
    # Google's SDK writes the other alphabet of base64.
    assert (heard, image.translate(_ALPHABET)) == (kind, PIXEL)
    assert cell.heard.said == "What is this?"


def keeps_to_a_schema(cell: Cell, stream: bool) -> None:
    cell.says(text='{"name":"größe","count":3}')
    said = cell.ask(cell.guest.user("Count."), Ask(stream, schema=SCHEMA))
    assert json.loads(said.text) == {"name": "größe", "count": 3}
    assert cell.heard.schema == SCHEMA


def takes_a_long_system_prompt(cell: Cell) -> None:
    system = "Be brief ☃.\n" * 5000
    cell.ask(cell.guest.user("Hi there"), Ask(system=system))
    assert (cell.heard.system, cell.heard.said) == (system, "Hi there")


def carries_every_character(cell: Cell, stream: bool) -> None:
    cell.fake.speaker = Chopped(cell.fake.speaker)
    odd = ODD
    if cell.guest.name == cell.column.name == "ollama":
        # Its SDK takes them for ends of a line, with or without Modelplex.
        odd = ODD.translate(dict.fromkeys(map(ord, "\u2028\u0085")))
    cell.says(text=odd)
    said = cell.ask(cell.guest.user(ODD), Ask(stream))
    assert (said.text, cell.heard.said) == (odd, ODD)
    cell.says(calls=(Call("call_1", "weather", {"city": odd}),))
    said = cell.ask(cell.guest.user(ODD), Ask(stream, tools=TOOLS))
    assert [call.arguments for call in said.calls] == [{"city": odd}]


def stops(cell: Cell, stream: bool) -> None:
    said = cell.ask(cell.guest.user("Hi"), Ask(stream, stop=(" ☃", "never")))
    assert cell.heard.stop == (" ☃", "never")
    assert said.text == "Hello, größe"
    assert said.ending in ("stop", "stop_sequence")
    assert (said.ending == "stop_sequence") == (
        cell.guest.name == cell.column.name == "anthropic"
    )


def is_cut_short(cell: Cell, stream: bool) -> None:
    cell.says(text=WORDS)
    said = cell.ask(cell.guest.user("Hi"), Ask(stream, max_tokens=16))
    assert cell.heard.max_tokens == 16
    assert (said.text.split(), said.ending) == (WORDS.split()[:16], "length")


def counts_what_it_cost(cell: Cell, stream: bool) -> None:
    cell.says(thinking=THOUGHT, cached_tokens=4, thinking_tokens=3)
    said = cell.ask(cell.guest.user("Hi"), Ask(stream, thinks=True))
    told = {"cached": 4, "thinking": 3}
    for name, number in told.items():
        shown = name in cell.guest.shows and name in cell.column.tells
        assert (getattr(said.tokens, name) or 0) == (number if shown else 0), name
    assert evolve(said.tokens, cached=None, thinking=None) == Tokens(11, 7)


def embeds(cell: Cell) -> None:
    texts = ("a", "größe ☃")
    found = cast(Embeds, cell.guest).embed(texts, cell.fast)
    assert found == [vector_of(text, 3) for text in texts]
    # Which its SDK asks for unless it is told not to.
    assert (b'"base64"' in cell.guest.traffic.sent) == (cell.guest.name == "openai")


def counts_beforehand(cell: Cell) -> None:
    found = cast(Counts, cell.guest).count(cell.guest.user("Hi there"), cell.fast)
    assert found == 11 if cell.column.counts else 0 < found < 30


def lists_models(cell: Cell) -> None:
    assert {"fast", "spare"} <= set(cell.guest.models())


def _both(name: str, case: Case, **more: Any) -> dict[str, Case]:
    """The case whole and streamed."""
    return {
        name: evolve(case, run=partial(case.run, stream=False, **more)),
        f"{name}, streamed": evolve(case, run=partial(case.run, stream=True, **more)),
    }


def _encrypts(column: Column) -> bool:
    return column.name in ("anthropic", "responses")


def _embeds(column: Column) -> bool:
    return column.embeds


CASES: Mapping[str, Case] = {
    **_both("an answer", Case(answers, further=True)),
    **_both("tools", Case(calls_tools, Feature.TOOLS, further=True)),
    **_both("tools and thinking", Case(calls_tools, further=True), thinks=True),
    **_both("hidden thinking", Case(hides_thoughts, of=_encrypts)),
    **_both("thinking", Case(thinks_aloud, further=True)),
    "an image": Case(shows_an_image, Feature.IMAGE),
    **_both("a schema", Case(keeps_to_a_schema, Feature.JSON_SCHEMA)),
    "a long system prompt": Case(takes_a_long_system_prompt),
    **_both("every character", Case(carries_every_character)),
    **_both("stop", Case(stops, Feature.STOP)),
    **_both("a limit", Case(is_cut_short, Feature.MAX_TOKENS)),
    **_both("usage", Case(counts_what_it_cost)),
    **_both("429", Case(fails_as_itself, further=True), status=429),
    **_both("400", Case(fails_as_itself, further=True), status=400),
    **_both("401", Case(fails_as_itself, further=True), status=401),
    "an error in the middle": Case(
        partial(breaks_off, fault=Fault.ERROR_LATER), further=True
    ),
    "a cut in the middle": Case(
        partial(breaks_off, fault=Fault.CUT_LATER), further=True
    ),
    **_both("a dead provider", Case(survives_a_dead_provider)),
    "embeddings": Case(embeds, needs="embed", of=_embeds, further=True),
    "counting": Case(counts_beforehand, needs="count"),
    "models": Case(lists_models),
}
