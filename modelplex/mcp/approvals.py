"""Calls that wait for the operator: each is approved once, by itself, or denied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import Any, TypeAlias

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger


@frozen
class Asking:
    """
    The one call that is to be approved.

    :ivar tool: the server's own name of it.
    :ivar exposed: the name by which the guest called it.
    :ivar digest: of all of the arguments, `modelplex.wire.canonicaljson.digest`.
    :ivar arguments: redacted, to be shown.
    :ivar definition: the hash of the tool's definition.
    :ivar policy: the version of the policy that said to ask.
    """

    guest: str
    server: str
    tool: str
    exposed: str
    digest: str
    arguments: Mapping[str, Any] = field(repr=False)
    definition: str
    policy: str


@frozen
class Approved:
    """
    The operator said yes to `asking`, to nothing else and for this once.

    While it waited the tool or the policy may have changed; who goes on looks again.
    """

    asking: Asking


@frozen
class Denied:
    """The call is not made; `why` is for the guest to read."""

    why: str


Answer: TypeAlias = Approved | Denied

TIMED_OUT = Denied("nobody approved the call in time")
TOO_MANY = Denied("too many calls wait for approval already")
STOPPING = Denied("modelplex is shutting down")


@define(eq=False)
class Waiting:
    """A call that waits."""

    id: str
    asking: Asking
    since: float
    until: float
    _decided: Deferred[Answer]
    _timer: IDelayedCall

    def end(self, answer: Answer) -> None:
        """Give the call its answer."""
        self.drop()
        self._decided.callback(answer)

    def drop(self) -> None:
        """Stop the time that it has."""
        if self._timer.active():
            self._timer.cancel()


def _new_id() -> str:
    return token_hex(4)


@define(eq=False, repr=False)
class Approvals:
    """
    Holds calls until they are approved, denied, or nobody has done either in time.

    :ivar timeout: seconds after which a call is denied.
    :ivar most: calls that wait at a time; a guest may have half of them, so that no
        guest keeps those of the others from being asked about.
    """

    clock: IReactorTime
    timeout: float
    most: int = 64
    _id: Callable[[], str] = _new_id
    _waiting: dict[str, Waiting] = field(factory=dict, init=False)
    _stopped: bool = field(default=False, init=False)
    log = Logger()

    async def ask(self, asking: Asking) -> Answer:
        """
        Wait for the operator.

        Cancelling it, as when the guest goes, takes the call off the list.
        """
        if self._stopped:
            return STOPPING
        theirs = sum(w.asking.guest == asking.guest for w in self._waiting.values())
        if len(self._waiting) >= self.most or theirs >= max(1, self.most // 2):
            return TOO_MANY
        id = self._id()
        while id in self._waiting:
            id = self._id()
        decided: Deferred[Answer] = Deferred()
        now = self.clock.seconds()
        timer = self.clock.callLater(self.timeout, self._end, id, TIMED_OUT)
        waiting = Waiting(id, asking, now, now + self.timeout, decided, timer)
        self._waiting[id] = waiting
        self.log.info(
            "{guest} waits to call {tool}: modelplex approve {id}",
            guest=asking.guest,
            tool=asking.exposed,
            id=id,
        )
        try:
            return await decided
        finally:
            waiting.drop()
            self._waiting.pop(id, None)

    def waiting(self) -> list[Waiting]:
        """The calls that wait, the oldest first."""
        return list(self._waiting.values())

    def approve(self, id: str) -> bool:
        """Let the call through; whether it was still waiting."""
        found = self._waiting.get(id)
        return found is not None and self._end(id, Approved(found.asking))

    def deny(self, id: str, why: str = "") -> bool:
        """Refuse it, with a reason that its guest may read; whether it was waiting."""
        said = f"the operator denied the call: {why}" if why else ""
        return self._end(id, Denied(said or "the operator denied the call"))

    def stop(self) -> None:
        """Deny every call that waits, and all that would."""
        self._stopped = True
        for id in list(self._waiting):
            self._end(id, STOPPING)

    def _end(self, id: str, answer: Answer) -> bool:
        waiting = self._waiting.pop(id, None)
        if waiting is None:
            return False
        waiting.end(answer)
        return True


def shown(waiting: Waiting, now: float) -> dict[str, Any]:
    """A call that waits as the operator is told of it."""
    asking = waiting.asking
    return {
        "id": waiting.id,
        "guest": asking.guest,
        "server": asking.server,
        "tool": asking.tool,
        "exposed": asking.exposed,
        "arguments": dict(asking.arguments),
        "digest": asking.digest,
        "definition": asking.definition,
        "policy": asking.policy,
        "seconds_waited": round(now - waiting.since),
        "seconds_left": max(0, round(waiting.until - now)),
    }
