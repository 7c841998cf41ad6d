"""
A JSON object opened only as far as its own keys, to be spliced and not rebuilt.

What a policy reads must be what the provider reads. So a key that stands twice, a
key written with escapes, a byte order mark and trailing bytes are refused: parsers
disagree about all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from attrs import field, frozen

from modelplex.errors import BadRequest

T = TypeVar("T")

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_SPACE = re.compile(rb"[ \t\r\n]*")
_KEY = re.compile(rb'"([^"\\]*)"[ \t\r\n]*:[ \t\r\n]*')


@frozen
class JsonObject:
    """
    The bytes of one JSON object and where the value of each of its keys stands.

    :ivar spans: key to (start, end) of its value in `text`, in the order written.
    """

    text: bytes = field(repr=False)
    spans: Mapping[str, tuple[int, int]]

    def __contains__(self, key: str) -> bool:
        return key in self.spans

    def raw(self, key: str) -> bytes | None:
        """The value of `key` as written, or ``None``."""
        span = self.spans.get(key)
        return None if span is None else self.text[span[0] : span[1]]

    def get(self, key: str, type: type[T] | Any, default: Any = None) -> Any:
        """
        The value of `key` as a `type`; `default` when it is absent.

        :raises BadRequest: the value is of another type; names the field.
        """
        value = self.raw(key)
        if value is None:
            return default
        try:
            return msgspec.json.decode(value, type=type)
        except (msgspec.DecodeError, RecursionError) as e:
            raise BadRequest(f"{key}: {e}", param=key, code="invalid_type") from None

    def splice(self, changes: Mapping[str, bytes | None]) -> bytes:
        """
        The same object with some values replaced, removed (``None``) or added last.

        Every byte of every other member stays as it is.
        """
        pieces: list[bytes] = []
        position = 0
        removed = [k for k, v in changes.items() if v is None and k in self.spans]
        if removed:
            return self._rebuilt(changes)
        for key, (start, end) in self.spans.items():
            if key in changes:
                value = changes[key]
                assert value is not None
                pieces += [self.text[position:start], value]
                position = end
        added = [
            msgspec.json.encode(key) + b":" + value
            for key, value in changes.items()
            if key not in self.spans and value is not None
        ]
        if added:
            close = self.text.rindex(b"}")
            pieces.append(self.text[position:close])
            if self.spans:
                pieces.append(b",")
            pieces.append(b",".join(added))
            position = close
        pieces.append(self.text[position:])
        return b"".join(pieces)

    def _rebuilt(self, changes: Mapping[str, bytes | None]) -> bytes:
        members = [
            (key, changes[key] if key in changes else self.text[start:end])
            for key, (start, end) in self.spans.items()
        ]
        members += [(k, v) for k, v in changes.items() if k not in self.spans]
        return (
            b"{"
            + b",".join(
                msgspec.json.encode(key) + b":" + value
                for key, value in members
                if value is not None
            )
            + b"}"
        )


def open_object(text: bytes, where: str = "request body") -> JsonObject:
    """
    Find the members of the JSON object `text`, which must be valid throughout.

    :param where: how an error calls the object.
    :raises BadRequest: it is no object, not valid JSON or UTF-8, nested too deeply,
        or ambiguous as described above.
    """
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError as e:
            raise BadRequest(
                f"{where}: invalid UTF-8 at byte {e.start}", code="invalid_json"
            ) from None
    try:
        members = _MEMBERS.decode(text)
    except msgspec.ValidationError:
        raise BadRequest(
            f"{where}: a JSON object is expected", code="invalid_json"
        ) from None
    except msgspec.DecodeError as e:
        raise BadRequest(f"{where}: {e}", code="invalid_json") from None
    except RecursionError:
        raise BadRequest(f"{where}: nested too deeply", code="invalid_json") from None
    spans: dict[str, tuple[int, int]] = {}
    for key, start in _keys(text, members, where):
        if key in spans:
            raise BadRequest(f"{where}: the key {key!r} stands twice", param=key)
        spans[key] = (start, start + len(memoryview(members[key])))
    return JsonObject(text, spans)


def _keys(
    text: bytes, members: Mapping[str, msgspec.Raw], where: str
) -> Iterator[tuple[str, int]]:
    """
    Walk the members in order: each key with the place where its value starts.

    `members` has the last value of every key, so a walk that does not find a key's
    value where it must be has met a key that stands twice.
    """
    position = text.index(b"{") + 1
    while True:
        space = _SPACE.match(text, position)
        assert space is not None
        position = space.end()
        if text[position] == 0x7D:  # }
            return
        if text[position] == 0x2C:  # ,
            position += 1
            continue
        found = _KEY.match(text, position)
        if found is None:
            raise BadRequest(
                f"{where}: a key is written with escapes; write it plainly"
            )
        key = found[1].decode()
        position = found.end()
        value = members[key]
        if not text.startswith(value, position):
            raise BadRequest(f"{where}: the key {key!r} stands twice", param=key)
        yield key, position
        position += len(memoryview(value))


def open_array(text: bytes, where: str) -> list[bytes]:
    """
    The items of the JSON array `text`, each as written.

    :raises BadRequest: it is no array.
    """
    try:
        return [bytes(item) for item in _ITEMS.decode(text)]
    except (msgspec.DecodeError, RecursionError) as e:
        raise BadRequest(f"{where}: {e}", param=where, code="invalid_type") from None


def open_objects(text: bytes, where: str) -> list[dict[str, msgspec.Raw]]:
    """
    The members of every object of the array `text`, none of which is ambiguous.

    For reading only, and much faster than `open_object` on each. A key that stands
    twice is lost in decoding, so objects that give `text` again when they are written
    hide nothing; the others are walked.

    :raises BadRequest: `text` is no array of objects, or one is ambiguous.
    """
    try:
        objects = _OBJECTS.decode(text)
        # Written in one of the two usual ways, one comparison tells.
        written = _spaced if b'": ' in text[:64] else _encode
        if written(objects) == text:
            return objects
        for item in _ITEMS.decode(text):
            open_object(bytes(item), where)
    except msgspec.ValidationError as e:
        raise BadRequest(f"{where}: {e}", param=where, code="invalid_type") from None
    except (msgspec.DecodeError, RecursionError) as e:
        raise BadRequest(f"{where}: {e}", param=where, code="invalid_json") from None
    return objects


_OBJECTS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_encode = msgspec.json.Encoder().encode


def _spaced(objects: list[dict[str, msgspec.Raw]]) -> bytes:
    """The array with a space after each colon and comma, as Python writes it."""
    pieces: list[bytes | msgspec.Raw] = []
    for members in objects:
        start = b"}, {" if pieces else b"[{"
        for key, value in members.items():
            pieces.append(_before(start, key))
            pieces.append(value)
            start = b", "
        if not members:
            pieces.append(start)
    pieces.append(b"}]" if pieces else b"[]")
    return b"".join(pieces)


@lru_cache(maxsize=256)
def _before(start: bytes, key: str) -> bytes:
    return start + _encode(key) + b": "
