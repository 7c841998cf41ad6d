"""Who is asked, in which order, and what a guest is told when nobody answers."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from modelplex.errors import (
    BadRequest,
    GatewayError,
    UnsupportedField,
    UpstreamCut,
    UpstreamDenied,
    UpstreamMalformed,
    UpstreamModelMissing,
    UpstreamOverloaded,
    UpstreamQuota,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from modelplex.exchange import Exchange
from modelplex.interfaces import IModelProvider
from modelplex.routing.failover import Failover, most_telling
from modelplex.routing.health import DENIED, RATE_LIMITED, UNREACHABLE, Health
from modelplex.routing.table import Candidate
from modelplex.testing.contract import ask
from modelplex.wire.asked import Asked, Operation


@implementer(IModelProvider)
@define(eq=False)
class Fake:
    """Answers when the test says so, or at once with what it was given."""

    name: str
    concern: str
    answers: list[Any] = field(factory=list)
    asked: list[tuple[str, float]] = field(factory=list)
    waiting: list[Deferred[Any]] = field(factory=list)
    cancelled: int = 0

    def serves(self, operation: Operation) -> bool:
        return True

    async def open(self, asked: Asked, model: str, within: float) -> Any:
        self.asked.append((model, within))
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        waiting: Deferred[Any] = Deferred()
        self.waiting.append(waiting)
        try:
            return await waiting
        except CancelledError:
            self.cancelled += 1
            raise

    async def list_models(self) -> list[str]:
        return []

    async def close(self) -> None:
        """Nothing is open."""


@define(eq=False)
class House:
    """Candidates in their order; each is the only model of its provider."""

    fakes: list[Fake]
    clock: Clock = field(factory=Clock)
    health: Health = field(factory=Health)
    total: float = 100.0
    failover: type[Failover] = Failover
    exchange: Exchange = field(init=False)
    results: list[Any] = field(factory=list)

    def candidates(self) -> list[Candidate]:
        return [
            Candidate(fake, "m", f"m-{fake.name}", total=self.total)
            for fake in self.fakes
        ]

    def open(self) -> Deferred[Any]:
        self.exchange = Exchange(
            "req", "guest", Operation.CHAT, "m", True, self.clock.seconds(), self.clock
        )
        failover = self.failover(self.health, self.clock)
        coroutine = failover.open(ask(), self.candidates(), self.exchange)
        opening = Deferred.fromCoroutine(coroutine)
        self.results = []
        opening.addBoth(self.results.append)
        return opening

    @property
    def error(self) -> Any:
        [failure] = self.results
        assert isinstance(failure, Failure)
        return failure.value

    @property
    def chosen(self) -> tuple[str, Any]:
        [(candidate, reply)] = self.results
        return candidate.provider.name, reply

    @property
    def asked(self) -> list[str]:
        return [fake.name for fake in self.fakes for _ in fake.asked]

    @property
    def attempts(self) -> list[tuple[str, str, str, float]]:
        return [
            (a.provider, a.model, a.outcome, a.seconds) for a in self.exchange.attempts
        ]


def house(*answers: Any, **more: Any) -> House:
    """Providers a, b, c…, each with its one answer; ``None`` for one that waits."""
    return House(
        [
            Fake(name, name, [] if answer is None else [answer])
            for name, answer in zip("abcdefgh", answers, strict=False)
        ],
        **more,
    )


def denied() -> UpstreamDenied:
    return UpstreamDenied("refused", told_operator="401 account 42")


def missing() -> UpstreamModelMissing:
    return UpstreamModelMissing("no such model", status=404)


def test_the_fake_is_a_provider() -> None:
    verifyObject(IModelProvider, Fake("a", "a"))


def test_the_first_that_accepts_answers() -> None:
    scene = house(UpstreamCut("x"), UpstreamOverloaded("x"), "reply", "another")
    scene.open()
    assert scene.chosen == ("c", "reply")
    assert scene.asked == ["a", "b", "c"]
    assert scene.fakes[2].asked == [("m-c", 100.0)]
    assert scene.attempts == [
        ("a", "m-a", "upstream_cut", 0.0),
        ("b", "m-b", "upstream_overloaded", 0.0),
        ("c", "m-c", "opened", 0.0),
    ]


@pytest.mark.parametrize(
    "error",
    [
        UpstreamRejected("no", status=400),
        UpstreamRejected("no", status=404),
        BadRequest("no"),
        UnsupportedField("no"),
    ],
)
def test_an_error_about_the_request_stops(error: GatewayError) -> None:
    scene = house(UpstreamCut("x"), error, "reply")
    scene.open()
    assert scene.error is error
    assert scene.asked == ["a", "b"]
    assert scene.attempts[1][2] == error.kind


def test_a_bug_stops() -> None:
    scene = house(TypeError("a bug"), "reply")
    scene.open()
    assert isinstance(scene.error, TypeError)
    assert scene.asked == ["a"]


def test_all_attempts_share_one_deadline() -> None:
    scene = house(None, None, None, "reply")
    scene.open()
    for number, (waited, left) in enumerate([(30, 100), (30, 70), (40, 40)]):
        fake = scene.fakes[number]
        assert fake.asked == [(f"m-{fake.name}", float(left))]
        scene.clock.advance(waited)
        fake.waiting[0].errback(UpstreamTimeout("late"))
    assert isinstance(scene.error, UpstreamTimeout)
    assert scene.asked == ["a", "b", "c"]
    assert [a[3] for a in scene.attempts] == [30.0, 30.0, 40.0]


def test_the_deadline_counts_from_the_request() -> None:
    scene = house(None)
    scene.clock.advance(5)
    scene.open()
    assert scene.fakes[0].asked == [("m-a", 100.0)]


# A guest that leaves


def test_a_cancel_asks_nobody_else() -> None:
    scene = house(UpstreamCut("x"), None, "reply")
    opening = scene.open()
    scene.clock.advance(3)
    opening.cancel()
    assert isinstance(scene.error, CancelledError)
    assert scene.asked == ["a", "b"]
    assert scene.fakes[1].cancelled == 1
    assert scene.attempts[1][:3] == ("b", "m-b", "cancelled")
    assert scene.health.of(scene.candidates()[1], 3.0).why == ""


# What the guest is told

ERRORS: list[GatewayError] = [
    UpstreamRateLimited("x"),
    UpstreamOverloaded("x"),
    UpstreamTimeout("x"),
    UpstreamCut("x"),
    UpstreamQuota("x"),
    missing(),
    denied(),
]


@pytest.mark.parametrize(
    ("errors", "shown"),
    [
        ([UpstreamCut, UpstreamTimeout], UpstreamTimeout),
        ([UpstreamTimeout, UpstreamOverloaded], UpstreamOverloaded),
        ([UpstreamOverloaded, UpstreamRateLimited], UpstreamRateLimited),
        ([UpstreamMalformed, UpstreamCut], UpstreamMalformed),
        ([UpstreamDenied, UpstreamCut], UpstreamCut),
        ([UpstreamModelMissing, UpstreamCut], UpstreamCut),
        ([UpstreamQuota, UpstreamRateLimited], UpstreamRateLimited),
        ([UpstreamQuota, UpstreamCut], UpstreamCut),
        ([UpstreamDenied, UpstreamQuota], UpstreamQuota),
        ([UpstreamModelMissing, UpstreamQuota], UpstreamQuota),
        ([UpstreamDenied, UpstreamDenied], UpstreamDenied),
        ([UpstreamModelMissing, UpstreamModelMissing], UpstreamModelMissing),
    ],
)
def test_the_most_telling_error_is_shown(errors: list[Any], shown: Any) -> None:
    made = [
        kind("x", status=404) if kind is UpstreamModelMissing else kind("x")
        for kind in errors
    ]
    scene = house(*made)
    scene.open()
    assert type(scene.error) is shown


@given(st.lists(st.sampled_from(ERRORS), min_size=1))
def test_what_is_shown_happened(errors: list[GatewayError]) -> None:
    assert most_telling(errors) in errors


# What is remembered


def test_a_denied_key_is_not_asked_again_and_the_operator_told_once() -> None:
    events: list[LogEvent] = []

    @implementer(ILogObserver)
    def keep(event: LogEvent) -> None:
        events.append(event)

    class Observed(Failover):
        log = Logger(observer=keep)

    scene = house(denied(), "1", failover=Observed)
    scene.open()
    assert scene.chosen == ("b", "1")
    scene.fakes[1].answers = ["2"]
    scene.open()
    assert scene.chosen == ("b", "2")
    assert scene.asked == ["a", "b", "b"]
    assert [(e["provider"], e["told"]) for e in events] == [("a", "401 account 42")]


def test_a_denied_key_is_probed_later() -> None:
    scene = house(denied())
    scene.open()
    scene.open()
    assert isinstance(scene.error, UpstreamDenied)
    assert scene.attempts == []
    assert "42" not in scene.error.message
    scene.clock.advance(DENIED)
    scene.fakes[0].answers = ["reply"]
    scene.open()
    assert scene.chosen == ("a", "reply")
    scene.fakes[0].answers = ["again"]
    scene.open()
    assert scene.chosen == ("a", "again")


def test_an_account_without_credit_stays_that() -> None:
    scene = house(UpstreamQuota("your credit of $5 is used up"))
    scene.open()
    assert isinstance(scene.error, UpstreamQuota)
    scene.open()
    assert type(scene.error) is UpstreamQuota
    assert scene.error.should_retry is False
    assert scene.asked == ["a"]


def test_keys_of_one_provider_fail_by_themselves() -> None:
    scene = House([Fake("p", "p#1", [denied()]), Fake("p", "p#2", ["1", "2"])])
    scene.open()
    assert scene.chosen == ("p", "1")
    scene.open()
    assert scene.chosen == ("p", "2")
    assert len(scene.fakes[0].asked) == 1


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (UpstreamRateLimited("x"), RATE_LIMITED),
        (UpstreamRateLimited("x", retry_after=33), 33.0),
        (UpstreamUnreachable("x"), UNREACHABLE),
        (UpstreamTimeout("x"), UNREACHABLE),
    ],
)
def test_a_target_that_cools_is_asked_after_the_others(
    error: GatewayError, seconds: float
) -> None:
    scene = house(error, "1")
    scene.open()
    scene.fakes[0].answers = ["a1"]
    scene.fakes[1].answers = ["b1", UpstreamCut("x")]
    scene.open()
    assert scene.chosen == ("b", "b1")
    scene.open()
    assert scene.chosen == ("a", "a1")  # better than nobody
    scene.clock.advance(0)
    scene = house(error, "1")
    scene.open()
    scene.clock.advance(seconds)
    scene.fakes[0].answers = ["a1"]
    scene.open()
    assert scene.chosen == ("a", "a1")


@pytest.mark.parametrize(
    "error",
    [UpstreamCut("x"), UpstreamOverloaded("x"), UpstreamMalformed("x"), missing()],
)
def test_other_failures_are_not_held_against_it(error: GatewayError) -> None:
    scene = house(error, "1")
    scene.open()
    scene.fakes[0].answers = ["a1"]
    scene.open()
    assert scene.chosen == ("a", "a1")


def test_an_answer_forgives() -> None:
    scene = house(UpstreamTimeout("x"))
    scene.open()
    scene.fakes[0].answers = ["reply"]
    scene.open()
    assert scene.health.of(scene.candidates()[0], 0.0).why == ""
