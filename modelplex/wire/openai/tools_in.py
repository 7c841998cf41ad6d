"""A guest's tools and its choice among them; the legacy forms become the new ones."""

from __future__ import annotations

from modelplex.errors import UnsupportedField
from modelplex.events import CacheMark, Choose, JsonSchema, Tool, ToolChoice
from modelplex.wire.openai.fields import Field


def tools(request: Field) -> tuple[Tool, ...]:
    """``tools``, and after them the deprecated ``functions``."""
    found: list[Tool] = []
    for item in request.maybe("tools", Field.items) or ():
        found.append(_tool(item))
    for item in request.maybe("functions", Field.items) or ():
        found.append(_function(item, item))
    return tuple(found)


def _tool(item: Field) -> Tool:
    kind = item.maybe("type", Field.text) or "function"
    if kind == "function":
        return _function(item.need("function"), item)
    if kind == "custom":
        custom = item.need("custom")
        format = custom.get("format")
        return Tool(
            custom.need("name").name(),
            custom.maybe("description", Field.text),
            custom=True,
            format=None if format is None else format.object(),
            cache=cache_mark(item),
        )
    raise UnsupportedField(
        f"{item.path}.type: the tool type {kind[:60]!r} exists only at its provider",
        param=f"{item.path}.type",
    )


def _function(function: Field, item: Field) -> Tool:
    return Tool(
        function.need("name").name(),
        function.maybe("description", Field.text),
        function.maybe("parameters", Field.object),
        function.maybe("strict", Field.boolean),
        cache=cache_mark(item) or cache_mark(function),
    )


def tool_choice(request: Field) -> ToolChoice | None:
    """``tool_choice`` in every form, or the deprecated ``function_call``."""
    choice = request.get("tool_choice")
    if choice is not None:
        return _choice(choice)
    legacy = request.get("function_call")
    if legacy is None:
        return None
    if isinstance(legacy.value, str):
        return ToolChoice(Choose(legacy.word("none", "auto")))
    return ToolChoice(Choose.REQUIRED, (legacy.need("name").name(),))


def _choice(choice: Field) -> ToolChoice:
    if isinstance(choice.value, str):
        return ToolChoice(Choose(choice.word("none", "auto", "required")))
    kind = choice.need("type").word("function", "custom", "allowed_tools")
    if kind != "allowed_tools":
        return ToolChoice(Choose.REQUIRED, (_named(choice),))
    allowed = choice.need("allowed_tools")
    mode = allowed.need("mode").word("auto", "required")
    names = tuple(_named(item) for item in allowed.need("tools").items())
    if not names:
        allowed.need("tools").wrong("must not be empty")
    return ToolChoice(Choose(mode), names)


def _named(item: Field) -> str:
    kind = item.need("type").word("function", "custom")
    return item.need(kind).need("name").name()


def response_format(request: Field) -> JsonSchema | None:
    """``response_format``: text is no demand at all."""
    form = request.get("response_format")
    if form is None:
        return None
    match form.need("type").word("text", "json_object", "json_schema"):
        case "text":
            return None
        case "json_object":
            return JsonSchema()
    schema = form.need("json_schema")
    return JsonSchema(
        schema.maybe("schema", Field.object),
        schema.need("name").name(),
        schema.maybe("description", Field.text),
        schema.maybe("strict", Field.boolean),
    )


def cache_mark(part: Field) -> CacheMark | None:
    """OpenAI's ``prompt_cache_breakpoint``, or Anthropic's word that proxies take."""
    for key in ("prompt_cache_breakpoint", "cache_control"):
        mark = part.get(key)
        if mark is not None:
            return CacheMark(mark.maybe("ttl", Field.text))
    return None
