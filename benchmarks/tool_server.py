"""The smallest tool server: one tool that says what it was told, over pipes."""

from __future__ import annotations

import json
import sys
from typing import Any

TOOL = "echo"
_SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    """The result of a request; ``None`` when there is no such method."""
    match method:
        case "tools/call":
            text = params["arguments"]["text"]
            return {"content": [{"type": "text", "text": text}]}
        case "tools/list":
            tool = {"name": TOOL, "description": "Says it", "inputSchema": _SCHEMA}
            return {"tools": [tool]}
        case "initialize":
            return {
                "protocolVersion": params["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "bench", "version": "1"},
            }
        case "ping":
            return {}
    return None


def main() -> None:
    """Until the input ends."""
    output = sys.stdout.buffer
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        if "id" not in asked:
            continue
        found = answer(asked.get("method", ""), asked.get("params", {}))
        told: dict[str, Any] = {"jsonrpc": "2.0", "id": asked["id"]}
        if found is None:
            told["error"] = {"code": -32601, "message": "Method not found"}
        else:
            told["result"] = found
        output.write(json.dumps(told).encode() + b"\n")
        output.flush()


if __name__ == "__main__":
    main()
