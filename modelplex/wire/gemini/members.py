"""
One JSON object of a guest's request, whose keys may be written in either way.

Gemini's JSON is protobuf's: ``maxOutputTokens`` and ``max_output_tokens`` are the
same member, and SDKs really send both in one body.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from attrs import frozen
from msgspec import Raw

from modelplex.errors import BadRequest
from modelplex.wire.jsonobject import JsonObject
from modelplex.wire.typed import read

_LONGEST_KEY = 64  # characters; longer ones are no member's name in any spelling


@frozen
class Members:
    """
    The members of one object by their name in camel case; those that are null are not.

    :ivar path: where the object stands, such as ``contents[0].parts[1]``.
    :ivar written: the guest's own spelling of each name.
    """

    path: str
    found: Mapping[str, Raw]
    written: Mapping[str, str]

    def __contains__(self, name: str) -> bool:
        return name in self.found

    def __iter__(self) -> Iterator[str]:
        return iter(self.found)

    def where(self, name: str) -> str:
        """The path of a member, as the guest spelt it."""
        own = self.written.get(name, name)
        return f"{self.path}.{own}" if self.path else own

    def get(self, name: str, type: Any) -> Any:
        """
        The member as a `type`, or ``None``.

        :raises BadRequest: it is of another type; names the path to it.
        """
        raw = self.found.get(name)
        return None if raw is None else read(raw, type, self.where(name))

    def need(self, name: str, type: Any) -> Any:
        """The member as a `type`, or `BadRequest` when there is none."""
        if name not in self.found:
            where = self.where(name)
            raise BadRequest(f"{where}: field required", param=where)
        return self.get(name, type)

    def within(self, name: str) -> Members:
        """The members of the object that is a member; none when it is absent."""
        raw = self.found.get(name, Raw(b"{}"))
        return members(raw, self.where(name))

    def items(self, name: str) -> Iterator[tuple[Raw, str]]:
        """The items of an array, each with its path; none when it is absent."""
        where = self.where(name)
        for number, raw in enumerate(self.get(name, list[Raw]) or ()):
            yield raw, f"{where}[{number}]"


def members(raw: bytes | Raw, path: str) -> Members:
    """
    The members of the object `raw`.

    :raises BadRequest: it is no object, or a member stands twice in two spellings.
    """
    return _spelt(read(raw, dict[str, Raw], path), path)


def body_members(body: JsonObject) -> Members:
    """The members of a whole request."""
    return _spelt({key: Raw(body.raw(key) or b"") for key in body.spans}, "")


def _spelt(given: Mapping[str, Raw], path: str) -> Members:
    found: dict[str, Raw] = {}
    written: dict[str, str] = {}
    for key, raw in given.items():
        name = _camel(key) if len(key) <= _LONGEST_KEY else key
        if name in written:
            where = f"{path}.{key}" if path else key
            raise BadRequest(f"{where}: stands twice, in two spellings", param=where)
        written[name] = key
        if len(memoryview(raw)) != 4 or bytes(raw) != b"null":  # copies no file
            found[name] = raw
    return Members(path, found, written)


@lru_cache(maxsize=512)
def _camel(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)
