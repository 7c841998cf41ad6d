"""What a guest's stream of response events looks like: right for the strictest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from attrs import evolve
from hypothesis import given

from modelplex.errors import (
    GatewayError,
    UpstreamCut,
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
    Part,
    RedactedThinking,
    RefusalDelta,
    Reply,
    Started,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    TokenLogprobs,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
    gather,
    spread,
)
from modelplex.testing.oracle_responses import accumulate, payloads
from modelplex.testing.strategies import reply_events
from modelplex.wire.dialect import Answering
from modelplex.wire.jsonobject import open_object
from modelplex.wire.responses import output_writer
from modelplex.wire.responses.dialect import RESPONSES
from modelplex.wire.responses.names import flat_name
from modelplex.wire.responses.proofs import native_parts, remembered
from modelplex.wire.responses.response_out import echoed
from modelplex.wire.responses.stream_out import ResponseStream, failed_at

GOLDEN = Path(__file__).parent.parent / "golden" / "responses"
ASKED = Answering(model="asked-for", created=1760000000, id="own")
LOGPROB = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
CITATION = {
    "type": "url_citation",
    "url_citation": {
        "start_index": 0,
        "end_index": 2,
        "title": "T",
        "url": "https://e/",
    },
}

EVERYTHING: list[Event] = [
    Started("msg_1", "claude"),
    UsageReported(Usage(input_tokens=10)),
    ThinkingDelta("Hm, "),
    ThinkingDelta("well."),
    ThinkingSigned("c2ln"),
    ThinkingRedacted("b3BhcXVl"),
    TextDelta('Hi "you"\n☃'),
    TokenLogprobs((LOGPROB,)),
    TextDelta("!"),
    Cited(CITATION),
    Cited({"type": "char_location", "cited_text": "x"}),
    RefusalDelta("I must "),
    RefusalDelta("not."),
    ToolCallStarted(0, "call_a", "zoom"),
    ToolCallStarted(1, "call_b", "now"),
    ToolCallDelta(0, '{"by":'),
    ToolCallDelta(0, "2}"),
    ToolCallStarted(2, "call_c", flat_name("files", "note"), custom=True),
    ToolCallDelta(2, "free text"),
    TextDelta("Bye"),
    Cited({"type": "web_search_result_location", "url": "https://f/", "title": None}),
    Finished(FinishReason.TOOL_CALLS),
    UsageReported(Usage(20, 9, 5, 3, 4)),
]


def written(events: list[Event], answering: Answering = ASKED) -> bytes:
    encoder = RESPONSES.encoder(answering)
    return b"".join(map(encoder.encode, events)) + encoder.end()


def decoded(stream: bytes) -> list[Event]:
    decoder = RESPONSES.decoder()
    return decoder.feed(stream) + decoder.eof()


def unwrapped(reply: Reply) -> Reply:
    """The reply with the proofs that it had before a guest was sent it."""
    parts: list[Part] = []
    for part in reply.said:
        proof = None
        if isinstance(part, Thinking) and part.signature is not None:
            proof = part.signature
        elif isinstance(part, RedactedThinking):
            proof = part.content
        found = None if proof is None else native_parts(proof)
        text = part.text if isinstance(part, Thinking) else ""
        parts += [part] if found is None else remembered("", found[1], text)
    return evolve(reply, parts=tuple(parts))


def test_a_stream_full_of_everything_is_written_to_the_byte() -> None:
    assert written(EVERYTHING) == (GOLDEN / "stream_written.sse").read_bytes()


def test_a_stream_full_of_everything_adds_up_at_a_strict_reader() -> None:
    response = accumulate(written(EVERYTHING))
    golden = json.loads((GOLDEN / "reply_written.json").read_bytes())
    assert response == golden
    assert [item["type"] for item in response["output"]] == [
        "reasoning",
        "reasoning",
        "message",
        "function_call",
        "function_call",
        "custom_tool_call",
        "message",
    ]
    call = response["output"][5]
    assert (call["namespace"], call["name"]) == ("files", "note")


def test_a_whole_reply_is_the_end_of_its_stream() -> None:
    events = [e for e in EVERYTHING if not isinstance(e, TokenLogprobs)]
    reply = gather(events)
    whole = RESPONSES.encode_reply(reply, ASKED)
    assert json.loads(whole) == accumulate(written(list(spread(reply))))


def test_a_whole_reply_has_the_logprobs_with_its_first_text() -> None:
    reply = gather(
        [TextDelta("a"), TokenLogprobs((LOGPROB,)), ToolCallStarted(0, "c", "f")]
    )
    whole = json.loads(RESPONSES.encode_reply(reply, ASKED))
    assert whole["output"][0]["content"][0]["logprobs"] == [LOGPROB]


@given(
    events=reply_events(
        refusals=True,
        thinking=True,
        signatures=True,
        custom=True,
        interleaved=True,
        citations=True,
        logprobs=True,
        reasons=(FinishReason.STOP, FinishReason.LENGTH),
    )
)
def test_every_legal_reply_pleases_the_strictest_reader(events: list[Event]) -> None:
    stream = written(events)
    accumulate(stream)
    assert stream == written(events), "the same reply gives other bytes"


@given(
    events=reply_events(
        refusals=True,
        thinking=True,
        signatures=True,
        custom=True,
        interleaved=True,
        logprobs=True,
    )
)
def test_what_is_written_is_read_again(events: list[Event]) -> None:
    expected = gather(events)
    called = any(isinstance(e, ToolCallStarted) for e in events)
    refused = any(isinstance(e, RefusalDelta) for e in events)
    reply = unwrapped(gather(decoded(written(events, evolve(ASKED, id="")))))
    assert reply.id == "resp_" + expected.id
    assert reply.parts == expected.parts
    assert reply.usage == expected.usage
    assert reply.logprobs == expected.logprobs
    if not (called and refused):  # then it is the calls that matter
        assert reply.finish == expected.finish
    whole = RESPONSES.encode_reply(expected, evolve(ASKED, id=""))
    again = unwrapped(RESPONSES.decode_reply(whole))
    assert (again.parts, again.usage) == (expected.parts, expected.usage)


def test_the_first_argument_may_never_come() -> None:
    response = accumulate(
        written([ToolCallStarted(0, "a", "f"), Finished(FinishReason.TOOL_CALLS)])
    )
    assert response["output"][0]["arguments"] == "{}"


def test_a_call_is_complete_as_soon_as_its_arguments_are() -> None:
    encoder = RESPONSES.encoder(ASKED)
    encoder.encode(ToolCallStarted(0, "a", "f"))
    encoder.encode(ToolCallDelta(0, '{"x":'))
    encoder.encode(ToolCallDelta(0, "{}}"))
    said = encoder.encode(ToolCallStarted(1, "b", "g"))
    assert b"response.output_item.done" in said


def test_nothing_at_all_is_a_complete_response() -> None:
    response = accumulate(written([]))
    assert response["status"] == "completed" and response["output"] == []


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        (FinishReason.STOP, "completed", None),
        (FinishReason.STOP_SEQUENCE, "completed", None),
        (FinishReason.PAUSE, "completed", None),
        (FinishReason.LENGTH, "incomplete", "max_output_tokens"),
        (FinishReason.CONTEXT_WINDOW, "incomplete", "max_output_tokens"),
        (FinishReason.REFUSAL, "incomplete", "content_filter"),
    ],
)
def test_the_finish_is_a_status(
    reason: FinishReason, status: str, details: str | None
) -> None:
    response = accumulate(written([TextDelta("a"), Finished(reason)]))
    assert response["status"] == status
    assert (response["incomplete_details"] or {}).get("reason") == details


def test_a_refusal_with_words_is_complete() -> None:
    finish = Finished(FinishReason.REFUSAL, explanation="Not that.")
    response = accumulate(written([TextDelta("a"), finish]))
    assert response["status"] == "completed"
    assert response["output"][0]["content"][1] == {
        "type": "refusal",
        "refusal": "Not that.",
    }


def test_two_citations_of_one_text_have_the_same_range() -> None:
    events: list[Event] = [
        TextDelta("one "),
        Cited({"url": "https://a/"}),
        Cited({"url": "https://b/"}),
        TextDelta("two"),
        Cited({"url": "https://c/", "title": "C"}),
    ]
    [item] = accumulate(written(events))["output"]
    ranges = [
        (a["start_index"], a["end_index"], a["title"])
        for a in item["content"][0]["annotations"]
    ]
    assert ranges == [(0, 4, ""), (0, 4, ""), (4, 7, "C")]


def test_a_response_repeats_the_settings_of_its_request() -> None:
    body = open_object(
        b'{"model":"m","input":"x","temperature":0.5,"tools":[{"type":"function",'
        b'"name":"f"}],"metadata":{"a":"b"},"instructions":null,"store":true}'
    )
    stream = ResponseStream(evolve(ASKED, echo=echoed(body)))
    response = accumulate(stream.encode(TextDelta("a")) + stream.end())
    assert response["temperature"] == 0.5
    assert response["tools"] == [{"type": "function", "name": "f"}]
    assert response["metadata"] == {"a": "b"}
    assert response["store"] is True
    assert response["instructions"] is None and response["model"] == "asked-for"
    assert json.loads(stream.final) == response


def test_a_long_id_is_made_short() -> None:
    response = accumulate(written([TextDelta("a")], evolve(ASKED, id="x" * 300)))
    assert len(response["id"]) < 50


def test_an_answer_that_cannot_be_repeated_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(output_writer, "LONGEST", 10)
    events: list[Event] = [TextDelta("12345"), TextDelta("67890"), TextDelta("more")]
    events += [ThinkingDelta("x"), RefusalDelta("y")]
    events += [ToolCallStarted(0, "a", "f", custom=True), ToolCallDelta(0, "z")]
    response = accumulate(written([*events, Finished(FinishReason.STOP)]))
    assert response["output"][1]["input"] == ""
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["output"][0]["content"][0]["text"] == "1234567890"


def test_reasoning_without_a_proof_is_known_again_for_what_it_is() -> None:
    events: list[Event] = [ThinkingDelta("Hm"), TextDelta("Hi")]
    events.append(Finished(FinishReason.STOP))
    item, _ = accumulate(written(events))["output"]
    content = item["encrypted_content"]
    assert remembered(item["id"], content, "Hm") == [Thinking("Hm")]
    assert remembered(item["id"], content, "") == []
    # Its next provider would look for it in what it has stored.
    request = open_object(json.dumps({"input": [item]}).encode())
    assert RESPONSES.without_foreign(request, None) == {"input": b"[]"}


FAILURES: list[tuple[GatewayError, str]] = [
    (UpstreamCut("gone"), "server_error"),
    (UpstreamOverloaded("busy"), "server_is_overloaded"),
    (UpstreamOverloaded("busy", status=529), "server_is_overloaded"),
    (UpstreamRateLimited("slow down", retry_after=1.5), "rate_limit_exceeded"),
    (UpstreamQuota("no credit"), "insufficient_quota"),
    (
        UpstreamRejected("too long", status=400, code="context_length_exceeded"),
        "context_length_exceeded",
    ),
    (UpstreamRejected("no", status=400), "invalid_prompt"),
]


@pytest.mark.parametrize(("error", "code"), FAILURES)
def test_a_failure_in_the_middle_is_a_failed_response(
    error: GatewayError, code: str
) -> None:
    encoder = RESPONSES.encoder(ASKED)
    begun = encoder.encode(ThinkingDelta("Hm")) + encoder.encode(TextDelta("Hi"))
    response = accumulate(begun + encoder.fail(error))
    assert response["error"]["code"] == code
    assert [item["type"] for item in response["output"]] == ["reasoning"]


@pytest.mark.parametrize(("error", "code"), FAILURES)
def test_a_failure_before_anything_still_begins_with_a_response(
    error: GatewayError, code: str
) -> None:
    response = accumulate(RESPONSES.encoder(ASKED).fail(error))
    assert response["error"]["code"] == code
    [failed] = [
        e
        for e in decoded(RESPONSES.encoder(ASKED).fail(error))
        if isinstance(e, Failed)
    ]
    assert failed.error.kind == error.kind or code == "server_error"
    assert failed.error.failover == error.failover
    assert failed.error.retry_after == error.retry_after


def test_a_stream_that_was_passed_on_can_be_ended_in_its_own_name() -> None:
    begun = written([TextDelta("Hi")])
    begun = begun[: begun.index(b"event: response.output_text.done")]
    last = failed_at(UpstreamCut("gone"), ASKED, "resp_own", 4)
    events = payloads(begun + last)
    assert events[-1]["response"]["id"] == events[0]["response"]["id"]


def test_what_belongs_to_no_text_is_left_out() -> None:
    events: list[Event] = [
        Cited(CITATION),
        TokenLogprobs((LOGPROB,)),
        ToolCallDelta(7, "{}"),
        TextDelta(""),
        TextDelta("a"),
        TextDelta(""),
        Cited("not an object"),
        Cited({"type": "file_citation", "file_id": "f"}),
    ]
    [item] = accumulate(written(events))["output"]
    assert item["content"][0]["annotations"] == [
        {"type": "file_citation", "file_id": "f"}
    ]
    assert item["content"][0]["logprobs"] == []


def test_text_is_escaped_as_json_wants_it() -> None:
    text = 'a"\\\n\r\u2028\x00😀'
    [item] = accumulate(written([TextDelta(text), TextDelta(text)]))["output"]
    assert item["content"][0]["text"] == text * 2


def test_a_proof_of_another_provider_comes_back_as_it_was() -> None:
    response: dict[str, Any] = accumulate(written(EVERYTHING))
    body = {"model": "m", "input": response["output"]}
    request = RESPONSES.decode_request(open_object(msgspec.json.encode(body)))
    thoughts = request.messages[0].parts[:2]
    assert thoughts == (Thinking("Hm, well.", "c2ln"), RedactedThinking("b3BhcXVl"))
