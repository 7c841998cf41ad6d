"""From samples to the published table."""

from __future__ import annotations

import attrs
from docutils import nodes
from docutils.core import publish_doctree

from benchmarks.figures import Figure, Found
from benchmarks.report import render
from benchmarks.samples import Sample


def _sample(target: str, number: int) -> Sample:
    return Sample(
        target=target,
        workload="2 KB",
        round=number,
        good=1000,
        bad=0,
        disordered=0,
        chunks=0,
        seconds=1.0,
        cpu=None if target == "direct" else 300_000.0,
        p50=1.0,
        p99=2.0,
        foreign=0.0,
        trouble="",
    )


def _found(*samples: Sample) -> dict[tuple[str, str], Figure]:
    versus = {"direct": "direct", "modelplex": "direct"}
    figures = Found(versus, samples, []).figures()
    return {(f.title, f.unit): f for f in figures}


def test_cpu_is_divided_by_the_answers_of_its_window() -> None:
    found = _found(_sample("direct", 0), _sample("modelplex", 0))
    values = found["2 KB request", "CPU µs"].values
    assert values == {"direct": None, "modelplex": 300.0}


def test_a_disturbed_window_does_not_count_beside_a_quiet_one() -> None:
    quiet = _sample("modelplex", 0)
    disturbed = attrs.evolve(_sample("modelplex", 1), cpu=900_000.0, foreign=1.0)
    values = _found(quiet, disturbed)["2 KB request", "CPU µs"].values
    assert values["modelplex"] == 300.0


def test_latency_is_added_to_that_of_the_same_round() -> None:
    single = "2 KB, one at a time"
    samples = [
        attrs.evolve(_sample(target, number), workload=single, p50=p50)
        for number, direct in enumerate((1.0, 5.0, 9.0))
        for target, p50 in (("direct", direct), ("modelplex", direct + 0.5))
    ]
    assert _found(*samples)["… added: p50", "ms"].values["modelplex"] == 0.5


def test_the_report_is_valid_and_names_what_misses_its_bar() -> None:
    figures = [
        Figure("Fast enough", "ms", {"modelplex": 1.0, "direct": 0.5}, 1, bar=2),
        Figure("Too slow", "ms", {"modelplex": 3.0}, 1, bar=2),
        Figure("Enough", "", {"modelplex": 10}, bar=10, more_is_better=True),
        Figure("Not measured", "ms", {"modelplex": None}, bar=2),
    ]
    text = render(figures, ["direct", "modelplex"], {"Day": "today"})
    tree = publish_doctree(text, settings_overrides={"halt_level": 2})
    rows = [[c.astext() for c in row.children] for row in tree.findall(nodes.row)]
    assert ["Too slow", "ms", "≤ 2", "\u2013", "3.0"] in rows
    assert len(rows) == 4  # a head, and one row for each that was measured
    assert text.endswith("reaches 2 of 3 bars. Missed: Too slow (3.0 ms, bar ≤ 2).\n")
