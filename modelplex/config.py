"""
A configuration file into a `Config`, or every mistake in it at once.

The types are in `modelplex.settings`, their TOML in `modelplex.configtext`, the walk
over tables in `modelplex.configcheck`, rules between keys in `modelplex.configrules`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from msgspec.structs import replace

from modelplex import configmcp, configrules
from modelplex.configcheck import Findings, near
from modelplex.configrules import KeyReader
from modelplex.configtext import read_toml
from modelplex.errors import ConfigError
from modelplex.settings import (
    Argument,
    Audit,
    Config,
    Demo,
    Disabled,
    Entra,
    Guest,
    Mcp,
    McpServer,
    Provider,
    Section,
    Server,
    Timeouts,
)

__all__ = [
    "Argument",
    "Audit",
    "Config",
    "Demo",
    "Disabled",
    "Entra",
    "Guest",
    "Mcp",
    "McpServer",
    "Provider",
    "Section",
    "Server",
    "Timeouts",
    "load",
    "parse",
]

MAX_FILE = 4 << 20  # bytes in a configuration file
MAX_KEY_FILE = 64 << 10  # bytes in an api_key_file

_TABLES = ("server", "providers", "mcp", "audit", "guests")


def load(
    path: str | os.PathLike[str], environ: Mapping[str, str], *, strict: bool = False
) -> Config:
    """
    Read a configuration file.

    :param strict: a provider without its variable is a mistake, not a warning.
    :raises ConfigError: with every mistake, a line each; none holds a value.
    """
    name = os.fspath(path)
    try:
        text, exposed = _read(name, MAX_FILE)
    except FileNotFoundError:
        missing = (
            f"{name}: no such file: write one with `modelplex init`, "
            "or see `modelplex demo`, which needs none"
        )
        raise ConfigError([missing]) from None
    except OSError as e:
        raise ConfigError([f"{name}: cannot be read: {e.strerror}"]) from None
    except ValueError as e:
        raise ConfigError([f"{name}: {e}"]) from None
    found = Findings(environ)
    config = _config(text, found, strict, read_key_file)
    if not (exposed and found.literal):
        return config
    warning = (
        f"{name}: holds a secret ({found.literal[0]}) and others may read it: "
        "chmod 600, or use ${VARIABLE}"
    )
    return replace(config, warnings=(*config.warnings, warning))


def read_key_file(path: str) -> str:
    """
    The text of an ``api_key_file``.

    :raises OSError: when it cannot be read.
    :raises ValueError: when it is no short text.
    """
    return _read(path, MAX_KEY_FILE)[0]


def parse(
    text: str,
    environ: Mapping[str, str],
    *,
    strict: bool = False,
    read_key: KeyReader = read_key_file,
) -> Config:
    """Read a configuration from its text; otherwise like `load`."""
    return _config(text, Findings(environ), strict, read_key)


def _config(text: str, found: Findings, strict: bool, read_key: KeyReader) -> Config:
    root = read_toml(text)
    for key in root:
        if key not in _TABLES:
            found.problem(key, f"unknown table{near(key, _TABLES)}")
    server = configrules.server(root.get("server", {}), found)
    providers, disabled = configrules.providers(
        root.get("providers", []), found, read_key
    )
    mcp = configmcp.mcp(root.get("mcp", {}), found)
    audit = configmcp.audit(root.get("audit", {}), found)
    guests = configrules.guests(root.get("guests", []), server, found)
    if strict:
        for one in disabled:
            found.problem(f"providers.{one.name}", one.reason)
    if found.problems:
        raise ConfigError(found.problems)
    if not providers:
        found.warnings.append("providers: none can be used, so no model is served")
    return Config(
        server=server,
        providers=tuple(providers),
        mcp=mcp,
        audit=audit,
        guests=tuple(guests),
        disabled=tuple(disabled),
        warnings=tuple(found.warnings),
    )


def _read(path: str, limit: int) -> tuple[str, bool]:
    """The text of a file of at most ``limit`` bytes, and whether others may read it."""
    with open(path, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"is larger than {limit} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    return text, stat.S_ISREG(mode) and bool(mode & 0o044)
