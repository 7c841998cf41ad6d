"""A Messages request to a canonical one."""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct

from modelplex.errors import BadRequest
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
from modelplex.wire.anthropic.blocks_in import CacheControl, Skipped, parts, texts
from modelplex.wire.anthropic.client_tools import client_tool
from modelplex.wire.anthropic.turns_in import turns
from modelplex.wire.jsonobject import JsonObject
from modelplex.wire.typed import read


class _Message(Struct):
    role: str
    content: Raw


class _ToolChoice(Struct):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Thinking(Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class _Tool(Struct):
    name: str
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None
    cache_control: CacheControl | None = None


_READ = frozenset(
    {
        "model",
        "messages",
        "max_tokens",
        "system",
        "stream",
        "stop_sequences",
        "temperature",
        "top_p",
        "top_k",
        "tools",
        "tool_choice",
        "thinking",
        "cache_control",
    }
)
_TOOL_KEYS = frozenset(_Tool.__struct_fields__)


def decode_request(body: JsonObject) -> Request:
    """
    The request that `body` asks for.

    Members that no other dialect has, server tools and server tool blocks go to
    `Request.extra`, so that a translation lists what it drops.

    :raises BadRequest: a member is missing or of the wrong type; names it.
    """
    return _Decoding(body).request()


class _Decoding:
    """One request on its way; `extra` collects what has no canonical place."""

    def __init__(self, body: JsonObject) -> None:
        self._body = body
        self._extra: dict[str, Any] = {}

    def request(self) -> Request:
        choice, parallel = self._tool_choice()
        effort, response_format = self._output_config()
        cache = self._get("cache_control", CacheControl | None)
        request = Request(
            model=self._required("model", str),
            messages=(*self._system(), *self._messages()),
            stream=self._get("stream", bool | None) or False,
            max_tokens=self._required("max_tokens", int),
            temperature=self._get("temperature", float | None),
            top_p=self._get("top_p", float | None),
            top_k=self._get("top_k", int | None),
            stop=tuple(self._get("stop_sequences", list[str] | None) or ()),
            tools=tuple(self._tools()),
            tool_choice=choice,
            parallel_tool_calls=parallel,
            response_format=response_format,
            thinking=self._thinking(effort),
            user=self._user(),
            cache=cache.mark() if cache else None,
            extra=self._extra,
        )
        for key in self._body.spans:
            if key not in _READ and key not in ("metadata", "output_config"):
                self._extra[key] = self._get(key, Any)
        return request

    def _get(self, key: str, type: Any) -> Any:
        raw = self._body.raw(key)
        return None if raw is None else read(raw, type, key)

    def _required(self, key: str, type: Any) -> Any:
        if key not in self._body:
            raise BadRequest(f"{key}: field required", param=key)
        return self._get(key, type)

    def _skipped(self, where: str) -> Skipped:
        def skipped(type: str) -> None:
            self._extra[f"{where}[{type}]"] = None

        return skipped

    def _system(self) -> list[Message]:
        content = self._get("system", Raw)
        if content is None or bytes(content) == b"null":
            return []
        found = texts(content, "system")
        return [Message(Role.SYSTEM, found)] if found else []

    def _messages(self) -> list[Message]:
        talk: list[Message] = []
        messages = self._required("messages", list[_Message])
        for number, message in enumerate(messages):
            where = f"messages[{number}]"
            content = f"{where}.content"
            match message.role:
                case "system":
                    talk.append(Message(Role.SYSTEM, texts(message.content, content)))
                case "user" | "assistant":
                    skipped = self._skipped("messages[].content")
                    found = parts(message.content, content, skipped)
                    talk += turns(Role(message.role), found, content)
                case role:
                    raise BadRequest(
                        f"{where}.role: {role!r} is not user, assistant or system",
                        param=f"{where}.role",
                    )
        return talk

    def _tools(self) -> list[Tool]:
        found: list[Tool] = []
        for number, raw in enumerate(self._get("tools", list[Raw] | None) or ()):
            where = f"tools[{number}]"
            keys = read(raw, dict[str, Raw], where)
            # A server tool may have no name, as `mcp_toolset` has none.
            type = read(keys.get("type", b'"custom"'), str | None, f"{where}.type")
            if type not in ("custom", None) and "input_schema" not in keys:
                known = self._typed_tool(type, raw, keys, where)
                found += [known] if known else []
                continue
            tool = read(raw, _Tool, where)
            if tool.input_schema is None:
                param = f"{where}.input_schema"
                raise BadRequest(f"{param}: field required", param=param)
            mark = tool.cache_control.mark() if tool.cache_control else None
            found.append(
                Tool(
                    tool.name,
                    tool.description,
                    tool.input_schema,
                    tool.strict,
                    cache=mark,
                )
            )
            for key in keys:
                if key not in _TOOL_KEYS:
                    self._extra[f"tools[].{key}"] = None
        return found

    def _typed_tool(
        self, type: str, raw: Raw, keys: dict[str, Raw], where: str
    ) -> Tool | None:
        if "name" in keys:
            tool = read(raw, _Tool, where)
            mark = tool.cache_control.mark() if tool.cache_control else None
            if known := client_tool(type, tool.name, mark):
                return known
        self._extra[f"tools[{type}]"] = read(raw, Any, where)
        return None

    def _tool_choice(self) -> tuple[ToolChoice | None, bool | None]:
        choice = self._get("tool_choice", _ToolChoice | None)
        if choice is None:
            return None, None
        parallel = False if choice.disable_parallel_tool_use else None
        match choice.type:
            case "auto":
                return ToolChoice(Choose.AUTO), parallel
            case "any":
                return ToolChoice(Choose.REQUIRED), parallel
            case "none":
                return ToolChoice(Choose.NONE), parallel
            case "tool" if choice.name is not None:
                return ToolChoice(Choose.REQUIRED, (choice.name,)), parallel
            case "tool":
                param = "tool_choice.name"
                raise BadRequest(f"{param}: field required", param=param)
            case type:
                param = "tool_choice.type"
                raise BadRequest(f"{param}: {type!r} is not known", param=param)

    def _thinking(self, effort: str | None) -> ThinkingControl | None:
        thinking = self._get("thinking", _Thinking | None)
        if thinking is None:
            return ThinkingControl(effort) if effort else None
        return ThinkingControl(
            effort, thinking.type, thinking.budget_tokens, thinking.display
        )

    def _output_config(self) -> tuple[str | None, JsonSchema | None]:
        effort, form = None, None
        members = self._get("output_config", dict[str, Raw] | None) or {}
        for key, raw in members.items():
            where = f"output_config.{key}"
            match key:
                case "effort":
                    effort = read(raw, str | None, where)
                case "format":
                    form = _format(raw, where)
                case _:
                    self._extra[where] = read(raw, Any, where)
        return effort, form

    def _user(self) -> str | None:
        user: str | None = None
        members = self._get("metadata", dict[str, Raw] | None) or {}
        for key, raw in members.items():
            if key == "user_id":
                user = read(raw, str | None, "metadata.user_id")
            else:
                self._extra[f"metadata.{key}"] = read(raw, Any, f"metadata.{key}")
        return user


class _Format(Struct):
    type: str
    schema: Any = None


def _format(raw: Raw, where: str) -> JsonSchema | None:
    form = read(raw, _Format | None, where)
    if form is None:
        return None
    if form.type != "json_schema" or form.schema is None:
        raise BadRequest(f"{where}: only a json_schema may stand here", param=where)
    # What Anthropic is asked for, it holds the model to.
    return JsonSchema(form.schema, strict=True)
