"""Requests as they arrive at a fake upstream: HTTP/1.1 that is read without Twisted."""

from __future__ import annotations

from attrs import define, field, frozen


@frozen
class Came:
    """
    One whole request.

    :ivar headers: by lower-case name; the last of several.
    """

    method: str
    target: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@define(eq=False)
class Arriving:
    """The bytes of one connection; a body has a length or comes in chunks."""

    _buffer: bytearray = field(factory=bytearray)
    _head: tuple[str, str, dict[str, str]] | None = None
    _body: bytearray = field(factory=bytearray)

    @property
    def begun(self) -> bool:
        """A part of a request is here."""
        return bool(self._buffer) or self._head is not None

    def feed(self, data: bytes) -> None:
        """More bytes have come."""
        self._buffer += data

    def take(self) -> Came | None:
        """
        The next whole request, if it is here.

        :raises ValueError: this is not HTTP, which no guest of a fake may send.
        """
        if self._head is None and not self._read_head():
            return None
        assert self._head is not None
        method, target, headers = self._head
        if headers.get("transfer-encoding", "").lower() == "chunked":
            whole = self._read_chunks()
        else:
            whole = self._read_length(int(headers.get("content-length", 0)))
        if not whole:
            return None
        body = bytes(self._body)
        self._head, self._body = None, bytearray()
        return Came(method, target, headers, body)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        method, target, _ = first.split(" ")
        self._head = method, target, headers
        return True

    def _read_length(self, length: int) -> bool:
        if len(self._buffer) < length:
            return False
        self._body += self._buffer[:length]
        del self._buffer[:length]
        return True

    def _read_chunks(self) -> bool:
        """Move whole chunks to the body; true once the last has come."""
        while (line := self._buffer.find(b"\r\n")) >= 0:
            size = int(self._buffer[:line].partition(b";")[0], 16)
            end = line + 2 + size
            if len(self._buffer) < end + 2:
                return False
            if self._buffer[end : end + 2] != b"\r\n":
                raise ValueError("a chunk is longer than it says")
            self._body += self._buffer[line + 2 : end]
            del self._buffer[: end + 2]
            if size == 0:
                return True
        return False
