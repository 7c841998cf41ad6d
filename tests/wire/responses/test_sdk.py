"""OpenAI's own Python client reads what we write exactly as it was meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pydantic
import pytest
from hypothesis import given

from modelplex.errors import UnknownModel, UpstreamCut, UpstreamRateLimited
from modelplex.events import (
    Event,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
    gather,
)
from modelplex.testing.strategies import reply_events
from modelplex.wire.dialect import Answering
from modelplex.wire.jsonobject import open_object
from modelplex.wire.responses.dialect import RESPONSES

ASKED = Answering(model="m", created=1760000000, id="own")
LOGPROB = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
EVERYTHING: list[Event] = [
    Started("msg_1", "claude"),
    ThinkingDelta("Hm, "),
    ThinkingDelta("well."),
    ThinkingSigned("c2ln"),
    TextDelta("Hi "),
    TextDelta("you ☃"),
    ToolCallStarted(0, "call_a", "f"),
    ToolCallStarted(1, "call_b", "files--g"),
    ToolCallDelta(0, '{"x":'),
    ToolCallDelta(1, "{}"),
    ToolCallDelta(0, "1}"),
    ToolCallStarted(2, "call_c", "h", custom=True),
    ToolCallDelta(2, "free"),
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


def written(events: list[Event]) -> bytes:
    encoder = RESPONSES.encoder(ASKED)
    return b"".join(map(encoder.encode, events)) + encoder.end()


def streaming(body: bytes) -> openai.OpenAI:
    return client(200, body, RESPONSES.media_type.decode())


def helped(events: list[Event]) -> Any:
    """What the client's own accumulator makes of a stream."""
    with (
        streaming(written(events)) as sdk,
        sdk.responses.stream(model="m", input="Hi") as stream,
    ):
        told = list(stream)
        assert told[0].type == "response.created"
        return stream.get_final_response()


def test_the_accumulating_helper_gathers_every_item() -> None:
    response = helped(EVERYTHING)
    assert response.id == "resp_own"
    assert response.output_text == "Hi you ☃"
    reasoning, message, first, second, third = response.output
    assert reasoning.summary[0].text == "Hm, well."
    assert reasoning.encrypted_content == "modelplex:signed:c2ln"
    assert message.phase is None
    assert (first.call_id, first.name, first.arguments) == ("call_a", "f", '{"x":1}')
    assert (second.namespace, second.name) == ("files", "g")
    assert (third.type, third.input) == ("custom_tool_call", "free")
    assert response.usage.input_tokens == 20
    assert response.usage.input_tokens_details.cached_tokens == 5
    assert response.usage.output_tokens_details.reasoning_tokens == 4


@given(
    events=reply_events(
        thinking=True,
        signatures=True,
        custom=True,
        interleaved=True,
        citations=True,
        reasons=(FinishReason.STOP,),
    )
)
def test_the_helper_gathers_any_reply(events: list[Event]) -> None:
    response = helped(events)
    text = "".join(e.text for e in events if isinstance(e, TextDelta))
    assert response.output_text == text


def test_raw_events_are_all_of_the_types_that_the_client_knows() -> None:
    with streaming(written(EVERYTHING)) as sdk:
        stream = sdk.responses.create(model="m", input="Hi", stream=True)
        events = list(stream)
    assert [e.sequence_number for e in events] == list(range(len(events)))
    union: Any = openai.types.responses.ResponseStreamEvent
    adapter: Any = pydantic.TypeAdapter(union)
    for event in events:
        adapter.validate_python(event.to_dict())  # strictly, as the client does not


@pytest.mark.parametrize("reason", [FinishReason.LENGTH, FinishReason.REFUSAL])
def test_an_answer_that_is_cut_short_is_incomplete(reason: FinishReason) -> None:
    body = RESPONSES.encode_reply(gather([TextDelta("a"), Finished(reason)]), ASKED)
    with client(200, body, "application/json") as sdk:
        response = sdk.responses.create(model="m", input="Hi")
    assert response.status == "incomplete"
    assert response.incomplete_details is not None


def test_a_whole_reply_is_read_by_the_client() -> None:
    body = RESPONSES.encode_reply(gather(EVERYTHING), ASKED)
    with client(200, body, "application/json") as sdk:
        response = sdk.responses.create(model="m", input="Hi")
    assert response.output_text == "Hi you ☃"
    openai.types.responses.Response.model_validate(response.to_dict())


def test_a_failure_in_the_middle_is_a_failed_response() -> None:
    encoder = RESPONSES.encoder(ASKED)
    body = encoder.encode(TextDelta("Hi")) + encoder.fail(UpstreamCut("gone"))
    with streaming(body) as sdk:
        events = list(sdk.responses.create(model="m", input="Hi", stream=True))
    last = events[-1]
    assert last.type == "response.failed"
    assert last.response.error is not None
    assert last.response.error.code == "server_error"


def test_errors_are_the_exceptions_that_the_client_has() -> None:
    cases: Iterator[tuple[Any, type[Exception]]] = iter(
        [
            (UnknownModel("no model x"), openai.NotFoundError),
            (UpstreamRateLimited("slow"), openai.RateLimitError),
        ]
    )
    for error, kind in cases:
        status, body = RESPONSES.encode_error(error, "req")
        with client(status, body, "application/json") as sdk, pytest.raises(kind):
            sdk.responses.create(model="m", input="Hi")


def test_what_the_client_sends_is_read() -> None:
    sent: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.read())
        body = RESPONSES.encode_reply(gather(EVERYTHING), ASKED)
        return httpx2.Response(200, content=body)

    sdk = openai.OpenAI(
        api_key="none",
        base_url="http://guest/v1",
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )
    with sdk:
        first = sdk.responses.create(model="m", input="Hi")
        said: Any = [{"role": "user", "content": "Hi"}, *first.output]
        for call in first.output:
            if call.type == "function_call":
                said.append(
                    {
                        "type": "function_call_output",
                        "call_id": call.call_id,
                        "output": "x",
                    }
                )
        sdk.responses.create(model="m", input=said, store=False)
    request = RESPONSES.decode_request(open_object(sent[1]))
    assert request.messages[1].parts == gather(EVERYTHING).parts
    assert request.extra == {}
