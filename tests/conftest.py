"""What trial would check after every test, and how much hypothesis tries."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

# The same examples on every run, so that a change is judged by what it changes; what
# looks for new ones has a run of its own: HYPOTHESIS_PROFILE=search.
settings.register_profile(
    "steady",
    derandomize=True,
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "search", settings.get_profile("steady"), derandomize=False, max_examples=200
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No logged failure, and no delayed call that the test started and left."""
    from twisted.internet import reactor

    failures: list[LogEvent] = []

    @implementer(ILogObserver)
    def observer(event: LogEvent) -> None:
        if event.get("log_failure") is not None or event.get("isError"):
            failures.append(event)

    before = set(reactor.getDelayedCalls())
    globalLogPublisher.addObserver(observer)
    try:
        yield
        gc.collect(0)  # a Deferred's unhandled failure is logged when it is freed
    finally:
        globalLogPublisher.removeObserver(observer)
    left = [call for call in reactor.getDelayedCalls() if call not in before]
    for call in left:
        call.cancel()
    told = [_told(event) for event in failures]
    assert not told, "logged: " + "\n".join(told)
    assert not left, f"left running: {left}"


def _told(event: LogEvent) -> str:
    failure = event.get("log_failure")
    return str(event) if failure is None else failure.getTraceback()
