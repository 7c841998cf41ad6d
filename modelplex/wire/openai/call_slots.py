"""Streamed tool calls of servers that number them in their own ways."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from attrs import define, field

from modelplex.events import Event, ToolCallDelta, ToolCallStarted

_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")


class FunctionShape(msgspec.Struct):
    """The function of a call, or of a fragment of one."""

    name: str | None = None
    arguments: Any = None


class CustomShape(msgspec.Struct):
    """The same of a custom tool."""

    name: str | None = None
    input: str | None = None


class CallShape(msgspec.Struct):
    """A tool call in a message, or a fragment of one in a delta."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: FunctionShape | None = None
    custom: CustomShape | None = None


@define(eq=False)
class _Slot:
    id: str = ""
    name: str = ""
    custom: bool = False
    index: int | None = None  # ours, once it has started
    waiting: list[str] = field(factory=list)  # arguments that came before the name


class CallSlots:
    """
    Puts each fragment to its call; ours are numbered from 0 without gaps.

    Servers leave out the index, start it at 1, give every call the index 0, repeat
    the id and name in each fragment, or invent a new id for each. An id that is
    unknown begins a call only together with a name.
    """

    def __init__(self) -> None:
        self._slots: dict[int, _Slot] = {}
        self._last: _Slot | None = None
        self._all: list[_Slot] = []
        self._started = 0

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, call: CallShape, reply_id: str) -> list[Event]:
        """The events of one fragment."""
        name, text, custom = _said(call)
        slot = self._slot(call.index, call.id or "", name, custom)
        slot.id = slot.id or call.id or ""
        slot.name = slot.name or name
        if slot.index is None:
            slot.waiting.append(text)
            return self._start(slot, reply_id) if slot.name else []
        return [ToolCallDelta(slot.index, text)] if text else []

    def flush(self, reply_id: str) -> list[Event]:
        """Start the calls whose name never came, at the end of the reply."""
        told: list[Event] = []
        for slot in self._all:
            if slot.index is None:
                told += self._start(slot, reply_id)
        return told

    def _slot(self, index: int | None, id: str, name: str, custom: bool) -> _Slot:
        if index is not None:
            found = self._slots.get(index)
        elif id:
            found = next((s for s in self._all if s.id == id), None)
            found = found or (None if name else self._last)
        else:
            found = None if name else self._last
        another = found and name and id and found.id and found.id != id
        if found is None or another:
            found = _Slot(custom=custom)
            self._all.append(found)
        if index is not None:
            self._slots[index] = found
        self._last = found
        return found

    def _start(self, slot: _Slot, reply_id: str) -> list[Event]:
        slot.index = self._started
        self._started += 1
        if not slot.id:
            turn = _NOT_IN_IDS.sub("_", reply_id)
            slot.id = f"call_{turn}_{slot.index}" if turn else f"call_{slot.index}"
        begun = ToolCallStarted(slot.index, slot.id, slot.name, slot.custom)
        text = "".join(slot.waiting)
        slot.waiting.clear()
        return [begun, ToolCallDelta(slot.index, text)] if text else [begun]


def _said(call: CallShape) -> tuple[str, str, bool]:
    """The name, the arguments and whether the tool is a custom one."""
    if call.custom is not None:
        return call.custom.name or "", call.custom.input or "", True
    function = call.function or FunctionShape()
    arguments = function.arguments
    if arguments is None:
        arguments = ""
    elif not isinstance(arguments, str):  # some servers send the object itself
        arguments = msgspec.json.encode(arguments).decode()
    return function.name or "", arguments, call.type == "custom"
