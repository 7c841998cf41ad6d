"""The `anthropic` SDK."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anthropic
import httpx2
from attrs import define, field

from modelplex.testing.fakes.script import Call
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.dialect import Dialect
from tests.matrix.asking import Ask, Said, Tokens, Traffic

BY_STATUS: dict[int, type[anthropic.APIStatusError]] = {
    400: anthropic.BadRequestError,
    404: anthropic.NotFoundError,
    429: anthropic.RateLimitError,
    502: anthropic.InternalServerError,
    503: anthropic.InternalServerError,
}
_ENDINGS = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls"}


@define(eq=False)
class AnthropicMessages:
    """See `tests.matrix.asking.Guest`."""

    _socket: str
    traffic: Traffic = field(factory=Traffic)
    client: anthropic.Anthropic = field(init=False)
    name: str = "anthropic"
    dialect: Dialect = ANTHROPIC
    keeps_ids: bool = True
    shows: frozenset[str] = frozenset({"cached", "thinking"})

    def __attrs_post_init__(self) -> None:
        transport = httpx2.HTTPTransport(uds=self._socket, verify=False)
        self.client = anthropic.Anthropic(
            base_url="http://modelplex",
            api_key="none",
            max_retries=0,
            http_client=anthropic.DefaultHttpxClient(
                transport=transport, event_hooks=self.traffic.hooks()
            ),
        )

    def user(self, text: str, image: str = "") -> list[Any]:
        if not image:
            return [{"role": "user", "content": text}]
        source = {"type": "base64", "media_type": "image/png", "data": image}
        blocks = [{"type": "text", "text": text}, {"type": "image", "source": source}]
        return [{"role": "user", "content": blocks}]

    def results(self, said: Said, texts: Sequence[str]) -> list[Any]:
        blocks = [
            {"type": "tool_result", "tool_use_id": call.id, "content": text}
            for call, text in zip(said.calls, texts, strict=True)
        ]
        return [{"role": "user", "content": blocks}]

    def ask(self, history: Sequence[Any], ask: Ask, model: str) -> Said:
        settings: Any = {"model": model, "messages": list(history)}
        settings["max_tokens"] = 2048 if ask.max_tokens is None else ask.max_tokens
        if ask.system:
            settings["system"] = ask.system
        if ask.tools:
            settings["tools"] = [
                {
                    "name": tool.name,
                    "description": tool.description,
                    "input_schema": tool.parameters,
                }
                for tool in ask.tools
            ]
        if ask.schema is not None:
            form = {"type": "json_schema", "schema": ask.schema}
            settings["output_config"] = {"format": form}
        if ask.thinks:
            settings["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        if ask.stop:
            settings["stop_sequences"] = list(ask.stop)
        if not ask.stream:
            return _said(self.client.messages.create(**settings), 1)
        kinds = []
        with self.client.messages.stream(**settings) as stream:
            for event in stream:
                kinds.append(event.type)
            whole = stream.get_final_message()
        return _said(whole, kinds.count("text") or kinds.count("input_json"))

    def error(self, error: Exception) -> int | None:
        """One inside of a stream has the status 200 of its answer."""
        if not isinstance(error, anthropic.APIStatusError):
            return None
        if error.status_code == 200:
            return 0
        known = type(error) is BY_STATUS.get(error.status_code)
        return error.status_code if known else None

    def models(self) -> list[str]:
        return [model.id for model in self.client.models.list()]

    def count(self, history: Sequence[Any], model: str) -> int:
        found = self.client.messages.count_tokens(model=model, messages=list(history))
        return found.input_tokens

    def close(self) -> None:
        self.client.close()


def _said(message: Any, pieces: int) -> Said:
    used = message.usage
    blocks = message.content
    cached = used.cache_read_input_tokens or 0
    details = getattr(used, "output_tokens_details", None)
    return Said(
        text="".join(b.text for b in blocks if b.type == "text"),
        thinking="".join(b.thinking for b in blocks if b.type == "thinking"),
        calls=tuple(
            Call(b.id, b.name, b.input) for b in blocks if b.type == "tool_use"
        ),
        ending=_ENDINGS.get(message.stop_reason, message.stop_reason),
        tokens=Tokens(
            used.input_tokens + cached + (used.cache_creation_input_tokens or 0),
            used.output_tokens,
            cached,
            details and details.thinking_tokens,
        ),
        pieces=pieces,
        turn=[{"role": "assistant", "content": blocks}],
    )
