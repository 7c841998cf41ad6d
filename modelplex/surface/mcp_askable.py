"""What of a client's capabilities is kept: only what it can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Of each thing that a client can be asked, the kinds that are told apart.
_KINDS = {
    "elicitation": ("form", "url"),
    "sampling": ("tools", "context"),
    "roots": ("listChanged",),
}


def askable(declared: object) -> dict[str, Any]:
    """
    `declared` client capabilities, without what nobody reads.

    What a client can do besides being asked may be as large as its request was, and
    is of no use here.
    """
    if not isinstance(declared, Mapping):
        return {}
    found: dict[str, Any] = {}
    for name, kinds in _KINDS.items():
        inner = declared.get(name)
        if not isinstance(inner, Mapping):
            continue
        kept = {kind: _small(inner[kind]) for kind in kinds if kind in inner}
        if name != "elicitation" or kept or not inner:
            # An empty elicitation is one of forms, one of other kinds is not.
            found[name] = kept
    return found


def _small(value: object) -> bool | dict[str, Any]:
    return value if isinstance(value, bool) else {}
