"""
Plain tables into the types of `modelplex.settings`, with every mistake found.

`msgspec.convert` checks each leaf; it stops at its first mistake, so the walk over
tables and arrays is done here. No message holds a value: any value may be a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from attrs import define, field
from msgspec import Meta

from modelplex.configtext import READERS, Unset, expand, has_variable
from modelplex.secret import Secret
from modelplex.settings import Section

_TOML_WORDS = {
    bool: "a boolean",
    dict: "a table",
    float: "a number",
    int: "an integer",
    list: "an array",
    str: "a string",
}

_LIMIT = re.compile(r"[<>]=? -?[0-9.]+$")


class _Invalid(Exception):
    """A value was refused; the reason has been noted."""


@define(eq=False)
class Findings:
    """
    What was noticed while one file was read.

    :ivar problems: mistakes, a line each, starting with the key path.
    :ivar unset: (key path, variable) of what the environment does not have.
    :ivar literal: key paths of secrets that stand in the file itself.
    :ivar warnings: what is no mistake but ought to be told, a line each.
    """

    environ: Mapping[str, str]
    problems: list[str] = field(factory=list)
    unset: list[tuple[str, str]] = field(factory=list)
    literal: list[str] = field(factory=list)
    warnings: list[str] = field(factory=list)

    def problem(self, path: str, reason: str) -> None:
        """Note a mistake."""
        self.problems.append(f"{path}: {reason}")

    def take_unset(self) -> list[tuple[str, str]]:
        """What was unset since the last call; the caller decides what it means."""
        unset, self.unset = self.unset, []
        return unset


def near(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` when a known word is close, else nothing."""
    from difflib import get_close_matches  # here: only mistakes need it

    close = get_close_matches(word.lower(), list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def table(value: object, path: str, found: Findings) -> dict[str, Any]:
    """A table as it stands, or an empty one and a problem."""
    if isinstance(value, dict):
        return value
    found.problem(path, f"expected a table, got {_word(value)}")
    return {}


def tables(value: object, path: str, found: Findings) -> list[dict[str, Any]]:
    """An array of tables as it stands; what is none becomes a problem."""
    if isinstance(value, list):
        return [table(item, f"{path}[{i}]", found) for i, item in enumerate(value)]
    hint = f": write [[{path}]]" if isinstance(value, dict) else ""
    found.problem(path, f"expected an array of tables, got {_word(value)}{hint}")
    return []


def fields(
    kind: type[Section], given: Mapping[str, Any], path: str, found: Findings
) -> dict[str, Any]:
    """
    The fields of a table that are right, by name; every other one is a finding.

    What the table does not give is not in the result, nor is what it gives wrongly.
    """
    known = {f.name: f for f in msgspec.structs.fields(kind)}
    for key in given:
        if key in kind.later:
            found.problem(_at(path, key), "not supported by this version")
        elif key not in known:
            found.problem(_at(path, key), f"unknown key{near(key, known)}")
    right: dict[str, Any] = {}
    for name, its in known.items():
        if name in given:
            with suppress(_Invalid):
                right[name] = _value(its.type, given[name], _at(path, name), found)
        elif its.required:
            found.problem(_at(path, name), "missing")
    return right


def _value(kind: Any, value: object, path: str, found: Findings) -> object:
    """A value as its type, or `_Invalid` with at least one finding."""
    kind, extra = _unwrap(kind)
    if get_origin(kind) in (Union, UnionType):
        kind, inner = _unwrap(_choose(kind, value))
        extra = {**extra, **inner}
    origin = get_origin(kind)
    if isinstance(kind, type) and issubclass(kind, Section):
        return _section(kind, value, path, found)
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(found, path, "an array", value)
        item = get_args(kind)[0]
        return tuple(
            _each(item, ((f"{path}[{i}]", v) for i, v in enumerate(value)), found)
        )
    if origin is dict:
        if not isinstance(value, dict):
            raise _wrong(found, path, "a table", value)
        item = get_args(kind)[1]
        values = _each(item, ((_at(path, k), v) for k, v in value.items()), found)
        return dict(zip(value, values, strict=True))
    return _leaf(kind, extra, value, path, found)


def _each(
    kind: Any, items: Iterable[tuple[str, object]], found: Findings
) -> list[object]:
    """Every item as its type; all are looked at before any is refused."""
    right, bad = [], False
    for path, value in items:
        try:
            right.append(_value(kind, value, path, found))
        except _Invalid:
            bad = True
    if bad:
        raise _Invalid
    return right


def _section(kind: type[Section], value: object, path: str, found: Findings) -> Section:
    if not isinstance(value, dict):
        raise _wrong(found, path, "a table", value)
    before = len(found.problems) + len(found.unset)
    right = fields(kind, value, path, found)
    if len(found.problems) + len(found.unset) > before:
        raise _Invalid
    return kind(**right)


def _leaf(
    kind: Any, extra: Mapping[str, Any], value: object, path: str, found: Findings
) -> object:
    if kind is Secret and not isinstance(value, str):
        raise _wrong(found, path, "a string", value)
    if isinstance(value, str):
        if kind is Secret and not has_variable(value):
            found.literal.append(path)
        value = _expanded(value, path, found)
    try:
        if "unit" in extra:
            value = READERS[extra["unit"]](value)
        if kind is Secret:
            return Secret(str(value))
        return msgspec.convert(value, Annotated[kind, Meta(), *extra["metas"]])
    except msgspec.ValidationError as e:
        if get_origin(kind) is Literal and isinstance(value, str):
            reason = _choice(value, get_args(kind))
        else:
            reason = _plain(str(e), value)
    except ValueError as e:
        reason = str(e)
    found.problem(path, reason)
    raise _Invalid


def _expanded(text: str, path: str, found: Findings) -> str:
    try:
        return expand(text, found.environ)
    except Unset as e:
        found.unset.extend((path, name) for name in e.names)
    except ValueError as e:
        found.problem(path, str(e))
    raise _Invalid


def _unwrap(kind: Any) -> tuple[Any, dict[str, Any]]:
    """A type without its annotations, and what they say."""
    metas: list[Meta] = []
    while get_origin(kind) is Annotated:
        metas = [m for m in kind.__metadata__ if isinstance(m, Meta)] + metas
        kind = kind.__origin__
    extra: dict[str, Any] = {"metas": metas}
    for meta in metas:
        extra.update(meta.extra or {})
    return kind, extra


def _choose(union: Any, value: object) -> Any:
    """The member of a union that a value of this shape is meant for."""
    members = [m for m in get_args(union) if m is not NoneType]
    for member in members:
        if _unwrap(member)[0] is type(value):
            return member
    shape = dict if isinstance(value, dict) else tuple
    for member in members:
        if get_origin(_unwrap(member)[0]) is shape:
            return member
    return members[0]


def _choice(given: str, words: tuple[str, ...]) -> str:
    known = ", ".join(word or '""' for word in words)
    return f"expected one of {known}{near(given, words)}"


def _plain(message: str, value: object) -> str:
    """msgspec's words about a leaf; they hold types and limits, never the value."""
    if "got" in message:
        wanted = message.split("`")[1].split(" |")[0]
        names = {k.__name__: word for k, word in _TOML_WORDS.items()}
        return f"expected {names.get(wanted, wanted)}, got {_word(value)}"
    limit = _LIMIT.search(message)
    return f"must be {limit[0]}" if limit else "out of range"


def _wrong(found: Findings, path: str, wanted: str, value: object) -> _Invalid:
    found.problem(path, f"expected {wanted}, got {_word(value)}")
    return _Invalid()


def _word(value: object) -> str:
    return _TOML_WORDS.get(type(value), "a date or time")


def _at(path: str, key: str) -> str:
    """The path of a key in a table, quoted when TOML would quote it."""
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    key = key if bare else repr(key)
    return f"{path}.{key}" if path else key
