"""A lock on a path that outlives no process and leaves nothing behind."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

from attrs import define

from modelplex.errors import StartError


@define(eq=False)
class PathLock:
    """
    A lock on ``<path>.lock``, which the kernel frees when its owner dies.

    The file holds the owner's process id. It is removed on release; as a newcomer may
    have opened it just before, whoever takes a lock makes sure that what it locked is
    still what the name leads to.
    """

    _path: str
    _fd: int

    @classmethod
    def taken(cls, path: str) -> PathLock:
        """:raises StartError: another process holds it, or it cannot be made."""
        name = f"{path}.lock"
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            try:
                fd = os.open(name, flags, 0o600)
            except OSError as e:
                raise StartError(f"cannot open {name}: {e.strerror}") from None
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if identity_of(name) == _identity_at(fd):
                    os.ftruncate(fd, 0)
                    os.write(fd, b"%d\n" % os.getpid())
                    return cls(name, fd)
            except BlockingIOError:
                owner = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
                os.close(fd)
                by = f"process {owner}" if owner.isdigit() else "another process"
                raise StartError(f"{path} is already served by {by}") from None
            except OSError as e:
                os.close(fd)
                raise StartError(f"cannot lock {name}: {e.strerror}") from None
            os.close(fd)

    def release(self) -> None:
        """Remove the file, then let go of it; in this order nobody is misled."""
        if identity_of(self._path) == _identity_at(self._fd):
            with suppress(OSError):
                os.unlink(self._path)
        os.close(self._fd)


def identity_of(path: str) -> tuple[int, int] | None:
    """Device and inode of `path` itself, which nothing else has while it exists."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _identity_at(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino
