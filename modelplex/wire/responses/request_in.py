"""A guest's Responses request to the canonical one; everything is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelplex.errors import UnsupportedField
from modelplex.events import (
    JSON,
    JsonSchema,
    Message,
    Request,
    Role,
    Text,
    ThinkingControl,
)
from modelplex.wire.jsonobject import JsonObject
from modelplex.wire.openai.fields import Field, root
from modelplex.wire.responses.input_in import InputReader
from modelplex.wire.responses.tools_in import ToolReader

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
LOGPROBS = "message.output_text.logprobs"
ENCRYPTED = "reasoning.encrypted_content"

_READ = frozenset(
    {
        *("model", "input", "instructions", "stream", "stream_options", "store"),
        *("max_output_tokens", "temperature", "top_p", "top_logprobs", "include"),
        *("tools", "tool_choice", "parallel_tool_calls", "text", "reasoning"),
        *("user", "safety_identifier"),
    }
)
# What a provider keeps or runs for its guest, which no other one has.
_ELSEWHERE = ("previous_response_id", "conversation", "prompt")
_USUAL: Mapping[str, Any] = {"truncation": "disabled", "background": False}


def decode_request(body: JsonObject) -> Request:
    """
    The canonical form of a request that needs nothing but itself.

    `store` is not read: what is remembered is for the surface to decide.

    :raises BadRequest: a field is missing or of a wrong type; names it by its path.
    :raises UnsupportedField: it refers to what only one provider has.
    """
    request = root(body)
    for key in _ELSEWHERE:
        if request.get(key) is not None:
            raise UnsupportedField(
                f"{key}: refers to what only the provider that made it has", param=key
            )
    if request.maybe("background", Field.boolean):
        raise UnsupportedField(
            "background: a translated answer is given at once", param="background"
        )
    for key, read in (("stream_options", Field.object), ("store", Field.boolean)):
        request.maybe(key, read)
    extra: dict[str, JSON] = {}
    tools = ToolReader(extra)
    tools.read(request.maybe("tools", Field.items) or ())
    reader = InputReader(extra, tools)
    instructions = request.maybe("instructions", Field.text)
    if instructions:
        reader.messages.append(Message(Role.SYSTEM, (Text(instructions),)))
    reader.read(request.need("input"))
    reader.finish()
    if not reader.messages:
        request.need("input").wrong("must not be empty")
    effort, form = _updated(reader.update)
    control = _thinking(request, effort, extra)
    response_format = _text(request, extra)
    _others(request, extra)
    return Request(
        model=request.need("model").name(),
        messages=tuple(reader.messages),
        stream=request.maybe("stream", Field.boolean) or False,
        max_tokens=request.maybe("max_output_tokens", Field.positive),
        temperature=request.maybe("temperature", Field.number),
        top_p=request.maybe("top_p", Field.number),
        logprobs=_logprobs(request, extra),
        tools=tools.tools,
        tool_choice=tools.choice(request),
        parallel_tool_calls=request.maybe("parallel_tool_calls", Field.boolean),
        response_format=response_format if form is None else _format(form),
        thinking=control,
        user=(
            request.maybe("safety_identifier", Field.text)
            or request.maybe("user", Field.text)
            or None
        ),
        extra=extra,
    )


def _others(request: Field, extra: dict[str, JSON]) -> None:
    """Note the members that no field of the canonical request has."""
    for key, value in request.object().items():
        if key in _READ or value is None:
            continue
        if key not in _USUAL or value != _USUAL[key]:
            extra[key] = value


def _logprobs(request: Field, extra: dict[str, JSON]) -> int | None:
    top = request.get("top_logprobs")
    count = None if top is None else top.integer()
    if count is not None and top is not None and not 0 <= count <= 20:
        top.wrong("must be from 0 to 20")
    wanted = False
    for item in request.maybe("include", Field.items) or ():
        match item.text():
            case "message.output_text.logprobs":
                wanted = True
            case "reasoning.encrypted_content":
                pass  # always given
            case other:
                extra[f"include[{other[:60]}]"] = True
    return count or 0 if wanted or count else None


def _thinking(
    request: Field, updated: str | None, extra: dict[str, JSON]
) -> ThinkingControl | None:
    reasoning = request.get("reasoning")
    effort = display = None
    if reasoning is not None:
        effort = reasoning.maybe("effort", _effort)
        shown = reasoning.maybe("summary", Field.text)
        shown = shown or reasoning.maybe("generate_summary", Field.text)
        display = "summarized" if shown else None
        for key, usual in (("context", "auto"), ("mode", "standard")):
            value = reasoning.object().get(key)
            if value not in (None, usual):
                extra[f"reasoning.{key}"] = value
    effort = updated or effort
    if effort is None and display is None:
        return None
    return ThinkingControl(effort, display=display)


def _effort(field: Field) -> str:
    return field.word(*EFFORTS)


def _text(request: Field, extra: dict[str, JSON]) -> JsonSchema | None:
    text = request.get("text")
    if text is None:
        return None
    verbosity = text.maybe("verbosity", Field.text)
    if verbosity is not None:
        extra["text.verbosity"] = verbosity
    form = text.get("format")
    return None if form is None else _format(form)


def _format(form: Field) -> JsonSchema | None:
    match form.need("type").word("text", "json_object", "json_schema"):
        case "text":
            return None
        case "json_object":
            return JsonSchema()
    return JsonSchema(
        form.need("schema").object(),
        form.need("name").name(),
        form.maybe("description", Field.text),
        form.maybe("strict", Field.boolean),
    )


def _updated(update: Field | None) -> tuple[str | None, Field | None]:
    """The effort and the format of the latest update, from there on in force."""
    if update is None:
        return None, None
    reasoning, text = update.get("reasoning"), update.get("text")
    effort = None if reasoning is None else reasoning.maybe("effort", _effort)
    return effort, None if text is None else text.get("format")
