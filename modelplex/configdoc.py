"""
``docs/configuration.rst``, rendered from the types of `modelplex.settings`.

``python -m modelplex.configdoc > docs/configuration.rst`` writes it; a test compares.
"""

from __future__ import annotations

import sys
from inspect import cleandoc
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta

from modelplex.secret import Secret
from modelplex.settings import (
    Argument,
    Audit,
    Demo,
    Entra,
    Guest,
    Mcp,
    McpServer,
    Provider,
    Section,
    Server,
    Timeouts,
)
from modelplex.settings_mcp import Oauth, Restarts, ServerLimits, ServerTools

_INTRODUCTION = """\
..
   Rendered from modelplex/settings*.py by ``python -m modelplex.configdoc``.
   Change the types there, not this page.

Configuration
=============

One TOML file, by default ``config.toml``. ``modelplex init`` writes one for the keys
in your environment, ``modelplex check`` says what is wrong with one, and
``etc/modelplex.toml`` in the source tree shows every key with its default.

.. code-block:: toml

   [[providers]]
   name = "openai"
   type = "openai"
   api_key = "${OPENAI_API_KEY}"
   models = ["gpt-*"]

Every mistake is reported at once, each with its key path::

   server.log_levle: unknown key; did you mean 'log_level'?
   providers[0].timeouts.idle: expected a number of seconds

No message shows a value, because any value may be a key.

**Variables.** In any value, ``${NAME}`` is replaced from the environment,
``${NAME:-default}`` has a default, and ``$$`` is a ``$``. A variable that is empty
counts as not set. One that is not set disables its provider with a warning, and
``modelplex check`` fails on it; in ``[server]`` and ``[[guests]]`` it is a mistake.

**Secrets.** Keys and header values are shown as ``***`` everywhere. Best is
``api_key = "${VARIABLE}"`` or an ``api_key_file``. A file that holds a key itself and
that others may read gives a warning.

**Units.** Times are seconds, whole or not. Sizes are bytes: a number, or text with a
unit (``B``, ``kB``, ``MB``, ``GB``, ``KiB``, ``MiB``, ``GiB``). Permissions are octal:
``"0600"`` or ``0o600``. Relative paths start at the working directory.

**TOML.** Inline tables may span several lines, which standard TOML does not allow.
"""

#: Each table: how it is written, and the type that it is read into.
_TABLES: tuple[tuple[str, type[Section]], ...] = (
    ("[server]", Server),
    ("[[providers]]", Provider),
    ("providers: timeouts", Timeouts),
    ("providers: entra", Entra),
    ("providers: demo", Demo),
    ("[[guests]]", Guest),
    ("[mcp]", Mcp),
    ("mcp: servers", McpServer),
    ("mcp: tools", ServerTools),
    ("mcp: rules", Argument),
    ("mcp: limits", ServerLimits),
    ("mcp: restarts", Restarts),
    ("mcp: oauth", Oauth),
    ("[audit]", Audit),
)

_UNITS = {
    "bytes": "bytes",
    "key": "secret string",
    "mode": "permissions",
    "name": "name",
    "path": "path",
    "seconds": "seconds",
    "text": "string",
    "url": "URL",
}
_SCALARS = {str, int, float, bool}
_WORDS = {bool: "boolean", float: "number", int: "integer", str: "string"}


def render() -> str:
    """The whole page."""
    return "\n\n".join(
        [_INTRODUCTION.strip(), *(_table(title, kind) for title, kind in _TABLES)]
    )


def _table(title: str, kind: type[Section]) -> str:
    rows = [("Key", "Type", "Default", "Meaning")]
    for its in msgspec.structs.fields(kind):
        bare, metas = _unwrap(its.type)
        said = " ".join(meta.description for meta in metas if meta.description)
        rows.append((f"``{its.name}``", _type(bare, metas), _default(its), said))
    lines = [
        title,
        "-" * len(title),
        "",
        _about(kind),
        "",
        ".. list-table::",
        "   :header-rows: 1",
        "   :widths: 16 18 18 48",
        "",
    ]
    for row in rows:
        for mark, cell in zip("*   ", row, strict=True):
            lines.append(f"   {mark} - {cell}".rstrip())
    if kind.later:
        names = ", ".join(f"``{name}``" for name in sorted(kind.later))
        lines += ["", f"Refused, because this version would not keep them: {names}."]
    return "\n".join(lines)


def _about(kind: type[Section]) -> str:
    """The docstring of a type without what it tells programmers."""
    text = cleandoc(kind.__doc__ or "")
    said = [p for p in text.split("\n\n") if not p.startswith(":ivar")]
    return "\n\n".join(said)


def _unwrap(kind: Any) -> tuple[Any, list[Meta]]:
    metas: list[Meta] = []
    while get_origin(kind) is Annotated:
        metas = [m for m in kind.__metadata__ if isinstance(m, Meta)] + metas
        kind = kind.__origin__
    return kind, metas


def _type(kind: Any, metas: list[Meta]) -> str:
    """A type in a user's words, with its limits."""
    for meta in metas:
        if meta.extra and "unit" in meta.extra:
            return _UNITS[meta.extra["unit"]] + _limits(metas)
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        members = [m for m in get_args(kind) if m is not NoneType]
        words = [_type(*_unwrap(member)) for member in members]
        if _SCALARS.issubset(members):
            words = ["scalar", *words[len(_SCALARS) :]]
        return " or ".join(words)
    if origin is Literal:
        return ", ".join(f'``"{word}"``' for word in get_args(kind))
    if origin is tuple:
        item = _type(*_unwrap(get_args(kind)[0]))
        return f"array of {item}" if item.startswith("`") else f"array of {item}s"
    if origin is dict:
        return f"table of {_type(*_unwrap(get_args(kind)[1]))}s"
    if kind is Secret:
        return "secret string"
    if isinstance(kind, type) and issubclass(kind, Section):
        return "table"
    return _WORDS[kind] + _limits(metas)


def _limits(metas: list[Meta]) -> str:
    """The least value, where it is more than a formality."""
    least = [meta.ge for meta in metas if meta.ge is not None and meta.ge >= 0]
    more = [meta.gt for meta in metas if meta.gt is not None]
    if least:
        return f", at least {least[-1]}"
    return f", more than {more[-1]}" if more else ""


def _default(its: msgspec.structs.FieldInfo) -> str:
    if its.required:
        return "required"
    value = its.default
    if value is NODEFAULT:
        value = its.default_factory()
    unit = next(
        (
            m.extra["unit"]
            for m in _unwrap(its.type)[1]
            if m.extra and "unit" in m.extra
        ),
        None,
    )
    if value is None or value in ((), {}) or isinstance(value, Section):
        return ""
    if unit == "url" and not value:
        return ""
    if unit == "bytes":
        return f'``"{value >> 20}MiB"``'
    if unit == "mode":
        return f'``"{value:04o}"``'
    if isinstance(value, bool):
        return f"``{str(value).lower()}``"
    if isinstance(value, float):
        return f"``{value:g}``"
    if isinstance(value, tuple):
        return "``[" + ", ".join(f'"{item}"' for item in value) + "]``"
    return f'``"{value}"``' if isinstance(value, str) else f"``{value}``"


if __name__ == "__main__":
    sys.stdout.write(render() + "\n")
