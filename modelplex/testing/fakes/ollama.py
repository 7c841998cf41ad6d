"""A fake of Ollama's own API: chat, generate, embed, tags."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from attrs import define

from modelplex.testing.fakes.openai import vector_of
from modelplex.testing.fakes.script import Heard, Script, Spoken, cut, perform
from modelplex.testing.fakes.speaker import Answer, Asked, Refused, dump, whole

_WHEN = "2026-11-22T00:00:00.000000001Z"
_ENDINGS = {"stop_sequence": "stop", "tool_calls": "stop"}


@define(eq=False)
class Ollama:
    """See `Speaker`. Members that it does not know it ignores, as Ollama does."""

    models: tuple[str, ...] = ("llama-x",)
    key: str = ""
    garbage: bytes = b'{"model":"m","message":{"role":\n'
    filler: bytes = b'{"model":"m","message":{"role":"assistant","content":"'

    def answer(self, asked: Asked, script: Script) -> Answer:
        if self.key and asked.headers.get("authorization") != f"Bearer {self.key}":
            given = asked.headers.get("authorization", "")
            raise Refused(401, f"unauthorized: {given}")
        match asked.method, asked.path:
            case "POST", "/api/chat":
                heard = _chat(self._known(asked.json()))
                return _answer(heard, perform(script, heard), chat=True)
            case "POST", "/api/generate":
                heard = _generate(self._known(asked.json()))
                return _answer(heard, perform(script, heard), chat=False)
            case "POST", "/api/embed":
                return _embed(self._known(asked.json()))
            case "GET", "/api/tags":
                models = [{"name": m, "model": m, "size": 1} for m in self.models]
                return whole({"models": models})
            case _:
                raise Refused(404, "404 page not found")

    def refusal(self, status: int, message: str, code: str | None = None) -> bytes:
        return dump({"error": message})

    def error_event(self, message: str) -> bytes:
        return dump({"error": message}) + b"\n"

    def _known(self, body: Any) -> Any:
        if body.get("model") not in self.models:
            raise Refused(404, f"model '{body.get('model')}' not found")
        return body


def _embed(body: Any) -> Answer:
    texts = body.get("input")
    texts = [texts] if isinstance(texts, str) else texts
    vectors = [vector_of(text, body.get("dimensions") or 3) for text in texts]
    counted = {"total_duration": 5, "load_duration": 1, "prompt_eval_count": len(texts)}
    return whole({"model": body["model"], "embeddings": vectors, **counted})


# --- answers


def _answer(heard: Heard, spoken: Spoken, *, chat: bool) -> Answer:
    if heard.stream:
        lines = _lines(heard, spoken, chat)
        pieces = (dump(line) + b"\n" for line in lines)
        return Answer(pieces, heard, True, (), _NDJSON)
    *said, last = _lines(heard, spoken, chat)
    if not chat:
        last["response"] = "".join(line["response"] for line in said)
        return whole(last, heard)
    message: dict[str, Any] = {"role": "assistant"}
    for member in ("content", "thinking"):
        message[member] = "".join(line["message"].get(member, "") for line in said)
    calls = [c for line in said for c in line["message"].get("tool_calls", ())]
    last["message"] = message | ({"tool_calls": calls} if calls else {})
    return whole(last, heard)


_NDJSON = "application/x-ndjson"


def _lines(heard: Heard, spoken: Spoken, chat: bool) -> Iterator[dict[str, Any]]:
    def line(text: str, **more: Any) -> dict[str, Any]:
        start = {"model": heard.model, "created_at": _WHEN, "done": False}
        if not chat:
            return {**start, "response": text, **more}
        return {**start, "message": {"role": "assistant", "content": text, **more}}

    for piece in cut(spoken.thinking):
        yield line("", thinking=piece)
    for piece in spoken.pieces():
        yield line(piece)
    for call in spoken.calls:  # each whole, in a line of its own, its index at 0
        function = {"index": 0, "name": call.name, "arguments": call.arguments}
        yield line("", tool_calls=[{"id": call.id, "function": function}])
    yield line("") | {
        "done": True,
        "done_reason": _ENDINGS.get(spoken.ending, spoken.ending),
        "total_duration": 10,
        "load_duration": 1,
        "prompt_eval_count": spoken.input_tokens,
        "prompt_eval_duration": 2,
        "eval_count": spoken.output_tokens,
        "eval_duration": 3,
    }


# --- requests


def _heard(body: Any, **more: Any) -> Heard:
    options = body.get("options") or {}
    form = body.get("format")
    stop = options.get("stop") or ()
    limit = options.get("num_predict", -1)
    return Heard(
        model=body["model"],
        stream=body.get("stream", True),
        schema=form if isinstance(form, dict) else None,
        thinks=bool(body.get("think")),
        stop=tuple(stop),
        max_tokens=limit if limit > 0 else None,
        **more,
    )


def _generate(body: Any) -> Heard:
    if not isinstance(body.get("prompt"), str):
        raise Refused(400, "prompt: a string is expected")
    return _heard(body, said=body["prompt"])


def _chat(body: Any) -> Heard:
    system, said = [], ""
    images: list[tuple[str, str]] = []
    results: list[tuple[str, str]] = []
    for message in body.get("messages", ()):
        text = message.get("content", "")
        if not isinstance(text, str):
            kind = type(text).__name__
            raise Refused(400, f"json: cannot unmarshal {kind} into field content")
        for image in message.get("images", ()):
            images.append(("", _base64(image)))
        for call in message.get("tool_calls", ()):
            if not isinstance(call["function"]["arguments"], dict):
                raise Refused(400, "json: cannot unmarshal into field arguments")
        match message.get("role"):
            case "system":
                system.append(text)
            case "tool":
                results.append((message.get("tool_call_id", ""), text))
            case "user" | "assistant":
                said, results = text, []
            case role:
                raise Refused(400, f"invalid role: {role}")
    return _heard(
        body,
        system="\n".join(system),
        said=said,
        images=tuple(images),
        results=tuple(results),
        tools=tuple(tool["function"]["name"] for tool in body.get("tools") or ()),
    )


def _base64(image: str) -> str:
    try:
        base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "illegal base64 data at input byte 4") from None
    return image
