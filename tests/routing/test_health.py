"""What recent failures mean, held against a model of them that is kept in words."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from modelplex.errors import (
    BadRequest,
    GatewayError,
    UpstreamCut,
    UpstreamDenied,
    UpstreamOverloaded,
    UpstreamQuota,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from modelplex.routing.health import (
    DENIED,
    LONGEST,
    RATE_LIMITED,
    UNREACHABLE,
    UP,
    Condition,
    Health,
)
from modelplex.routing.table import Candidate
from modelplex.testing.seams import FakeProvider

ONE, TWO = FakeProvider("p", concern="p#1"), FakeProvider("p", concern="p#2")
CANDIDATES = [
    Candidate(ONE, "a", "a"),
    Candidate(ONE, "b", "b"),
    Candidate(ONE, "alias", "b"),
    Candidate(TWO, "a", "a"),
]
candidates = st.sampled_from(CANDIDATES)
A, B, ALIAS, OTHER_KEY = CANDIDATES


class Watched(RuleBasedStateMachine):
    """
    Failures, successes and time in any order.

    The model keeps when a key is free again, how often it was refused in a row, and
    when a target has cooled down.
    """

    def __init__(self) -> None:
        super().__init__()
        self.health = Health()
        self.now = 1000.0
        self.out: dict[str, float] = {}
        self.refusals: dict[str, int] = {}
        self.cooling: dict[tuple[str, str], float] = {}

    @rule(seconds=st.sampled_from([0.1, 1, 5, 10, 60, 600, 4000]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(candidate=candidates, quota=st.booleans())
    def a_key_is_refused(self, candidate: Candidate, quota: bool) -> None:
        error = UpstreamQuota("no") if quota else UpstreamDenied("no")
        self.health.failed(candidate, error, self.now)
        concern = candidate.provider.concern
        times = self.refusals[concern] = self.refusals.get(concern, 0) + 1
        self.out[concern] = self.now + min(DENIED * 2 ** (times - 1), LONGEST)

    @rule(candidate=candidates, after=st.none() | st.sampled_from([0.0, 3.0, 9999.0]))
    def a_target_is_limited(self, candidate: Candidate, after: float | None) -> None:
        error = UpstreamRateLimited("slow", retry_after=after)
        self.health.failed(candidate, error, self.now)
        pause = RATE_LIMITED if after is None else min(after, LONGEST)
        self.cooling[candidate.target] = self.now + pause

    @rule(
        candidate=candidates,
        error=st.sampled_from([UpstreamUnreachable("x"), UpstreamTimeout("x")]),
    )
    def a_target_is_silent(self, candidate: Candidate, error: GatewayError) -> None:
        self.health.failed(candidate, error, self.now)
        self.cooling[candidate.target] = self.now + UNREACHABLE

    @rule(
        candidate=candidates,
        error=st.sampled_from(
            [UpstreamOverloaded("x"), UpstreamCut("x"), BadRequest("x")]
        ),
    )
    def a_request_fails(self, candidate: Candidate, error: GatewayError) -> None:
        self.health.failed(candidate, error, self.now)  # says nothing of the next one

    @rule(candidate=candidates)
    def a_target_answers(self, candidate: Candidate) -> None:
        self.health.succeeded(candidate)
        self.out.pop(candidate.provider.concern, None)
        self.refusals.pop(candidate.provider.concern, None)
        self.cooling.pop(candidate.target, None)

    @invariant()
    def each_candidate_stands_as_the_model_says(self) -> None:
        for candidate in CANDIDATES:
            standing = self.health.of(candidate, self.now)
            out = self.out.get(candidate.provider.concern, 0)
            cooling = self.cooling.get(candidate.target, 0)
            if out > self.now:
                assert (standing.condition, standing.until) == (Condition.OUT, out)
            elif cooling > self.now:
                assert standing.condition is Condition.COOLING
                assert standing.until == cooling
            else:
                assert standing is UP

    @invariant()
    def the_order_follows_from_how_they_stand(self) -> None:
        ranked = self.health.rank(CANDIDATES, self.now)
        standing = [self.health.of(c, self.now) for c in ranked]
        assert all(s.condition is not Condition.OUT for s in standing)
        assert standing == sorted(standing, key=lambda s: s.until)  # 0 for those up
        left = [c for c in CANDIDATES if self.out.get(c.provider.concern, 0) > self.now]
        assert len(ranked) + len(left) == len(CANDIDATES)
        up = [c for c in ranked if self.health.of(c, self.now) is UP]
        assert up == [c for c in CANDIDATES if c in up]  # as they were given


TestWatched = Watched.TestCase


def test_a_refused_key_takes_all_its_targets_out_and_no_other_key() -> None:
    health = Health()
    health.failed(A, UpstreamDenied("no"), 0.0)
    assert health.rank(CANDIDATES, 1.0) == [OTHER_KEY]
    assert health.of(B, 1.0).why == "upstream_denied"


def test_an_alias_cools_down_with_its_target() -> None:
    health = Health()
    health.failed(ALIAS, UpstreamTimeout("slow"), 0.0)
    assert health.rank(CANDIDATES, 1.0) == [A, OTHER_KEY, B, ALIAS]


def test_names_that_guests_invent_do_not_fill_the_memory_or_free_a_key() -> None:
    health = Health(limit=10)
    for number in range(100):
        invented = Candidate(TWO, str(number), str(number))
        health.failed(A, UpstreamDenied("no"), float(number))
        health.failed(invented, UpstreamRateLimited("no"), float(number))
    assert len(health._standing) == 10
    assert health.of(A, 100.0).condition is Condition.OUT
