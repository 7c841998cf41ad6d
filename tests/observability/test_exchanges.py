"""The one line of an exchange, and what it never says."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, formatEvent

from modelplex.exchange import Exchange
from modelplex.observability.exchanges import log_exchange
from modelplex.wire.asked import Operation


def exchange(clock: Clock, **known: Any) -> Exchange:
    started = clock.seconds()
    made = Exchange("req-1", "coder", Operation.CHAT, "fast", True, started, clock)
    for name, value in known.items():
        setattr(made, name, value)
    return made


def logged(exchange: Exchange, now: float, verbose: bool = False) -> list[LogEvent]:
    events: list[LogEvent] = []
    log = Logger("modelplex", observer=cast(ILogObserver, events.append))
    log_exchange(log, exchange, now, verbose)
    return events


def test_one_line_says_how_an_exchange_went() -> None:
    clock = Clock()
    clock.advance(100)
    made = exchange(
        clock,
        provider="openai",
        target="gpt-4o-mini",
        first_event=100.25,
        status=200,
        input_tokens=11,
        output_tokens=7,
        finish="stop",
        dropped=("seed",),
    )
    attempt = made.attempt("openai", "gpt-4o-mini")
    attempt.ended("opened", 100.2)
    [event] = logged(made, 101.5)
    assert event["log_level"] is LogLevel.info
    expected = {
        "request_id": "req-1",
        "guest": "coder",
        "operation": "chat",
        "model": "fast",
        "provider": "openai",
        "target": "gpt-4o-mini",
        "attempts": 1,
        "stream": True,
        "status": 200,
        "total_ms": 1500,
        "first_ms": 250,
        "input_tokens": 11,
        "output_tokens": 7,
        "finish": "stop",
        "dropped": ["seed"],
        "error": None,
    }
    assert expected.items() <= event.items()
    line = formatEvent(event)
    assert line.startswith("req-1 coder chat fast -> openai 200 1500ms")
    for part in ("250", "11", "7"):
        assert part in line


def test_what_is_not_known_is_not_made_up() -> None:
    made = exchange(Clock(), status=404, error="unknown_model")
    [event] = logged(made, 0.0)
    assert (event["input_tokens"], event["first_ms"], event["target"]) == (None,) * 3
    assert formatEvent(event) == "req-1 coder chat fast -> - 404 0ms (unknown_model)"


def test_a_guest_that_went_away_before_an_answer_is_told_from_a_failure() -> None:
    [event] = logged(exchange(Clock()), 3.0)
    assert event["error"] == "cancelled"
    [event] = logged(exchange(Clock(), status=200), 3.0)
    assert event["error"] is None
    [event] = logged(exchange(Clock(), error="upstream_cut"), 3.0)
    assert event["error"] == "upstream_cut"


def test_the_decision_trail_has_every_attempt() -> None:
    clock = Clock()
    made = exchange(clock, status=200)
    made.attempt("a", "m").ended("upstream_timeout", 2.0)
    clock.advance(2.0)
    made.attempt("b", "n")  # and then the guest went away
    *attempts, summary = logged(made, 2.5, verbose=True)
    assert [formatEvent(e) for e in attempts] == [
        "req-1 attempt 1: a m: upstream_timeout after 2000ms",
        "req-1 attempt 2: b n: cancelled after 0ms",
    ]
    assert all(e["log_level"] is LogLevel.debug for e in attempts)
    assert summary["attempts"] == 2
    assert len(logged(made, 2.5)) == 1
