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
from modelplex.testing.oracle_gemini import frames, items, read_reply
from modelplex.testing.strategies import chopped, json_values, reply_events
from modelplex.wire.dialect import Answering
from modelplex.wire.gemini.dialect import GEMINI, GEMINI_ARRAY
from modelplex.wire.gemini.json_frames import JsonFrames
from modelplex.wire.gemini.reply import decode_reply, encode_reply
from modelplex.wire.gemini.stream_in import GeminiDecoder
from modelplex.wire.gemini.stream_out import GeminiArrayEncoder, GeminiEncoder

ANSWERING = Answering(model="m", created=0, id="ours")

replies = reply_events(
    refusals=True,
    thinking=True,
    signatures=True,
    interleaved=True,
    reasons=tuple(FinishReason),
)
anything = reply_events(
    refusals=True,
    thinking=True,
    signatures=True,
    custom=True,
    interleaved=True,
    citations=True,
    logprobs=True,
    reasons=tuple(FinishReason),
)


def decode(*chunks: bytes) -> list[Event]:
    decoder = GeminiDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.eof()


def encode(events: Sequence[Event], kind: type[GeminiEncoder] = GeminiEncoder) -> bytes:
    encoder = kind(ANSWERING)
    return b"".join(map(encoder.encode, events)) + encoder.end()


def candidate(*parts: Any, finish: str | None = None, **members: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}}
    if finish is not None:
        made["finishReason"] = finish
    return {"candidates": [made | members], "modelVersion": "v", "responseId": "r"}


def sse(*payloads: Any) -> bytes:
    return b"".join(
        b"data: " + json.dumps(payload).encode() + b"\r\n\r\n" for payload in payloads
    )


def pretty(*payloads: Any) -> bytes:
    return json.dumps(payloads, indent=2).encode()


STOP = candidate(finish="STOP")


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
    reason = {
        FinishReason.LENGTH: FinishReason.LENGTH,
        FinishReason.CONTEXT_WINDOW: FinishReason.LENGTH,
        FinishReason.REFUSAL: FinishReason.REFUSAL,
    }.get(reply.finish.reason, FinishReason.STOP)
    if reason is FinishReason.STOP and any(isinstance(p, ToolCall) for p in parts):
        reason = FinishReason.TOOL_CALLS
    told = "SAFETY" if reason is FinishReason.REFUSAL else None
    return evolve(
        reply,
        model="m",
        parts=tuple(parts),
        finish=Finished(reason, explanation=told),
        usage=evolve(reply.usage, cache_write_tokens=0),
    )


# --- properties -------------------------------------------------------------


@given(events=replies)
def test_a_stream_says_what_the_events_said(events: list[Event]) -> None:
    said = carried(gather(events))
    assert gather(decode(encode(events))) == said
    assert gather(decode(encode(events, GeminiArrayEncoder))) == said


@given(events=replies)
def test_a_whole_reply_says_what_the_events_said(events: list[Event]) -> None:
    reply = gather(events)
    assert decode_reply(encode_reply(reply, ANSWERING)) == carried(reply)


@given(events=anything)
def test_every_stream_obeys_the_rules(events: list[Event]) -> None:
    reply = gather(events)
    read = read_reply(frames(encode(events)))
    assert read == read_reply(items(encode(events, GeminiArrayEncoder)))
    calls = [p["functionCall"]["id"] for p in read["parts"] if "functionCall" in p]
    assert calls == [part.id for part in reply.parts if isinstance(part, ToolCall)]
    said = "".join(p.text for p in reply.parts if isinstance(p, Text | Refusal))
    parts = [p for p in read["parts"] if "text" in p and not p.get("thought")]
    assert "".join(part["text"] for part in parts) == said


@given(events=anything)
def test_a_whole_reply_obeys_the_rules_too(events: list[Event]) -> None:
    body = json.loads(encode_reply(gather(events), ANSWERING))
    streamed = read_reply(frames(encode(events)))
    whole = read_reply([body])
    assert [_kind(p) for p in whole["parts"]] == [_kind(p) for p in streamed["parts"]]
    assert whole["usage"] == streamed["usage"]


def _kind(part: dict[str, Any]) -> Any:
    return part.get("text", part.get("functionCall"))


