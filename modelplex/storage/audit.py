"""
The record of what was done with tools: lines that hold each other in place.

Each line is a JSON object with a number, the hash of the line before it and a hash of
itself (SHA-256 over its own bytes up to that hash), so that a line which is changed,
missing, added or moved is found by `modelplex.storage.auditcheck.verify`. Beside the
log, in ``<file>.head``, is the number and hash of the last line, so that lines missing
from the end are found too. The chain goes on over the files that are put aside when one
is full.

There is no key in it. Whoever can write to both files can write a whole chain anew, or
delete all of it; what finds that is a head that was written down elsewhere (``modelplex
log verify --head``).

A line is written with one call, to a file opened for appending, before the head is.
With ``sync="each"`` both are on the disk before `AuditLog.write` returns; with
``"never"`` the system writes them when it likes, and after a power cut the log may end
before its head, which is reported as missing lines. A process that dies loses nothing.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any, Literal

from attrs import define, field

from modelplex.errors import StorageError
from modelplex.storage import files
from modelplex.storage.auditline import FIRST, HEAD_SIZE, Head, read_line
from modelplex.wire.canonicaljson import canonical

Sync = Literal["each", "never"]
Report = Callable[[str], None]

_LAST = 4 << 20  # bytes at the end of a log among which its last line is
_NUMBERED = re.compile(r"\.([0-9]{6,12})$")


@define(eq=False)
class AuditLog:
    """
    Appends lines to one file, which no other process may open meanwhile.

    :ivar max_size: bytes after which the file is put aside.
    :ivar keep: how many of those are kept.
    :ivar now: seconds since the epoch.
    """

    path: str
    _now: Callable[[], float]
    report: Report
    _sync: Sync = "never"
    _max_size: int = 64 << 20
    _keep: int = 20
    _fsync: Callable[[int], None] = os.fsync
    _fd: int = field(default=-1, init=False)
    _head_fd: int = field(default=-1, init=False)
    _head: Head = field(default=FIRST, init=False)
    _size: int = field(default=0, init=False)

    @classmethod
    def opened(
        cls,
        path: str,
        now: Callable[[], float],
        report: Report,
        *,
        sync: Sync = "never",
        max_size: int = 64 << 20,
        keep: int = 20,
        fsync: Callable[[int], None] = os.fsync,
    ) -> AuditLog:
        """
        Go on with the log at `path`, or begin one.

        :param report: is told, in one line, when its end is not what it should be; the
            log then goes on with a line that says so, at which `verify` stops.
        :raises StorageError: it cannot be written, or another process has it.
        """
        log = cls(path, now, report, sync, max_size, keep, fsync)
        try:
            log._open()
        except OSError as e:
            log.close()
            raise StorageError(f"{path}: cannot be opened: {e.strerror}") from None
        except StorageError:
            log.close()
            raise
        return log

    @property
    def head(self) -> Head:
        """The last line."""
        return self._head

    def write(self, kind: str, members: Mapping[str, Any]) -> str:
        """
        Append a line; returns its number, by which it is found.

        :param members: JSON, redacted already; what cannot be told in JSON is left
            out, and so are the names that the chain itself uses.
        :raises StorageError: it is not in the log, so what it tells of must not be.
        """
        if self._fd < 0:
            raise StorageError(f"{self.path}: is closed")
        number = self._head.number + 1
        told = {
            **{key: value for key, value in members.items() if _can_be_told(value)},
            "number": number,
            "time": round(self._now(), 3),
            "kind": kind,
            "prev": self._head.hash,
        }
        text = canonical(told)[:-1]
        hash = sha256(text).hexdigest()
        line = text + b',"hash":"' + hash.encode("ascii") + b'"}\n'
        try:
            self._check_same()
            self._append(line)
            self._head = Head(number, hash)
            self._note_head()
            if self._size >= self._max_size:
                self._rotate()
        except OSError as e:
            raise StorageError(
                f"{self.path}: cannot be written: {e.strerror}"
            ) from None
        return str(number)

    def close(self) -> None:
        """Bring everything to the disk and let others have the log."""
        for fd in (self._fd, self._head_fd):
            if fd >= 0:
                with suppress(OSError):
                    self._fsync(fd)
                os.close(fd)
        self._fd = self._head_fd = -1

    def _check_same(self) -> None:
        """A file that nobody finds any more records nothing."""
        ours = os.fstat(self._fd)
        try:
            there = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            there = None
        if there is None or (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            raise StorageError(
                f"{self.path}: was removed or replaced; nothing can be recorded until "
                "modelplex is started again"
            )

    def _append(self, line: bytes) -> None:
        written = os.write(self._fd, line)
        if written < len(line):
            # Half a line, as on a full disk, would spoil the ones after it.
            os.ftruncate(self._fd, self._size)
            raise OSError(28, "No space left on device")
        self._size += written
        if self._sync == "each":
            self._fsync(self._fd)

    def _note_head(self) -> None:
        os.pwrite(self._head_fd, self._head.written(), 0)
        if self._sync == "each":
            self._fsync(self._head_fd)

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._head_fd = os.open(f"{self.path}.head", flags, 0o600)
        try:
            fcntl.flock(self._head_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError(f"{self.path}: another process writes to it") from None
        noted = Head.read(os.pread(self._head_fd, HEAD_SIZE, 0))
        self._begin()
        last, torn = self._last_line()
        self._head = last
        if torn:
            # The line's end is missing; what comes next must not be part of it.
            self._append(b"\n")
        if noted is None:
            why = "the head cannot be read" if last.number else ""
        elif noted.number > last.number:
            why = f"{noted.number - last.number} lines are missing at the end"
        elif noted.number == last.number and noted.hash != last.hash:
            why = "the last line is another one"
        else:
            why = ""  # it may be behind: the line is written first
        if torn or why:
            why = "; ".join(filter(None, ["the last line is cut" if torn else "", why]))
            self.report(f"{self.path}: {why}")
            lost = noted.hash if noted is not None else ""
            self._head = Head(max(last.number, noted.number if noted else 0), last.hash)
            self.write("resumed", {"why": why, "lost": lost})
        self._note_head()

    def _begin(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(self.path, flags, 0o600)
        os.fchmod(self._fd, 0o600)
        self._size = os.fstat(self._fd).st_size

    def _last_line(self) -> tuple[Head, bool]:
        """The last line that is one, and whether something else is after it."""
        start = max(0, self._size - _LAST)
        text = os.pread(self._fd, _LAST, start)
        if not text:
            aside = put_aside(self.path)
            if not aside:
                return FIRST, False
            with open(aside[-1], "rb") as file:
                file.seek(max(0, os.path.getsize(aside[-1]) - _LAST))
                text = file.read(_LAST)
            return self._last_of(text)[0], False
        return self._last_of(text)

    def _last_of(self, text: bytes) -> tuple[Head, bool]:
        lines = text.split(b"\n")
        torn = lines.pop() != b""
        for line in reversed(lines):
            found = read_line(line)
            if found is not None:
                return found.head, torn
            torn = True
        return FIRST, torn

    def _rotate(self) -> None:
        self._fsync(self._fd)
        os.rename(self.path, f"{self.path}.{self._head.number:06d}")
        os.close(self._fd)
        self._fd = -1
        self._begin()
        files.sync_folder(self.path)
        aside = put_aside(self.path)
        for old in aside[: max(0, len(aside) - self._keep)]:
            os.unlink(old)


def put_aside(path: str) -> list[str]:
    """The files that were put aside when they were full, the oldest first."""
    folder, name = os.path.split(os.path.abspath(path))
    found: list[tuple[int, str]] = []
    for one in os.listdir(folder) if os.path.isdir(folder) else ():
        number = _NUMBERED.search(one)
        if number and one[: number.start()] == name:
            found.append((int(number[1]), os.path.join(folder, one)))
    return [one for _, one in sorted(found)]


def _can_be_told(value: Any) -> bool:
    try:
        canonical(value)
    except ValueError:
        return False
    return True
