"""Arguments as they may be kept and shown to the operator: pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

DEEPEST = 8  # levels
MOST = 64  # members or items of each level

#: Names of arguments whose values are never shown.
_TELLING = re.compile(
    r"pass(?:word|wd|phrase)|secret|token|api[-_]?key|credential|authorization|cookie"
    r"|private[-_]?key",
    re.IGNORECASE,
)


def redacted(
    arguments: Mapping[str, Any], mask: Callable[[str], str], shown: int = 80
) -> dict[str, Any]:
    """
    `arguments` for the record.

    Numbers, booleans and texts of up to `shown` characters are as they were, with what
    `mask` hides. A longer text becomes its length and the start of its SHA-256. Of an
    argument whose name tells of a secret nothing is shown.
    """
    kept = _kept(arguments, mask, shown, DEEPEST)
    assert isinstance(kept, dict)
    return kept


def _kept(value: Any, mask: Callable[[str], str], shown: int, left: int) -> Any:
    match value:
        case str():
            safe = mask(value)
            return safe if len(value) <= shown else _summed(value)
        case Mapping() if left:
            kept: dict[str, Any] = {}
            for key, item in list(value.items())[:MOST]:
                name = mask(str(key))
                name = name if len(name) <= max(shown, 32) else _summed(name)
                kept[name] = (
                    _hidden(item)
                    if _TELLING.search(str(key))
                    else _kept(item, mask, shown, left - 1)
                )
            if len(value) > MOST:
                kept["…"] = f"{len(value) - MOST} more"
            return kept
        case list() | tuple() if left:
            items = [_kept(item, mask, shown, left - 1) for item in value[:MOST]]
            more = [f"… {len(value) - MOST} more"] if len(value) > MOST else []
            return items + more
        case Mapping() | list() | tuple():
            return f"[{len(value)} members, too deep]"
        case int() if abs(value) >= 1 << 63:
            return f"[an integer of {value.bit_length()} bits]"
        case _:
            return value


def _hidden(value: Any) -> Any:
    """That a value is there; not even a digest of it, for one could try values."""
    return None if value is None else "***"


def _summed(text: str) -> str:
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"[{len(text)} characters, sha256 {digest[:16]}]"
