"""The official conformance suite for servers, as a program that is run."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from attrs import frozen

MODULES = Path(__file__).parents[2] / ".venv" / "conformance" / "node_modules"
SUITE = MODULES / "@modelcontextprotocol" / "conformance"
PATIENCE = 240.0  # seconds that a run may take

# A scenario's folder has its name, and when it was run.
_FOLDER = re.compile(r"server-(.+?)-\d{4}-\d\d-\d\dT.*Z")
_FINE = ("SUCCESS", "INFO", "SKIPPED")


@frozen
class Ran:
    """
    What the suite found.

    :ivar passed: scenarios without any complaint.
    :ivar failed: what was wrong, by scenario; warnings count.
    """

    passed: frozenset[str]
    failed: dict[str, list[str]]
    out: str


def need() -> None:
    """Skip where the suite is not installed."""
    if not SUITE.exists():
        pytest.skip("it is not installed: run `make conformance`, which needs npm")


def required(revision: str) -> list[str]:
    """The scenarios that a server of `revision` must pass, as the suite lists them."""
    found: list[str] = []
    section = ""
    for line in (SUITE / "requirements" / f"{revision}.yaml").read_text().splitlines():
        if line.endswith(":") and not line.startswith((" ", "#")):
            section = line[:-1]
        elif section == "server" and line.startswith("  - "):
            found.append(line[4:].strip())
    return found


def run(url: str, revision: str, directory: Path) -> Ran:
    """Let the suite ask the server at `url`."""
    command = [
        *(str(MODULES / ".bin" / "node"), str(SUITE / "dist" / "index.js"), "server"),
        *("--url", url, "--requirements", revision, "-o", str(directory)),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    failed: dict[str, list[str]] = {}
    passed: set[str] = set()
    for folder in directory.iterdir():
        named = _FOLDER.fullmatch(folder.name)
        checks = folder / "checks.json"
        if named is None or not checks.exists():
            continue
        told = _complaints(json.loads(checks.read_text()))
        if told:
            failed[named[1]] = told
        else:
            passed.add(named[1])
    return Ran(frozenset(passed), failed, f"{done.stdout}\n{done.stderr}")


def _complaints(checks: Sequence[dict[str, str]]) -> list[str]:
    told = [
        f"{one['id']}: {one.get('errorMessage', one['status'])}"
        for one in checks
        if one["status"] not in _FINE
    ]
    return told if checks else ["nothing was checked"]
