"""A ``generateContent`` request to a canonical one."""

from __future__ import annotations

from typing import Any

from attrs import define, field
from msgspec import Raw

from modelplex.errors import BadRequest, UnsupportedField
from modelplex.events import (
    Choose,
    JsonSchema,
    Message,
    Request,
    Role,
    ThinkingControl,
    Tool,
    ToolChoice,
)
from modelplex.wire.gemini.contents_in import conversation, system_texts
from modelplex.wire.gemini.members import Members, body_members, members
from modelplex.wire.gemini.schema_in import json_schema, proper
from modelplex.wire.jsonobject import JsonObject

_READ = frozenset(
    {
        "model",
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
    }
)
_SETTINGS = frozenset(
    {
        "temperature",
        "topP",
        "topK",
        "candidateCount",
        "maxOutputTokens",
        "stopSequences",
        "seed",
        "presencePenalty",
        "frequencyPenalty",
        "responseLogprobs",
        "logprobs",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "ResponseJsonSchema",  # an older name begins with an underscore
        "responseModalities",
        "thinkingConfig",
    }
)
_TOOL_KEYS = frozenset(
    {
        "name",
        "description",
        "parameters",
        "parametersJsonSchema",
        "response",  # what the answer of the tool looks like; no dialect has it
        "responseJsonSchema",
    }
)
_MODES = {
    "AUTO": Choose.AUTO,
    "ANY": Choose.REQUIRED,
    "NONE": Choose.NONE,
    "VALIDATED": Choose.AUTO,
    "MODE_UNSPECIFIED": None,
}


def decode_request(body: JsonObject) -> Request:
    """
    The request that `body` asks for.

    The model and whether to stream stand in the path: `model` is empty unless the
    body has it too, and `stream` is not set. Members that no other dialect has and
    hosted tools go to `Request.extra`, so that a translation lists what it drops.

    :raises BadRequest: a member is missing or of the wrong type; names it.
    """
    return decode_members(body_members(body))


def decode_members(body: Members) -> Request:
    """The request whose members are `body`, which may stand inside another one."""
    return _Decoding(body).request()


