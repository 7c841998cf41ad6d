"""What a request to a fake of the Responses API asks for, if the real one takes it."""

from __future__ import annotations

import re
from typing import Any

from modelplex.testing.fakes.responses_items import Item
from modelplex.testing.fakes.script import Heard
from modelplex.testing.fakes.speaker import Refused

COUNTED = frozenset(
    [
        "model",
        "input",
        "instructions",
        "previous_response_id",
        "conversation",
        "parallel_tool_calls",
        "reasoning",
        "text",
        "tool_choice",
        "tools",
        "truncation",
    ]
)
CREATED = COUNTED | frozenset(
    [
        "stream",
        "stream_options",
        "store",
        "max_output_tokens",
        "max_tool_calls",
        "temperature",
        "top_p",
        "top_logprobs",
        "include",
        "metadata",
        "background",
        "client_metadata",  # not in the reference; Codex sends it
        "context_management",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "user",
        "service_tier",
        "moderation",
    ]
)
COMPACTED = frozenset(
    [
        "model",
        "input",
        "instructions",
        "previous_response_id",
        "prompt_cache_key",
        "prompt_cache_retention",
        "service_tier",
    ]
)
_INSIDE = {
    "reasoning": frozenset(
        {"effort", "summary", "context", "mode", "generate_summary"}
    ),
    "text": frozenset({"format", "verbosity"}),
    "stream_options": frozenset({"include_obfuscation"}),
}
_INCLUDES = (
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
)
_EFFORTS = (None, "none", "minimal", "low", "medium", "high", "xhigh", "max")
_HOSTED = (
    "web_search",
    "web_search_preview",
    "file_search",
    "computer",
    "code_interpreter",
    "image_generation",
    "mcp",
    "local_shell",
    "shell",
    "apply_patch",
    "tool_search",
)
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


def unknown_only(body: Any, known: frozenset[str]) -> None:
    """
    Refuse parameters that the API does not have, at the top and one level below.

    :raises Refused: there is one.
    """
    for name, value in body.items():
        if name not in known:
            raise _unknown(name)
        for inner in value if name in _INSIDE and isinstance(value, dict) else ():
            if inner not in _INSIDE[name]:
                raise _unknown(f"{name}.{inner}")


def _unknown(name: str) -> Refused:
    return Refused(400, f"Unknown parameter: '{name}'.", "unknown_parameter")


def check_settings(body: Any) -> None:
    """
    Everything but the items.

    :raises Refused: the API would answer 400.
    """
    limit = body.get("max_output_tokens")
    if limit is not None and limit < 16:
        raise Refused(
            400,
            "Invalid 'max_output_tokens': integer below minimum value. Expected a "
            f"value >= 16, but got {limit} instead.",
            "integer_below_min_value",
        )
    for word in body.get("include") or ():
        if word not in _INCLUDES:
            raise Refused(400, f"Invalid value: '{word}'.", "invalid_value")
    effort = (body.get("reasoning") or {}).get("effort")
    if effort not in _EFFORTS:
        raise Refused(400, f"Invalid value: '{effort}'.", "invalid_value")
    if body.get("stream_options") is not None and not body.get("stream"):
        raise Refused(400, "'stream_options' is only allowed when 'stream' is enabled.")
    if body.get("previous_response_id") and body.get("conversation"):
        raise Refused(
            400,
            "Mutually exclusive parameters: 'previous_response_id' and 'conversation'.",
            "mutually_exclusive_parameters",
        )
    form = (body.get("text") or {}).get("format") or {"type": "text"}
    if form["type"] == "json_schema":
        for name in ("name", "schema"):
            if name not in form:
                raise _missing(f"text.format.{name}")
        if form.get("strict"):
            _check_strict(form["schema"], f"response_format '{form['name']}'")
    _check_tools(body)


