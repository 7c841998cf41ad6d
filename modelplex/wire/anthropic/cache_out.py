"""Cache marks: at most four in a request, and the longer-lived ones first."""

from __future__ import annotations

from typing import Any

from modelplex.events import CacheMark

_MOST = 4
_TTL = {"5m": "5m", "30m": "5m", "1h": "1h", "12h": "1h"}


def cache_control(mark: CacheMark | None) -> dict[str, Any]:
    """The member for `mark`, with the nearest of the two times that exist."""
    if mark is None:
        return {}
    control = {"type": "ephemeral"}
    if (ttl := _TTL.get(mark.ttl or "")) is not None:
        control["ttl"] = ttl
    return {"cache_control": control}


def limit_marks(blocks: list[dict[str, Any]], most: int = _MOST) -> None:
    """
    Remove marks from `blocks`, in prompt order, until the API takes them.

    The last ones stay, since they cover the longest prefixes. An hour after five
    minutes is refused, so it becomes five minutes.
    """
    marked = [block for block in blocks if "cache_control" in block]
    for block in marked[: max(0, len(marked) - most)]:
        del block["cache_control"]
    short = False
    for block in marked:
        control = block.get("cache_control")
        if control is None:
            continue
        if control.get("ttl") != "1h":
            short = True
        elif short:
            control["ttl"] = "5m"
