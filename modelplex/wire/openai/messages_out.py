"""Canonical messages in OpenAI's form, deterministic to the byte for prompt caches."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

from modelplex.events import (
    JSON,
    Audio,
    Document,
    Image,
    Inline,
    Message,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)

_IMAGE_BELOW = "[image attached below]"
_FILE_BELOW = "[file attached below]"


def messages(given: Iterable[Message]) -> list[JSON]:
    """
    The ``messages`` array.

    A tool's answer is text here: its images follow in the next user message, which
    must not come between the answers to calls of one turn.
    """
    written: list[JSON] = []
    waiting: list[JSON] = []  # parts for the next user message
    for message in given:
        if message.role is Role.TOOL:
            for part in message.parts:
                if isinstance(part, ToolResult):
                    written.append(_result(part, waiting))
            continue
        if message.role is Role.USER:
            written.append(_user(message, waiting))
            waiting = []
            continue
        if waiting:
            written.append({"role": "user", "content": waiting})
            waiting = []
        speak = _system if message.role is Role.SYSTEM else _assistant
        written.append(speak(message))
    if waiting:
        written.append({"role": "user", "content": waiting})
    return written


def _user(message: Message, waiting: Sequence[JSON]) -> JSON:
    content = [*waiting]
    for part in message.parts:
        content += _parts(part)
    text: JSON = content
    if not content:
        text = ""
    elif len(content) == 1 and content[0]["type"] == "text":
        text = content[0]["text"]
    return _named({"role": "user", "content": text}, message)


def _system(message: Message) -> JSON:
    text = "\n\n".join(p.text for p in message.parts if isinstance(p, Text))
    return _named({"role": "system", "content": text}, message)


def _assistant(message: Message) -> JSON:
    parts = message.parts
    text = "".join(p.text for p in parts if isinstance(p, Text))
    reasoning = "".join(p.text for p in parts if isinstance(p, Thinking))
    refusal = "".join(p.text for p in parts if isinstance(p, Refusal))
    calls = [_call(p) for p in parts if isinstance(p, ToolCall)]
    absent = None if calls or refusal else ""
    written: dict[str, Any] = {"role": "assistant", "content": text or absent}
    if reasoning:
        written["reasoning_content"] = reasoning
    if refusal:
        written["refusal"] = refusal
    if calls:
        written["tool_calls"] = calls
    return _named(written, message)


def _named(written: dict[str, Any], message: Message) -> JSON:
    if message.name is not None:
        written["name"] = message.name
    return written


def _call(call: ToolCall) -> JSON:
    if call.custom:
        custom = {"name": call.name, "input": call.arguments}
        return {"id": call.id, "type": "custom", "custom": custom}
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": call.id, "type": "function", "function": function}


def _result(result: ToolResult, waiting: list[JSON]) -> JSON:
    lines: list[str] = []
    for part in result.content:
        for piece in _parts(part):
            if piece["type"] == "text":
                lines.append(piece["text"])
            else:
                image = piece["type"] == "image_url"
                lines.append(_IMAGE_BELOW if image else _FILE_BELOW)
                waiting.append(piece)
    text = ("Error: " if result.is_error else "") + "\n".join(lines)
    return {"role": "tool", "tool_call_id": result.call_id, "content": text}


def _parts(part: Part) -> list[JSON]:
    """The content parts for one of ours; none for what only an assistant says."""
    match part:
        case Text():
            return [_text(part.text)]
        case Image():
            image = {"url": _url(part.source)}
            if part.detail is not None:
                image["detail"] = part.detail
            return [{"type": "image_url", "image_url": image}]
        case Audio():
            audio = {"data": part.content, "format": part.format}
            return [{"type": "input_audio", "input_audio": audio}]
        case Document():
            return _document(part)
        case _:
            return []


def _document(document: Document) -> list[JSON]:
    source = document.source
    head = document.title
    if isinstance(source, Inline) and source.media_type.startswith("text/"):
        text = base64.b64decode(source.content).decode("utf-8", "replace")
        lines = [w for w in (head, document.context, text) if w]
        return [_text("\n\n".join(lines))]
    file = {"filename": head or "document.pdf", "file_data": _url(source)}
    written: list[JSON] = [{"type": "file", "file": file}]
    if document.context:
        written.insert(0, _text(document.context))
    return written


def _text(text: str) -> JSON:
    return {"type": "text", "text": text}


def _url(source: object) -> str:
    match source:
        case Inline():
            return f"data:{source.media_type};base64,{source.content}"
        case Url():
            return source.url
        case _:
            raise AssertionError("a file id is refused before it is written")
