"""OpenAI's own Python client reads what we write exactly as it was meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given

from modelplex.errors import UnknownModel, UpstreamCut
from modelplex.events import (
    Cited,
    Event,
    Finished,
    FinishReason,
    RefusalDelta,
    Started,
    TextDelta,
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
from modelplex.testing.strategies import reply_events
from modelplex.wire.dialect import Answering
from modelplex.wire.jsonobject import open_object
from modelplex.wire.openai.dialect import OPENAI_CHAT, OPENAI_COMPLETIONS

ASKED = Answering(model="m", created=1760000000, include_usage=True, id="own")
ASK: Any = [{"role": "user", "content": "Hi"}]
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
    ThinkingDelta("Hm, "),
    ThinkingDelta("well."),
    ThinkingSigned("c2ln"),
    ThinkingRedacted("b3BhcXVl"),
    TextDelta("Hi "),
    TextDelta("you ☃"),
    TokenLogprobs((LOGPROB,)),
    TokenLogprobs((LOGPROB,)),
    Cited(CITATION),
    Cited(CITATION),
    ToolCallStarted(0, "call_a", "f"),
    ToolCallStarted(1, "call_b", "g"),
    ToolCallDelta(0, '{"x":'),
    ToolCallDelta(1, "{}"),
    ToolCallDelta(0, "1}"),
    ToolCallStarted(2, "call_c", "h"),
    Finished(FinishReason.TOOL_CALLS),
    UsageReported(Usage(20, 9, 5, 0, 4)),
]


def client(status: int, body: bytes, media_type: str) -> openai.OpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": media_type}
        return httpx2.Response(status, headers=headers, content=body)

    return openai.OpenAI(
        api_key="none",
        base_url="http://guest/v1",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )


def streaming(events: list[Event]) -> openai.OpenAI:
    encoder = OPENAI_CHAT.encoder(ASKED)
    body = b"".join(map(encoder.encode, events)) + encoder.end()
    return client(200, body, OPENAI_CHAT.media_type.decode())


def helped(events: list[Event]) -> Any:
    """What the client's own accumulator makes of a stream."""
    with (
        streaming(events) as sdk,
        sdk.chat.completions.stream(model="m", messages=ASK) as stream,
    ):
        for _ in stream:
            pass
        # the final one raises for some finish reasons, as it does for OpenAI's own
        return stream.current_completion_snapshot


def test_the_accumulating_helper_gathers_every_member_once() -> None:
    completion = helped(EVERYTHING)
    [choice] = completion.choices
    message = choice.message
    assert completion.id == "chatcmpl-msg_1"
    assert message.content == "Hi you ☃"
    assert message.reasoning_content == message.reasoning == "Hm, well."
    assert message.reasoning_details == [
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
    ]
    calls = [(c.id, c.function.name, c.function.arguments) for c in message.tool_calls]
    assert calls == [
        ("call_a", "f", '{"x":1}'),
        ("call_b", "g", "{}"),
        ("call_c", "h", "{}"),
    ]
    assert [a.url_citation.url for a in message.annotations] == ["https://e/"] * 2
    assert [t.token for t in choice.logprobs.content] == ["a", "a"]
    assert choice.finish_reason == "tool_calls"
    assert completion.usage.total_tokens == 29
    assert completion.usage.prompt_tokens_details.cached_tokens == 5
    assert completion.usage.completion_tokens_details.reasoning_tokens == 4


def test_a_plain_stream_gives_every_delta() -> None:
    with streaming(EVERYTHING) as sdk:
        chunks = list(sdk.chat.completions.create(model="m", messages=ASK, stream=True))
    deltas = [c.choices[0].delta for c in chunks if c.choices]
    assert deltas[0].role == "assistant"
    assert "".join(d.content or "" for d in deltas) == "Hi you ☃"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 29
    assert all(c.usage is None for c in chunks[:-1])


