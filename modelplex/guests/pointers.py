"""JSON pointers to arguments (RFC 6901), with ``*`` for every item: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import normalize

from attrs import frozen

ANY = "*"
MOST = 10_000  # values that one pointer may lead to


class Misshapen(Exception):
    """A value is not of the shape that a pointer takes for granted; says where."""


@frozen
class Pointer:
    """
    Where an argument is.

    :ivar tokens: each a name, an index, or `ANY` for every item or member.
    """

    tokens: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Pointer:
        """:raises ValueError: `text` is no pointer to an argument."""
        if not text.startswith("/") or text == "/":
            raise ValueError("expected a JSON pointer, such as /path or /paths/*")
        return cls(tuple(_token(one) for one in text[1:].split("/")))

    def __str__(self) -> str:
        return "".join(
            "/" + one.replace("~", "~0").replace("/", "~1") for one in self.tokens
        )

    @property
    def plain(self) -> bool:
        """Whether it leads to one place only, by names."""
        return ANY not in self.tokens

    def found(self, arguments: Mapping[str, Any]) -> tuple[list[Any], bool]:
        """
        Every value it leads to, and whether one is missing on some way.

        A list that is empty has no items, and none of them is missing.

        :raises Misshapen: on the way is a value that has no such parts, or a name in
            another spelling, which a lenient server might take for this one.
        """
        values: list[Any] = [arguments]
        missing = False
        for depth, token in enumerate(self.tokens):
            below: list[Any] = []
            for value in values:
                parts = self._parts(value, token, depth)
                if parts is None:
                    missing = True
                else:
                    below += parts
            if len(below) > MOST:
                raise Misshapen(f"{self} leads to over {MOST} values")
            values = below
        return values, missing

    def _parts(self, value: Any, token: str, depth: int) -> list[Any] | None:
        """What `token` stands for in `value`; ``None`` when there is no such thing."""
        where = str(Pointer(self.tokens[:depth])) or "the arguments"
        if isinstance(value, Mapping):
            if token == ANY:
                return list(value.values())
            _only_spelling(value, token, where)
            return [value[token]] if token in value else None
        if isinstance(value, Sequence) and not isinstance(value, str):
            if token == ANY:
                return list(value)
            if token.isascii() and token.isdigit():
                index = int(token[:9])
                return [value[index]] if index < len(value) else None
        if value is None:
            return None
        raise Misshapen(f"{where} is of the wrong kind")


def _only_spelling(value: Mapping[str, Any], token: str, where: str) -> None:
    plain = _folded(token)
    for name in value:
        if name != token and _folded(str(name)) == plain:
            raise Misshapen(f"{where} has {token!r} in another spelling")


def _folded(name: str) -> str:
    return normalize("NFKC", name).casefold()


def _token(text: str) -> str:
    rest = text.replace("~0", "").replace("~1", "")
    if "~" in rest:
        raise ValueError("in a JSON pointer '~' is written ~0, and '/' ~1")
    return text.replace("~1", "/").replace("~0", "~")
