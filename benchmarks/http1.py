"""Just enough HTTP/1.1 for both ends of a measurement, without any I/O."""

from __future__ import annotations

import re

from attrs import define, field

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,12})[ \t]*\r\n", re.I)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.I)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close[ \t]*\r\n", re.I)


@define(eq=False)
class MessageReader:
    """
    Reads one message, a request or a response, fed in pieces of any size.

    It trusts its peer (both are ours, or a gateway under test) and keeps the whole
    body, taken out of its chunked framing.
    """

    is_response: bool
    start: bytes = b""  # the request or status line, once `has_head`
    has_head: bool = False
    head: bytes = b""  # its lines, with the first
    closes: bool = False  # the sender closes the connection afterwards
    _parts: list[bytes] = field(factory=list)
    _rest: bytes = b""
    _missing: int = 0  # bytes; of the body, or of the chunk and its CRLF
    _chunked: bool = False
    _until_close: bool = False

    def feed(self, piece: bytes) -> bool:
        """Whether the message is complete with this piece."""
        if not self.has_head:
            piece = self._rest + piece
            end = piece.find(b"\r\n\r\n")
            if end < 0:
                self._rest = piece
                return False
            self._rest = b""
            self._head(piece[: end + 2])
            piece = piece[end + 4 :]
        if self._chunked:
            return self._chunks(piece)
        if piece:
            self._parts.append(piece)
            self._missing -= len(piece)
        return self._missing <= 0 and not self._until_close

    def eof(self) -> bool:
        """Whether the end of the connection completes the message."""
        return self._until_close

    @property
    def status(self) -> int:
        """The status of a response."""
        return int(self.start[9:12])

    def body(self) -> bytes:
        """What has arrived of the body."""
        return b"".join(self._parts)

    def has_body(self) -> bool:
        """Whether any of the body has arrived."""
        return bool(self._parts)

    def _head(self, head: bytes) -> None:
        self.has_head, self.head = True, head
        self.start = head[: head.index(b"\r\n")]
        self.closes = _CLOSE.search(head) is not None
        self._chunked = _CHUNKED.search(head) is not None
        length = _LENGTH.search(head)
        if length is not None:
            self._missing = int(length.group(1))
        elif self.is_response and not self._chunked:
            self._until_close = self.status not in (204, 304)

    def _chunks(self, piece: bytes) -> bool:
        if self._rest:
            piece, self._rest = self._rest + piece, b""
        position, parts = 0, self._parts
        while True:
            if self._missing:
                part = piece[position : position + self._missing]
                position += len(part)
                text = max(0, min(len(part), self._missing - 2))
                self._missing -= len(part)
                if text:
                    parts.append(part[:text])
                if self._missing:
                    return False
            end = piece.find(b"\r\n", position)
            if end < 0:
                self._rest = piece[position:]
                return False
            size = int(piece[position:end].partition(b";")[0], 16)
            if size == 0:
                if len(piece) < end + 4:  # the empty line after the last chunk
                    self._rest = piece[position:]
                    return False
                return True
            position = end + 2
            self._missing = size + 2


def request(path: str, body: bytes, headers: tuple[str, ...] = ()) -> bytes:
    """A POST of `body` as JSON, ready to be sent."""
    lines = (
        f"POST {path} HTTP/1.1",
        "host: localhost",
        "accept: */*",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *headers,
    )
    return "\r\n".join((*lines, "", "")).encode() + body
