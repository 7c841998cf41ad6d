"""What a guest's chat stream looks like: right for the strictest reader there is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import UpstreamCut, UpstreamDenied
from modelplex.events import (
    Cited,
    Event,
    Finished,
    FinishReason,
    RefusalDelta,
    Reply,
    Started,
    Text,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    TokenLogprobs,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
    gather,
)
from modelplex.testing.oracle_openai import Accumulated, accumulate_chat
from modelplex.testing.strategies import reply_events
from modelplex.wire.dialect import Answering
from modelplex.wire.openai.dialect import OPENAI_CHAT

GOLDEN = Path(__file__).parent.parent / "golden" / "openai"
ASKED = Answering(model="asked-for", created=1760000000, include_usage=True, id="own")
STOPPED = Finished(FinishReason.STOP)
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
    Cited(CITATION),
    Cited({"type": "char_location", "cited_text": "x"}),
    ToolCallStarted(0, "call_a", "zoom"),
    ToolCallStarted(1, "call_b", "now"),
    ToolCallDelta(0, '{"by":'),
    ToolCallDelta(0, "2}"),
    ToolCallStarted(2, "call_c", "note", custom=True),
    ToolCallDelta(2, "free text"),
    TextDelta(" B"),
    TextDelta("ye."),
    Cited({"type": "web_search_result_location", "url": "https://f/", "title": None}),
    Finished(FinishReason.TOOL_CALLS),
    UsageReported(Usage(20, 9, 5, 3, 4)),
]


def written(events: list[Event], answering: Answering = ASKED) -> bytes:
    encoder = OPENAI_CHAT.encoder(answering)
    return b"".join(map(encoder.encode, events)) + encoder.end()


def accumulated(events: list[Event], include_usage: bool = True) -> Accumulated:
    answering = evolve(ASKED, include_usage=include_usage)
    return accumulate_chat(written(events, answering), include_usage)


def test_a_stream_full_of_everything_is_written_to_the_byte() -> None:
    assert written(EVERYTHING) == (GOLDEN / "chat_stream.sse").read_bytes()


def test_a_stream_full_of_everything_adds_up_at_a_strict_reader() -> None:
    assert accumulated(EVERYTHING) == {
        "content": 'Hi "you"\n☃ Bye.',
        "refusal": "",
        "reasoning_content": "Hm, well.",
        "reasoning": "Hm, well.",
        "reasoning_details": [
            {
                "type": "reasoning.text",
                "text": "Hm, well.",
                "signature": "c2ln",
                "format": "anthropic-claude-v1",
                "index": 0,
            },
            {
                "type": "reasoning.encrypted",
                "data": "b3BhcXVl",
                "format": "anthropic-claude-v1",
                "index": 1,
            },
        ],
        "annotations": [
            CITATION,
            {
                "type": "url_citation",
                "url_citation": {
                    "start_index": 10,
                    "end_index": 15,
                    "title": "",
                    "url": "https://f/",
                },
            },
        ],
        "tool_calls": [
            {
                "index": 0,
                "id": "call_a",
                "type": "function",
                "function": {"name": "zoom", "arguments": '{"by":2}'},
            },
            {
                "index": 1,
                "id": "call_b",
                "type": "function",
                "function": {"name": "now", "arguments": "{}"},
            },
            {
                "index": 2,
                "id": "call_c",
                "type": "custom",
                "custom": {"name": "note", "input": "free text"},
            },
        ],
        "logprobs": [{"content": [LOGPROB], "refusal": None}],
        "finish_reason": "tool_calls",
        "usage": {
            "prompt_tokens": 20,
            "completion_tokens": 9,
            "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 4},
        },
    }


@given(
    events=reply_events(
        refusals=True,
        thinking=True,
        signatures=True,
        custom=True,
        interleaved=True,
        citations=True,
        logprobs=True,
        reasons=tuple(FinishReason),
    ),
    include_usage=st.booleans(),
)
def test_every_legal_reply_satisfies_the_strict_reader(
    events: list[Event], include_usage: bool
) -> None:
    said = accumulated(events, include_usage)
    text = "".join(e.text for e in events if isinstance(e, TextDelta))
    assert said["content"] == text
    assert len(said["tool_calls"]) == sum(
        isinstance(e, ToolCallStarted) for e in events
    )


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
def test_what_is_written_is_read_again_as_the_same_reply(events: list[Event]) -> None:
    decoder = OPENAI_CHAT.decoder()
    told = decoder.feed(written(events)) + decoder.eof()
    sent = gather(events)
    expected = evolve(sent, id=f"chatcmpl-{sent.id}", model="asked-for")
    assert gather(told) == expected


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (FinishReason.STOP, "stop"),
        (FinishReason.STOP_SEQUENCE, "stop"),
        (FinishReason.LENGTH, "length"),
        (FinishReason.CONTEXT_WINDOW, "length"),
        (FinishReason.TOOL_CALLS, "tool_calls"),
        (FinishReason.REFUSAL, "content_filter"),
        (FinishReason.PAUSE, "stop"),
    ],
)
def test_every_reason_has_its_word(reason: FinishReason, word: str) -> None:
    events: list[Event] = [Started("", ""), Finished(reason)]
    assert accumulated(events)["finish_reason"] == word
    whole = Reply("", "", (), Finished(reason))
    assert (
        json.loads(OPENAI_CHAT.encode_reply(whole, ASKED))["choices"][0][
            "finish_reason"
        ]
        == word
    )


@pytest.mark.parametrize(
    ("given_id", "shown"),
    [
        ("msg_1", "chatcmpl-msg_1"),
        ("chatcmpl-7", "chatcmpl-7"),
        ("", "chatcmpl-own"),
    ],
)
def test_the_id_has_the_form_of_the_dialect(given_id: str, shown: str) -> None:
    stream = written([Started(given_id, "m"), STOPPED])
    assert json.loads(stream.split(b"\n")[0][6:])["id"] == shown


def test_why_it_was_refused_is_said_when_the_model_did_not() -> None:
    refused = Finished(FinishReason.REFUSAL, explanation="policy")
    assert accumulated([Started("", ""), refused])["refusal"] == "policy"
    own: list[Event] = [Started("", ""), RefusalDelta("No."), refused]
    assert accumulated(own)["refusal"] == "No."


def test_thinking_without_proof_names_no_format() -> None:
    said = accumulated([Started("", ""), ThinkingDelta("a"), STOPPED])
    assert said["reasoning_details"] == [
        {"type": "reasoning.text", "text": "a", "index": 0}
    ]


def test_two_blocks_of_thinking_stay_two() -> None:
    said = accumulated(
        [
            Started("", ""),
            ThinkingDelta("a"),
            ThinkingSigned("s"),
            TextDelta("x"),
            ThinkingDelta("b"),
            ThinkingSigned("t"),
            ThinkingSigned("u"),
            STOPPED,
        ]
    )
    details = said["reasoning_details"]
    assert [(d.get("text"), d["signature"]) for d in details] == [
        ("a", "s"),
        ("b", "t"),
        (None, "u"),
    ]


def test_empty_deltas_say_nothing() -> None:
    quiet = written([Started("", ""), TextDelta(""), ThinkingDelta(""), STOPPED])
    assert quiet == written([Started("", ""), STOPPED])


def test_an_error_ends_the_stream_and_is_no_clean_end() -> None:
    encoder = OPENAI_CHAT.encoder(ASKED)
    encoder.encode(Started("a", "m"))
    failed = encoder.fail(UpstreamCut("the provider hung up"))
    assert json.loads(failed.removeprefix(b"data: ")) == {
        "error": {
            "message": "the provider hung up",
            "type": "server_error",
            "param": None,
            "code": "upstream_cut",
        }
    }
    assert failed.endswith(b"}\n\n") and b"[DONE]" not in failed


def test_what_only_the_operator_may_know_is_not_in_the_stream() -> None:
    error = UpstreamDenied("refused", told_operator="401 sk-secret")
    assert b"secret" not in OPENAI_CHAT.encoder(ASKED).fail(error)


def test_a_citation_stands_where_its_text_does() -> None:
    web = {"type": "web_search_result_location", "url": "https://f/", "title": "F"}
    reply = Reply("", "", (Text("ab"), Text("cde", citations=(web,))), STOPPED)
    message = json.loads(OPENAI_CHAT.encode_reply(reply, ASKED))["choices"][0][
        "message"
    ]
    [shown] = message["annotations"]
    assert shown["url_citation"] == {
        "start_index": 2,
        "end_index": 5,
        "title": "F",
        "url": "https://f/",
    }
