"""Request bodies like those of coding agents, of an exact size in bytes.

A long conversation: a system prompt, tool schemas, then turns of a tool call and the
file it returned, with quotes, tabs, backslashes and letters outside ASCII in them, and
a last question.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from benchmarks.knobs import Knobs

SIZES: Mapping[str, int] = {
    "2 KB": 2 * 1024,
    "98 KB": 98 * 1024,
    "200 KB": 200 * 1024,
    "1 MB": 1024 * 1024,
}

_SYSTEM = (
    "You work on a repository with the tools you are given. Read before you write. "
    "Change as little as solves the task, run the tests, and say what you did. "
)
_SOURCE = '''\
class Ledger:
    """Entries by day — “opening” balance first, naïve dates refused."""

    def __init__(self, path: str = "C:\\\\books\\\\ledger.db") -> None:
\t\tself.path = path  # tabs happen

    def balance(self, account: str) -> Decimal:
        rows = self.db.execute("SELECT amount FROM entry WHERE account = ?", [account])
        return sum((Decimal(r["amount"]) for r in rows), Decimal("0.00"))  # in €
'''
_ASK = "Which of these files rounds twice, and on which line? Answer briefly. "
_FILLER = "Every entry is checked against the day's closing balance before it is kept. "


def chat_body(
    size: int, *, model: str, stream: bool = False, usage: bool = True, knobs: Knobs
) -> bytes:
    """
    A ``/v1/chat/completions`` request of exactly `size` bytes, at least 1,000.

    :param usage: whether a stream asks for its token counts.
    """
    request: dict[str, object] = {"model": model}
    if stream:
        request["stream"] = True
        if usage:
            request["stream_options"] = {"include_usage": True}
    request["max_tokens"] = 1024
    tools = [_tool(i) for i in range(12 if size >= 50_000 else 0)]
    if tools:
        request["tools"] = tools
    last = {"role": "user", "content": f"{_ASK}{knobs.marker()}"}
    messages: list[object] = [{"role": "system", "content": _SYSTEM}]
    request["messages"] = messages
    room = size - len(_dump(request)) - len(_dump(last)) - 1
    turn = 0
    while tools:
        added = _turn(turn)
        needed = sum(len(_dump(m)) + 1 for m in added)
        if needed > room:
            break
        messages.extend(added)
        room -= needed
        turn += 1
    padding = (_FILLER * (room // len(_FILLER) + 1))[:room]
    last["content"] = f"{padding}{_ASK}{knobs.marker()}"
    messages.append(last)
    return _dump(request)


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _tool(number: int) -> object:
    where = {"type": "string", "description": "Path of the file, from the root"}
    line = {"type": "integer", "minimum": 1, "description": "A line, counted from 1"}
    return {
        "type": "function",
        "function": {
            "name": f"workspace_{number}",
            "description": "Works on one file of the workspace and returns its text, "
            "each line with its number. Fails when the file is not there.",
            "parameters": {
                "type": "object",
                "properties": {"path": where, "from": line, "to": line},
                "required": ["path"],
                "additionalProperties": False,
            },
        },
    }


def _turn(number: int) -> list[object]:
    """One step of the agent: it says why, calls a tool, and is shown a file."""
    call = f"call_{number:024d}"
    arguments = {"path": f"src/books/ledger_{number}.py", "from": 1, "to": 60}
    lines = (_SOURCE * 4).splitlines()
    text = "\n".join(f"{i:5d}\t{line}" for i, line in enumerate(lines, 1))
    function = {
        "name": f"workspace_{number % 12}",
        "arguments": json.dumps(arguments),
    }
    return [
        {
            "role": "assistant",
            "content": f"Step {number}: the next ledger, to compare its rounding.",
            "tool_calls": [{"id": call, "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": call, "content": text},
    ]
