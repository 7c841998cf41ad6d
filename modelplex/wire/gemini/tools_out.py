"""Tools and the choice among them, as Gemini takes them."""

from __future__ import annotations

from typing import Any

import msgspec

from modelplex.errors import BadRequest, UnsupportedField
from modelplex.events import Choose, Request, Tool, ToolChoice
from modelplex.wire import freeform
from modelplex.wire.gemini.abilities import Abilities
from modelplex.wire.gemini.schema_out import tool_schema
from modelplex.wire.gemini.tool_words import wire_tool_name


def offer(request: Request, abilities: Abilities) -> dict[str, Any]:
    """
    The members `tools` and `toolConfig`, as far as there are tools.

    :raises BadRequest: the choice names a tool that is not there.
    :raises UnsupportedField: the name of a tool is too long.
    """
    if not request.tools:
        return {}
    declared = [_declaration(tool, abilities) for tool in request.tools]
    offered: dict[str, Any] = {"tools": [{"functionDeclarations": declared}]}
    if (choice := request.tool_choice) is not None:
        config = _calling(choice, request.tools)
        offered["toolConfig"] = {"functionCallingConfig": config}
    return offered


def _calling(choice: ToolChoice, tools: tuple[Tool, ...]) -> dict[str, Any]:
    custom = {tool.name: tool.custom for tool in tools}
    for name in choice.names:
        if name not in custom:
            raise BadRequest(
                f"tool_choice: {name!r} is not in tools", param="tool_choice"
            )
    if choice.mode is Choose.NONE:
        return {"mode": "NONE"}
    mode = "ANY" if choice.mode is Choose.REQUIRED else "AUTO"
    if not choice.names:
        return {"mode": mode}
    if mode == "AUTO":
        mode = "VALIDATED"  # AUTO takes no names
    names = [wire_tool_name(name, custom[name]) for name in choice.names]
    return {"mode": mode, "allowedFunctionNames": names}


def _declaration(tool: Tool, abilities: Abilities) -> dict[str, Any]:
    name = wire_tool_name(tool.name, tool.custom)
    if not 0 < len(name) <= abilities.tool_name_limit:
        raise UnsupportedField(
            f"tools: the name {tool.name[:80]!r} does not fit in"
            f" {abilities.tool_name_limit} characters",
            param="tools",
        )
    made: dict[str, Any] = {"name": name}
    description = tool.description
    if tool.custom and tool.format is not None:
        grammar = msgspec.json.encode(tool.format).decode()
        description = f"{description or ''}\nThe input has this format: {grammar}"
    if description and description.strip():
        made["description"] = description.strip()
    schema = freeform.SCHEMA if tool.custom else tool_schema(tool.schema)
    if schema is not None:
        made["parametersJsonSchema"] = schema
    return made
