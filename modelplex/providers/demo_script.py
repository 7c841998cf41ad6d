"""
What the demo provider says: a pure function of the request.

It echoes what it was told, asks for the first tool it is offered, and reports what
the tool said. The same request gets the same answer, always.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from modelplex.events import (
    JSON,
    Choose,
    Event,
    Finished,
    FinishReason,
    Image,
    Message,
    Request,
    Role,
    Started,
    Text,
    TextDelta,
    ThinkingDelta,
    Tool,
    ToolCallDelta,
    ToolCallStarted,
    ToolResult,
    Usage,
    UsageReported,
)

PIECE = 12  # characters of a tool's arguments that are streamed at a time
_DEPTH = 8  # how deep an example of a schema goes


def compose(request: Request, model: str) -> list[Event]:
    """The events of the demo model's reply to `request`."""
    last = request.messages[-1] if request.messages else Message(Role.USER, ())
    spoken = _text(last)
    events: list[Event] = [Started(f"demo-{len(request.messages)}", model)]
    words: list[str]
    if request.thinking is not None and request.thinking.effort not in (None, "none"):
        events.append(ThinkingDelta("I will repeat what I was told."))
    tool = _wanted(request, last)
    if tool is not None:
        arguments = msgspec.json.encode(_example(tool.schema, spoken)).decode()
        call = f"call_{len(request.messages)}_{tool.name}"[:64]
        events.append(ToolCallStarted(0, call, tool.name, tool.custom))
        text = spoken if tool.custom else arguments
        words = [text[i : i + PIECE] for i in range(0, len(text), PIECE)]
        events += [ToolCallDelta(0, piece) for piece in words]
        reason = FinishReason.TOOL_CALLS
    else:
        words = list(_pieces(_answer(request, last, spoken)))
        limit = request.max_tokens
        reason = FinishReason.STOP
        if limit is not None and len(words) > limit:
            words, reason = words[:limit], FinishReason.LENGTH
        events += [TextDelta(word) for word in words]
    prompt = sum(len(_text(message).split()) for message in request.messages)
    events += [Finished(reason), UsageReported(Usage(prompt, len(words)))]
    return events


def embedding(text: str, size: int) -> list[float]:
    """A vector for `text`: how often each residue of its bytes occurs, normalised."""
    counts = [0] * size
    for position, byte in enumerate(text.encode()):
        counts[(byte + position) % size] += 1
    length = sum(count * count for count in counts) ** 0.5 or 1.0
    return [count / length for count in counts]


def _answer(request: Request, last: Message, spoken: str) -> str:
    if (form := request.response_format) is not None:
        return msgspec.json.encode(_example(form.schema or {}, spoken)).decode()
    if last.role is Role.TOOL:
        return f"The tool said: {spoken}"
    images = sum(isinstance(part, Image) for part in last.parts)
    seen = f" (and showed me {images} image{'s' * (images > 1)})" if images else ""
    return f"You said{seen}: {spoken}"


def _wanted(request: Request, last: Message) -> Tool | None:
    """The tool to ask for, if one is offered and was not just used."""
    choice = request.tool_choice
    if not request.tools or (choice is not None and choice.mode is Choose.NONE):
        return None
    if last.role is Role.TOOL and (choice is None or choice.mode is Choose.AUTO):
        return None
    if choice is not None and choice.names:
        named = [tool for tool in request.tools if tool.name in choice.names]
        return named[0] if named else None
    return request.tools[0]


def _text(message: Message) -> str:
    pieces: list[str] = []
    for part in message.parts:
        if isinstance(part, Text):
            pieces.append(part.text)
        elif isinstance(part, ToolResult):
            pieces += [inner.text for inner in part.content if isinstance(inner, Text)]
    return " ".join(pieces)


def _pieces(text: str) -> Iterator[str]:
    """Words with the space before them."""
    for number, word in enumerate(text.split(" ")):
        yield word if number == 0 else f" {word}"


def _example(schema: JSON, said: str, depth: int = 0) -> JSON:
    """A value that satisfies the plain parts of a JSON Schema."""
    if not isinstance(schema, dict) or depth > _DEPTH:
        return {}
    if choices := _several(schema, "enum"):
        return choices[0]
    if "const" in schema:
        return schema["const"]
    for key in ("anyOf", "oneOf"):
        if choices := _several(schema, key):
            return _example(choices[0], said, depth + 1)
    kind = schema.get("type", "object")
    match kind[0] if isinstance(kind, list) and kind else kind:
        case "string":
            return said[:200]
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case "null":
            return None
        case "array":
            return [_example(schema.get("items", {"type": "string"}), said, depth + 1)]
        case _:
            properties = schema.get("properties")
            if not isinstance(properties, dict):
                return {}
            wanted = _several(schema, "required") or list(properties)
            return {
                name: _example(properties[name], said, depth + 1)
                for name in wanted
                if isinstance(name, str) and name in properties
            }


def _several(schema: Mapping[str, JSON], key: str) -> list[JSON]:
    """The list at `key`; a guest may have written anything there."""
    found = schema.get(key)
    return found if isinstance(found, list) else []
