"""
Names, ids and inputs of tools in the letters and shapes that Anthropic takes.

A reply is decoded without its request at hand. So whatever has to be known again,
which is what a tool was called and whether it takes free text, stands in its name.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from modelplex.events import ToolCall
from modelplex.wire.freeform import as_object
from modelplex.wire.typed import compact, is_object

_FREEFORM = "-freeform"
# What is plain but would be read as an escape or as the ending is escaped as well.
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_-]|-(?=u[0-9a-f])|f(?=reeform\Z)")
_ESCAPE = re.compile(r"-u([0-9a-f]{1,6})-")


def wire_tool_name(name: str, custom: bool = False) -> str:
    """
    `name` in the letters that Anthropic takes, so that `tool_name` finds it again.

    Other characters stand as their code point between ``-u`` and ``-``, and a tool
    that takes free text is told by its ending.
    """
    plain = _NOT_PLAIN.sub(lambda found: f"-u{ord(found[0]):x}-", name)
    return plain + _FREEFORM if custom else plain


def tool_name(wire: str) -> tuple[str, bool]:
    """The name that `wire_tool_name` was given, and whether the tool is custom."""
    plain = wire.removesuffix(_FREEFORM)
    return _ESCAPE.sub(_unescaped, plain), plain != wire


def _unescaped(found: re.Match[str]) -> str:
    point = int(found[1], 16)
    # A model may invent a name; what is no character stays as it stands.
    surrogate = 0xD800 <= point <= 0xDFFF
    return found[0] if point > 0x10FFFF or surrogate else chr(point)


def past_tool_name(call: ToolCall, limit: int) -> str:
    """The name of a tool that was called, which nobody has to find again."""
    return plain_id(wire_tool_name(call.name, call.custom), limit)


_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_-]")


def plain_id(id: str, limit: int = 64) -> str:
    """`id` itself if Anthropic takes it, else always the same one in its place."""
    if len(id) <= limit and _PLAIN.fullmatch(id):
        return id
    told_apart = hashlib.sha256(id.encode()).hexdigest()[:12]
    return f"{_NOT_IN_ID.sub('_', id)[: limit - 13]}_{told_apart}"


def wire_input(arguments: str, custom: bool) -> Any:
    """
    The `input` object for a call's arguments, which may be anything.

    What is no JSON object still has to reach the model as one: history never fails.
    """
    if custom:
        return as_object(arguments)
    if not arguments.strip():
        return {}
    if is_object(arguments):
        return msgspec.Raw(arguments.strip().encode())
    return {"_raw": arguments}


def whole_input(input: msgspec.Raw) -> str:
    """The arguments that `input`, the member of a ``tool_use`` block, stands for."""
    return "{}" if bytes(input) == b"null" else compact(input)
