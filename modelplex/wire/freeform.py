"""A tool that takes free text, where an API has functions only: one string field."""

from __future__ import annotations

from typing import Any

import msgspec

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
"""Of the function that stands for such a tool."""


class _Freeform(msgspec.Struct):
    input: str


def as_object(text: str) -> dict[str, Any]:
    """The arguments of that function."""
    return {"input": text}


def free_text(arguments: str) -> str:
    """
    The text in the JSON `arguments` of that function.

    A model may have written something else; then that is the text.
    """
    try:
        return msgspec.json.decode(arguments, type=_Freeform).input
    except (msgspec.DecodeError, RecursionError):
        return arguments
