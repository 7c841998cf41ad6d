"""
How Responses and Messages offer tools of an MCP server, where that is Modelplex: pure.

Their words are OpenAI's and Anthropic's for servers that they would ask themselves
(2026-08).
"""

from __future__ import annotations

from typing import Any

import msgspec
from attrs import evolve

from modelplex.errors import BadRequest
from modelplex.surface.tool_forms import (
    LONGEST,
    Found,
    Source,
    ToolsWanted,
    address,
    check_size,
    names_of,
    plain,
    text_of,
)
from modelplex.wire.jsonobject import JsonObject, open_array, open_object
from modelplex.wire.typed import read

# --- Responses --------------------------------------------------------------


class _Filter(msgspec.Struct):
    tool_names: list[str] | None = None
    read_only: bool | None = None


class _Mcp(msgspec.Struct):
    type: str | None = None
    server_label: str | None = None
    server_url: str | None = None
    connector_id: str | None = None
    tunnel_id: str | None = None
    allowed_tools: list[str] | _Filter | None = None
    require_approval: Any = None


class _Choice(msgspec.Struct):
    type: str | None = None
    server_label: str | None = None
    name: str | None = None


def responses(body: JsonObject) -> Found:
    """
    Tools of type ``mcp``.

    :raises BadRequest: one that names Modelplex is not what it must be.
    """
    rest, wanted = plain(body, shown=True)
    raw = rest.raw("tools")
    if raw is None or b'"mcp"' not in raw or not raw.startswith(b"["):
        return _bounded(rest, wanted)
    kept: list[bytes] = []
    sources = list(wanted.sources if wanted else ())
    for number, item in enumerate(open_array(raw, "tools")):
        source = _mcp(item, f"tools[{number}]")
        if source is None:
            kept.append(item)
        else:
            sources.append(source)
    if len(kept) == len(open_array(raw, "tools")):
        return _bounded(rest, wanted)
    check_size(sources, "tools")
    _check_labels(sources, "tools")
    wanted = wanted or ToolsWanted((), "tools", shown=True)
    changes: dict[str, bytes | None] = {
        "tools": b"[" + b",".join(kept) + b"]" if kept else None
    }
    forced = _forced(rest, sources)
    if forced is not None:
        changes["tool_choice"] = None
    rest = open_object(rest.splice(changes))
    return _bounded(rest, evolve(wanted, sources=tuple(sources), forced=forced))


def _bounded(body: JsonObject, wanted: ToolsWanted | None) -> Found:
    """What else the API says about calls that it makes itself."""
    if wanted is None:
        return body, None
    listed = b'"mcp_list_tools"' in (body.raw("input") or b"")
    most = body.get("max_tool_calls", int | None)
    if most is not None:
        body = open_object(body.splice({"max_tool_calls": None}))
    return body, evolve(wanted, most=most, listed=listed)


def _mcp(item: bytes, where: str) -> Source | None:
    """What a tool stands for, if it is of type ``mcp`` and names Modelplex."""
    if b'"mcp"' not in item or not item.startswith(b"{"):
        return None
    open_object(item, where)  # not to be read in two ways
    members = read(item, dict[str, msgspec.Raw], where)
    if bytes(members.get("type", b"")) != b'"mcp"':
        return None
    if text_of(members, "connector_id") or text_of(members, "tunnel_id"):
        return None
    found, server = address(text_of(members, "server_url"), missing=True)
    if not found:
        return None
    tool = read(item, _Mcp, where)
    label = tool.server_label or ""
    if not 0 < len(label) <= LONGEST:
        param = f"{where}.server_label"
        raise BadRequest(f"{param}: a name is required", param=param)
    if tool.require_approval not in (None, "never"):
        param = f"{where}.require_approval"
        raise BadRequest(
            f"{param}: it is the operator who approves calls of these tools; "
            'only "never" may stand here',
            param=param,
        )
    allowed = tool.allowed_tools
    if not isinstance(allowed, _Filter):
        allowed = _Filter(allowed)
    names = allowed.tool_names
    where = f"{where}.allowed_tools"
    return Source(
        label,
        server,
        None if names is None else names_of(names, where),
        reading=allowed.read_only is True,
    )


