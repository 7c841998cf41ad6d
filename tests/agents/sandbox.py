"""A place without a network where an agent works: a home, a project, one socket."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from attrs import frozen

BIN = Path(__file__).parents[2] / ".venv" / "agents" / "node_modules" / ".bin"
GUEST = Path(__file__).with_name("guest.py")
PORT = 8080  # in a namespace of its own, where nothing else listens
URL = f"http://127.0.0.1:{PORT}"
# Namespaces for the network and for processes: the end of the command is the end of
# everything that it has started.
ALONE = ("unshare", "-rnpf", "--mount-proc", "--kill-child")
PATIENCE = 50.0  # seconds that a command may take


@frozen
class Ran:
    """
    What a command did.

    :ivar traffic: what went through its loopback port, in both directions.
    """

    status: int
    out: str
    err: str
    traffic: bytes


@frozen
class Sandbox:
    """
    A guest's own side.

    :ivar socket: the UNIX socket that is its only way out.
    """

    directory: Path
    socket: str

    @property
    def home(self) -> Path:
        """Where its settings are."""
        return self.directory / "home"

    @property
    def project(self) -> Path:
        """Where it works."""
        return self.directory / "project"

    def settle(self, files: Mapping[str, str]) -> None:
        """Make the home, with `files` by path."""
        self.home.mkdir()
        for name, text in files.items():
            path = self.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def run(self, command: Sequence[str], environ: Mapping[str, str]) -> Ran:
        """
        Run `command` in there, and wait for it.

        :param environ: all of its environment, but for where things are.
        """
        traffic = self.directory / "traffic"
        forwarded = (str(GUEST), self.socket, str(PORT), str(traffic))
        done = subprocess.run(
            [*ALONE, sys.executable, *forwarded, *command],
            cwd=self.project,
            env={
                "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(self.home),
                "LANG": "C.UTF-8",
                "NO_PROXY": "127.0.0.1,localhost",
                **environ,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
        )
        return Ran(
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
            traffic.read_bytes(),
        )


def need_namespaces() -> None:
    """Skip where nothing can be kept from the network."""
    why = "an agent is run only where it is certain that it has no network"
    if shutil.which(ALONE[0]) is None:
        pytest.skip(f"{why}, and unshare is not installed")
    tried = subprocess.run([*ALONE, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"{why}, and there are no namespaces here: {tried.stderr.strip()}")


def need(program: str) -> None:
    """Skip where the agent is not installed, or has to be kept from the network."""
    if not (BIN / program).exists():
        pytest.skip(f"{program} is not installed: run `make agents`, which needs npm")
    need_namespaces()
