"""Every provider keeps the one contract."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock

from modelplex.config import Demo, Entra, Provider, Timeouts
from modelplex.graph import providers_of
from modelplex.interfaces import IModelProvider
from modelplex.providers.demo import DemoProvider
from modelplex.secret import Secret
from modelplex.testing.contract import (
    ANSWERED_401,
    ANSWERED_429,
    ANSWERED_500,
    CHECKS,
    CUT,
    FIRST_BYTE,
    HANG,
    REFUSE,
    SetUp,
)
from modelplex.testing.memory.upstream import Connection, Upstreams

KEY = "the-key-of-the-operator"


@define(eq=False)
class DemoStage:
    """The embedded provider, which brings its own scripts."""

    script: str
    model: str = "demo"
    clock: Clock = field(factory=Clock)
    provider: IModelProvider = field(init=False)

    def __attrs_post_init__(self) -> None:
        demo = Demo(fail=self.script, delay=1.0)  # type: ignore[arg-type]
        self.provider = DemoProvider("demo", demo, self.clock, FIRST_BYTE)

    def turn(self) -> None:
        if self.script != HANG:
            self.clock.advance(1.0)


@define(eq=False)
class HttpStage:
    """A provider over HTTP, whose upstream sends the pieces of an answer."""

    type: str
    script: str
    stream: Callable[[], list[bytes]]
    media_type: str
    whole: Callable[[], bytes] | None
    listing: object
    more: Mapping[str, Any] = field(factory=dict)
    model: str = "m"
    clock: Any = field(factory=MemoryReactorClock)
    provider: IModelProvider = field(init=False)
    upstreams: Upstreams = field(init=False)
    _left: list[Callable[[], None]] | None = None
    _connection: Connection | None = None

    def __attrs_post_init__(self) -> None:
        self.upstreams = Upstreams(self.clock)
        config = Provider(
            name="up",
            type=self.type,  # type: ignore[arg-type]
            base_url="http+unix://%2Fup",
            timeouts=Timeouts(first_byte=FIRST_BYTE),
            **{"api_keys": (Secret(KEY),), **self.more},
        )
        [self.provider] = providers_of(config, self.clock, 10_000)

    def turn(self) -> None:
        self.clock.advance(0)
        if self.upstreams.waiting("/login") and self.script != REFUSE:
            authority = self.upstreams.accept("/login")
            assert authority.request().method == "POST"
            authority.answer(b'{"access_token":"the-token","expires_in":3600}')
            return
        if self.upstreams.waiting():
            if self.script == REFUSE:
                self.upstreams.refuse()
            else:
                self._connection = self.upstreams.accept()
            return
        if self._connection is None or not self._connection.open:
            return
        for request in self._connection.requests():
            self._left = self._steps(request.method, request.body)
        if self._left:
            self._left.pop(0)()
        self.clock.advance(0)

    def _steps(self, method: str, body: bytes) -> list[Callable[[], None]]:
        up = self._connection
        assert up is not None
        told = json.dumps({"error": {"message": f"{KEY} is wrong"}}).encode()
        match self.script:
            case s if s == HANG:
                return []
            case s if s == ANSWERED_500:
                return [lambda: up.answer(told, 500)]
            case s if s == ANSWERED_429:
                return [lambda: up.answer(told, 429, retry_after="2")]
            case s if s == ANSWERED_401:
                return [lambda: up.answer(told, 401)]
        if method == "GET":
            return [lambda: up.answer(json.dumps(self.listing).encode())]
        if self.whole is not None and not json.loads(body)["stream"]:
            whole = self.whole()
            if self.script == CUT:
                return [lambda: up.begin(), lambda: up.chunk(whole[:9]), up.cut]
            return [lambda: up.answer(whole)]
        pieces = [(lambda p=piece: up.chunk(p)) for piece in self.stream()]
        begin = [lambda: up.begin(content_type=self.media_type)]
        if self.script == CUT:
            return [*begin, *pieces[: len(pieces) - 2], up.cut]
        return [*begin, *pieces, up.finish]


def sse(*values: object) -> list[bytes]:
    return [b"data: " + json.dumps(value).encode() + b"\n\n" for value in values]


def openai_stream() -> list[bytes]:
    def chunk(**members: Any) -> dict[str, Any]:
        return {"id": "1", "object": "chat.completion.chunk", "created": 1} | members

    def delta(finish: str | None = None, **delta: str) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return chunk(choices=[choice])

    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return [
        *sse(delta(role="assistant"), delta(content="one")),
        *sse(delta(content=" two"), delta(content=" three"), delta("stop")),
        *sse(chunk(choices=[], usage=usage)),
        b"data: [DONE]\n\n",
    ]


def openai_whole() -> bytes:
    message = {"role": "assistant", "content": "one two three"}
    return json.dumps(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        }
    ).encode()


def anthropic_stream() -> list[bytes]:
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "1", "type": "message", "role": "assistant", "model": "m"}
    message |= {"content": [], "usage": usage}  # type: ignore[dict-item]
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "ping"},
        {"type": "content_block_start", "index": 0}
        | {"content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0}
            | {"delta": {"type": "text_delta", "text": text}}
            for text in ("one", " two", " three", " four", " five", " six")
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
        | {"usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]
    return [f"event: {e['type']}\n".encode() + sse(e)[0] for e in events]


def ollama_stream() -> list[bytes]:
    said: list[dict[str, Any]] = [
        {"model": "m", "done": False, "message": {"role": "assistant", "content": text}}
        for text in ("one", " two", " three", " four", " five", " six")
    ]
    said.append(
        {"model": "m", "done": True, "done_reason": "stop", "prompt_eval_count": 1}
        | {"eval_count": 2, "message": {"role": "assistant", "content": ""}}
    )
    return [json.dumps(one).encode() + b"\n" for one in said]


def gemini_stream() -> list[bytes]:
    def chunk(text: str, **members: Any) -> dict[str, Any]:
        content = {"role": "model", "parts": [{"text": text}]}
        return {"candidates": [{"content": content, "index": 0, **members}]}

    usage = {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3}
    said = [chunk(text) for text in ("one", " two", " three", " four", " five")]
    last = {**chunk(" six", finishReason="STOP"), "usageMetadata": usage}
    return sse(*said, last)


def responses_stream() -> list[bytes]:
    response = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m"}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    part = {"type": "output_text", "text": "", "annotations": []}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    words = ("one", " two", " three", " four", " five", " six")
    whole = {**part, "text": "".join(words)}
    done = {**item, "status": "completed", "content": [whole]}
    ended = {**response, "status": "completed", "output": [done], "usage": usage}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**response, "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": part},
        *({"type": "response.output_text.delta", **place, "delta": w} for w in words),
        {"type": "response.output_text.done", **place, "text": whole["text"]},
        {"type": "response.content_part.done", **place, "part": whole},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": "response.completed", "response": ended},
    ]
    numbered = [{**event, "sequence_number": n} for n, event in enumerate(events)]
    return [f"event: {e['type']}\n".encode() + sse(e)[0] for e in numbered]


def azure_stream() -> list[bytes]:
    """It begins with a chunk about the prompt that says nothing of an answer."""
    judged = [{"prompt_index": 0, "content_filter_results": {}}]
    blank = {"id": "", "model": "", "object": "", "created": 0, "choices": []}
    return [*sse({**blank, "prompt_filter_results": judged}), *openai_stream()]


EVENTS = "text/event-stream"


def openai(script: str) -> HttpStage:
    listing = {"object": "list", "data": [{"id": "m"}]}
    return HttpStage("openai", script, openai_stream, EVENTS, openai_whole, listing)


def anthropic(script: str) -> HttpStage:
    listing = {"data": [{"id": "m", "type": "model"}]}
    return HttpStage("anthropic", script, anthropic_stream, EVENTS, None, listing)


def ollama(script: str) -> HttpStage:
    listing = {"models": [{"name": "m"}]}
    lines = "application/x-ndjson"
    return HttpStage("ollama", script, ollama_stream, lines, None, listing)


def responses(script: str) -> HttpStage:
    listing = {"object": "list", "data": [{"id": "m"}]}
    more = {"api": "responses"}
    return HttpStage("openai", script, responses_stream, EVENTS, None, listing, more)


def gemini(script: str) -> HttpStage:
    methods = ["generateContent", "countTokens"]
    listing = {"models": [{"name": "models/m", "supportedGenerationMethods": methods}]}
    return HttpStage("gemini", script, gemini_stream, EVENTS, None, listing)


def azure(script: str, **more: Any) -> HttpStage:
    listing = {"object": "list", "data": [{"id": "m"}]}
    return HttpStage("azure", script, azure_stream, EVENTS, openai_whole, listing, more)


def azure_by_deployments(script: str) -> HttpStage:
    return azure(script, api_version="2024-10-21")


def azure_by_tokens(script: str) -> HttpStage:
    entra = Entra(
        tenant_id="t",
        client_id="c",
        client_secret=Secret(KEY),
        authority="http+unix://%2Flogin",
    )
    return azure(script, entra=entra, api_keys=())


SET_UPS = (
    *(DemoStage, openai, responses, anthropic, ollama, gemini),
    *(azure, azure_by_deployments, azure_by_tokens),
)


@pytest.mark.parametrize("set_up", SET_UPS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_provider(check: Callable[[SetUp], None], set_up: SetUp) -> None:
    check(set_up)
