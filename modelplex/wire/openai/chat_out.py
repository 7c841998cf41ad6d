"""The canonical request in OpenAI's chat form, for a provider that speaks it."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

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
from modelplex.wire.openai.fidelity import CHAT
from modelplex.wire.openai.messages_out import messages

_USER_LIMIT = 64  # characters


def encode_request(request: Request) -> Encoded:
    """
    Compact JSON; the same request always gives the same bytes.

    :raises UnsupportedField: the request asks for what a chat cannot express.
    """
    dropped = admit(request, CHAT)
    body: dict[str, Any] = {
        "model": request.model,
        "messages": messages(request.messages),
        "max_completion_tokens": request.max_tokens,
        **settings(request),
        "logprobs": None if request.logprobs is None else True,
        "top_logprobs": request.logprobs or None,
        "response_format": _response_format(request.response_format),
        "reasoning_effort": _effort(request.thinking),
    }
    if request.tools:  # OpenAI refuses the other two without tools
        body["tools"] = [_tool(tool) for tool in request.tools]
        body["tool_choice"] = _tool_choice(request.tool_choice, request.tools)
        body["parallel_tool_calls"] = request.parallel_tool_calls
    return Encoded(compact(body), dropped)


def settings(request: Request) -> dict[str, JSON]:
    """The members that chat and completions have in common."""
    return {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": list(request.stop) or None,
        "seed": request.seed,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "user": _user(request.user),
        "stream": request.stream or None,
        "stream_options": {"include_usage": True} if request.stream else None,
    }


def compact(body: dict[str, JSON]) -> bytes:
    """`body` as JSON, without the members that are ``None``."""
    return msgspec.json.encode({k: v for k, v in body.items() if v is not None})


def _user(user: str | None) -> str | None:
    if user is None or len(user) <= _USER_LIMIT:
        return user
    return hashlib.sha256(user.encode()).hexdigest()


def _tool(tool: Tool) -> JSON:
    written: dict[str, JSON] = {"name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.custom:
        if tool.format is not None:
            written["format"] = tool.format
        return {"type": "custom", "custom": written}
    if tool.schema is not None:
        written["parameters"] = tool.schema
    if tool.strict is not None:
        written["strict"] = tool.strict
    return {"type": "function", "function": written}


def _tool_choice(choice: ToolChoice | None, tools: tuple[Tool, ...]) -> JSON:
    if choice is None:
        return None
    if choice.mode is Choose.NONE or not choice.names:
        return choice.mode.value
    custom = {tool.name for tool in tools if tool.custom}
    named: list[JSON] = []
    for name in choice.names:
        kind = "custom" if name in custom else "function"
        named.append({"type": kind, kind: {"name": name}})
    if choice.mode is Choose.REQUIRED and len(named) == 1:
        return named[0]
    allowed = {"mode": choice.mode.value, "tools": named}
    return {"type": "allowed_tools", "allowed_tools": allowed}


def _response_format(form: JsonSchema | None) -> JSON:
    if form is None:
        return None
    if form.schema is None:
        return {"type": "json_object"}
    schema = {
        "name": form.name or "output",
        "description": form.description,
        "schema": form.schema,
        "strict": form.strict,
    }
    present = {k: v for k, v in schema.items() if v is not None}
    return {"type": "json_schema", "json_schema": present}


def _effort(thinking: ThinkingControl | None) -> str | None:
    """The word for it; a budget becomes the nearest one, and no budget the middle."""
    if thinking is None:
        return None
    if thinking.effort is not None:
        return thinking.effort
    if thinking.mode == "disabled":
        return "none"
    if thinking.budget is None:
        return "medium" if thinking.mode == "enabled" else None
    if thinking.budget < 4096:
        return "low"
    return "medium" if thinking.budget < 16384 else "high"
