"""Renders the figures as a reStructuredText table that also reads well as text."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from benchmarks.figures import Figure

_NONE = "\u2013"
SUBJECT = "modelplex"


def render(
    figures: Sequence[Figure], targets: Sequence[str], facts: Mapping[str, str]
) -> str:
    """
    The report.

    :param facts: what is told of the run, beside its figures.
    """
    head = ["Figure", "Unit", "Bar", *targets]
    rows = [
        [f.title, f.unit or _NONE, _bar(f), *(_cell(f, t) for t in targets)]
        for f in figures
        if any(f.values.get(t) is not None for t in targets)
    ]
    said = [f":{name}: {value}" for name, value in facts.items()]
    return "\n".join([*said, "", *table(head, rows), "", _verdict(figures), ""])


def _cell(figure: Figure, target: str) -> str:
    value = figure.values.get(target)
    return _NONE if value is None else f"{value:,.{figure.digits}f}"


def _bar(figure: Figure) -> str:
    if figure.bar is None:
        return _NONE
    return f"{'≥' if figure.more_is_better else '≤'} {figure.bar:,g}"


def _verdict(figures: Sequence[Figure]) -> str:
    judged = [
        f for f in figures if f.bar is not None and f.values.get(SUBJECT) is not None
    ]
    if not judged:
        return f"No figure of ``{SUBJECT}`` was measured in this run."
    missed = [f for f in judged if f.missed(SUBJECT)]
    if not missed:
        return f"``{SUBJECT}`` reaches every bar."
    names = "; ".join(
        f"{f.title} ({_cell(f, SUBJECT)} {f.unit}, bar {_bar(f)})" for f in missed
    )
    reached = len(judged) - len(missed)
    return f"``{SUBJECT}`` reaches {reached} of {len(judged)} bars. Missed: {names}."


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 2
) -> list[str]:
    """A simple table: so many columns of words to the left, numbers to the right."""
    columns = list(zip(head, *rows, strict=True))
    widths = [max(map(_width, column)) for column in columns]
    rule = "  ".join("=" * width for width in widths)

    def line(cells: Sequence[str]) -> str:
        padded = []
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            space = " " * (width - _width(cell))
            padded.append(cell + space if number < words else space + cell)
        return "  ".join(padded).rstrip()

    return [rule, line(head), rule, *map(line, rows), rule]


def _width(text: str) -> int:
    """Columns on a screen, as docutils counts them."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
