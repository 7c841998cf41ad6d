"""``modelplex init``: a configuration for the keys that the environment has."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

from modelplex.cli.vendors import VENDORS, Vendor, found_in
from modelplex.config import Config, parse
from modelplex.errors import ConfigError

_AZURE_ENDPOINT = "AZURE_OPENAI_ENDPOINT"

_HEAD = """\
# Modelplex: one socket that serves every model below to an agent without a network.
# Written by `modelplex init`. Every key and its default: docs/configuration.rst

[server]
socket = "./modelplex.socket"     # only its owner may connect: mode 0600

# A model is asked of each provider that lists it, lowest priority first; when one
# fails, the next is asked. Keys stay in the environment: ${NAME} is read at start.
"""

_TAIL = """
# What an agent may use. Ways out through a provider are closed unless named in
# `allow`: "hosted-tools", "remote-urls", "server-state", "files".
[[guests]]
name = "default"                  # the main socket
models = ["*"]
allow = []
"""

_DEMO = """
# No key was found in the environment, so this is the embedded provider: it needs
# neither a key nor a network, and echoes what it is asked.
[[providers]]
name = "demo"
type = "demo"
models = ["demo"]
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.description = (
        "Write a commented configuration for the API keys found in the environment. "
        "Keys themselves are not written."
    )
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="where to write it (default: $CONFIG_FILE or config.toml)",
    )
    parser.add_argument(
        "--force", action="store_true", help="replace the file if there is one"
    )


def run(args: argparse.Namespace, environ: Mapping[str, str], stdout: TextIO) -> int:
    """Write the file, say what to do next; 1 if it cannot be written."""
    path: str = (
        getattr(args, "config", None) or environ.get("CONFIG_FILE") or "config.toml"
    )
    text = render(environ)
    try:
        config = parse(text, environ)  # a key with a line break in it, say
        _write(path, text, force=args.force)
    except ConfigError as e:
        reason = f"not written, because of a variable it names: {e}"
    except FileExistsError:
        reason = "exists already; --force replaces it"
    except OSError as e:
        reason = f"cannot be written: {e.strerror}"
    else:
        stdout.write(_told(path, config))
        return 0
    print(f"{path}: {reason}", file=sys.stderr)
    return 1


def render(environ: Mapping[str, str]) -> str:
    """
    The text of a configuration for the keys in the environment, which itself loads.

    It names variables and holds none of their values.
    """
    found = found_in(environ)
    sections = [_section(vendor) for vendor in found]
    azure = _azure(environ)
    if azure:
        sections.append(azure)
    ollama = _ollama_url(environ)
    if ollama:
        sections.append(_ollama(ollama))
    if not sections:
        sections.append(_DEMO)
    others = [_off(_section(v)) for v in VENDORS[:2] if v not in found]
    if not ollama:
        others.append(
            "\n# Models on this machine, with Ollama:"
            + _off(_ollama("http://localhost:11434"))
        )
    return _HEAD + "".join(sections + others) + _TAIL


def _azure(environ: Mapping[str, str]) -> str | None:
    """
    The section for the variables of Azure's own clients, or `None` without them.

    A key alone does not say which resource it is for.
    """
    if not (environ.get("AZURE_OPENAI_API_KEY") and environ.get(_AZURE_ENDPOINT)):
        return None
    version = ""
    if environ.get("OPENAI_API_VERSION"):
        version = 'api_version = "${OPENAI_API_VERSION}"\n'
    section = f"""
# The models of Azure are the names of your deployments.
[[providers]]
name = "azure"
type = "azure"
base_url = "${{{_AZURE_ENDPOINT}}}"
{version}api_key = "${{AZURE_OPENAI_API_KEY}}"
models = ["*"]
priority = 2
"""
    try:
        parse(section, {**environ, "AZURE_OPENAI_API_KEY": "unseen"})
    except ConfigError:
        return None  # the others are of use without it
    return section


def _section(vendor: Vendor) -> str:
    models = ", ".join(f'"{glob}"' for glob in vendor.models)
    return f"""
[[providers]]
name = "{vendor.name}"
type = "{vendor.type}"
base_url = "{vendor.base_url}"
api_key = "${{{vendor.variable}}}"
models = [{models}]
priority = {vendor.priority}
"""


def _ollama(base_url: str) -> str:
    return f"""
[[providers]]
name = "ollama"
type = "ollama"
base_url = "{base_url}"
models = ["*"]
priority = 3
"""


def _off(section: str) -> str:
    """A section turned into comments."""
    return "".join(
        f"#{line}\n" if line else "\n"
        for line in section.removesuffix("\n").split("\n")
    )


def _ollama_url(environ: Mapping[str, str]) -> str | None:
    """
    A base_url that refers to OLLAMA_HOST, or `None` if none can.

    It may be a URL, ``host:port``, ``host`` or ``:port`` (Ollama's own documentation).
    """
    host = environ.get("OLLAMA_HOST", "")
    if not host:
        return None
    if "://" in host:
        url = "${OLLAMA_HOST:-http://localhost:11434}"
    elif host.startswith(":"):
        url = "http://127.0.0.1${OLLAMA_HOST:-:11434}"
    elif ":" in host:
        url = "http://${OLLAMA_HOST:-localhost:11434}"
    else:
        url = "http://${OLLAMA_HOST:-localhost}:11434"
    try:
        parse(_ollama(url), environ)
    except ConfigError:
        return None
    return url


def _write(path: str, text: str, *, force: bool) -> None:
    """
    Put the text into a new file of mode 0600.

    :raises FileExistsError: when there is one and ``force`` is off.
    """
    if not force:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(number, "w", encoding="utf-8") as file:
            file.write(text)
        return
    directory = os.path.dirname(path) or "."
    number, draft = tempfile.mkstemp(prefix=".modelplex-", dir=directory)
    try:
        with open(number, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(draft, path)  # the old file stays until the new one is whole
    finally:
        with suppress(FileNotFoundError):
            os.unlink(draft)


def _told(path: str, config: Config) -> str:
    """What was written and the commands to type next."""
    names = ", ".join(provider.name for provider in config.providers)
    option = "" if path == "config.toml" else f" -c {shlex.quote(path)}"
    socket = config.server.socket
    lines = [f"Wrote {path} with: {names}", ""]
    if names == "demo":
        lines[1:] = [
            "No API key was found in the environment, so it uses the demo provider.",
            "",
        ]
    lines += [
        "Next:",
        f"  modelplex check{option}",
        f"  modelplex{option} --verbose",
        f"  curl --unix-socket {socket} http://localhost/v1/models",
    ]
    return "\n".join(lines) + "\n"
