"""
Arguments held against a tool's own schema, in bounded time: pure.

The schema comes from the server and is not to be trusted. It is refused when it is
large, when it refers to anything outside of itself, or when following its references
would take too long for these arguments. Patterns take linear time; one that needs more,
because it looks around as those of JavaScript libraries do, is tried on short texts
only, and a longer text is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from modelplex.guests.schema_work import MOST_WORK, Unusable, Work, inner

DEEPEST = 64  # levels of arguments
LARGEST = 4 << 20  # bytes of arguments as JSON
LARGEST_SCHEMA = 1 << 20  # bytes of JSON
DEEPEST_SCHEMA = 96  # levels
STEPS = 20_000  # of a pattern that has to go back
LARGEST_PATTERN = 1 << 18  # bytes of one when it is ready for use
LONGEST_LOOKED = 512  # characters that a pattern which looks around is tried on
_LOOKING = "modelplex:pattern"
#: Keywords whose values are no schemas.
_VALUES = ("const", "enum", "default", "examples")
_KEPT = 512  # schemas that are ready for use
_SHOWN = 200  # characters of a reason


def mismatch(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str | None:
    """
    What is wrong with `arguments`, shortly; ``None`` when nothing is.

    :raises Unusable: the schema, or the two together, are too much.
    """
    text = _json(schema, LARGEST_SCHEMA, "the tool's schema")
    check = _checker(text)
    return check(arguments)


def too_much(arguments: Mapping[str, Any]) -> str | None:
    """Why `arguments` are more than anybody needs; ``None`` when they are not."""
    if deeper(arguments, DEEPEST):
        return f"are nested over {DEEPEST} levels"
    try:
        _json(arguments, LARGEST, "")
    except Unusable:
        return f"are over {LARGEST} bytes, or hold half of a character"
    return None


def deeper(value: Any, levels: int) -> bool:
    """Whether `value` is nested more than `levels` deep."""
    row = [value]
    for _ in range(levels + 1):
        row = [part for one in row for part in inner(one)]
        if not row:
            return False
    return True


def _json(value: Any, limit: int, what: str) -> bytes:
    try:
        text = msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError):
        raise Unusable(f"{what} is no JSON") from None
    if len(text) > limit:
        raise Unusable(f"{what} is over {limit} bytes")
    return text


def _offline(uri: str) -> Any:
    raise ValueError("a schema of ours refers to nothing outside")


@lru_cache(maxsize=_KEPT)
def _checker(text: bytes) -> Callable[[Mapping[str, Any]], str | None]:
    import jsonschema_rs  # here: most commands call no tool, and start faster

    schema = msgspec.json.decode(text)
    if deeper(schema, DEEPEST_SCHEMA):
        raise Unusable(f"the tool's schema is nested over {DEEPEST_SCHEMA} levels")
    work = Work(schema)
    try:
        validator = jsonschema_rs.validator_for(
            _renamed(schema),
            retriever=_offline,
            mask="this value",
            pattern_options=jsonschema_rs.RegexOptions(size_limit=LARGEST_PATTERN),
            keywords={_LOOKING: _Looking},
        )
    except ValueError:
        raise Unusable("the tool's schema is not valid") from None

    def check(arguments: Mapping[str, Any]) -> str | None:
        if work.of(arguments) > MOST_WORK:
            raise Unusable("the tool's schema takes too long for these arguments")
        try:
            validator.validate(arguments)
        except jsonschema_rs.ValidationError as e:
            where = "".join(f"/{part}" for part in e.instance_path)
            said = f"{where or 'the arguments'}: {e.message}"
            return said if len(said) <= _SHOWN else said[:_SHOWN] + "…"
        except ValueError:
            return "the arguments hold half of a character"
        return None

    return check


def _renamed(schema: Any) -> Any:
    """A schema whose patterns that look around stand under a keyword of ours."""
    if isinstance(schema, list):
        return [_renamed(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    named = schema.get("patternProperties")
    if isinstance(named, Mapping) and not all(map(_is_linear, named)):
        raise Unusable("the tool's schema has a pattern for names that looks around")
    changed = {
        key: value if key in _VALUES else _renamed(value)
        for key, value in schema.items()
    }
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and not _is_linear(pattern):
        changed[_LOOKING] = changed.pop("pattern")
    return changed


@lru_cache(maxsize=_KEPT)
def _is_linear(pattern: str) -> bool:
    import jsonschema_rs  # here as above

    options = jsonschema_rs.RegexOptions(size_limit=LARGEST_PATTERN)
    try:
        jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=options)
    except ValueError:
        return False
    return True


class _Looking:
    """The keyword for a pattern that looks around; the library's, for short texts."""

    def __init__(
        self, parent_schema: Mapping[str, Any], value: Any, schema_path: list[str | int]
    ) -> None:
        import jsonschema_rs  # here as above

        self._tried = jsonschema_rs.validator_for(
            {"pattern": value},
            pattern_options=jsonschema_rs.FancyRegexOptions(
                backtrack_limit=STEPS, size_limit=LARGEST_PATTERN
            ),
        )

    def validate(self, instance: Any) -> None:
        """:raises ValueError: the text does not match, or is too long to be tried."""
        if not isinstance(instance, str):
            return
        if len(instance) > LONGEST_LOOKED:
            raise ValueError("this value is too long for its pattern")
        if not self._tried.is_valid(instance):
            raise ValueError("this value does not match its pattern")
