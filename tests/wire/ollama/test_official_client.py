"""The official Python client reads what is written here, and sends what is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import ollama
import pytest

from modelplex.errors import UpstreamCut
from modelplex.events import (
    Event,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    ThinkingDelta,
    TokenLogprobs,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
    gather,
)
from modelplex.wire.dialect import Answering
from modelplex.wire.embeddings import (
    OLLAMA_EMBEDDINGS,
    EmbeddingsReply,
    EmbeddingsRequest,
)
from modelplex.wire.ollama.dialect import OLLAMA, OLLAMA_GENERATE

GOLDEN = Path(__file__).parent.parent / "golden" / "ollama"
ASKED = Answering("m", 1795338000)
ANSWER: list[Event] = [
    Started("x", "y"),
    ThinkingDelta("hm"),
    TextDelta("Grö"),
    TextDelta("ße"),
    TokenLogprobs(
        ({"token": "G", "logprob": -0.5, "bytes": None, "top_logprobs": []},)
    ),
    ToolCallStarted(0, "call_1", "look"),
    ToolCallDelta(0, '{"where":'),
    ToolCallDelta(0, '"left"}'),
    Finished(FinishReason.TOOL_CALLS),
    UsageReported(Usage(9, 4)),
]


@contextmanager
def client(status: int, body: bytes, seen: list[bytes]) -> Iterator[ollama.Client]:
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return httpx.Response(status, content=body)

    with ollama.Client(
        host="http://localhost", transport=httpx.MockTransport(answer)
    ) as opened:
        yield opened


def test_the_client_reads_a_stream_to_its_end() -> None:
    encoder = OLLAMA.encoder(ASKED)
    wire = b"".join(map(encoder.encode, ANSWER)) + encoder.end()
    with client(200, wire, []) as asking:
        lines = list(asking.chat("m", [], stream=True))
    assert "".join(line.message.content or "" for line in lines) == "Größe"
    assert "".join(line.message.thinking or "" for line in lines) == "hm"
    (call,) = [c for line in lines for c in line.message.tool_calls or ()]
    assert (call.function.name, call.function.arguments) == ("look", {"where": "left"})
    (token,) = [p for line in lines for p in line.logprobs or ()]
    assert (token.token, token.logprob) == ("G", -0.5)
    last = lines[-1]
    assert (last.done, last.done_reason) == (True, "stop")
    assert (last.prompt_eval_count, last.eval_count) == (9, 4)
    assert {line.created_at for line in lines} == {"2026-11-22T09:00:00Z"}


def test_the_client_reads_a_whole_reply() -> None:
    wire = OLLAMA.encode_reply(gather(ANSWER), ASKED)
    with client(200, wire, []) as asking:
        answer = asking.chat("m", [])
    assert (answer.message.content, answer.message.thinking) == ("Größe", "hm")
    assert answer.message.tool_calls is not None
    assert answer.done


def test_the_client_reads_a_completion() -> None:
    encoder = OLLAMA_GENERATE.encoder(ASKED)
    told = [event for event in ANSWER if isinstance(event, TextDelta | Finished)]
    wire = b"".join(map(encoder.encode, told)) + encoder.end()
    with client(200, wire, []) as asking:
        lines = list(asking.generate("m", "a", stream=True))
    assert "".join(line.response or "" for line in lines) == "Größe"
    assert lines[-1].done


def test_the_client_raises_for_a_stream_that_fails() -> None:
    encoder = OLLAMA.encoder(ASKED)
    wire = encoder.encode(TextDelta("Hi")) + encoder.fail(UpstreamCut("it was cut"))
    with client(200, wire, []) as asking:
        lines = iter(asking.chat("m", [], stream=True))
        assert next(lines).message.content == "Hi"
        with pytest.raises(ollama.ResponseError, match="it was cut"):
            next(lines)


def test_the_client_raises_for_an_error() -> None:
    status, body = OLLAMA.encode_error(UpstreamCut("it was cut"), "req_1")
    raised = pytest.raises(ollama.ResponseError)
    with client(status, body, []) as asking, raised as caught:
        asking.chat("m", [])
    assert (caught.value.error, caught.value.status_code) == ("it was cut", 502)


def test_the_client_reads_embeddings() -> None:
    wire = OLLAMA_EMBEDDINGS.encode_reply(
        EmbeddingsReply("x", ((0.5, 1.0), (0.0, -1.0)), 3),
        EmbeddingsRequest("m", ("a", "b")),
    )
    with client(200, wire, []) as asking:
        answer = asking.embed("m", ["a", "b"])
    assert [list(v) for v in answer.embeddings] == [[0.5, 1.0], [0.0, -1.0]]
    assert (answer.model, answer.prompt_eval_count) == ("m", 3)


def test_the_golden_requests_are_what_the_client_sends() -> None:
    seen: list[bytes] = []
    png = b"\x89PNG\r\n\x1a\n0000"
    look: dict[str, Any] = {
        "type": "object",
        "required": ["where"],
        "properties": {
            "where": {"type": "string", "enum": ["left", "right"]},
            "depth": {"type": "integer"},
        },
    }
    reply = b'{"message":{"role":"assistant"},"embeddings":[],"done":true}'
    with client(200, reply, seen) as asking:
        list(
            asking.chat(
                "qwen3:8b",
                [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "What is on it?", "images": [png]},
                    {
                        "role": "assistant",
                        "thinking": "two tools",
                        "tool_calls": [
                            {
                                "id": "call_dropped_by_the_client",
                                "function": {
                                    "name": "look",
                                    "arguments": {"where": "left", "depth": 2},
                                },
                            },
                            {"function": {"name": "weigh", "arguments": {}}},
                        ],
                    },
                    {"role": "tool", "tool_name": "weigh", "content": "3 kg"},
                    {"role": "tool", "tool_name": "look", "content": "a cat"},
                ],
                tools=[
                    {
                        "type": "function",
                        "function": {
                            "name": "look",
                            "description": "Look somewhere.",
                            "parameters": look,
                        },
                    }
                ],
                stream=True,
                think="high",
                logprobs=True,
                top_logprobs=3,
                format={
                    "type": "object",
                    "properties": {"animal": {"type": "string"}},
                },
                options={
                    "temperature": 0.5,
                    "num_ctx": 8192,
                    "num_predict": 200,
                    "stop": ["END"],
                    "seed": 7,
                    "top_k": 20,
                    "min_p": 0.05,
                    "repeat_penalty": 1.1,
                },
                keep_alive="10m",
            )
        )
        asking.generate(
            "codellama",
            "def f(",
            suffix="return x",
            system="Code only.",
            images=[png],
            options={"temperature": 0},
            think=False,
            format="json",
        )
        asking.embed("nomic", ["a", "b"], truncate=False, dimensions=3, keep_alive=5)
    golden = [f"client_{name}_request.json" for name in ("chat", "generate", "embed")]
    expected = [msgspec.json.decode((GOLDEN / name).read_bytes()) for name in golden]
    assert [msgspec.json.decode(sent) for sent in seen] == expected
