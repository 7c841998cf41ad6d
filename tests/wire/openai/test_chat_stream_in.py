"""Streams of every compatible server become the same canonical events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import (
    UpstreamCut,
    UpstreamDenied,
    UpstreamError,
    UpstreamMalformed,
    UpstreamOverloaded,
    UpstreamQuota,
    UpstreamRateLimited,
    UpstreamRejected,
)
from modelplex.events import (
    Cited,
    Event,
    Failed,
    Finished,
    FinishReason,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    TokenLogprobs,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
)
from modelplex.testing.strategies import chopped, json_values
from modelplex.wire.openai.chat_chunks import ChatChunks
from modelplex.wire.openai.dialect import OPENAI_CHAT, OPENAI_COMPLETIONS
from modelplex.wire.openai.event_stream import EventStream

STARTED = Started("c1", "m")
STOPPED = Finished(FinishReason.STOP)
CALLED = Finished(FinishReason.TOOL_CALLS)


def chunk(delta: Any = None, finish: str | None = None, **choice: Any) -> bytes:
    """One event with one choice."""
    inner = {"index": 0, "delta": delta or {}, "finish_reason": finish, **choice}
    return event({"choices": [inner]})


def event(members: dict[str, Any]) -> bytes:
    known = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**known, **members}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def read(*pieces: bytes) -> list[Event]:
    """All that a stream tells; a reader that is over stays silent."""
    decoder = OPENAI_CHAT.decoder()
    told = [e for piece in pieces for e in decoder.feed(piece)] + decoder.eof()
    assert decoder.feed(chunk({"content": "late"})) == [] == decoder.eof()
    return told


def call(index: int | None, id: str | None = None, **function: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"function": function}
    if index is not None:
        made["index"] = index
    if id is not None:
        made |= {"id": id, "type": "function"}
    return {"tool_calls": [made]}


def test_a_stream_in_openais_own_form_is_read() -> None:
    count = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    assert read(
        chunk({"role": "assistant", "content": "", "refusal": None}, usage=None),
        b": keep-alive\n\n",
        b"event: ping\n\n",
        b"data:  \n\n",
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
        event({"choices": [], "usage": count}),
        DONE,
    ) == [
        STARTED,
        TextDelta("Hel"),
        TextDelta("lo"),
        STOPPED,
        UsageReported(Usage(5, 2)),
    ]


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        ([{"reasoning_content": "a"}], [ThinkingDelta("a")]),
        ([{"reasoning": "a"}], [ThinkingDelta("a")]),
        ([{"reasoning": "a", "reasoning_content": "a"}], [ThinkingDelta("a")]),
        (
            # OpenRouter
            [
                {
                    "content": "",
                    "reasoning": "a",
                    "reasoning_details": [
                        {"type": "reasoning.text", "text": "a", "index": 0}
                    ],
                },
                {
                    "reasoning_details": [
                        {"type": "reasoning.text", "signature": "s", "index": 0}
                    ],
                },
                {
                    "reasoning_details": [
                        {"type": "reasoning.encrypted", "data": "x", "index": 1}
                    ],
                },
            ],
            [ThinkingDelta("a"), ThinkingSigned("s"), ThinkingRedacted("x")],
        ),
        (
            # the text first, and once more with its signature
            [
                {"reasoning": "ab"},
                {
                    "reasoning_details": [
                        {"type": "reasoning.text", "text": "ab", "signature": "s"}
                    ],
                },
            ],
            [ThinkingDelta("ab"), ThinkingSigned("s")],
        ),
        (
            # the details come later than the text they repeat
            [
                {"reasoning": "a"},
                {
                    "reasoning": "b",
                    "reasoning_details": [{"type": "reasoning.text", "text": "b"}],
                },
            ],
            [ThinkingDelta("a"), ThinkingDelta("b")],
        ),
        (
            [{"reasoning_details": [{"type": "reasoning.summary", "summary": "a"}]}],
            [ThinkingDelta("a")],
        ),
        (
            # Mistral
            [
                {
                    "content": [
                        {"type": "thinking", "thinking": [{"text": "a"}]},
                        {"type": "text", "text": "b"},
                    ]
                }
            ],
            [ThinkingDelta("a"), TextDelta("b")],
        ),
        ([{"reasoning_content": "", "reasoning": None}], []),
        ([{"refusal": "no"}], [RefusalDelta("no")]),
        (
            [{"content": "a", "annotations": [{"type": "url_citation"}]}],
            [TextDelta("a"), Cited({"type": "url_citation"})],
        ),
    ],
)
def test_whatever_a_delta_says_is_told_once(
    deltas: list[Any], expected: list[Event]
) -> None:
    told = read(*[chunk(d) for d in deltas], chunk({}, "stop"), DONE)
    assert told == [STARTED, *expected, STOPPED]


ONE_CALL = [
    ToolCallStarted(0, "a", "f"),
    ToolCallDelta(0, '{"x":'),
    ToolCallDelta(0, "1}"),
]


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        (
            [
                call(0, "a", name="f", arguments=""),
                call(0, arguments='{"x":'),
                call(0, arguments="1}"),
            ],
            ONE_CALL,
        ),
        (
            # the index is missing
            [
                call(None, "a", name="f", arguments='{"x":'),
                call(None, arguments="1}"),
            ],
            ONE_CALL,
        ),
        (
            # it counts from 1, and the id and name are repeated
            [
                call(1, "a", name="f", arguments='{"x":'),
                call(1, "a", name="f", arguments="1}"),
            ],
            ONE_CALL,
        ),
        (
            # every fragment has a new id
            [
                call(0, "a", name="f", arguments='{"x":'),
                call(0, "other", arguments="1}"),
            ],
            ONE_CALL,
        ),
        (
            # the same without an index
            [
                call(None, "a", name="f", arguments='{"x":'),
                call(None, "other", arguments="1}"),
            ],
            ONE_CALL,
        ),
        (
            # the name comes after the id
            [
                call(0, "a", arguments='{"x":'),
                call(0, name="f"),
                call(0, arguments="1}"),
            ],
            ONE_CALL,
        ),
        (
            # whole calls, all with the index 0
            [
                call(0, "a", name="f", arguments="{}"),
                call(0, "b", name="g", arguments="{}"),
            ],
            [
                ToolCallStarted(0, "a", "f"),
                ToolCallDelta(0, "{}"),
                ToolCallStarted(1, "b", "g"),
                ToolCallDelta(1, "{}"),
            ],
        ),
        (
            # fragments of parallel calls that come mixed
            [
                call(0, "a", name="f", arguments=""),
                call(1, "b", name="g", arguments=""),
                call(0, arguments="{"),
                call(1, arguments="["),
            ],
            [
                ToolCallStarted(0, "a", "f"),
                ToolCallStarted(1, "b", "g"),
                ToolCallDelta(0, "{"),
                ToolCallDelta(1, "["),
            ],
        ),
        (
            # no ids at all, and arguments that are no string
            [call(None, name="f", arguments={"x": 1}), call(None, name="g")],
            [
                ToolCallStarted(0, "call_c1_0", "f"),
                ToolCallDelta(0, '{"x":1}'),
                ToolCallStarted(1, "call_c1_1", "g"),
            ],
        ),
        (
            [
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "a",
                            "type": "custom",
                            "custom": {"name": "f", "input": "x"},
                        }
                    ]
                },
                {"tool_calls": [{"index": 0, "custom": {"input": "y"}}]},
            ],
            [
                ToolCallStarted(0, "a", "f", custom=True),
                ToolCallDelta(0, "x"),
                ToolCallDelta(0, "y"),
            ],
        ),
        (
            [
                {"function_call": {"name": "f", "arguments": ""}},
                {"function_call": {"arguments": "{}"}},
            ],
            [ToolCallStarted(0, "call_c1_0", "f"), ToolCallDelta(0, "{}")],
        ),
        (
            [call(0, "a", arguments="{}")],
            [ToolCallStarted(0, "a", ""), ToolCallDelta(0, "{}")],
        ),
    ],
)
@pytest.mark.parametrize("word", ["tool_calls", "stop", "function_call"])
def test_tool_calls_are_numbered_whatever_the_server_does(
    deltas: list[Any], expected: list[Event], word: str
) -> None:
    told = read(*[chunk(d) for d in deltas], chunk({}, word), DONE)
    assert told == [STARTED, *expected, CALLED]


@pytest.mark.parametrize(
    ("word", "more", "expected"),
    [
        ("stop", {}, STOPPED),
        ("length", {}, Finished(FinishReason.LENGTH)),
        ("content_filter", {}, Finished(FinishReason.REFUSAL)),
        ("stop", {"stop_reason": "END"}, Finished(FinishReason.STOP_SEQUENCE, "END")),
        ("stop", {"stop_reason": 128001}, STOPPED),
        ("stop", {"stop_reason": None}, STOPPED),
        ("eos", {}, STOPPED),
    ],
)
def test_every_finish_reason_has_a_meaning(
    word: str, more: dict[str, Any], expected: Finished
) -> None:
    assert read(chunk({"content": "a"}), chunk({}, word, **more), DONE)[2:] == [
        expected
    ]


def test_azures_first_chunk_without_a_choice_announces_nothing() -> None:
    first = event({"id": "", "model": "", "choices": [], "prompt_filter_results": []})
    assert read(first, chunk({"content": "a"}, "stop"), DONE) == [
        STARTED,
        TextDelta("a"),
        STOPPED,
    ]


def test_only_the_first_choice_is_read() -> None:
    other = event({"choices": [{"index": 1, "delta": {"content": "x"}}]})
    told = read(chunk({"content": "a"}), other, chunk({}, "stop"), DONE)
    assert told == [STARTED, TextDelta("a"), STOPPED]


def test_logprobs_come_with_their_text() -> None:
    entry = {"token": "a", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    told = read(chunk({"content": "a"}, "stop", logprobs={"content": [entry]}), DONE)
    assert told == [STARTED, TextDelta("a"), TokenLogprobs((entry,)), STOPPED]


@pytest.mark.parametrize(
    "members",
    [
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
        {"x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 1}}},
        {
            "choices": [{"index": 0, "delta": {}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1},
        },
    ],
)
def test_usage_is_read_wherever_it_stands(members: dict[str, Any]) -> None:
    told = read(chunk({"content": "a"}, "stop"), event(members), event(members), DONE)
    assert told[-1] == UsageReported(Usage(3, 1))
    assert sum(isinstance(e, UsageReported) for e in told) == 1


def test_usage_that_is_none_is_no_error() -> None:
    strange = event({"choices": [], "usage": {"prompt_tokens": "many"}})
    assert read(chunk({"content": "a"}, "stop"), strange, DONE)[-1] == STOPPED


def failure(told: list[Event]) -> Any:
    assert isinstance(told[-1], Failed)
    return told[-1].error


def test_a_stream_that_is_cut_before_its_finish_is_broken() -> None:
    assert type(failure(read(chunk({"content": "a"})))) is UpstreamCut
    assert type(failure(read())) is UpstreamCut


def test_a_stream_without_done_is_complete_after_its_finish() -> None:
    assert read(chunk({"content": "a"}, "stop")) == [STARTED, TextDelta("a"), STOPPED]


def test_a_last_event_without_its_empty_line_counts() -> None:
    last = chunk({"content": "b"}, "stop").rstrip()
    assert read(chunk({"content": "a"}), last)[-1] == STOPPED
    assert failure(read(chunk({"content": "a"}), last[:-3])).kind == "upstream_cut"


def test_done_without_a_finish_reason_ends_an_answer_but_makes_none() -> None:
    assert read(chunk({"content": "a"}), DONE)[-1] == STOPPED
    assert read(chunk(call(0, "a", name="f")), DONE)[-1] == CALLED
    assert type(failure(read(DONE))) is UpstreamMalformed


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"error": {"message": "x", "type": "server_error"}}, UpstreamOverloaded),
        (
            {"error": {"message": "x", "code": "rate_limit_exceeded"}},
            UpstreamRateLimited,
        ),
        ({"error": {"message": "x", "type": "insufficient_quota"}}, UpstreamQuota),
        ({"error": {"message": "x", "code": 401}}, UpstreamDenied),
        (
            {"error": {"message": "x", "type": "invalid_request_error"}},
            UpstreamRejected,
        ),
        ({"error": "plain"}, UpstreamOverloaded),
        ({"error": {}}, UpstreamOverloaded),
        ({"object": "error", "message": "x", "code": 400}, UpstreamRejected),
        (
            # OpenRouter
            {
                "error": {"code": 502, "message": "x"},
                "choices": [{"delta": {"content": ""}, "finish_reason": "error"}],
            },
            UpstreamOverloaded,
        ),
        ({"choices": [{"delta": {}, "error": {"message": "x"}}]}, UpstreamOverloaded),
        ({"choices": [{"delta": {}, "finish_reason": "error"}]}, UpstreamError),
        ({"choices": "x"}, UpstreamMalformed),
    ],
)
def test_an_error_in_the_stream_ends_it(
    members: dict[str, Any], kind: type[Exception]
) -> None:
    told = read(chunk({"content": "a"}), event(members), chunk({"content": "b"}))
    assert told[1] == TextDelta("a")
    assert type(failure(told)) is kind
    assert sum(isinstance(e, TextDelta) for e in told) == 1


def test_an_error_after_the_finish_takes_nothing_back() -> None:
    broken = b"data: {]\n\n"
    assert read(chunk({"content": "a"}, "stop"), broken)[-1] == STOPPED


def test_what_comes_after_the_finish_is_only_counted() -> None:
    late = chunk({"content": "late"}, "stop")
    assert read(chunk({"content": "a"}, "stop"), late, DONE)[2:] == [STOPPED]


@pytest.mark.parametrize(
    "piece", [b"data: {]\n\n", b'data: "\xff"\n\n', b"data: 1\n\n"]
)
def test_an_event_that_is_no_chunk_is_malformed(piece: bytes) -> None:
    assert type(failure(read(chunk({"content": "a"}), piece))) is UpstreamMalformed


def test_one_whole_reply_in_place_of_a_stream_is_read() -> None:
    body = {
        "id": "c1",
        "model": "m",
        "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}],
    }
    told = read(json.dumps(body).encode())
    assert told == [STARTED, TextDelta("Hi"), STOPPED, UsageReported(Usage())]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (
            b'{"error": {"message": "x", "code": "rate_limit_exceeded"}}',
            UpstreamRateLimited,
        ),
        (b"<html>502</html>", UpstreamMalformed),
        (b"[]", UpstreamMalformed),
        (b"{}", UpstreamMalformed),
        (b"", UpstreamCut),
        (b"\n\n", UpstreamCut),
    ],
)
def test_a_body_that_is_no_stream_is_an_error(
    body: bytes, kind: type[Exception]
) -> None:
    assert type(failure(read(body))) is kind


def test_a_byte_order_mark_is_skipped() -> None:
    assert read(b"\xef", b"\xbb\xbf", chunk({"content": "a"}, "stop"))[0] == STARTED


def test_empty_lines_before_the_first_event_are_skipped() -> None:
    blank = [b"\n", b"\r\n"] * 20
    assert read(*blank, chunk({"content": "a"}, "stop"))[0] == STARTED


@pytest.mark.parametrize("start", [b"data: ", b"{"])
def test_what_never_ends_is_given_up(start: bytes) -> None:
    decoder = EventStream(ChatChunks(), OPENAI_CHAT.decode_reply, limit=100)
    assert decoder.feed(start + b" " * 90) == []
    [failed] = decoder.feed(b" " * 90)
    assert isinstance(failed, Failed) and type(failed.error) is UpstreamMalformed
    assert decoder.feed(b" ") == [] == decoder.eof()


def plain(told: list[Event]) -> list[Any]:
    return [
        (type(e.error), e.error.message) if isinstance(e, Failed) else e for e in told
    ]


STREAM = b"".join(
    [
        b": hello\r\n\r\n",
        chunk({"role": "assistant"}),
        chunk({"reasoning": "hm", "content": "größe ☃"}),
        chunk(call(0, "a", name="f", arguments="{}")).replace(b"\n\n", b"\r\n\r\n"),
        chunk({}, "tool_calls"),
        b"event: extra\nid: 3\n"
        + event({"choices": [], "usage": {"prompt_tokens": 1}}),
        DONE,
    ]
)


def _streams() -> st.SearchStrategy[bytes]:
    line = st.sampled_from(
        [
            chunk({"content": "a"}),
            chunk({"content": "b"}, "stop"),
            chunk(call(0, "a", name="f")),
            event({"error": {"message": "x"}}),
            b"data: {]\n\n",
            b"data:\n\n",
            b": c\n\n",
            b"\n",
            b"\r\n",
            b"\r",
            b"event: x\n",
            b"data: {\ndata: }\n\n",
            DONE,
            b"\xef\xbb\xbf",
            b"{}",
        ]
    )
    pieces = st.lists(line | st.binary(max_size=3), max_size=8).map(b"".join)
    return st.one_of(st.just(STREAM), pieces, st.binary(max_size=40))


@given(stream=_streams(), draw=st.data())
def test_chunking_never_matters_and_bytes_never_raise(
    stream: bytes, draw: st.DataObject
) -> None:
    whole = read(stream)
    assert not any(isinstance(e, Failed) for e in whole[:-1])
    assert plain(read(*draw.draw(chopped(stream)))) == plain(whole)


KEYS = [
    "id",
    "object",
    "model",
    "choices",
    "usage",
    "error",
    "delta",
    "message",
    "content",
    "reasoning",
    "reasoning_details",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "index",
    "finish_reason",
    "stop_reason",
    "logprobs",
    "text",
    "annotations",
]


def _shaped() -> st.SearchStrategy[Any]:
    leaves = st.one_of(
        st.none(), st.booleans(), st.integers(), st.sampled_from(["", "a"])
    )
    return st.recursive(
        leaves | json_values(2),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
        ),
        max_leaves=12,
    )


@given(
    chunks=st.lists(
        st.dictionaries(st.sampled_from(KEYS), _shaped(), max_size=5)
        | st.builds(lambda d: {"choices": [{"delta": d}]}, _shaped())
        | st.builds(lambda d: {"choices": [{"delta": {"tool_calls": [d]}}]}, _shaped()),
        max_size=3,
    )
)
def test_any_json_in_a_stream_is_events_and_at_most_one_failure(
    chunks: list[Any],
) -> None:
    stream = b"".join(b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks)
    for dialect in (OPENAI_CHAT, OPENAI_COMPLETIONS):
        decoder = dialect.decoder()
        told = decoder.feed(stream) + decoder.eof()
        assert told, "an end without a word"
        assert not any(isinstance(e, Failed) for e in told[:-1])
        calls = [e.index for e in told if isinstance(e, ToolCallStarted)]
        assert calls == list(range(len(calls)))
        if not isinstance(told[-1], Failed):
            assert sum(isinstance(e, Finished) for e in told) == 1