def _check_tools(body: Any) -> None:
    names = []
    for place, tool in enumerate(body.get("tools") or ()):
        where = f"tools[{place}]"
        match tool.get("type"):
            case "function" | "custom":
                names.append(_checked_name(tool, where))
                if tool.get("strict"):
                    _check_strict(tool["parameters"], f"function '{tool['name']}'")
            case "namespace":
                names.append(_checked_name(tool, where))
                for number, inner in enumerate(tool["tools"]):
                    _checked_name(inner, f"{where}.tools[{number}]")
            case kind if kind not in _HOSTED:
                raise Refused(400, f"Invalid value: '{kind}'.", "invalid_value")
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") in ("function", "custom"):
        if "name" not in choice:
            raise _missing("tool_choice.name")
        if choice["name"] not in names:
            kind = choice["type"]
            raise Refused(400, f"Tool choice '{kind}' not found in 'tools' parameter.")
    if choice == "required" and not body.get("tools"):
        raise Refused(
            400, "Tool choice 'required' must be specified with 'tools' parameter."
        )


def _checked_name(tool: Any, where: str) -> str:
    if "name" not in tool:
        raise _missing(f"{where}.name")
    if not _NAME.fullmatch(tool["name"]):
        raise Refused(
            400,
            f"Invalid '{where}.name': string does not match pattern. Expected a string "
            "that matches the pattern '^[a-zA-Z0-9_-]+$'.",
            "invalid_value",
        )
    return str(tool["name"])


def _missing(name: str) -> Refused:
    said = f"Missing required parameter: '{name}'."
    return Refused(400, said, "missing_required_parameter")


def _check_strict(schema: Any, whose: str) -> None:
    """A strict schema leaves nothing open: every object says what it has."""
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False:
            what = "'additionalProperties' is required to be supplied and to be false."
        elif set(schema.get("required", ())) != set(properties):
            what = "'required' is required to be supplied and to be an array including "
            what += "every key in properties."
        else:
            for inner in properties.values():
                _check_strict(inner, whose)
            return
        said = f"Invalid schema for {whose}: In context=(), {what}"
        raise Refused(400, said, "invalid_function_parameters")
    if isinstance(schema.get("items"), dict):
        _check_strict(schema["items"], whose)


def heard(body: Any, items: list[Item]) -> Heard:
    """What a checked request asks for; `items` are the whole conversation."""
    images: list[tuple[str, str]] = []
    system = [body["instructions"]] if body.get("instructions") else []
    said = ""
    results: list[tuple[str, str]] = []
    for item in items:
        if item["type"] == "message":
            text = _text(item["content"], images)
            if item["role"] in ("system", "developer"):
                system.append(text)
            else:
                said, results = text, []
        elif item["type"].endswith("_output"):
            results.append((item["call_id"], _text(item["output"], images)))
        elif item["type"].endswith("_call"):
            results = []
    effort = (body.get("reasoning") or {}).get("effort")
    form = (body.get("text") or {}).get("format") or {}
    return Heard(
        model=body["model"],
        stream=bool(body.get("stream")),
        system="\n".join(system),
        said=said,
        images=tuple(images),
        results=tuple(results),
        tools=tuple(name for name, _ in declared(body)),
        schema=form.get("schema"),
        thinks=effort not in (None, "none"),
        max_tokens=body.get("max_output_tokens"),
    )


def declared(body: Any) -> list[tuple[str, Any]]:
    """
    The name of every tool that may be called, with its declaration.

    One of a namespace has the ``namespace`` in its declaration.
    """
    found: list[tuple[str, Any]] = []
    given = body.get("input")
    added = [
        tool
        for item in (given if isinstance(given, list) else ())
        if item.get("type") == "additional_tools"
        for tool in item["tools"]
    ]
    for tool in [*(body.get("tools") or ()), *added]:
        if tool["type"] == "namespace":
            for inner in tool["tools"]:
                found.append((inner["name"], {**inner, "namespace": tool["name"]}))
        elif tool["type"] in ("function", "custom"):
            found.append((tool["name"], tool))
    return found


def _text(content: Any, images: list[tuple[str, str]]) -> str:
    if isinstance(content, str):
        return content
    texts = []
    for part in content:
        match part["type"]:
            case "input_text" | "output_text":
                texts.append(part["text"])
            case "refusal":
                texts.append(part["refusal"])
            case "input_image" if "image_url" in part:
                head, _, encoded = part["image_url"].partition(";base64,")
                images.append((head.removeprefix("data:"), encoded))
    return " ".join(texts)
