"""Asks one candidate after the other until one answers."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from modelplex.errors import (
    GatewayError,
    UpstreamDenied,
    UpstreamModelMissing,
    UpstreamOverloaded,
    UpstreamQuota,
    UpstreamRateLimited,
    UpstreamTimeout,
)
from modelplex.exchange import Exchange
from modelplex.interfaces import IReply
from modelplex.routing.health import Health
from modelplex.routing.table import Candidate
from modelplex.wire.asked import Asked

# Of several failures the guest is told the one that says most about what to do.
_UNTELLING = (UpstreamDenied, UpstreamModelMissing, UpstreamQuota)
_TELLING = (
    UpstreamRateLimited,
    UpstreamOverloaded,
    UpstreamTimeout,
    GatewayError,
)


@define(eq=False, repr=False)
class Failover:
    """
    Opens the first candidate that accepts.

    A guest that goes away cancels `open`, which hangs up and asks nobody else.
    """

    _health: Health
    _clock: IReactorTime
    log = Logger()

    async def open(
        self,
        asked: Asked,
        candidates: Sequence[Candidate],
        exchange: Exchange,
        *,
        first: Candidate | None = None,
        until: float | None = None,
    ) -> tuple[Candidate, IReply]:
        """
        Ask the candidates, best first, within one deadline for all of them.

        :param first: who is asked before all others, if it may be asked now.
        :param until: the deadline on the clock, if the exchange's own is another.
        :raises GatewayError: nobody accepted; the most telling of their errors.
        """
        deadline = until
        if deadline is None:
            deadline = exchange.started + max(c.total for c in candidates)
        errors: list[GatewayError] = []
        ranked = self._health.rank(candidates, self._clock.seconds())
        if first in ranked:
            ranked = [first, *(c for c in ranked if c != first)]
        for candidate in ranked:
            left = deadline - self._clock.seconds()
            if left <= 0:
                break
            attempt = exchange.attempt(candidate.provider.name, candidate.model)
            try:
                reply = await candidate.provider.open(asked, candidate.model, left)
            except GatewayError as e:  # not Exception: that catches CancelledError
                attempt.ended(e.kind, self._clock.seconds())
                self._health.failed(candidate, e, self._clock.seconds())
                if isinstance(e, UpstreamDenied):
                    self.log.error(
                        "Provider {provider} refused our credentials: {told}",
                        provider=candidate.provider.concern,
                        told=e.told_operator,
                        request_id=exchange.request_id,
                    )
                if not e.failover or asked.spent:
                    raise
                errors.append(e)
            else:
                attempt.ended("opened", self._clock.seconds())
                self._health.succeeded(candidate)
                return candidate, reply
        raise most_telling(errors) if errors else self._nobody(candidates)

    def _nobody(self, candidates: Sequence[Candidate]) -> GatewayError:
        """The error when every candidate is out already."""
        now = self._clock.seconds()
        if any(self._health.of(c, now).why == UpstreamQuota.kind for c in candidates):
            return UpstreamQuota("the provider's account for this model is used up")
        return UpstreamDenied(
            "no provider of this model accepts the operator's credentials; "
            "the operator was told"
        )


def most_telling(errors: Sequence[GatewayError]) -> GatewayError:
    """The one of several failures to show to a guest."""
    shown = [e for e in errors if not isinstance(e, _UNTELLING)]
    for kind in _TELLING:
        for error in shown or errors:
            if isinstance(error, kind):
                return error
    raise AssertionError("every failure is a GatewayError")
