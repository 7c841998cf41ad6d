"""
Readers for Ollama's replies that pass through: streams line by line, and whole ones.

One reader does for ``/api/chat`` and ``/api/generate``. Only whole lines are passed
on, and none that are empty, which the Python client takes for JSON. Ollama writes no
opaque proofs.
"""

from __future__ import annotations

import msgspec
from attrs import define, field
from msgspec import Raw, Struct

from modelplex.errors import GatewayError, UpstreamCut, UpstreamMalformed
from modelplex.events import Usage
from modelplex.wire.tap import (
    UNREADABLE,
    DecodeError,
    Noted,
    Seen,
    WholeTap,
    cut_short,
    is_broken,
    meant,
    no_json,
    wrong_with,
)

_NOTHING = (b"", b"null", b'""', b"[]", b"{}", b"false")
_FAILED = 500  # what an error means that came with a success


class _Line(Struct):
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: Raw = Raw()


class _FirstLine(Struct):
    message: dict[str, Raw] | None = None
    response: Raw = Raw()
    thinking: Raw = Raw()
    tool_calls: Raw = Raw()


_LINE = msgspec.json.Decoder(_Line)
_FIRST_LINE = msgspec.json.Decoder(_FirstLine)


@define(eq=False)
class OllamaTap:
    """
    Passes a stream of lines and reads it on the way.

    :param noted: is told of nothing, here.
    :ivar limit: bytes in one unfinished line.
    """

    _decode_error: DecodeError
    _noted: Noted | None = None
    limit: int = 16 * 2**20
    meaningful: bool = False
    done: bool = False
    usage: Usage | None = None
    finish: str | None = None
    error: GatewayError | None = None
    _pieces: list[bytes] = field(factory=list)  # of a line that has not ended
    _size: int = 0

    def feed(self, chunk: bytes) -> bytes:
        if self.done or self.error is not None:
            return b""
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            self._keep(chunk)
            return b""
        if cut == len(chunk) and not self._pieces and chunk.find(b"\n") == cut - 1:
            return self._line(chunk)  # one line in one chunk, as nearly all are
        block = b"".join([*self._pieces, chunk[:cut]])
        self._pieces.clear()
        self._size = 0
        passed = b"".join([self._line(one + b"\n") for one in block.split(b"\n")[:-1]])
        self._keep(chunk[cut:])
        return passed

    def eof(self) -> bytes:
        if self.done or self.error is not None:
            return b""
        rest = b"".join(self._pieces)
        passed = b"" if is_broken(rest) else self._line(rest + b"\n")
        if self.error is None and not self.done:
            self.error = cut_short()
        return passed

    def fail(self, error: GatewayError) -> bytes:
        return msgspec.json.encode({"error": error.message}) + b"\n"

    def _keep(self, piece: bytes) -> None:
        if self.done or self.error is not None or not piece:
            return
        self._size += len(piece)
        if self._size > self.limit:
            self._pieces.clear()
            self.error = UpstreamMalformed(f"a line is over {self.limit} bytes")
            return
        self._pieces.append(piece)

    def _line(self, text: bytes) -> bytes:
        if self.done or self.error is not None or text.isspace():
            return b""
        try:
            line = _LINE.decode(text)
        except msgspec.ValidationError:
            self.error = wrong_with(text, self._decode_error, _FAILED)
            return text if self.error is None else b""
        except UNREADABLE:
            self.error = no_json()
            return b""
        if bytes(line.error) not in _NOTHING:
            self.error = meant(self._decode_error, text, _FAILED)
            return b""
        if line.done:
            self.meaningful = self.done = True
            self.usage, self.finish = _usage(line), line.done_reason
        elif not self.meaningful:
            self.meaningful = _says_something(text)
        return text


def _usage(line: _Line) -> Usage | None:
    """Zero counts are left out; embeddings and the like have none at all."""
    if line.prompt_eval_count is None and line.eval_count is None:
        return None
    return Usage(max(line.prompt_eval_count or 0, 0), max(line.eval_count or 0, 0))


def _says_something(text: bytes) -> bool:
    try:
        line = _FIRST_LINE.decode(text)
    except UNREADABLE:
        return False
    said = {k: v for k, v in (line.message or {}).items() if k != "role"}
    found = (line.response, line.thinking, line.tool_calls, *said.values())
    return any(bytes(value) not in _NOTHING for value in found)


# --- whole replies ----------------------------------------------------------


def read_reply(body: bytes, decode_error: DecodeError) -> Seen:
    """What an answer says that is not streamed."""
    line = _LINE.decode(body)
    if bytes(line.error) not in _NOTHING:
        raise decode_error(_FAILED, body)
    if line.done is False:
        raise UpstreamCut("the provider's answer is not complete")
    return Seen(_usage(line), line.done_reason)


def whole_tap(
    decode_error: DecodeError, limit: int, noted: Noted | None = None
) -> WholeTap:
    """Passes an answer that is not streamed, and reads it."""
    return WholeTap(decode_error, limit, read_reply, noted=noted)
