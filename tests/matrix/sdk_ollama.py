"""The `ollama` SDK, which leaves the ids of calls away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import ollama
from attrs import define, field

from modelplex.testing.fakes.script import Call
from modelplex.wire.dialect import Dialect
from modelplex.wire.ollama.dialect import OLLAMA
from tests.matrix.asking import Ask, Said, Tokens, Traffic


@define(eq=False)
class OllamaChat:
    """See `tests.matrix.asking.Guest`."""

    _socket: str
    traffic: Traffic = field(factory=Traffic)
    client: ollama.Client = field(init=False)
    name: str = "ollama"
    dialect: Dialect = OLLAMA
    keeps_ids: bool = False
    shows: frozenset[str] = frozenset()

    def __attrs_post_init__(self) -> None:
        self.client = ollama.Client(
            host="http://modelplex",
            transport=httpx.HTTPTransport(uds=self._socket, verify=False),
            event_hooks=self.traffic.hooks(),
        )

    def user(self, text: str, image: str = "") -> list[Any]:
        shown = {"images": [image]} if image else {}
        return [{"role": "user", "content": text, **shown}]

    def results(self, said: Said, texts: Sequence[str]) -> list[Any]:
        return [
            {"role": "tool", "tool_name": call.name, "content": text}
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
            settings["format"] = ask.schema
        if ask.thinks:
            settings["think"] = True
        options: dict[str, Any] = {}
        if ask.stop:
            options["stop"] = list(ask.stop)
        if ask.max_tokens is not None:
            options["num_predict"] = ask.max_tokens
        if options:
            settings["options"] = options
        if not ask.stream:
            whole = self.client.chat(**settings)
            return _said([whole], [whole.message])
        lines = list(self.client.chat(**settings, stream=True))
        return _said(lines, [_joined(lines)])

    def error(self, error: Exception) -> int | None:
        """One inside of a stream has the status -1."""
        if not isinstance(error, ollama.ResponseError):
            return None
        return max(error.status_code, 0)

    def models(self) -> list[str]:
        return [one.model or "" for one in self.client.list().models]

    def embed(self, texts: Sequence[str], model: str) -> list[list[float]]:
        found = self.client.embed(model=model, input=list(texts))
        return [list(one) for one in found.embeddings]

    def close(self) -> None:
        self.client.close()


def _system(ask: Ask) -> list[Any]:
    return [{"role": "system", "content": ask.system}] if ask.system else []


def _joined(lines: Sequence[Any]) -> ollama.Message:
    """The message that the lines of a stream add up to, as its README does it."""
    messages = [line.message for line in lines]
    calls = [call for message in messages for call in message.tool_calls or ()]
    return ollama.Message(
        role="assistant",
        content="".join(message.content or "" for message in messages),
        thinking="".join(message.thinking or "" for message in messages) or None,
        tool_calls=calls or None,
    )


def _said(lines: Sequence[Any], turn: Sequence[Any]) -> Said:
    [message] = turn
    last = lines[-1]
    assert last.done
    calls = tuple(
        Call("", call.function.name, dict(call.function.arguments))
        for call in message.tool_calls or ()
    )
    ending = last.done_reason
    return Said(
        text=message.content or "",
        thinking=message.thinking or "",
        calls=calls,
        ending="tool_calls" if calls and ending == "stop" else ending,
        tokens=Tokens(last.prompt_eval_count, last.eval_count),
        pieces=sum(bool(line.message.content) for line in lines) or len(calls),
        turn=turn,
    )