@define
class _Decoding:
    """One request on its way; `extra` collects what has no canonical place."""

    body: Members
    extra: dict[str, Any] = field(factory=dict)

    def request(self) -> Request:
        settings = self.body.within("generationConfig")
        stop = settings.get("stopSequences", list[str]) or ()
        request = Request(
            model=plain_model(self.body.get("model", str) or ""),
            messages=(*self._system(), *self._messages()),
            max_tokens=settings.get("maxOutputTokens", int),
            temperature=settings.get("temperature", float),
            top_p=settings.get("topP", float),
            top_k=_whole(settings, "topK"),
            stop=tuple(stop),
            n=_or(settings.get("candidateCount", int), 1),
            seed=settings.get("seed", int),
            presence_penalty=settings.get("presencePenalty", float),
            frequency_penalty=settings.get("frequencyPenalty", float),
            logprobs=_logprobs(settings),
            tools=tuple(self._tools()),
            tool_choice=self._tool_choice(),
            response_format=_response_format(settings),
            thinking=self._thinking(settings),
            extra=self.extra,
        )
        _text_only(settings)
        for name in settings:
            if name not in _SETTINGS:
                where = settings.where(name)
                self.extra[where] = settings.get(name, Any)
        for name in self.body:
            if name not in _READ:
                self.extra[name] = self.body.get(name, Any)
        if "cachedContent" in self.body:
            where = self.body.where("cachedContent")
            raise UnsupportedField(
                f"{where}: the beginning of the prompt is in a provider's store",
                param=where,
            )
        return request

    def _skipped(self, name: str) -> None:
        self.extra[f"contents[].parts[{name}]"] = None

    def _system(self) -> list[Message]:
        raw = self.body.get("systemInstruction", Raw)
        if raw is None:
            return []
        found = system_texts(raw, self.body.where("systemInstruction"))
        return [Message(Role.SYSTEM, found)] if found else []

    def _messages(self) -> list[Message]:
        contents = self.body.need("contents", list[Raw])
        return conversation(contents, self.body.where("contents"), self._skipped)

    def _tools(self) -> list[Tool]:
        found: list[Tool] = []
        for raw, where in self.body.items("tools"):
            tool = members(raw, where)
            for name in tool:
                if name == "functionDeclarations":
                    found += [self._tool(*item) for item in tool.items(name)]
                else:
                    self.extra[f"tools[{name}]"] = tool.get(name, Any)
        return found

    def _tool(self, raw: Raw, where: str) -> Tool:
        given = members(raw, where)
        schema: dict[str, Any] | None = None
        if "parametersJsonSchema" in given:
            schema = proper(
                given.get("parametersJsonSchema", dict[str, Any]),
                given.where("parametersJsonSchema"),
            )
        elif "parameters" in given:
            schema = json_schema(
                given.get("parameters", Raw), given.where("parameters")
            )
        for name in given:
            if name not in _TOOL_KEYS:
                self.extra[f"tools[].{name}"] = None
        return Tool(given.need("name", str), given.get("description", str), schema)

    def _tool_choice(self) -> ToolChoice | None:
        config = self.body.within("toolConfig")
        for name in config:
            if name != "functionCallingConfig":
                self.extra[config.where(name)] = config.get(name, Any)
        calling = config.within("functionCallingConfig")
        word = calling.get("mode", str) or "MODE_UNSPECIFIED"
        names = tuple(calling.get("allowedFunctionNames", list[str]) or ())
        if word not in _MODES:
            where = calling.where("mode")
            raise BadRequest(f"{where}: {word!r} is not known", param=where)
        mode = _MODES[word]
        if mode is None:
            return ToolChoice(Choose.AUTO, names) if names else None
        return ToolChoice(mode, () if mode is Choose.NONE else names)

    def _thinking(self, settings: Members) -> ThinkingControl | None:
        config = settings.within("thinkingConfig")
        level: str | None = config.get("thinkingLevel", str)
        budget: int | None = config.get("thinkingBudget", int)
        shown: bool | None = config.get("includeThoughts", bool)
        for name in config:
            if name not in ("thinkingLevel", "thinkingBudget", "includeThoughts"):
                self.extra[config.where(name)] = config.get(name, Any)
        if level == "THINKING_LEVEL_UNSPECIFIED":
            level = None
        mode = None
        if budget is not None:
            mode = "enabled" if budget > 0 else "adaptive" if budget else "disabled"
        if level is None and mode is None and not shown:
            return None  # as much as the model finds right, and nothing of it shown
        display = None if shown is None else "summarized" if shown else "omitted"
        return ThinkingControl(
            level.lower() if level else None,
            mode,
            budget if mode == "enabled" else None,
            display,
        )


def plain_model(name: str) -> str:
    """The name of a model without the collection that SDKs put in front."""
    return name.removeprefix("models/")


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def _whole(settings: Members, name: str) -> int | None:
    """A number that the SDK takes for a fraction and the model for a count."""
    value: float | None = settings.get(name, float)
    if value is None:
        return None
    if not value.is_integer():
        where = settings.where(name)
        raise BadRequest(f"{where}: a whole number is expected", param=where)
    return int(value)


def _logprobs(settings: Members) -> int | None:
    wanted = settings.get("responseLogprobs", bool)
    count: int | None = settings.get("logprobs", int)
    return (count or 0) if wanted else None


def _text_only(settings: Members) -> None:
    for word in settings.get("responseModalities", list[str]) or ():
        if word.upper() not in ("TEXT", "MODALITY_UNSPECIFIED"):
            where = settings.where("responseModalities")
            raise UnsupportedField(
                f"{where}: only text is answered through another provider",
                param=where,
            )


def _response_format(settings: Members) -> JsonSchema | None:
    schema: Any = None
    for name in ("responseJsonSchema", "ResponseJsonSchema"):
        if name in settings:
            schema = proper(settings.get(name, dict[str, Any]), settings.where(name))
    if schema is None and "responseSchema" in settings:
        raw = settings.get("responseSchema", Raw)
        schema = json_schema(raw, settings.where("responseSchema"))
    match settings.get("responseMimeType", str) or "text/plain":
        case "application/json":
            return JsonSchema(schema)
        case "text/plain" if schema is None:
            return None
        case kind:
            where = settings.where("responseMimeType")
            raise UnsupportedField(
                f"{where}: {kind!r} has no counterpart elsewhere", param=where
            )
