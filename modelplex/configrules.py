"""
The rules of a configuration that no single field can tell.

Each function takes a part of the file as parsed, notes what is wrong in the `Findings`
and returns what is right. A key's file is read through a function that is passed in.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable, Mapping
from typing import Any

from modelplex.configcheck import Findings, fields, table, tables
from modelplex.configtext import READERS
from modelplex.secret import Secret
from modelplex.settings import Disabled, Guest, Mcp, McpServer, Provider, Server

#: Returns a file's text, or raises `OSError`, or `ValueError` with words to show.
KeyReader = Callable[[str], str]

BASE_URLS = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "ollama": "http://localhost:11434",
}
#: Types whose vendor answers nobody without a key.
_NEED_KEY = ("openai", "anthropic")
_KEYS = ("api_key", "api_keys", "api_key_file")
#: Keys that only one type of provider reads.
_ONLY = {"demo": "demo", "max_tokens": "anthropic", "stream_usage": "openai"}

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
#: Headers that frame the message or name the connection; the client sets them.
_FRAMING = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def server(value: object, found: Findings) -> Server:
    """The [server] table, or its defaults when it has mistakes."""
    right = fields(Server, table(value, "server", found), "server", found)
    if right.get("workers", 1) != 1:
        found.problem("server.workers", "this version serves with one process: use 1")
    _refuse_unset(found)
    return Server(**right)


def providers(
    value: object, found: Findings, read_key: KeyReader
) -> tuple[list[Provider], list[Disabled]]:
    """The providers that can be used, and those that a missing variable disables."""
    usable: list[Provider] = []
    disabled: list[Disabled] = []
    names: dict[str, str] = {}
    for i, given in enumerate(tables(value, "providers", found)):
        path = f"providers[{i}]"
        mistakes = len(found.problems)
        right = _provider(given, path, found, read_key)
        _unique(right.get("name"), f"{path}.name", names, found)
        unset = found.take_unset()
        if "name" not in right:
            found.unset = [place for place in unset if place[0] == f"{path}.name"]
            _refuse_unset(found)
        elif unset:
            reason = _missing(unset, path)
            disabled.append(Disabled(right["name"], reason))
            found.warnings.append(f"{path}: {right['name']} is disabled: {reason}")
        elif len(found.problems) == mistakes:
            usable.append(Provider(**right))
    return usable, disabled


def _provider(
    given: dict[str, Any], path: str, found: Findings, read_key: KeyReader
) -> dict[str, Any]:
    """The fields of one provider, defaults of its type included."""
    right = fields(Provider, given, path, found)
    kind = right.get("type")
    keys = _keys(given, right, path, found, read_key)
    right["api_keys"] = keys
    right["api_key"] = keys[0] if keys else None
    _header_names(given.get("headers"), f"{path}.headers", found)
    if "" in right.get("models", ()):
        found.problem(f"{path}.models", "an alias must not be empty")
    for key, only in _ONLY.items():
        if key in given and kind not in (None, only):
            found.problem(f"{path}.{key}", f'only type = "{only}" takes it')
    if kind == "demo":
        for key in ("base_url", *_KEYS):
            if key in given:
                found.problem(f"{path}.{key}", 'type = "demo" takes none')
    elif kind in _NEED_KEY and not {"base_url", "headers", *_KEYS} & given.keys():
        found.warnings.append(f"{path}: no api_key, and {BASE_URLS[kind]} wants one")
    if kind in BASE_URLS:
        right.setdefault("base_url", BASE_URLS[kind])
    return right


def _keys(
    given: Mapping[str, Any],
    right: Mapping[str, Any],
    path: str,
    found: Findings,
    read_key: KeyReader,
) -> tuple[Secret, ...]:
    """Every key of a provider, wherever it says that they are."""
    sources = [key for key in _KEYS if key in given]
    if len(sources) > 1:
        found.problem(f"{path}.{sources[1]}", f"give it or {sources[0]}, not both")
        return ()
    if "api_key" in right:
        # an empty one is how people write "none" for a local server
        return (right["api_key"],) if right["api_key"].reveal() else ()
    if "api_key_file" in right:
        key = _key_in(right["api_key_file"], f"{path}.api_key_file", found, read_key)
        return (key,) if key else ()
    keys: tuple[Secret, ...] = right.get("api_keys", ())
    for i, key in enumerate(keys):
        if not key.reveal():
            found.problem(f"{path}.api_keys[{i}]", "must not be empty")
    return keys


def _key_in(
    file: str, path: str, found: Findings, read_key: KeyReader
) -> Secret | None:
    try:
        text = READERS["key"](read_key(file))
    except OSError as e:
        found.problem(path, f"cannot be read: {e.strerror or 'I/O error'}")
    except ValueError as e:
        found.problem(path, str(e))
    else:
        if text:
            return Secret(str(text))
        found.problem(path, "is empty")
    return None


def mcp(value: object, found: Findings) -> Mcp:
    """The [mcp] table, without the servers that a missing variable disables."""
    given = table(value, "mcp", found)
    rest = {key: item for key, item in given.items() if key != "servers"}
    right = fields(Mcp, rest, "mcp", found)
    _refuse_unset(found)
    servers: list[McpServer] = []
    names: dict[str, str] = {}
    for i, its in enumerate(tables(given.get("servers", []), "mcp.servers", found)):
        path = f"mcp.servers[{i}]"
        mistakes = len(found.problems)
        one = fields(McpServer, its, path, found)
        _unique(one.get("name"), f"{path}.name", names, found)
        _header_names(its.get("headers"), f"{path}.headers", found)
        if ("command" in its) == ("url" in its):
            found.problem(path, "give it a command or a url, one of them")
        unset = found.take_unset()
        if unset:
            found.warnings.append(f"{path}: disabled: {_missing(unset, path)}")
        elif len(found.problems) == mistakes:
            servers.append(McpServer(**one))
    result = Mcp(**right, servers=tuple(servers))
    if result.enabled and result.servers:
        found.warnings.append(
            "mcp: tool servers are configured but this version does not serve them"
        )
    return result


def guests(value: object, main: Server, found: Findings) -> list[Guest]:
    """The guests; without any, the main socket's with every model."""
    listed: list[Guest] = []
    names: dict[str, str] = {}
    sockets = {_absolute(main.socket): "server.socket"}
    for i, given in enumerate(tables(value, "guests", found)):
        path = f"guests[{i}]"
        mistakes = len(found.problems)
        right = fields(Guest, given, path, found)
        name, socket = right.get("name"), right.get("socket")
        _unique(name, f"{path}.name", names, found)
        if socket is not None:
            _unique(_absolute(socket), f"{path}.socket", sockets, found)
        if name == "default" and "socket" in given:
            found.problem(
                f"{path}.socket", "the guest default is at [server] socket; set that"
            )
        elif name not in (None, "default") and "socket" not in given:
            found.problem(f"{path}.socket", "missing; every guest but default has one")
        _refuse_unset(found)
        if len(found.problems) == mistakes:
            listed.append(Guest(**right))
    _keep_control_away(main, sockets, found)
    return listed or [Guest(name="default")]


