"""Which providers serve a model, and in which order they are asked."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.routing.table import Candidate, Offer, RoutingTable
from modelplex.testing.seams import FakeProvider
from modelplex.wire.asked import Operation

names = st.sampled_from(
    ["gpt-4", "gpt-4o", "fast", "modelplex-x", "x", "a/gpt-4", "claude", "a/b/c"]
)
patterns = st.one_of(names, st.sampled_from(["*", "gpt-*", "a/*", "?", "[cf]*"]))


@st.composite
def offers(draw: st.DrawFn) -> list[Offer]:
    found: list[Offer] = []
    for name in draw(st.lists(st.sampled_from("abc"), max_size=4)):
        listed: Any = draw(
            st.one_of(
                st.lists(patterns, max_size=3),
                st.dictionaries(patterns, st.sampled_from(["up-1", "up-2"])),
            )
        )
        provider = FakeProvider(name, concern=f"{name}#{len(found)}")
        found.append(
            Offer.of(
                provider,
                listed,
                priority=draw(st.integers(0, 2)),
                weight=draw(st.integers(1, 3)),
            )
        )
    return found


def table(*offers: Offer) -> RoutingTable:
    return RoutingTable(offers)


def offer(name: str, models: Any, **more: Any) -> Offer:
    return Offer.of(FakeProvider(name), models, **more)


def found(routes: RoutingTable, model: str) -> list[tuple[str, str, str]]:
    return [
        (c.provider.name, c.name, c.model)
        for c in routes.candidates(model, Operation.CHAT, lambda: 0.5)
    ]


@given(
    offers(),
    st.one_of(names, names.map("a/{}".format), names.map("modelplex-{}".format)),
    st.integers(0, 2**32),
)
def test_every_candidate_was_offered_and_none_is_left_out(
    given: list[Offer], model: str, seed: int
) -> None:
    routes = RoutingTable(given)
    candidates = routes.candidates(model, None, Random(seed).random)
    priorities = [c.priority for c in candidates]
    assert priorities == sorted(priorities)
    assert len({c.target for c in candidates}) == len(candidates)
    meanings = {model}
    for prefix in ("modelplex-", "modelplex-", "a/"):
        meanings |= {name.removeprefix(prefix) for name in meanings}
    by_concern = {o.provider.concern: o for o in given}
    for candidate in candidates:
        assert candidate.name in meanings
        made = by_concern[candidate.provider.concern].candidate(candidate.name)
        assert made == candidate
    # All who offer the name are candidates, whichever of its meanings was taken.
    for name in {c.name for c in candidates}:
        if "/" not in model:
            assert len(candidates) == sum(o.candidate(name) is not None for o in given)


def test_exact_names_come_before_globs_of_the_same_provider() -> None:
    routes = table(offer("a", {"gpt-*": "other", "gpt-4": "exact"}))
    assert found(routes, "gpt-4") == [("a", "gpt-4", "exact")]
    assert found(routes, "gpt-5") == [("a", "gpt-5", "other")]
    assert found(routes, "xgpt-5") == found(routes, "GPT-4") == []


def test_a_glob_without_an_alias_asks_for_the_name_itself() -> None:
    routes = table(offer("a", ["gpt-*", "o[13]", "m?x"]))
    assert found(routes, "gpt-4:x/y") == [("a", "gpt-4:x/y", "gpt-4:x/y")]
    assert found(routes, "o3") == [("a", "o3", "o3")]
    assert found(routes, "o2") == found(routes, "gpt-4\n"[:3]) == []


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4", [("a", "gpt-4", "gpt-4"), ("b", "gpt-4", "gpt-4")]),
        ("b/gpt-4", [("b", "gpt-4", "gpt-4")]),
        ("b/fast", [("b", "fast", "gpt-4o-mini")]),
        ("a/fast", []),
        ("modelplex-gpt-4", [("a", "gpt-4", "gpt-4"), ("b", "gpt-4", "gpt-4")]),
        ("modelplex-b/fast", [("b", "fast", "gpt-4o-mini")]),
        # A name that is listed is that name, whatever it looks like.
        ("a/b", [("c", "a/b", "a/b")]),
        ("modelplex-own", [("c", "modelplex-own", "modelplex-own")]),
        ("c/modelplex-own", [("c", "modelplex-own", "modelplex-own")]),
        ("c/a/b", [("c", "a/b", "a/b")]),
        # No provider has this name: the slash is part of the model's.
        ("meta/llama", [("d", "meta/llama", "meta/llama")]),
        ("own", []),
        ("", []),
        ("/", []),
        ("gpt-4/", []),
    ],
)
def test_what_a_name_means(model: str, expected: list[tuple[str, str, str]]) -> None:
    routes = table(
        offer("a", ["gpt-4"], priority=1),
        offer("b", {"gpt-4": "gpt-4", "fast": "gpt-4o-mini"}, priority=2),
        offer("c", ["a/b", "modelplex-own"]),
        offer("d", ["meta/*"]),
    )
    assert found(routes, model) == expected


def test_who_has_no_such_api_is_no_candidate() -> None:
    chat = FakeProvider("a", operations={Operation.CHAT})
    routes = table(Offer.of(chat, ["m"]), offer("b", ["m"]))
    wanted = routes.candidates("m", Operation.EMBEDDINGS, lambda: 0.5)
    assert [c.provider.name for c in wanted] == ["b"]
    assert len(routes.candidates("m", None, lambda: 0.5)) == 2


def test_equal_priorities_share_the_load_by_weight() -> None:
    routes = table(
        offer("a", ["m"], weight=6),
        offer("b", ["m"], weight=3),
        offer("c", ["m"], weight=1),
        offer("last", ["m"], priority=2, weight=1000),
    )
    random = Random(1).random
    first: Counter[str] = Counter()
    for _ in range(4000):
        order = [c.provider.name for c in routes.candidates("m", None, random)]
        assert order[3] == "last"
        first[order[0]] += 1
    shares = {name: round(count / 4000, 1) for name, count in first.items()}
    assert shares == {"a": 0.6, "b": 0.3, "c": 0.1}


@given(st.floats(0, 1), st.integers(1, 10**6))
def test_any_random_number_gives_an_order(number: float, weight: int) -> None:
    routes = table(offer("a", ["m"], weight=weight), offer("b", ["m"]))
    assert len(routes.candidates("m", None, lambda: number)) == 2


def test_what_cools_down_together_is_a_target_of_a_key() -> None:
    first = FakeProvider("p", concern="p#1")
    assert Candidate(first, "alias", "m").target == ("p#1", "m")


@pytest.mark.parametrize(
    ("model", "near"),
    [
        ("gpt-4-o", ["gpt-4o", "gpt-4"]),
        ("GPT-4O", ["gpt-4o", "gpt-4"]),
        ("claude-sonet", ["Claude-Sonnet"]),
        ("zzz", []),
        ("", []),
    ],
)
def test_near_names_are_offered(model: str, near: list[str]) -> None:
    names = ["gpt-4", "gpt-4o", "Claude-Sonnet", "llama"]
    assert table().near(model, names) == near


@given(st.text(max_size=300), st.lists(st.text(max_size=20), max_size=20))
def test_near_names_are_few_and_real(model: str, names: list[str]) -> None:
    near = table().near(model, names)
    assert len(near) <= 5
    assert set(near) <= set(names)
