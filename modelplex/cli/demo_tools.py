"""
The tool server of ``modelplex demo``: an ordinary MCP server on pipes.

It keeps notes in memory. Only the standard library is used.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

_NOTES = {"shopping": "bread, tea, a new Unix socket", "README.rst": "read me first"}


def _tool(name: str, description: str) -> Mapping[str, Any]:
    path = {"type": "string", "description": "Which note."}
    schema = {"type": "object", "properties": {"path": path}, "required": ["path"]}
    return {"name": name, "description": description, "inputSchema": schema}


_TOOLS = [
    _tool("read_note", "Read a note of the host's."),
    _tool("delete_note", "Delete a note of the host's."),
]


def result(method: str, params: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The answer to a request; ``None`` when there is no such method."""
    match method:
        case "initialize":
            return {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "notes", "version": "1"},
            }
        case "ping":
            return {}
        case "tools/list":
            return {"tools": _TOOLS}
        case "tools/call":
            name = str(params.get("arguments", {}).get("path", ""))
            if params.get("name") == "delete_note":
                text = "deleted" if _NOTES.pop(name, None) else "no such note"
            else:
                text = _NOTES.get(name, f"there is no note {name}")
            return {"content": [{"type": "text", "text": text}]}
        case _:
            return None


def main() -> None:
    """Answer a line at a time until there are no more."""
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" not in asked:
            continue
        told: dict[str, Any] = {"jsonrpc": "2.0", "id": asked["id"]}
        found = result(asked.get("method", ""), asked.get("params", {}))
        if found is None:
            told["error"] = {"code": -32601, "message": "Method not found"}
        else:
            told["result"] = found
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
