"""
Calls that wait for answers of a client that cannot be asked while it waits.

Clients of the modern era are not sent requests. A call that has a question is parked:
its request is answered with the question and a sealed state, and the client sends the
request again with its answers, which goes on where the call waits. (MCP 2026-07-28,
multi round-trip requests.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from secrets import token_urlsafe

from attrs import define, field
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from modelplex.mcp.parked import Asked, Park, Work
from modelplex.mcp.sealing import Seal, digest, opened, sealed
from modelplex.tools import Caller
from modelplex.wire.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    Params,
    Result,
    RpcError,
)


def unguessable() -> str:
    """A name for a parked call."""
    return token_urlsafe(18)


@define(eq=False)
class Parking:
    """
    Every parked call.

    :ivar ttl: seconds for which a call waits for answers.
    :ivar most: calls that wait, of all guests; `share` of one.
    :ivar gather: seconds over which questions of one call become one round; 0 asks
        each by itself.
    """

    _clock: IReactorTime
    _key: bytes = field(repr=False)
    ttl: float = 300.0
    most: int = 1024
    share: int = 64
    gather: float = 0.02
    _name: Callable[[], str] = unguessable
    _parked: dict[str, Park] = field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._parked)

    async def run(
        self, scope: str, method: str, params: Params, caller: Caller, work: Work
    ) -> Result | Asked:
        """
        Do `work`, or go on with what waits for the answers in `params`.

        :param scope: what else the state is bound to, beside guest and request.
        :raises RpcError: as `work` does; the state or an answer is not right (-32602).

        Cancelling cancels the call, unless it is parked.
        """
        told = (caller.guest, scope, method)
        parts = [one.encode("utf-8", "surrogatepass") for one in told]
        bound = b"\0".join((*parts, digest(params)))
        answers = params.get("inputResponses", {})
        if not isinstance(answers, Mapping):
            raise RpcError(INVALID_PARAMS, "inputResponses is not an object")
        if "requestState" in params:
            park = self._resumable(params["requestState"], bound)
            step = park.answer(answers, caller)
        else:
            park = Park(self, self._name(), bound, caller, dict(answers))
            step = park.begin(work)
        try:
            return await step
        except CancelledError:
            park.drop()
            raise

    def forget(self, guest: str) -> None:
        """`guest` is gone: what it has left parked is cancelled."""
        for park in list(self._parked.values()):
            if park.guest == guest:
                park.drop()

    def stop(self) -> None:
        """Cancel everything that is parked."""
        for park in list(self._parked.values()):
            park.drop()

    def soon(self, park: Callable[[], None]) -> IDelayedCall | None:
        """Park in a moment, or now; returns the time that is left for it."""
        if self.gather:
            return self._clock.callLater(self.gather, park)
        park()
        return None

    def keep(self, park: Park) -> str:
        """
        Wait for the answers to its questions; returns the state for its client.

        :raises RpcError: too many calls wait.
        """
        mine = sum(one.guest == park.guest for one in self._parked.values())
        if len(self._parked) >= self.most or mine >= self.share:
            raise RpcError(INTERNAL_ERROR, "too many calls wait for answers")
        self._parked[park.id] = park
        park.round += 1
        park.expiry = self._clock.callLater(self.ttl, park.drop)
        seal = Seal(park.id, park.round, self._clock.seconds() + self.ttl)
        return sealed(seal, park.bound, self._key)

    def release(self, park: Park) -> None:
        """Its client has answered, or nobody waits for that any more."""
        self._parked.pop(park.id, None)
        if park.expiry is not None and park.expiry.active():
            park.expiry.cancel()
        park.expiry = None

    def _resumable(self, token: object, bound: bytes) -> Park:
        seal = opened(token, bound, self._key)
        park = None if seal is None else self._parked.get(seal.park)
        if (
            seal is None
            or park is None
            or seal.round != park.round
            or seal.until < self._clock.seconds()
        ):
            # After a restart, too: the client begins anew.
            raise RpcError(INVALID_PARAMS, "requestState is not valid, or not any more")
        return park
