"""
What a child says on its standard output: messages, and what else it prints there.

Real servers print banners, blank lines and carriage returns between their messages
(MCP, stdio); none of it may end a conversation.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from modelplex.wire.jsonrpc import (
    INTERNAL_ERROR,
    Failure,
    Message,
    RpcError,
    encode,
    parse,
)

LIMIT = 10 * 2**20  # bytes in one line; the TypeScript SDK's bound
SHOWN = 200  # bytes of a line that is told as noise
ENDS = 256  # bytes kept of either end of a line that is too long

#: Where SDKs write the id of an answer: first, or last.
_FIRST = re.compile(
    rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*"?(\d{1,15})"?\s*,'
    rb'\s*"(?:result|error)"'
)
_RESULT = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"(?:result|error)"')
_LAST = re.compile(rb'"id"\s*:\s*"?(\d{1,15})"?\s*\}\s*\Z')

#: An escape; a surrogate that stands alone is the only one that is captured.
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


class ChildLines:
    """
    Cuts a child's output into its messages.

    An answer that is too long or cannot be read is a `Failure` under its own id, so
    that whoever waits for it is told at once.

    :param noise: told the beginning of every line that is no message.
    :param limit: bytes in one line; a longer one is dropped up to its end.
    """

    def __init__(self, noise: Callable[[bytes], None], limit: int = LIMIT) -> None:
        self._noise = noise
        self._limit = limit
        self._rest: list[bytes] = []  # joined when the line ends
        self._size = 0
        self._head: bytes | None = None  # of the line that is being dropped

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that are now complete."""
        found: list[Message] = []
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            self._add(piece)
            found += self._end()
        self._add(rest)
        return found

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        if piece:
            self._rest.append(piece)
        if self._size > self._limit:
            whole = b"".join(self._rest)
            if self._head is None:
                self._head = whole[:ENDS]
            self._rest = [whole[-ENDS:]]

    def _end(self) -> list[Message]:
        line, head, size = b"".join(self._rest).strip(), self._head, self._size
        self._rest.clear()
        self._size, self._head = 0, None
        if head is not None:
            self._noise(b"(a line of %d bytes) " % size + head[:SHOWN])
            why = f"the answer is over {self._limit} bytes"
            return _failed(head, line[-ENDS:], why)
        if not line:
            return []
        message = _message(line)
        if message is not None:
            return [message]
        self._noise(line[:SHOWN])
        return _failed(line[:ENDS], line[-ENDS:], "the answer cannot be read")


def _message(line: bytes) -> Message | None:
    if not line.startswith(b"{"):
        return None
    try:
        return parse(line)
    except RpcError:
        pass
    # Text in another encoding, or half of a character, is no reason to lose the rest.
    whole = line.decode("utf-8", "replace").encode()
    repaired = _ESCAPE.sub(lambda m: rb"\ufffd" if m[1] else m[0], whole)
    if repaired == line:
        return None
    try:
        return parse(repaired)
    except RpcError:
        return None


def _failed(head: bytes, tail: bytes, why: str) -> list[Message]:
    """The failure of the answer that begins with `head` and ends with `tail`."""
    found = _FIRST.match(head) or (_RESULT.match(head) and _LAST.search(tail))
    return [Failure(int(found[1]), INTERNAL_ERROR, why)] if found else []


def line(message: Message) -> bytes:
    """
    `message` as a child reads it.

    :raises RpcError: it is nested too deeply to be written.
    """
    return encode(message) + b"\n"
