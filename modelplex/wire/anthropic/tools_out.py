"""Tools and the choice among them, as one Claude model takes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from attrs import field, frozen

from modelplex.errors import BadRequest, UnsupportedField
from modelplex.events import Choose, Request, Tool, ToolCall, ToolChoice
from modelplex.wire import freeform
from modelplex.wire.anthropic import schema_out
from modelplex.wire.anthropic.abilities import Abilities
from modelplex.wire.anthropic.cache_out import cache_control
from modelplex.wire.anthropic.tool_words import (
    past_tool_name,
    wire_tool_name,
)

_FREEFORM = {**freeform.SCHEMA, "additionalProperties": False}


@frozen
class Offer:
    """
    The tools of one request.

    :ivar instruction: what the model has to be told because it cannot be forced.
    :ivar lost: fields of the guest that have no effect.
    """

    tools: list[dict[str, Any]] = field(factory=list)
    choice: dict[str, Any] | None = None
    instruction: str | None = None
    lost: tuple[str, ...] = ()


def offer(request: Request, abilities: Abilities, thinking: bool) -> Offer:
    """
    What to offer the model.

    :param thinking: the model will think, and most models can then not be forced.
    :raises BadRequest: the choice names a tool that is not there.
    """
    if not request.tools:
        stubs = _stubs(request, abilities)
        return Offer(stubs, {"type": "none"} if stubs else None)
    names = _chosen(request)
    tools = [t for t in request.tools if names is None or t.name in names]
    lost = [
        "tools[].strict"
        for tool in tools
        if tool.strict and not _strict(tool, abilities)
    ]
    forced = abilities.forced_tools and (
        not thinking or abilities.forced_while_thinking
    )
    choice, instruction = _choice(request.tool_choice, tools, forced)
    if request.parallel_tool_calls is False and (choice or {}).get("type") != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    wire = [_tool(tool, abilities) for tool in tools]
    return Offer(wire, choice, instruction, tuple(dict.fromkeys(lost)))


def _chosen(request: Request) -> frozenset[str] | None:
    """The only tools to offer; ``None`` for all of them."""
    choice = request.tool_choice
    if choice is None or not choice.names:
        return None
    missing = set(choice.names) - {tool.name for tool in request.tools}
    if missing:
        raise BadRequest(
            f"tool_choice: {min(missing)!r} is not in tools", param="tool_choice"
        )
    # One named tool can be forced with the others in sight, which spares the cache.
    if choice.mode is Choose.REQUIRED and len(choice.names) == 1:
        return None
    return frozenset(choice.names)


def _choice(
    choice: ToolChoice | None, tools: list[Tool], forced: bool
) -> tuple[dict[str, Any] | None, str | None]:
    if choice is None:
        return None, None
    if choice.mode is not Choose.REQUIRED:
        return {"type": choice.mode.value}, None
    if len(choice.names) == 1:
        custom = any(t.custom for t in tools if t.name == choice.names[0])
        name = wire_tool_name(choice.names[0], custom)
        if forced:
            return {"type": "tool", "name": name}, None
        return {"type": "auto"}, f"You must call the tool {name} now."
    if forced:
        return {"type": "any"}, None
    return {"type": "auto"}, "You must call one of the tools now."


def _tool(tool: Tool, abilities: Abilities) -> dict[str, Any]:
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
    made["input_schema"] = (
        _FREEFORM if tool.custom else schema_out.tool_schema(tool.schema)
    )
    if tool.strict and _strict(tool, abilities):
        made["strict"] = True
    return {**made, **cache_control(tool.cache)}


def _strict(tool: Tool, abilities: Abilities) -> bool:
    return abilities.structured_outputs and schema_out.fits(tool.schema)


def _stubs(request: Request, abilities: Abilities) -> list[dict[str, Any]]:
    """Tools that only the history knows: the API wants each one declared."""
    limit = abilities.tool_name_limit
    names = dict.fromkeys(past_tool_name(call, limit) for call in _calls(request))
    return [{"name": name, "input_schema": {"type": "object"}} for name in names]


def _calls(request: Request) -> Iterable[ToolCall]:
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, ToolCall):
                yield part
