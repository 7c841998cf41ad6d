"""
What the arguments of a call must be like before a tool server sees them: pure.

Rules are the operator's, the schema is the server's, and the arguments come from a
guest; only the first are trusted. A call that cannot be judged is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve, field, frozen

from modelplex.guests.argument_rule import Rule
from modelplex.guests.listed_schema import without
from modelplex.guests.places import Realpath
from modelplex.guests.pointers import Misshapen
from modelplex.guests.schema_work import Unusable
from modelplex.guests.schemas import mismatch, too_much
from modelplex.guests.tools import matches

__all__ = [
    "Checked",
    "Refused",
    "Rule",
    "Rules",
    "checked",
    "listed_schema",
]


@frozen
class Checked:
    """Arguments as they go to the server: looked at, with those that are pinned."""

    arguments: Mapping[str, Any] = field(repr=False)


@frozen
class Refused:
    """
    A call that is not made.

    :ivar reason: in words that its guest may read; holds no value.
    :ivar rule: what refused it, for the audit.
    """

    reason: str
    rule: str


@frozen
class Rules:
    """
    The rules of one call, or of every call.

    :ivar realpath: resolves links, for ``inside``.
    :ivar start: where the server's relative paths start.
    :ivar schema: whether arguments are held against the tool's schema as well.
    """

    rules: tuple[Rule, ...] = ()
    realpath: Realpath = field(kw_only=True)
    start: str | None = field(default=None, kw_only=True)
    schema: bool = field(default=True, kw_only=True)

    def of(self, tool: str) -> Rules:
        """Those whose ``tools`` have `tool` among them."""
        return evolve(
            self, rules=tuple(r for r in self.rules if matches(r.tools, tool))
        )

    def with_rules(self, more: Iterable[Rule]) -> Rules:
        """These and others; a call must pass all of them."""
        return evolve(self, rules=(*self.rules, *more))


def checked(
    schema: Mapping[str, Any], arguments: Mapping[str, Any], rules: Rules
) -> Checked | Refused:
    """
    Judge the arguments of a call.

    :param schema: the tool's ``inputSchema``.
    :param rules: those of this tool, see `Rules.of`; the most restrictive wins, for
        all of them must hold.
    """
    if reason := too_much(arguments):
        return Refused(f"the arguments {reason}", "arguments")
    try:
        for rule in rules.rules:
            if rule.is_taken_away:
                values, _ = rule.pointer.found(arguments)
                if values:
                    return Refused(f"there is no argument {rule.argument}", _name(rule))
        given: Mapping[str, Any] = arguments
        for rule in rules.rules:
            if rule.value is not None:
                given = _with(given, rule.pointer.tokens, rule.value)
        for rule in rules.rules:
            reason = _broken(rule, given, rules)
            if reason is not None:
                return Refused(f"{rule.argument} {reason}", _name(rule))
    except Misshapen as e:
        return Refused(str(e), _name(rule))
    if rules.schema:
        try:
            wrong = mismatch(schema, given)
        except Unusable as e:
            return Refused(str(e), "schema")
        if wrong is not None:
            return Refused(wrong, "schema")
    return Checked(given)


def listed_schema(schema: Mapping[str, Any], rules: Rules) -> Mapping[str, Any]:
    """
    The schema that a guest sees: without what is pinned or hidden.

    Only what stands in the schema itself is taken out, not what it refers to; a call
    that gives such an argument is refused all the same.
    """
    for rule in rules.rules:
        if rule.is_taken_away:
            schema = without(schema, rule.pointer.tokens)
    return schema


def _broken(rule: Rule, given: Mapping[str, Any], rules: Rules) -> str | None:
    if rule.is_taken_away:
        return None
    values, missing = rule.pointer.found(given)
    if not rule.required:
        values = [value for value in values if value is not None]
    elif missing:
        return "is missing"
    for value in values:
        reason = rule.wrong(value, rules.realpath, rules.start)
        if reason is not None:
            return reason
    return None


def _name(rule: Rule) -> str:
    return f"argument {rule.argument}"


def _with(
    given: Mapping[str, Any], tokens: tuple[str, ...], value: Any
) -> Mapping[str, Any]:
    first, rest = tokens[0], tokens[1:]
    if rest:
        below = given.get(first)
        if below is not None and not isinstance(below, Mapping):
            raise Misshapen(f"/{first} is of the wrong kind")
        value = _with(below or {}, rest, value)
    elif isinstance(value, tuple):
        value = list(value)
    return {**given, first: value}