def _keep_control_away(
    main: Server, sockets: Mapping[str, str], found: Findings
) -> None:
    """The control socket is out of reach of guests, who get directories mounted."""
    if main.control is None:
        return
    control = _absolute(main.control)
    for socket, path in sockets.items():
        directory = os.path.dirname(socket)
        if os.path.commonpath([directory, control]) == directory:
            found.problem(
                "server.control",
                f"lies in the directory of {path}, which a guest may be given",
            )


def _absolute(path: str) -> str:
    return os.path.abspath(path)


def _header_names(headers: object, path: str, found: Findings) -> None:
    for name in headers if isinstance(headers, dict) else ():
        if not _TOKEN.fullmatch(name):
            found.problem(path, f"{name!r} is not a header name")
        elif name.lower() in _FRAMING:
            found.problem(f"{path}.{name}", "cannot be set")


def _unique(
    value: str | None, path: str, taken: dict[str, str], found: Findings
) -> None:
    if value is None:
        return
    if value in taken:
        found.problem(path, f"the same as {taken[value]}")
    else:
        taken[value] = path


def _refuse_unset(found: Findings) -> None:
    """A missing variable is a mistake where nothing can be left out instead."""
    for path, name in found.take_unset():
        found.problem(path, f"the variable {name} is not set")


def _missing(unset: list[tuple[str, str]], path: str) -> str:
    """``OPENAI_API_KEY is not set (api_key)``, for the keys below a path."""
    parts: dict[str, str] = {}
    for place, name in unset:
        parts.setdefault(name, place.removeprefix(f"{path}."))
    return ", ".join(f"{name} is not set ({place})" for name, place in parts.items())
