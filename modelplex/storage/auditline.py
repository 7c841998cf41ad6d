"""One line of the audit log, and the head that says which one is the last: pure."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

import msgspec
from attrs import field, frozen

HEAD_SIZE = 128  # bytes, always, so that it is written in one piece over the old one

_END = re.compile(rb',"hash":"([0-9a-f]{64})"\}')
_END_SIZE = 75  # bytes


@frozen
class Head:
    """The number and hash of a line."""

    number: int
    hash: str

    def written(self) -> bytes:
        """As it stands in the file beside the log."""
        text = msgspec.json.encode({"number": self.number, "hash": self.hash})
        return text.ljust(HEAD_SIZE - 1) + b"\n"

    @classmethod
    def read(cls, text: bytes) -> Head | None:
        """The head that `text` is, if it is one."""
        try:
            found = msgspec.json.decode(text, type=dict[str, int | str])
        except msgspec.DecodeError:
            return None
        number, hash = found.get("number"), found.get("hash")
        if isinstance(number, int) and isinstance(hash, str):
            return cls(number, hash)
        return None


#: Before the first line.
FIRST = Head(0, "0" * 64)


@frozen
class Line:
    """A line whose hash is right."""

    head: Head
    prev: str
    members: dict[str, Any] = field(repr=False)


def read_line(text: bytes) -> Line | None:
    """The line that `text` is, without its end; ``None`` when it is none of ours."""
    end = _END.fullmatch(text[-_END_SIZE:])
    if end is None:
        return None
    start, hash = text[:-_END_SIZE], end[1].decode("ascii")
    if sha256(start).hexdigest() != hash:
        return None
    try:
        members = msgspec.json.decode(start + b"}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    number, prev = members.get("number"), members.get("prev")
    if type(number) is not int or not isinstance(prev, str):
        return None
    return Line(Head(number, hash), prev, members)
