"""
OpenAI's chat, completions and embeddings, closed by default.

What is known to be harmless is passed by an allow-list of keys; whatever is not on
it is looked through.
"""

from __future__ import annotations

from modelplex.guests.admitted import Admitted
from modelplex.guests.hosted import Tool, check_choice, sift
from modelplex.guests.policy import (
    FILES,
    HOSTED_TOOLS,
    REMOTE_URLS,
    SERVER_STATE,
    Policy,
)
from modelplex.guests.references import (
    OFF,
    forbidden,
    is_text,
    look_through,
    only_the_model,
    other_spelling,
)
from modelplex.guests.rules import OTHER_MODELS, SEARCHING
from modelplex.wire.jsonobject import JsonObject, open_array, open_objects

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
_STATE = frozenset({"previous_response_id", "conversation", "background"})
_KNOWN = _HARMLESS.union(
    *(_MESSAGES, _INPUTS, SEARCHING, _STATE, OTHER_MODELS), ("tools", "store")
)
_SAID = frozenset(
    {
        *("role", "content", "name", "tool_call_id", "tool_calls", "refusal"),
        *("reasoning_content", "reasoning", "function_call", "audio"),
        "annotations",  # the sources of an earlier answer; nobody fetches them
    }
)
_CLIENT_TOOLS = (b'"function"', b'"custom"')
_CHOICES = frozenset({"function", "custom", "allowed_tools"})


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
                if SERVER_STATE not in allow and body.raw(key) not in OFF:
                    changes[key] = b"false"
                    dropped.append(key)
            elif key in SEARCHING:
                if HOSTED_TOOLS not in allow:
                    changes[key] = None
                    dropped.append(key)
            elif key in _STATE:
                if SERVER_STATE not in allow and body.raw(key) not in OFF:
                    raise forbidden(key, SERVER_STATE)
            elif key in OTHER_MODELS:
                if body.raw(key) != b"null":
                    raise only_the_model(key)
            elif key.casefold() in _KNOWN:
                raise other_spelling(key, key.casefold())
            else:
                value = body.raw(key)
                assert value is not None
                look_through(value, key, allow)
    if HOSTED_TOOLS not in allow:
        none_left = "tools" in changes and changes["tools"] is None
        check_choice(body.raw("tool_choice"), none_left, _CHOICES)
    return Admitted(changes, tuple(dropped))


def _tools(
    body: JsonObject, changes: dict[str, bytes | None], dropped: list[str]
) -> None:
    sifted = sift(body.raw("tools"), _is_clients)
    if sifted is None:
        return
    changes["tools"] = sifted.text
    if sifted.text is None:
        # Providers refuse a choice among no tools.
        for key in ("tool_choice", "parallel_tool_calls"):
            if key in body:
                changes[key] = None
    dropped += sifted.dropped


def _is_clients(tool: Tool) -> bool:
    """Whether it is the guest who runs this tool."""
    kinds = [key for key in tool if key.casefold() == "type"]
    if not kinds:
        return tool.keys() == {"function"}
    return kinds == ["type"] and bytes(tool["type"]) in _CLIENT_TOOLS


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
            if not is_text(value):
                look_through(value, f"{key}[{number}].content", allow)
        if not message.keys() <= _SAID:
            for name in message.keys() - _SAID:
                if name.casefold() in _SAID:
                    where = f"{key}[{number}].{name}"
                    raise other_spelling(where, name.casefold())
                look_through(bytes(message[name]), f"{key}[{number}].{name}", allow)


def _input(body: JsonObject, key: str, allow: frozenset[str]) -> None:
    """A prompt, or what to embed: texts and tokens are the usual."""
    text = body.raw(key)
    assert text is not None
    if text.startswith(b"{"):
        look_through(text, key, allow)
    elif text.startswith(b"["):
        for item in open_array(text, key):
            # Tokens, which are many, hold no string.
            if item.startswith(b"{") or (item.startswith(b"[") and b'"' in item):
                look_through(item, key, allow)
