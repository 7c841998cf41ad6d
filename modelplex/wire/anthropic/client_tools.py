"""
The tools that Anthropic defines and the guest runs, as ordinary functions.

Claude knows their arguments by heart; any other model has to be told. Their words
are those of the SDK's types of ``bash_20250124``, ``text_editor_20250728`` and
``memory_20250818``, and of the versions before them.
"""

from __future__ import annotations

from typing import Any

from modelplex.events import CacheMark, Tool

_TEXT = {"type": "string"}
_LINES = {"type": "array", "items": {"type": "integer"}}


def _commands(words: list[str], **arguments: Any) -> dict[str, Any]:
    command = {"type": "string", "enum": words}
    properties = {"command": command, **arguments}
    return {"type": "object", "properties": properties, "required": ["command"]}


_EDITING = {
    "path": _TEXT,
    "file_text": _TEXT,
    "old_str": _TEXT,
    "new_str": _TEXT,
    "insert_line": {"type": "integer"},
    "insert_text": _TEXT,
    "view_range": _LINES,
}

_KNOWN: dict[str, tuple[str, dict[str, Any]]] = {
    "bash_": (
        "Run a command in a bash session that keeps its state, or restart it.",
        {
            "type": "object",
            "properties": {"command": _TEXT, "restart": {"type": "boolean"}},
        },
    ),
    "text_editor_": (
        "View, create and edit text files.",
        _commands(["view", "create", "str_replace", "insert"], **_EDITING),
    ),
    "memory_": (
        "Read and write the files in /memories, which outlast this conversation.",
        _commands(
            ["view", "create", "str_replace", "insert", "delete", "rename"],
            **_EDITING,
            old_path=_TEXT,
            new_path=_TEXT,
        ),
    ),
}


def client_tool(type: str, name: str, cache: CacheMark | None) -> Tool | None:
    """The function for a tool of this `type`; ``None`` if the guest does not run it."""
    for prefix, (description, schema) in _KNOWN.items():
        if type.startswith(prefix):
            return Tool(name, description, schema, cache=cache)
    return None
