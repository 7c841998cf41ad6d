"""
The text of a configuration file: TOML, ``${VARIABLE}``, sizes, modes, URLs.

Pure. Nothing here puts a value into a message, because any value may be a key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from modelplex.errors import ConfigError

_VARIABLE = re.compile(r"\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|(\{))")
_SIZE = re.compile(r"([0-9]{1,15})\s*(B|[KMG]B|[KMG]iB)", re.IGNORECASE)
_MODE = re.compile(r"(?:0o?)?([0-7]{3})")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_PLACE = re.compile(r" \(at (?:line ([0-9]+), column [0-9]+|end of document)\)$")
_FACTORS = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}


class Unset(Exception):
    """Text names variables that are not set; `names` are theirs."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.names = names


def read_toml(text: str) -> dict[str, Any]:
    """
    The tables of a configuration file.

    Standard TOML is what `tomllib` says it is. What it refuses is offered to `toml`,
    which also takes inline tables written over several lines, as people do. Not the
    other way round: `toml` 0.10.2 reads some valid texts wrongly without a word (a
    comment after a multi-line string loses the key).

    :raises ConfigError: one line, with the number of the line at fault.
    """
    text = text.removeprefix("\ufeff")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        strict = str(e)
    except RecursionError:
        raise ConfigError(["not valid TOML: nested too deeply"]) from None
    except ValueError:  # from int(): TOMLDecodeError is another ValueError
        raise ConfigError(["not valid TOML: a number is too long"]) from None
    import toml  # here: most files do not need it, and every command starts faster

    try:
        return {key: _simple(value) for key, value in toml.loads(text).items()}
    except toml.TomlDecodeError as e:
        line = int(e.lineno)
    except Exception:  # it trips over bad input in many ways: IndexError, TypeError…
        line = 0
    raise ConfigError([_refusal(strict, line, text)]) from None


def _simple(value: Any) -> Any:
    """A value of `toml` without its own subclasses of dict and list."""
    if isinstance(value, dict):
        return {key: _simple(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_simple(item) for item in value]
    return value


def _refusal(strict: str, line: int, text: str) -> str:
    """
    What to say about a text that both parsers refuse.

    `toml` names the line where the bad statement starts, and its messages may quote
    the file, keys included. `tomllib` is exact and quotes no value, but stops at the
    first inline table over several lines, which may be long before the mistake.
    """
    place = _PLACE.search(strict)
    if place is None:
        return f"not valid TOML: {strict}"
    end = text.count("\n") + 1
    exact = int(place[1] or end)
    if exact < line:
        return f"line {line}: not valid TOML"
    reason = strict[: place.start()]
    if text.split("\n")[exact - 1].rstrip().endswith("{"):
        reason = "a mistake in the inline table that starts here"
    return f"line {exact}: not valid TOML: {reason[:1].lower()}{reason[1:]}"


def expand(text: str, environ: Mapping[str, str]) -> str:
    """
    Text with ``${NAME}``, ``${NAME:-default}`` and ``$$`` replaced.

    A variable that is empty counts as not set. What was put in is not looked at again.

    :raises Unset: for variables that are not set and have no default.
    :raises ValueError: for ``${`` that is no variable.
    """
    unset: list[str] = []

    def replace(match: re.Match[str]) -> str:
        dollar, name, default, stray = match.groups()
        if stray:
            raise ValueError(
                "'${' does not start a ${VARIABLE} or ${VARIABLE:-default}; "
                "write '$${' for the characters themselves"
            )
        if dollar:
            return "$"
        value = environ.get(name) or default
        if value is None:
            unset.append(name)
            return ""
        return value

    result = _VARIABLE.sub(replace, text)
    if unset:
        raise Unset(list(dict.fromkeys(unset)))
    return result


def has_variable(text: str) -> bool:
    """Whether text takes anything from the environment."""
    return any(match[2] for match in _VARIABLE.finditer(text))


def _size(value: object) -> object:
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match is None:
            if value.strip().isascii() and value.strip().isdigit():
                return int(value.strip()[:16])
            raise ValueError('expected bytes, such as 1048576 or "32MiB"')
        return int(match[1]) * _FACTORS[match[2].lower()]
    return value


def _mode(value: object) -> object:
    wrong = 'expected permissions in octal, such as "0600" or 0o600'
    if isinstance(value, str):
        match = _MODE.fullmatch(value.strip())
        if match is None:
            raise ValueError(wrong)
        return int(match[1], 8)
    if type(value) is int and not 0 <= value <= 0o777:
        raise ValueError(wrong)  # 600 without the quotes is 0o1130
    return value


def _text(value: object) -> object:
    if value == "":
        raise ValueError("must not be empty")
    return value


def _path(value: object) -> object:
    if isinstance(value, str) and "\0" in value:
        raise ValueError("a path cannot hold a NUL character")
    return _text(value)


def _name(value: object) -> object:
    if isinstance(value, str) and not _NAME.fullmatch(value):
        raise ValueError("use letters, digits, '.', '_' and '-' only")
    return value


def _number(value: object) -> object:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError("expected a number of seconds")
    return value


def _key(value: object) -> object:
    if not isinstance(value, str):
        return value
    value = value.strip()
    # what a header may carry: visible characters, RFC 9110 §5.5
    if not (value.isascii() and value.isprintable()):
        raise ValueError("holds a character that cannot be sent in a header")
    return value


def _url(value: object) -> object:
    """Accept http, https and http+unix URLs that name a place and no user."""
    if not isinstance(value, str):
        return value
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise ValueError("a URL holds visible ASCII characters only")
    try:
        parts = urlsplit(value)
        port = parts.port if parts.scheme != "http+unix" else None
    except ValueError:
        raise ValueError("not a URL") from None
    if parts.scheme not in ("http", "https", "http+unix"):
        raise ValueError("must start with http://, https:// or http+unix://")
    if "@" in parts.netloc:
        raise ValueError("holds a user or password; use api_key or headers instead")
    if "#" in value:
        raise ValueError("must not hold a '#' fragment")
    if parts.scheme == "http+unix":
        if not unquote(parts.netloc).strip("/") or "\0" in unquote(parts.netloc):
            raise ValueError("expected http+unix://%2Fpath%2Fto.sock, '/' as %2F")
    elif not parts.hostname or port == 0:
        raise ValueError("names no host")
    return value


#: How the text of each unit becomes a value that can be checked. Each raises
#: `ValueError` with words for the operator and leaves other types alone.
READERS: Mapping[str, Callable[[object], object]] = {
    "bytes": _size,
    "key": _key,
    "mode": _mode,
    "name": _name,
    "path": _path,
    "seconds": _number,
    "text": _text,
    "url": _url,
}
