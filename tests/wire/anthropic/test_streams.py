from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import (
    UpstreamCut,
    UpstreamError,
    UpstreamMalformed,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamRejected,
)
from modelplex.events import (
    Audio,
    Cited,
    Event,
    Failed,
    Finished,
    FinishReason,
    RedactedThinking,
    Refusal,
    Reply,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingSigned,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
    gather,
    spread,
)
from modelplex.testing.oracle_anthropic import frames, read_message
from modelplex.testing.strategies import chopped, json_values, reply_events
from modelplex.wire import sse
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.anthropic.reply import decode_reply, encode_reply
from modelplex.wire.anthropic.stream_in import AnthropicDecoder
from modelplex.wire.anthropic.stream_out import AnthropicEncoder
from modelplex.wire.anthropic.words import (
    is_own_signature,
)
from modelplex.wire.dialect import Answering

ANSWERING = Answering(model="m", created=0)

replies = reply_events(
    refusals=True,
    thinking=True,
    signatures=True,
    interleaved=True,
    logprobs=True,
    reasons=tuple(FinishReason),
)


def decode(*chunks: bytes) -> list[Event]:
    decoder = AnthropicDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.eof()


def encode(events: Sequence[Event]) -> bytes:
    encoder = AnthropicEncoder(ANSWERING)
    return b"".join(map(encoder.encode, events)) + encoder.end()


def event(type: str, **members: Any) -> bytes:
    payload = json.dumps({"type": type, **members}).encode()
    return sse.encode(payload, type)


START = event("message_start", message={"id": "msg_1", "model": "m"})
STOP = event("message_delta", delta={"stop_reason": "end_turn"}) + event("message_stop")


def block(start: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    return b"".join(
        [
            event("content_block_start", index=0, content_block=start),
            *(event("content_block_delta", index=0, delta=d) for d in deltas),
            event("content_block_stop", index=0),
        ]
    )


def carried(reply: Reply) -> Reply:
    """`reply` as this dialect can say it."""
    parts: list[Any] = []
    for part in reply.parts:
        if isinstance(part, Refusal):
            part = Text(part.text)
        if isinstance(part, Text) and parts and isinstance(parts[-1], Text):
            parts[-1] = evolve(parts[-1], text=parts[-1].text + part.text)
        else:
            parts.append(part)
    finish = reply.finish
    if finish.reason is FinishReason.STOP and any(
        isinstance(part, ToolCall) for part in parts
    ):
        finish = evolve(finish, reason=FinishReason.TOOL_CALLS)
    return evolve(reply, model="m", parts=tuple(parts), finish=finish, logprobs=())


# --- properties -------------------------------------------------------------


@given(events=replies)
def test_a_stream_says_what_the_events_said(events: list[Event]) -> None:
    assert gather(decode(encode(events))) == carried(gather(events))


@given(events=replies)
def test_a_whole_reply_says_what_the_events_said(events: list[Event]) -> None:
    reply = gather(events)
    assert decode_reply(encode_reply(reply, ANSWERING)) == carried(reply)


@given(
    events=reply_events(
        refusals=True,
        thinking=True,
        custom=True,
        interleaved=True,
        citations=True,
        logprobs=True,
        reasons=tuple(FinishReason),
    )
)
def test_every_stream_obeys_the_rules_of_the_sdks(events: list[Event]) -> None:
    message = read_message(encode(events))
    kinds = [block["type"] for block in message["content"]]
    calls = sum(isinstance(event, ToolCallStarted) for event in events)
    assert kinds.count("tool_use") == calls


@given(events=replies)
def test_a_whole_reply_is_what_its_stream_adds_up_to(events: list[Event]) -> None:
    whole = spread(gather(events))
    streamed = read_message(encode(whole))
    assert json.loads(encode_reply(gather(events), ANSWERING)) == streamed


@given(events=replies, draw=st.data())
def test_chunking_never_matters(events: list[Event], draw: st.DataObject) -> None:
    wire = encode(events)
    assert decode(*draw.draw(chopped(wire))) == decode(wire)


@given(events=replies, draw=st.data())
def test_a_cut_anywhere_is_a_failure(events: list[Event], draw: st.DataObject) -> None:
    wire = encode(events)
    end = wire.index(b"event: message_stop")
    *before, last = decode(wire[: draw.draw(st.integers(0, end))])
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamCut)
    assert not any(isinstance(event, Failed | Finished) for event in before)


