"""The targets there are and how each stands, for the operator."""

from __future__ import annotations

from typing import Any

from modelplex.routing.health import Health
from modelplex.routing.table import Candidate, Offer, RoutingTable


def targets(table: RoutingTable, health: Health, now: float) -> list[dict[str, Any]]:
    """
    One entry for each name an operator configured, in the order of asking.

    :param now: seconds on the reactor's clock.
    """
    entries = [
        _entry(offer, name, upstream, health, now)
        for offer in table.offers
        for name, upstream in _names(offer)
    ]
    return sorted(entries, key=lambda entry: (entry["model"], entry["priority"]))


def _names(offer: Offer) -> list[tuple[str, str]]:
    listed = list(offer.exact.items())
    return listed + [(glob, upstream or glob) for glob, _, upstream in offer.globs]


def _entry(
    offer: Offer, name: str, upstream: str, health: Health, now: float
) -> dict[str, Any]:
    standing = health.of(Candidate(offer.provider, name, upstream), now)
    return {
        "model": name,
        "provider": offer.provider.concern,
        "target": upstream,
        "priority": offer.priority,
        "weight": offer.weight,
        "condition": standing.condition.value,
        "seconds_left": max(0, round(standing.until - now)),
        "why": standing.why,
    }
