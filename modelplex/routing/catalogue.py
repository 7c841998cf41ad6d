"""
The models there are: those that are listed, and those that upstreams say they have.

A glob in the configuration offers names that nobody has written down, so upstreams
are asked what they have, now and then, and only to show it: routing never waits for
that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import random

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredList, FirstError
from twisted.internet.interfaces import IReactorTime

from modelplex.errors import GatewayError, UnknownModel, UnknownRoute
from modelplex.guests.policy import Policy
from modelplex.routing.table import Candidate, Offer, RoutingTable
from modelplex.wire.asked import Operation

FRESH = 300.0  # seconds an upstream's list is believed
RETRY = 30.0  # seconds until an upstream that could not be asked is asked again
LONGEST = 5000  # names taken from one upstream


@define(eq=False)
class Catalogue:
    """What a guest can ask for, and who would serve it."""

    _table: RoutingTable
    _clock: IReactorTime
    _pick: Callable[[], float] = random
    _discovered: dict[str, tuple[Sequence[str], float]] = field(factory=dict)

    def candidates(
        self, model: str, operation: Operation | None, policy: Policy
    ) -> list[Candidate]:
        """
        Who may serve `model` to the guest, the first to ask first.

        :raises UnknownModel: nobody; the error lists names that are near.
        """
        found = [
            candidate
            for candidate in self._table.candidates(model, operation, self._pick)
            if policy.permits(candidate.provider.name, candidate.name)
        ]
        if found:
            return found
        if operation is not None and self._is_served(model, policy):
            raise UnknownModel(
                f"the model {model!r} is served, but by no provider that can do this "
                f"({operation.value})",
                param="model",
            )
        near = self._table.near(model, self._known(policy))
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UnknownModel(
            f"the model {model!r} does not exist for this guest{hint}", param="model"
        )

    def keeper(self, operation: Operation, policy: Policy) -> list[Candidate]:
        """
        Who keeps things for the guest that belong to no model, such as files.

        It is always the same one, or nothing would be found again: of the providers
        that serve `operation` and have any model the guest may use the first, by
        priority and then as they are configured.

        :raises UnknownRoute: there is none.
        """
        able = [
            offer
            for offer in self._table.offers
            if offer.provider.serves(operation) and self._may_use(offer, policy)
        ]
        if not able:
            raise UnknownRoute(f"no provider of this guest has {operation.value}")
        first = min(able, key=lambda offer: offer.priority)
        return [Candidate(first.provider, "", "", total=first.total)]

    def _may_use(self, offer: Offer, policy: Policy) -> bool:
        """Whether `policy` has a model of `offer`, as far as two globs can tell."""
        provider = offer.provider.name
        offered = (*offer.exact, *(glob for glob, _, _ in offer.globs))
        if any(policy.permits(provider, name) for name in offered):
            return True
        named = (model.removeprefix(f"{provider}/") for model in policy.models)
        return any(offer.candidate(name) is not None for name in named)

    def _is_served(self, model: str, policy: Policy) -> bool:
        return any(
            policy.permits(candidate.provider.name, candidate.name)
            for candidate in self._table.candidates(model, None, self._pick)
        )

    async def names(self, policy: Policy) -> list[str]:
        """Every model the guest can see, sorted; asks upstreams that have globs."""
        stale = [
            Deferred.fromCoroutine(self._discover(offer))
            for offer in self._table.offers
            if offer.globs and self._is_stale(offer)
        ]
        if stale:
            waiting = DeferredList(stale, fireOnOneErrback=True, consumeErrors=True)
            try:
                await waiting
            except FirstError as e:  # a cancel, or a bug
                e.subFailure.raiseException()
        return sorted(self._known(policy))

    def _known(self, policy: Policy) -> set[str]:
        known: set[str] = set()
        for offer in self._table.offers:
            discovered = self._discovered.get(offer.provider.concern, ((), 0.0))[0]
            for name in (*offer.exact, *discovered):
                if name in known or offer.candidate(name) is None:
                    continue
                if policy.permits(offer.provider.name, name):
                    known.add(name)
        return known

    def _is_stale(self, offer: Offer) -> bool:
        known = self._discovered.get(offer.provider.concern)
        return known is None or self._clock.seconds() >= known[1]

    async def _discover(self, offer: Offer) -> None:
        try:
            names = (await offer.provider.list_models())[:LONGEST]
            until = self._clock.seconds() + FRESH
        except GatewayError:
            names = self._discovered.get(offer.provider.concern, ((), 0.0))[0]
            until = self._clock.seconds() + RETRY
        self._discovered[offer.provider.concern] = (names, until)
