"""What a guest is told of one answer of a model with the host's tools."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import UpstreamMalformed
from modelplex.events import (
    Cited,
    Event,
    Finished,
    FinishReason,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    TokenLogprobs,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
    gather,
)
from modelplex.surface import tool_round
from modelplex.surface.tool_forms import Source, ToolsWanted
from modelplex.surface.tool_round import Round, Told, added
from modelplex.surface.toolkit import Toolkit
from modelplex.testing.answered import reply_events
from modelplex.tools import HostTool

LONG = "x" * 2**20


def kit(ours: list[str], *, theirs: bool = True, shown: bool = False) -> Toolkit:
    tools = {name: HostTool(name, "fs", name, {}) for name in ours}
    wanted = ToolsWanted((Source(),), "tools", shown=shown)
    own = frozenset({Tool("own").name} if theirs else ())
    return Toolkit(wanted, tools, dict.fromkeys(tools, "host"), own)


@given(
    reply_events(thinking=True, signatures=True, interleaved=True, custom=True),
    st.data(),
)
def test_a_guest_is_told_all_but_the_calls_that_are_not_its_own(
    events: list[Event], data: st.DataObject
) -> None:
    starts = [event for event in events if isinstance(event, ToolCallStarted)]
    called = sorted({event.name for event in starts})
    ours = data.draw(st.lists(st.sampled_from(called), unique=True)) if called else []
    heard = Round(kit(ours), Told())
    told = [event for one in events for event in heard.heard([one])]
    # The history has everything, in its order.
    parts = gather(events).said
    names = [part.name for part in heard.parts if isinstance(part, ToolCall)]
    assert names == [part.name for part in parts if isinstance(part, ToolCall)]
    assert [type(part) for part in heard.parts] == [type(part) for part in parts]
    # The guest has the rest, and its calls are counted without gaps.
    assert _text(told) == _text(events)
    given_to_it = [event for event in told if isinstance(event, ToolCallStarted)]
    assert [event.index for event in given_to_it] == list(range(len(given_to_it)))
    theirs = [event.name for event in starts if event.name not in ours]
    assert [event.name for event in given_to_it] == theirs
    assert heard.has_theirs == bool(given_to_it)
    assert not any(isinstance(event, Finished) for event in told)
    made = heard.ours(heard.parts)
    assert [call.name for call in made] == [e.name for e in starts if e.name in ours]
    by_name = {p.name: p.arguments for p in parts if isinstance(p, ToolCall)}
    if len(by_name) == len(starts):
        assert {c.name: c.arguments for c in made}.items() <= by_name.items()


def _text(events: list[Event]) -> list[str]:
    """All that is neither a call nor an ending, in its order."""
    said = [event for event in events if not isinstance(event, Finished)]
    return [repr(e) for e in said if not isinstance(e, ToolCallStarted | ToolCallDelta)]


def test_rounds_are_told_as_one() -> None:
    told, seen = Told(), list[Event]()
    for number in (1, 2):
        heard = Round(kit(["f"]), told)
        seen += heard.heard(
            [
                Started(f"id_{number}", "m"),
                UsageReported(Usage(5, 0)),
                TextDelta(f"{number}"),
                TextDelta("!"),
                Finished(FinishReason.STOP),
                UsageReported(Usage(5, number)),
            ]
        )
        heard.end()
    reply = gather(seen)
    assert reply.id == "id_1" and len([e for e in seen if isinstance(e, Started)]) == 1
    assert [getattr(part, "text", "") for part in reply.parts] == ["1!\n\n2!"]
    assert reply.usage == told.usage == Usage(10, 3)


def test_where_calls_are_shown_nothing_is_put_between() -> None:
    told = Told(spoken=True)
    assert Round(kit([], shown=True), told).heard([TextDelta("a")]) == [TextDelta("a")]
    assert len(Round(kit([]), told).heard([TextDelta("a")])) == 2


@pytest.mark.parametrize("reason", [FinishReason.LENGTH, FinishReason.REFUSAL])
def test_calls_of_an_answer_that_was_cut_short_are_not_made(
    reason: FinishReason,
) -> None:
    heard = Round(kit(["f"]), Told())
    assert heard.heard([ToolCallStarted(0, "a", "f"), Finished(reason)]) == []
    assert heard.ours(heard.parts) == []


def test_an_answer_that_is_too_long_to_go_on_from_is_an_error() -> None:
    heard = Round(kit(["f"]), Told())
    piece = TextDelta("x" * (tool_round.LONGEST // 2 - 100))
    heard.heard([piece, piece])
    with pytest.raises(UpstreamMalformed):
        heard.heard([TextDelta("x" * 200)])


@pytest.mark.parametrize(
    "event",
    [
        ToolCallStarted(0, LONG, "f"),
        ToolCallStarted(0, "a", LONG),
        ToolCallDelta(0, LONG),
        RefusalDelta(LONG),
        ThinkingDelta(LONG),
        ThinkingSigned(LONG),
        ThinkingRedacted(LONG),
        Cited({"url": LONG}),
        TokenLogprobs(({"token": LONG},)),
    ],
    ids=lambda event: type(event).__name__,
)
def test_every_text_counts_towards_the_longest_answer(event: Event) -> None:
    heard = Round(kit([]), Told())
    heard.heard([ToolCallStarted(0, "a", "f")])
    with pytest.raises(UpstreamMalformed):
        for _ in range(tool_round.LONGEST // len(LONG) + 1):
            heard.heard([event])


def test_events_that_say_nothing_count_too() -> None:
    heard = Round(kit([]), Told())
    with pytest.raises(UpstreamMalformed):
        heard.heard([ThinkingRedacted("")] * 500_000)


def test_a_model_that_repeats_an_id_costs_no_more_than_one_that_does_not() -> None:
    # Counting from one each time would be 5,000,000,000 steps, and the test time out.
    told = Told()
    heard = Round(kit([]), told)
    heard.heard([ToolCallStarted(i, "same", "f") for i in range(100_000)])
    assert len(told.ids) == 100_000
    assert {"same", "same_2", "same_100000"} <= told.ids


def test_ids_are_made_different() -> None:
    told = Told()
    heard = Round(kit(["f"]), told)
    heard.heard([ToolCallStarted(0, "a", "f"), ToolCallStarted(1, "a", "f")])
    again = Round(kit(["f"]), told)
    again.heard([ToolCallStarted(0, "a", "f"), ToolCallStarted(1, "", "f")])
    ids = [p.id for p in (*heard.parts, *again.parts) if isinstance(p, ToolCall)]
    assert ids == ["a", "a_2", "a_3", "call"]


@given(st.builds(Usage, *[st.integers(0, 99)] * 5), st.builds(Usage))
def test_tokens_are_added(one: Usage, none: Usage) -> None:
    assert added(one, none) == one == added(none, one)
    assert added(one, one).input_tokens == 2 * one.input_tokens
