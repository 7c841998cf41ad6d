"""
Server-sent events (WHATWG HTML §9.2) split out of a byte stream, and joined again.

`Frames` cuts a stream into whole events without looking inside, for relaying;
`fields` reads one event.
"""

from __future__ import annotations

import re

from modelplex.errors import UpstreamMalformed

# An event ends with an empty line; each of its two line ends is LF, CRLF or CR.
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n")
_LINES = re.compile(rb"\r\n|\n|\r")
_FIELD = re.compile(rb"(data|event|id|retry)(?::|$)|:")


class Frames:
    """
    Cuts a stream of bytes into complete events, their ends included.

    :param limit: bytes in one unfinished event.
    """

    def __init__(self, limit: int = 16 * 2**20) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []  # joined when an event may end in them
        self._size = 0

    def feed(self, chunk: bytes) -> bytes:
        """
        The complete events so far, in one piece; the unfinished rest is kept.

        :raises UpstreamMalformed: an event is larger than the limit.
        """
        if not self._pieces and chunk.endswith(b"\n\n"):
            return chunk  # nearly every chunk that a provider flushes
        if b"\n" not in chunk and b"\r" not in chunk:
            return self._kept(chunk, b"")
        text = b"".join([*self._pieces, chunk])
        cut = max(text.rfind(b"\n\n") + 2, text.rfind(b"\n\r\n") + 3)
        if b"\r" in chunk:
            cut = max(cut, text.rfind(b"\r\r") + 2)
        if cut < 3:  # none was found: -1 + 2 or -1 + 3
            cut = 0
        self._pieces.clear()
        self._size = 0
        return self._kept(text[cut:], text[:cut])

    def _kept(self, rest: bytes, complete: bytes) -> bytes:
        self._size += len(rest)
        if self._size > self._limit:
            raise UpstreamMalformed(f"an event is over {self._limit} bytes")
        if rest:
            self._pieces.append(rest)
        return complete

    @property
    def unfinished(self) -> bool:
        """Whether an event has begun and not ended."""
        return bool(self._pieces)

    @property
    def rest(self) -> bytes:
        """The bytes of an event that has not ended."""
        return b"".join(self._pieces)


def events(block: bytes) -> list[bytes]:
    """Complete events as `Frames` gives them, one by one, without their ends."""
    if b"\r" not in block:
        return [e for e in block.split(b"\n\n") if e]
    return [e for e in _END.split(block) if e.strip(b"\r\n")]


def data(event: bytes) -> bytes | None:
    """The payload of one event, its ``data`` lines joined; ``None`` without one."""
    if event.startswith(b"data: ") and b"\n" not in event and b"\r" not in event:
        return event[6:]
    lines = [
        line[5:].removeprefix(b" ")
        for line in _LINES.split(event)
        if line.startswith(b"data:")
    ]
    return b"\n".join(lines) if lines else None


def is_comment(event: bytes) -> bool:
    """Whether `event` says nothing to anybody: a keep-alive."""
    return all(line[:1] == b":" for line in _LINES.split(event) if line)


def looks_like_events(text: bytes) -> bool:
    """Whether `text`, the start of a body, can be the start of an event stream."""
    text = text.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    first = _LINES.split(text, maxsplit=1)[0]
    return _FIELD.match(first) is not None or any(
        word.startswith(first) for word in (b"data:", b"event:", b"id:", b"retry:")
    )


def encode(payload: bytes, event: str | None = None) -> bytes:
    """One event that carries `payload`, a text of one line."""
    if event is None:
        return b"data: " + payload + b"\n\n"
    return b"event: " + event.encode() + b"\ndata: " + payload + b"\n\n"


def comment(text: str) -> bytes:
    """A line that every reader ignores: keeps a waiting connection alive."""
    return b": " + text.encode() + b"\n\n"
