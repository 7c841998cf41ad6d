"""What the fake upstream is asked to do, carried in the text of the request.

Gateways drop headers they do not know, so the wish travels as a marker in the last
user message: ``[[bench chunks=500 interval-ms=0]]``.
"""

from __future__ import annotations

import re

from attrs import frozen

_MARKER = re.compile(rb"\[\[bench ([a-z0-9= -]{1,120})\]\]")
_MOST_CHUNKS = 100_000


@frozen
class Knobs:
    """How the fake upstream answers one request."""

    chunks: int = 0  # text chunks of a stream; 0: as many as the upstream likes
    interval: int = 0  # milliseconds between two chunks; 0: as fast as they go

    def marker(self) -> str:
        """The text that `read` understands."""
        return f"[[bench chunks={self.chunks} interval-ms={self.interval}]]"


def read(body: bytes) -> Knobs:
    """The knobs of a request body; the defaults where it has no marker."""
    start = body.rfind(b"[[bench ")
    found = _MARKER.match(body, start) if start >= 0 else None
    if found is None:
        return Knobs()
    words = dict(w.partition(b"=")[::2] for w in found.group(1).split())
    return Knobs(
        chunks=min(_number(words.get(b"chunks", b"")), _MOST_CHUNKS),
        interval=_number(words.get(b"interval-ms", b"")),
    )


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() else 0
