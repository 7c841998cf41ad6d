"""Whether an audit log is whole: what `modelplex log verify` asks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from attrs import frozen

from modelplex.errors import StorageError
from modelplex.storage.audit import put_aside
from modelplex.storage.auditline import FIRST, HEAD_SIZE, Head, read_line

LONGEST = 8 << 20  # bytes of a line


@frozen
class Verdict:
    """
    What was found.

    :ivar lines: how many are right, from the first on.
    :ivar ok: all of them are, and none is missing.
    :ivar file: where the first bad line is; empty when there is none.
    :ivar bad: its number in that file, from 1.
    :ivar why: what is wrong with it.
    :ivar head: the last line that is right.
    """

    lines: int
    ok: bool
    file: str = ""
    bad: int = 0
    why: str = ""
    head: Head = FIRST


def verify(path: str, head: str | None = None) -> Verdict:
    """
    Go over a log and the files that were put aside when it was full.

    Found is: a line that was changed, left out, put in or moved; lines missing from the
    end, by the file ``.head``; a process that could not go on where the one before
    had stopped. The first files are deleted when there are too many, so a log may begin
    anywhere; that its first line is what it was is known from the ones after it only.

    :param head: a hash that was the last line's once, and was kept elsewhere: without
        the line that it belongs to the log is another one.
    :raises StorageError: it cannot be read.
    """
    paths = [*put_aside(path), path]
    last: Head | None = None
    lines, seen = 0, False
    for file in paths:
        for number, text in enumerate(_lines(file), 1):
            why, found = _next(text, last)
            if found is None:
                return Verdict(lines, False, file, number, why, last or FIRST)
            last, lines = found, lines + 1
            seen = seen or found.hash == head
    whole = last or FIRST
    noted = _noted(path)
    if noted is None:
        why = "the file with its head is missing or unreadable"
    elif noted.number > whole.number:
        why = f"{noted.number - whole.number} lines are missing at the end"
    elif noted.number < whole.number - 1 or (
        noted.number == whole.number and noted.hash != whole.hash
    ):
        why = "its end is not what its head says"
    elif head is not None and not seen:
        why = "the line with the given hash is not in it"
    else:
        return Verdict(lines, True, head=whole)
    return Verdict(lines, False, path, 0, why, whole)


def _next(text: bytes, last: Head | None) -> tuple[str, Head | None]:
    found = read_line(text)
    if found is None:
        return "the line was changed, or is not one of the log", None
    if found.members.get("kind") == "resumed":
        return f"the log was resumed: {found.members.get('why')}", None
    if last is None:
        if found.head.number == 1 and found.prev != FIRST.hash:
            return "the first line is not a first one", None
        return "", found.head
    if found.head.number != last.number + 1 or found.prev != last.hash:
        return "a line before it is missing, or it was put here", None
    return "", found.head


def _lines(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            while line := file.readline(LONGEST):
                # A line without its end is none, whatever it says.
                yield line[:-1] if line.endswith(b"\n") else b""
    except OSError as e:
        raise StorageError(f"{path}: cannot be read: {e.strerror}") from None


def _noted(path: str) -> Head | None:
    try:
        with open(f"{path}.head", "rb") as file:
            return Head.read(file.read(HEAD_SIZE))
    except OSError:
        return None


def files_of(path: str) -> Sequence[str]:
    """The log and the files put aside, in the order that they were written."""
    return [*put_aside(path), *([path] if os.path.exists(path) else [])]
