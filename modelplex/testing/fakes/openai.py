"""A fake of OpenAI's API: chat, completions, embeddings, models, and media."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from attrs import define, field

from modelplex.testing.fakes.openai_media import Media
from modelplex.testing.fakes.openai_requests import (
    custom_tools,
    heard_chat,
    stops,
    wants_usage,
    wire_call,
)
from modelplex.testing.fakes.script import Heard, Script, Spoken, cut, perform
from modelplex.testing.fakes.speaker import (
    Answer,
    Asked,
    Refused,
    dump,
    known_only,
    whole,
)

_SHARED = frozenset(
    [
        "model",
        "stream",
        "stream_options",
        "max_tokens",
        "temperature",
        "top_p",
        "n",
        "stop",
        "seed",
        "user",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
    ]
)
_CHAT = _SHARED | frozenset(
    [
        "messages",
        "max_completion_tokens",
        "top_logprobs",
        "tools",
        "tool_choice",
        "metadata",
        "store",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "verbosity",
        "modalities",
        "audio",
        "prediction",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
    ]
)
_COMPLETIONS = _SHARED | {"prompt", "best_of", "echo", "suffix"}
_EMBEDDINGS = frozenset({"model", "input", "encoding_format", "dimensions", "user"})
CREATED_AT = 1_790_000_000
_ENDINGS = {"stop_sequence": "stop"}


@define(eq=False)
class OpenAI:
    """
    See `modelplex.testing.fakes.speaker.Speaker`.

    :ivar media: images, audio, moderations and files.
    """

    models: tuple[str, ...] = ("gpt-x",)
    key: str = ""
    garbage: bytes = b'data: {"choices":[{"index":0,"delta":\n\n'
    filler: bytes = b'data: {"choices":[{"index":0,"delta":{"content":"'
    media: Media = field(factory=Media)

    def admitted(self, asked: Asked) -> None:
        """
        Check the key.

        :raises Refused: it is another.
        """
        if self.key and asked.headers.get("authorization") != f"Bearer {self.key}":
            given = asked.headers.get("authorization", "")
            message = f"Incorrect API key provided: {given}."
            raise Refused(401, message, "invalid_api_key")

    def answer(self, asked: Asked, script: Script) -> Answer:
        self.admitted(asked)
        match asked.method, asked.path.removeprefix("/v1"):
            case "POST", "/chat/completions":
                return self._chat(asked.json(), script)
            case "POST", "/completions":
                return self._completion(asked.json(), script)
            case "POST", "/embeddings":
                return self._embeddings(asked.json())
            case "GET", "/models":
                return whole({"object": "list", "data": list(map(_model, self.models))})
            case "GET", path if path.startswith("/models/"):
                name = unquote(path.removeprefix("/models/"))
                self.known(name)
                return whole(_model(name))
            case _ if self.media.serves(asked):
                return self.media.answer(asked, script, self.known)
            case _:
                raise Refused(404, f"Invalid URL ({asked.method} {asked.path})")

    def refusal(self, status: int, message: str, code: str | None = None) -> bytes:
        kind = "invalid_request_error" if status < 429 else "server_error"
        kind = "rate_limit_error" if status == 429 else kind
        error = {"message": message, "type": kind, "param": None, "code": code}
        return dump({"error": error})

    def error_event(self, message: str) -> bytes:
        return b"data: " + self.refusal(500, message) + b"\n\n"

    def known(self, model: object) -> None:
        """
        Check the model.

        :raises Refused: it is not here.
        """
        if model not in self.models:
            message = f"The model `{model}` does not exist or you do not have access."
            raise Refused(404, message, "model_not_found")

    def _chat(self, body: Any, script: Script) -> Answer:
        known_only(body, _CHAT, "Unrecognized request argument supplied: {}")
        self.known(body.get("model"))
        heard = heard_chat(body)
        spoken = perform(script, heard)
        custom = custom_tools(body)
        if heard.stream:
            return Answer(
                _chunks(heard, spoken, custom),
                heard,
                True,
                (_told(heard, {"role": "assistant", "content": "", "refusal": None}),),
                "text/event-stream; charset=utf-8",
            )
        message: dict[str, Any] = {"role": "assistant", "refusal": None}
        message["content"] = "".join(spoken.pieces()) or None
        if spoken.thinking:
            message["reasoning_content"] = spoken.thinking
        if spoken.calls:
            message["tool_calls"] = [wire_call(call, custom) for call in spoken.calls]
        choice = {"index": 0, "message": message, "logprobs": None}
        choice["finish_reason"] = _ENDINGS.get(spoken.ending, spoken.ending)
        reply = _object(heard, "chat.completion", [choice])
        return whole({**reply, "usage": _usage(spoken)}, heard)

    def _completion(self, body: Any, script: Script) -> Answer:
        known_only(body, _COMPLETIONS, "Unrecognized request argument supplied: {}")
        self.known(body.get("model"))
        if not isinstance(body.get("prompt"), str):
            raise Refused(400, "prompt: a string is expected")
        heard = Heard(
            body["model"],
            bool(body.get("stream")),
            said=body["prompt"],
            stop=stops(body),
            max_tokens=body.get("max_tokens"),
            usage=wants_usage(body),
        )
        spoken = perform(script, heard)

        def choice(text: str, finish: str | None) -> dict[str, Any]:
            return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}

        ending = _ENDINGS.get(spoken.ending, spoken.ending)
        if not heard.stream:
            choices = [choice("".join(spoken.pieces()), ending)]
            reply = _object(heard, "text_completion", choices)
            return whole({**reply, "usage": _usage(spoken)}, heard)

        def told() -> Iterator[bytes]:
            for piece in spoken.pieces():
                yield _event(heard, _object(heard, _TEXT, [choice(piece, None)]))
            yield _event(heard, _object(heard, _TEXT, [choice("", ending)]))
            yield from _end(heard, _TEXT, spoken)

        return Answer(told(), heard, True, (), "text/event-stream")

    def _embeddings(self, body: Any) -> Answer:
        known_only(body, _EMBEDDINGS, "Unrecognized request argument supplied: {}")
        self.known(body.get("model"))
        texts = body.get("input")
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or not texts:
            raise Refused(400, "'$.input' is invalid.")
        found = []
        for number, text in enumerate(texts):
            vector: Any = vector_of(text, body.get("dimensions", 3))
            if body.get("encoding_format") == "base64":
                packed = struct.pack(f"<{len(vector)}f", *vector)
                vector = base64.b64encode(packed).decode()
            entry = {"object": "embedding", "index": number, "embedding": vector}
            found.append(entry)
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        reply = {"object": "list", "data": found, "model": body["model"]}
        return whole({**reply, "usage": usage})


_TEXT = "text_completion"
_CHUNK = "chat.completion.chunk"


def vector_of(text: object, size: int) -> list[float]:
    """A vector whose numbers a 32-bit float holds exactly."""
    return [len(str(text)) + number / 4 for number in range(size)]


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED_AT, "owned_by": "fake"}


def _object(heard: Heard, kind: str, choices: list[Any]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-fake",
        "object": kind,
        "created": CREATED_AT,
        "model": heard.model,
        "choices": choices,
        "service_tier": "default",
        "system_fingerprint": "fp_fake",
    }


def _usage(spoken: Spoken) -> dict[str, Any]:
    return {
        "prompt_tokens": spoken.input_tokens,
        "completion_tokens": spoken.output_tokens,
        "total_tokens": spoken.input_tokens + spoken.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": spoken.cached_tokens,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": spoken.thinking_tokens,
            "audio_tokens": 0,
        },
    }


# --- streams


def _event(heard: Heard, chunk: dict[str, Any]) -> bytes:
    # With include_usage every chunk says that the count is still to come.
    told = {**chunk, "usage": None} if heard.usage else chunk
    return b"data: " + dump(told) + b"\n\n"


def _told(heard: Heard, delta: Any, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _event(heard, _object(heard, _CHUNK, [choice]))


def _chunks(heard: Heard, spoken: Spoken, custom: set[str]) -> Iterator[bytes]:
    for piece in cut(spoken.thinking):
        yield _told(heard, {"reasoning_content": piece})
    for piece in spoken.pieces():
        yield _told(heard, {"content": piece})
    for index, call in enumerate(spoken.calls):
        told = wire_call(call, custom)
        kind = told["type"]
        member = "input" if kind == "custom" else "arguments"
        first = {"index": index, **told, kind: {**told[kind], member: ""}}
        yield _told(heard, {"tool_calls": [first]})
        for piece in cut(told[kind][member]):
            more = {"index": index, kind: {member: piece}}
            yield _told(heard, {"tool_calls": [more]})
    yield _told(heard, {}, _ENDINGS.get(spoken.ending, spoken.ending))
    yield from _end(heard, _CHUNK, spoken)


def _end(heard: Heard, kind: str, spoken: Spoken) -> Iterator[bytes]:
    if heard.usage:
        last = {**_object(heard, kind, []), "usage": _usage(spoken)}
        yield b"data: " + dump(last) + b"\n\n"
    yield b"data: [DONE]\n\n"