def _forced(body: JsonObject, sources: list[Source]) -> tuple[str, str | None] | None:
    """The choice of one of our tools."""
    raw = body.raw("tool_choice")
    if raw is None or b'"mcp"' not in raw or not raw.startswith(b"{"):
        return None
    choice = read(raw, _Choice, "tool_choice")
    labels = [source.label for source in sources]
    if choice.type != "mcp" or choice.server_label not in labels:
        return None
    return choice.server_label or "", choice.name


# --- Messages ---------------------------------------------------------------


class _Setting(msgspec.Struct):
    enabled: bool | None = None
    allowed_tools: list[str] | None = None


class _Server(msgspec.Struct):
    name: str | None = None
    tool_configuration: _Setting | None = None


class _Toolset(msgspec.Struct):
    mcp_server_name: str | None = None
    default_config: _Setting | None = None
    configs: dict[str, _Setting] | None = None


def messages(body: JsonObject) -> Found:
    """
    ``mcp_servers`` and their ``mcp_toolset``.

    :raises BadRequest: one that names Modelplex is not what it must be.
    """
    rest, wanted = plain(body, shown=True)
    raw = rest.raw("mcp_servers")
    if raw is None or not raw.startswith(b"[") or b'"modelplex' not in raw:
        return rest, wanted
    others: list[bytes] = []
    ours: dict[str, Source | None] = {}
    for number, item in enumerate(open_array(raw, "mcp_servers")):
        where = f"mcp_servers[{number}]"
        members = read(item, dict[str, msgspec.Raw], where)
        found, server = address(text_of(members, "url"))
        if not found:
            others.append(item)
            continue
        name, source = _server(item, server, where)
        if name in ours:
            raise BadRequest(f"{where}.name: {name!r} stands twice", param=where)
        ours[name] = source
    if not ours:
        return rest, wanted
    changes = {"mcp_servers": b"[" + b",".join(others) + b"]" if others else None}
    if (tools := rest.raw("tools")) is not None and b'"mcp_toolset"' in tools:
        kept = [
            item
            for number, item in enumerate(open_array(tools, "tools"))
            if not _toolset(item, ours, f"tools[{number}]")
        ]
        changes["tools"] = b"[" + b",".join(kept) + b"]" if kept else None
    before = wanted.sources if wanted else ()
    sources = (*before, *(one for one in ours.values() if one is not None))
    check_size(sources, "mcp_servers")
    rest = open_object(rest.splice(changes))
    return rest, ToolsWanted(sources, "mcp_servers", shown=True)


def _server(item: bytes, server: str | None, where: str) -> tuple[str, Source | None]:
    """The name of one of ``mcp_servers``, and what it stands for unless it is off."""
    open_object(item, where)
    said = read(item, _Server, where)
    name = said.name or ""
    if not 0 < len(name) <= LONGEST:
        raise BadRequest(f"{where}.name: a name is required", param=f"{where}.name")
    setting = said.tool_configuration or _Setting()
    if setting.enabled is False:
        return name, None
    names = setting.allowed_tools
    where = f"{where}.tool_configuration.allowed_tools"
    return name, Source(name, server, None if names is None else names_of(names, where))


def _toolset(item: bytes, ours: dict[str, Source | None], where: str) -> bool:
    """Whether a tool is the toolset of one of `ours`, whose source it then narrows."""
    if b'"mcp_toolset"' not in item or not item.startswith(b"{"):
        return False
    members = read(item, dict[str, msgspec.Raw], where)
    name = text_of(members, "mcp_server_name")
    if bytes(members.get("type", b"")) != b'"mcp_toolset"' or name not in ours:
        return False
    open_object(item, where)
    said = read(item, _Toolset, where)
    configs = said.configs or {}
    usual = said.default_config is None or said.default_config.enabled is not False
    on = [n for n, one in configs.items() if _is_on(one, usual)]
    off = [n for n, one in configs.items() if not _is_on(one, usual)]
    source = ours[name]
    if source is not None:
        if off:  # copied only so often, for all of them are not more than so many
            without = names_of([*source.without, *off], f"{where}.configs")
            source = evolve(source, without=without)
        if not usual:
            source = evolve(source, names=names_of(on, f"{where}.configs"))
        ours[name] = source
    return True


def _is_on(setting: _Setting, usual: bool) -> bool:
    return usual if setting.enabled is None else setting.enabled


def _check_labels(sources: list[Source], where: str) -> None:
    seen: set[str] = set()
    for source in sources:
        if source.label in seen:
            message = f"{where}: two servers are labelled {source.label!r}"
            raise BadRequest(message, param=where)
        seen.add(source.label)