@given(events=replies, data=st.data(), array=st.booleans())
def test_chunking_never_matters(
    events: list[Event], data: st.DataObject, array: bool
) -> None:
    wire = encode(events, GeminiArrayEncoder if array else GeminiEncoder)
    assert decode(*data.draw(chopped(wire))) == decode(wire)


@given(
    data=st.data(),
    wire=st.one_of(
        st.binary(max_size=40),
        st.lists(
            st.sampled_from(
                [
                    b"data: {}\n\n",
                    b'data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}]}\r\n',
                    b"\r\n",
                    b"\n",
                    b"\xef\xbb\xbf",
                    b"data: [DONE]\n\n",
                    b'{"error":{"code":429}}',
                    b"[",
                    b",",
                    b"]",
                    b'"\\"',
                    b'{"candidates":[{"finishReason":"STOP"}]}',
                    b": x\n\n",
                    b"event: x\n",
                ]
            ),
            max_size=8,
        ).map(b"".join),
    ),
)
def test_any_bytes_end_once_however_they_are_cut(
    data: st.DataObject, wire: bytes
) -> None:
    events = decode(wire)
    ends = [e for e in events if isinstance(e, Finished | Failed)]
    assert len(ends) == 1
    after = events[events.index(ends[0]) + 1 :]
    assert all(isinstance(e, UsageReported) for e in after)
    assert _seen(decode(*data.draw(chopped(wire)))) == _seen(events)


def _seen(events: list[Event]) -> list[Any]:
    return [type(e.error) if isinstance(e, Failed) else e for e in events]


@given(payloads=st.lists(json_values(), max_size=3), array=st.booleans())
def test_any_json_ends_once(payloads: list[Any], array: bool) -> None:
    wire = pretty(*payloads) if array else sse(*payloads)
    assert isinstance(decode(wire)[-1], Failed | UsageReported)


@given(
    part=st.dictionaries(
        st.sampled_from(["text", "thought", "thoughtSignature", "functionCall", "x"]),
        st.one_of(
            json_values(),
            st.fixed_dictionaries({"name": json_values(), "args": json_values()}),
        ),
    )
)
def test_any_part_is_read_or_malformed(part: Any) -> None:
    last = decode(sse(candidate(part), STOP))[-1]
    if isinstance(last, Failed):
        assert isinstance(last.error, UpstreamMalformed)


@given(
    objects=st.lists(st.dictionaries(st.text(max_size=4), json_values(4)), max_size=3)
)
def test_objects_are_cut_out_of_an_array(objects: list[Any]) -> None:
    for indent in (None, 2):
        text = json.dumps(objects, indent=indent, ensure_ascii=False).encode()
        cutter = JsonFrames()
        found = [o for n in range(len(text)) for o in cutter.feed(text[n : n + 1])]
        assert list(map(json.loads, found)) == objects
        assert cutter.closed


# --- from a provider --------------------------------------------------------


def test_an_ordinary_stream_is_read() -> None:
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 1, "totalTokenCount": 6}
    more = usage | {
        "candidatesTokenCount": 4,
        "thoughtsTokenCount": 3,
        "cachedContentTokenCount": 2,
        "toolUsePromptTokenCount": 1,
    }
    events = decode(
        sse(
            candidate({"text": "hm", "thought": True}) | {"usageMetadata": usage},
            candidate({"text": "Hi"}) | {"usageMetadata": usage},
            candidate({"text": ""}, finish="STOP") | {"usageMetadata": more},
        )
    )
    assert events == [
        Started("r", "v"),
        UsageReported(Usage(5, 1)),
        ThinkingDelta("hm"),
        TextDelta("Hi"),
        Finished(FinishReason.STOP),
        UsageReported(Usage(6, 7, 2, 0, 3)),
    ]


def test_a_call_comes_whole_with_its_signature() -> None:
    call = {"functionCall": {"id": "c1", "name": "f", "args": {"x": 1}}}
    other = {"functionCall": {"name": "g"}}
    events = decode(
        sse(candidate(call | {"thoughtSignature": "AAAA"}, other, finish="STOP"))
    )
    _, signed, first, delta, second, empty, finished, _ = events
    assert signed == ThinkingSigned("gemini:call0:AAAA")
    assert (first, delta) == (
        ToolCallStarted(0, "c1", "f"),
        ToolCallDelta(0, '{"x":1}'),
    )
    assert isinstance(second, ToolCallStarted) and second.id.startswith("call_")
    assert empty == ToolCallDelta(1, "{}")
    assert finished == Finished(FinishReason.TOOL_CALLS)


