"""
Names and inputs of tools that take free text, at Ollama, which has functions only.

A reply is decoded without its request at hand. So whether the tool that is called
takes free text stands in its name, which may have any letters.
"""

from __future__ import annotations

import re

import msgspec
from attrs import evolve

from modelplex.events import ToolCall
from modelplex.wire.freeform import as_object

_FREEFORM = "-freeform"
_FUNCTION = "-function"
# Names of functions that would be read as something else without one more ending.
_TAKEN = re.compile(rf"{_FREEFORM}(?:{_FUNCTION})*\Z")


def wire_tool_name(name: str, custom: bool = False) -> str:
    """
    The name of the function that stands for the tool `name`, for `tool_name`.

    A tool that takes free text is told by its ending. A function keeps its name,
    unless it ends like that, too.
    """
    if custom:
        return name + _FREEFORM
    return name + _FUNCTION if _TAKEN.search(name) else name


def tool_name(wire: str) -> tuple[str, bool]:
    """The name that `wire_tool_name` was given, and whether the tool is custom."""
    if wire.endswith(_FREEFORM):
        return wire.removesuffix(_FREEFORM), True
    return (wire.removesuffix(_FUNCTION) if _TAKEN.search(wire) else wire), False


def wire_call(call: ToolCall) -> ToolCall:
    """`call` as the call of a function."""
    arguments = call.arguments
    if call.custom:
        text = arguments.encode("utf-8", "replace").decode()
        arguments = msgspec.json.encode(as_object(text)).decode()
    name = wire_tool_name(call.name, call.custom)
    return evolve(call, name=name, arguments=arguments, custom=False)
