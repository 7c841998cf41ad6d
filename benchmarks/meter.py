"""Reads the clocks at both ends of a window."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from attrs import define

from benchmarks import procfs


@define(eq=False)
class CpuMeter:
    """The CPU time of some processes over one window."""

    upstream: Sequence[int]
    target: Sequence[int]
    used: float = 0.0  # µs, by the target
    foreign: float = 0.0  # cores, by neither the target, the upstream nor the load
    _start: tuple[int, int, int] = (0, 0, 0)

    def begin(self) -> None:
        """Nothing has been sent yet."""
        self._start = self._read()

    def end(self) -> None:
        """Everything has been answered."""
        ends = zip(self._start, self._read(), strict=True)
        used, foreign, wall = (now - then for then, now in ends)
        self.used = used / 1000
        self.foreign = max(0.0, foreign / max(wall, 1))

    def _read(self) -> tuple[int, int, int]:
        """The target's, everybody else's and the wall clock, in nanoseconds."""
        target = procfs.cpu_ns(self.target)
        ours = target + procfs.cpu_ns((*self.upstream, os.getpid()))
        return target, procfs.busy_ns() - ours, time.monotonic_ns()
