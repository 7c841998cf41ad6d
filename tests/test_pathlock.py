"""A lock on a path has one owner, although its file comes and goes."""

from __future__ import annotations

import fcntl
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelplex.errors import StartError
from modelplex.pathlock import PathLock


def test_a_taken_lock_names_its_owner_and_a_released_one_leaves_nothing(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "s")
    lock = PathLock.taken(path)
    with pytest.raises(StartError, match=f"already served by process {os.getpid()}$"):
        PathLock.taken(path)
    lock.release()
    assert os.listdir(tmp_path) == []
    PathLock.taken(path).release()


def test_a_lock_whose_owner_died_is_taken(tmp_path: Path) -> None:
    (tmp_path / "s.lock").write_text("12345678901234567890\n")
    lock = PathLock.taken(str(tmp_path / "s"))
    assert (tmp_path / "s.lock").read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_lock_that_its_owner_removes_meanwhile_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = tmp_path / "s.lock"
    flock = fcntl.flock
    removals = iter([name.unlink])

    def late_flock(fd: int, operation: int) -> None:
        for remove in removals:
            remove()
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", late_flock)
    lock = PathLock.taken(str(tmp_path / "s"))
    assert name.read_text() == f"{os.getpid()}\n"
    lock.release()


def test_two_never_own_it_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    owners = 0
    most = 0
    taken = 0
    counting = threading.Lock()

    def contend() -> None:
        nonlocal owners, most, taken
        for _ in range(500):
            try:
                lock = PathLock.taken(path)
            except StartError:
                continue
            with counting:
                taken += 1
                owners += 1
                most = max(most, owners)
            with counting:
                owners -= 1
            lock.release()

    with ThreadPoolExecutor(4) as threads:
        for contender in [threads.submit(contend) for _ in range(4)]:
            contender.result()
    assert taken > 4
    assert most == 1
