"""Reasoning that providers signed comes back to them, whatever the guest speaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from attrs import evolve

from modelplex.events import (
    Finished,
    FinishReason,
    Part,
    RedactedThinking,
    Reply,
    Request,
    Text,
    Thinking,
    ToolCall,
    spread,
)
from modelplex.testing import (
    oracle_anthropic,
    oracle_gemini,
    oracle_openai,
    oracle_responses,
)
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.dialect import Answering, Dialect
from modelplex.wire.gemini.dialect import GEMINI
from modelplex.wire.jsonobject import open_object
from modelplex.wire.openai.dialect import OPENAI_CHAT
from modelplex.wire.responses.dialect import RESPONSES

ANSWERING = Answering(model="m", created=1, include_usage=True, id="id_1")
GUESTS = (OPENAI_CHAT, RESPONSES, ANTHROPIC, GEMINI)
PROVIDERS = (RESPONSES, ANTHROPIC, GEMINI)
MODELS = {
    RESPONSES.name: "gpt-5",
    ANTHROPIC.name: "claude-opus-5-5",
    GEMINI.name: "gemini-3-pro",
}

#: What each provider's model thought, and the opaque words of it.
THOUGHTS: dict[str, tuple[tuple[Part, ...], tuple[str, ...]]] = {
    RESPONSES.name: (
        (
            Thinking("Hm.", "responses:rs_1:gAAAAA=="),
            RedactedThinking("responses:rs_2:gBBBBB=="),
        ),
        ('"rs_1"', '"gAAAAA=="', '"rs_2"', '"gBBBBB=="'),
    ),
    ANTHROPIC.name: (
        (Thinking("Hm.", "c2lnbmVk"), RedactedThinking("c2VhbGVk")),
        ('"c2lnbmVk"', '"c2VhbGVk"'),
    ),
    GEMINI.name: ((Thinking("Hm.", "gemini:call0:QUFBQUFB"),), ('"QUFBQUFB"',)),
}


def streamed(guest: Dialect, provider: Dialect, id: str) -> bytes:
    """A provider's answer that calls a tool, as `guest` is shown it."""
    thoughts, _ = THOUGHTS[provider.name]
    parts = (*thoughts, Text("Let me look."), ToolCall(id, "f", '{"a":"b"}'))
    reply = Reply(f"msg_{id}", "m", parts, Finished(FinishReason.TOOL_CALLS))
    encoder = guest.encoder(ANSWERING)
    return b"".join(map(encoder.encode, spread(reply))) + encoder.end()


# --- how a client of each dialect keeps a stream, and sends it back ---------


def openai_turn(stream: bytes, id: str) -> list[Any]:
    said = oracle_openai.accumulate_chat(stream, include_usage=True)
    kept = ("content", "reasoning_content", "reasoning_details", "tool_calls")
    message = {"role": "assistant", **{key: said[key] for key in kept}}
    return [message, {"role": "tool", "tool_call_id": id, "content": "ok"}]


def responses_turn(stream: bytes, id: str) -> list[Any]:
    result = {"type": "function_call_output", "call_id": id, "output": "ok"}
    return [*oracle_responses.accumulate(stream)["output"], result]


def anthropic_turn(stream: bytes, id: str) -> list[Any]:
    content = oracle_anthropic.read_message(stream)["content"]
    result = {"type": "tool_result", "tool_use_id": id, "content": "ok"}
    return [
        {"role": "assistant", "content": content},
        {"role": "user", "content": [result]},
    ]


def gemini_turn(stream: bytes, id: str) -> list[Any]:
    chunks = oracle_gemini.frames(stream)
    oracle_gemini.read_reply(chunks)
    said = [chunk["candidates"][0]["content"] for chunk in chunks]  # as its SDK does
    result = {"id": id, "name": "f", "response": {"output": "ok"}}
    return [
        *said,
        {"role": "user", "parts": [{"functionResponse": result}]},
    ]


KEPT: dict[str, tuple[str, Callable[[bytes, str], list[Any]], dict[str, Any]]] = {
    OPENAI_CHAT.name: ("messages", openai_turn, {"role": "user", "content": "Hi"}),
    RESPONSES.name: ("input", responses_turn, {"role": "user", "content": "Hi"}),
    ANTHROPIC.name: ("messages", anthropic_turn, {"role": "user", "content": "Hi"}),
    GEMINI.name: ("contents", gemini_turn, {"role": "user", "parts": [{"text": "Hi"}]}),
}


def sent_back(guest: Dialect, providers: Sequence[Dialect]) -> Request:
    """A conversation that was answered by one provider after another."""
    name, turn, hello = KEPT[guest.name]
    turns = [hello]
    for number, provider in enumerate(providers):
        turns += turn(streamed(guest, provider, f"call_{number}"), f"call_{number}")
    body = {"model": "m", "max_tokens": 2048, name: turns}
    return guest.decode_request(open_object(json.dumps(body).encode()))


def written(request: Request, provider: Dialect) -> tuple[str, tuple[str, ...]]:
    encoded = provider.encode_request(evolve(request, model=MODELS[provider.name]))
    return encoded.body.decode(), encoded.dropped


# Bytes of the guest's own dialect are not translated.
CELLS = [
    (guest, first, second)
    for guest in GUESTS
    for first in PROVIDERS
    for second in PROVIDERS
    if guest is not first and guest is not second
]


@pytest.mark.parametrize(("guest", "first", "second"), CELLS, ids=lambda d: d.name)
def test_every_provider_is_sent_its_own_reasoning_and_no_other(
    guest: Dialect, first: Dialect, second: Dialect
) -> None:
    request = sent_back(guest, (first, second, first))
    for provider in (first, second):
        body, dropped = written(request, provider)
        for other in (first, second):
            times = sum(other is one for one in (first, second, first))
            for opaque in THOUGHTS[other.name][1]:
                assert body.count(opaque) == (times if other is provider else 0)
        foreign = first is not second
        assert ("reasoning_content" in dropped) is foreign


@pytest.mark.parametrize(
    ("guest", "provider", "other"),
    [cell for cell in CELLS if cell[1] is not cell[2]],
    ids=lambda d: d.name,
)
def test_twenty_turns_between_two_providers_lose_nothing(
    guest: Dialect, provider: Dialect, other: Dialect
) -> None:
    turns = [provider if n % 3 else other for n in range(20)]
    request = sent_back(guest, turns)
    body, _ = written(request, provider)
    for opaque in THOUGHTS[provider.name][1]:
        assert body.count(opaque) == turns.count(provider)
    parts = [part for message in request.messages for part in message.parts]
    called = [part.id for part in parts if isinstance(part, ToolCall)]
    assert called == [f"call_{n}" for n in range(20)]
