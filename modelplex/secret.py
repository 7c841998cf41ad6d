"""Text that must never be shown: keys, tokens, header values."""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """
    A text whose every rendering is ``***``; only `reveal` gives it away.

    It is no `str`, so type checkers and serialisers refuse it where text is wanted:
    it does not pickle, and JSON encoders raise unless they are given `hide`.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return self._text == other._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")


def hide(value: object) -> str:
    """Encode a `Secret` as ``***``: the ``enc_hook`` of msgspec, json's ``default``."""
    if isinstance(value, Secret):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be encoded")
