"""The `openai` SDK, asking for chats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx2
import openai
from attrs import define, field

from modelplex.testing.fakes.script import Call
from modelplex.wire.dialect import Dialect
from modelplex.wire.openai.dialect import OPENAI_CHAT
from tests.matrix.asking import Ask, Said, Tokens, Traffic

BY_STATUS: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
    502: openai.InternalServerError,
    503: openai.InternalServerError,
}


def client_of(socket: str, traffic: Traffic) -> openai.OpenAI:
    """A client that sends everything through a UNIX socket."""
    transport = httpx2.HTTPTransport(uds=socket, verify=False)
    return openai.OpenAI(
        base_url="http://modelplex/v1",
        api_key="none",
        max_retries=0,
        http_client=openai.DefaultHttpxClient(
            transport=transport, event_hooks=traffic.hooks()
        ),
    )


def status_of(error: Exception) -> int | None:
    """See `Guest.error`; one inside of a stream has no status."""
    if not isinstance(error, openai.APIStatusError):
        told = type(error) is openai.APIError
        return 0 if told else None
    known = type(error) is BY_STATUS.get(error.status_code)
    return error.status_code if known else None


@define(eq=False)
class OpenAIChat:
    """See `tests.matrix.asking.Guest`."""

    _socket: str
    traffic: Traffic = field(factory=Traffic)
    client: openai.OpenAI = field(init=False)
    name: str = "openai"
    dialect: Dialect = OPENAI_CHAT
    keeps_ids: bool = True
    shows: frozenset[str] = frozenset({"cached", "thinking"})

    def __attrs_post_init__(self) -> None:
        self.client = client_of(self._socket, self.traffic)

    def user(self, text: str, image: str = "") -> list[Any]:
        if not image:
            return [{"role": "user", "content": text}]
        shown = {"url": f"data:image/png;base64,{image}"}
        parts = [
            {"type": "text", "text": text},
            {"type": "image_url", "image_url": shown},
        ]
        return [{"role": "user", "content": parts}]

    def results(self, said: Said, texts: Sequence[str]) -> list[Any]:
        return [
            {"role": "tool", "tool_call_id": call.id, "content": text}
            for call, text in zip(said.calls, texts, strict=True)
        ]

    def ask(self, history: Sequence[Any], ask: Ask, model: str) -> Said:
        settings: Any = {"model": model, "messages": [*_system(ask), *history]}
        if ask.tools:
            settings["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": tool.parameters,
                    },
                }
                for tool in ask.tools
            ]
        if ask.schema is not None:
            form = {"name": "answer", "schema": ask.schema, "strict": True}
            settings["response_format"] = {"type": "json_schema", "json_schema": form}
        if ask.thinks:
            settings["reasoning_effort"] = "high"
        if ask.stop:
            settings["stop"] = list(ask.stop)
        if ask.max_tokens is not None:
            settings["max_completion_tokens"] = ask.max_tokens
        if not ask.stream:
            return _said(self.client.chat.completions.create(**settings), 1)
        settings["stream_options"] = {"include_usage": True}
        pieces = called = 0
        with self.client.chat.completions.stream(**settings) as stream:
            for event in stream:
                if event.type == "content.delta":
                    pieces += bool(event.delta)  # the announcement's is empty
                called += event.type == "tool_calls.function.arguments.delta"
            whole = stream.current_completion_snapshot
        return _said(whole, pieces or called)

    def error(self, error: Exception) -> int | None:
        return status_of(error)

    def models(self) -> list[str]:
        return [model.id for model in self.client.models.list()]

    def embed(self, texts: Sequence[str], model: str) -> list[list[float]]:
        found = self.client.embeddings.create(model=model, input=list(texts))
        return [one.embedding for one in found.data]

    def close(self) -> None:
        self.client.close()


def _system(ask: Ask) -> list[Any]:
    return [{"role": "system", "content": ask.system}] if ask.system else []


def _said(reply: Any, pieces: int) -> Said:
    [choice] = reply.choices
    message = choice.message
    cached = reply.usage.prompt_tokens_details
    thought = reply.usage.completion_tokens_details
    return Said(
        text=message.content or "",
        thinking=getattr(message, "reasoning_content", None) or "",
        calls=tuple(
            Call(c.id, c.function.name, json.loads(c.function.arguments))
            for c in message.tool_calls or ()
        ),
        ending=choice.finish_reason,
        tokens=Tokens(
            reply.usage.prompt_tokens,
            reply.usage.completion_tokens,
            cached and cached.cached_tokens,
            thought and thought.reasoning_tokens,
        ),
        pieces=pieces,
        turn=[message],
    )
