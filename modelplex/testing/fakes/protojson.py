"""JSON of protocol buffers, read as Google's servers do: by a table, and strictly."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from modelplex.testing.fakes.speaker import Refused

Messages = Mapping[str, Mapping[str, str]]
"""
By the name of a message its members, by their camelCase names.

A type is another message, one of ``string int number bool bytes struct value``, or
``A|B`` for an enum; ``*`` after it makes it a list, ``{}`` a map from any names.
"""

_CAPITAL = re.compile(r"[A-Z]")
_UNDERSCORED = re.compile(r"_([a-z0-9])")
_PLAIN: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "bool": (bool,),
    "int": (int, str),  # an int64 may be written as a text
    "number": (int, float),
}


def read(messages: Messages, name: str, value: Any, path: str = "") -> Any:
    """
    `value` as a message, its members in camelCase whichever way they were written.

    :raises Refused: it has a member or a type that the message does not have.
    """
    if not isinstance(value, dict):
        raise _invalid(path, name, value)
    known = messages[name]
    found: dict[str, Any] = {}
    for member, inner in value.items():
        camel = _UNDERSCORED.sub(lambda m: m[1].upper(), member)
        spelled = camel if camel in known else member
        if spelled not in known:
            where = f" at '{path}'" if path else ""
            said = f'Invalid JSON payload received. Unknown name "{member}"{where}'
            raise Refused(400, f"{said}: Cannot find field.")
        if spelled in found:
            raise Refused(400, f"{path}.{member}: the field is already set")
        if inner is not None:  # as if it were not there
            below = f"{path}.{_snake(spelled)}".lstrip(".")
            found[spelled] = _typed(messages, known[spelled], inner, below)
    return found


def _typed(messages: Messages, kind: str, value: Any, path: str) -> Any:
    if kind.endswith("*"):
        if not isinstance(value, list):
            raise _invalid(path, kind, value)
        one = kind[:-1]
        places = enumerate(value)
        return [_typed(messages, one, v, f"{path}[{place}]") for place, v in places]
    if kind.endswith("{}"):
        if not isinstance(value, dict):
            raise _invalid(path, kind, value)
        one = kind[:-2]
        return {k: _typed(messages, one, v, f"{path}[{k}]") for k, v in value.items()}
    if kind in messages:
        return read(messages, kind, value, path)
    _check(kind, value, path)
    return value


def _check(kind: str, value: Any, path: str) -> None:
    match kind:
        case "value":
            fits = True
        case "struct":
            fits = isinstance(value, dict)
        case "bytes":
            fits = isinstance(value, str) and _is_base64(value)
        case "bool":
            fits = isinstance(value, bool)
        case "string" | "int" | "number":
            fits = isinstance(value, _PLAIN[kind]) and not isinstance(value, bool)
        case _:
            fits = value in kind.split("|")
    if not fits:
        raise _invalid(path, kind, value)


def _is_base64(text: str) -> bool:
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _snake(camel: str) -> str:
    return _CAPITAL.sub(lambda m: "_" + m[0].lower(), camel)


def _invalid(path: str, kind: str, value: Any) -> Refused:
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    typed = f"TYPE_{kind.upper()}" if kind in _PLAIN else kind
    return Refused(400, f"Invalid value at '{path}' ({typed}), {shown[:80]}")
