"""
What tool servers offered, and which definitions of tools the operator stands behind.

A tool is pinned by the SHA-256 of its definition in canonical JSON. The tools of the
first listing of a server that has any are trusted as they are. From then on a tool that
is new, or whose definition changed, is in quarantine until the operator accepts it; a
tool under another name is a new one. A pin is never forgotten, so that a tool that
goes and comes back as it was needs nobody.

A file that cannot be read as what we wrote is put aside, and nothing is trusted on
first sight any more: every tool waits until it is accepted, for the pins are lost and
what servers say now may be what they were to keep out. A file that is not there is a
first start, so whoever may delete it may reset the pins: its folder is ours alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

import msgspec
from attrs import define, field, frozen

from modelplex.errors import StorageError
from modelplex.storage import files
from modelplex.wire.canonicaljson import canonical, digest

#: What of a tool's definition is pinned; the rest is decoration that no model reads.
PINNED = (
    *("name", "title", "description", "inputSchema", "outputSchema", "annotations"),
)
LARGEST = 64 << 20  # bytes of the file
LARGEST_LISTING = 4 << 20  # bytes of a listing that is remembered
MOST_PINS = 10_000  # of one server; more are not trusted

Tool = Mapping[str, Any]
Report = Callable[[str], None]


class Standing(Enum):
    """How the definition of a tool is to what was pinned."""

    TRUSTED = "trusted"
    NEW = "new"
    CHANGED = "changed"


@frozen
class Quarantined:
    """
    A tool that waits to be accepted.

    :ivar changed: the members of its definition that are other than they were.
    """

    server: str
    tool: str
    standing: Standing
    hash: str
    changed: tuple[str, ...] = ()


class _Server(msgspec.Struct, kw_only=True):
    """What is kept of one server; pins are digests by the name of a member."""

    pins: dict[str, dict[str, str]] = {}
    listing: dict[str, Any] | None = None


class _File(msgspec.Struct, kw_only=True):
    version: int = 1
    #: The pins of an earlier file are lost: no server is trusted on first sight.
    lost: bool = False
    servers: dict[str, _Server] = {}


def definition_hash(tool: Tool) -> str:
    """
    The hash of a tool's definition, in hexadecimal.

    One that canonical JSON cannot say has an empty hash, and nobody can accept it.
    """
    try:
        return digest({key: tool[key] for key in PINNED if key in tool})
    except ValueError:
        return ""


@define(eq=False)
class Definitions:
    """The pins of every server, in one file of ours."""

    path: str
    _report: Report
    _kept: _File
    _offered: dict[str, dict[str, Tool | None]] = field(factory=dict, init=False)
    #: By the identity of the definition, which is held so that it stays its own.
    _summed: dict[int, tuple[Tool, dict[str, str] | None]] = field(
        factory=dict, init=False
    )

    @classmethod
    def opened(cls, path: str, report: Report) -> Definitions:
        """
        What the file at `path` says, or nothing yet.

        :param report: is told, in one line, of a file that had to be put aside.
        :raises StorageError: it cannot be read, or not be put aside.
        """
        text = files.read(path, LARGEST)
        if text is None:
            return cls(path, report, _File())
        try:
            kept = msgspec.json.decode(text, type=_File)
            if kept.version != 1:
                raise msgspec.ValidationError("of another version")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            aside = files.put_aside(path)
            report(
                f"{path} was not readable and is {aside} now; no tool is trusted until "
                "`modelplex tools accept`"
            )
            made = cls(path, report, _File(lost=True))
            made._save()
            return made
        return cls(path, report, kept)

    def seen(self, server: str, tools: Iterable[Tool]) -> dict[str, Standing]:
        """
        Note what a server offers now.

        :returns: how each tool stands, by its name; one that is listed twice is
            never trusted, since nobody can tell which of the two is meant.
        """
        offered: dict[str, Tool | None] = {}
        for tool in tools:
            name = tool.get("name")
            if isinstance(name, str):
                offered[name] = None if name in offered else tool
        self._offered[server] = offered
        if offered and server not in self._kept.servers:
            self._kept.servers[server] = _Server()
            if not self._kept.lost:
                self._pin(server, offered)
            self._try_save()
        return {name: self._standing(server, name, it) for name, it in offered.items()}

    def standing(self, server: str, tool: Tool) -> Standing:
        """How one tool stands, by what is known of its server."""
        name = tool.get("name")
        return self._standing(server, name if isinstance(name, str) else "", tool)

    def quarantined(self, server: str | None = None) -> list[Quarantined]:
        """The tools that wait to be accepted, of one server or of all."""
        found: list[Quarantined] = []
        for name in self._offered if server is None else [server]:
            for tool, its in self._offered.get(name, {}).items():
                standing = self._standing(name, tool, its)
                if standing is not Standing.TRUSTED:
                    changed = self._changed(name, tool, its)
                    hash = "" if its is None else definition_hash(its)
                    found.append(Quarantined(name, tool, standing, hash, changed))
        return found

    def accept(
        self, server: str, tool: str | None = None, hash: str | None = None
    ) -> list[str]:
        """
        Stand behind what a server offers now: one tool, or all of them.

        :param hash: of the definition that the operator has looked at; another one is
            not accepted in its place.
        :returns: the names of those that were accepted.
        :raises StorageError: it cannot be kept; nothing was accepted.
        """
        offered = self._offered.get(server, {})
        wanted = {
            name: its
            for name, its in offered.items()
            if its is not None
            and tool in (None, name)
            and hash in (None, definition_hash(its))
            and self._standing(server, name, its) is not Standing.TRUSTED
        }
        before = self._kept.servers.get(server, _Server())
        pins = dict(before.pins)
        accepted = self._pin(server, wanted)
        try:
            if accepted:
                self._save()
        except StorageError:
            self._kept.servers[server] = _Server(pins=pins, listing=before.listing)
            raise
        return accepted

    def listing(self, server: str) -> Mapping[str, Any] | None:
        """What was last remembered of a server."""
        kept = self._kept.servers.get(server)
        return None if kept is None else kept.listing

    def remember(self, server: str, listing: Mapping[str, Any]) -> None:
        """
        Keep a listing for the next start, unless it is very large.

        What is remembered is not trusted for that: see `seen`.
        """
        kept = self._kept.servers.get(server)
        try:
            text = canonical(listing)
        except ValueError:
            return
        if kept is None or len(text) > LARGEST_LISTING:
            return
        if kept.listing is None or canonical(kept.listing) != text:
            kept.listing = msgspec.json.decode(text)
            self._try_save()

    def _standing(self, server: str, name: str, tool: Tool | None) -> Standing:
        kept = self._kept.servers.get(server)
        pinned = kept.pins.get(name) if kept is not None else None
        if pinned is None:
            return Standing.NEW
        parts = None if tool is None else self._parts(tool)
        return Standing.TRUSTED if pinned == parts else Standing.CHANGED

    def _changed(self, server: str, name: str, tool: Tool | None) -> tuple[str, ...]:
        kept = self._kept.servers.get(server)
        pinned = kept.pins.get(name) if kept is not None else None
        parts = (self._parts(tool) if tool is not None else None) or {}
        if pinned is None:
            return ()
        return tuple(key for key in PINNED if pinned.get(key) != parts.get(key))

    def _pin(self, server: str, tools: Mapping[str, Tool | None]) -> list[str]:
        kept = self._kept.servers.setdefault(server, _Server())
        pinned: list[str] = []
        for name, tool in tools.items():
            parts = None if tool is None else _parts(tool)
            if parts is not None and (name in kept.pins or len(kept.pins) < MOST_PINS):
                kept.pins[name] = parts
                pinned.append(name)
        return pinned

    def _parts(self, tool: Tool) -> dict[str, str] | None:
        known = self._summed.get(id(tool))
        if known is None:
            if len(self._summed) >= MOST_PINS:
                self._summed.clear()
            known = self._summed[id(tool)] = (tool, _parts(tool))
        return known[1]

    def _try_save(self) -> None:
        try:
            self._save()
        except StorageError as e:
            self._report(f"{e}; tools are trusted anew after a restart")

    def _save(self) -> None:
        files.replace(self.path, msgspec.json.encode(self._kept) + b"\n")


def _parts(tool: Tool) -> dict[str, str] | None:
    """The digest of each member of a definition that is pinned."""
    try:
        return {key: digest(tool[key]) for key in PINNED if key in tool}
    except ValueError:
        return None