TYPES = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "error",
    "new_event",
]
payloads = st.one_of(
    json_values().map(lambda value: json.dumps(value).encode()),
    st.builds(
        lambda type, members: json.dumps({**members, "type": type}).encode(),
        st.sampled_from(TYPES),
        st.dictionaries(
            st.sampled_from(
                ["message", "delta", "content_block", "usage", "index", "error"]
            ),
            st.one_of(
                json_values(),
                st.dictionaries(
                    st.sampled_from(["type", "text", "usage", "input", "citation"]),
                    st.one_of(
                        json_values(),
                        st.sampled_from(["text_delta", "tool_use", "thinking"]),
                    ),
                ),
            ),
        ),
    ),
)
wires = st.one_of(
    st.binary(max_size=60),
    st.lists(payloads, max_size=5).map(
        lambda found: START + b"".join(sse.encode(p, "x") for p in found)
    ),
)


@given(wire=wires, draw=st.data())
def test_any_bytes_give_events_and_at_most_one_last_failure(
    wire: bytes, draw: st.DataObject
) -> None:
    decoder = AnthropicDecoder()
    pieces = draw.draw(chopped(wire))
    events = [event for piece in pieces for event in decoder.feed(piece)]
    events += decoder.eof()
    assert not any(isinstance(event, Failed) for event in events[:-1])
    assert decoder.feed(wire) == decoder.eof() == []


# --- from a provider --------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "kind", "status"),
    [
        ("overloaded_error", UpstreamOverloaded, 529),
        ("rate_limit_error", UpstreamRateLimited, 429),
        ("api_error", UpstreamOverloaded, 502),
        ("invalid_request_error", UpstreamRejected, 400),
        ("never_heard_of", UpstreamOverloaded, 502),
    ],
)
def test_an_error_event_is_what_its_type_says(
    said: str, kind: type[UpstreamError], status: int
) -> None:
    error = {"type": said, "message": "no"}
    *_, last = decode(START + event("error", error=error))
    assert isinstance(last, Failed)
    assert type(last.error) is kind
    assert last.error.status == status


def test_an_error_before_the_first_event_is_the_only_event() -> None:
    error = {"type": "overloaded_error", "message": "busy"}
    (failed,) = decode(event("error", error=error))
    assert isinstance(failed, Failed)
    assert failed.error.message == "busy"


def test_an_error_body_in_place_of_a_stream_is_that_error() -> None:
    body = b'{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}'
    (failed,) = decode(body)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, UpstreamRateLimited)


def test_an_error_amid_the_arguments_of_a_tool_ends_the_stream() -> None:
    start = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    opened = event("content_block_start", index=0, content_block=start)
    delta = {"type": "input_json_delta", "partial_json": '{"a'}
    half = event("content_block_delta", index=0, delta=delta)
    error = event("error", error={"type": "api_error", "message": "no"})
    *_, call, last = decode(START + opened + half + error + STOP)
    assert call == ToolCallDelta(0, '{"a')
    assert isinstance(last, Failed)


def test_pings_and_comments_are_not_events() -> None:
    decoder = AnthropicDecoder()
    quiet = b": still here\n\n" + event("ping")
    assert decoder.feed(quiet * 50) == []
    assert decoder.feed(START + quiet) == [Started("msg_1", "m")]


def test_types_not_known_yet_are_ignored() -> None:
    new = event("content_block_start", index=0, content_block={"type": "x", "text": 1})
    wire = (
        START
        + event("ping")
        + event("comment", delta="of another type")
        + new
        + event("content_block_delta", index=0, delta={"type": "y", "text": []})
        + event("content_block_stop", index=0)
        + block({"type": "text", "text": ""}, {"type": "text_delta", "text": "Hi"})
        + STOP
    )
    assert gather(decode(wire)).parts == (Text("Hi"),)


def test_server_tools_are_skipped_and_do_not_count() -> None:
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    asked = {"type": "input_json_delta", "partial_json": '{"query":"x"}'}
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
    own = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    reply = gather(
        decode(START + block(search, asked) + block(found) + block(own) + STOP)
    )
    assert reply.parts == (ToolCall("t", "f", "{}"),)


@pytest.mark.parametrize(
    ("input", "deltas", "arguments"),
    [
        ({}, [], "{}"),
        ({}, ["", ""], "{}"),
        ({"a": 1}, [], '{"a":1}'),
        ({}, ['{"a":"\\ud8', '3d\\ude00"}'], '{"a":"\\ud83d\\ude00"}'),
    ],
)
def test_arguments_are_never_empty(
    input: dict[str, Any], deltas: list[str], arguments: str
) -> None:
    start = {"type": "tool_use", "id": "t", "name": "f", "input": input}
    pieces = [{"type": "input_json_delta", "partial_json": d} for d in deltas]
    reply = gather(decode(START + block(start, *pieces) + STOP))
    assert reply.parts == (ToolCall("t", "f", arguments),)


