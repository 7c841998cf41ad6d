"""
How a guest offers tools of the host to a model, in each API's own form: pure.

What names Modelplex is taken out of the request before anything else reads it; what
names another MCP server stays, and is a tool that its provider would run.

- Anywhere: ``"modelplex_tools"``: ``true``, or names, with ``*`` for anything.
- Responses: a tool ``{"type": "mcp", "server_label": …}`` whose ``server_url`` is
  ``modelplex``, ``modelplex://SERVER`` for the tools of one server, or absent.
- Messages: one of ``mcp_servers`` with such a ``url``, and its ``mcp_toolset``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

import msgspec
from attrs import frozen

from modelplex.errors import BadRequest
from modelplex.wire.jsonobject import JsonObject, open_object
from modelplex.wire.typed import read

MEMBER = "modelplex_tools"
LABEL = "modelplex"
_NAMES = 1000  # patterns of a request
_WILD = 200  # signs in them that stand for anything; each may look at all of a name
_SOURCES = 64  # of a request
_SIGNS = "*?["
LONGEST = 256  # characters of a pattern, or of a label
_OURS = re.compile(r"modelplex(?::(?://)?([A-Za-z0-9._-]*)/?)?")


@frozen
class Source:
    """
    Some of the tools that a guest may use, under a label of the guest's.

    :ivar server: the one that they are of; ``None`` for all.
    :ivar names: the only ones that are wanted, as guests or their servers call them;
        ``None`` for all.
    :ivar without: those that are not.
    :ivar reading: only those are whose servers say that they change nothing.
    """

    label: str = LABEL
    server: str | None = None
    names: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    reading: bool = False


@frozen
class ToolsWanted:
    """
    The tools that a request offers to its model.

    :ivar param: the member of the request that says so.
    :ivar shown: the guest's dialect has words for the calls.
    :ivar listed: the guest has been told of the tools before.
    :ivar forced: (label, name) of what must be called, of which no name means any.
    :ivar most: calls that may be made at all.
    """

    sources: tuple[Source, ...]
    param: str
    shown: bool = False
    listed: bool = False
    forced: tuple[str, str | None] | None = None
    most: int | None = None


Found = tuple[JsonObject, ToolsWanted | None]
"""A request without what names Modelplex, and what that was."""


def plain(body: JsonObject, *, shown: bool = False) -> Found:
    """
    ``modelplex_tools``, which any dialect may have.

    :raises BadRequest: it is neither a boolean nor an array of names.
    """
    if MEMBER not in body:
        return body, None
    said = body.get(MEMBER, bool | list[str] | None)
    rest = open_object(body.splice({MEMBER: None}))
    if said is None or said is False:
        return rest, None
    names = None if said is True else names_of(said, MEMBER)
    source = Source(names=names)
    check_size([source], MEMBER)
    return rest, ToolsWanted((source,), MEMBER, shown)


def address(url: str | None, *, missing: bool = False) -> tuple[bool, str | None]:
    """Whether `url` is Modelplex's, and the one server that it names."""
    if url is None:
        return missing, None
    found = _OURS.fullmatch(url)
    return (False, None) if found is None else (True, found[1] or None)


def text_of(members: Mapping[str, msgspec.Raw], key: str) -> str | None:
    """A member that is a string; what is none is ``None``."""
    raw = bytes(members.get(key, b"null"))
    return read(raw, str, key) if raw.startswith(b'"') else None


def check_size(sources: Collection[Source], where: str) -> None:
    """
    Ask whether choosing among all tools by these takes little enough.

    :raises BadRequest: it does not; a request may have only so much of them in all.
    """
    if len(sources) > _SOURCES:
        raise BadRequest(f"{where}: more than {_SOURCES} servers", param=where)
    names = [n for one in sources for n in (*(one.names or ()), *one.without)]
    if len(names) > _NAMES or _wild(names) > _WILD:
        raise BadRequest(f"{where}: too many names, or too many * in them", param=where)


def _wild(names: Iterable[str]) -> int:
    return sum(name.count(sign) for name in names for sign in _SIGNS)


def names_of(names: list[str], where: str) -> tuple[str, ...]:
    if len(names) > _NAMES or any(len(name) > LONGEST for name in names):
        raise BadRequest(f"{where}: too many names, or too long ones", param=where)
    return tuple(names)
