"""
``python -m benchmarks tools``: what a small call of a tool costs, by every way to it.

One server, which only says what it was told, behind everything that is compared. The
ways take turns, forwards and then backwards.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from itertools import count
from pathlib import Path

import attrs
from attrs import define, field, frozen

from benchmarks import procfs
from benchmarks.__main__ import machine
from benchmarks.children import Child, ChildFailed
from benchmarks.meter import CpuMeter
from benchmarks.report import table
from benchmarks.stats import median, percentile
from benchmarks.tool_targets import (
    ToolTarget,
    direct,
    environment,
    fastmcp,
    mcp_proxy,
    modelplex,
)
from benchmarks.tool_ways import CallFailed, Calling, Way

MANY = 16  # callers
QUIET = 0.3  # cores that others may use
DIRECT = "direct: pipes"
_READY = 60.0  # seconds until the first answer
_ANSWER = 30.0  # seconds for one
_numbers = count(1)


@frozen
class Window:
    """
    What came of one way in one window; times in ms.

    :ivar rate: calls a second.
    :ivar foreign: cores that others on the machine used meanwhile.
    """

    way: str
    callers: int
    calls: int
    bad: int
    rate: float
    p50: float
    p99: float
    foreign: float = 0.0
    trouble: str = ""


@define(eq=False)
class Ways:
    """Every way, while what it leads through runs."""

    directory: Path
    open: dict[str, Way] = field(factory=dict)
    failures: dict[str, str] = field(factory=dict)
    _stack: ExitStack = field(factory=ExitStack)

    async def start(self, target: ToolTarget) -> None:
        """Start `target` and wait until each of its ways works."""
        child = None
        if target.command:
            child = Child.spawn(
                target.name, target.command, self.directory, environment(target)
            )
            self._stack.callback(child.stop)
        for name, way in target.ways.items():
            try:
                await _first(way, child)
            except (ChildFailed, CallFailed, OSError, TimeoutError) as e:
                tail = child.tail() if child else ""
                self.failures[name] = f"{e!r}\n{tail}"
            else:
                self.open[name] = way

    def close(self) -> None:
        """End everything."""
        self._stack.close()


async def _first(way: Way, child: Child | None) -> None:
    """Wait for a first answer."""
    give_up = time.monotonic() + _READY
    while True:
        if child is not None:
            child.check()
        try:
            async with asyncio.timeout(_ANSWER):
                calling = await way.open()
                try:
                    await calling.call(next(_numbers))
                finally:
                    await calling.close()
            return
        except (CallFailed, OSError, TimeoutError):
            if time.monotonic() > give_up:
                raise
        await asyncio.sleep(0.1)


async def window(name: str, way: Way, callers: int, seconds: float) -> Window:
    """Keep so many calls under way for so long; what was begun is finished."""
    shared = await way.open() if name == DIRECT else None
    each = [shared or await way.open() for _ in range(callers)]
    times: list[float] = []
    troubles: list[str] = []
    meter = CpuMeter((), procfs.tree(os.getpid())[1:])
    meter.begin()
    began = time.perf_counter()

    async def work(calling: Calling) -> None:
        while (begun := time.perf_counter()) - began < seconds:
            try:
                async with asyncio.timeout(_ANSWER):
                    await calling.call(next(_numbers))
            except (CallFailed, OSError, TimeoutError) as e:
                troubles.append(repr(e))
                await asyncio.sleep(0.01)
            else:
                times.append(time.perf_counter() - begun)

    await asyncio.gather(*(work(calling) for calling in each))
    took = time.perf_counter() - began
    meter.end()
    for calling in {id(one): one for one in each}.values():
        await calling.close()
    ordered = sorted(times) or [float("nan")]
    return Window(
        name,
        callers,
        len(times),
        len(troubles),
        len(times) / took,
        percentile(ordered, 50) * 1000,
        percentile(ordered, 99) * 1000,
        meter.foreign,
        troubles[0] if troubles else "",
    )


async def measure(ways: Ways, rounds: int, seconds: float) -> list[Window]:
    """Every way with one caller and with many, in each round."""
    for name, way in ways.open.items():
        await window(name, way, MANY, 0.3)  # warm
    found = []
    for number in range(rounds):
        turn = list(ways.open.items())
        for name, way in turn if number % 2 == 0 else reversed(turn):
            for callers in (1, MANY):
                found.append(await window(name, way, callers, seconds))
    return found


def figures(windows: Sequence[Window], ways: Sequence[str]) -> list[list[str]]:
    """
    A row for each way; medians over the rounds.

    A window in which others used the machine counts only when there is no quieter one.
    """

    def middle(way: str, callers: int, what: str) -> float | None:
        told = [w for w in windows if w.way == way and w.callers == callers]
        quiet = [one for one in told if one.foreign <= QUIET]
        return median(getattr(one, what) for one in quiet or told)

    def added(way: str) -> float | None:
        ours, theirs = middle(way, 1, "p50"), middle(DIRECT, 1, "p50")
        return None if ours is None or theirs is None else ours - theirs

    rows = []
    for way in ways:
        bad = sum(one.bad for one in windows if one.way == way)
        cells = (
            (middle(way, 1, "p50"), 2),
            (None if way == DIRECT else added(way), 2),
            (middle(way, 1, "p99"), 2),
            (middle(way, MANY, "rate"), 0),
            (middle(way, MANY, "p99"), 1),
            (bad, 0),
        )
        rows.append([way, *(_cell(value, digits) for value, digits in cells)])
    return rows


def _cell(value: float | None, digits: int) -> str:
    return "\u2013" if value is None else f"{value:,.{digits}f}"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; leaves with status 2 when it makes no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks tools", description=__doc__
    )
    parser.add_argument("--quick", action="store_true", help="one round, short")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all windows")
    parser.add_argument("--rst", type=Path, metavar="FILE", help="the report")
    parser.add_argument(
        "--mcp-proxy",
        metavar="PATH",
        default=os.environ.get("BENCH_MCP_PROXY", ""),
        help="mcp-proxy's executable; measures it too (default: $BENCH_MCP_PROXY)",
    )
    parser.add_argument(
        "--fastmcp",
        metavar="PATH",
        default=os.environ.get("BENCH_FASTMCP", ""),
        help="a Python with FastMCP; measures its proxy (default: $BENCH_FASTMCP)",
    )
    return parser.parse_args(arguments)


def facts(
    options: argparse.Namespace,
    rounds: int,
    seconds: float,
    windows: Sequence[Window],
) -> dict[str, str]:
    """What is told of the run."""
    foreign = [one.foreign for one in windows]
    others = f"{median(foreign) or 0:.2f} cores, at most {max(foreign, default=0):.2f}"
    flags = ["--quick"] * options.quick
    flags += ["--mcp-proxy PATH"] * bool(options.mcp_proxy)
    flags += ["--fastmcp PATH"] * bool(options.fastmcp)
    versions = ", ".join(f"{name} {version(name)}" for name in ("modelplex", "twisted"))
    for program, name in (
        (options.mcp_proxy, "mcp-proxy"),
        (options.fastmcp, "fastmcp"),
    ):
        if program:
            versions += f", {name} {_version(program, name)}"
    return {
        "Command": f"``{' '.join(['python -m benchmarks tools', *flags])}``",
        "Day": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "Machine": machine(),
        "Software": f"Python {platform.python_version()}, {versions}",
        "Rounds": f"{rounds}, each window {seconds:g} s, medians",
        "Others on the machine": others,
    }


def _version(program: str, name: str) -> str:
    """The version of a package in the environment that `program` is of."""
    python = Path(program).absolute().with_name("python")
    asked = f"import importlib.metadata as m; print(m.version({name!r}))"
    done = subprocess.run([python, "-c", asked], capture_output=True, text=True)
    return done.stdout.strip() or "?"


HEAD = (
    "Way to the tool",
    "p50, ms",
    "added, ms",
    "p99, ms",
    f"calls/s at {MANY}",
    f"p99 at {MANY}, ms",
    "wrong",
)


async def _run(
    options: argparse.Namespace, ways: Ways, rounds: int, seconds: float
) -> list[Window]:
    targets = [direct(), modelplex(ways.directory)]
    if options.mcp_proxy:
        targets.append(mcp_proxy(str(Path(options.mcp_proxy).absolute())))
    if options.fastmcp:
        targets.append(fastmcp(str(Path(options.fastmcp).absolute())))
    for target in targets:
        await ways.start(target)
    return await measure(ways, rounds, seconds)


def main(arguments: Sequence[str]) -> int:
    """0 when everything asked for was measured, 1 when a way failed."""
    options = parse(arguments)
    rounds, seconds = (1, 1.0) if options.quick else (5, 2.0)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        ways = Ways(Path(directory))
        try:
            windows = asyncio.run(_run(options, ways, rounds, seconds))
        finally:
            ways.close()
    told = facts(options, rounds, seconds, windows)
    rows = figures(windows, list(ways.open))
    said = [f":{name}: {value}" for name, value in told.items()]
    report = "\n".join([*said, "", *table(HEAD, rows, words=1), ""])
    print(report)
    for name, why in ways.failures.items():
        print(f"{name} FAILED: {why}", file=sys.stderr)
    for one in windows:
        if one.trouble:
            print(f"{one.way}, {one.callers}: {one.trouble}", file=sys.stderr)
    if options.rst:
        options.rst.write_text(report)
    if options.json:
        content = {"facts": told, "windows": [attrs.asdict(one) for one in windows]}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    return 1 if ways.failures else 0
