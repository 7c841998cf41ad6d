"""
``python -m benchmarks``: measure, print the report, write it where asked.

``python -m benchmarks micro`` times the codecs alone, ``python -m benchmarks tools``
calls of tools.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import attrs

from benchmarks.children import ChildFailed
from benchmarks.figures import Found
from benchmarks.measure import Bench
from benchmarks.report import render
from benchmarks.running import Running
from benchmarks.stats import median
from benchmarks.targets import KINDS, make
from benchmarks.workloads import FULL, QUICK, Plan

_SHOWN = ("modelplex", "twisted", "klein", "treq", "msgspec")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; leaves with status 2 when it makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute, one round")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all samples")
    parser.add_argument("--rst", type=Path, metavar="FILE", help="the report")
    parser.add_argument(
        "--targets",
        default="direct,bare,modelplex",
        help="comma-separated, of: " + ", ".join(KINDS),
    )
    parser.add_argument(
        "--litellm",
        metavar="PATH",
        default=os.environ.get("BENCH_LITELLM", ""),
        help="LiteLLM's executable; measures it too (default: $BENCH_LITELLM)",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of windows")
    known = parser.parse_args(arguments)
    known.targets = [t for t in known.targets.split(",") if t]
    if known.litellm:
        known.litellm = str(Path(known.litellm).absolute())
        known.targets += ["direct-tcp", "litellm"]
    known.targets = list(dict.fromkeys(["direct", *known.targets]))
    for name in known.targets:
        if name not in KINDS:
            parser.error(f"no target {name!r}; there are {', '.join(KINDS)}")
    if "litellm" in known.targets and not known.litellm:
        parser.error("litellm needs --litellm PATH")
    return known


async def measure(bench: Bench, names: Sequence[str], litellm: str) -> Found:
    """
    Run the whole plan.

    :raises ChildFailed: when not even the upstream starts.
    :raises TimeoutError: when the plan's limit has passed.
    """
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with asyncio.timeout(bench.plan.limit):
        upstream = await bench.running.start_upstream()
        targets = [make(n, bench.running.directory, upstream, litellm) for n in names]
        alone = await bench.each_alone(targets)
        left = [t for t in targets if t.name not in bench.running.failures]
        samples = await bench.in_turn(left)
    return Found({t.name: t.versus for t in targets}, samples, alone)


def facts(found: Found, plan: Plan, options: argparse.Namespace) -> dict[str, str]:
    """What is told of the run: when, where, of what, how."""
    flags = ["--quick"] * options.quick
    flags += ["--litellm PATH"] * bool(options.litellm)
    foreign = [s.foreign for s in found.samples]
    others = f"{median(foreign) or 0:.2f} cores, at most {max(foreign, default=0):.2f}"
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    versions = ", ".join(f"{name} {version(name)}" for name in _SHOWN)
    if options.litellm:
        versions += f", litellm {says_version(options.litellm)}"
    return {
        "Command": f"``{' '.join(['python -m benchmarks', *flags])}``",
        "Day": today,
        "Machine": machine(),
        "Software": f"Python {platform.python_version()}, {versions}",
        "Rounds": f"{plan.rounds}, each window {plan.window:g} s, medians",
        "Others on the machine": others,
    }


def machine() -> str:
    """What machine this is."""
    return f"{os.cpu_count()} cores, {_processor()}, Linux {platform.release()}"


def says_version(program: str) -> str:
    """The last word of what ``--version`` prints."""
    asked = [program, "--version"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    return (done.stdout.split() or ["?"])[-1]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _write_json(
    path: Path, found: Found, told: Mapping[str, str], failed: object
) -> None:
    content = {
        "facts": told,
        "failures": failed,
        "figures": [attrs.asdict(f) for f in found.figures()],
        "alone": [attrs.asdict(a) for a in found.alone],
        "samples": [attrs.asdict(s) for s in found.samples],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def main(arguments: Sequence[str]) -> int:
    """0 when everything asked for was measured, 1 when a target failed."""
    options = parse(arguments)
    plan = QUICK if options.quick else FULL
    if options.rounds:
        plan = attrs.evolve(plan, rounds=options.rounds)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def say(what: str) -> None:
        print(what, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        running = Running(Path(directory))
        bench = Bench(running, plan, say)
        try:
            found = asyncio.run(measure(bench, options.targets, options.litellm))
        except (ChildFailed, TimeoutError, asyncio.CancelledError) as e:
            say(f"stopped: {e!r}")
            return 1
        finally:
            running.close()
    told = facts(found, plan, options)
    report = render(found.figures(), options.targets, told)
    print(report)
    for name, why in running.failures.items():
        say(f"{name} FAILED: {why}")
    for alone in found.alone:
        if alone.trouble:
            say(f"{alone.target} alone: {alone.trouble}")
    for sample in found.samples:
        if sample.trouble:
            say(f"{sample.target}, {sample.workload}: {sample.trouble}")
    if options.json:
        _write_json(options.json, found, told, running.failures)
    if options.rst:
        options.rst.write_text(report)
    return 1 if running.failures else 0


def _micro() -> int:
    from benchmarks import micro  # the rest runs without Modelplex's modules

    return micro.main()


def _run(arguments: Sequence[str]) -> int:
    match arguments:
        case ["micro"]:
            return _micro()
        case ["tools", *more]:
            from benchmarks import tools

            return tools.main(more)
    return main(arguments)


if __name__ == "__main__":
    sys.exit(_run(sys.argv[1:]))
