"""A JSON value of a guest's request that knows its own path, read with its type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import msgspec
from attrs import frozen

from modelplex.errors import BadRequest
from modelplex.events import JSON
from modelplex.wire.jsonobject import JsonObject

T = TypeVar("T")


def root(body: JsonObject) -> Field:
    """
    The whole request, opened.

    :raises BadRequest: a string in it is no Unicode, or a number is too large.
    """
    try:
        return Field(msgspec.json.decode(body.text), "")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise BadRequest(f"request body: {e}", code="invalid_json") from None


@frozen
class Field:
    """
    One value and where it stands, as in ``messages[2].content[0].text``.

    Every method raises `BadRequest` with that path when the value is of another type.
    """

    value: JSON
    path: str

    def wrong(self, why: str, code: str = "invalid_value") -> NoReturn:
        """Refuse the request because of this field."""
        where = self.path or "request body"
        raise BadRequest(f"{where}: {why}", param=self.path or None, code=code)

    def text(self) -> str:
        """A string, which may be empty."""
        if not isinstance(self.value, str):
            self.wrong("a string is expected", "invalid_type")
        return self.value

    def name(self) -> str:
        """A string that is not empty."""
        if not self.text():
            self.wrong("must not be empty")
        return self.text()

    def word(self, *allowed: str) -> str:
        """One of the `allowed` strings."""
        if self.text() not in allowed:
            self.wrong(f"must be one of {', '.join(allowed)}")
        return self.text()

    def boolean(self) -> bool:
        """``true`` or ``false``."""
        if not isinstance(self.value, bool):
            self.wrong("a boolean is expected", "invalid_type")
        return self.value

    def integer(self) -> int:
        """A whole number; some languages write it with a fraction of 0."""
        value = self.value
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            self.wrong("an integer is expected", "invalid_type")
        return value

    def positive(self) -> int:
        """A whole number of at least 1."""
        if self.integer() < 1:
            self.wrong("must be at least 1")
        return self.integer()

    def number(self) -> float:
        """Any number that a double holds."""
        value = self.value
        if not isinstance(value, int | float) or isinstance(value, bool):
            self.wrong("a number is expected", "invalid_type")
        try:
            return float(value)
        except OverflowError:
            self.wrong("is too large")

    def object(self) -> dict[str, Any]:
        """A JSON object."""
        if not isinstance(self.value, dict):
            self.wrong("an object is expected", "invalid_type")
        return self.value

    def items(self) -> list[Field]:
        """The items of an array."""
        if not isinstance(self.value, list):
            self.wrong("an array is expected", "invalid_type")
        return [Field(v, f"{self.path}[{n}]") for n, v in enumerate(self.value)]

    def get(self, key: str) -> Field | None:
        """A member of this object; ``null`` is the same as absent."""
        value = self.object().get(key)
        return None if value is None else self._member(key, value)

    def need(self, key: str) -> Field:
        """A member that must be there."""
        found = self.get(key)
        if found is None:
            self._member(key, None).wrong("is required", "missing_required_parameter")
        return found

    def maybe(self, key: str, read: Callable[[Field], T]) -> T | None:
        """A member as `read` gives it, or ``None`` when it is absent."""
        found = self.get(key)
        return None if found is None else read(found)

    def _member(self, key: str, value: JSON) -> Field:
        return Field(value, f"{self.path}.{key}" if self.path else key)