def test_a_custom_tool_is_known_by_its_name_and_unwrapped() -> None:
    start = {"type": "tool_use", "id": "t", "name": "sql-freeform", "input": {}}
    pieces = [
        {"type": "input_json_delta", "partial_json": p}
        for p in ('{"input":"a', '\\nb"}')
    ]
    reply = gather(decode(START + block(start, *pieces) + STOP))
    assert reply.parts == (ToolCall("t", "sql", "a\nb", custom=True),)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.CONTEXT_WINDOW),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("pause_turn", FinishReason.PAUSE),
        ("a_new_reason", FinishReason.STOP),
    ],
)
def test_a_stop_reason_means(word: str, reason: FinishReason) -> None:
    stop = event("message_delta", delta={"stop_reason": word}) + event("message_stop")
    assert gather(decode(START + stop)).finish == Finished(reason)


def test_a_refusal_without_content_is_explained() -> None:
    delta = {
        "stop_reason": "refusal",
        "stop_details": {"type": "refusal", "category": None, "explanation": "no"},
    }
    wire = START + event("message_delta", delta=delta) + event("message_stop")
    reply = gather(decode(wire))
    assert reply.parts == ()
    assert reply.finish == Finished(FinishReason.REFUSAL, explanation="no")


def test_later_counts_replace_earlier_ones_and_cached_tokens_are_input() -> None:
    first = {"input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 1}
    later = {"output_tokens": 9, "cache_creation_input_tokens": 3}
    wire = (
        event("message_start", message={"id": "a", "model": "m", "usage": first})
        + event("message_delta", delta={"stop_reason": "end_turn"}, usage=later)
        + event("message_stop")
    )
    assert gather(decode(wire)).usage == Usage(15, 9, 7, 3)


def test_counts_come_as_soon_as_they_are_said() -> None:
    decoder = AnthropicDecoder()
    decoder.feed(START)
    interim = event("message_delta", delta={}, usage={"output_tokens": 3})
    assert decoder.feed(interim) == [UsageReported(Usage(output_tokens=3))]


def test_a_stream_without_usage_has_none() -> None:
    assert gather(decode(START + STOP)).usage == Usage()


@pytest.mark.parametrize(
    "wire",
    [
        block({"type": "text", "text": "x"}),
        STOP,
        START + START,
        START + event("content_block_delta", delta={"type": "text_delta", "text": 1}),
        START + b"event: message_delta\ndata: {\n\n",
        START + b'event: x\ndata: {"type":"message_start","message":"\xff"}\n\n',
        START + b"event: x\ndata: " + b"[" * 100_000 + b"\n\n",
    ],
)
def test_what_breaks_the_protocol_is_malformed(wire: bytes) -> None:
    last = decode(wire)[-1]
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamMalformed)


def test_an_endless_custom_input_is_malformed() -> None:
    decoder = AnthropicDecoder()
    start = {"type": "tool_use", "id": "a", "name": "x-freeform"}
    decoder.feed(START + event("content_block_start", content_block=start))
    delta = {"type": "input_json_delta", "partial_json": "x" * 2**20}
    piece = event("content_block_delta", delta=delta)
    events = [event for _ in range(18) for event in decoder.feed(piece)]
    assert [type(event) for event in events] == [Failed]


def test_an_endless_event_is_malformed() -> None:
    decoder = AnthropicDecoder()
    events: list[Event] = []
    for _ in range(18):
        events += decoder.feed(b"data: " + b"x" * 2**20)
    assert [type(event) for event in events] == [Failed]


def test_a_last_event_without_its_empty_line_counts() -> None:
    assert decode((START + STOP).rstrip()) == decode(START + STOP)


# --- to a guest -------------------------------------------------------------


def test_a_reply_without_content_has_one_empty_block() -> None:
    message = read_message(encode([Started("msg_1", "x")]))
    assert message["content"] == [{"type": "text", "text": ""}]
    assert message["stop_reason"] == "end_turn"


@pytest.mark.parametrize(
    ("theirs", "own"),
    [("msg_1", "msg_1"), ("chatcmpl-1", "msg_chatcmpl-1"), ("", "msg_7")],
)
def test_an_id_begins_as_guests_expect(theirs: str, own: str) -> None:
    encoder = AnthropicEncoder(Answering("m", 0, id="msg_7"))
    encoder.encode(Started(theirs, "x"))
    assert read_message(encoder.end())["id"] == own


