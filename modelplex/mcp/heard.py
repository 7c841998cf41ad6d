"""What a server tells of its own accord, read with care: progress, lines of its log."""

from __future__ import annotations

import math

from modelplex.mcp.effects import Logged, Progressed, Ticket
from modelplex.wire.jsonrpc import Id, Params
from modelplex.wire.mcp.envelope import LEVELS


def our_id(id: object) -> int | None:
    """
    The number of ours that `id` is.

    Our ids are never used again, so one that comes back as text is still clear.
    """
    if isinstance(id, bool):
        return None
    if isinstance(id, int):
        return id
    if isinstance(id, str) and id.isascii() and id.isdigit() and len(id) < 16:
        return int(id)
    return None


def id_of(value: object) -> Id | None:
    """`value`, if it can be the id of a request."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return value


def progressed(params: Params, ticket: Ticket) -> Progressed | None:
    """How far `ticket` is now; ``None`` when it is no further than before."""
    progress, said = number(params.get("progress")), params.get("message")
    if progress is None or progress <= ticket.progress:
        return None
    ticket.progress = progress
    total = number(params.get("total"))
    return Progressed(ticket, progress, total, said if isinstance(said, str) else None)


def logged(params: Params, ticket: Ticket) -> Logged | None:
    """A line for the caller of `ticket`; ``None`` when it does not want to hear it."""
    level, logger = params.get("level"), params.get("logger")
    if ticket.log_level not in LEVELS or level not in LEVELS:
        return None
    if LEVELS.index(level) < LEVELS.index(ticket.log_level):
        return None
    logger = logger if isinstance(logger, str) else None
    return Logged(ticket, level, logger, params.get("data"))


def number(value: object) -> float | None:
    """`value`, if it is a number that is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # an integer that no float can hold
        return None
