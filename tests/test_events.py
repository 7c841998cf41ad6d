"""A reply is the events that stream it, and the other way round."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import UpstreamCut
from modelplex.events import (
    Cited,
    Event,
    Failed,
    Finished,
    FinishReason,
    Inline,
    Reply,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingSigned,
    TokenLogprobs,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
    gather,
    spread,
)
from modelplex.testing.strategies import reply_events

everything: dict[str, Any] = dict.fromkeys(
    [
        *("refusals", "thinking", "signatures", "custom"),
        *("interleaved", "citations", "logprobs"),
    ],
    True,
)
replies = reply_events(**everything)


@given(replies)
def test_a_reply_spread_out_and_gathered_is_the_same(events: list[Event]) -> None:
    reply = gather(events)
    assert gather(spread(reply)) == reply


@given(replies, st.data())
def test_how_a_text_was_cut_into_deltas_does_not_matter(
    events: list[Event], data: st.DataObject
) -> None:
    finer: list[Event] = []
    for event in events:
        if isinstance(event, TextDelta | ThinkingDelta):
            at = data.draw(st.integers(0, len(event.text)))
            finer += [type(event)(event.text[:at]), type(event)(event.text[at:])]
        else:
            finer.append(event)
    assert gather(finer) == gather(events)


def test_a_whole_reply_from_its_events() -> None:
    events: list[Event] = [
        Started("id", "m"),
        UsageReported(Usage(1, 0)),
        ThinkingDelta("h"),
        ThinkingDelta("m"),
        ThinkingSigned("s"),
        ThinkingDelta("more"),
        TextDelta("He"),
        TextDelta("y"),
        Cited({"n": 1}),
        ToolCallStarted(0, "a", "f"),
        ToolCallStarted(1, "b", "g", custom=True),
        ToolCallDelta(1, "x"),
        ToolCallDelta(0, "{"),
        ToolCallDelta(0, "}"),
        TextDelta("End"),
        TokenLogprobs((1, 2)),
        TokenLogprobs((3,)),
        Finished(FinishReason.STOP_SEQUENCE, "#"),
        UsageReported(Usage(1, 9)),
    ]
    assert gather(events) == Reply(
        "id",
        "m",
        (
            Thinking("hm", "s"),
            Thinking("more"),
            Text("Hey", citations=({"n": 1},)),
            ToolCall("a", "f", "{}"),
            ToolCall("b", "g", "x", custom=True),
            Text("End"),
        ),
        Finished(FinishReason.STOP_SEQUENCE, "#"),
        Usage(1, 9),
        (1, 2, 3),
    )


def test_a_broken_reply_raises_its_error() -> None:
    error = UpstreamCut("gone")
    with pytest.raises(UpstreamCut) as caught:
        gather([Started("id", "m"), TextDelta("Hi"), Failed(error)])
    assert caught.value is error


def test_no_repr_shows_what_was_sent() -> None:
    assert "c2VjcmV0" not in repr(Inline("image/png", "c2VjcmV0"))


def test_many_small_pieces_are_joined_once() -> None:
    # Joining at every piece would copy tens of gigabytes, and the test would time out.
    pieces = 200_000
    deltas: list[Event] = []
    for _ in range(pieces):
        deltas += [TextDelta("0123456789"), TokenLogprobs(({"token": "x"},))]
    [text] = gather(deltas).parts
    assert isinstance(text, Text)
    assert text.text == "0123456789" * pieces
