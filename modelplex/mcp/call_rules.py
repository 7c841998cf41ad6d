"""What stands between one guest and the tools, and what is recorded of its calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from attrs import define, field, frozen
from twisted.internet.interfaces import IReactorTime

from modelplex.guests.arguments import Checked, Refused
from modelplex.mcp.approvals import Answer, Denied
from modelplex.mcp.view import Offer
from modelplex.wire.jsonrpc import Result


@frozen
class Made:
    """
    One call, or one that was not made, as it is recorded.

    :ivar outcome: ``ok``, ``error`` (the tool says so), ``failed``, ``timeout``,
        ``cancelled``, ``unknown``, ``refused`` (by rules or limits), ``denied`` (by
        the operator).
    :ivar rule: what decided.
    :ivar seconds: from the request to its end.
    :ivar offer: what was called; ``None`` when there is no such thing for this guest.
    :ivar request_id: of the request that it was made for; empty when it had none.
    """

    guest: str
    method: str
    name: str
    outcome: str
    rule: str
    seconds: float
    offer: Offer | None = field(default=None, repr=False)
    arguments: Mapping[str, Any] = field(factory=dict, repr=False)
    result: Result = field(default=None, repr=False)
    request_id: str = ""


@frozen
class Wanted:
    """
    A call that an operator has to approve, exactly as it would be made.

    :ivar policy: version of the policy that wants this.
    """

    guest: str
    method: str
    offer: Offer
    arguments: Mapping[str, Any] = field(repr=False)
    policy: str
    request_id: str = ""


Check: TypeAlias = Callable[[Offer, Mapping[str, Any], str], Checked | Refused]
"""Judges the arguments of a call, which is made for the request of that id."""

Approve: TypeAlias = Callable[[Wanted], Awaitable[Answer]]
Clean: TypeAlias = Callable[[str, Any], Any]
Record: TypeAlias = Callable[[Made], str]


async def nobody(wanted: Wanted) -> Answer:
    """There is no operator who could approve anything."""
    return Denied("nobody can approve this")


def unchecked(
    offer: Offer, arguments: Mapping[str, Any], request_id: str = ""
) -> Checked | Refused:
    """Take all arguments as they are."""
    return Checked(arguments)


def untouched(server: str, value: Any) -> Any:
    """Pass on what a server says as it is."""
    return value


def unrecorded(made: Made) -> str:
    """Keep no record."""
    return ""


@frozen
class CallRules:
    """
    What stands between one guest and the tools.

    :ivar check: judges arguments, and adds those that are pinned.
    :ivar approve: waits for the operator; whoever does not answer has refused.
    :ivar clean: a server's JSON without what a guest must not get: a result, of which
        a part may be left out, the text of an error, or a list, which stays whole.
    :ivar record: writes a line of the audit log, and returns its id.
    """

    check: Check = unchecked
    approve: Approve = nobody
    clean: Clean = untouched
    record: Record = unrecorded


@define(eq=False)
class Trail:
    """What is known about a call before it has ended; ends once."""

    _record: Record
    _clock: IReactorTime
    _guest: str
    _method: str
    _name: str
    _offer: Offer
    arguments: Mapping[str, Any]
    _request_id: str = ""
    rule: str = field(init=False)
    _since: float = field(init=False)
    _id: str | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._since = self._clock.seconds()
        self.rule = self._offer.verdict.rule

    def end(self, outcome: str, result: Result = None) -> str:
        """Record how it ended, the first time; returns the id of the record."""
        if self._id is None:
            made = Made(
                self._guest,
                self._method,
                self._name,
                outcome,
                self.rule,
                self._clock.seconds() - self._since,
                self._offer,
                self.arguments,
                result,
                self._request_id,
            )
            self._id = self._record(made)
        return self._id
