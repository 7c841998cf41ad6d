"""The `google-genai` SDK, whose chats keep the conversation by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx2
from attrs import define, field
from google import genai
from google.genai import errors, types

from modelplex.testing.fakes.script import Call
from modelplex.wire.dialect import Dialect
from modelplex.wire.gemini.dialect import GEMINI
from tests.matrix.asking import Ask, Said, Tokens, Traffic

_ENDINGS = {"STOP": "stop", "MAX_TOKENS": "length"}


@define(eq=False)
class GoogleGenai:
    """See `tests.matrix.asking.Guest`."""

    _socket: str
    traffic: Traffic = field(factory=Traffic)
    client: genai.Client = field(init=False)
    name: str = "gemini"
    dialect: Dialect = GEMINI
    keeps_ids: bool = True
    shows: frozenset[str] = frozenset({"cached", "thinking"})

    def __attrs_post_init__(self) -> None:
        transport = httpx2.HTTPTransport(uds=self._socket, verify=False)
        options: Any = {
            "base_url": "http://modelplex",
            "client_args": {
                "transport": transport,
                "event_hooks": self.traffic.hooks(),
                "verify": False,
            },
        }
        self.client = genai.Client(api_key="none", http_options=options)

    def user(self, text: str, image: str = "") -> list[Any]:
        parts = [types.Part(text=text)]
        if image:
            blob: Any = {"mime_type": "image/png", "data": image}
            parts.append(types.Part(inline_data=blob))
        return [types.Content(role="user", parts=parts)]

    def results(self, said: Said, texts: Sequence[str]) -> list[Any]:
        parts = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id, name=call.name, response={"output": text}
                )
            )
            for call, text in zip(said.calls, texts, strict=True)
        ]
        return [types.Content(role="user", parts=parts)]

    def ask(self, history: Sequence[Any], ask: Ask, model: str) -> Said:
        *before, last = history
        chat = self.client.chats.create(
            model=model, config=_config(ask), history=list(before)
        )
        if ask.stream:
            chunks = list(chat.send_message_stream(last.parts))
        else:
            chunks = [chat.send_message(last.parts)]
        said = chat.get_history(curated=True)[len(history) :]
        return _said(chunks, _acceptable(said))

    def error(self, error: Exception) -> int | None:
        if not isinstance(error, errors.APIError):
            return None
        kind = errors.ClientError if error.code < 500 else errors.ServerError
        if type(error) is not kind:
            return None
        return 0 if self.traffic.status == 200 else error.code

    def models(self) -> list[str]:
        return [(m.name or "").removeprefix("models/") for m in self._listed()]

    def _listed(self) -> list[types.Model]:
        return list(self.client.models.list())

    def embed(self, texts: Sequence[str], model: str) -> list[list[float]]:
        found = self.client.models.embed_content(model=model, contents=list(texts))
        return [one.values or [] for one in found.embeddings or ()]

    def count(self, history: Sequence[Any], model: str) -> int:
        found = self.client.models.count_tokens(model=model, contents=list(history))
        return found.total_tokens or 0

    def close(self) -> None:
        self.client.close()


def _acceptable(turn: Sequence[types.Content]) -> list[types.Content]:
    """
    What a chat keeps of a stream, as the API takes it back.

    A chat keeps each chunk as a content of its own. The API refuses one that is only
    the empty text that some streams end with, and calls that do not come right after
    a user's turn; so, with or without Modelplex, these have to be mended.
    """
    left = [one for one in turn if one.parts != [types.Part(text="")]]
    parts = [part for one in left for part in one.parts or ()]
    if not any(part.function_call for part in parts):
        return left
    return [types.Content(role="model", parts=parts)]


def _config(ask: Ask) -> types.GenerateContentConfig:
    settings: dict[str, Any] = {}
    if ask.system:
        settings["system_instruction"] = ask.system
    if ask.tools:
        declared = [
            types.FunctionDeclaration(
                name=tool.name,
                description=tool.description,
                parameters_json_schema=tool.parameters,
            )
            for tool in ask.tools
        ]
        settings["tools"] = [types.Tool(function_declarations=declared)]
    if ask.schema is not None:
        settings["response_mime_type"] = "application/json"
        settings["response_json_schema"] = ask.schema
    if ask.thinks:
        settings["thinking_config"] = {
            "include_thoughts": True,
            "thinking_budget": 1024,
        }
    if ask.stop:
        settings["stop_sequences"] = list(ask.stop)
    if ask.max_tokens is not None:
        settings["max_output_tokens"] = ask.max_tokens
    return types.GenerateContentConfig(**settings)


def _said(chunks: Sequence[Any], turn: Sequence[Any]) -> Said:
    used = chunks[-1].usage_metadata
    told = [c.candidates[0].content for c in chunks if c.candidates]
    parts = [part for content in told if content for part in content.parts or ()]
    calls = [part.function_call for part in parts if part.function_call]
    texts = [part.text for part in parts if part.text and not part.thought]
    finish = chunks[-1].candidates[0].finish_reason
    ending = _ENDINGS.get(finish.name, finish.name)
    thoughts = used.thoughts_token_count or 0
    return Said(
        text="".join(texts),
        thinking="".join(part.text for part in parts if part.text and part.thought),
        calls=tuple(Call(call.id, call.name, call.args) for call in calls),
        ending="tool_calls" if calls and ending == "stop" else ending,
        tokens=Tokens(
            used.prompt_token_count,
            (used.candidates_token_count or 0) + thoughts,
            used.cached_content_token_count or 0,
            thoughts,
        ),
        pieces=len(texts) or len(calls),
        turn=turn,
    )
