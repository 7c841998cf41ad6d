"""
OpenAI's Responses, closed by default.

What the guest's own tools were called with and gave is plain content, and so is what
hosted tools gave earlier: nobody follows an address in it. Items that refer to stored
ones, and ``previous_response_id``, are Modelplex's own business and are gone before
this runs; what is left of them means the provider's store.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from modelplex.guests.admitted import Admitted
from modelplex.guests.hosted import (
    Tool,
    check_choice,
    named,
    written,
)
from modelplex.guests.policy import (
    FILES,
    HOSTED_TOOLS,
    REMOTE_URLS,
    SERVER_STATE,
    WORDS,
    Policy,
)
from modelplex.guests.references import forbidden, look_through, parsed
from modelplex.guests.responses_tools import CHOICES, is_local, sift
from modelplex.guests.rules import Admission, Rules
from modelplex.guests.spoken import first_of, other_spellings
from modelplex.wire.jsonobject import JsonObject, open_array, open_object, open_objects

_RULES = Rules(
    harmless=frozenset(
        {
            *("model", "stream", "stream_options", "max_output_tokens"),
            *("max_tool_calls", "temperature", "top_p", "top_logprobs", "reasoning"),
            *("text", "parallel_tool_calls", "include", "metadata", "truncation"),
            *("context_management", "prompt_cache_key", "prompt_cache_retention"),
            *("safety_identifier", "user", "service_tier", "moderation", "image"),
            *("access_programs", "client_metadata"),
            *("type", "stream_id", "generate"),  # of a WebSocket's frame
        }
    ),
    own=frozenset(
        {
            *("input", "instructions", "tools", "tool_choice", "store"),
            "prompt_cache_options",
        }
    ),
    state=frozenset(
        {
            *("previous_response_id", "conversation", "background"),
            *("background_options", "prompt"),
        }
    ),
)

_MARKS = ("type", "id", "status")
_MESSAGE = frozenset({*_MARKS, "role", "content", "phase"})
_CALL = frozenset(
    {*_MARKS, "call_id", "name", "namespace", "arguments", "input", "caller"}
)
_GIVEN = frozenset({*_MARKS, "call_id", "caller", "name", "namespace"})
_OWN_CALL = frozenset(
    {*_MARKS, "call_id", "action", "actions", "operation", "caller", "execution"}
) | {"arguments", "pending_safety_checks", "environment", "created_by"}
# By type: the members that nobody follows.
_PLAIN: Mapping[str, frozenset[str]] = {
    "message": _MESSAGE - {"content"},
    "function_call": _CALL,
    "custom_tool_call": _CALL,
    "reasoning": frozenset({*_MARKS, "summary", "content", "encrypted_content"}),
    "compaction": frozenset({*_MARKS, "encrypted_content"}),
    "local_shell_call": _OWN_CALL,
    "shell_call": _OWN_CALL - {"environment"},
    "apply_patch_call": _OWN_CALL,
    "computer_call": _OWN_CALL,
    "tool_search_call": _OWN_CALL,
    # what a provider has run, and says itself
    "web_search_call": frozenset({*_MARKS, "action", "results"}),
    "file_search_call": frozenset({*_MARKS, "queries", "results"}),
    "code_interpreter_call": frozenset({*_MARKS, "code", "outputs", "container_id"}),
    "mcp_list_tools": frozenset({*_MARKS, "tools", "server_label", "error"}),
    "mcp_call": frozenset(
        {*_MARKS, "arguments", "output", "error", "name", "server_label"}
    ),
    "mcp_approval_request": frozenset({*_MARKS, "arguments", "name", "server_label"}),
    "program": frozenset({*_MARKS, "code", "call_id", "fingerprint"}),
    "program_output": frozenset({*_MARKS, "result", "call_id"}),
}
_KINDS = {f'"{kind}"'.encode(): kind for kind in _PLAIN}
_KINDS |= {
    f'"{kind}_output"'.encode(): f"{kind}_output"
    for kind in _PLAIN
    if kind.endswith("_call")
}
_NOTHING: frozenset[str] = frozenset()
_DEFINING = ("additional_tools", "tool_search_output")
_SPELT = _CALL | _MESSAGE | {"output", "tools", "encrypted_content"}
_PICTURE = frozenset({"type", "image_url", "detail", "prompt_cache_breakpoint"})
_TEXT = frozenset(
    {"type", "text", "annotations", "logprobs", "prompt_cache_breakpoint"}
)
_QUOTE = ord('"')


def close(body: JsonObject, model: str, policy: Policy) -> Admitted:
    """
    Hold a request to ``/v1/responses`` against a policy.

    A provider keeps every response unless it is told not to, so ``store`` is always
    said; it is not listed as dropped, because Modelplex keeps what a guest stores.

    :raises Forbidden: it uses a way out that the policy leaves closed; the error
        names the word that would open it.
    :raises BadRequest: it can be read in two ways.
    """
    allow = policy.allow
    admission = Admission(body, allow)
    none_left = False
    for key in body.spans:
        match key:
            case "input" | "instructions":
                _input(admission, key)
            case "tools":
                if HOSTED_TOOLS not in allow and admission.raw(key) != b"null":
                    none_left = _tools(admission, key)
            case "prompt_cache_options":
                if SERVER_STATE not in allow:
                    _cache_options(admission, key)
            case _ if key not in _RULES.own:
                _RULES.hold(admission, key)
    if HOSTED_TOOLS not in allow:
        check_choice(body.raw("tool_choice"), none_left, CHOICES)
    if SERVER_STATE not in allow and body.raw("store") != b"false":
        admission.changes["store"] = b"false"
    return admission.admitted()


# --- tools ------------------------------------------------------------------


def _tools(admission: Admission, key: str) -> bool:
    """Take out the hosted ones; whether none is left."""
    kept, kinds = sift(admission.raw(key))
    if not kinds:
        return False
    admission.changes[key] = written(kept)
    admission.dropped += map(named, kinds)
    if not kept:
        # Providers refuse a choice among no tools.
        for name in ("tool_choice", "parallel_tool_calls"):
            if name in admission.body:
                admission.changes[name] = None
    if "shell" in kinds and (choice := admission.body.raw("tool_choice")):
        check_choice(choice, False, CHOICES - {"shell"})
    return not kept


def _cache_options(admission: Admission, key: str) -> None:
    """Take out the response to compare with, which its provider would have kept."""
    value = admission.raw(key)
    if value.startswith(b"{"):
        options = open_object(value, key)
        if "comparison_response_id" in options:
            admission.changes[key] = options.splice({"comparison_response_id": None})
            admission.dropped.append(f"{key}.comparison_response_id")


# --- input ------------------------------------------------------------------


def _input(admission: Admission, key: str) -> None:
    text = admission.raw(key)
    if text.startswith(b"{"):
        text = b"[" + text + b"]"
    if not text.startswith(b"["):
        return
    if admission.allow.issuperset(WORDS):
        return
    replaced: dict[int, bytes | None] = {}
    for number, item in enumerate(open_objects(text, key)):
        where = f"{key}[{number}]"
        kind = _kind(item, where)
        if kind in _DEFINING and HOSTED_TOOLS not in admission.allow:
            _defined(admission, item, number, replaced)
        _item(item, kind, where, admission.allow)
    if replaced:
        items = open_array(text, key)
        left = [replaced.get(number, item) for number, item in enumerate(items)]
        found = written([item for item in left if item is not None])
        admission.changes[key] = found or b"[]"


def _kind(item: Tool, where: str) -> str:
    """What an item is; a message may leave it out, and a reference too."""
    other_spellings(item, _SPELT, where)
    raw = bytes(item.get("type", b"null"))
    known = _KINDS.get(raw)
    if known is not None:
        return known
    if raw == b"null":
        return "message" if "role" in item else "item_reference"
    kind = parsed(raw, where)
    return kind if isinstance(kind, str) else ""


def _defined(
    admission: Admission, item: Tool, number: int, replaced: dict[int, bytes | None]
) -> None:
    """Take hosted tools out of those that an item brings; no tools, no item."""
    tools = item.get("tools")
    if tools is None or bytes(tools) == b"null":
        return
    kept, kinds = sift(bytes(tools))
    if not kinds:
        return
    admission.dropped += map(named, kinds)
    members = {**item, "tools": msgspec.Raw(written(kept) or b"[]")}
    gone = not kept and bytes(item["type"]) == b'"additional_tools"'
    replaced[number] = None if gone else msgspec.json.encode(members)


def _item(item: Tool, kind: str, where: str, allow: frozenset[str]) -> None:
    match kind:
        case "item_reference":
            if SERVER_STATE not in allow:
                raise forbidden(where, SERVER_STATE)
        case "image_generation_call":
            if SERVER_STATE not in allow and bytes(item.get("result", b"null")) == (
                b"null"
            ):
                raise forbidden(where, SERVER_STATE)  # refers to one by its id
        case "mcp_approval_response":
            if HOSTED_TOOLS not in allow:
                raise forbidden(where, HOSTED_TOOLS)  # the call would be made now
        case "shell_call":
            if HOSTED_TOOLS not in allow and not is_local(item):
                raise forbidden(where, HOSTED_TOOLS)
    if REMOTE_URLS in allow and FILES in allow:
        return
    plain = _PLAIN.get(kind) or (_GIVEN if kind.endswith("_output") else _NOTHING)
    for name in item.keys() - plain:
        value = item[name]
        if kind in _DEFINING and name == "tools":
            continue
        if memoryview(value)[0] == _QUOTE and name in ("content", "output"):
            continue
        raw = bytes(value)
        if name not in ("content", "output") or not _is_text(raw):
            _look(raw, f"{where}.{name}", allow)


def _is_quick(part: Tool) -> bool:
    if part.keys() <= _PICTURE and "image_url" in part:
        return bytes(memoryview(part["image_url"])[:6]) == b'"data:'
    return _is_text_part(part)


def _is_text(content: bytes) -> bool:
    """Whether these parts are certainly nothing but text; it is quick to tell."""
    if not content.startswith(b"["):
        return False
    return all(map(_is_quick, open_objects(content, "content")))


def _is_text_part(part: Tool) -> bool:
    return part.keys() <= _TEXT and memoryview(part.get("text", b" "))[0] == _QUOTE


def _look(content: bytes, where: str, allow: frozenset[str]) -> None:
    """Look through parts, text beside a picture being passed over."""
    if not content.startswith(b"["):
        look_through(content, where, allow)
        return
    for part in open_array(content, where):
        if not (part.startswith(b"{") and _is_quick(first_of(part, where))):
            look_through(part, where, allow)
