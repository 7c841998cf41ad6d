"""What providers stream, and what they answer in one piece, as canonical events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import (
    GatewayError,
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
    RedactedThinking,
    Refusal,
    RefusalDelta,
    Reply,
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
from modelplex.testing.strategies import chopped, json_values, reply_events
from modelplex.wire.dialect import Answering
from modelplex.wire.responses import items_in
from modelplex.wire.responses.dialect import RESPONSES

GOLDEN = Path(__file__).parent.parent / "golden" / "responses"
STREAM = (GOLDEN / "stream.sse").read_bytes()
CITATION = {
    "type": "url_citation",
    "url_citation": {
        "start_index": 0,
        "end_index": 5,
        "title": "Size",
        "url": "https://example.org/",
    },
}
LOGPROB = {"token": "Größe", "logprob": -0.1, "bytes": [71], "top_logprobs": []}
REPLY = Reply(
    id="resp_68ab",
    model="gpt-5-2025-08-07",
    parts=(
        Thinking("**First**\n\nHm.\n\n**Then**", "responses:rs_1:gAAAAABo"),
        RedactedThinking("responses:rs_2:gAAAAABp"),
        Text('Größe means "size".', citations=(CITATION,)),
        Refusal("No more."),
        ToolCall("call_1", "look_up", '{"word":"größe"}'),
        ToolCall("call_2", "mcp-_files--list", "{}"),
        ToolCall("call_3", "apply_patch", "*** Begin Patch\n", custom=True),
    ),
    finish=Finished(FinishReason.TOOL_CALLS),
    usage=Usage(125, 90, 100, 20, 40),
    logprobs=(LOGPROB,),
)


def sse(*events: dict[str, Any], line: bool = True) -> bytes:
    return b"".join(
        (f"event: {e['type']}\n".encode() if line else b"")
        + b"data: "
        + msgspec.json.encode(e)
        + b"\n\n"
        for e in events
    )


def read(stream: bytes) -> list[Event]:
    decoder = RESPONSES.decoder()
    return decoder.feed(stream) + decoder.eof()


def failure(stream: bytes) -> GatewayError:
    *_, last = read(stream)
    assert isinstance(last, Failed)
    return last.error


def created(**members: Any) -> dict[str, Any]:
    response = {"id": "resp_1", "model": "m", "status": "in_progress", "output": []}
    return {"type": "response.created", "response": response | members}


def ended(status: str = "completed", **members: Any) -> dict[str, Any]:
    response = {"id": "resp_1", "model": "m", "status": status, "output": []}
    return {"type": f"response.{status}", "response": response | members}


def delta(text: str, **members: Any) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "delta": text} | members


def added(item: dict[str, Any], index: int = 0) -> dict[str, Any]:
    kind = "response.output_item.added"
    return {"type": kind, "output_index": index, "item": item}


def done(item: dict[str, Any], index: int = 0) -> dict[str, Any]:
    return added(item, index) | {"type": "response.output_item.done"}


def arguments(text: str, **members: Any) -> dict[str, Any]:
    kind = "response.function_call_arguments.delta"
    return {"type": kind, "delta": text, "output_index": 0} | members


CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f"}
MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
STOP = Finished(FinishReason.STOP)
STARTED = Started("resp_1", "m")


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_full_of_everything_is_read(line_end: bytes) -> None:
    assert gather(read(STREAM.replace(b"\n", line_end))) == REPLY


def test_a_reply_full_of_everything_is_read() -> None:
    assert RESPONSES.decode_reply((GOLDEN / "reply.json").read_bytes()) == REPLY


def test_a_reply_where_a_stream_was_due_is_read() -> None:
    assert gather(read((GOLDEN / "reply.json").read_bytes())) == REPLY


@given(st.data())
def test_chunking_never_matters(data: st.DataObject) -> None:
    decoder = RESPONSES.decoder()
    events: list[Event] = []
    for piece in data.draw(chopped(STREAM)):
        events += decoder.feed(piece)
    events += decoder.eof()
    assert events == read(STREAM)


@given(
    events=reply_events(thinking=True, signatures=True, custom=True, interleaved=True),
    data=st.data(),
)
def test_chunking_of_what_we_write_never_matters(
    events: list[Event], data: st.DataObject
) -> None:
    encoder = RESPONSES.encoder(Answering("m", 1))
    stream = b"".join(map(encoder.encode, events)) + encoder.end()
    decoder = RESPONSES.decoder()
    told = [e for p in data.draw(chopped(stream)) for e in decoder.feed(p)]
    assert decoder.done
    assert told + decoder.eof() == read(stream)


@pytest.mark.parametrize("cut", range(0, len(STREAM) - 2, 97))
def test_a_cut_anywhere_is_a_failure(cut: int) -> None:
    assert type(failure(STREAM[:cut])) is UpstreamCut


def test_neither_event_lines_nor_numbers_are_needed() -> None:
    stream = sse(created(), delta("Hi"), ended(), line=False)
    assert read(stream) == [STARTED, TextDelta("Hi"), STOP]


def test_the_last_empty_line_may_be_missing() -> None:
    stream = sse(created(), delta("Hi"), ended())
    assert read(stream[:-2]) == [STARTED, TextDelta("Hi"), STOP]


def test_what_follows_the_end_is_of_no_interest() -> None:
    decoder = RESPONSES.decoder()
    stream = sse(created(), delta("a"), ended(), delta("b"), ended("failed"))
    assert decoder.feed(stream + b"data: [DONE]\n\n") == [STARTED, TextDelta("a"), STOP]
    assert decoder.done
    assert decoder.feed(sse(delta("c"))) == decoder.eof() == []


def test_a_done_in_the_place_of_the_end_is_a_cut() -> None:
    assert (
        type(failure(sse(created(), delta("a")) + b"data: [DONE]\n\n")) is UpstreamCut
    )


def test_a_stream_may_begin_with_its_text() -> None:
    assert read(sse(delta("Hi"), ended())) == [Started("", ""), TextDelta("Hi"), STOP]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (  # only whole items
            [done({**MESSAGE, "content": [{"type": "output_text", "text": "Hi"}]})],
            [TextDelta("Hi")],
        ),
        (  # only whole parts
            [
                added(MESSAGE),
                {
                    "type": "response.content_part.done",
                    "output_index": 0,
                    "content_index": 0,
                    "part": {"type": "output_text", "text": "Hi"},
                },
                done({**MESSAGE, "content": [{"type": "output_text", "text": "Hi"}]}),
            ],
            [TextDelta("Hi")],
        ),
        (  # only whole texts
            [
                added(MESSAGE),
                {"type": "response.output_text.done", "item_id": "msg_1", "text": "Hi"},
                {"type": "response.refusal.done", "content_index": 1, "refusal": "No"},
            ],
            None,
        ),
        (  # arguments only when they are whole
            [
                added(CALL),
                {
                    "type": "response.function_call_arguments.done",
                    "item_id": "fc_1",
                    "arguments": "{}",
                },
                done({**CALL, "arguments": "{}"}),
            ],
            [ToolCallStarted(0, "c", "f"), ToolCallDelta(0, "{}")],
        ),
        (  # arguments as an object, and a call that was never announced
            [done({**CALL, "arguments": {"a": 1}})],
            [ToolCallStarted(0, "c", "f"), ToolCallDelta(0, '{"a":1}')],
        ),
        (  # a name that comes last
            [
                added({"type": "function_call", "id": "fc_1"}),
                arguments("{"),
                arguments("}"),
                done({**CALL, "arguments": "{}"}),
            ],
            [ToolCallStarted(0, "c", "f"), ToolCallDelta(0, "{}")],
        ),
        (  # another id in every event
            [
                added({**CALL, "id": "x"}),
                arguments("{", item_id="y"),
                arguments("}", item_id="z"),
                done({**CALL, "id": "w", "arguments": "{}"}),
            ],
            [
                ToolCallStarted(0, "c", "f"),
                ToolCallDelta(0, "{"),
                ToolCallDelta(0, "}"),
            ],
        ),
        (  # no index
            [
                {"type": "response.output_item.added", "item": CALL},
                arguments("{}", output_index=None, item_id="fc_1"),
                {
                    "type": "response.output_item.done",
                    "item": {**CALL, "arguments": "{}"},
                },
            ],
            [ToolCallStarted(0, "c", "f"), ToolCallDelta(0, "{}")],
        ),
        (  # calls whose fragments are mixed
            [
                added(CALL),
                added({**CALL, "id": "fc_2", "call_id": "d", "name": "g"}, 1),
                arguments("{"),
                arguments("{}", output_index=1),
                arguments("}"),
            ],
            [
                ToolCallStarted(0, "c", "f"),
                ToolCallStarted(1, "d", "g"),
                ToolCallDelta(0, "{"),
                ToolCallDelta(1, "{}"),
                ToolCallDelta(0, "}"),
            ],
        ),
        (  # reasoning as open models tell it
            [
                added({"type": "reasoning", "id": "rs_1", "summary": []}),
                {
                    "type": "response.reasoning_text.delta",
                    "output_index": 0,
                    "content_index": 0,
                    "delta": "Hm",
                },
                {
                    "type": "response.reasoning_summary_text.delta",
                    "output_index": 0,
                    "delta": "the same again",
                },
                done({"type": "reasoning", "content": [{"text": "Hm"}]}),
            ],
            [ThinkingDelta("Hm")],
        ),
        (  # two blocks of reasoning without a proof
            [
                done({"type": "reasoning", "content": [{"text": "Hm"}]}),
                done(
                    {"type": "reasoning", "summary": [{"text": "a"}, {"text": "b"}]}, 1
                ),
            ],
            [ThinkingDelta("Hm"), ThinkingDelta("\n\na\n\nb")],
        ),
        (  # proofs with and without text
            [
                done(
                    {
                        "type": "reasoning",
                        "id": "rs_1",
                        "summary": [{"text": "a"}],
                        "encrypted_content": "x",
                    }
                ),
                done({"type": "reasoning", "id": "r:2", "encrypted_content": "y"}, 1),
            ],
            [
                ThinkingDelta("a"),
                ThinkingSigned("responses:rs_1:x"),
                ThinkingRedacted("responses::y"),
            ],
        ),
        (  # an item that was never announced
            [
                delta("a", logprobs=[LOGPROB]),
                {"type": "response.refusal.delta", "delta": "No"},
                {
                    "type": "response.output_text.annotation.added",
                    "annotation": {"type": "file_citation", "file_id": "f"},
                },
                {"type": "response.reasoning_text.delta", "delta": "Hm"},
                arguments("{}", output_index=7),
                {"type": "response.output_text.done", "text": "a"},
            ],
            [
                TextDelta("a"),
                TokenLogprobs((LOGPROB,)),
                RefusalDelta("No"),
                Cited({"type": "file_citation", "file_id": "f"}),
                ThinkingDelta("Hm"),
            ],
        ),
        (  # deltas that say nothing
            [
                added(MESSAGE),
                delta(""),
                {"type": "response.refusal.delta", "delta": ""},
                {"type": "response.reasoning_text.delta", "delta": ""},
                {"type": "response.reasoning_summary_text.delta"},
                {"type": "response.output_text.annotation.added"},
                arguments(""),
                done({**MESSAGE, "content": [{"type": "later", "text": "x"}]}),
                done({"type": "reasoning"}, 1),
                done({**MESSAGE, "content": [{"type": "output_text", "text": "x"}]}),
            ],
            [],
        ),
        (  # a name that never comes
            [added({"type": "function_call", "id": "fc_1"}), arguments("{}")],
            [ToolCallStarted(0, "fc_1", ""), ToolCallDelta(0, "{}")],
        ),
        (  # logprobs only in the whole item
            [
                added(MESSAGE),
                delta("a", output_index=0),
                done(
                    {
                        **MESSAGE,
                        "content": [
                            {"type": "output_text", "text": "a", "logprobs": [LOGPROB]}
                        ],
                    }
                ),
            ],
            [TextDelta("a"), TokenLogprobs((LOGPROB,))],
        ),
    ],
)
def test_servers_that_leave_something_out_are_understood(
    events: list[dict[str, Any]], expected: list[Event] | None
) -> None:
    *told, finish = read(sse(created(), *events, ended()))[1:]
    assert isinstance(finish, Finished)
    if expected is None:
        assert gather(told).parts == (Text("Hi"), Refusal("No"))
    else:
        assert told == expected


def test_a_stream_may_begin_with_logprobs() -> None:
    told = read(sse(delta("", logprobs=[LOGPROB]), ended()))
    assert told == [Started("", ""), TokenLogprobs((LOGPROB,)), STOP]


def test_an_answer_may_stand_only_in_the_last_event() -> None:
    message = {**MESSAGE, "content": [{"type": "output_text", "text": "Hi"}]}
    assert read(sse(created(), ended(output=[message]))) == [
        STARTED,
        TextDelta("Hi"),
        STOP,
    ]


@pytest.mark.parametrize(
    ("status", "details", "reason"),
    [
        ("completed", None, FinishReason.STOP),
        ("incomplete", "max_output_tokens", FinishReason.LENGTH),
        ("incomplete", "content_filter", FinishReason.REFUSAL),
        ("incomplete", "steered", FinishReason.PAUSE),
        ("incomplete", "tomorrow", FinishReason.LENGTH),
        ("incomplete", None, FinishReason.LENGTH),
    ],
)
def test_the_status_is_a_finish(
    status: str, details: str | None, reason: FinishReason
) -> None:
    said = {"reason": details} if details else None
    stream = sse(created(), delta("a"), ended(status, incomplete_details=said))
    assert read(stream)[-1] == Finished(reason)


def test_usage_comes_last() -> None:
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    told = read(sse(created(), delta("a"), ended(usage=usage)))
    assert told[-2:] == [STOP, UsageReported(Usage(3, 4))]
    assert read(sse(created(), delta("a"), ended(usage="many")))[-1] == STOP


ERRORS: list[tuple[dict[str, Any], type[GatewayError], bool]] = [
    ({"code": "rate_limit_exceeded", "message": "x"}, UpstreamRateLimited, True),
    ({"code": "insufficient_quota", "message": "x"}, UpstreamQuota, True),
    ({"code": "server_error", "message": "x"}, UpstreamOverloaded, True),
    ({"code": "server_is_overloaded", "message": "x"}, UpstreamOverloaded, True),
    ({"code": "vector_store_timeout", "message": "x"}, UpstreamOverloaded, True),
    ({"code": "usage_not_included", "message": "x"}, UpstreamDenied, True),
    ({"code": "invalid_api_key", "message": "x"}, UpstreamDenied, True),
    ({"code": "context_length_exceeded", "message": "x"}, UpstreamRejected, False),
    ({"code": "invalid_prompt", "message": "x"}, UpstreamRejected, False),
    ({"code": "invalid_image_url", "message": "x"}, UpstreamRejected, False),
    ({"code": "image_too_large", "message": "x"}, UpstreamRejected, False),
    ({"code": "bio_policy", "message": "x"}, UpstreamRejected, False),
    ({"code": None, "message": "x"}, UpstreamOverloaded, True),
]


@pytest.mark.parametrize(("said", "kind", "failover"), ERRORS)
def test_an_error_in_the_stream_is_what_it_says(
    said: dict[str, Any], kind: type[GatewayError], failover: bool
) -> None:
    for stream in (
        sse(created(), ended("failed", error=said)),
        sse({"type": "error", **said, "param": None, "sequence_number": 0}),
        sse(created(), {"type": "error", "error": said}),
        sse(created()) + b"data: " + msgspec.json.encode({"error": said}) + b"\n\n",
        msgspec.json.encode({"error": said}),
        msgspec.json.encode(ended("failed", error=said)["response"]),
    ):
        error = failure(stream)
        assert type(error) is kind
        assert error.failover is failover


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Rate limit reached. Please try again in 11.054s. Visit", 11.054),
        ("Please try again in 300ms.", 0.3),
        ("Please try again in 2 seconds", 2.0),
        ("Try later", None),
    ],
)
def test_a_rate_limit_says_in_words_when_it_is_over(
    words: str, seconds: float | None
) -> None:
    said = {"code": "rate_limit_exceeded", "message": words}
    assert failure(sse(created(), ended("failed", error=said))).retry_after == seconds


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (sse(created(), ended("failed")), UpstreamOverloaded),
        (sse(created(), ended("cancelled")), UpstreamError),
        (b"data: {\n\n", UpstreamMalformed),
        (b"data: []\n\n", UpstreamMalformed),
        (b'data: {"type":1}\n\n', UpstreamMalformed),
        (b'data: {"type":"error","delta":1}\n\n', UpstreamOverloaded),
        (b"{}", UpstreamMalformed),
        (b"<html>", UpstreamMalformed),
        (sse(delta("a") | {"delta": 1}), UpstreamMalformed),
        (sse(created(), added({"type": "message", "content": 1})), UpstreamMalformed),
        (msgspec.json.encode(created()["response"]), UpstreamMalformed),
        (b"", UpstreamCut),
    ],
)
def test_what_is_no_answer_is_a_failure(
    stream: bytes, kind: type[GatewayError]
) -> None:
    assert type(failure(stream)) is kind


def test_types_not_known_yet_may_look_like_anything() -> None:
    new = {"type": "response.new", "delta": [1], "item": 2, "output_index": "x"}
    item = added({"type": "new_call", "content": 3, "arguments": {}}, 5)
    stream = sse(created(), new, item, item | {"type": "response.output_item.done"})
    assert read(stream + sse(delta("a"), ended()))[1:] == [TextDelta("a"), STOP]


def test_the_arguments_of_a_call_without_a_name_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(items_in, "_LONGEST_HELD", 10)
    call = added({"type": "function_call", "id": "fc_1"})
    error = failure(sse(created(), call, arguments("x" * 6), arguments("x" * 6)))
    assert type(error) is UpstreamMalformed


def test_the_number_of_items_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items_in, "_MOST_ITEMS", 10)
    many = [added({**MESSAGE, "id": f"m{n}"}, n) for n in range(20)]
    assert type(failure(sse(created(), *many))) is UpstreamMalformed


EVENTS = [
    json.loads(line[6:]) for line in STREAM.decode().split("\n") if line[:1] == "d"
]


@given(
    number=st.integers(0, len(EVENTS) - 1),
    key=st.sampled_from(sorted({k for e in EVENTS for k in e})),
    value=json_values(),
)
def test_any_member_of_any_event_gives_events_or_one_failure(
    number: int, key: str, value: Any
) -> None:
    events = [dict(e) for e in EVENTS]
    events[number][key] = value
    told = read(sse(*[e | {"type": str(e["type"])} for e in events], line=False))
    assert not any(isinstance(e, Failed) for e in told[:-1])


@given(st.lists(st.one_of(json_values(), st.sampled_from(EVENTS)), max_size=6))
def test_any_json_gives_events_or_one_failure(payloads: list[Any]) -> None:
    stream = b"".join(b"data: %b\n\n" % msgspec.json.encode(p) for p in payloads)
    told = read(stream)
    assert isinstance(told[-1], Failed | Finished | UsageReported)
    assert not any(isinstance(e, Failed) for e in told[:-1])


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from([b"data: ", b"\n\n", b"\r", b"event: x\n", STREAM[:3000]]),
        ),
        max_size=8,
    )
)
def test_any_bytes_give_events_or_one_failure(chunks: list[bytes]) -> None:
    decoder = RESPONSES.decoder()
    told = [e for c in chunks for e in decoder.feed(c)] + decoder.eof()
    assert isinstance(told[-1], Failed | Finished | UsageReported)
    assert not any(isinstance(e, Failed) for e in told[:-1])
    assert decoder.done and decoder.feed(b"data: {}\n\n") == []


@given(st.one_of(st.binary(max_size=30), json_values().map(msgspec.json.encode)))
def test_any_body_is_a_reply_or_an_error(body: bytes) -> None:
    with pytest.raises(GatewayError):
        RESPONSES.decode_reply(body)
