"""A guest's messages, all roles, to canonical ones: one for one, in order."""

from __future__ import annotations

from modelplex.errors import UnsupportedField
from modelplex.events import (
    Document,
    Image,
    Message,
    Part,
    RedactedThinking,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from modelplex.wire.openai.content_in import parts
from modelplex.wire.openai.fields import Field

_ROLES = ("developer", "system", "user", "assistant", "tool", "function")


def messages(field: Field) -> tuple[Message, ...]:
    """
    Every message of the conversation.

    The deprecated ``function_call`` has no id: it gets one from the place of its
    message, so that the same history always gives the same ids.
    """
    items = field.items()
    if not items:
        field.wrong("must not be empty")
    legacy: dict[str, str] = {}  # function name -> id of its latest call
    return tuple(_message(item, n, legacy) for n, item in enumerate(items))


def _message(item: Field, number: int, legacy: dict[str, str]) -> Message:
    name = item.maybe("name", Field.text) or None
    match item.need("role").word(*_ROLES):
        case "assistant":
            return Message(Role.ASSISTANT, _assistant(item, number, legacy), name)
        case "user":
            content = parts(item.need("content"), "image_url", "input_audio", "file")
            return Message(Role.USER, content, name)
        case "tool":
            return _result(item, item.need("tool_call_id").text())
        case "function":
            id = legacy.get(item.need("name").name(), f"call_{number}")
            return _result(item, id)
        case _:
            return Message(Role.SYSTEM, parts(item.need("content")), name)


def _result(item: Field, id: str) -> Message:
    content = item.get("content")
    found = () if content is None else parts(content, "image_url", "file")
    pieces = tuple(p for p in found if isinstance(p, Text | Image | Document))
    return Message(Role.TOOL, (ToolResult(id, pieces),))


def _assistant(item: Field, number: int, legacy: dict[str, str]) -> tuple[Part, ...]:
    if item.get("audio") is not None:
        raise UnsupportedField(
            f"{item.path}.audio: names a recording that only its provider has",
            param=f"{item.path}.audio",
        )
    found: list[Part] = list(_reasoning(item))
    content = item.get("content")
    if content is not None and content.value not in ("", []):
        found += parts(content, "refusal", "thinking")
    refusal = item.maybe("refusal", Field.text)
    if refusal:
        found.append(Refusal(refusal))
    for call in item.maybe("tool_calls", Field.items) or ():
        found.append(_call(call))
    function = item.get("function_call")
    if function is not None:
        id = f"call_{number}"
        found.append(_function_call(function, id))
        legacy[function.need("name").name()] = id
    return tuple(found)


def _call(call: Field) -> ToolCall:
    id = call.need("id").text()
    if (call.maybe("type", Field.text) or "function") == "custom":
        custom = call.need("custom")
        return ToolCall(
            id, custom.need("name").name(), custom.need("input").text(), custom=True
        )
    return _function_call(call.need("function"), id)


def _function_call(function: Field, id: str) -> ToolCall:
    arguments = function.maybe("arguments", Field.text) or ""
    return ToolCall(id, function.need("name").name(), arguments)


def _reasoning(item: Field) -> list[Part]:
    """
    Earlier reasoning, in each of the three places where servers put it.

    ``reasoning_details`` is OpenRouter's; a client that collected a stream sends its
    fragments as they came, those of one block with the same ``index``. Text stands
    beside it once more, in ``reasoning`` or ``reasoning_content``.
    """
    found: list[Part] = []
    block: int | None = None
    told = False
    for detail in item.maybe("reasoning_details", Field.items) or ():
        kind = detail.maybe("type", Field.text)
        if kind == "reasoning.encrypted":
            found.append(RedactedThinking(detail.need("data").text()))
            block = None
            continue
        key = "summary" if kind == "reasoning.summary" else "text"
        text = detail.maybe(key, Field.text) or ""
        signature = detail.maybe("signature", Field.text) or None
        told = told or bool(text)
        index = detail.maybe("index", Field.integer)
        last = found[-1] if found else None
        if isinstance(last, Thinking) and index is not None and index == block:
            found[-1] = Thinking(last.text + text, signature or last.signature)
        elif text or signature:
            found.append(Thinking(text, signature))
        block = index
    if told:
        return found
    said = item.maybe("reasoning_content", Field.text)
    said = said or item.maybe("reasoning", Field.text)
    if not said:
        return found
    for place, part in enumerate(found):
        if isinstance(part, Thinking):  # only signatures: the text belongs to the first
            found[place] = Thinking(said, part.signature)
            return found
    return [Thinking(said), *found]
