"""What one measurement found, as values that go into the JSON file."""

from __future__ import annotations

from attrs import frozen

from benchmarks.load import Tally
from benchmarks.stats import percentile


@frozen
class Sample:
    """One window of one target under one workload."""

    target: str
    workload: str
    round: int
    good: int
    bad: int
    disordered: int
    chunks: int
    seconds: float
    cpu: float | None  # µs of the target's processes; `None` for the upstream itself
    p50: float | None  # ms, whole answers
    p99: float | None
    foreign: float  # cores used by others meanwhile
    trouble: str

    @classmethod
    def of(
        cls,
        names: tuple[str, str, int],
        tally: Tally,
        cpu: float | None,
        foreign: float,
    ) -> Sample:
        """From a window's tally; `names`: the target, the workload, the round."""
        ordered = sorted(tally.totals)
        return cls(
            *names,
            good=tally.good,
            bad=tally.bad,
            disordered=tally.disordered,
            chunks=tally.chunks,
            seconds=tally.seconds,
            cpu=cpu,
            p50=percentile(ordered, 50) * 1000 if ordered else None,
            p99=percentile(ordered, 99) * 1000 if ordered else None,
            foreign=foreign,
            trouble=tally.trouble,
        )


@frozen
class Alone:
    """What a target does by itself: it starts, idles, lasts, holds streams."""

    target: str
    starts: list[float]  # seconds to the first 200
    idle: int | None  # bytes resident
    drift_requests: int
    drift: int | None  # bytes of growth over those
    held: int  # streams that arrived whole and in order
    held_bad: int
    held_disordered: int
    held_open: int  # most at the same time
    held_first_p50: float | None  # ms
    held_first_p99: float | None
    held_memory: int | None  # bytes of growth, at the most
    trouble: str
