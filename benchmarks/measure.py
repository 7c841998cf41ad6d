"""Runs everything: one target alone at first, then all of them in turn."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from attrs import define

from benchmarks.children import ChildFailed
from benchmarks.load import Tally, closed_loop, hold
from benchmarks.meter import CpuMeter
from benchmarks.running import Running
from benchmarks.samples import Alone, Sample
from benchmarks.stats import percentile
from benchmarks.targets import Target
from benchmarks.workloads import BUSY, WORKLOADS, Plan, Workload, slow

_WARM = 0.2  # seconds of each workload before its first window


@define(eq=False)
class Bench:
    """Carries out a plan against what runs."""

    running: Running
    plan: Plan
    say: Callable[[str], None]  # how far we are

    async def each_alone(self, targets: Sequence[Target]) -> list[Alone]:
        """`alone` for each; one that fails is given up."""
        found = []
        for target in targets:
            self.say(f"{target.name} alone")
            try:
                found.append(await self.alone(target))
            except (ChildFailed, OSError) as e:
                self.running.give_up(target, str(e))
        return found

    async def alone(self, target: Target) -> Alone:
        """
        Start-up, idle memory, drift and held streams; leaves the target running.

        Memory is read in this order because a heap that once was large hides growth.

        :raises ChildFailed: when it does not start.
        """
        plan, memory = self.plan, self.running.memory
        times = 1 if target.is_direct else plan.starts
        starts = [await self.running.start(target) for _ in range(times)]
        await asyncio.sleep(plan.idle)
        idle = memory(target)
        drift, before = Tally(), None
        if idle is not None:
            await self._window(target, BUSY, plan.drift_window, plan.warm)
            before = memory(target)
            drift, _ = await self._window(target, BUSY, plan.drift_window, plan.drift)
        after = memory(target)
        held, peak = await self._hold(target)
        firsts = sorted(held.firsts)
        return Alone(
            target=target.name,
            starts=[] if target.is_direct else starts,
            idle=idle,
            drift_requests=drift.good,
            drift=_growth(before, after),
            held=held.good,
            held_bad=held.bad,
            held_disordered=held.disordered,
            held_open=held.most_open,
            held_first_p50=percentile(firsts, 50) * 1000 if firsts else None,
            held_first_p99=percentile(firsts, 99) * 1000 if firsts else None,
            held_memory=_growth(after, peak),
            trouble=drift.trouble or held.trouble,
        )

    async def in_turn(self, targets: Sequence[Target]) -> list[Sample]:
        """Every workload through every target, forwards and backwards by rounds."""
        samples = []
        for number in range(self.plan.rounds):
            self.say(f"round {number + 1} of {self.plan.rounds}")
            order = targets if number % 2 == 0 else targets[::-1]
            for workload in WORKLOADS:
                for target in order:
                    if target.name in self.running.failures:
                        continue
                    if workload.translated and not target.translates:
                        continue
                    try:
                        samples.append(await self._sample(target, workload, number))
                    except OSError as e:  # nobody listens any more
                        self.running.give_up(target, repr(e))
        return samples

    async def _sample(self, target: Target, workload: Workload, number: int) -> Sample:
        if number == 0:
            await self._window(target, workload, _WARM)
        tally, meter = await self._window(target, workload, self.plan.window)
        cpu = None if target.is_direct else meter.used
        names = (target.name, workload.name, number)
        return Sample.of(names, tally, cpu, meter.foreign)

    async def _window(
        self, target: Target, workload: Workload, seconds: float, requests: int = 0
    ) -> tuple[Tally, CpuMeter]:
        meter = CpuMeter(self.running.upstream_pids(), self.running.pids(target))
        with _no_collection():
            tally = await closed_loop(
                target.address,
                workload.payload(target),
                meter,
                concurrency=workload.concurrency,
                seconds=seconds,
                requests=requests,
                chunks=workload.chunks,
            )
        return tally, meter

    async def _hold(self, target: Target) -> tuple[Tally, int | None]:
        """The slow streams, and the most memory seen meanwhile."""
        peaks: list[int] = []
        workload = slow(self.plan)
        with _no_collection():
            tally = await hold(
                target.address,
                workload.payload(target),
                streams=workload.concurrency,
                ramp=self.plan.ramp,
                lasting=workload.chunks * workload.interval / 1000,
                chunks=workload.chunks,
                watch=lambda: peaks.append(self.running.memory(target) or 0),
            )
        return tally, max(peaks, default=None)


def _growth(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before


@contextmanager
def _no_collection() -> Iterator[None]:
    """Our own garbage collection would be counted as the target's latency."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
