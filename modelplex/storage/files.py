"""Small files that are ours alone and whole at any time."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from modelplex.errors import StorageError


def make_private(directory: str) -> None:
    """
    Make a folder that only we can look into.

    :raises StorageError: it cannot be made, or others may write to it.
    """
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        found = os.lstat(directory)
    except OSError as e:
        raise StorageError(f"{directory}: cannot be made: {e.strerror}") from None
    if not stat.S_ISDIR(found.st_mode):
        raise StorageError(f"{directory}: is no directory")
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise StorageError(f"{directory}: others may write to it")


def read(path: str, limit: int) -> bytes | None:
    """
    All of a file of ours; ``None`` when there is none.

    :raises StorageError: it cannot be read, is longer than `limit` bytes, or is not a
        file of ours.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as e:
        raise StorageError(f"{path}: cannot be read: {e.strerror}") from None
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        os.close(fd)
        raise StorageError(f"{path}: is not a file of ours")
    with os.fdopen(fd, "rb") as file:
        try:
            text = file.read(limit + 1)
        except OSError as e:
            raise StorageError(f"{path}: cannot be read: {e.strerror}") from None
    if len(text) > limit:
        raise StorageError(f"{path}: is over {limit} bytes")
    return text


def replace(path: str, text: bytes) -> None:
    """
    Put `text` in the place of a file: all of it or, when it fails, nothing.

    :raises StorageError: it failed.
    """
    part = f"{path}.new"
    try:
        with suppress(FileNotFoundError):
            os.unlink(part)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(path)
    except OSError as e:
        with suppress(OSError):
            os.unlink(part)
        raise StorageError(f"{path}: cannot be written: {e.strerror}") from None


def put_aside(path: str) -> str:
    """
    Give a file another name, for somebody to look at; returns it.

    :raises StorageError: it cannot be.
    """
    for number in range(1, 1000):
        other = f"{path}.bad-{number}"
        if not os.path.lexists(other):
            try:
                os.rename(path, other)
            except OSError as e:
                raise StorageError(f"{path}: cannot be moved: {e.strerror}") from None
            return other
    raise StorageError(f"{path}: there are too many bad ones beside it")


def sync_folder(path: str) -> None:
    """Make the names in the folder of `path` last."""
    fd = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
