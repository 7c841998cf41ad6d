"""``POST /api/chat`` of a guest, to the canonical request."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec
from attrs import define, field

from modelplex.errors import BadRequest
from modelplex.events import (
    Audio,
    Image,
    Message,
    Part,
    Request,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from modelplex.wire.jsonobject import JsonObject
from modelplex.wire.ollama.calls import made_up_id
from modelplex.wire.ollama.media import sniff
from modelplex.wire.ollama.settings import decode_settings
from modelplex.wire.typed import compact, member, model_of


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class _Tool(msgspec.Struct):
    function: _Function
    type: str | None = None


class _Called(msgspec.Struct):
    name: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class _Call(msgspec.Struct):
    function: _Called
    id: str | None = None


class _Message(msgspec.Struct):
    """`name` is what examples older than `tool_name` write."""

    role: str
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[_Call] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None
    name: str | None = None


_ROLES = {role.value: role for role in Role}


def decode_chat(body: JsonObject) -> Request:
    """
    Read a request.

    :raises BadRequest: a value is missing, of the wrong type or senseless; names it.
    """
    settings = decode_settings(body, frozenset(("messages", "tools")))
    talk = _Conversation()
    for number, said in enumerate(member(body, "messages", list[_Message]) or ()):
        talk.add(said, number)
    return Request(
        model=model_of(body),
        messages=tuple(talk.messages),
        tools=tuple(
            _tool(tool, number)
            for number, tool in enumerate(member(body, "tools", list[_Tool]) or ())
        ),
        **settings,
    )


def _tool(tool: _Tool, number: int) -> Tool:
    if tool.type not in (None, "function"):
        where = f"tools[{number}].type"
        raise BadRequest(f"{where}: only function is known", param=where)
    function = tool.function
    return Tool(function.name, function.description, function.parameters)


@define(eq=False)
class _Waiting:
    """A call without an answer yet; in every queue that it stands in."""

    id: str
    answered: bool = False


@define(eq=False)
class _Conversation:
    """
    Messages as they are read, with an id for every call and every result.

    Ids are optional in Ollama, and its Python client drops them. A call without one
    is given one that depends on the call and its place, so that the same history has
    the same ids in every turn. A result without one answers the first call of its
    name that waits for an answer, or else the first that waits.
    """

    messages: list[Message] = field(factory=list)
    # In order, those that are answered among them until they are met.
    _waiting: deque[_Waiting] = field(factory=deque)
    _by_id: dict[str, deque[_Waiting]] = field(factory=dict)
    _by_name: dict[str, deque[_Waiting]] = field(factory=dict)

    def add(self, said: _Message, number: int) -> None:
        where = f"messages[{number}]"
        role = _ROLES.get(said.role.lower())
        if role is None:
            raise BadRequest(
                f"{where}.role: {said.role!r} is none of {', '.join(_ROLES)}",
                param=f"{where}.role",
            )
        pieces: list[Text | Image | Audio] = []
        if said.content:
            pieces.append(Text(said.content))
        for place, image in enumerate(said.images or ()):
            pieces.append(sniff(image, f"{where}.images[{place}]"))
        parts: list[Part] = []
        match role:
            case Role.TOOL:
                parts.append(self._result(said, pieces, where))
            case Role.ASSISTANT:
                if said.thinking:
                    parts.append(Thinking(said.thinking))
                parts += pieces
                parts += self._calls(said, where)
            case _:
                parts += pieces
        self.messages.append(Message(role, tuple(parts) or (Text(""),)))

    def _calls(self, said: _Message, where: str) -> list[ToolCall]:
        calls = []
        for place, call in enumerate(said.tool_calls or ()):
            path = f"{where}.tool_calls[{place}].function.arguments"
            name, raw = call.function.name, bytes(call.function.arguments)
            if raw == b"null":
                raw = b"{}"
            if not raw.startswith(b"{"):
                raise BadRequest(f"{path}: an object is expected", param=path)
            id = call.id or made_up_id(path.encode(), name.encode(), raw)
            waiting = _Waiting(id)
            self._waiting.append(waiting)
            self._by_id.setdefault(id, deque()).append(waiting)
            self._by_name.setdefault(name, deque()).append(waiting)
            calls.append(ToolCall(id, name, compact(raw)))
        return calls

    def _result(
        self, said: _Message, pieces: list[Text | Image | Audio], where: str
    ) -> ToolResult:
        content: list[Text | Image] = []
        for piece in pieces:
            if isinstance(piece, Audio):
                raise BadRequest(
                    f"{where}.images: a tool result cannot hold sound",
                    param=f"{where}.images",
                )
            content.append(piece)
        return ToolResult(self._answered(said, where), tuple(content))

    def _answered(self, said: _Message, where: str) -> str:
        """The id of the call that a tool message answers; it waits no more."""
        wanted, name = said.tool_call_id, said.tool_name or said.name
        if wanted:
            found = _first(self._by_id.get(wanted))
        else:
            found = None if name is None else _first(self._by_name.get(name))
            found = found or _first(self._waiting)
        if found is not None:
            found.answered = True
            return found.id
        if wanted:
            return wanted  # whatever it answers, the guest says so itself
        raise BadRequest(f"{where}: it answers no tool call", param=where)


def _first(queue: deque[_Waiting] | None) -> _Waiting | None:
    """The first that waits; those before it wait no more, and leave the queue."""
    while queue:
        if not queue[0].answered:
            return queue[0]
        queue.popleft()
    return None
