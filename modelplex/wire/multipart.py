"""
Multipart forms, read while they pass (RFC 7578, RFC 2046 §5.1).

What a policy reads must be what the provider reads, and the readers of forms that are
in use disagree: about lines that end in a bare LF, text before the first boundary,
escapes in a name, encodings, fields that stand twice. So a form is passed on byte for
byte, and one that could be read in two ways is refused.
"""

from __future__ import annotations

import re
from enum import Enum

from attrs import define, field, frozen

from modelplex.errors import BadRequest
from modelplex.wire.multipart_head import Part, part_of, refuse

MAX_HEAD = 4096  # bytes of the header of one part
MAX_FIELD = 2**18  # bytes of a part that is no file; the longest prompts are half that
MAX_PARTS = 256

# RFC 2046 has a space too, and some characters that need quotes in a header.
_TYPE = re.compile(
    rb'multipart/form-data[ \t]*;[ \t]*(?:charset="?utf-8"?[ \t]*;[ \t]*)?'
    rb"boundary=(?:\"([0-9A-Za-z'()+_,./:=?-]{1,70})\"|([0-9A-Za-z'+_.-]{1,70}))"
    rb'(?:[ \t]*;[ \t]*charset="?utf-8"?)?',
    re.IGNORECASE,
)
_PLAIN = re.compile(rb"[0-9A-Za-z'+_.-]+")
_CRLF = b"\r\n"


@frozen
class Field:
    """
    A part that is no file, once all of it is there.

    :ivar raw: all its bytes, with the boundary before it.
    :ivar start: that boundary, with the line it stands on.
    """

    name: str
    value: str
    raw: bytes
    start: bytes


def boundary_of(content_type: bytes) -> bytes:
    """
    The boundary that a ``Content-Type`` names.

    :raises BadRequest: it is no form's, or says anything else.
    """
    found = _TYPE.fullmatch(content_type.strip(b" \t"))
    if found is None:
        raise BadRequest(
            "content-type: multipart/form-data with a boundary is expected"
        )
    return found[1] or found[2]


def content_type_of(boundary: bytes) -> bytes:
    """The ``Content-Type`` of a form, written in the one way that all understand."""
    quoted = boundary if _PLAIN.fullmatch(boundary) else b'"' + boundary + b'"'
    return b"multipart/form-data; boundary=" + quoted


def model_part(start: bytes, model: str) -> bytes:
    """The part that asks for `model`, after the boundary line `start`."""
    header = b'Content-Disposition: form-data; name="model"\r\n\r\n'
    return start + header + model.encode()


def first_line(boundary: bytes) -> bytes:
    """How a form begins."""
    return b"--" + boundary + _CRLF


class _State(Enum):
    START = "the first boundary"
    BOUNDARY = "what follows a boundary"
    HEAD = "the header of a part"
    CONTENT = "the content of a part"
    OVER = "nothing more"


