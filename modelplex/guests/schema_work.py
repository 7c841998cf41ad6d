"""
How much work a schema can make for a value: an upper bound, found beforehand.

A few parts of a schema that refer to each other twice are held against a value
exponentially often, and a validator that has begun cannot be stopped. So it is counted
first how often each part may be held against a value at each depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

MOST_WORK = 20_000_000  # comparisons of a value with a part of a schema
MOST_COUNTS = 200_000  # numbers that are kept about one schema
_AT_ONCE = 8  # characters that a pattern reads in the time of a comparison
_LOOKING = 20_000  # comparisons that a pattern which looks around is worth

_LOOKS = re.compile(r"\(\?[=!<>]|\\[1-9k]")

#: Keywords whose value, or each part of it, is held against the same value ...
_SAME = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")
_SAME_NAMED = ("dependentSchemas", "dependencies")
#: ... and against its parts. What stands beside these is held against one part each.
_PARTS = (
    *("additionalProperties", "propertyNames", "items", "additionalItems"),
    *("contains", "unevaluatedItems", "unevaluatedProperties"),
)

Counts: TypeAlias = dict[int, int]
"""How often a part of the schema, by its number, is held against one value."""


class Unusable(Exception):
    """A schema that nothing can be held against; the message says why."""


class Work:
    """What there is to know about one schema."""

    def __init__(self, schema: Any) -> None:
        """:raises Unusable: it refers to itself without end, or is too tangled."""
        self._root = schema
        self._anchors: dict[str, Any] = {}
        for one in _objects(schema):
            for key in ("$anchor", "$dynamicAnchor", "$id", "id"):
                if isinstance(one.get(key), str):
                    self._anchors.setdefault(one[key], one)
        self._nodes: list[Mapping[str, Any]] = []
        self._numbers: dict[int, int] = {}
        self._number(schema)
        self._same: list[list[int]] = []
        self._groups: list[list[list[int]]] = []
        for node in self._nodes:  # which grows
            self._same.append([self._number(n) for n in self._held(node)])
            self._groups.append([[self._number(n) for n in g] for g in _groups(node)])
        self._weights = [_weight(node) for node in self._nodes]
        self._patterns = {
            number for number, node in enumerate(self._nodes) if "pattern" in node
        }
        self._closures = self._closed()
        self._below = [self._grouped(groups) for groups in self._groups]

    def of(self, value: Any) -> int:
        """At most this many comparisons for `value`, or more than `MOST_WORK`."""
        reached = self._closures[0]
        total, row = 0, [value]
        while row and reached and total <= MOST_WORK:
            each = sum(n * self._weights[number] for number, n in reached.items())
            tried = sum(n for number, n in reached.items() if number in self._patterns)
            characters = sum(len(one) for one in row if isinstance(one, str))
            total += len(row) * each + characters // _AT_ONCE * tried
            row = [part for one in row for part in _parts(one)]
            below: Counts = {}
            for number, count in reached.items() if row else ():
                _add(below, self._below[number], count)
            reached = below
        return total

    def _closed(self) -> list[Counts]:
        """For each node, all that is held against the same value, itself included."""
        closures: list[Counts] = [{} for _ in self._nodes]
        kept = 0
        for number in self._ordered():
            closures[number] = {number: 1}
            for other in self._same[number]:
                _add(closures[number], closures[other], 1)
            kept += len(closures[number])
            if kept > MOST_COUNTS:
                raise Unusable("the tool's schema is too tangled")
        return closures

    def _grouped(self, groups: list[list[int]]) -> Counts:
        """What a part of a value meets: of each group it meets one only."""
        met: Counts = {}
        for group in groups:
            most: Counts = {}
            for number in group:
                for other, count in self._closures[number].items():
                    most[other] = max(most.get(other, 0), count)
            _add(met, most, 1)
        return met

    def _ordered(self) -> list[int]:
        """The nodes, each after those held against the same value."""
        entered: set[int] = set()
        ordered: dict[int, None] = {}
        for start in range(len(self._nodes)):
            stack = [(start, iter(self._same[start]))] if start not in entered else []
            entered.add(start)
            while stack:
                number, rest = stack[-1]
                following = next(rest, None)
                if following is None:
                    ordered[number] = None
                    stack.pop()
                elif following not in entered:
                    entered.add(following)
                    stack.append((following, iter(self._same[following])))
                elif following not in ordered:
                    raise Unusable("the tool's schema refers to itself without end")
        return list(ordered)

    def _number(self, node: Any) -> int:
        if id(node) not in self._numbers:
            self._numbers[id(node)] = len(self._nodes)
            self._nodes.append(node if isinstance(node, Mapping) else {})
        return self._numbers[id(node)]

    def _held(self, node: Mapping[str, Any]) -> list[Any]:
        found: list[Any] = []
        for key in ("$ref", "$dynamicRef", "$recursiveRef"):
            if isinstance(node.get(key), str):
                found += self._referred(node[key])
        for key in _SAME:
            found += _schemas(node.get(key))
        for key in _SAME_NAMED:
            found += _named(node.get(key))
        return found

    def _referred(self, reference: str) -> list[Any]:
        """Where a reference leads; what leads nowhere makes the schema invalid."""
        place, _, pointer = reference.partition("#")
        if place and place not in self._anchors:
            return []
        node: Any = self._anchors[place] if place else self._root
        if pointer and not pointer.startswith("/"):
            return [self._anchors[pointer]] if pointer in self._anchors else []
        for token in pointer.split("/")[1:]:
            token = token.replace("~1", "/").replace("~0", "~")
            if isinstance(node, Mapping) and token in node:
                node = node[token]
            elif isinstance(node, list) and token.isdigit() and int(token) < len(node):
                node = node[int(token)]
            else:
                return []
        return [node] if isinstance(node, Mapping) else []


def inner(value: Any) -> Iterator[Any]:
    """The objects and arrays directly in `value`."""
    return (p for p in _parts(value) if isinstance(p, Mapping | list | tuple))


def _parts(value: Any) -> Sequence[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list | tuple) else ()


def _add(counts: Counts, more: Counts, times: int) -> None:
    for number, count in more.items():
        total = counts.get(number, 0) + count * times
        counts[number] = min(total, MOST_WORK + 1)


def _weight(node: Mapping[str, Any]) -> int:
    listed = node.get("enum")
    patterns = [node.get("pattern", ""), *_strings(node.get("patternProperties"))]
    weight = 1 + (len(listed) if isinstance(listed, list) else 0)
    looking = (isinstance(one, str) and _LOOKS.search(one) for one in patterns)
    weight += _LOOKING * sum(map(bool, looking))
    return weight


def _groups(node: Mapping[str, Any]) -> list[list[Any]]:
    """What the parts of a value are held against."""
    groups = [_schemas(node.get(key)) for key in _PARTS if key in node]
    groups += [_named(node.get("properties")), _schemas(node.get("prefixItems"))]
    # A member may match every pattern.
    groups += [[one] for one in _named(node.get("patternProperties"))]
    return [group for group in groups if group]


def _schemas(value: Any) -> list[Any]:
    """The schema, or those in the list, that a keyword has."""
    if isinstance(value, list):
        return [one for one in value if isinstance(one, Mapping)]
    return [value] if isinstance(value, Mapping) else []


def _named(value: Any) -> list[Any]:
    """The schemas that a keyword has by name."""
    if not isinstance(value, Mapping):
        return []
    return [one for one in value.values() if isinstance(one, Mapping)]


def _strings(value: Any) -> list[str]:
    return list(value) if isinstance(value, Mapping) else []


def _objects(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Every object in a schema, whether it is a schema or not."""
    row: Sequence[Any] = [schema]
    while row:
        yield from (one for one in row if isinstance(one, Mapping))
        row = [part for one in row for part in inner(one)]
