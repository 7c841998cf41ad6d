"""A guest's chat completion request to the canonical one; everything is checked."""

from __future__ import annotations

from modelplex.errors import BadRequest, UnsupportedField
from modelplex.events import JSON, Request, ThinkingControl
from modelplex.wire.jsonobject import JsonObject
from modelplex.wire.openai.fields import Field, root
from modelplex.wire.openai.messages_in import messages
from modelplex.wire.openai.tools_in import (
    cache_mark,
    response_format,
    tool_choice,
    tools,
)

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

_NAMES = """
model messages stream stream_options max_completion_tokens max_tokens temperature
top_p top_k min_p stop n seed presence_penalty frequency_penalty logprobs top_logprobs
tools functions tool_choice function_call parallel_tool_calls response_format
reasoning_effort reasoning thinking modalities audio user safety_identifier
cache_control prompt_cache_breakpoint
"""
_READ = frozenset(_NAMES.split())


def decode_request(body: JsonObject) -> Request:
    """
    The canonical form of a chat completion request.

    :raises BadRequest: a field is missing or of a wrong type; names it by its path.
    """
    request = root(body)
    request.maybe("stream_options", Field.object)
    return Request(
        model=request.need("model").name(),
        messages=messages(request.need("messages")),
        stream=request.maybe("stream", Field.boolean) or False,
        max_tokens=(
            request.maybe("max_completion_tokens", Field.positive)
            or request.maybe("max_tokens", Field.positive)
        ),
        temperature=request.maybe("temperature", Field.number),
        top_p=request.maybe("top_p", Field.number),
        top_k=request.maybe("top_k", Field.integer),
        min_p=request.maybe("min_p", Field.number),
        stop=stop(request),
        n=request.maybe("n", Field.positive) or 1,
        seed=request.maybe("seed", Field.integer),
        presence_penalty=request.maybe("presence_penalty", Field.number),
        frequency_penalty=request.maybe("frequency_penalty", Field.number),
        logprobs=_logprobs(request),
        tools=tools(request),
        tool_choice=tool_choice(request),
        parallel_tool_calls=request.maybe("parallel_tool_calls", Field.boolean),
        response_format=response_format(request),
        thinking=_thinking(request),
        audio_output=_audio_output(request),
        user=(
            request.maybe("safety_identifier", Field.text)
            or request.maybe("user", Field.text)
            or None
        ),
        cache=cache_mark(request),
        extra=extra(request, _READ),
    )


def stop(request: Field) -> tuple[str, ...]:
    """``stop``: one string or several."""
    found = request.get("stop")
    if found is None:
        return ()
    if isinstance(found.value, str):
        return (found.value,)
    return tuple(item.text() for item in found.items())


def extra(request: Field, read: frozenset[str]) -> dict[str, JSON]:
    """The members that no field of the canonical request has."""
    members = request.object().items()
    return {k: v for k, v in members if k not in read and v is not None}


def _logprobs(request: Field) -> int | None:
    wanted = request.maybe("logprobs", Field.boolean)
    top = request.get("top_logprobs")
    count = None if top is None else top.integer()
    if count is not None and top is not None and not 0 <= count <= 20:
        top.wrong("must be from 0 to 20")
    if not wanted:
        if count:
            raise BadRequest(
                "top_logprobs: needs logprobs to be true", param="top_logprobs"
            )
        return None
    return count or 0


def _thinking(request: Field) -> ThinkingControl | None:
    """
    ``reasoning_effort``; beside it what proxies take under other names.

    OpenRouter's ``reasoning`` has effort or max_tokens; ``thinking`` is Anthropic's
    object, which its users send through ``extra_body``.
    """
    effort = request.maybe("reasoning_effort", _effort)
    mode: str | None = None
    budget: int | None = None
    display: str | None = None
    if (reasoning := request.get("reasoning")) is not None:
        effort = effort or reasoning.maybe("effort", _effort)
        budget = reasoning.maybe("max_tokens", Field.positive)
        enabled = reasoning.maybe("enabled", Field.boolean)
        if budget is not None:
            mode = "enabled"
        elif enabled is False:
            effort = "none"
        elif enabled and effort is None:
            effort = "medium"
    if (thinking := request.get("thinking")) is not None:
        mode = thinking.need("type").word(
            "enabled", "adaptive", "disabled", "between_tools"
        )
        budget = thinking.maybe("budget_tokens", Field.positive) or budget
        display = thinking.maybe("display", Field.text)
    if effort is None and mode is None:
        return None
    return ThinkingControl(effort, mode, budget, display)


def _effort(field: Field) -> str:
    return field.word(*EFFORTS)


def _audio_output(request: Field) -> JSON:
    audio = request.maybe("audio", Field.object)
    wanted = False
    for item in request.maybe("modalities", Field.items) or ():
        match item.text():
            case "text":
                pass
            case "audio":
                wanted = True
            case other:
                raise UnsupportedField(
                    f"modalities: {other[:60]!r} cannot be translated",
                    param="modalities",
                )
    if not wanted:
        return None
    if audio is None:
        request.need("audio")
    return audio
