"""What processes cost, as the kernel counts it (Linux)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """The process and all its descendants that live now."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = _stat(int(entry))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry))
    found = [root]
    for pid in found:  # grows while it is walked
        found.extend(children.get(pid, ()))
    return found


def cpu_ns(pids: Iterable[int]) -> int:
    """
    CPU time used so far, in nanoseconds, all threads, dead ones included.

    Taken from the CPU-time clock of each process (``clock_getcpuclockid(3)``): the sum
    that ``/proc/PID/stat`` shows in units of 10 ms, in nanoseconds.
    """
    total = 0
    for pid in pids:
        try:
            total += time.clock_gettime_ns((~pid << 3) | 2)  # CPUCLOCK_SCHED
        except OSError:  # it has ended
            continue
    return total


def rss(pids: Iterable[int]) -> int:
    """Resident memory in bytes."""
    total = 0
    for pid in pids:
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
        except (OSError, IndexError):
            continue
    return total


def busy_ns() -> int:
    """CPU time of the whole machine that was not idle, in nanoseconds."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = list(map(int, file.readline().split()[1:9]))
    idle, waiting = fields[3:5]
    return (sum(fields) - idle - waiting) * (1_000_000_000 // _TICK)


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` after the name: state, parent, …"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
