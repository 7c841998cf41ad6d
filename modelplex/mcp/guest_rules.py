"""What stands between one guest and the tools, put together: for `calls` and views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from attrs import define, evolve, field

from modelplex.errors import StorageError
from modelplex.guests.arguments import Checked, Refused
from modelplex.mcp.approvals import Answer, Approvals, Asking, Denied
from modelplex.mcp.calls import CallRules, Made, Wanted
from modelplex.mcp.granted import ArgumentRules
from modelplex.mcp.hygiene import Hygiene
from modelplex.mcp.redaction import redacted
from modelplex.mcp.view import Entry, Kind, Offer
from modelplex.storage.audit import AuditLog
from modelplex.storage.definitions import Definitions, Standing, definition_hash
from modelplex.wire.canonicaljson import digest

LARGEST = 4 << 20  # bytes of a result, where the server has no limit of its own
_LONGEST = 1024  # characters of a name in the log
_MOST = 4096  # definitions whose hashes are remembered


@define(eq=False)
class GuestRules:
    """
    Judges, asks, cleans and records the calls of one guest.

    A call that cannot be recorded beforehand is not made.

    :ivar limits: bytes of a result, by server.
    :ivar definitions: ``None`` trusts every definition.
    :ivar audit: ``None`` keeps no record.
    :ivar shown_length: characters of a text that the record shows.
    """

    guest: str
    _arguments: ArgumentRules
    _hygiene: Hygiene
    _approvals: Approvals
    _limits: Mapping[str, int] = field(factory=dict)
    _definitions: Definitions | None = None
    _audit: AuditLog | None = None
    _shown_length: int = 80
    #: By the identity of the definition, which is held so that it stays its own.
    _hashes: dict[int, tuple[Entry, str]] = field(factory=dict, init=False)

    def call_rules(self) -> CallRules:
        """For `modelplex.mcp.calls.Calls`."""
        return CallRules(self.check, self.approve, self.clean, self.record)

    def shown(self, server: str, kind: Kind, entry: Entry) -> Entry | None:
        """
        An entry of a list as the guest sees it; ``None`` when it is in quarantine.

        For the views of `modelplex.mcp.registry`.
        """
        if kind is Kind.TOOL:
            if not self._trusts(server, entry):
                return None
            entry = self._arguments.listed(server, entry)
        return self._hygiene.entry(entry)

    def check(
        self, offer: Offer, arguments: Mapping[str, Any], request_id: str = ""
    ) -> Checked | Refused:
        """Judge a call before it is made, and record the decision."""
        server = offer.server.name
        judged: Checked | Refused
        if not self._trusts(server, offer.entry):
            judged = Refused("the tool has changed and is not accepted", "quarantine")
        else:
            judged = self._arguments.check(server, offer.entry, arguments)
            if isinstance(judged, Refused):
                # It may quote the schema, which is the server's.
                judged = evolve(judged, reason=self._hygiene.text(judged.reason))
        refused = isinstance(judged, Refused)
        decision = "refuse" if refused else offer.verdict.decision.name.lower()
        rule = judged.rule if isinstance(judged, Refused) else offer.verdict.rule
        given = arguments if isinstance(judged, Refused) else judged.arguments
        members = {
            "method": "tools/call",
            "request_id": request_id,
            "decision": decision,
            "rule": rule,
            **self._told(offer, given),
        }
        try:
            self._write("decision", members)
        except StorageError:
            return Refused("the call cannot be recorded", "audit")
        return judged

    async def approve(self, wanted: Wanted) -> Answer:
        """Wait until the operator approves exactly this call, or does not."""
        told = self._told(wanted.offer, wanted.arguments)
        asking = Asking(
            guest=wanted.guest,
            server=wanted.offer.server.name,
            tool=wanted.offer.name,
            exposed=wanted.offer.exposed,
            digest=told["arguments_digest"],
            arguments=told["arguments"],
            definition=told["definition"],
            policy=wanted.policy,
        )
        answer = await self._approvals.ask(asking)
        denied = isinstance(answer, Denied)
        members = {
            "method": wanted.method,
            "request_id": wanted.request_id,
            "decision": "denied" if denied else "approved",
            "rule": answer.why if isinstance(answer, Denied) else "operator",
            "policy": wanted.policy,
            **told,
        }
        try:
            self._write("decision", members)
        except StorageError:
            return Denied("the call cannot be recorded")
        return answer

    def clean(self, server: str, value: Any) -> Any:
        """A result, or the text or data of an error, as the guest may have it."""
        if isinstance(value, Mapping):
            limit = self._limits.get(server, LARGEST)
            return self._hygiene.result(value, limit).value
        return self._hygiene.value(value)

    def record(self, made: Made) -> str:
        """
        Write the line of a call that has ended; returns its number.

        One that cannot be written is told of in the log, by `AuditLog`'s report: the
        call was made, and its decision is recorded.
        """
        members: dict[str, Any] = {
            "method": made.method,
            "request_id": made.request_id,
            "exposed": self._name(made.name),
            "outcome": made.outcome,
            "rule": made.rule,
            "duration_ms": round(made.seconds * 1000, 3),
            "bytes": _size(made.result),
        }
        if made.offer is not None:
            members |= self._told(made.offer, made.arguments)
        try:
            return self._write("call", members)
        except StorageError as e:
            assert self._audit is not None
            self._audit.report(str(e))
            return ""

    def _told(self, offer: Offer, arguments: Mapping[str, Any]) -> dict[str, Any]:
        try:
            summed = digest(arguments)
        except ValueError:
            summed = ""
        mask = self._hygiene.mask
        return {
            "server": offer.server.name,
            "tool": self._name(offer.name),
            "exposed": self._name(offer.exposed),
            "arguments": redacted(arguments, mask, self._shown_length),
            "arguments_digest": summed,
            "definition": self._hash(offer.entry),
        }

    def _hash(self, entry: Entry) -> str:
        known = self._hashes.get(id(entry))
        if known is None:
            if len(self._hashes) >= _MOST:
                self._hashes.clear()
            known = self._hashes[id(entry)] = (entry, definition_hash(entry))
        return known[1]

    def _name(self, name: str) -> str:
        return self._hygiene.mask(name)[:_LONGEST]

    def _trusts(self, server: str, tool: Entry) -> bool:
        if self._definitions is None:
            return True
        return self._definitions.standing(server, tool) is Standing.TRUSTED

    def _write(self, kind: str, members: Mapping[str, Any]) -> str:
        if self._audit is None:
            return ""
        return self._audit.write(kind, {"guest": self.guest, **members})


def _size(result: Any) -> int:
    try:
        return 0 if result is None else len(msgspec.json.encode(result))
    except (TypeError, ValueError, RecursionError):
        return 0
