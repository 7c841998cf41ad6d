"""
What a modern request repeats of itself in HTTP headers, rendered and checked.

``Mcp-Method`` and ``Mcp-Name`` are of every request; ``Mcp-Param-*`` are of those
arguments of a tool that its schema marks with ``x-mcp-header``. A header that does not
say what the body says is refused, so that nobody is told two things.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

from attrs import frozen

from modelplex.wire.jsonrpc import Params, RpcError
from modelplex.wire.mcp.envelope import HEADER_MISMATCH, VERSION, meta_of

VERSION_HEADER = "mcp-protocol-version"
METHOD_HEADER = "mcp-method"
NAME_HEADER = "mcp-name"
PARAM_HEADER = "mcp-param-"
MARK = "x-mcp-header"

LARGEST = 2**53 - 1  # the integers that every client can say exactly
_NAMED = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
_SAFE = re.compile(r"(?![ ])[\x20-\x7e]*(?<! )")
_ENCODED = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]{1,32}(?:\.[0-9]{1,32})?")
_KINDS = ("string", "integer", "boolean")

Lookup: TypeAlias = Callable[[str], Sequence[bytes]]
"""Gives every line of the header that has this lower-case name, as it came."""


@frozen
class Marked:
    """
    An argument that is repeated in a header.

    :ivar header: what follows ``Mcp-Param-``.
    :ivar path: the keys that lead to it in the arguments.
    :ivar kind: ``string``, ``integer`` or ``boolean``.
    """

    header: str
    path: tuple[str, ...]
    kind: str


# --- rendering


def encoded(value: str) -> str:
    """`value` as a header can say it: plainly, or as Base64 of its UTF-8."""
    if _SAFE.fullmatch(value) and not _ENCODED.fullmatch(value):
        return value
    return f"=?base64?{b64encode(value.encode('utf-8', 'replace')).decode()}?="


def name_of(method: str, params: Params) -> str | None:
    """What ``Mcp-Name`` says for a request; ``None`` when it has none."""
    key = _NAMED.get(method)
    value = None if key is None else params.get(key)
    return value if isinstance(value, str) else None


def rendered(
    version: str, method: str, params: Params, marked: Sequence[Marked] = ()
) -> list[tuple[str, str]]:
    """The headers of a request, for whoever sends it; `marked` is of its tool."""
    found = [("MCP-Protocol-Version", version), ("Mcp-Method", encoded(method))]
    name = name_of(method, params)
    if name is not None:
        found.append(("Mcp-Name", encoded(name)))
    for one in marked:
        said = _said(_at(params.get("arguments"), one.path))
        if said is not None:
            found.append((f"Mcp-Param-{one.header}", encoded(said)))
    return found


# --- checking


def check(lookup: Lookup, method: str, params: Params) -> None:
    """
    Hold the headers of a request against its body.

    :raises RpcError: one is missing, stands twice or says something else (-32020).
    """
    version = meta_of(params).get(VERSION)
    _same(lookup, VERSION_HEADER, version if isinstance(version, str) else "")
    _same(lookup, METHOD_HEADER, method)
    name = name_of(method, params)
    if name is not None:
        _same(lookup, NAME_HEADER, name)


def check_single(lookup: Lookup) -> None:
    """
    Ask whether each header of the protocol stands once at most.

    :raises RpcError: one stands twice (-32020).
    """
    for header in (VERSION_HEADER, METHOD_HEADER, NAME_HEADER):
        if len(lookup(header)) > 1:
            raise _mismatch(f"{header} stands twice")


def check_marked(lookup: Lookup, arguments: Any, marked: Sequence[Marked]) -> None:
    """
    Hold the headers of marked arguments against the arguments.

    :raises RpcError: one is missing, stands twice or says something else (-32020).
    """
    for one in marked:
        header = PARAM_HEADER + one.header.lower()
        said = _only(lookup, header)
        value = _at(arguments, one.path)
        expected = _said(value)
        if said is None and expected is None:
            continue
        if said is None or expected is None or not _equal(said, expected, value):
            raise _mismatch(f"{header} is not what the arguments say")


def marked(schema: Mapping[str, Any]) -> tuple[Marked, ...]:
    """
    The arguments of a tool that are repeated in headers.

    :param schema: the tool's ``inputSchema``.
    :raises ValueError: a mark is not valid; a client then must not use the tool.
    """
    found = tuple(_marks(schema, (), reachable=True))
    names = [one.header.lower() for one in found]
    if len(set(names)) != len(names):
        raise ValueError(f"{MARK}: two arguments have the same header")
    return found


def _marks(schema: Any, path: tuple[str, ...], reachable: bool) -> list[Marked]:
    if len(path) > 64:
        raise ValueError("the schema is nested too deeply")
    if isinstance(schema, list | tuple):
        return [m for one in schema for m in _marks(one, (*path, ""), False)]
    if not isinstance(schema, Mapping):
        return []
    found: list[Marked] = []
    if MARK in schema:
        found.append(_mark(schema, path, reachable))
    for key, value in schema.items():
        if key == "properties" and isinstance(value, Mapping):
            for name, one in value.items():
                found += _marks(one, (*path, name), reachable)
        elif key not in ("default", "const", "enum", "examples"):
            found += _marks(value, (*path, key), False)
    return found


def _mark(schema: Mapping[str, Any], path: tuple[str, ...], reachable: bool) -> Marked:
    header, kind = schema[MARK], schema.get("type")
    if not isinstance(header, str) or not _TOKEN.fullmatch(header):
        raise ValueError(f"{MARK}: a header's name is expected")
    if not reachable or not path:
        raise ValueError(f"{MARK}: {header} is not on a plain property")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(f"{MARK}: {header} is on none of {', '.join(_KINDS)}")
    return Marked(header, path, kind)


def _same(lookup: Lookup, header: str, expected: str) -> None:
    said = _only(lookup, header)
    if said is None:
        raise _mismatch(f"{header} is required")
    if said != expected:
        raise _mismatch(f"{header} is not what the body says")


def _only(lookup: Lookup, header: str) -> str | None:
    """The decoded value of a header that may stand once."""
    lines = lookup(header)
    if not lines:
        return None
    if len(lines) > 1:
        raise _mismatch(f"{header} stands twice")
    try:
        text = lines[0].decode("ascii").strip(" \t")
    except UnicodeDecodeError:
        raise _mismatch(f"{header} is not ASCII") from None
    found = _ENCODED.fullmatch(text)
    if found is None:
        return text
    try:
        raw = b64decode(found[1], validate=True)
        if b64encode(raw).decode() != found[1]:
            raise _mismatch(f"{header} is not canonical Base64")
        return raw.decode()
    except (NoBase64, UnicodeDecodeError, ValueError):
        raise _mismatch(f"{header} is not Base64 of UTF-8") from None


def _equal(said: str, expected: str, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return said == expected
    return bool(_NUMBER.fullmatch(said)) and Decimal(said) == Decimal(expected)


def _said(value: Any) -> str | None:
    """An argument as its header says it before encoding; ``None`` for no header."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() if abs(value) <= LARGEST:
            return str(value)
        case float() if value.is_integer() and abs(value) <= LARGEST:
            return str(int(value))
        case _:
            return None


def _at(arguments: Any, path: Sequence[str]) -> Any:
    for key in path:
        if not isinstance(arguments, Mapping):
            return None
        arguments = arguments.get(key)
    return arguments


def _mismatch(message: str) -> RpcError:
    return RpcError(HEADER_MISMATCH, message)
