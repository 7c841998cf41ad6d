"""
JSON in one form, so that equal values are equal bytes: for hashes and comparisons.

As RFC 8785 has it: keys sorted by their UTF-16 code units, no white space, numbers as
ECMAScript writes them. Two differences: an integer keeps all of its digits, however
long, and half of a surrogate pair is written as an escape instead of being refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

DEEPEST = 200  # levels

_HALF = re.compile("[\ud800-\udfff]")
_quoted = json.JSONEncoder(ensure_ascii=False).encode


def canonical(value: Any) -> bytes:
    """
    `value` as canonical JSON.

    :raises ValueError: JSON cannot say it, or it is nested too deeply.
    """
    pieces: list[str] = []
    _write(value, pieces, DEEPEST)
    return "".join(pieces).encode("utf-8")


def digest(value: Any) -> str:
    """
    The SHA-256 of `value` in that form, in hexadecimal.

    :raises ValueError: as `canonical`.
    """
    return sha256(canonical(value)).hexdigest()


def _write(value: Any, pieces: list[str], left: int) -> None:
    if left < 0:
        raise ValueError(f"nested over {DEEPEST} levels")
    match value:
        case None:
            pieces.append("null")
        case bool():
            pieces.append("true" if value else "false")
        case str():
            pieces.append(_text(value))
        case int():
            pieces.append(_integer(value))
        case float():
            pieces.append(_number(value))
        case Mapping():
            mark = "{"
            for key in sorted(value, key=_order):
                pieces += [mark, _text(key), ":"]
                _write(value[key], pieces, left - 1)
                mark = ","
            pieces.append("}" if value else "{}")
        case list() | tuple():
            mark = "["
            for item in value:
                pieces.append(mark)
                _write(item, pieces, left - 1)
                mark = ","
            pieces.append("]" if value else "[]")
        case _:
            raise ValueError(f"{type(value).__name__} is nothing that JSON has")


def _order(key: Any) -> bytes:
    if not isinstance(key, str):
        raise ValueError("a key that is no text")
    return key.encode("utf-16-be", "surrogatepass")


def _text(text: str) -> str:
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", _quoted(text))


def _integer(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # the limit of Python on digits
        return hex(value)


def _number(value: float) -> str:
    """As ECMAScript writes it: the shortest digits, an exponent from 1e21 and 1e-7."""
    if not math.isfinite(value):
        raise ValueError("a number that JSON does not have")
    if value == 0:
        return "0"
    written = repr(abs(value))
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = written.partition("e")
    whole, _, part = mantissa.partition(".")
    part = "" if part == "0" else part
    point = len(whole) + int(exponent or 0)
    digits = (whole + part).lstrip("0")
    point -= len(whole + part) - len(digits)
    digits = digits.rstrip("0")
    if 0 < point <= 21:
        if len(digits) <= point:
            return sign + digits.ljust(point, "0")
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1:+d}"
