"""The official SDK reads what we write; it is given bytes, not a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import errors, types

from modelplex.errors import LimitReached, UpstreamOverloaded
from modelplex.events import (
    Event,
    Finished,
    FinishReason,
    Image,
    Inline,
    JsonSchema,
    Message,
    RedactedThinking,
    Request,
    Role,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingControl,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    ToolResult,
    Usage,
    UsageReported,
    gather,
)
from modelplex.wire.dialect import Answering
from modelplex.wire.embeddings import EmbeddingsReply, EmbeddingsRequest
from modelplex.wire.gemini.count_tokens import decode_count_request, encode_count_reply
from modelplex.wire.gemini.dialect import GEMINI
from modelplex.wire.gemini.embeddings import GEMINI_EMBEDDINGS
from modelplex.wire.gemini.paths import split_method
from modelplex.wire.jsonobject import open_object

ANSWERING = Answering("gemini-x", 0)
EVENTS: list[Event] = [
    Started("r1", "other"),
    ThinkingDelta("Let me"),
    ThinkingDelta(" look."),
    ThinkingSigned("c2ln"),
    ThinkingRedacted("sealed"),
    TextDelta("Größe"),
    TextDelta("\u2028?"),
    ThinkingSigned("gemini:call0:Y2FsbA=="),
    ToolCallStarted(0, "a", "f"),
    ToolCallStarted(1, "b", "g"),
    ToolCallDelta(1, '{"y":'),
    ToolCallDelta(0, '{\n"x":'),
    ToolCallDelta(0, "1}"),
    ToolCallDelta(1, "[2]}"),
    Finished(FinishReason.TOOL_CALLS),
    UsageReported(Usage(125, 90, 100, 20, 40)),
]


class Socket:
    """A client, and what it asked."""

    def __init__(self, *answers: tuple[int, bytes, str]) -> None:
        self.asked: list[tuple[str, bytes]] = []
        left = list(answers)

        def answer(request: httpx2.Request) -> httpx2.Response:
            self.asked.append((request.url.path, request.read()))
            status, body, kind = left.pop(0)
            return httpx2.Response(status, content=body, headers={"content-type": kind})

        options = types.HttpOptions(
            base_url="http://modelplex",
            client_args={"transport": httpx2.MockTransport(answer)},
        )
        self.client = genai.Client(api_key="k", http_options=options)

    def request(self, number: int = 0) -> Request:
        return GEMINI.decode_request(open_object(self.asked[number][1]))


def streamed(
    events: Sequence[Event], end: bytes | None = None
) -> tuple[int, bytes, str]:
    encoder = GEMINI.encoder(ANSWERING)
    pieces = [piece for event in events if (piece := encoder.encode(event))]
    pieces.append(encoder.end() if end is None else end)
    body = GEMINI.keepalive * 2 + GEMINI.keepalive.join(pieces)
    return 200, body, GEMINI.media_type.decode()


def whole(body: bytes, status: int = 200) -> tuple[int, bytes, str]:
    return status, body, "application/json"


def check(parts: list[types.Part]) -> None:
    assert "".join(p.text or "" for p in parts if p.thought) == "Let me look."
    assert "".join(p.text or "" for p in parts if not p.thought) == "Größe\u2028?"
    first, second = [p for p in parts if p.function_call]
    assert first.function_call and second.function_call
    assert first.function_call.model_dump(exclude_none=True) == {
        "id": "a",
        "name": "f",
        "args": {"x": 1},
    }
    assert second.function_call.args == {"y": [2]}
    assert first.thought_signature == b"call"


def check_usage(usage: types.GenerateContentResponseUsageMetadata | None) -> None:
    assert usage is not None
    assert usage.prompt_token_count == 125
    assert usage.candidates_token_count == 50
    assert usage.thoughts_token_count == 40
    assert usage.cached_content_token_count == 100
    assert usage.total_token_count == 215


def parts_of(response: types.GenerateContentResponse) -> list[types.Part]:
    assert response.candidates and response.candidates[0].content
    return response.candidates[0].content.parts or []


def test_the_sdk_reads_a_stream() -> None:
    socket = Socket(streamed(EVENTS))
    chunks = list(
        socket.client.models.generate_content_stream(model="gemini-x", contents="Hi")
    )
    check([part for chunk in chunks for part in parts_of(chunk)])
    last = chunks[-1]
    assert last.candidates and last.candidates[0].finish_reason == "STOP"
    assert (last.model_version, last.response_id) == ("gemini-x", "r1")
    check_usage(last.usage_metadata)
    assert split_method(socket.asked[0][0]) == ("gemini-x", "streamGenerateContent")


def test_the_sdk_reads_a_whole_reply() -> None:
    socket = Socket(whole(GEMINI.encode_reply(gather(EVENTS), ANSWERING)))
    response = socket.client.models.generate_content(model="gemini-x", contents="Hi")
    check(parts_of(response))
    check_usage(response.usage_metadata)
    assert socket.request().messages == (Message(Role.USER, (Text("Hi"),)),)


def test_the_sdk_sends_what_it_means() -> None:
    socket = Socket(whole(GEMINI.encode_reply(gather(EVENTS), ANSWERING)))
    picture = types.Part.from_bytes(data=b"\xff\xfb\xff\xfb", mime_type="image/png")
    answer = types.Part.from_function_response(name="f", response={"result": "ok"})
    socket.client.models.generate_content(
        model="gemini-x",
        contents=[
            types.Content(role="user", parts=[types.Part(text="a"), picture]),
            types.Content(
                role="model",
                parts=[types.Part.from_function_call(name="f", args={"x": 1})],
            ),
            types.Content(role="user", parts=[answer]),
        ],
        config=types.GenerateContentConfig(
            system_instruction="Be brief.",
            temperature=0.5,
            top_k=40,
            max_output_tokens=9,
            stop_sequences=["z"],
            response_mime_type="application/json",
            response_json_schema={"type": "object"},
            thinking_config=types.ThinkingConfig(
                include_thoughts=True, thinking_budget=99
            ),
            tools=[
                types.Tool(google_search=types.GoogleSearch()),
                types.Tool(
                    function_declarations=[
                        types.FunctionDeclaration(
                            name="f",
                            parameters=types.Schema(
                                type=types.Type.OBJECT,
                                properties={
                                    "x": types.Schema(
                                        type=types.Type.ARRAY,
                                        items=types.Schema(type=types.Type.INTEGER),
                                        min_items=1,
                                        nullable=True,
                                    )
                                },
                            ),
                        ),
                        types.FunctionDeclaration(
                            name="g", parameters_json_schema={"type": "object"}
                        ),
                    ]
                ),
            ],
        ),
    )
    request = socket.request()
    system, user, called, result = request.messages
    assert system == Message(Role.SYSTEM, (Text("Be brief."),))
    assert user.parts == (Text("a"), Image(Inline("image/png", "//v/+w==")))
    (call,) = called.parts
    assert isinstance(call, ToolCall) and call.arguments == '{"x":1}'
    assert result.parts == (ToolResult(call.id, (Text("ok"),)),)
    assert (request.temperature, request.top_k, request.max_tokens) == (0.5, 40, 9)
    assert request.stop == ("z",)
    assert request.response_format == JsonSchema({"type": "object"})
    assert request.thinking == ThinkingControl(
        mode="enabled", budget=99, display="summarized"
    )
    list_or_null = {
        "type": ["array", "null"],
        "items": {"type": "integer"},
        "minItems": 1,
    }
    schema = {"type": "object", "properties": {"x": list_or_null}}
    assert request.tools == (
        Tool("f", schema=schema),
        Tool("g", schema={"type": "object"}),
    )
    assert set(request.extra) == {"tools[googleSearch]"}


def test_a_chat_brings_every_proof_back() -> None:
    socket = Socket(streamed(EVENTS), streamed(EVENTS))
    chat = socket.client.chats.create(model="gemini-x")
    list(chat.send_message_stream("Hi"))
    answers = [
        types.Part(
            function_response=types.FunctionResponse(
                id=id, name=name, response={"output": "ok"}
            )
        )
        for id, name in (("a", "f"), ("b", "g"))
    ]
    list(chat.send_message_stream(answers))
    user, answered, results = socket.request(1).messages
    assert user == Message(Role.USER, (Text("Hi"),))
    assert answered.parts == (
        Thinking("Let me look.", "c2ln"),
        RedactedThinking("sealed"),
        Text("Größe\u2028?"),
        Thinking("", "gemini:call0:Y2FsbA=="),
        ToolCall("a", "f", '{"x":1}'),
        ToolCall("b", "g", '{"y":[2]}'),
    )
    assert [p.call_id for p in results.parts if isinstance(p, ToolResult)] == ["a", "b"]


def test_the_sdk_sees_a_broken_stream_fail() -> None:
    broken = GEMINI.encoder(ANSWERING).fail(UpstreamOverloaded("busy"))
    socket = Socket(streamed(EVENTS[:6], broken))
    stream = socket.client.models.generate_content_stream(model="m", contents="Hi")
    with pytest.raises(errors.ServerError) as caught:
        list(stream)
    assert (caught.value.code, caught.value.status) == (503, "UNAVAILABLE")


def test_the_sdk_knows_our_errors_by_their_class() -> None:
    status, body = GEMINI.encode_error(LimitReached("slow down", retry_after=3), "r")
    socket = Socket(whole(body, status))
    with pytest.raises(errors.ClientError) as caught:
        socket.client.models.generate_content(model="m", contents="Hi")
    assert (caught.value.code, caught.value.message) == (429, "slow down")


def test_the_sdk_counts_tokens() -> None:
    socket = Socket(whole(encode_count_reply(7)))
    counted = socket.client.models.count_tokens(model="m", contents="Hi")
    assert counted.total_tokens == 7
    request = decode_count_request(open_object(socket.asked[0][1]))
    assert request.messages == (Message(Role.USER, (Text("Hi"),)),)


def test_the_sdk_embeds() -> None:
    reply = EmbeddingsReply("", ((0.5, 1.0), (0.0, 2.0)))
    asked = EmbeddingsRequest("e", ("a", "b"))
    socket = Socket(whole(GEMINI_EMBEDDINGS.encode_reply(reply, asked)))
    config: Any = types.EmbedContentConfig(output_dimensionality=2, task_type="X")
    found = socket.client.models.embed_content(
        model="e", contents=["a", "b"], config=config
    )
    assert found.embeddings and found.embeddings[1].values == [0.0, 2.0]
    path, body = socket.asked[0]
    assert split_method(path) == ("e", "batchEmbedContents")
    request = GEMINI_EMBEDDINGS.decode_request(open_object(body))
    assert (request.model, request.input) == ("e", ("a", "b"))
    assert (request.dimensions, request.extra) == (2, {"taskType": "X"})