def test_calls_without_ids_have_other_ones_in_another_reply() -> None:
    one = candidate({"functionCall": {"name": "f"}}, finish="STOP")
    ids = {
        event.id
        for id in ("r1", "r2")
        for event in decode(sse(one | {"responseId": id}))
        if isinstance(event, ToolCallStarted)
    }
    assert len(ids) == 2


def test_a_custom_tool_is_known_by_its_name() -> None:
    call = {"name": "a_u20_b.freeform", "args": {"input": "select 1"}, "id": "c"}
    (reply,) = gather(decode(sse(candidate({"functionCall": call}), STOP))).parts
    assert reply == ToolCall("c", "a b", "select 1", custom=True)
    call["args"] = {"input": ""}
    (reply,) = gather(decode(sse(candidate({"functionCall": call}), STOP))).parts
    assert reply == ToolCall("c", "a b", "", custom=True)


def test_the_last_finish_reason_counts() -> None:
    told = (("a", "STOP"), ("b", "MAX_TOKENS"))
    chunks = [candidate({"text": t}, finish=f) for t, f in told]
    reply = gather(decode(sse(*chunks)))
    assert reply.parts == (Text("ab"),)
    assert reply.finish == Finished(FinishReason.LENGTH)


@pytest.mark.parametrize(
    ("word", "message", "finish"),
    [
        ("STOP", None, Finished(FinishReason.STOP)),
        ("MAX_TOKENS", None, Finished(FinishReason.LENGTH)),
        ("CONTINUATION", None, Finished(FinishReason.LENGTH)),
        ("SAFETY", None, Finished(FinishReason.REFUSAL, explanation="SAFETY")),
        ("SPII", "no", Finished(FinishReason.REFUSAL, explanation="no")),
        (
            "IMAGE_SAFETY",
            None,
            Finished(FinishReason.REFUSAL, explanation="IMAGE_SAFETY"),
        ),
        ("OTHER", None, Finished(FinishReason.STOP, explanation="OTHER")),
        ("BRAND_NEW", None, Finished(FinishReason.STOP)),
    ],
)
def test_a_finish_reason_means(word: str, message: str, finish: Finished) -> None:
    last = candidate({"text": "a"}, finish=word, finishMessage=message)
    assert gather(decode(sse(last))).finish == finish


@pytest.mark.parametrize("word", ["MALFORMED_FUNCTION_CALL", "OTHER"])
def test_a_model_that_fails_without_an_answer_is_an_error(word: str) -> None:
    thought = {"text": "hm", "thought": True}
    last = decode(sse(candidate(thought, finish=word, finishMessage="why")))[-1]
    assert isinstance(last, Failed) and type(last.error) is UpstreamError
    assert word in last.error.message and "why" in last.error.message
    body = json.dumps(candidate(finish=word)).encode()
    with pytest.raises(UpstreamError):
        decode_reply(body)


def test_a_blocked_prompt_is_a_refusal() -> None:
    feedback: dict[str, Any] = {"promptFeedback": {"blockReason": "SAFETY"}}
    told = "the prompt was blocked: SAFETY"
    finish = Finished(FinishReason.REFUSAL, explanation=told)
    assert gather(decode(sse(feedback))).finish == finish
    assert decode_reply(json.dumps(feedback).encode()).finish == finish
    feedback["promptFeedback"]["blockReasonMessage"] = "no"
    assert gather(decode(sse(feedback))).finish.explanation == "no"


def test_only_the_first_candidate_is_read() -> None:
    other = {"index": 1, "content": {"parts": [{"text": "b"}]}}
    both = candidate({"text": "a"}, index=0)
    both["candidates"].append(other)
    assert gather(decode(sse(both, STOP))).parts == (Text("a"),)


def test_what_is_not_known_is_passed_over() -> None:
    parts = [
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK"}},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"text": "a"},
    ]
    chunk = candidate(*parts, groundingMetadata={}, safetyRatings=[])
    events = decode(sse({}, chunk | {"new": 1}, STOP), b"data: [DONE]\n\n")
    assert gather(events).parts == (Text("a"),)


