"""Which tools one guest may use, and which of its calls an operator approves: pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import IntEnum
from fnmatch import translate
from functools import lru_cache
from hashlib import sha256
from typing import Any

from attrs import field, frozen

LONGEST = 1024  # characters of a tool's name that are looked at; a longer one is denied


class Decision(IntEnum):
    """What becomes of a call; the greater is the more restrictive, and wins."""

    ALLOW = 0
    ASK = 1  # it waits until the operator approves it
    DENY = 2  # for the guest there is no such tool


@frozen
class Verdict:
    """
    A decision about one tool.

    :ivar rule: what decided, for the audit: ``guest.ask 'fs__write_*'``.
    """

    decision: Decision
    rule: str


@frozen
class ServerGrants:
    """
    What holds for the tools of one server, whoever calls; globs over its own names.

    :ivar read: tools that the operator knows to read only.
    :ivar trusted: the server's own ``readOnlyHint`` counts as well.
    """

    allow: tuple[str, ...] = ("*",)
    deny: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    read_only: bool = False
    trusted: bool = False


@frozen
class ToolPolicy:
    """
    What one guest may do with tools: deny before ask before allow.

    A tool has to pass its server's grants and the guest's own; where they differ, the
    more restrictive holds. A server that is not in `servers` has no tools.

    :ivar tools: globs over exposed names, ``server__tool``.
    :ivar ask: likewise; they match a tool's unaltered name too, so that a tool that is
        exposed under another one is not missed.
    :ivar version: changes with whatever the policy says.
    """

    guest: str
    tools: tuple[str, ...] = ("*",)
    ask: tuple[str, ...] = ()
    read_only: bool = False
    servers: Mapping[str, ServerGrants] = field(factory=dict)
    version: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        said = repr(
            [
                *(self.guest, self.tools, self.ask, self.read_only),
                *sorted((name, repr(one)) for name, one in self.servers.items()),
            ]
        )
        digest = sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
        object.__setattr__(self, "version", digest[:16])

    def verdict(
        self,
        server: str,
        tool: str,
        exposed: str,
        annotations: Mapping[str, Any] | None = None,
    ) -> Verdict:
        """
        What becomes of a call.

        :param tool: the server's own name of it.
        :param exposed: the name that guests see where all servers are shown, whatever
            it was called by.
        :param annotations: the server's own; they count when it is trusted.
        """
        grants = self.servers.get(server)
        if grants is None:
            return Verdict(Decision.DENY, "no such server")
        if max(len(tool), len(exposed)) > LONGEST:
            return Verdict(Decision.DENY, "name too long")
        whole = f"{server}__{tool}"
        if found := _first(grants.deny, tool):
            return Verdict(Decision.DENY, f"server.deny {found!r}")
        if not _first(grants.allow, tool):
            return Verdict(Decision.DENY, "server.allow")
        if not _first(self.tools, exposed):
            return Verdict(Decision.DENY, "guest.tools")
        if grants.read_only and not _reads(grants, tool, annotations):
            return Verdict(Decision.DENY, "server.read_only")
        if self.read_only and not _reads(grants, tool, annotations):
            return Verdict(Decision.DENY, "guest.read_only")
        if found := _first(grants.ask, tool):
            return Verdict(Decision.ASK, f"server.ask {found!r}")
        if found := _first(self.ask, exposed) or _first(self.ask, whole):
            return Verdict(Decision.ASK, f"guest.ask {found!r}")
        return Verdict(Decision.ALLOW, "allow")

    def sees(self, server: str) -> bool:
        """Whether any tool of `server` may exist for the guest."""
        grants = self.servers.get(server)
        return grants is not None and bool(grants.allow) and bool(self.tools)


def matches(globs: Iterable[str], name: str) -> bool:
    """Whether one of `globs` matches all of `name`; case counts."""
    return _first(globs, name) is not None


def _first(globs: Iterable[str], name: str) -> str | None:
    return next((glob for glob in globs if _pattern(glob).match(name)), None)


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    # Its stars are atomic, so that no name makes it slow.
    return re.compile(translate(glob))


def _reads(
    grants: ServerGrants, tool: str, annotations: Mapping[str, Any] | None
) -> bool:
    if _first(grants.read, tool):
        return True
    hints = annotations or {}
    return (
        grants.trusted
        and hints.get("readOnlyHint") is True
        and hints.get("destructiveHint") is not True
    )
