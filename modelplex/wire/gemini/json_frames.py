"""
Whole JSON objects cut out of a byte stream, each by itself or as items of an array.

Without ``alt=sse`` Gemini streams one array, pretty-printed, as it grows.
"""

from __future__ import annotations

import re

from attrs import define, field

from modelplex.errors import UpstreamMalformed

_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\]')


@define(eq=False)
class JsonFrames:
    """
    Cuts a stream of bytes into the objects that it consists of.

    :ivar limit: bytes in one unfinished object.
    :ivar closed: the array has ended.
    """

    limit: int = 16 * 2**20
    closed: bool = False
    _outer: int = 0  # 1 inside of an array
    _depth: int = 0
    _string: bool = False
    _escaped: bool = False  # the chunk ended in a backslash
    _pieces: list[bytes] = field(factory=list)
    _size: int = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """
        The objects that `chunk` completes.

        :raises UpstreamMalformed: an object is larger than the limit.
        """
        found: list[bytes] = []
        begun = 0  # where the bytes of the unfinished object start in `chunk`
        position = 0
        if self._escaped and chunk:
            self._escaped = False
            position = 1
        while not self.closed:
            match = (_INSIDE if self._string else _OUTSIDE).search(chunk, position)
            if match is None:
                break
            position = match.end()
            match match[0]:
                case b'"':
                    self._string = not self._string
                case b"\\":
                    self._escaped = position == len(chunk)
                    position += 1
                case b"[" if not self._depth:
                    self._outer = self._depth = 1
                case b"{" | b"[":
                    if self._depth == self._outer:
                        begun = match.start()
                    self._depth += 1
                case _ if self._depth > self._outer:
                    self._depth -= 1
                    if self._depth == self._outer:
                        self._pieces.append(chunk[begun:position])
                        found.append(b"".join(self._pieces))
                        self._pieces.clear()
                        self._size = 0
                case _:
                    self.closed = True
        if self._depth > self._outer:
            self._keep(chunk[begun:])
        return found

    def _keep(self, rest: bytes) -> None:
        self._size += len(rest)
        if self._size > self.limit:
            raise UpstreamMalformed(f"an object is over {self.limit} bytes")
        self._pieces.append(rest)
