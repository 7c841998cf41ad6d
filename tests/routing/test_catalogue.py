"""What a guest can see and ask for."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from modelplex.errors import UnknownModel
from modelplex.guests.policy import Policy
from modelplex.routing.catalogue import FRESH, LONGEST, RETRY, Catalogue
from modelplex.routing.table import Offer, RoutingTable
from modelplex.testing.seams import FakeProvider
from modelplex.wire.asked import Operation

ALL = Policy("default")


def catalogue(*offers: tuple[FakeProvider, Any]) -> tuple[Catalogue, Clock]:
    clock = Clock()
    routes = RoutingTable([Offer.of(provider, models) for provider, models in offers])
    return Catalogue(routes, clock, lambda: 0.5), clock


async def names(catalogue: Catalogue, policy: Policy = ALL) -> list[str]:
    return await Deferred.fromCoroutine(catalogue.names(policy))


async def test_listed_names_are_seen_and_nobody_is_asked_for_them() -> None:
    provider = FakeProvider("a", models=["other"])
    known, _ = catalogue((provider, {"fast": "gpt-4o-mini", "gpt-4": "gpt-4"}))
    assert await names(known) == ["fast", "gpt-4"]
    assert provider.listed == 0


async def test_a_glob_shows_what_the_upstream_has_and_the_glob_covers() -> None:
    provider = FakeProvider("a", models=["gpt-5", "gpt-4", "dall-e"])
    known, _ = catalogue((provider, ["gpt-*", "own"]))
    assert await names(known) == ["gpt-4", "gpt-5", "own"]


async def test_a_list_is_believed_for_a_while() -> None:
    provider = FakeProvider("a", models=["x"])
    known, clock = catalogue((provider, ["*"]))
    assert await names(known) == ["x"]
    provider.models = ["y"]
    clock.advance(FRESH - 1)
    assert await names(known) == ["x"]
    clock.advance(1)
    assert await names(known) == ["y"]
    assert provider.listed == 2


async def test_an_upstream_that_cannot_be_asked_keeps_its_last_list() -> None:
    down, up = FakeProvider("a", models=["x"]), FakeProvider("b", models=["z"])
    known, clock = catalogue((down, ["*"]), (up, ["z*"]))
    assert await names(known) == ["x", "z"]
    down.models = None
    clock.advance(FRESH)
    assert await names(known) == ["x", "z"]
    clock.advance(RETRY - 1)
    assert (await names(known), down.listed) == (["x", "z"], 2)
    down.models = ["back"]
    clock.advance(1)
    assert await names(known) == ["back", "z"]


async def test_a_guest_that_goes_away_stops_the_asking() -> None:
    asked: Deferred[list[str]] = Deferred()

    class Slow(FakeProvider):
        async def list_models(self) -> list[str]:
            return await asked

    known, _ = catalogue((Slow("a"), ["*"]))
    waiting = Deferred.fromCoroutine(known.names(ALL))
    waiting.cancel()
    with pytest.raises(CancelledError):
        await waiting
    assert asked.called


async def test_no_upstream_fills_the_memory() -> None:
    many = FakeProvider("a", models=[f"m{n}" for n in range(LONGEST + 10)])
    known, _ = catalogue((many, ["*"]))
    assert len(await names(known)) == LONGEST


async def test_a_guest_sees_what_its_policy_permits() -> None:
    known, _ = catalogue(
        (FakeProvider("a", models=["gpt-4", "gpt-5"]), ["gpt-*"]),
        (FakeProvider("b"), {"fast": "gpt-4", "claude": "claude"}),
    )
    assert await names(known, Policy("g", ("gpt-*",))) == ["gpt-4", "gpt-5"]
    assert await names(known, Policy("g", ("b/*",))) == ["claude", "fast"]
    assert await names(known, Policy("g", ())) == []


def test_a_guest_is_served_what_its_policy_permits() -> None:
    known, _ = catalogue(
        (FakeProvider("a"), ["gpt-*"]), (FakeProvider("b"), {"fast": "gpt-4"})
    )
    only = Policy("g", ("a/*", "slow"))
    [candidate] = known.candidates("gpt-4", Operation.CHAT, only)
    assert candidate.provider.name == "a"
    # The alias is what counts, not the model behind it.
    with pytest.raises(UnknownModel):
        known.candidates("fast", Operation.CHAT, Policy("g", ("gpt-4",)))
    [candidate] = known.candidates("fast", Operation.CHAT, Policy("g", ("fast",)))
    assert candidate.model == "gpt-4"


async def test_an_unknown_model_is_told_near_names_that_the_guest_may_use() -> None:
    known, _ = catalogue(
        (FakeProvider("a", models=["gpt-4-secret"]), ["gpt-4", "*-4*"])
    )
    await names(known)
    policy = Policy("g", ("gpt-4",))
    with pytest.raises(UnknownModel, match=r"did you mean gpt-4\?$") as caught:
        known.candidates("gpt4", Operation.CHAT, policy)
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")
    assert caught.value.param == "model"
    with pytest.raises(UnknownModel) as caught:
        known.candidates("zzz", Operation.CHAT, policy)
    assert "mean" not in str(caught.value)
