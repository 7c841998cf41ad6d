"""Child processes that are gone when the measurement is."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from attrs import define

from benchmarks import procfs

_STOP = 5.0  # seconds to end after SIGTERM, then SIGKILL
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class ChildFailed(Exception):
    """A child did not do what it was started for; its log says more."""


@define(eq=False)
class Child:
    """A running program, in a session of its own, its output in a file."""

    name: str
    log: Path
    _process: subprocess.Popen[bytes]

    @classmethod
    def spawn(
        cls,
        name: str,
        command: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
    ) -> Child:
        """
        Start `command`; its working directory and its log are in `directory`.

        :raises ChildFailed: when there is no such program.
        """
        log = directory / f"{name}.log"
        try:
            with log.open("wb") as file:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=directory,
                    start_new_session=True,
                    preexec_fn=_end_with_parent,
                )
        except OSError as e:
            raise ChildFailed(f"{name} cannot be started: {e}") from None
        return cls(name, log, process)

    def pids(self) -> list[int]:
        """The process and its descendants."""
        return procfs.tree(self._process.pid)

    def tail(self) -> str:
        """The last lines it wrote."""
        text = self.log.read_bytes()[-4000:].decode(errors="replace")
        return "\n".join(text.splitlines()[-20:])

    def check(self) -> None:
        """:raises ChildFailed: when it has ended."""
        code = self._process.poll()
        if code is not None:
            raise ChildFailed(f"{self.name} ended with {code}")

    def stop(self) -> None:
        """End it and everything it started; returns when it is gone."""
        if self._process.poll() is None:
            self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP)
        with suppress(ProcessLookupError):  # its session, leader or not
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(_STOP)


def _end_with_parent() -> None:
    """In the child, before exec: SIGTERM when the parent dies, however it dies."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
