"""Whose reasoning is whose, over conversations that move between providers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.events import (
    Event,
    Finished,
    FinishReason,
    Message,
    Part,
    RedactedThinking,
    Request,
    Role,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    ToolResult,
)
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.dialect import Dialect
from modelplex.wire.gemini.dialect import GEMINI
from modelplex.wire.gemini.signatures import UNCHECKED, wrap
from modelplex.wire.jsonobject import JsonObject, open_object
from modelplex.wire.openai.dialect import OPENAI_CHAT
from modelplex.wire.reasoning import Origin, ReasoningMemory
from modelplex.wire.responses.dialect import RESPONSES

A, B = Origin("a", "m"), Origin("b", "m")
STOP = Finished(FinishReason.TOOL_CALLS)
CALL, SECOND = ToolCall("c1", "f", "{}"), ToolCall("c2", "f", "{}")


def answered(memory: ReasoningMemory, origin: Origin, *events: Event) -> None:
    recorder = memory.recorder(origin)
    for event in events:
        recorder.saw(event)


def asking(*parts: Part) -> Request:
    hello = Message(Role.USER, (Text("Hi"),))
    results = tuple(
        ToolResult(part.id, (Text("ok"),))
        for part in parts
        if isinstance(part, ToolCall)
    )
    return Request(
        "m", (hello, Message(Role.ASSISTANT, parts), Message(Role.TOOL, results))
    )


def said(request: Request) -> tuple[Part, ...]:
    return request.messages[1].parts


THOUGHT = (
    ThinkingDelta("Hm"),
    ThinkingDelta("."),
    ThinkingSigned("c2ln"),
    TextDelta("Let"),
    TextDelta(" me."),
    ToolCallStarted(0, "c1", "f"),
    ThinkingRedacted("aGlk"),
    ToolCallStarted(1, "c2", "f"),
    STOP,
)


def test_reasoning_is_put_back_where_it_was() -> None:
    memory = ReasoningMemory()
    answered(memory, A, *THOUGHT)
    asked = asking(Thinking("Hm."), Text("Let me."), CALL, SECOND)
    assert said(memory.toward(A, asked)) == (
        Thinking("Hm.", "c2ln"),
        Text("Let me."),
        CALL,
        RedactedThinking("aGlk"),
        SECOND,
    )


def test_a_turn_without_its_ids_is_known_by_what_it_says() -> None:
    memory = ReasoningMemory()
    said_ids = (
        *(ThinkingDelta("Hm."), ThinkingSigned("c2ln"), ToolCallStarted(0, "c1", "f")),
        *(ToolCallDelta(0, '{"a":1,'), ToolCallDelta(0, '"b":2}'), STOP),
    )
    answered(memory, A, *said_ids)
    call = ToolCall("ours", "f", '{"b": 2, "a": 1}')
    asked = asking(Thinking("Hm."), call)
    assert said(memory.toward(A, asked)) == (Thinking("Hm.", "c2ln"), call)
    other = asking(Thinking("Hm."), ToolCall("ours", "f", '{"b":3,"a":1}'))
    assert memory.toward(A, other) == other
    assert memory.toward(B, asked) == asked


@pytest.mark.parametrize("origin", [B, Origin("a", "another")])
def test_reasoning_is_put_back_for_nobody_else(origin: Origin) -> None:
    memory = ReasoningMemory()
    answered(memory, A, *THOUGHT)
    asked = asking(Text("Let me."), CALL, SECOND)
    assert memory.toward(origin, asked) == asked


@pytest.mark.parametrize("calls", [(SECOND, CALL), (CALL,), (CALL, SECOND, SECOND)])
def test_a_turn_that_the_guest_has_changed_stays_as_it_is(
    calls: Sequence[ToolCall],
) -> None:
    memory = ReasoningMemory()
    answered(memory, A, *THOUGHT)
    assert memory.toward(A, asking(*calls)) == asking(*calls)


def test_an_answer_that_broke_off_is_not_remembered() -> None:
    memory = ReasoningMemory()
    answered(memory, A, *THOUGHT[:-1])
    assert said(memory.toward(A, asking(CALL, SECOND))) == (CALL, SECOND)


def test_proofs_are_taken_out_for_others_and_back_for_their_own() -> None:
    memory = ReasoningMemory()
    answered(memory, A, *THOUGHT)
    proven = (Thinking("Hm.", "c2ln"), CALL, RedactedThinking("aGlk"), SECOND)
    asked = asking(*proven)
    assert said(memory.toward(B, asked)) == (Thinking("Hm."), CALL, SECOND)
    assert memory.toward(A, asked) == asked


def test_a_proof_is_known_in_every_form_it_takes() -> None:
    memory = ReasoningMemory()
    memory.wrote("a", "c2ln")
    foreign = memory.others_wrote("b")
    assert foreign is not None
    assert foreign("responses:rs_1:c2ln") and foreign("gemini:call0:c2ln")
    assert not foreign("b3RoZXI=")


def test_what_nobody_is_known_to_have_written_goes_to_everybody() -> None:
    memory = ReasoningMemory()
    asked = asking(Thinking("Hm.", "b3RoZXI="), CALL)
    assert memory.toward(B, asked) is asked


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 40)), max_size=40))
def test_a_memory_is_bounded_and_the_oldest_is_forgotten_first(
    turns: list[tuple[int, int]],
) -> None:
    memory = ReasoningMemory(proofs=3, turns=4, bytes=600)
    for number, size in turns:
        proof = f"{number}" * size
        answered(
            memory,
            A,
            ThinkingDelta("x"),
            ThinkingSigned(proof),
            ToolCallStarted(0, f"call{number}", "f"),
            STOP,
        )
        assert len(memory._writers) <= 3
        assert len(memory._by_call) <= 4
        kept = sum(turn.size for turn in memory._by_call.values())
        assert kept == memory._size <= 600
        if size <= 40:
            asked = asking(ToolCall(f"call{number}", "f", "{}"))
            assert said(memory.toward(A, asked))[0] == Thinking("x", proof)


@pytest.mark.parametrize(
    "event",
    [
        ThinkingDelta("x" * 2000),
        ThinkingDelta(""),
        ThinkingSigned("x" * 2000),
        ThinkingRedacted(""),
        ToolCallStarted(0, "c1", "x" * 2000),
        ToolCallDelta(0, "x" * 2000),
        ToolCallDelta(0, ""),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_answer_that_is_longer_than_the_memory_is_given_up(event: Event) -> None:
    memory = ReasoningMemory(bytes=5000)
    recorder = memory.recorder(A)
    recorder.saw(ThinkingSigned("c2ln"))
    recorder.saw(ToolCallStarted(0, "c1", "f"))
    for _ in range(1000):
        recorder.saw(event)
        held = [*recorder._text, *recorder._thought, *recorder._layout]
        held += [a for _, said in recorder._called.values() for a in said]
        assert len(held) < 200 and sum(len(str(one)) for one in held) < 15_000
    recorder.saw(ThinkingSigned("bGF0ZQ"))
    recorder.saw(STOP)
    assert memory._by_call == {}
    # Who wrote its proofs is known all the same.
    for proof in ("c2ln", "bGF0ZQ"):
        assert said(memory.toward(B, asking(Thinking("", proof), CALL)))[0] == Thinking(
            ""
        )


def test_pieces_that_say_nothing_count_too() -> None:
    memory = ReasoningMemory(bytes=5000)
    memory.keep(A, (*[RedactedThinking("")] * 1000, "c1"))
    memory.keep(A, (*[""] * 1000, "c2"))
    assert memory._by_call == {}


# --- requests that are passed on ----------------------------------------------------

MESSAGES = {
    "model": "m",
    "thinking": {"type": "enabled", "budget_tokens": 2048},
    "messages": [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "aGlk"},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {"n": 1.50}},
            ],
        },
    ],
}
CHAT = {
    "model": "m",
    "messages": [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": "Yes",
            "reasoning_content": "Hm.",
            "reasoning_details": [{"type": "reasoning.text", "signature": "c2ln"}],
        },
    ],
}
ITEMS = {
    "model": "m",
    "input": [
        {"role": "user", "content": "Hi"},
        {"type": "reasoning", "id": "rs_1", "encrypted_content": "c2ln", "summary": []},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
    ],
}
CONTENTS = {
    "contents": [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {
            "role": "model",
            "parts": [
                {"text": "Hm.", "thought": True, "thoughtSignature": "c2ln"},
                {"text": "So:", "thoughtSignature": "c2ln"},
                {"functionCall": {"name": "f"}, "thought_signature": "c2ln"},
            ],
        },
    ],
}
BODIES: list[tuple[Dialect, dict[str, Any]]] = [
    (ANTHROPIC, MESSAGES),
    (OPENAI_CHAT, CHAT),
    (RESPONSES, ITEMS),
    (GEMINI, CONTENTS),
]


def opened(body: Any) -> JsonObject:
    return open_object(json.dumps(body).encode())


def without(dialect: Dialect, body: Any, memory: ReasoningMemory, to: str) -> Any:
    asked = opened(body)
    changes = dialect.without_foreign(asked, memory.others_wrote(to))
    return json.loads(asked.splice(changes))


@pytest.mark.parametrize(("dialect", "body"), BODIES)
def test_a_passed_request_keeps_its_own_proofs(dialect: Dialect, body: Any) -> None:
    memory = ReasoningMemory()
    memory.wrote("a", "c2ln")
    memory.wrote("a", "aGlk")
    memory.wrote("b", "b3RoZXI=")
    assert dialect.without_foreign(opened(body), memory.others_wrote("a")) == {}
    assert dialect.without_foreign(opened(body), None) == {}
    sent = json.dumps(without(dialect, body, memory, "b"))
    assert "c2ln" not in sent and "aGlk" not in sent


def test_what_is_left_of_a_passed_request_can_be_answered() -> None:
    memory = ReasoningMemory()
    memory.wrote("a", "c2ln")
    memory.wrote("a", "aGlk")
    sent = without(ANTHROPIC, MESSAGES, memory, "b")
    assert sent["thinking"] == {"type": "disabled"}
    [_, turn] = sent["messages"]
    assert turn["content"] == MESSAGES["messages"][1]["content"][2:]  # type: ignore[index]
    [_, turn] = without(OPENAI_CHAT, CHAT, memory, "b")["messages"]
    assert turn == {"role": "assistant", "content": "Yes"}
    kinds = [i.get("type") for i in without(RESPONSES, ITEMS, memory, "b")["input"]]
    assert kinds == [None, "function_call"]
    [_, turn] = without(GEMINI, CONTENTS, memory, "b")["contents"]
    assert turn["parts"] == [
        {"text": "So:"},
        {"functionCall": {"name": "f"}, "thought_signature": UNCHECKED},
    ]


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (ANTHROPIC, "gemini:call0:c2ln"),
        (ANTHROPIC, "responses:rs_1:c2ln"),
        (ANTHROPIC, "modelplex:0123"),
        (RESPONSES, "modelplex:signed:c2ln"),
        (GEMINI, wrap("c2ln")),
    ],
)
def test_a_proof_of_another_dialect_is_taken_out_without_any_memory(
    dialect: Dialect, body: str
) -> None:
    bodies = {one.name: found for one, found in BODIES}
    asked = json.loads(json.dumps(bodies[dialect.name]).replace("c2ln", body))
    changes = dialect.without_foreign(opened(asked), None)
    assert body not in json.dumps(json.loads(opened(asked).splice(changes)))
    assert changes
