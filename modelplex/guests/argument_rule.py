"""One rule about one argument, and whether a value keeps to it: pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import field, frozen

from modelplex.guests.places import Host, Realpath, other_host, outside
from modelplex.guests.pointers import Pointer
from modelplex.wire.canonicaljson import canonical

LARGEST_PATTERN = 1 << 20  # bytes of a regular expression when it is ready for use
LONGEST_MATCHED = 1 << 20  # characters that one is tried on

Matcher: TypeAlias = Callable[[str], bool]


@frozen(kw_only=True)
class Rule:
    """
    What one argument of some tools must be like; see `modelplex.settings.Argument`.

    :raises ValueError: it cannot be meant; the message starts with the field.
    """

    argument: str
    tools: tuple[str, ...] = ("*",)
    required: bool = True
    equals: Any = None
    one_of: tuple[Any, ...] = ()
    matches: str | None = None
    inside: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ("http", "https")
    min_length: int | None = None
    max_length: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    max_size: int | None = None
    value: Any = None
    hidden: bool = False
    pointer: Pointer = field(init=False, repr=False, eq=False)
    _hosts: tuple[Host, ...] = field(init=False, repr=False, eq=False)
    _matcher: Matcher | None = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        found: dict[str, Any] = {"_matcher": None}
        for name, read in (
            ("argument", lambda: {"pointer": Pointer.of(self.argument)}),
            ("hosts", lambda: {"_hosts": tuple(Host.of(one) for one in self.hosts)}),
            ("matches", lambda: {"_matcher": matcher(self.matches)}),
        ):
            if getattr(self, name) is None:
                continue
            try:
                found |= read()
            except ValueError as e:
                raise ValueError(f"{name}: {e}") from None
        for name, it in found.items():
            object.__setattr__(self, name, it)
        if self.is_taken_away and not self.pointer.plain:
            raise ValueError("argument: what is pinned or hidden is named without *")
        if self.is_taken_away and self._demands:
            raise ValueError("value: what is pinned or hidden needs no other demand")
        if not (self.is_taken_away or self._demands):
            raise ValueError("argument: the rule demands nothing of it")

    @property
    def is_taken_away(self) -> bool:
        """Whether guests do not see the argument and cannot give it."""
        return self.hidden or self.value is not None

    @property
    def _demands(self) -> bool:
        limits = (self.min_length, self.max_length, self.minimum, self.maximum)
        others = (self.equals, self.matches, self.max_size)
        return (
            any(one is not None for one in (*limits, *others))
            or bool(self.one_of)
            or bool(self.inside)
            or bool(self.hosts)
        )

    def wrong(self, value: Any, realpath: Realpath, start: str | None) -> str | None:
        """Why `value` does not do, after the argument's name; ``None`` when it does."""
        if self.equals is not None and not same(value, self.equals):
            return "must be what the operator has set"
        if self.one_of and not any(same(value, one) for one in self.one_of):
            return "is none of the values that are allowed"
        if self._matcher is not None and not (
            isinstance(value, str)
            and len(value) <= LONGEST_MATCHED
            and self._matcher(value)
        ):
            return "does not match what is allowed"
        if self.inside:
            reason = outside(value, self.inside, realpath, start)
            if reason is not None:
                return reason
        if self.hosts:
            reason = other_host(value, self._hosts, self.schemes)
            if reason is not None:
                return reason
        return self._measured(value)

    def _measured(self, value: Any) -> str | None:
        if self.min_length is not None or self.max_length is not None:
            if not isinstance(value, str | Mapping | Sequence):
                return "must have a length"
            if not _within(len(value), self.min_length, self.max_length):
                return "is too short or too long"
        if self.minimum is not None or self.maximum is not None:
            if isinstance(value, bool) or not isinstance(value, int | float):
                return "must be a number"
            if not _within(value, self.minimum, self.maximum):
                return "is too small or too large"
        if self.max_size is not None and _size(value) > self.max_size:
            return "is too large"
        return None


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; ``1`` is ``1.0`` and is not ``true``."""
    try:
        return canonical(_plain(one)) == canonical(_plain(other))
    except ValueError:
        return False


def matcher(pattern: str | None) -> Matcher | None:
    """
    A function that says whether all of a text matches `pattern`, in linear time.

    :raises ValueError: it is no regular expression, or not a linear one.
    """
    import jsonschema_rs  # here: most commands call no tool, and start faster

    if pattern is None:
        return None
    options = jsonschema_rs.RegexOptions(size_limit=LARGEST_PATTERN)
    try:
        # By itself first: ")|(" must not get out of the group below.
        for text in (pattern, rf"\A(?:{pattern})\z"):
            made = jsonschema_rs.validator_for(
                {"type": "string", "pattern": text}, pattern_options=options
            )
    except ValueError:
        raise ValueError(
            "not a regular expression of the kind that takes linear time: no "
            "look-around, no references"
        ) from None

    def match(text: str) -> bool:
        try:
            return made.is_valid(text)
        except ValueError:  # half of a character
            return False

    return match


def _within(number: float, least: float | None, most: float | None) -> bool:
    if isinstance(number, float) and math.isnan(number):
        return False
    return (least is None or number >= least) and (most is None or number <= most)


def _size(value: Any) -> float:
    try:
        return len(canonical(value))
    except ValueError:
        return math.inf


def _plain(value: Any) -> Any:
    """A number that is whole as an integer, as JSON has one kind of number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return list(value) if isinstance(value, tuple) else value
