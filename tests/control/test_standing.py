"""What the operator is shown of the targets."""

from __future__ import annotations

from modelplex.control.standing import targets
from modelplex.errors import UpstreamDenied, UpstreamRateLimited
from modelplex.routing.health import Health
from modelplex.routing.table import Candidate, Offer, RoutingTable
from modelplex.testing.seams import FakeProvider


def test_every_name_is_shown_with_how_it_stands() -> None:
    first, second = FakeProvider("a", concern="a#1"), FakeProvider("b")
    routes = RoutingTable(
        [
            Offer.of(first, {"fast": "gpt-4o-mini"}, priority=2, weight=3),
            Offer.of(second, ["fast", "gpt-*"], priority=1),
        ]
    )
    health = Health()
    health.failed(Candidate(second, "fast", "fast"), UpstreamRateLimited("no"), 5.0)
    health.failed(Candidate(first, "fast", "gpt-4o-mini"), UpstreamDenied("no"), 5.0)
    up = {"condition": "up", "seconds_left": 0, "why": ""}
    assert targets(routes, health, 7.2) == [
        {
            "model": "fast",
            "provider": "b",
            "target": "fast",
            "priority": 1,
            "weight": 1,
            "condition": "cooling",
            "seconds_left": 8,
            "why": "upstream_rate_limited",
        },
        {
            "model": "fast",
            "provider": "a#1",
            "target": "gpt-4o-mini",
            "priority": 2,
            "weight": 3,
            "condition": "out",
            "seconds_left": 58,
            "why": "upstream_denied",
        },
        {
            "model": "gpt-*",
            "provider": "b",
            "target": "gpt-*",
            "priority": 1,
            "weight": 1,
            **up,
        },
    ]
    assert {e["condition"] for e in targets(routes, health, 99.0)} == {"up"}
