"""The `openai` SDK, asking for responses that nobody stores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import openai
from attrs import define, field

from modelplex.testing.fakes.script import Call
from modelplex.wire.dialect import Dialect
from modelplex.wire.responses.dialect import RESPONSES
from tests.matrix.asking import Ask, InBand, Said, Tokens, Traffic
from tests.matrix.sdk_openai import client_of, status_of

_ENDED = ("response.completed", "response.incomplete", "response.failed")


@define(eq=False)
class OpenAIResponses:
    """See `tests.matrix.asking.Guest`."""

    _socket: str
    traffic: Traffic = field(factory=Traffic)
    client: openai.OpenAI = field(init=False)
    name: str = "responses"
    dialect: Dialect = RESPONSES
    keeps_ids: bool = True
    shows: frozenset[str] = frozenset({"cached", "thinking"})

    def __attrs_post_init__(self) -> None:
        self.client = client_of(self._socket, self.traffic)

    def user(self, text: str, image: str = "") -> list[Any]:
        if not image:
            return [{"role": "user", "content": text}]
        url = f"data:image/png;base64,{image}"
        parts = [
            {"type": "input_text", "text": text},
            {"type": "input_image", "image_url": url, "detail": "auto"},
        ]
        return [{"role": "user", "content": parts}]

    def results(self, said: Said, texts: Sequence[str]) -> list[Any]:
        return [
            {"type": "function_call_output", "call_id": call.id, "output": text}
            for call, text in zip(said.calls, texts, strict=True)
        ]

    def ask(self, history: Sequence[Any], ask: Ask, model: str) -> Said:
        settings: Any = {"model": model, "input": list(history), "store": False}
        if ask.system:
            settings["instructions"] = ask.system
        if ask.tools:
            settings["tools"] = [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                    "strict": False,
                }
                for tool in ask.tools
            ]
        if ask.schema is not None:
            form = {"name": "answer", "schema": ask.schema, "strict": True}
            settings["text"] = {"format": {"type": "json_schema", **form}}
        if ask.thinks:
            settings["reasoning"] = {"effort": "high", "summary": "auto"}
            settings["include"] = ["reasoning.encrypted_content"]
        if ask.max_tokens is not None:
            settings["max_output_tokens"] = ask.max_tokens
        if not ask.stream:
            return _said(self.client.responses.create(**settings), 1)
        kinds: list[str] = []
        ended: Any = None
        with self.client.responses.stream(**settings) as stream:
            for event in stream:
                kinds.append(event.type)
                if event.type in _ENDED:
                    ended = event
        if ended is None:
            raise AssertionError(f"the stream has no end: {kinds}")
        pieces = kinds.count("response.output_text.delta")
        called = kinds.count("response.function_call_arguments.delta")
        return _said(ended.response, pieces or called)

    def error(self, error: Exception) -> int | None:
        return 0 if isinstance(error, InBand) else status_of(error)

    def models(self) -> list[str]:
        return [model.id for model in self.client.models.list()]

    def count(self, history: Sequence[Any], model: str) -> int:
        found = self.client.responses.input_tokens.count(
            model=model, input=list(history)
        )
        return found.input_tokens

    def close(self) -> None:
        self.client.close()


def _said(response: Any, pieces: int) -> Said:
    if response.status == "failed":
        raise InBand(response.error.message)
    thoughts = [item for item in response.output if item.type == "reasoning"]
    calls = [item for item in response.output if item.type == "function_call"]
    ending = "tool_calls" if calls else "stop"
    if response.status == "incomplete":
        assert response.incomplete_details.reason == "max_output_tokens"
        ending = "length"
    return Said(
        text=response.output_text,
        thinking="".join(one.text for item in thoughts for one in item.summary),
        calls=tuple(
            Call(c.call_id, c.name, json.loads(c.arguments or "null")) for c in calls
        ),
        ending=ending,
        tokens=Tokens(
            response.usage.input_tokens,
            response.usage.output_tokens,
            response.usage.input_tokens_details.cached_tokens,
            response.usage.output_tokens_details.reasoning_tokens,
        ),
        pieces=pieces,
        turn=response.output,
    )