@given(
    events=reply_events(
        refusals=True, thinking=True, signatures=True, interleaved=True, logprobs=True
    )
)
def test_the_helper_accumulates_any_reply(events: list[Event]) -> None:
    message = helped(events).choices[0].message
    text = "".join(e.text for e in events if isinstance(e, TextDelta))
    refusal = "".join(e.text for e in events if isinstance(e, RefusalDelta))
    assert (message.content or "") == text
    assert (message.refusal or "") == refusal
    calls = [p for p in gather(events).parts if isinstance(p, ToolCall)]
    assert [
        (c.id, c.function.name, c.function.arguments) for c in message.tool_calls or ()
    ] == [(p.id, p.name, p.arguments) for p in calls]


def test_a_message_that_the_helper_gathered_can_be_sent_back() -> None:
    """With its signature at the right block of thinking."""
    message = helped(EVERYTHING).choices[0].message.model_dump(mode="json")
    request = {"model": "m", "messages": [*ASK, message]}
    body = httpx2.Request("POST", "http://guest/", json=request).content
    [_, answered] = OPENAI_CHAT.decode_request(open_object(body)).messages
    sent = gather(EVERYTHING).parts
    assert answered.parts[:2] == sent[:2]
    assert len(answered.parts) == len(sent)


def test_a_whole_reply_is_read() -> None:
    body = OPENAI_CHAT.encode_reply(gather(EVERYTHING), ASKED)
    with client(200, body, "application/json") as sdk:
        completion = sdk.chat.completions.create(model="m", messages=ASK)
    message = completion.choices[0].message
    assert message.content == "Hi you ☃"
    assert message.annotations is not None and len(message.annotations) == 2
    assert [c.id for c in message.tool_calls or ()] == ["call_a", "call_b", "call_c"]


def test_a_broken_stream_raises() -> None:
    encoder = OPENAI_CHAT.encoder(ASKED)
    body = encoder.encode(Started("a", "m")) + encoder.encode(TextDelta("par"))
    body += encoder.fail(UpstreamCut("the provider hung up"))
    with client(200, body, "text/event-stream") as sdk:
        stream = sdk.chat.completions.create(model="m", messages=ASK, stream=True)
        with pytest.raises(openai.APIError, match="hung up") as caught:
            _drain(iter(stream))
    assert caught.value.code == "upstream_cut"


def _drain(stream: Iterator[Any]) -> None:
    for _ in stream:
        pass


def test_an_error_is_raised_as_its_class() -> None:
    status, body = OPENAI_CHAT.encode_error(UnknownModel("no model 'x'"), "req_1")
    with (
        client(status, body, "application/json") as sdk,
        pytest.raises(openai.NotFoundError) as caught,
    ):
        sdk.chat.completions.create(model="x", messages=ASK)
    assert caught.value.code == "model_not_found"


def test_keepalives_are_ignored() -> None:
    encoder = OPENAI_CHAT.encoder(ASKED)
    pieces: list[Event] = [
        Started("a", "m"),
        TextDelta("x"),
        Finished(FinishReason.STOP),
    ]
    body = OPENAI_CHAT.keepalive.join(map(encoder.encode, pieces)) + encoder.end()
    with client(200, body, "text/event-stream") as sdk:
        chunks = list(sdk.chat.completions.create(model="m", messages=ASK, stream=True))
    assert len(chunks) == 4


def test_completions_are_read_whole_and_streamed() -> None:
    events: list[Event] = [e for e in EVERYTHING if isinstance(e, Started | TextDelta)]
    events += [TokenLogprobs((LOGPROB,)), Finished(FinishReason.STOP)]
    encoder = OPENAI_COMPLETIONS.encoder(ASKED)
    body = b"".join(map(encoder.encode, events)) + encoder.end()
    with client(200, body, "text/event-stream") as sdk:
        chunks = list(sdk.completions.create(model="m", prompt="a", stream=True))
    text = "".join(c.choices[0].text for c in chunks if c.choices)
    assert text == "Hi you ☃"
    whole = OPENAI_COMPLETIONS.encode_reply(gather(events), ASKED)
    with client(200, whole, "application/json") as sdk:
        completion = sdk.completions.create(model="m", prompt="a")
    assert completion.choices[0].text == text
    assert completion.choices[0].logprobs is not None
    assert completion.choices[0].logprobs.tokens == ["a"]
