"""What the operator can see and do about tools: routes over whoever knows of them."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec


class ToolsControl(Protocol):
    """What the service knows and does about tools; every answer is JSON."""

    def tools(self) -> list[dict[str, Any]]:
        """
        Every server: ``name``, ``state``, ``why``, ``version``, ``pid``, ``restarts``,
        ``in_flight``, ``calls``, ``errors``, and its ``tools``: ``name``, ``exposed``,
        ``standing`` (trusted, new, changed), ``changed``, ``hash``.
        """

    def accept(self, server: str, tool: str | None, hash: str | None) -> list[str]:
        """
        Stand behind definitions as they are now; returns whose they are.

        :raises KeyError: there is no such server.
        :raises modelplex.errors.StorageError: it cannot be kept.
        """

    def restart(self, server: str) -> None:
        """
        Stop a server; it starts anew when it is needed.

        :raises KeyError: there is no such server.
        """

    def approvals(self) -> list[dict[str, Any]]:
        """The calls that wait, as `modelplex.mcp.approvals.shown` has them."""

    def approve(self, id: str) -> bool:
        """Whether the call was waiting; it goes on now."""

    def deny(self, id: str, why: str) -> bool:
        """Whether the call was waiting; it is refused now."""


class NoTools:
    """There are no tool servers."""

    def tools(self) -> list[dict[str, Any]]:
        """None."""
        return []

    def accept(self, server: str, tool: str | None, hash: str | None) -> list[str]:
        """Nothing can be."""
        raise KeyError(server)

    def restart(self, server: str) -> None:
        """Nothing can be."""
        raise KeyError(server)

    def approvals(self) -> list[dict[str, Any]]:
        """None."""
        return []

    def approve(self, id: str) -> bool:
        """Nothing waits."""
        return False

    def deny(self, id: str, why: str) -> bool:
        """Nothing waits."""
        return False


class Accepting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /tools/accept``."""

    server: str
    tool: str | None = None
    hash: str | None = None


class Restarting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /tools/restart``."""

    server: str


class Deciding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /approvals/{id}``."""

    approve: bool
    why: str = ""
