"""Streams of Ollama as they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import (
    UpstreamCut,
    UpstreamMalformed,
    UpstreamOverloaded,
)
from modelplex.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    ThinkingDelta,
    TokenLogprobs,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
    gather,
)
from modelplex.testing.strategies import chopped, json_values
from modelplex.wire.dialect import Dialect
from modelplex.wire.ollama.dialect import OLLAMA, OLLAMA_GENERATE

GOLDEN = Path(__file__).parent.parent / "golden" / "ollama"


def read(dialect: Dialect, *chunks: bytes) -> list[Event]:
    decoder = dialect.decoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.eof()


def said(text: str, **more: Any) -> bytes:
    line = {"model": "m", "message": {"content": text}, "done": False} | more
    return msgspec.json.encode(line) + b"\n"


def calls_in(events: list[Event]) -> list[ToolCall]:
    return [p for p in gather(events).parts if isinstance(p, ToolCall)]


DONE = b'{"model":"m","message":{"content":""},"done":true,"done_reason":"stop"}\n'


def test_a_stream_full_of_everything_is_read() -> None:
    events = read(OLLAMA, (GOLDEN / "chat_stream.ndjson").read_bytes())
    starts = [e for e in events if isinstance(e, ToolCallStarted)]
    made_up = [e.id for e in starts[1:]]
    assert events == [
        Started("", "qwen3:8b"),
        ThinkingDelta("The user "),
        ThinkingDelta("wants weather."),
        TextDelta("Größe 😀"),
        TokenLogprobs(
            (
                {
                    "token": "Größe",
                    "logprob": -0.25,
                    "bytes": [71, 114],
                    "top_logprobs": [
                        {"token": "Größe", "logprob": -0.25, "bytes": None},
                        {"token": "x", "logprob": -3, "bytes": None},
                    ],
                },
            )
        ),
        ToolCallStarted(0, "call_abc", "weather"),
        ToolCallDelta(0, '{"city":"Köln","days":1.50}'),
        ToolCallStarted(1, made_up[0], "weather"),
        ToolCallDelta(1, '{"city":"Bonn"}'),
        ToolCallStarted(2, made_up[1], "now"),
        ToolCallDelta(2, "{}"),
        Finished(FinishReason.TOOL_CALLS),
        UsageReported(Usage(5, 12)),
    ]
    assert all(id.startswith("call_") for id in made_up)
    assert len({"call_abc", *made_up}) == 3


def test_a_completion_is_read_from_generate() -> None:
    events = read(OLLAMA_GENERATE, (GOLDEN / "generate_stream.ndjson").read_bytes())
    assert events == [
        Started("", "codellama"),
        ThinkingDelta("hm"),
        TextDelta("a, b"),
        TextDelta("):"),
        Finished(FinishReason.LENGTH),
        UsageReported(Usage(0, 3)),
    ]


@given(name=st.sampled_from(["chat_stream", "generate_stream"]), data=st.data())
def test_chunking_never_matters(name: str, data: st.DataObject) -> None:
    dialect = OLLAMA if name == "chat_stream" else OLLAMA_GENERATE
    wire = (GOLDEN / f"{name}.ndjson").read_bytes()
    assert read(dialect, *data.draw(chopped(wire))) == read(dialect, wire)


def test_the_same_call_in_another_turn_has_another_id() -> None:
    def turn(created_at: str) -> str:
        call = {"function": {"name": "f", "arguments": {}}}
        line = said("", message={"tool_calls": [call]}, created_at=created_at)
        return calls_in(read(OLLAMA, line, DONE))[0].id

    assert turn("2026-11-22T09:00:00.1Z") == turn("2026-11-22T09:00:00.1Z")
    assert turn("2026-11-22T09:00:00.1Z") != turn("2026-11-22T09:00:00.2Z")


def test_an_id_that_comes_twice_is_kept_once() -> None:
    call = {"id": "same", "function": {"name": "f", "arguments": {}}}
    line = said("", message={"tool_calls": [call, call]})
    first, second = calls_in(read(OLLAMA, line, DONE))
    assert first.id == "same" != second.id


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (b"null", "{}"),
        (b'{ "a" : [ 1 , 2.0 ] }', '{"a":[1,2.0]}'),
        (b'"{\\"a\\": 1}"', '{"a": 1}'),
        (b"[1]", "[1]"),
        (b'{"big":123456789012345678901234567890}',) * 2,
        (b'{"u":"\\u00fc"}', '{"u":"\\u00fc"}'),
    ],
)
def test_arguments_are_kept_as_they_were_written(
    written: bytes, expected: str | bytes
) -> None:
    line = said("", message={"tool_calls": [{"function": {"name": "f"}}]}).replace(
        b'"name":"f"', b'"name":"f","arguments":' + written
    )
    text = expected.decode() if isinstance(expected, bytes) else expected
    assert calls_in(read(OLLAMA, line, DONE))[0].arguments == text


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"input": "select 1\n"}, "select 1\n"),
        ({"input": ""}, ""),
        ('{"input": "select 1"}', "select 1"),
        ("select 1", "select 1"),
        ({"sql": "select 1"}, '{"sql":"select 1"}'),
    ],
)
def test_a_custom_tool_is_known_by_its_name_and_unwrapped(
    written: Any, expected: str
) -> None:
    called = [
        {"id": id, "function": {"name": name, "arguments": written}}
        for id, name in (("a", "sql-freeform"), ("b", "sql-freeform-function"))
    ]
    wire = said("", message={"tool_calls": called}) + DONE
    custom, function = calls_in(read(OLLAMA, wire))
    assert custom == ToolCall("a", "sql", expected, custom=True)
    assert (function.name, function.custom) == ("sql-freeform", False)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("load", FinishReason.STOP),
        ("unload", FinishReason.STOP),
        ("", FinishReason.STOP),
        (None, FinishReason.STOP),
    ],
)
def test_every_done_reason_is_a_finish(
    reason: str | None, expected: FinishReason
) -> None:
    events = read(OLLAMA, said("", done=True, done_reason=reason))
    assert events[-2:] == [Finished(expected), UsageReported(Usage())]


def test_an_answer_cut_short_after_a_tool_call_is_no_tool_turn() -> None:
    call = {"function": {"name": "f", "arguments": {}}}
    line = said("", message={"tool_calls": [call]}, done=True, done_reason="length")
    assert Finished(FinishReason.LENGTH) in read(OLLAMA, line)


def test_nothing_follows_the_end() -> None:
    assert read(OLLAMA, said("a"), DONE + said("b"), said("c"), b"rubbish\n") == (
        read(OLLAMA, said("a"), DONE)
    )


def test_the_last_line_needs_no_line_end() -> None:
    assert read(OLLAMA, said("a") + DONE.strip()) == read(OLLAMA, said("a") + DONE)


@pytest.mark.parametrize(
    "wire",
    [b"", said("Hi"), said("Hi") + b'{"model":"m","mess', said("Hi").strip()],
    ids=["nothing", "after a line", "within a line", "at a line's end"],
)
def test_a_stream_without_its_end_is_a_cut(wire: bytes) -> None:
    last = read(OLLAMA, wire)[-1]
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamCut)


@pytest.mark.parametrize(
    "line",
    [
        b"<html><body>502</body></html>\n",
        b"[]\n",
        b"null\n",
        b'{"message":"text"}\n',
        b'{"message":{"content":1}}\n',
        b'{"message":{"tool_calls":[{"function":{}}]}}\n',
        b'{"message":{"content":"\xff"}}\n',
        b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":"\xff"}}]}}\n',
        b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"a":"\xff"}}}]}}\n',
        b'{"done":"yes"}\n',
        b'{"done":true,"eval_count":1.5}\n',
        b'{"a":\n',
        b'{"x":' + b"[" * 5000 + b"\n",
    ],
)
def test_a_bad_line_ends_the_stream_and_keeps_what_came_before(line: bytes) -> None:
    *before, last = read(OLLAMA, said("Hi") + line + said("more"))
    assert before == [Started("", "m"), TextDelta("Hi")]
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamMalformed)


@pytest.mark.parametrize("error", ["out of memory", {"message": "out of memory"}])
def test_an_error_line_fails_with_its_words(error: Any) -> None:
    line = msgspec.json.encode({"error": error}) + b"\n"
    for before in (b"", said("Hi")):
        *_, last = read(OLLAMA, before + line + said("more"))
        assert isinstance(last, Failed)
        assert isinstance(last.error, UpstreamOverloaded)
        assert last.error.message == "out of memory"


def test_a_stream_of_tool_calls_is_bounded() -> None:
    call = {"function": {"name": "f", "arguments": {}}}
    line = said("", message={"tool_calls": [call] * 500})
    last = read(OLLAMA, line * 3)[-1]
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamMalformed)


def test_an_endless_line_is_bounded() -> None:
    decoder = OLLAMA.decoder()
    events = decoder.feed(b'{"message":{"content":"' + b"a" * (16 * 2**20))
    assert isinstance(events[0], Failed)
    assert decoder.feed(DONE) == decoder.eof() == []


_WORDS = st.sampled_from(
    [
        "model",
        "message",
        "content",
        "thinking",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "done",
        "done_reason",
        "eval_count",
        "logprobs",
        "error",
        "id",
        "response",
        "token",
        "logprob",
        "top_logprobs",
        "bytes",
        "prompt_eval_count",
    ]
)
_ODD_LINES = st.recursive(
    st.one_of(json_values(2), st.just("x"), st.just(True), st.just(1)),
    lambda inner: st.one_of(
        st.dictionaries(_WORDS, inner, max_size=6), st.lists(inner, max_size=2)
    ),
    max_leaves=12,
).map(lambda value: msgspec.json.encode(value) + b"\n")


@given(
    dialect=st.sampled_from([OLLAMA, OLLAMA_GENERATE]),
    chunks=st.lists(
        st.one_of(
            st.binary(max_size=20),
            _ODD_LINES,
            st.sampled_from([said("Hi"), DONE, b"\n", b'{"error":"x"}\n']),
        ),
        max_size=8,
    ),
)
def test_any_bytes_give_events_and_at_most_one_failure_at_the_end(
    dialect: Dialect, chunks: list[bytes]
) -> None:
    events = read(dialect, *chunks)
    kinds = [type(e) for e in events]
    assert Failed not in kinds[:-1]
    assert kinds.count(Failed) + kinds.count(Finished) == 1
    assert kinds.count(Started) <= 1
