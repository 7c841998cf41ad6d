"""
The names under which guests see the tools of all servers: unique, and safe everywhere.

``server__tool`` in ``[A-Za-z0-9_-]``, at most 64 characters, which every model API
takes. Two that would have the same name *both* get a suffix that depends on nothing but
themselves: no server can take over a name that belonged to another's tool.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import TypeAlias

LONGEST = 64  # characters
_MARK = 8  # characters of a suffix
_ODD = re.compile(r"[^A-Za-z0-9_-]")

Own: TypeAlias = tuple[str, str]
"""A server and the tool's own name there."""


def plain(server: str, name: str) -> str:
    """The name of a tool that no other wants; marked when it had to be shortened."""
    found = _ODD.sub("_", f"{server}__{name}")
    return found if len(found) <= LONGEST else marked(server, name)


def marked(server: str, name: str) -> str:
    """The name of a tool whose plain one is not free."""
    digest = sha256(f"{server}\0{name}".encode("utf-8", "surrogatepass")).hexdigest()
    start = _ODD.sub("_", f"{server}__{name}")[: LONGEST - _MARK - 1]
    return f"{start}_{digest[:_MARK]}"


def assigned(tools: Iterable[Own]) -> Mapping[str, Own]:
    """
    Every exposed name and what it stands for, in the order of `tools`.

    What is named twice by one server is the first of the two. What would still be
    ambiguous with its mark is left out.
    """
    unique = list(dict.fromkeys(tools))
    wanted = Counter(plain(*one) for one in unique)
    marks = {marked(*one) for one in unique if wanted[plain(*one)] > 1}
    names = [
        marked(*one) if wanted[plain(*one)] > 1 or plain(*one) in marks else plain(*one)
        for one in unique
    ]
    given = Counter(names)
    return {
        name: one for name, one in zip(names, unique, strict=True) if given[name] == 1
    }
