"""Whole chat completions, both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import GatewayError, UpstreamMalformed, UpstreamRateLimited
from modelplex.events import (
    Event,
    Finished,
    FinishReason,
    Part,
    RedactedThinking,
    Refusal,
    Reply,
    Text,
    Thinking,
    ToolCall,
    Usage,
    gather,
)
from modelplex.testing.strategies import json_values, reply_events
from modelplex.wire.dialect import Answering
from modelplex.wire.openai.dialect import OPENAI_CHAT

GOLDEN = Path(__file__).parent.parent / "golden" / "openai"
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

EVERYTHING = Reply(
    id="chatcmpl-1",
    model="asked-for",
    parts=(
        Thinking("Hm.", "c2ln"),
        RedactedThinking("b3BhcXVl"),
        Text("Hi ☃", citations=(CITATION,)),
        Refusal("Not that."),
        ToolCall("call_a", "zoom", '{"by":2}'),
        ToolCall("call_b", "note", "free text", custom=True),
    ),
    finish=Finished(FinishReason.TOOL_CALLS),
    usage=Usage(20, 9, 5, 3, 4),
    logprobs=(LOGPROB,),
)


def shown(reply: Reply) -> Any:
    return json.loads(OPENAI_CHAT.encode_reply(reply, ASKED))


def test_a_reply_full_of_everything_is_written_and_read_again() -> None:
    body = (GOLDEN / "chat_reply.json").read_bytes().rstrip()
    assert OPENAI_CHAT.encode_reply(EVERYTHING, ASKED) == body
    assert OPENAI_CHAT.decode_reply(body) == EVERYTHING


def test_a_reply_in_openais_own_form_is_read() -> None:
    body = (GOLDEN / "openai_reply.json").read_bytes()
    assert OPENAI_CHAT.decode_reply(body) == Reply(
        "chatcmpl-1",
        "gpt-6-luna",
        (Text("Hello"),),
        Finished(FinishReason.STOP),
        Usage(5, 2),
    )


@given(
    events=reply_events(
        refusals=True, thinking=True, signatures=True, custom=True, logprobs=True
    )
)
def test_what_is_written_is_read_again(events: list[Event]) -> None:
    sent = gather(events)
    expected = evolve(
        sent, id=f"chatcmpl-{sent.id}", model="asked-for", parts=_sorted(sent.said)
    )
    assert OPENAI_CHAT.decode_reply(OPENAI_CHAT.encode_reply(sent, ASKED)) == expected


def _sorted(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """A message has one slot for each kind: their order is lost, and nothing else."""
    thought = [p for p in parts if isinstance(p, Thinking | RedactedThinking)]
    text = "".join(p.text for p in parts if isinstance(p, Text))
    refusal = "".join(p.text for p in parts if isinstance(p, Refusal))
    calls = [p for p in parts if isinstance(p, ToolCall)]
    spoken: list[Part] = [Text(text)] if text else []
    spoken += [Refusal(refusal)] if refusal else []
    return (*thought, *spoken, *calls)


@pytest.mark.parametrize(
    ("parts", "content"),
    [
        ((), ""),
        ((Text("a"), Text("b")), "ab"),
        ((ToolCall("a", "f", ""),), None),
        ((Refusal("no"),), None),
    ],
)
def test_content_is_null_only_beside_something_else(
    parts: tuple[Part, ...], content: str | None
) -> None:
    message = shown(Reply("", "", parts, Finished(FinishReason.STOP)))["choices"][0][
        "message"
    ]
    assert message["content"] == content


def test_a_call_without_arguments_gets_an_empty_object() -> None:
    reply = Reply("", "", (ToolCall("a", "f", ""),), Finished(FinishReason.TOOL_CALLS))
    [call] = shown(reply)["choices"][0]["message"]["tool_calls"]
    assert call["function"] == {"name": "f", "arguments": "{}"}


def test_an_explanation_stands_in_for_a_missing_refusal() -> None:
    finish = Finished(FinishReason.REFUSAL, explanation="policy")
    message = shown(Reply("", "", (), finish))["choices"][0]["message"]
    assert (message["refusal"], message["content"]) == ("policy", None)


def test_thinking_without_proof_has_no_details_to_send_back() -> None:
    reply = Reply("", "", (Thinking("a"),), Finished(FinishReason.STOP))
    message = shown(reply)["choices"][0]["message"]
    assert message["reasoning"] == message["reasoning_content"] == "a"
    assert "reasoning_details" not in message


def test_a_forced_call_that_ends_with_stop_is_still_a_call() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = {"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "stop"}]}
    reply = OPENAI_CHAT.decode_reply(json.dumps(body).encode())
    assert reply.finish.reason is FinishReason.TOOL_CALLS
    assert reply.parts == (ToolCall("a", "f", "{}"),)


def test_a_legacy_function_call_gets_an_id() -> None:
    function = {"name": "f", "arguments": "{}"}
    message = {"content": None, "function_call": function}
    body = {"id": "c.1", "choices": [{"message": message, "finish_reason": "x"}]}
    reply = OPENAI_CHAT.decode_reply(json.dumps(body).encode())
    assert reply.parts == (ToolCall("call_c_1_0", "f", "{}"),)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", UpstreamMalformed),
        (b"<html></html>", UpstreamMalformed),
        (b"[1]", UpstreamMalformed),
        (b"{}", UpstreamMalformed),
        (b'{"choices": []}', UpstreamMalformed),
        (b'{"id": "\xff"}', UpstreamMalformed),
        (b"[" * 100_000, UpstreamMalformed),
        (
            b'{"error": {"message": "x", "type": "rate_limit_error"}}',
            UpstreamRateLimited,
        ),
    ],
)
def test_a_body_that_is_no_reply_is_an_error(
    body: bytes, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        OPENAI_CHAT.decode_reply(body)


@given(
    body=st.binary(max_size=30)
    | st.builds(
        lambda m: json.dumps({"choices": [{"message": m}]}).encode(), json_values(12)
    )
)
def test_any_body_is_a_reply_or_our_error(body: bytes) -> None:
    try:
        reply = OPENAI_CHAT.decode_reply(body)
    except GatewayError as e:
        assert e.failover
    else:
        assert reply.finish.reason in FinishReason