def test_log_probabilities_are_read() -> None:
    result = {
        "chosenCandidates": [
            {"token": "é", "tokenId": 1, "logProbability": -0.5},
            {"token": "b"},
        ],
        "topCandidates": [
            {"candidates": [{"token": "é", "logProbability": -0.5}]},
            {"candidates": None},
            {"candidates": [{"token": "one too many"}]},
        ],
    }
    reply = gather(decode(sse(candidate({"text": "a"}, logprobsResult=result), STOP)))
    entry = {"token": "é", "logprob": -0.5, "bytes": [195, 169]}
    assert reply.logprobs == (
        {**entry, "top_logprobs": [entry]},
        {"token": "b", "logprob": 0.0, "bytes": [98], "top_logprobs": []},
    )


ERROR = {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize(
    "wire",
    [
        sse(candidate({"text": "a"}), ERROR),
        sse(candidate({"text": "a"}), [ERROR]),
        sse(candidate({"text": "a"})) + json.dumps(ERROR).encode(),
        sse(candidate({"text": "a"})) + pretty(ERROR) + b"\r\n\r\n",
        pretty(candidate({"text": "a"}), ERROR),
    ],
)
def test_an_error_in_the_middle_is_that_error(wire: bytes) -> None:
    events = decode(wire)
    assert TextDelta("a") in events
    last = events[-1]
    assert isinstance(last, Failed) and type(last.error) is UpstreamOverloaded


@pytest.mark.parametrize(
    "wire",
    [json.dumps(ERROR).encode(), json.dumps(ERROR, indent=1).encode(), pretty(ERROR)],
)
def test_an_error_in_place_of_a_stream_is_that_error(wire: bytes) -> None:
    (failed,) = decode(wire)
    assert isinstance(failed, Failed) and type(failed.error) is UpstreamOverloaded


def test_a_whole_reply_in_place_of_a_stream_is_read() -> None:
    body = json.dumps(candidate({"text": "a"}, finish="STOP")).encode()
    assert gather(decode(body)).parts == (Text("a"),)


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"\n",
        b"<html>",
        sse(candidate({"text": "a"})),
        sse(candidate({"text": "a"})) + sse(STOP)[:-9],
        pretty(candidate({"text": "a"}), STOP)[:-9],
        sse(candidate(finish="FINISH_REASON_UNSPECIFIED")),
    ],
)
def test_a_stream_that_stops_is_cut(wire: bytes) -> None:
    last = decode(wire)[-1]
    assert isinstance(last, Failed) and type(last.error) is UpstreamCut


def test_a_stream_without_its_last_empty_line_is_complete() -> None:
    for end in (b"", b"\r\n", b"\r\n\r"):
        wire = sse(candidate({"text": "a"})) + sse(STOP)[:-4] + end
        assert gather(decode(wire)).parts == (Text("a"),)


