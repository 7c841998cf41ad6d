"""
Names, ids and arguments of tools in the letters and shapes that Gemini takes.

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

_FREEFORM = ".freeform"
# Gemini docs: a letter or an underscore, then letters, digits, _ . : and -.
# What is plain but would be read as an escape or as the ending is escaped as well.
_NOT_PLAIN = re.compile(
    r"[^A-Za-z0-9_.:-]|\A[0-9.:-]|f(?=reeform\Z)"
    r"|_(?=u[0-9a-f]+(?:[^A-Za-z0-9.:-]|freeform\Z))"
)
_ESCAPE = re.compile(r"_u([0-9a-f]{1,6})_")


def wire_tool_name(name: str, custom: bool = False) -> str:
    """
    `name` in the letters that Gemini takes, so that `tool_name` finds it again.

    Other characters stand as their code point between ``_u`` and ``_``, and a tool
    that takes free text is told by its ending.
    """
    plain = _NOT_PLAIN.sub(lambda found: f"_u{ord(found[0]):x}_", name)
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
    name = wire_tool_name(call.name, call.custom) or "_"
    if len(name) <= limit:
        return name
    told_apart = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{name[: limit - 13]}_{told_apart}"


def wire_args(arguments: str, custom: bool) -> Any:
    """
    The `args` object for a call's arguments, which may be anything.

    What is no JSON object still has to reach the model as one: history never fails.
    """
    if custom:
        return as_object(arguments)
    text = arguments.strip()
    if text in ("", "null"):
        return {}
    if is_object(text):
        return msgspec.Raw(compact(text.encode()).encode())
    return {"_raw": arguments}


def whole_arguments(args: msgspec.Raw) -> str:
    """The arguments that the member `args` stands for; it may be null."""
    if bytes(args) in (b"null", b"{}"):
        return "{}"
    return compact(args)


def made_up_id(*witness: str) -> str:
    """An id for a call that has none: the same for the same `witness`."""
    return "call_" + hashlib.sha256("\0".join(witness).encode()).hexdigest()[:24]
