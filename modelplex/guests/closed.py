"""
Closed by default: a provider is a way out, and each way must be opened by name.

What is known to be harmless is passed by an allow-list of keys; whatever is not on
it is looked through. Keys are compared as the least exact parser would: some servers
(those in Go) take ``Model`` for ``model``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from attrs import field, frozen

from modelplex.errors import BadRequest, Forbidden
from modelplex.guests.policy import (
    FILES,
    HOSTED_TOOLS,
    REMOTE_URLS,
    SERVER_STATE,
    Policy,
)
from modelplex.wire.jsonobject import JsonObject, open_array, open_objects


@frozen
class Admitted:
    """
    What a policy makes of a request.

    :ivar changes: for `JsonObject.splice`.
    :ivar dropped: what was taken out, for ``modelplex-dropped``.
    """

    changes: Mapping[str, bytes | None] = field(factory=dict)
    dropped: tuple[str, ...] = ()


# Settings that hold neither tools nor references. Their values are not looked at.
_HARMLESS = frozenset(
    {
        *("model", "stream", "stream_options", "max_tokens", "max_completion_tokens"),
        *("temperature", "top_p", "top_k", "min_p", "n", "stop", "seed"),
        *("presence_penalty", "frequency_penalty", "logit_bias", "logprobs"),
        *("top_logprobs", "tool_choice", "parallel_tool_calls", "response_format"),
        *("reasoning_effort", "verbosity", "modalities", "audio", "user", "metadata"),
        *("service_tier", "prompt_cache_key", "prompt_cache_options"),
        *("prompt_cache_retention", "safety_identifier", "functions", "function_call"),
        *("best_of", "echo", "suffix", "encoding_format", "dimensions"),
    }
)
_MESSAGES = frozenset({"messages"})
_INPUTS = frozenset({"prompt", "input"})  # some servers take pictures there
_HOSTED = frozenset(
    {
        *("web_search_options", "plugins", "search_parameters", "enable_search"),
        *("web_search", "mcp_servers", "search_options", "connectors"),
        "data_sources",  # Azure searches an endpoint that the request names
    }
)
_STATE = frozenset({"previous_response_id", "conversation", "background"})
_OTHER_MODELS = frozenset({"models", "fallbacks", "route", "preset"})
_KNOWN = _HARMLESS.union(
    *(_MESSAGES, _INPUTS, _HOSTED, _STATE, _OTHER_MODELS), ("tools", "store")
)
_SAID = frozenset(
    {
        *("role", "content", "name", "tool_call_id", "tool_calls", "refusal"),
        *("reasoning_content", "reasoning", "function_call", "audio"),
        "annotations",  # the sources of an earlier answer; nobody fetches them
    }
)
_TEXT_PART = frozenset({"type", "text"})
_CLIENT_TOOLS = (b'"function"', b'"custom"')
_CHOICES = ("function", "custom", "allowed_tools")
_OFF = (b"false", b"null")

# Keys whose value is an address, and keys whose value is content or, with some
# servers, the address of it: OpenRouter's file_data, DashScope's video and
# input_audio.data.
_PLACES = ("url", "uri", "endpoint", "api_base")
_FILE_IDS = ("file_id", "file_ids", "fileid", "fileids")
_CONTENTS = re.compile(r"image|video|audio|file|media|document|data$")
_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.\-]*:[/\\]{2}", re.IGNORECASE)


def close(body: JsonObject, model: str, policy: Policy) -> Admitted:
    """
    Hold an OpenAI request (chat, completions or embeddings) against a policy.

    :raises Forbidden: it uses a way out that the policy leaves closed; the error
        names the word that would open it.
    :raises BadRequest: it can be read in two ways.
    """
    changes: dict[str, bytes | None] = {}
    dropped: list[str] = []
    allow = policy.allow
    if not body.spans.keys() <= _HARMLESS:
        for key in body.spans:
            if key in _HARMLESS:
                continue
            if key in _MESSAGES:
                _messages(body, key, allow)
            elif key == "tools":
                if HOSTED_TOOLS not in allow:
                    _tools(body, changes, dropped)
            elif key in _INPUTS:
                _input(body, key, allow)
            elif key == "store":
                if SERVER_STATE not in allow and body.raw(key) not in _OFF:
                    changes[key] = b"false"
                    dropped.append(key)
            elif key in _HOSTED:
                if HOSTED_TOOLS not in allow:
                    changes[key] = None
                    dropped.append(key)
            elif key in _STATE:
                if SERVER_STATE not in allow and body.raw(key) not in _OFF:
                    raise _forbidden(key, SERVER_STATE)
            elif key in _OTHER_MODELS:
                if body.raw(key) != b"null":
                    raise Forbidden(f"{key}: only `model` may name a model", param=key)
            elif key.casefold() in _KNOWN:
                raise BadRequest(f"{key!r}: write it as {key.casefold()!r}", param=key)
            else:
                value = body.raw(key)
                assert value is not None
                _look_through(value, key, allow)
    if HOSTED_TOOLS not in allow:
        if ":online" in model.casefold():  # OpenRouter's way to ask for a web search
            raise _forbidden("model", HOSTED_TOOLS)
        _tool_choice(body, none_left="tools" in changes and changes["tools"] is None)
    return Admitted(changes, tuple(dropped))


def _forbidden(where: str, word: str) -> Forbidden:
    return Forbidden(
        f'{where}: not allowed to this guest; its policy would need allow = ["{word}"]',
        param=where,
    )


def _tools(
    body: JsonObject, changes: dict[str, bytes | None], dropped: list[str]
) -> None:
    text = body.raw("tools")
    if text is None or text == b"null":
        return
    tools = open_objects(text, "tools")
    hosted = [number for number, tool in enumerate(tools) if not _is_clients(tool)]
    if not hosted:
        return
    items = open_array(text, "tools")
    kept = [item for number, item in enumerate(items) if number not in hosted]
    changes["tools"] = b"[" + b",".join(kept) + b"]" if kept else None
    if not kept:
        # Providers refuse a choice among no tools.
        for key in ("tool_choice", "parallel_tool_calls"):
            if key in body:
                changes[key] = None
    for number in hosted:
        kind = tools[number].get("type")
        name = msgspec.json.decode(kind) if kind is not None else "untyped"
        dropped.append(f"tools[{name}]"[:80])


def _is_clients(tool: Mapping[str, msgspec.Raw]) -> bool:
    """Whether it is the guest who runs this tool."""
    kinds = [key for key in tool if key.casefold() == "type"]
    if not kinds:
        return tool.keys() == {"function"}
    return kinds == ["type"] and bytes(tool["type"]) in _CLIENT_TOOLS


def _tool_choice(body: JsonObject, none_left: bool) -> None:
    choice = body.raw("tool_choice")
    if choice is None:
        return
    if choice.startswith(b"{"):
        for key, kind in _strings(choice, "tool_choice"):
            if key == "type" and kind not in _CHOICES:
                raise _forbidden("tool_choice", HOSTED_TOOLS)
    elif none_left and choice == b'"required"':
        raise _forbidden("tool_choice", HOSTED_TOOLS)


def _messages(body: JsonObject, key: str, allow: frozenset[str]) -> None:
    if REMOTE_URLS in allow and FILES in allow:
        return
    text = body.raw(key)
    assert text is not None
    for number, message in enumerate(open_objects(text, key)):
        content = message.get("content")
        # Nearly always a text, which may be long and is not copied to see that.
        if content is not None and memoryview(content)[0] in b"[{":
            value = bytes(content)
            if not _is_text(value):
                _look_through(value, f"{key}[{number}].content", allow)
        if not message.keys() <= _SAID:
            for name in message.keys() - _SAID:
                if name.casefold() in _SAID:
                    raise BadRequest(
                        f"{key}[{number}].{name}: write it as {name.casefold()!r}"
                    )
                _look_through(bytes(message[name]), f"{key}[{number}].{name}", allow)


def _is_text(content: bytes) -> bool:
    """Whether these parts are certainly nothing but text; it is quick to tell."""
    try:
        parts = open_objects(content, "content")
    except BadRequest:
        return False  # what is wrong with it will be seen when it is looked through
    return all(
        part.keys() <= _TEXT_PART and bytes(part.get("text", b'"')).startswith(b'"')
        for part in parts
    )


def _input(body: JsonObject, key: str, allow: frozenset[str]) -> None:
    """A prompt, or what to embed: texts and tokens are the usual."""
    text = body.raw(key)
    assert text is not None
    if text.startswith(b"{"):
        _look_through(text, key, allow)
    elif text.startswith(b"["):
        for item in open_array(text, key):
            # Tokens, which are many, hold no string.
            if item.startswith(b"{") or (item.startswith(b"[") and b'"' in item):
                _look_through(item, key, allow)


def _look_through(value: bytes, where: str, allow: frozenset[str]) -> None:
    """Look for references in a JSON value of any shape, however deep."""
    if value[:1] not in (b"{", b"[", b'"'):
        return
    for key, text in _strings(value, where):
        if key.endswith(_PLACES):
            if REMOTE_URLS not in allow and text[:5].casefold() != "data:":
                raise _forbidden(where, REMOTE_URLS)
        elif key.endswith(_FILE_IDS) and FILES not in allow:
            raise _forbidden(where, FILES)
        elif (
            REMOTE_URLS not in allow and _CONTENTS.search(key) and _ADDRESS.match(text)
        ):
            raise _forbidden(where, REMOTE_URLS)


def _strings(value: bytes, where: str) -> Iterator[tuple[str, str]]:
    """Each string in a JSON value, with the folded key of the member it belongs to."""
    try:
        # An integer of thousands of digits is a ValueError to `int`.
        found = json.loads(
            value, object_pairs_hook=_unambiguous(where), parse_int=float
        )
    except RecursionError:
        raise BadRequest(f"{where}: nested too deeply", param=where) from None
    waiting: list[tuple[str, Any]] = [(where.casefold().rpartition(".")[2], found)]
    while waiting:
        key, one = waiting.pop()
        if isinstance(one, dict):
            waiting += [(name.casefold(), inner) for name, inner in one.items()]
        elif isinstance(one, list):
            waiting += [(key, inner) for inner in one]
        elif isinstance(one, str):
            yield key, one


def _unambiguous(where: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def checked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        # Two spellings of one key may stay: both values are looked at.
        members = dict(pairs)
        if len(members) != len(pairs):
            raise BadRequest(f"{where}: a key stands twice", param=where)
        return members

    return checked
