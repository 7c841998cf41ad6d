"""What a chat request to a fake of OpenAI's API asks for, and the calls it gets."""

from __future__ import annotations

from typing import Any

from modelplex.testing.fakes.script import Call, Heard
from modelplex.testing.fakes.speaker import Refused, dump

_ROLES = ("system", "developer", "user", "assistant", "tool")


def wants_usage(body: Any) -> bool:
    """Whether tokens are to be told in the stream."""
    options = body.get("stream_options")
    if options is None:
        return False
    if not body.get("stream"):
        raise Refused(400, "'stream_options' is only allowed when 'stream' is enabled.")
    return bool(options.get("include_usage"))


def stops(body: Any) -> tuple[str, ...]:
    """The stop sequences."""
    stop = body.get("stop") or ()
    return (stop,) if isinstance(stop, str) else tuple(stop)


def custom_tools(body: Any) -> set[str]:
    """The names of the tools that take a text."""
    tools = body.get("tools", ())
    return {tool["custom"]["name"] for tool in tools if tool["type"] == "custom"}


def wire_call(call: Call, custom: set[str]) -> dict[str, Any]:
    """A call as a message has it; the input of a custom tool is its one argument."""
    if call.name in custom:
        written = {"name": call.name, "input": call.arguments["input"]}
        return {"id": call.id, "type": "custom", "custom": written}
    written = {"name": call.name, "arguments": dump(call.arguments).decode()}
    return {"id": call.id, "type": "function", "function": written}


def heard_chat(body: Any) -> Heard:
    """
    What a chat request asks for.

    :raises Refused: its messages are not what the API takes.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "[] is too short - 'messages'", "empty_array")
    _answered(messages)
    images: list[tuple[str, str]] = []
    system, said = [], ""
    results: list[tuple[str, str]] = []
    for message in messages:
        text = _text(message.get("content"), images)
        if message["role"] in ("system", "developer"):
            system.append(text)
        elif message["role"] == "tool":
            results.append((message["tool_call_id"], text))
        else:
            said, results = text, []
    form = body.get("response_format") or {}
    return Heard(
        model=body["model"],
        stream=bool(body.get("stream")),
        system="\n".join(system),
        said=said,
        images=tuple(images),
        results=tuple(results),
        tools=tuple(tool[tool["type"]]["name"] for tool in body.get("tools", ())),
        schema=form.get("json_schema", {}).get("schema"),
        thinks=body.get("reasoning_effort") not in (None, "none"),
        stop=stops(body),
        max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
        usage=wants_usage(body),
    )


def _answered(messages: list[Any]) -> None:
    """Every call must be answered before anything else is said."""
    open_: list[str] = []
    for message in messages:
        role = message.get("role")
        if role not in _ROLES:
            raise Refused(400, f"Invalid value: {role!r} for 'messages.role'.")
        if role == "tool":
            if message.get("tool_call_id") not in open_:
                raise Refused(400, "messages with role 'tool' must follow 'tool_calls'")
            open_.remove(message["tool_call_id"])
            continue
        if open_:
            raise Refused(400, f"tool_call_ids have no response messages: {open_}")
        open_ = [call["id"] for call in message.get("tool_calls") or ()]
    if open_:
        raise Refused(400, f"tool_call_ids have no response messages: {open_}")


def _text(content: Any, images: list[tuple[str, str]]) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    texts = []
    for part in content:
        if part["type"] == "text":
            texts.append(part["text"])
        elif part["type"] == "image_url":
            head, _, encoded = part["image_url"]["url"].partition(";base64,")
            images.append((head.removeprefix("data:"), encoded))
    return " ".join(texts)
