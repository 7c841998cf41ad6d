"""
The rules of a configuration that no single field can tell.

Each function takes a part of the file as parsed, notes what is wrong in the `Findings`
and returns what is right. A key's file is read through a function that is passed in.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from modelplex.configcheck import Findings, fields, table, tables
from modelplex.configtext import READERS
from modelplex.guests.argument_rule import Rule
from modelplex.secret import Secret
from modelplex.settings import Argument, Disabled, Guest, Provider, Server

#: Returns a file's text, or raises `OSError`, or `ValueError` with words to show.
KeyReader = Callable[[str], str]

BASE_URLS = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta",
    "ollama": "http://localhost:11434",
}
#: Types whose vendor answers nobody without a key.
_NEED_KEY = ("openai", "anthropic", "gemini")
_KEYS = ("api_key", "api_keys", "api_key_file")
#: Keys that only some types of provider read.
_ONLY = {
    "api": ("openai", "azure"),
    "api_version": ("azure",),
    "demo": ("demo",),
    "entra": ("azure",),
    "max_tokens": ("anthropic",),
    "stream_usage": ("openai", "azure"),
}

_API_VERSION = re.compile(r"[0-9A-Za-z.-]+")
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
    refuse_unset(found)
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
        unique(right.get("name"), f"{path}.name", names, found)
        unset = found.take_unset()
        if "name" not in right:
            found.unset = [place for place in unset if place[0] == f"{path}.name"]
            refuse_unset(found)
        elif unset:
            reason = missing(unset, path)
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
    header_names(given.get("headers"), f"{path}.headers", found)
    if "" in right.get("models", ()):
        found.problem(f"{path}.models", "an alias must not be empty")
    for key, only in _ONLY.items():
        if key in given and kind not in (None, *only):
            names = " or ".join(f'"{one}"' for one in only)
            found.problem(f"{path}.{key}", f"only type = {names} takes it")
    if kind == "demo":
        for key in ("base_url", *_KEYS):
            if key in given:
                found.problem(f"{path}.{key}", 'type = "demo" takes none')
    elif kind == "azure":
        _azure(given, right, path, found)
    elif kind in _NEED_KEY and not {"base_url", "headers", *_KEYS} & given.keys():
        found.warnings.append(f"{path}: no api_key, and {BASE_URLS[kind]} wants one")
    if kind in BASE_URLS:
        right.setdefault("base_url", BASE_URLS[kind])
    return right


def _azure(
    given: Mapping[str, Any], right: Mapping[str, Any], path: str, found: Findings
) -> None:
    """What a resource of Azure needs: where it is, and a key or a principal."""
    if "base_url" not in given:
        found.problem(f"{path}.base_url", "missing: the URL of your resource")
    url = urlsplit(right.get("base_url", ""))
    if "/deployments" in url.path:
        found.problem(
            f"{path}.base_url",
            "must end before /deployments; a deployment is a name in models",
        )
    version = right.get("api_version")
    if version is not None and not _API_VERSION.fullmatch(version):
        found.problem(f"{path}.api_version", "expected one such as 2024-10-21")
    elif version is not None and "api-version" in url.query:
        found.problem(f"{path}.api_version", "give it or that in base_url, not both")
    keys = [key for key in _KEYS if key in given]
    if "entra" not in given:
        if not keys and "headers" not in given:
            found.warnings.append(f"{path}: no api_key and no entra: Azure wants one")
        return
    if keys:
        found.problem(f"{path}.entra", f"give it or {keys[0]}, not both")
    entra = right.get("entra")
    if entra is not None and not entra.client_secret.reveal():
        found.problem(f"{path}.entra.client_secret", "must not be empty")


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
        unique(name, f"{path}.name", names, found)
        if socket is not None:
            unique(_absolute(socket), f"{path}.socket", sockets, found)
        if name == "default" and "socket" in given:
            found.problem(
                f"{path}.socket", "the guest default is at [server] socket; set that"
            )
        elif name not in (None, "default") and "socket" not in given:
            found.problem(f"{path}.socket", "missing; every guest but default has one")
        argument_rules(right.get("rules", ()), f"{path}.rules", found)
        refuse_unset(found)
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


def argument_rules(rules: Iterable[Argument], path: str, found: Findings) -> None:
    """Note rules that cannot be meant."""
    for i, rule in enumerate(rules):
        try:
            Rule(**msgspec.structs.asdict(rule))
        except ValueError as e:
            found.problem(f"{path}[{i}]", str(e))


def header_names(headers: object, path: str, found: Findings) -> None:
    """Note names that no header has, or that are not the operator's to set."""
    for name in headers if isinstance(headers, dict) else ():
        if not _TOKEN.fullmatch(name):
            found.problem(path, f"{name!r} is not a header name")
        elif name.lower() in _FRAMING:
            found.problem(f"{path}.{name}", "cannot be set")


def unique(
    value: str | None, path: str, taken: dict[str, str], found: Findings
) -> None:
    """Note a value that something else has already; `taken` says what."""
    if value is None:
        return
    if value in taken:
        found.problem(path, f"the same as {taken[value]}")
    else:
        taken[value] = path


def refuse_unset(found: Findings) -> None:
    """A missing variable is a mistake where nothing can be left out instead."""
    for path, name in found.take_unset():
        found.problem(path, f"the variable {name} is not set")


def missing(unset: list[tuple[str, str]], path: str) -> str:
    """``OPENAI_API_KEY is not set (api_key)``, for the keys below a path."""
    parts: dict[str, str] = {}
    for place, name in unset:
        parts.setdefault(name, place.removeprefix(f"{path}."))
    return ", ".join(f"{name} is not set ({place})" for name, place in parts.items())