def test_a_reply_of_nothing_but_thoughts_is_whole() -> None:
    message = read_message(encode([ThinkingDelta("hm"), Finished(FinishReason.LENGTH)]))
    assert [block["type"] for block in message["content"]] == ["thinking"]
    assert message["stop_reason"] == "max_tokens"


def test_an_unsigned_thought_is_signed_by_us() -> None:
    events: list[Event] = [ThinkingDelta("a"), ThinkingDelta("b"), TextDelta("c")]
    thought, _ = read_message(encode(events))["content"]
    assert thought["thinking"] == "ab"
    assert is_own_signature(thought["signature"])


def test_a_signature_alone_is_a_block_of_its_own() -> None:
    (thought,) = read_message(encode([ThinkingSigned("s")]))["content"]
    assert thought == {"type": "thinking", "thinking": "", "signature": "s"}


def test_no_reply_ends_with_a_signature_of_nothing() -> None:
    """Agents show the last block; Gemini signs a text after its end."""
    events: list[Event] = [
        TextDelta("Done."),
        ThinkingSigned("s"),
        ThinkingSigned("t"),
        Finished(FinishReason.STOP),
    ]
    (text,) = read_message(encode(events))["content"]
    assert text == {"type": "text", "text": "Done."}
    whole = json.loads(encode_reply(gather(events), ANSWERING))
    assert whole["content"] == [text]


def test_a_signature_between_a_text_and_a_call_stays() -> None:
    events: list[Event] = [
        TextDelta("Let me look."),
        ThinkingSigned("s"),
        ToolCallStarted(0, "t", "f"),
        ToolCallDelta(0, "{}"),
    ]
    blocks = read_message(encode(events))["content"]
    assert [block["type"] for block in blocks] == ["text", "thinking", "tool_use"]
    assert blocks[1]["signature"] == "s"
    whole = json.loads(encode_reply(gather(events), ANSWERING))
    assert whole["content"] == blocks


def test_white_space_before_a_tool_call_is_left_out() -> None:
    events: list[Event] = [
        TextDelta("\n"),
        ToolCallStarted(0, "t", "f"),
        ToolCallDelta(0, "{}"),
    ]
    (call,) = read_message(encode(events))["content"]
    assert call["type"] == "tool_use"


def test_white_space_before_text_is_kept() -> None:
    (text,) = read_message(encode([TextDelta("\n"), TextDelta("a")]))["content"]
    assert text["text"] == "\na"


@pytest.mark.parametrize(
    ("arguments", "input"),
    [
        ([], {}),
        (["  "], {}),
        (["null"], {"_raw": "null"}),
        (["[1", "]"], {"_raw": "[1]"}),
        ([" {", '"a":1}'], {"a": 1}),
        (['"\\n'], {"_raw": '"\\n'}),
    ],
)
def test_the_input_of_a_tool_is_an_object(arguments: list[str], input: Any) -> None:
    events: list[Event] = [ToolCallStarted(0, "t", "f")]
    events += [ToolCallDelta(0, piece) for piece in arguments]
    (call,) = read_message(encode(events))["content"]
    assert call["input"] == input


def test_a_whole_custom_call_is_an_object_too() -> None:
    parts = (ToolCall("a", "sql", "select 1", custom=True), ToolCall("b", "f", "[1]"))
    reply = Reply("msg_1", "m", parts, Finished(FinishReason.STOP))
    message = json.loads(encode_reply(reply, ANSWERING))
    inputs = [block["input"] for block in message["content"]]
    assert inputs == [{"input": "select 1"}, {"_raw": "[1]"}]
    assert message["stop_reason"] == "tool_use"


def test_mixed_parallel_calls_come_one_after_another() -> None:
    events: list[Event] = [
        ToolCallStarted(0, "a", "f"),
        ToolCallStarted(1, "b", "g"),
        ToolCallDelta(1, '{"y":'),
        ToolCallDelta(0, '{"x":'),
        ToolCallDelta(1, "2}"),
        ToolCallDelta(0, "1}"),
        TextDelta("done"),
    ]
    first, second, text = read_message(encode(events))["content"]
    assert (first["input"], second["input"]) == ({"x": 1}, {"y": 2})
    assert text["text"] == "done"


