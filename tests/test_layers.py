"""Imports follow the arrow: guest, surface, wire, routing, providers, and not back."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "modelplex"

#: What each layer may import of the others. A layer is a package or module directly
#: in `modelplex`.
ALLOWED: Mapping[str, set[str]] = {
    # values
    "errors": set(),
    "events": {"errors"},
    "secret": set(),
    "settings": {"secret", "settings_mcp", "settings_types"},
    "settings_mcp": {"secret", "settings_types"},
    "settings_types": {"secret"},
    # bytes to values and back
    "wire": {"errors", "events"},
    # seams, and what is known about one exchange
    "tools": {"errors", "wire"},
    "interfaces": {"errors", "events", "tools", "wire"},
    "exchange": {"wire"},
    "timing": {"errors"},
    # decisions
    "guests": {"errors", "events", "wire"},
    "routing": {"errors", "events", "exchange", "guests", "interfaces", "wire"},
    # the rim towards the upstreams
    "outbound": {"errors", "timing", "wire"},
    "providers": {
        *("config", "errors", "events", "interfaces", "outbound", "secret", "settings"),
        *("settings_types", "timing", "wire"),
    },
    # the rim towards the guests
    "surface": {
        *("errors", "events", "exchange", "guests", "interfaces", "mcp"),
        *("observability", "routing", "timing", "tools", "wire", "__init__"),
    },
    "observability": {"errors", "exchange"},
    # the host's tools
    "storage": {"errors", "wire"},
    "mcp": {
        *("errors", "guests", "interfaces", "outbound", "secret", "settings"),
        *("storage", "timing", "tools", "wire"),
    },
    # configuration
    "config": {
        *("configcheck", "configmcp", "configrules", "configtext", "errors"),
        "settings",
    },
    "configcheck": {"configtext", "secret", "settings"},
    "configdoc": {"secret", "settings", "settings_mcp"},
    "configmcp": {"configcheck", "configrules", "settings"},
    "configrules": {"configcheck", "configtext", "guests", "secret", "settings"},
    "configtext": {"errors"},
    # sockets and the operator's side
    "pathlock": {"errors"},
    "sockets": {"errors", "pathlock"},
    "control": {"errors", "interfaces", "routing"},
    "signals": set(),
    "__init__": set(),
}
#: These put the others together, and nothing below them knows them.
ABOVE = {"cli", "graph", "service", "tap", "testing", "toolgraph"}

#: Without a clock, a socket or Twisted: given the same, they do the same.
PURE = (
    *("errors", "events", "guests", "secret", "wire"),
    *("settings", "settings_mcp", "settings_types", "mcp.hygiene", "mcp.masking"),
    *("mcp.granted", "mcp.redaction", "mcp.unseen", "mcp.client_session"),
    *("mcp.handshake", "mcp.pending", "mcp.questions", "mcp.rounds", "mcp.heard"),
    *("mcp.ourselves", "mcp.effects", "mcp.restarts", "mcp.child_settings"),
    *("outbound.address", "outbound.retry_after", "providers.demo_script"),
    *("routing.health", "routing.table"),
)
IMPURE = {"asyncio", "io", "os", "random", "select", "socket", "threading", "time"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of ours by its name below `modelplex`, parsed."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        yield name, ast.parse(path.read_text())


MODULES = dict(modules())


def imported(tree: ast.Module) -> Iterator[str]:
    """Every module that is imported anywhere in `tree`, by its full name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None and not node.level, "no relative imports"
            yield node.module
            # What is imported may be a module itself.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(tree: ast.Module) -> set[str]:
    """The modules of ours that are imported, by their names below `modelplex`."""
    names = {m.removeprefix("modelplex.") for m in imported(tree) if "modelplex." in m}
    found = {n for n in names if n in MODULES or f"{n}.__init__" in MODULES}
    if any(name.startswith("__") for name in names):
        found.add("__init__")  # the version
    return found


def layer(name: str) -> str:
    return name.partition(".")[0]


def test_every_layer_has_its_place() -> None:
    layers = {layer(name) for name in MODULES}
    assert layers - ABOVE <= ALLOWED.keys() | {"fidelitydoc"}
    assert ALLOWED.keys() <= layers, "a layer that is gone"


@pytest.mark.parametrize("name", [n for n in MODULES if layer(n) not in ABOVE])
def test_imports_follow_the_arrow(name: str) -> None:
    used = {layer(one) for one in ours(MODULES[name])} - {layer(name)}
    allowed = {"wire"} if name == "fidelitydoc" else ALLOWED[layer(name)]
    assert used <= allowed, f"{name} imports {sorted(used - allowed)}"


def test_no_dialect_knows_another() -> None:
    dialects = {"openai", "anthropic", "ollama", "gemini", "responses"}
    # Responses is OpenAI's too: the same errors and the same words for a few values.
    allowed = {"responses": {"responses", "openai"}}
    for name, tree in MODULES.items():
        parts = name.split(".")
        if parts[0] == "wire" and parts[1] in dialects:
            used = {n.split(".")[1] for n in ours(tree) if n.startswith("wire.")}
            assert used & dialects <= allowed.get(parts[1], {parts[1]}), name


def test_no_provider_module_knows_the_router() -> None:
    for name, tree in MODULES.items():
        if layer(name) == "providers":
            assert not {"routing", "surface", "guests"} & set(map(layer, ours(tree)))


@pytest.mark.parametrize("pure", PURE)
def test_decisions_know_no_clock_and_no_socket(pure: str) -> None:
    found = [n for n in MODULES if n == pure or n.startswith(f"{pure}.")]
    assert found
    for name in found:
        roots = {module.partition(".")[0] for module in imported(MODULES[name])}
        assert "twisted" not in roots, name
        assert not roots & IMPURE, name


def test_only_the_outermost_modules_have_the_reactor() -> None:
    for name, tree in MODULES.items():
        if "twisted.internet.reactor" in set(imported(tree)):
            assert layer(name) in ("tap", "cli", "signals"), name


def test_interfaces_live_in_one_file() -> None:
    for name, tree in MODULES.items():
        if name != "interfaces":
            assert "zope.interface.Interface" not in set(imported(tree)), name