def test_a_stream_that_fails_says_what_it_used() -> None:
    used = {"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2}}
    *_, usage, failed = decode(sse(candidate({"text": "a"}) | used))
    assert usage == UsageReported(Usage(5, 2))
    assert isinstance(failed, Failed)


def test_an_array_that_is_closed_needs_no_end_of_the_body() -> None:
    decoder = GeminiDecoder()
    events = decoder.feed(pretty(candidate({"text": "a"}), STOP))
    assert decoder.done and isinstance(events[-1], UsageReported)
    assert decoder.feed(b"x") == decoder.eof() == []


def test_an_event_of_nothing_is_passed_over() -> None:
    wire = sse(candidate({"text": "a"})) + b"data: \r\n\r\ndata:\n\n" + sse(STOP)
    assert gather(decode(wire)).parts == (Text("a"),)


def test_what_is_endless_is_malformed() -> None:
    for start in (b"data: ", b"[{", b'{"a":"'):
        decoder = GeminiDecoder()
        decoder.feed(start)
        events: list[Event] = []
        for _ in range(17):
            events += decoder.feed(b"a" * 2**20)
        (failed,) = events
        assert isinstance(failed, Failed)
        assert type(failed.error) is UpstreamMalformed


@pytest.mark.parametrize("wire", [b"data: x\n\n", b'data: {"candidates":1}\n\n'])
def test_what_is_no_response_is_malformed(wire: bytes) -> None:
    last = decode(wire)[-1]
    assert isinstance(last, Failed) and type(last.error) is UpstreamMalformed


# --- to a guest -------------------------------------------------------------


def parts(events: Sequence[Event]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_reply(frames(encode(events)))["parts"]
    return found


def test_an_empty_reply_has_a_part() -> None:
    (chunk,) = frames(encode([Finished(FinishReason.STOP)]))
    assert chunk["candidates"] == [
        {
            "content": {"parts": [{"text": ""}], "role": "model"},
            "finishReason": "STOP",
            "index": 0,
        }
    ]
    assert (chunk["modelVersion"], chunk["responseId"]) == ("m", "ours")


def test_a_chunk_is_as_gemini_writes_it() -> None:
    encoder = GeminiEncoder(ANSWERING)
    encoder.encode(Started("r", "x"))
    assert encoder.encode(TextDelta("é")) == (
        b'data: {"candidates":[{"content":{"parts":[{"text":"\xc3\xa9"}],'
        b'"role":"model"},"index":0}],"modelVersion":"m","responseId":"r"}\r\n\r\n'
    )


def test_a_call_is_one_line_whatever_the_model_wrote() -> None:
    events: list[Event] = [
        ToolCallStarted(0, "a", "f"),
        ToolCallDelta(0, '{\n "x": "\u2028",'),
        ToolCallDelta(0, '\r\n "y": 1.10 }'),
    ]
    (call,) = parts(events)
    assert call["functionCall"]["args"] == {"x": "\u2028", "y": 1.10}


def test_mixed_parallel_calls_come_whole_before_what_follows() -> None:
    events: list[Event] = [
        ToolCallStarted(0, "a", "f"),
        ToolCallStarted(1, "b", "g"),
        ToolCallDelta(1, '{"y":'),
        ToolCallDelta(0, '{"x":'),
        ToolCallDelta(1, "2}"),
        ToolCallDelta(0, "1}"),
        TextDelta("done"),
    ]
    first, second, text = parts(events)
    assert first["functionCall"] == {"id": "a", "name": "f", "args": {"x": 1}}
    assert second["functionCall"]["args"] == {"y": 2}
    assert text == {"text": "done"}


def test_a_call_that_is_not_complete_yet_loses_nothing() -> None:
    events: list[Event] = [
        ToolCallStarted(0, "a", "f"),
        ToolCallDelta(0, '{"x":'),
        TextDelta("t"),
        ToolCallDelta(0, "1}"),
        ToolCallDelta(7, "{}"),
    ]
    text, call = parts(events)
    assert text == {"text": "t"} and call["functionCall"]["args"] == {"x": 1}


def test_each_signature_goes_to_the_part_that_it_is_for() -> None:
    events: list[Event] = [
        ThinkingDelta("a"),
        ThinkingSigned("gemini:AAAA"),
        TextDelta("b"),
        ThinkingSigned("gemini:text:BBBB"),
        ThinkingSigned("gemini:call0:CCCC"),
        ToolCallStarted(0, "c", "f"),
    ]
    thought, text, call = parts(events)
    assert thought["thoughtSignature"] == "AAAA"
    assert text == {"text": "b", "thoughtSignature": "BBBB"}
    assert call["thoughtSignature"] == "CCCC"
    reply = gather([Started("r", "m"), *events, Finished(FinishReason.TOOL_CALLS)])
    reply = evolve(reply, parts=(*reply.parts[:-1], ToolCall("c", "f", "{}")))
    assert gather(decode(encode(events))).parts == reply.parts
    assert decode_reply(encode_reply(reply, ANSWERING)).parts == reply.parts


def test_foreign_proof_is_bytes_that_a_client_can_keep() -> None:
    events: list[Event] = [
        ThinkingDelta("a"),
        ThinkingSigned("c2ln"),
        ThinkingRedacted("é"),
    ]
    thought = parts(events)[0]
    assert thought["text"] == "a" and thought["thoughtSignature"].isascii()
    assert gather(decode(encode(events))).parts == (
        Thinking("a", "c2ln"),
        RedactedThinking("é"),
    )


def test_log_probabilities_go_both_ways() -> None:
    entry = {"token": "é", "logprob": -0.5, "bytes": [195, 169]}
    whole = {**entry, "top_logprobs": [entry]}
    events: list[Event] = [TextDelta("é"), TokenLogprobs((whole, "?"))]
    assert gather(decode(encode(events))).logprobs == (whole,)
    reply = Reply("r", "m", (Text("é"),), Finished(FinishReason.STOP))
    reply = evolve(reply, logprobs=(whole,))
    assert decode_reply(encode_reply(reply, ANSWERING)).logprobs == (whole,)


@pytest.mark.parametrize("entry", [{"logprob": float("-inf")}, {"top_logprobs": 1}, {}])
def test_a_log_probability_of_any_shape_is_written(entry: Any) -> None:
    assert read_reply(frames(encode([TokenLogprobs((entry,))])))


def test_why_a_model_refused_is_told() -> None:
    finish = Finished(FinishReason.REFUSAL, explanation="no")
    (chunk,) = frames(encode([finish]))
    assert chunk["candidates"][0]["finishMessage"] == "no"
    assert gather(decode(encode([finish]))).finish == finish


def test_citations_and_empty_deltas_are_left_out() -> None:
    events: list[Event] = [TextDelta(""), ThinkingDelta(""), Cited({"type": "x"})]
    assert parts(events) == []


def test_usage_is_in_the_last_chunk() -> None:
    used = UsageReported(Usage(10, 7, 4, 2, 3))
    *_, last = frames(encode([TextDelta("a"), used]))
    assert last["usageMetadata"] == {
        "promptTokenCount": 10,
        "candidatesTokenCount": 4,
        "totalTokenCount": 17,
        "cachedContentTokenCount": 4,
        "thoughtsTokenCount": 3,
    }


@pytest.mark.parametrize("kind", [GeminiEncoder, GeminiArrayEncoder])
def test_a_failure_is_an_error_in_the_stream(kind: type[GeminiEncoder]) -> None:
    encoder = kind(ANSWERING)
    error = UpstreamRateLimited("slow down", retry_after=2.5)
    wire = encoder.encode(TextDelta("a")) + encoder.fail(error)
    read = frames if kind is GeminiEncoder else items
    _, told = read(wire)
    assert told["error"]["code"] == 429
    *_, failed = decode(wire)
    assert isinstance(failed, Failed)
    assert type(failed.error) is UpstreamRateLimited
    assert failed.error.retry_after == 2.5
    assert read(kind(ANSWERING).fail(error)) == [told]


def test_the_keepalive_is_an_empty_line_before_anything() -> None:
    for dialect in (GEMINI, GEMINI_ARRAY):
        encoder = dialect.encoder(ANSWERING)
        wire = dialect.keepalive * 2 + encoder.encode(TextDelta("a"))
        wire += dialect.keepalive + encoder.end()
        assert gather(decode(wire)).parts == (Text("a"),)


# --- whole replies ----------------------------------------------------------


@given(
    body=st.one_of(
        st.binary(max_size=30),
        json_values().map(lambda v: json.dumps(v).encode()),
        json_values().map(lambda v: json.dumps({"candidates": v}).encode()),
        json_values().map(lambda v: json.dumps(candidate(v, finish="STOP")).encode()),
    )
)
def test_any_body_gives_a_reply_or_our_error(body: bytes) -> None:
    try:
        reply = decode_reply(body)
    except UpstreamError:
        return
    assert isinstance(reply, Reply)


@pytest.mark.parametrize("body", [json.dumps(ERROR).encode(), pretty(ERROR)])
def test_an_error_in_place_of_a_reply_is_that_error(body: bytes) -> None:
    with pytest.raises(UpstreamOverloaded):
        decode_reply(body)


@pytest.mark.parametrize("body", [b"{}", b"<html>", b'"\xff"', b'{"candidates":[]}'])
def test_what_is_no_reply_is_malformed(body: bytes) -> None:
    with pytest.raises(UpstreamMalformed):
        decode_reply(body)


def test_what_the_dialect_cannot_answer_with_is_left_out() -> None:
    parts = (Audio("AAAA", "wav"), Text("x"))
    reply = Reply("r", "m", parts, Finished(FinishReason.STOP))
    assert decode_reply(encode_reply(reply, ANSWERING)).parts == (Text("x"),)
