"""Newline-delimited JSON split out of a byte stream."""

from __future__ import annotations

from modelplex.errors import UpstreamMalformed


class Lines:
    """
    Cuts a stream of bytes into lines; empty ones are left out.

    :param limit: bytes in one unfinished line.
    """

    def __init__(self, limit: int = 16 * 2**20) -> None:
        self._limit = limit
        self._rest: list[bytes] = []  # joined when the line ends, not at every chunk
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """
        The lines that are now complete, without their ends.

        :raises UpstreamMalformed: a line is longer than the limit.
        """
        if b"\n" not in chunk:
            self._keep(chunk)
            return []
        *lines, rest = b"".join([*self._rest, chunk]).split(b"\n")
        self._rest.clear()
        self._size = 0
        self._keep(rest)
        return [line for line in map(bytes.strip, lines) if line]

    def eof(self) -> list[bytes]:
        """The last line, if the stream ended without ending it."""
        rest = b"".join(self._rest).strip()
        self._rest.clear()
        return [rest] if rest else []

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise UpstreamMalformed(f"a line is over {self._limit} bytes")
        if piece:
            self._rest.append(piece)
