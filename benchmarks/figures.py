"""From samples to the figures that are published, each beside its bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import frozen

from benchmarks.samples import Alone, Sample
from benchmarks.stats import median

MB = 1_000_000
_QUIET = 0.3  # cores; windows in which others used more count only if all did


@frozen
class Figure:
    """One row of the report: a value for every target that has one."""

    title: str
    unit: str
    values: Mapping[str, float | None]
    digits: int = 0
    bar: float | None = None  # what Modelplex must reach; `None`: only told
    more_is_better: bool = False

    def missed(self, target: str) -> bool:
        """Whether the target has a value, and it does not reach the bar."""
        value = self.values.get(target)
        if value is None or self.bar is None:
            return False
        return value < self.bar if self.more_is_better else value > self.bar


@frozen
class Found:
    """Everything that was measured."""

    versus: Mapping[str, str]  # target -> the direct one it is compared with
    samples: Sequence[Sample]
    alone: Sequence[Alone]

    def figures(self) -> list[Figure]:
        """All rows, in the order of the report."""
        return [*self._cpu(), *self._speed(), *self._alone(), self._bad()]

    def _cpu(self) -> Iterable[Figure]:
        for title, workload, bar in (
            ("2 KB request", "2 KB", 450),
            ("98 KB request", "98 KB", 600),
            ("200 KB request", "200 KB", None),
            ("1 MB request", "1 MB", None),
            ("200 KB request, translated to Anthropic", "200 KB to Anthropic", None),
            ("98 KB request + 500 chunks", "98 KB + 500 chunks", 5000),
        ):
            values = self._median(workload, _cpu_per_answer)
            yield Figure(title, "CPU µs", values, bar=bar)
        for title, workload, bar in (
            ("Relayed chunk", "relayed", 8),
            ("Relayed chunk, usage not asked for", "relayed, no usage asked", 8),
            ("Chunk translated from Anthropic", "from Anthropic", 25),
            ("Chunk translated from Ollama", "from Ollama", 25),
        ):
            values = self._median(workload, _cpu_per_chunk)
            yield Figure(title, "CPU µs", values, digits=1, bar=bar)

    def _speed(self) -> Iterable[Figure]:
        single = "2 KB, one at a time"
        latency = self._median(single, lambda s: s.p50)
        yield Figure("Latency, 2 KB, one at a time: p50", "ms", latency, 3)
        p50 = self._against(single, lambda s: s.p50, lambda a, b: a - b)
        yield Figure("… added: p50", "ms", p50, 3, bar=0.6)
        p99 = self._against(single, lambda s: s.p99, lambda a, b: a - b)
        yield Figure("… added: p99", "ms", p99, 3, bar=2)
        for title, workload, rate in (
            ("2 KB, 16 at a time", "2 KB", _answer_rate),
            ("98 KB, 16 at a time", "98 KB", _answer_rate),
            ("1 MB, 4 at a time", "1 MB", _answer_rate),
            ("32 streams of 500 chunks", "relayed", _chunk_rate),
            ("… translated from Anthropic", "from Anthropic", _chunk_rate),
        ):
            unit = "requests/s" if rate is _answer_rate else "chunks/s"
            yield Figure(title, unit, self._median(workload, rate))
            of_direct = self._against(workload, rate, lambda a, b: 100 * a / b)
            yield Figure("… of direct", "%", of_direct, 1)

    def _alone(self) -> Iterable[Figure]:
        def row(value: Callable[[Alone], float | None]) -> dict[str, float | None]:
            return {a.target: value(a) for a in self.alone}

        asked = max((a.held + a.held_bad for a in self.alone), default=0)
        slow = f"{asked:,} slow streams"
        served = row(lambda a: a.held)
        yield Figure(
            f"{slow}: whole, in order", "", served, bar=asked, more_is_better=True
        )
        yield Figure(f"{slow}: open at once", "", row(lambda a: a.held_open))
        yield Figure(
            f"{slow}: first byte p50", "ms", row(lambda a: a.held_first_p50), 1
        )
        yield Figure(
            f"{slow}: first byte p99", "ms", row(lambda a: a.held_first_p99), 1
        )
        memory = row(lambda a: _per(a.held_memory, a.held_open * 1000))
        yield Figure("Memory of an open stream", "KB", memory, 1, bar=40)
        starts = row(lambda a: median(a.starts))
        yield Figure("Start to first 200", "s", starts, 2, bar=1)
        yield Figure("Idle memory", "MB", row(lambda a: _per(a.idle, MB)), 1, bar=80)
        lasted = row(lambda a: a.drift_requests or None)
        yield Figure("Endurance: 2 KB requests sent", "", lasted)
        drift = row(lambda a: _per(a.drift, MB))
        yield Figure("… growth of memory", "MB", drift, 2, bar=1)

    def _bad(self) -> Figure:
        bad: dict[str, float | None] = {}
        for sample in self.samples:
            bad[sample.target] = (bad.get(sample.target) or 0) + sample.bad
        for alone in self.alone:
            bad[alone.target] = (bad.get(alone.target) or 0) + alone.held_bad
        return Figure("Answers missing or wrong, of all", "", bad, bar=0)

    def _median(
        self, workload: str, value: Callable[[Sample], float | None]
    ) -> dict[str, float | None]:
        found = {}
        for target in self.versus:
            windows = [
                s for s in self.samples if s.target == target and s.workload == workload
            ]
            quiet = [s for s in windows if s.foreign <= _QUIET]
            found[target] = median(map(value, quiet or windows))
        return found

    def _against(
        self,
        workload: str,
        value: Callable[[Sample], float | None],
        compare: Callable[[float, float], float],
    ) -> dict[str, float | None]:
        """The median of what each round says beside its own direct sample."""
        by_round = {
            (s.target, s.round): s for s in self.samples if s.workload == workload
        }
        found: dict[str, float | None] = {}
        for target, direct in self.versus.items():
            if target == direct:
                continue
            pairs = [
                (sample, by_round[direct, number])
                for (name, number), sample in by_round.items()
                if name == target and (direct, number) in by_round
            ]
            quiet = [p for p in pairs if all(s.foreign <= _QUIET for s in p)]
            values = [(value(ours), value(its)) for ours, its in quiet or pairs]
            found[target] = median(
                compare(a, b) for a, b in values if a is not None and b
            )
        return found


def _cpu_per_answer(sample: Sample) -> float | None:
    return _per(sample.cpu, sample.good)


def _cpu_per_chunk(sample: Sample) -> float | None:
    return _per(sample.cpu, sample.chunks)


def _answer_rate(sample: Sample) -> float | None:
    return _per(sample.good, sample.seconds)


def _chunk_rate(sample: Sample) -> float | None:
    return _per(sample.chunks, sample.seconds)


def _per(amount: float | None, count: float) -> float | None:
    return amount / count if amount is not None and count else None
