"""
Which template a URI was made from, without expanding any (RFC 6570): pure.

An expression stands for any characters at all. That is more than the RFC lets most
stand for, but it is found without going back, so that no template is slow.
"""

from __future__ import annotations

import re
from functools import lru_cache

_EXPRESSION = re.compile(r"\{[^{}]*\}")


def matches(template: str, uri: str) -> bool:
    """Whether `uri` may be an expansion of `template`."""
    first, *rest = _literals(template)
    if not rest:
        return uri == first
    *middle, last = rest
    if len(uri) < len(first) + len(last) or not uri.startswith(first):
        return False
    position, end = len(first), len(uri) - len(last)
    for piece in middle:
        found = uri.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return uri.endswith(last)


def literal(template: str) -> int:
    """How many characters of a URI `template` says."""
    return sum(map(len, _literals(template)))


@lru_cache(maxsize=1024)
def _literals(template: str) -> tuple[str, ...]:
    return tuple(_EXPRESSION.split(template))
