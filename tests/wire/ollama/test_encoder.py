"""Streams of Ollama as they are written, and read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import (
    GatewayError,
)
from modelplex.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Part,
    RefusalDelta,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    TokenLogprobs,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
    gather,
)
from modelplex.testing.strategies import chopped, reply_events
from modelplex.wire.dialect import Answering, Dialect
from modelplex.wire.ollama.dialect import OLLAMA, OLLAMA_GENERATE

GOLDEN = Path(__file__).parent.parent / "golden" / "ollama"
ASKED = Answering("gpt-4o", 1795338000)


def read(dialect: Dialect, *chunks: bytes) -> list[Event]:
    decoder = dialect.decoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.eof()


def write(dialect: Dialect, events: list[Event]) -> bytes:
    encoder = dialect.encoder(ASKED)
    return b"".join(map(encoder.encode, events)) + encoder.end()


def test_a_stream_full_of_everything_is_written() -> None:
    events: list[Event] = [
        Started("msg_1", "claude"),
        ThinkingDelta("hm"),
        ThinkingSigned("c2ln"),
        ThinkingRedacted("x"),
        TextDelta("Größe"),
        TokenLogprobs(({"token": "G", "logprob": -0.5},)),
        RefusalDelta(" I cannot."),
        ToolCallStarted(0, "call_1", "f"),
        ToolCallStarted(1, "call_2", "g"),
        ToolCallDelta(0, '{"x"'),
        ToolCallDelta(1, ""),
        ToolCallDelta(0, ":1.0}"),
        Finished(FinishReason.TOOL_CALLS),
        UsageReported(Usage(9, 4)),
    ]
    golden = (GOLDEN / "chat_stream_out.ndjson").read_bytes()
    assert write(OLLAMA, events) == golden


def test_fragments_of_a_call_are_held_until_it_is_whole() -> None:
    encoder = OLLAMA.encoder(ASKED)
    assert encoder.encode(ToolCallStarted(0, "call_1", "f")) == b""
    assert encoder.encode(ToolCallDelta(0, '{"a":')) == b""
    assert encoder.encode(ToolCallDelta(0, "1}")) == b""
    assert b'"arguments":{"a":1}' in encoder.end()


def test_no_client_finds_the_end_of_a_line_inside_of_one() -> None:
    odd = "a\u2028b\u2029c\u0085d\x1ee"
    events: list[Event] = [
        TextDelta(odd),
        ThinkingDelta(odd),
        ToolCallStarted(0, "i", "f"),
        ToolCallDelta(0, msgspec.json.encode({odd: odd}).decode()),
        Finished(FinishReason.TOOL_CALLS),
    ]
    wire = write(OLLAMA, events)
    assert len(wire.decode().splitlines()) == 4  # as the Python client does it
    assert gather(read(OLLAMA, wire)).parts[:2] == (Text(odd), Thinking(odd))
    assert write(OLLAMA, read(OLLAMA, wire)) == wire
    failed = OLLAMA.encoder(ASKED).fail(GatewayError(odd))
    assert len(failed.decode().splitlines()) == 1


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", {}),
        (" ", {}),
        ("null", {}),
        ('{"a":1}', {"a": 1}),
        ("[1]", {"_raw": "[1]"}),
        ('{"a":', {"_raw": '{"a":'}),
        ('{"a":1} x', {"_raw": '{"a":1} x'}),
        ("\ud800", {"_raw": "?"}),
        ('{"a":' * 3000 + "1" + "}" * 3000,) * 2,
    ],
)
def test_arguments_that_are_no_object_are_kept_raw(written: str, expected: Any) -> None:
    if isinstance(expected, str):
        expected = {"_raw": expected}
    wire = write(OLLAMA, [ToolCallStarted(0, "i", "f"), ToolCallDelta(0, written)])
    message = msgspec.json.decode(wire.splitlines()[0])["message"]
    assert message["tool_calls"][0]["function"]["arguments"] == expected


@pytest.mark.parametrize("reason", FinishReason)
def test_every_finish_is_a_reason_that_ollama_has(reason: FinishReason) -> None:
    line = msgspec.json.decode(write(OLLAMA, [Finished(reason)]))
    short = reason in (FinishReason.LENGTH, FinishReason.CONTEXT_WINDOW)
    assert line["done"] is True
    assert line["done_reason"] == ("length" if short else "stop")


@pytest.mark.parametrize("dialect", [OLLAMA, OLLAMA_GENERATE], ids=["chat", "generate"])
def test_a_failure_is_an_error_line_and_never_a_clean_end(dialect: Dialect) -> None:
    encoder = dialect.encoder(ASKED)
    wire = encoder.encode(TextDelta("Hi")) + encoder.fail(GatewayError("it broke"))
    *_, last = read(dialect, wire)
    assert wire.endswith(b'\n{"error":"it broke"}\n')
    assert isinstance(last, Failed)


def carried(events: list[Event]) -> list[Event]:
    """What Ollama can say of `events`: calls at the end, two counts."""
    calls = [e for e in events if isinstance(e, ToolCallStarted | ToolCallDelta)]
    found: list[Event] = [Started("", ASKED.model)]
    for event in events[1:]:
        match event:
            case ToolCallStarted() | ToolCallDelta():
                pass
            case TokenLogprobs(content):
                found.append(TokenLogprobs(tuple({"bytes": None} | c for c in content)))
            case UsageReported(usage):
                two = Usage(usage.input_tokens, usage.output_tokens)
                found.append(UsageReported(two))
            case Finished():
                found += [*calls, event]
            case _:
                found.append(event)
    return found


@given(
    events=reply_events(thinking=True, logprobs=True, interleaved=True),
    data=st.data(),
)
def test_a_chat_stream_comes_back_as_it_was_written(
    events: list[Event], data: st.DataObject
) -> None:
    pieces = data.draw(chopped(write(OLLAMA, events)))
    assert gather(read(OLLAMA, *pieces)) == gather(carried(events))


@given(events=reply_events(thinking=True, logprobs=True, tools=False))
def test_a_completion_comes_back_as_it_was_written(events: list[Event]) -> None:
    back = gather(read(OLLAMA_GENERATE, write(OLLAMA_GENERATE, events)))
    assert back == gather(carried(events))


@given(
    dialect=st.sampled_from([OLLAMA, OLLAMA_GENERATE]),
    events=reply_events(thinking=True, logprobs=True),
)
def test_a_whole_reply_comes_back_with_its_parts_in_one_order(
    dialect: Dialect, events: list[Event]
) -> None:
    reply = gather(carried(events))
    thoughts = "".join(p.text for p in reply.parts if isinstance(p, Thinking))
    words = "".join(p.text for p in reply.parts if isinstance(p, Text))
    calls = [p for p in reply.parts if isinstance(p, ToolCall)]
    expected: list[Part] = [Thinking(thoughts)] if thoughts else []
    expected += [Text(words)] if words else []
    back = dialect.decode_reply(dialect.encode_reply(reply, ASKED))
    assert back == evolve(reply, parts=(*expected, *calls))
