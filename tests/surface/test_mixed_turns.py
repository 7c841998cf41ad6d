"""What happened beside a guest's own calls, kept and put back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.events import (
    Audio,
    Document,
    FileId,
    Image,
    Inline,
    Message,
    Part,
    RedactedThinking,
    Refusal,
    Request,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from modelplex.surface.mixed_turns import MixedTurns

USER = Message(Role.USER, (Text("hello"),))


def kept(id: str, said: str = "x") -> tuple[Message, ...]:
    calls = (ToolCall("ours", "fs__read", "{}"), ToolCall(id, "weather", "{}"))
    result = ToolResult("ours", (Text(said),))
    return Message(Role.ASSISTANT, calls), Message(Role.TOOL, (result,))


def guests(*ids: str) -> Request:
    """What the guest goes on from."""
    calls = tuple(ToolCall(id, "weather", "{}") for id in ids)
    return Request("m", (USER, Message(Role.ASSISTANT, calls)))


def test_what_a_guest_does_not_know_is_put_back() -> None:
    turns = MixedTurns()
    turns.keep(("a",), kept("a"))
    restored = turns.restored(guests("a"))
    assert restored.messages == (USER, *kept("a"))
    assert turns.restored(guests("a")).messages == restored.messages  # and again


def test_a_turn_that_the_guest_has_changed_is_left_alone() -> None:
    turns = MixedTurns()
    turns.keep(("a", "b"), kept("a"))
    for asked in (guests("a"), guests("b", "a"), guests(), Request("m", (USER,))):
        assert turns.restored(asked) == asked


def test_a_turn_without_calls_of_the_guest_is_not_kept() -> None:
    turns = MixedTurns()
    turns.keep((), kept("a"))
    assert turns.restored(guests()) == guests()


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 400)), max_size=30))
def test_no_more_is_kept_than_may_be(turns: list[tuple[str, int]]) -> None:
    memory = MixedTurns(turns=3, bytes=2000)
    latest: dict[str, int] = {}
    for id, size in turns:
        memory.keep((id,), kept(id, "x" * size))
        latest.pop(id, None)
        latest[id] = size
    known = [id for id in latest if memory.restored(guests(id)) != guests(id)]
    assert len(known) <= 3
    assert sum(latest[id] + 4 for id in known) <= 2000
    assert known == list(latest)[len(latest) - len(known) :]


def test_what_is_too_large_is_not_kept() -> None:
    memory = MixedTurns(bytes=1000)
    memory.keep(("a",), kept("a", "x" * 1000))
    assert memory.restored(guests("a")) == guests("a")
    memory.keep(("a",), kept("a"))
    assert memory.restored(guests("a")) != guests("a")


LONG = "x" * 1000


@pytest.mark.parametrize(
    "part",
    [
        Text(LONG),
        Text("", citations=({"url": LONG},)),
        Refusal(LONG),
        Thinking("", LONG),
        RedactedThinking(LONG),
        ToolCall(LONG, "f", "{}"),
        ToolCall("b", LONG, "{}"),
        ToolResult(LONG, ()),
        Image(Inline("image/png", LONG)),
        Image(Url(LONG)),
        Document(FileId(LONG)),
        Document(Url("u"), title=LONG),
        Audio(LONG, "wav"),
    ],
    ids=lambda part: type(part).__name__,
)
def test_every_text_of_a_part_counts(part: Part) -> None:
    memory = MixedTurns(bytes=1000)
    memory.keep(("a",), (Message(Role.ASSISTANT, (part,)),))
    assert memory.restored(guests("a")) == guests("a")


def test_parts_that_say_nothing_count_too() -> None:
    memory = MixedTurns(bytes=1000)
    nothing = (RedactedThinking(""),) * 100
    memory.keep(("a",), (Message(Role.ASSISTANT, nothing),))
    assert memory.restored(guests("a")) == guests("a")
