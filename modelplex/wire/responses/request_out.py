"""The canonical request as a Responses one that leaves nothing at the provider."""

from __future__ import annotations

import hashlib
from typing import Any

from attrs import evolve

from modelplex.events import (
    JSON,
    Choose,
    JsonSchema,
    Request,
    ThinkingControl,
    Tool,
    ToolChoice,
)
from modelplex.wire.dialect import Encoded
from modelplex.wire.fidelity import admit
from modelplex.wire.responses.fidelity import FIDELITY
from modelplex.wire.responses.input_out import InputWriter
from modelplex.wire.responses.request_in import ENCRYPTED, LOGPROBS
from modelplex.wire.typed import pack

_USER_LIMIT = 64  # characters
_LEAST_OUTPUT = 16  # tokens
_OWN: dict[str, type] = {
    "metadata": dict,
    "service_tier": str,
    "prompt_cache_key": str,
    "prompt_cache_retention": str,
    "truncation": str,
    "max_tool_calls": int,
}
_VERBOSITY = ("text.verbosity", "verbosity")  # its name here, and in a chat


def encode_request(request: Request) -> Encoded:
    """
    Compact JSON; the same request always gives the same bytes.

    :raises UnsupportedField: the request asks for what the API cannot express.
    :raises BadRequest: JSON cannot say it.
    """
    foreign = {k: v for k, v in request.extra.items() if not _is_own(k, v)}
    lost = admit(evolve(request, extra=foreign), FIDELITY)
    writer = InputWriter()
    instructions = writer.write(request.messages)
    include = [ENCRYPTED]
    if request.logprobs is not None:
        include.append(LOGPROBS)
    limit = request.max_tokens
    body: dict[str, Any] = {
        "model": request.model,
        "instructions": instructions,
        "input": writer.input,
        "max_output_tokens": None if limit is None else max(limit, _LEAST_OUTPUT),
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_logprobs": request.logprobs or None,
        "reasoning": _reasoning(request.thinking) or None,
        "text": _text(request) or None,
        "include": include,
        "store": False,
        "stream": request.stream or None,
        "user": _user(request.user),
        **{key: request.extra.get(key) for key in _OWN if key not in foreign},
    }
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        body["tool_choice"] = _tool_choice(request.tool_choice, request.tools)
        body["parallel_tool_calls"] = request.parallel_tool_calls
    dropped = tuple(dict.fromkeys([*lost, *writer.lost]))
    return Encoded(pack({k: v for k, v in body.items() if v is not None}), dropped)


def _is_own(key: str, value: JSON) -> bool:
    """Whether a member of `Request.extra` reaches the provider."""
    kind = str if key in _VERBOSITY else _OWN.get(key)
    return kind is not None and isinstance(value, kind)


def _user(user: str | None) -> str | None:
    if user is None or len(user) <= _USER_LIMIT:
        return user
    return hashlib.sha256(user.encode()).hexdigest()


def _reasoning(thinking: ThinkingControl | None) -> dict[str, JSON]:
    """
    The effort, and whether to tell of it.

    A budget is the nearest one, and no budget the middle.
    """
    if thinking is None:
        return {}
    found: dict[str, JSON] = {}
    effort = thinking.effort
    if effort is None and thinking.mode == "disabled":
        effort = "none"
    elif effort is None and thinking.budget is not None:
        effort = "low" if thinking.budget < 4096 else "medium"
        effort = "high" if thinking.budget >= 16384 else effort
    elif effort is None and thinking.mode == "enabled":
        effort = "medium"
    if effort is not None:
        found["effort"] = effort
    visible = thinking.mode in ("enabled", "adaptive") and thinking.display is None
    if visible or thinking.display == "summarized":
        found["summary"] = "auto"
    return found


def _text(request: Request) -> dict[str, JSON]:
    found: dict[str, JSON] = {}
    if request.response_format is not None:
        found["format"] = _format(request.response_format)
    for key in _VERBOSITY:
        value = request.extra.get(key)
        if isinstance(value, str):
            found["verbosity"] = value
            break
    return found


def _format(form: JsonSchema) -> JSON:
    if form.schema is None:
        return {"type": "json_object"}
    schema = {
        "type": "json_schema",
        "name": form.name or "output",
        "description": form.description,
        "schema": form.schema,
        "strict": form.strict or False,  # left out, it would be tried
    }
    return {k: v for k, v in schema.items() if v is not None}


def _tool(tool: Tool) -> JSON:
    kind = "custom" if tool.custom else "function"
    written: dict[str, JSON] = {"type": kind, "name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.custom:
        if tool.format is not None:
            written["format"] = _grammar(tool.format)
        return written
    schema = (
        {"type": "object", "properties": {}} if tool.schema is None else tool.schema
    )
    return {**written, "parameters": schema, "strict": tool.strict or False}


def _grammar(format: JSON) -> JSON:
    """A custom tool's format, which chat completions nest."""
    nested = format.get("grammar") if isinstance(format, dict) else None
    return {"type": "grammar", **nested} if isinstance(nested, dict) else format


def _tool_choice(choice: ToolChoice | None, tools: tuple[Tool, ...]) -> JSON:
    if choice is None:
        return None
    if choice.mode is Choose.NONE or not choice.names:
        return choice.mode.value
    custom = {tool.name for tool in tools if tool.custom}
    named: list[JSON] = [
        {"type": "custom" if name in custom else "function", "name": name}
        for name in choice.names
    ]
    if choice.mode is Choose.REQUIRED and len(named) == 1:
        return named[0]
    return {"type": "allowed_tools", "mode": choice.mode.value, "tools": named}