def test_a_fragment_of_a_call_that_was_complete_is_left_out() -> None:
    events: list[Event] = [
        ToolCallStarted(0, "a", "f"),
        ToolCallDelta(0, "{}"),
        ToolCallStarted(1, "b", "g"),
        ToolCallDelta(0, " "),
        ToolCallDelta(1, '{"x":1}'),
    ]
    first, second = read_message(encode(events))["content"]
    assert (first["input"], second["input"]) == ({}, {"x": 1})


def test_a_call_is_sent_while_it_is_written() -> None:
    encoder = AnthropicEncoder(ANSWERING)
    encoder.encode(ToolCallStarted(0, "a", "f"))
    assert b"partial_json" in encoder.encode(ToolCallDelta(0, '{"x":'))


def test_counts_known_at_the_start_are_in_the_first_event() -> None:
    encoder = AnthropicEncoder(ANSWERING)
    encoder.encode(Started("msg_1", "x"))
    encoder.encode(UsageReported(Usage(input_tokens=9, cached_tokens=4)))
    start, ping, *_ = frames(encoder.encode(TextDelta("a")))
    assert start["message"]["usage"]["input_tokens"] == 5
    assert start["message"]["usage"]["cache_read_input_tokens"] == 4
    assert ping == {"type": "ping"}


def test_only_citations_of_its_own_shape_are_carried() -> None:
    own = {"type": "page_location", "cited_text": "x"}
    events: list[Event] = [TextDelta("a"), Cited({"type": "url_citation"}), Cited(own)]
    (text,) = read_message(encode(events))["content"]
    assert text["citations"] == [own]


def test_a_failure_is_an_error_event() -> None:
    encoder = AnthropicEncoder(ANSWERING)
    encoder.encode(TextDelta("a"))
    failed = encoder.fail(UpstreamOverloaded("busy", status=529))
    assert frames(failed) == [
        {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    ]


def test_the_keepalive_is_a_ping() -> None:
    assert frames(ANTHROPIC.keepalive) == [{"type": "ping"}]


# --- whole replies ----------------------------------------------------------


@given(
    body=st.one_of(
        st.binary(max_size=30),
        json_values().map(lambda v: json.dumps(v).encode()),
        json_values().map(
            lambda v: json.dumps({"type": "message", "content": v}).encode()
        ),
        json_values().map(
            lambda v: json.dumps(
                {"type": "message", "content": [{"type": "tool_use", "input": v}]}
            ).encode()
        ),
    )
)
def test_any_body_gives_a_reply_or_our_error(body: bytes) -> None:
    try:
        reply = decode_reply(body)
    except UpstreamError:
        return
    assert isinstance(reply, Reply)


def test_what_the_dialect_cannot_answer_with_is_left_out() -> None:
    parts = (Audio("AAAA", "wav"), Text("x"))
    reply = Reply("msg_1", "m", parts, Finished(FinishReason.STOP))
    assert decode_reply(encode_reply(reply, ANSWERING)).parts == (Text("x"),)


def test_an_error_in_place_of_a_reply_is_that_error() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'
    with pytest.raises(UpstreamOverloaded):
        decode_reply(body)


@pytest.mark.parametrize("body", [b'{"type":"model"}', b"<html>", b"[]", b'"\xff"'])
def test_what_is_no_message_is_malformed(body: bytes) -> None:
    with pytest.raises(UpstreamMalformed):
        decode_reply(body)


def test_a_whole_reply_is_read_without_server_tools_and_with_custom_ones() -> None:
    content = [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": 1},
        {"type": "tool_use", "id": "a", "name": "x-freeform", "input": {"input": "b"}},
        {"type": "tool_use", "id": "b", "name": "x-freeform", "input": {"input": ""}},
    ]
    reply = decode_reply(json.dumps({"type": "message", "content": content}).encode())
    assert reply.parts == (ToolCall("a", "x", "b", True), ToolCall("b", "x", "", True))


def test_citations_of_a_whole_reply_are_carried() -> None:
    own = {"type": "char_location"}
    parts = (Text("a", citations=(own, {"type": "url_citation"})),)
    reply = Reply("msg_1", "m", parts, Finished(FinishReason.STOP))
    message = json.loads(encode_reply(reply, ANSWERING))
    assert message["content"][0]["citations"] == [own]


def test_redacted_reasoning_goes_both_ways() -> None:
    parts = (RedactedThinking("abc"), Thinking("", "s"), Text("x"))
    reply = Reply("msg_1", "m", parts, Finished(FinishReason.STOP))
    assert decode_reply(encode_reply(reply, ANSWERING)) == reply
