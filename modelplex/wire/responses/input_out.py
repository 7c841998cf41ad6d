"""Canonical messages to ``instructions`` and ``input``, deterministic to the byte."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Any

from attrs import define, field

from modelplex.events import (
    Audio,
    Document,
    FileId,
    Image,
    Inline,
    Message,
    Part,
    RedactedThinking,
    Refusal,
    Role,
    Source,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from modelplex.wire.fidelity import reasoning_name
from modelplex.wire.responses.proofs import native_parts

Item = dict[str, Any]

_ID_LIMIT = 64  # characters of a call_id


@define
class InputWriter:
    """
    Lays a conversation out in items that the API takes.

    It refuses an output without its call, a call without its output, and reasoning
    that nothing follows, all of which guests of other dialects may send.

    :ivar lost: fields of the guest that have no effect.
    """

    input: list[Item] = field(factory=list)
    lost: list[str] = field(factory=list)
    _unanswered: frozenset[int] = frozenset()
    _calls: int = 0
    _waiting: Counter[str] = field(factory=Counter)
    _custom: set[str] = field(factory=set)

    def write(self, messages: Sequence[Message]) -> str | None:
        """Fill `input`; gives the instructions, if any."""
        self._unanswered = _unanswered(messages)
        instructions = None
        if len(messages) > 1:  # the input must not be empty
            instructions = _plain(messages[0])
        for message in messages[instructions is not None :]:
            match message.role:
                case Role.ASSISTANT:
                    self._assistant(message.parts)
                case Role.TOOL:
                    for part in message.parts:
                        if isinstance(part, ToolResult):
                            self._result(part)
                case Role.SYSTEM:
                    self._say("developer", message.parts)
                case _:
                    self._say("user", message.parts)
        return instructions

    def _say(self, role: str, parts: Iterable[Part]) -> None:
        content = [piece for part in parts for piece in _pieces(part)]
        self.input.append({"role": role, "content": _short(content)})

    def _assistant(self, parts: Iterable[Part]) -> None:
        items: list[Item] = []
        unanswered: list[ToolCall] = []
        for part in parts:
            match part:
                case Text(text):
                    _spoken(items, {"type": "output_text", "text": text})
                case Refusal(text):
                    _spoken(items, {"type": "refusal", "refusal": text})
                case Thinking(text, signature):
                    if not self._reasoned(signature, text, items):
                        self.lost.append(reasoning_name(part))
                case RedactedThinking(content):
                    if not self._reasoned(content, "", items):
                        self.lost.append(reasoning_name(part))
                case ToolCall():
                    if self._calls in self._unanswered:
                        unanswered.append(part)
                    items.append(self._call(part))
                case _:
                    pass  # an assistant says nothing else
        while items and items[-1].get("type") == "reasoning":
            sealed = not items.pop()["summary"]
            self.lost.append("reasoning_details" if sealed else "reasoning_content")
        self.input += items
        for call in unanswered:
            self._result(ToolResult(call.id, (Text("(no result)"),)))

    def _reasoned(self, proof: str | None, text: str, items: list[Item]) -> bool:
        """Add the item that the API once gave; none for what came from elsewhere."""
        found = native_parts(proof) if proof is not None else None
        if found is None:
            return False
        id, content = found
        summary = [{"type": "summary_text", "text": text}] if text else []
        item: Item = {"type": "reasoning", "id": id, "summary": summary}
        if not id:
            del item["id"]
        items.append({**item, "encrypted_content": content})
        return True

    def _call(self, call: ToolCall) -> Item:
        self._calls += 1
        self._waiting[call.id] += 1
        head = {"call_id": _call_id(call.id), "name": call.name}
        if call.custom:
            self._custom.add(call.id)
            return {"type": "custom_tool_call", **head, "input": call.arguments}
        written = call.arguments or "{}"
        return {"type": "function_call", **head, "arguments": written}

    def _result(self, result: ToolResult) -> None:
        content = [piece for part in result.content for piece in _pieces(part)]
        if result.is_error:
            if content and content[0]["type"] == "input_text":
                content[0] = _text("Error: " + content[0]["text"])
            else:
                content.insert(0, _text("Error: "))
        if not self._waiting[result.call_id]:
            intro = f"(result of the tool call {result.call_id or 'without an id'})"
            self.input.append({"role": "user", "content": [_text(intro), *content]})
            return
        self._waiting[result.call_id] -= 1
        custom = result.call_id in self._custom
        self.input.append(
            {
                "type": f"{'custom_tool' if custom else 'function'}_call_output",
                "call_id": _call_id(result.call_id),
                "output": _short(content),
            }
        )


def _unanswered(messages: Iterable[Message]) -> frozenset[int]:
    """The calls, counted from 0, that no result comes after."""
    waiting: dict[str, deque[int]] = {}
    calls = 0
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolCall) and message.role is Role.ASSISTANT:
                waiting.setdefault(part.id, deque()).append(calls)
                calls += 1
            elif isinstance(part, ToolResult) and message.role is Role.TOOL:
                numbers = waiting.get(part.call_id)
                if numbers:
                    numbers.popleft()
    return frozenset(n for numbers in waiting.values() for n in numbers)


def _plain(message: Message) -> str | None:
    """The text of a system message that is one text; it may not be empty."""
    if message.role is not Role.SYSTEM or len(message.parts) != 1:
        return None
    [part] = message.parts
    return (part.text or None) if isinstance(part, Text) else None


def _short(content: list[Item]) -> str | list[Item]:
    """The same as a string, if that says it all."""
    if not content:
        return ""
    if len(content) == 1 and content[0]["type"] == "input_text":
        text: str = content[0]["text"]
        return text
    return content


def _spoken(items: list[Item], piece: Item) -> None:
    if not items or "role" not in items[-1]:
        items.append({"role": "assistant", "content": []})
    items[-1]["content"].append(piece)


def _call_id(id: str) -> str:
    """`id` itself if the API takes it, else always the same one in its place."""
    if 0 < len(id) <= _ID_LIMIT:
        return id
    return f"call_{hashlib.sha256(id.encode()).hexdigest()[:32]}"


def _pieces(part: Part) -> list[Item]:
    """The content parts for one of ours; none for what only an assistant says."""
    match part:
        case Text():
            return [_text(part.text)]
        case Image():
            image = {"type": "input_image", "image_url": _url(part.source)}
            return [{**image, "detail": part.detail} if part.detail else image]
        case Audio():
            audio = {"data": part.content, "format": part.format}
            return [{"type": "input_audio", "input_audio": audio}]
        case Document():
            return _document(part)
        case _:
            return []


def _document(document: Document) -> list[Item]:
    source, title = document.source, document.title
    if isinstance(source, Inline) and source.media_type.startswith("text/"):
        text = base64.b64decode(source.content).decode("utf-8", "replace")
        lines = [w for w in (title, document.context, text) if w]
        return [_text("\n\n".join(lines))]
    file: Item = {"type": "input_file"}
    if isinstance(source, Url):
        file["file_url"] = source.url
    else:
        file |= {"filename": title or "document.pdf", "file_data": _url(source)}
    context = [_text(document.context)] if document.context else []
    return [*context, file]


def _text(text: str) -> Item:
    return {"type": "input_text", "text": text}


def _url(source: Source) -> str:
    assert not isinstance(source, FileId), "it is refused before it is written"
    if isinstance(source, Url):
        return source.url
    return f"data:{source.media_type};base64,{source.content}"
