"""The `contents` of a request to canonical messages."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import TypeAlias

from attrs import define, field
from msgspec import Raw

from modelplex.errors import BadRequest
from modelplex.events import (
    Audio,
    Document,
    Event,
    Image,
    Message,
    Part,
    Role,
    Text,
    ToolCall,
    ToolResult,
    gather,
)
from modelplex.wire.gemini.media_in import inline, stored
from modelplex.wire.gemini.members import Members, members
from modelplex.wire.gemini.part_reader import FunctionCall, PartReader, joined
from modelplex.wire.gemini.part_reader import Part as WirePart
from modelplex.wire.gemini.tool_words import made_up_id
from modelplex.wire.typed import compact, read

Skipped: TypeAlias = Callable[[str], None]
"""Called with the name of what no canonical part stands for."""

_NOT_CARRIED = (
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)


@define
class _Conversation:
    """
    The turns so far.

    :ivar events: what the turn of the model that is being read consists of; a client
        that collected a stream sends each of its chunks as a content of its own.
    :ivar waiting: how many calls of each id have no result yet.
    :ivar named: the ids of the calls of each tool, in order.
    """

    skipped: Skipped
    messages: list[Message] = field(factory=list)
    events: list[Event] | None = None
    reader: PartReader = field(factory=lambda: PartReader(plain_names=True))
    waiting: Counter[str] = field(factory=Counter)
    named: dict[str, deque[str]] = field(factory=dict)

    def model(self, parts: list[Members]) -> None:
        if self.events is None:
            self.events = []
            self.reader = PartReader(plain_names=True)
        witness = str(len(self.messages))
        for part in parts:
            self.reader.read(self._spoken(part), witness, self.events)

    def _spoken(self, part: Members) -> WirePart:
        for name in (*_NOT_CARRIED, "inlineData", "fileData"):
            if name in part:
                self.skipped(name)
                return WirePart()
        if "functionResponse" in part:
            where = part.where("functionResponse")
            raise BadRequest(f"{where}: a model has no results", param=where)
        call: FunctionCall | None = None
        if "functionCall" in part:
            given = part.within("functionCall")
            args = given.get("args", Raw) or Raw(b"{}")
            read(args, dict[str, Raw], given.where("args"))
            call = FunctionCall(given.need("name", str), given.get("id", str), args)
        return WirePart(
            part.get("text", str),
            part.get("thought", bool),
            part.get("thoughtSignature", str),
            call,
        )

    def user(self, parts: list[Members]) -> None:
        self.end_of_model()
        results: list[ToolResult] = []
        rest: list[Part] = []
        for part in parts:
            if "functionResponse" in part:
                results.append(self._result(part.within("functionResponse")))
            elif (said := self._said(part)) is not None:
                rest.append(said)
        if results:
            self.messages.append(Message(Role.TOOL, tuple(results)))
        if rest:
            self.messages.append(Message(Role.USER, tuple(rest)))

    def end_of_model(self) -> None:
        events, self.events = self.events, None
        if not events:
            return
        parts = gather(joined(events)).said
        self.messages.append(Message(Role.ASSISTANT, parts))
        calls = [part for part in parts if isinstance(part, ToolCall)]
        self.waiting = Counter(call.id for call in calls)
        self.named = {}
        for call in calls:
            self.named.setdefault(call.name, deque()).append(call.id)

    def _said(self, part: Members) -> Text | Image | Audio | Document | None:
        if "functionCall" in part:
            where = part.where("functionCall")
            raise BadRequest(f"{where}: only a model calls tools", param=where)
        if "inlineData" in part:
            return inline(part.within("inlineData"))
        if "fileData" in part:
            return stored(part.within("fileData"))
        for name in _NOT_CARRIED:
            if name in part:
                self.skipped(name)
        text = part.get("text", str)
        return None if text is None else Text(text)

    def _result(self, given: Members) -> ToolResult:
        name: str = given.get("name", str) or ""
        id = self._claimed(given.get("id", str), name)
        content, is_error = _answer(given)
        for raw, where in given.items("parts"):
            part = members(raw, where)
            if "inlineData" in part:
                file = inline(part.within("inlineData"))
            elif "fileData" in part:
                file = stored(part.within("fileData"))
            else:
                raise BadRequest(f"{where}: only files may stand here", param=where)
            if isinstance(file, Audio):
                raise BadRequest(f"{where}: no sound may stand here", param=where)
            content.append(file)
        return ToolResult(id, tuple(content), is_error)

    def _claimed(self, id: str | None, name: str) -> str:
        """The id of the call that is answered; without one, the first of its name."""
        if id:
            self.waiting[id] -= 1
            return id
        called = self.named.get(name) or deque()
        while called:
            first = called.popleft()
            if self.waiting[first] > 0:
                self.waiting[first] -= 1
                return first
        return made_up_id("no call", str(len(self.messages)), name)


def conversation(contents: list[Raw], where: str, skipped: Skipped) -> list[Message]:
    """
    The messages that `contents` are.

    :raises BadRequest: something is of the wrong type, or where it cannot stand.
    """
    talk = _Conversation(skipped)
    for number, raw in enumerate(contents):
        content = members(raw, f"{where}[{number}]")
        parts = [members(raw, place) for raw, place in content.items("parts")]
        match content.get("role", str) or "user":
            case "model":
                talk.model(parts)
            case "user" | "function":
                talk.user(parts)
            case role:
                param = content.where("role")
                raise BadRequest(f"{param}: {role!r} is not user or model", param=param)
    talk.end_of_model()
    return talk.messages


def _answer(given: Members) -> tuple[list[Text | Image | Document], bool]:
    """
    What `response` says, and whether it is an error.

    Gemini docs: the keys ``output`` and ``error``; the SDK's own calls of functions
    give ``result``.
    """
    response = given.get("response", dict[str, Raw]) or {}
    if len(response) == 1:
        ((key, value),) = response.items()
        if key in ("output", "result", "error"):
            text = _text(value, f"{given.where('response')}.{key}")
            return ([Text(text)] if text else []), key == "error"
    if not response:
        return [], False
    return [Text(compact(given.get("response", Raw)))], "error" in response


def _text(value: Raw, where: str) -> str:
    if memoryview(value)[0] == ord('"'):
        return str(read(value, str, where))
    return "" if bytes(value) == b"null" else compact(value)


def system_texts(raw: Raw | bytes, where: str) -> tuple[Text, ...]:
    """
    The texts of a system instruction: a content, one part or a plain string.

    :raises BadRequest: it holds anything but text.
    """
    if memoryview(raw)[0] == ord('"'):
        text = read(raw, str, where)
        return (Text(text),) if text else ()
    content = members(raw, where)
    if "parts" not in content:
        parts = [content]
    else:
        parts = [members(raw, place) for raw, place in content.items("parts")]
    found: list[Text] = []
    for part in parts:
        if other := [name for name in part if name.endswith("Data")]:
            param = part.where(other[0])
            raise BadRequest(f"{param}: only text may stand here", param=param)
        if text := part.get("text", str):
            found.append(Text(text))
    return tuple(found)
