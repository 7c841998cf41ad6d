"""What servers are told of us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from modelplex.mcp.effects import Ticket
from modelplex.wire.jsonrpc import Params
from modelplex.wire.mcp.envelope import Envelope
from modelplex.wire.mcp.revisions import LATEST_MODERN

_CAN_BE_ASKED = ("roots", "sampling", "elicitation")


@frozen
class Ourselves:
    """
    We, as the client of one server.

    :ivar info: our name and version.
    :ivar roots: the answer to ``roots/list``; empty for none.
    :ivar interactive: calls are made one at a time, so that questions have an owner.
    :ivar guest_roots: the guest's client is asked for roots when there are none here.
    """

    info: Mapping[str, Any]
    roots: tuple[Mapping[str, Any], ...] = ()
    interactive: bool = False
    guest_roots: bool = False

    @property
    def questions(self) -> tuple[str, ...]:
        """What a legacy server may ask a guest's client during a call."""
        if not self.interactive:
            return ()
        roots = ("roots/list",) if self.guest_roots else ()
        return ("sampling/createMessage", "elicitation/create", *roots)

    def initialize(self) -> Params:
        """What ``initialize`` says of us: only what we can really answer."""
        roots = self.roots or "roots/list" in self.questions
        capabilities: dict[str, Any] = {"roots": {}} if roots else {}
        if self.interactive:
            capabilities |= {"sampling": {}, "elicitation": {}}
        return {"capabilities": capabilities, "clientInfo": dict(self.info)}

    def envelope(self, ticket: Ticket | None) -> Envelope:
        """What a modern request says of us, and of whoever makes it."""
        can = ticket.capabilities if ticket else {}
        capabilities = {k: v for k, v in can.items() if k in _CAN_BE_ASKED}
        if self.roots:
            capabilities["roots"] = {}
        elif not self.guest_roots:
            # Servers take them for folders that they may touch.
            capabilities.pop("roots", None)
        level = ticket.log_level if ticket else None
        return Envelope(LATEST_MODERN, capabilities, self.info, level)
