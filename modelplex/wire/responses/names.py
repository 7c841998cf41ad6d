"""
Tools of a namespace under one flat name, and back.

Other dialects know no namespaces, and a reply is encoded without its request at hand.
So the namespace stands in the name, before two hyphens, in letters that every API
takes; a plain name that has two hyphens of its own is told apart by two more.
"""

from __future__ import annotations

_BETWEEN = "--"


def flat_name(namespace: str, name: str) -> str:
    """The one name for a guest's tool; `namespace` is empty for most."""
    if namespace:
        return namespace.replace("-", "-_") + _BETWEEN + name
    return _BETWEEN + name if _BETWEEN in name else name


def guest_name(flat: str) -> tuple[str, str]:
    """The (namespace, name) that `flat_name` was given."""
    namespace, between, name = flat.partition(_BETWEEN)
    if not between:
        return "", flat
    return namespace.replace("-_", "-"), name