@define(eq=False)
class FormReader:
    """
    Reads one form.

    :ivar done: the last boundary was seen.
    """

    _boundary: bytes
    done: bool = False
    _state: _State = _State.START
    _buffer: bytes = b""
    _searched: int = 0  # bytes of the buffer without the end of a header
    _raw: bytes = b""  # what of a part, and of the boundary before it, is not given yet
    _start: bytes = b""
    _part: Part | None = None
    _value: bytearray = field(factory=bytearray)
    _size: int = 0  # bytes of the content
    _parts: int = 0
    _models: int = 0
    _dash: bytes = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._dash = b"--" + self._boundary

    def feed(self, data: bytes) -> list[bytes | Field]:
        """
        What `data` completes, in order: fields, and whatever else may pass by then.

        The raw bytes of all that is given are, together, what was fed.

        :raises BadRequest: this is no form, or other readers might see another one.
        """
        self._buffer = self._buffer + data if self._buffer else data
        found: list[bytes | Field] = []
        while self._buffer and self._step(found):
            pass
        return found

    def eof(self) -> None:
        """
        Call once, when there is no more.

        :raises BadRequest: the form is not complete.
        """
        if not self.done:
            raise BadRequest("the form ended before its last boundary")

    def _step(self, found: list[bytes | Field]) -> bool:
        """Go on by one state; whether that was possible."""
        match self._state:
            case _State.START:
                return self._begin()
            case _State.BOUNDARY:
                return self._after_boundary(found)
            case _State.HEAD:
                return self._read_head(found)
            case _State.CONTENT:
                return self._read_content(found)
            case _State.OVER:
                return self._end(found)

    def _begin(self) -> bool:
        dash = self._dash
        if not dash.startswith(self._buffer[: len(dash)]):
            refuse("it does not begin with its boundary")
        if len(self._buffer) < len(dash):
            return False
        self._raw, self._buffer = dash, self._buffer[len(dash) :]
        self._state = _State.BOUNDARY
        return True

    def _after_boundary(self, found: list[bytes | Field]) -> bool:
        if len(self._buffer) < 2:
            return False
        then, self._buffer = self._buffer[:2], self._buffer[2:]
        self._raw += then
        if then == _CRLF:
            self._parts += 1
            if self._parts > MAX_PARTS:
                refuse(f"it has more than {MAX_PARTS} parts")
            self._start, self._searched = self._raw, 0
            self._state = _State.HEAD
        elif then == b"--":
            found.append(self._raw)
            self.done, self._raw = True, b""
            self._state = _State.OVER
        else:
            refuse("more than a boundary stands on its line")
        return True

    def _read_head(self, found: list[bytes | Field]) -> bool:
        end = self._buffer.find(b"\r\n\r\n", max(self._searched - 3, 0))
        if max(end, len(self._buffer) if end < 0 else 0) > MAX_HEAD:
            refuse(f"the header of a part is larger than {MAX_HEAD} bytes")
        if end < 0:
            self._searched = len(self._buffer)
            return False
        part = part_of(self._buffer[:end])
        if part.name == "model":
            self._models += 1
            if self._models > 1:
                refuse("the field 'model' stands twice")
        self._raw += self._buffer[: end + 4]
        self._buffer = self._buffer[end + 4 :]
        if part.is_file:
            found.append(self._raw)
        self._part, self._size = part, 0
        self._state = _State.CONTENT
        return True

    def _read_content(self, found: list[bytes | Field]) -> bool:
        at = self._buffer.find(self._dash)
        if at < 0:
            # The end may be a line break and all but the last byte of a boundary.
            most = len(self._buffer) - len(self._dash) - 1
            if most > 0:
                self._take(self._buffer[:most], found)
                self._buffer = self._buffer[most:]
            return False
        if at < 2 or self._buffer[at - 2 : at] != _CRLF:
            refuse("its boundary stands inside a part")
        self._take(self._buffer[: at - 2], found)
        self._end_part(found)
        self._raw = _CRLF + self._dash
        self._buffer = self._buffer[at + len(self._dash) :]
        self._state = _State.BOUNDARY
        return True

    def _take(self, content: bytes, found: list[bytes | Field]) -> None:
        assert self._part is not None
        self._size += len(content)
        if not self._part.is_file:
            if self._size > MAX_FIELD:
                said = f"the field {self._part.name!r} is larger than {MAX_FIELD} bytes"
                refuse(f"{said}, and has no filename")
            self._value += content
        elif content:
            found.append(content)

    def _end_part(self, found: list[bytes | Field]) -> None:
        part = self._part
        assert part is not None
        if part.length not in (None, self._size):
            refuse(f"the part {part.name!r} is not as long as it says")
        if part.is_file:
            return
        try:
            value = self._value.decode()
        except UnicodeDecodeError:
            refuse(f"the field {part.name!r} is not UTF-8, and has no filename")
        raw = self._raw + self._value
        found.append(Field(part.name, value, raw, self._start))
        self._value.clear()

    def _end(self, found: list[bytes | Field]) -> bool:
        self._raw += self._buffer
        if not _CRLF.startswith(self._raw):
            refuse("something follows its end")
        found.append(self._buffer)
        self._buffer = b""
        return False
