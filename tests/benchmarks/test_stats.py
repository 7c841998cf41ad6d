"""Percentiles and medians of the benchmarks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.stats import median, percentile

_times = st.lists(st.floats(0, 1e6), min_size=1)


def test_a_percentile_is_by_nearest_rank() -> None:
    hundred = [float(n) for n in range(1, 101)]
    assert [percentile(hundred, p) for p in (1, 50, 99, 100)] == [1, 50, 99, 100]


@given(values=_times, percent=st.floats(0, 100))
def test_a_percentile_was_really_measured(values: list[float], percent: float) -> None:
    assert percentile(sorted(values), percent) in values


@given(values=_times)
def test_as_many_values_lie_above_the_median_as_below(values: list[float]) -> None:
    middle = median(values)
    assert middle is not None
    assert sum(v < middle for v in values) <= len(values) / 2
    assert sum(v > middle for v in values) <= len(values) / 2


def test_what_was_not_measured_has_no_median() -> None:
    assert median([None, None]) is None
    assert median([None, 3.0]) == 3.0
