"""The canonical request, to ``POST /api/chat`` of a provider."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Iterable, Iterator

from attrs import evolve

from modelplex.errors import BadRequest
from modelplex.events import (
    JSON,
    Audio,
    Choose,
    Document,
    Image,
    Inline,
    Message,
    Part,
    Refusal,
    Request,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from modelplex.wire import freeform
from modelplex.wire.dialect import Encoded
from modelplex.wire.fidelity import Fidelity, admit
from modelplex.wire.ollama.calls import as_object
from modelplex.wire.ollama.fidelity import CHAT
from modelplex.wire.ollama.settings import encode_settings, is_own
from modelplex.wire.ollama.tool_words import wire_call, wire_tool_name
from modelplex.wire.typed import pack

_IN_RESULTS = (Text, Image, Document)


def encode_chat(request: Request) -> Encoded:
    """
    Write a request.

    :raises UnsupportedField: it asks for what Ollama cannot do.
    :raises BadRequest: it contradicts itself, or holds what JSON cannot say.
    """
    request, lost = admitted(request, CHAT)
    tools = _offered(request)
    body: dict[str, JSON] = {
        "model": request.model,
        "messages": list(_messages(request)),
        "stream": request.stream,
    }
    if tools:
        body["tools"] = [_tool(tool, number) for number, tool in enumerate(tools)]
    return Encoded(pack(body | encode_settings(request)), lost)


def admitted(request: Request, fidelity: Fidelity) -> tuple[Request, tuple[str, ...]]:
    """
    The request with its text documents as text, and the names of what is dropped.

    :raises UnsupportedField: something else cannot be expressed.
    """
    request = evolve(
        request,
        messages=tuple(
            evolve(message, parts=tuple(map(_readable, message.parts)))
            for message in request.messages
        ),
    )
    foreign = {k: v for k, v in request.extra.items() if not is_own(k, v)}
    return request, admit(evolve(request, extra=foreign), fidelity)


def _readable(part: Part) -> Part:
    """A text document as the text it is; any other part as it was."""
    match part:
        case Document(Inline(media_type, content)) if media_type.startswith("text/"):
            try:
                text = b64decode(content, validate=True).decode()
            except (BadBase64, ValueError):
                raise BadRequest("file: base64 of UTF-8 text is expected") from None
            title = f"{part.title}:" if part.title else None
            lines = [line for line in (title, part.context, text) if line]
            # So that citations which were asked for are listed as dropped.
            asked = (True,) if part.citations else ()
            return Text("\n".join(lines), part.cache, asked)
        case ToolResult():
            pieces = map(_readable, part.content)
            return evolve(
                part,
                content=tuple(p for p in pieces if isinstance(p, _IN_RESULTS)),
            )
        case _:
            return part


# --- tools ------------------------------------------------------------------


def _offered(request: Request) -> tuple[Tool, ...]:
    """The tools that the choice leaves."""
    choice = request.tool_choice
    if choice is None:
        return request.tools
    if choice.mode is Choose.NONE:
        return ()
    tools = request.tools
    if choice.names:
        tools = tuple(tool for tool in tools if tool.name in choice.names)
    if not tools and (choice.names or choice.mode is Choose.REQUIRED):
        raise BadRequest("tool_choice: no such tool is offered", param="tool_choice")
    return tools


def _hint(request: Request) -> Message | None:
    """The words for a choice that Ollama has no field for."""
    choice = request.tool_choice
    if choice is None or choice.mode is not Choose.REQUIRED:
        return None
    if len(choice.names) == 1:
        custom = any(t.custom for t in request.tools if t.name == choice.names[0])
        name = wire_tool_name(choice.names[0], custom)
        text = f"Answer by calling the tool {name}, and with nothing else."
    else:
        text = "Answer by calling at least one of the tools, and with nothing else."
    return Message(Role.SYSTEM, (Text(text),))


def _tool(tool: Tool, number: int) -> JSON:
    function: dict[str, JSON] = {"name": wire_tool_name(tool.name, tool.custom)}
    description = tool.description
    if tool.custom and tool.format is not None:
        grammar = f"The input has this format: {pack(tool.format).decode()}"
        description = f"{description}\n{grammar}" if description else grammar
    if description is not None:
        function["description"] = description
    schema = (
        freeform.SCHEMA if tool.custom else {} if tool.schema is None else tool.schema
    )
    if not isinstance(schema, dict):
        where = f"tools[{number}].function.parameters"
        raise BadRequest(f"{where}: an object is expected", param=where)
    # Ollama parses the schema into a type of its own; templates read both members.
    function["parameters"] = {"type": "object", "properties": {}} | schema
    return {"type": "function", "function": function}


# --- messages ---------------------------------------------------------------


def _messages(request: Request) -> Iterator[JSON]:
    names: dict[str, str] = {}  # of the tools, by the id of the latest call
    hint = _hint(request)
    for message in request.messages:
        if hint is not None and message.role is not Role.SYSTEM:
            # After the leading system messages, with which Ollama joins it.
            yield _spoken(hint)
            hint = None
        if message.role is Role.TOOL:
            for part in message.parts:
                if isinstance(part, ToolResult):
                    yield _result(part, names)
            continue
        for part in message.parts:
            if isinstance(part, ToolCall):
                names[part.id] = wire_tool_name(part.name, part.custom)
        yield _spoken(message)
    if hint is not None:
        yield _spoken(hint)


def _spoken(message: Message) -> JSON:
    # An assistant's texts are pieces of one answer; those of others stand apart.
    between = "" if message.role is Role.ASSISTANT else "\n\n"
    said: dict[str, JSON] = {
        "role": message.role.value,
        "content": joined(message.parts, between),
    }
    if thoughts := [p.text for p in message.parts if isinstance(p, Thinking)]:
        said["thinking"] = "".join(thoughts)
    if images := attached(message.parts):
        said["images"] = images
    calls = [wire_call(part) for part in message.parts if isinstance(part, ToolCall)]
    if calls:
        said["tool_calls"] = [call_object(n, call) for n, call in enumerate(calls)]
    return said


def _result(result: ToolResult, names: dict[str, str]) -> JSON:
    text = joined(result.content, "\n\n")
    said: dict[str, JSON] = {
        "role": "tool",
        "content": f"Error: {text}" if result.is_error else text,
    }
    if images := attached(result.content):
        said["images"] = images
    if result.call_id in names:
        said["tool_name"] = names[result.call_id]
    said["tool_call_id"] = result.call_id
    return said


def call_object(index: int, call: ToolCall) -> JSON:
    """One member of ``tool_calls``."""
    return {
        "id": call.id,
        "function": {
            "index": index,
            "name": call.name,
            "arguments": as_object(call.arguments),
        },
    }


def joined(parts: Iterable[Part], between: str) -> str:
    """What is said in words."""
    return between.join(p.text for p in parts if isinstance(p, Text | Refusal))


def attached(parts: Iterable[Part]) -> list[str]:
    """The pictures and sounds, as bare base64."""
    found: list[str] = []
    for part in parts:
        match part:
            case Image(Inline(_, content)) | Audio(content):
                found.append(content)
            case _:
                pass
    return found
