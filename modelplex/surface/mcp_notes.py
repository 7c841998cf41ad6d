"""What a client is told while its call runs."""

from __future__ import annotations

from typing import Any

from modelplex.wire.jsonrpc import Call, Id, Note
from modelplex.wire.mcp.envelope import LEVELS, PROGRESS, meta_of


def progress_note(
    call: Call,
    last: float | None,
    progress: float,
    total: float | None,
    message: str | None,
) -> Note | None:
    """How far `call` is; ``None`` when nobody wants to know, or it is no progress."""
    token: Id | object = meta_of(call.params).get(PROGRESS)
    if isinstance(token, bool) or not isinstance(token, str | int):
        return None
    if last is not None and progress <= last:
        return None
    params: dict[str, Any] = {"progressToken": token, "progress": progress}
    if total is not None:
        params["total"] = total
    if message is not None:
        params["message"] = message
    return Note("notifications/progress", params)


def log_note(level: str, logger: str | None, data: Any) -> Note:
    """A line of a server's log."""
    params: dict[str, Any] = {"level": level, "data": data}
    if logger is not None:
        params["logger"] = logger
    return Note("notifications/message", params)


def is_heard(level: str, least: str | None) -> bool:
    """Whether whoever wants to hear from `least` on wants to hear of `level`."""
    if least is None or level not in LEVELS:
        return False
    return LEVELS.index(level) >= LEVELS.index(least)
