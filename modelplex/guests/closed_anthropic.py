"""
Anthropic's messages, and their tokens to be counted, closed by default.

What the guest's own tools were called with and gave is plain content: nobody follows
an address in it. Sources of images and documents are followed. The names are those
of the SDK's types of 2026.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from attrs import define, evolve, field

from modelplex.errors import BadRequest
from modelplex.guests.admitted import Admitted
from modelplex.guests.hosted import Tool, says, sift, written
from modelplex.guests.policy import (
    FILES,
    HOSTED_TOOLS,
    REMOTE_URLS,
    SERVER_STATE,
    Policy,
)
from modelplex.guests.references import forbidden, is_inline, look_at, parsed
from modelplex.guests.rules import Admission, Rules
from modelplex.guests.spoken import (
    Block,
    blocks_of,
    first_of,
    open_blocks,
    other_spellings,
)
from modelplex.wire.jsonobject import JsonObject, open_array, open_object, open_objects

_RULES = Rules(
    harmless=frozenset(
        {
            *("model", "max_tokens", "stream", "stop_sequences", "temperature"),
            *("top_p", "top_k", "thinking", "output_config", "output_format"),
            *("metadata", "cache_control", "service_tier", "speed", "inference_geo"),
            *("context_management", "compaction", "billing_policy"),
            *("fallback_credit_token", "betas", "anthropic_beta"),
            "anthropic_version",  # Bedrock and Vertex AI have it in the body
        }
    ),
    own=frozenset({"messages", "system", "tools", "tool_choice", "diagnostics"}),
    state=frozenset({"container", "thread"}),
)
_SAID = frozenset({"role", "clear_at", "output_config"})

# Tools that Anthropic defines and the guest runs.
_SEARCH = re.compile(r"tool_search_tool")
_CLIENTS = re.compile(
    r"(?:bash|text_editor|memory|computer|computer_toolset|browser_toolset)_\d{8}"
)

# Changes of the tools, which refer to one by its name or define it.
_CHANGES = (
    *("tool_addition", "tool_removal", "tool_definition", "tool_reference"),
    *("mcp_tool_reference", "mcp_toolset_reference"),
)
_OPEN = frozenset({HOSTED_TOOLS, REMOTE_URLS, FILES})
_QUOTE = ord('"')
_BRACKET = ord("[")

# By the type of a block: the members that nobody follows, whatever is in them.
_PLAIN = {
    "text": frozenset({"text", "citations"}),
    "tool_use": frozenset({"input"}),
    "browser_state": frozenset({"tabs", "changes"}),
    # what a provider has run, and says itself
    "server_tool_use": frozenset({"input"}),
    "mcp_tool_use": frozenset({"input"}),
    "mcp_tool_listing": frozenset({"tools"}),
    "web_search_result": frozenset({"url"}),
    "web_fetch_result": frozenset({"url"}),
    "code_execution_output": frozenset({"file_id"}),
    "bash_code_execution_output": frozenset({"file_id"}),
}
_NOTHING: frozenset[str] = frozenset()
_SPELT = frozenset(
    {
        *("type", "text", "content", "source", "input", "citations", "url", "tools"),
        *("file_id", "id", "tool_use_id", "tool", "tool_changes", "definition"),
    }
)
_SOURCE = frozenset({"type", "media_type", "data"})
_DEFINING = ("tool", "tool_changes", "definition")
_RUN_THERE = ("server_tool_use", "mcp_tool_use")

# Blocks that are certainly harmless when they have no other members; quick to tell.
_MARKS = ("type", "cache_control")
_QUICK = {
    b'"text"': frozenset({*_MARKS, "text", "citations"}),
    b'"thinking"': frozenset({*_MARKS, "thinking", "signature"}),
    b'"redacted_thinking"': frozenset({*_MARKS, "data"}),
    b'"tool_use"': frozenset({*_MARKS, "id", "name", "input", "caller"}),
    b'"image"': frozenset({*_MARKS, "source"}),
    b'"document"': frozenset({*_MARKS, "source", "title", "context", "citations"}),
    b'"tool_result"': frozenset({*_MARKS, "tool_use_id", "content", "is_error"}),
}


def close(body: JsonObject, model: str, policy: Policy) -> Admitted:
    """
    Hold a request to Anthropic's ``/v1/messages`` against a policy.

    :raises Forbidden: it uses a way out that the policy leaves closed; the error
        names the word that would open it.
    :raises BadRequest: it can be read in two ways.
    """
    admission = Admission(body, policy.allow)
    if HOSTED_TOOLS not in policy.allow:
        _tools(admission)
    reader = _Reader(policy.allow)
    for key in body.spans:
        match key:
            case "messages" if not policy.allow >= _OPEN:
                text = admission.raw(key)
                for where, blocks in blocks_of(
                    text, key, "content", _SAID, reader.allow
                ):
                    reader.read(blocks, where)
            case "system" if not policy.allow >= _OPEN:
                reader.read(open_blocks(admission.raw(key), key), key)
            case "diagnostics":
                if SERVER_STATE not in policy.allow and admission.raw(key) != b"null":
                    admission.drop(key)  # compares with an answer that was kept
            case _ if key not in _RULES.own:
                _RULES.hold(admission, key)
    reader.finish()
    return admission.admitted()


def _tools(admission: Admission) -> None:
    sifted = sift(admission.body.raw("tools"), _is_clients)
    if sifted is None:
        return
    if sifted.text is not None and any(map(_SEARCH.match, sifted.kinds)):
        # Nothing is left to find the deferred ones.
        items = open_array(sifted.text, "tools")
        sifted = evolve(sifted, text=written([_undeferred(item) for item in items]))
    admission.keep(sifted, "tools", "tool_choice")
    choice = admission.body.raw("tool_choice")
    if choice is None or not choice.startswith(b"{"):
        return
    chosen = parsed(choice, "tool_choice", str.casefold)
    match chosen.get("type"):
        case "auto" | "none":
            return
        case "any" if sifted.text is not None:
            return
        case "tool" if chosen.get("name") in _names(sifted.text):
            return
    raise forbidden("tool_choice", HOSTED_TOOLS)


def _names(tools: bytes | None) -> list[Any]:
    found = open_objects(tools, "tools") if tools else ()
    return [parsed(bytes(tool.get("name", b"null")), "tools") for tool in found]


def _undeferred(tool: bytes) -> bytes:
    opened = open_object(tool, "tools")
    return opened.splice({"defer_loading": None}) if "defer_loading" in opened else tool


def _is_clients(tool: Tool) -> bool:
    """Whether it is the guest who runs this tool."""
    kind = says(tool, "type")
    if kind is None or kind == b"null":
        return "input_schema" in tool
    return _is_clients_kind(kind[1:-1].decode(), tool)


def _is_clients_kind(kind: str, tool: Collection[str]) -> bool:
    if kind == "custom":
        return "input_schema" in tool
    return _CLIENTS.fullmatch(kind) is not None


@define
class _Reader:
    """
    Looks through blocks for references.

    :ivar asked: calls that the provider is to run, by their ids.
    :ivar answered: those that it has run.
    """

    allow: frozenset[str]
    asked: set[str] = field(factory=set)
    answered: set[str] = field(factory=set)

    def read(self, blocks: Iterable[Block], where: str) -> None:
        for block in blocks:
            if not _is_quick(block):
                found = {key: parsed(bytes(block[key]), where) for key in block}
                try:
                    self._block(found, where)
                except RecursionError:
                    raise BadRequest(f"{where}: nested too deeply") from None

    def finish(self) -> None:
        """Refuse calls without a result: the provider would run them now."""
        if HOSTED_TOOLS not in self.allow and self.asked - self.answered:
            raise forbidden("messages", HOSTED_TOOLS)

    def _block(self, block: Mapping[str, Any], where: str) -> None:
        other_spellings(block, _SPELT, where)
        kind = block.get("type")
        if not isinstance(kind, str):
            kind = ""
        if kind in _RUN_THERE:
            self.asked.add(str(block.get("id")))
        elif kind.endswith("_tool_result"):
            self.answered.add(str(block.get("tool_use_id")))
        plain = _PLAIN.get(kind, _NOTHING)
        for key, value in block.items():
            if key in plain and (key != "text" or isinstance(value, str)):
                continue
            if key == "content" and isinstance(value, list | dict):
                self._content(value, where)
            elif key == "source" and _is_text_source(value):
                continue
            elif key in _DEFINING:
                self._definitions(value, where)
            else:
                look_at(value, key, where, self.allow)

    def _content(self, content: list[Any] | dict[str, Any], where: str) -> None:
        for block in content if isinstance(content, list) else [content]:
            if isinstance(block, dict):
                self._block(block, where)
            else:
                look_at(block, "content", where, self.allow)

    def _definitions(self, value: Any, where: str) -> None:
        """Tools that are defined in the middle of a conversation."""
        if HOSTED_TOOLS in self.allow:
            return
        waiting = [value]
        while waiting:
            one = waiting.pop()
            if isinstance(one, list):
                waiting += one
            elif isinstance(one, dict):
                other_spellings(one, _SPELT, where)
                if one.get("type") not in _CHANGES:
                    if not _is_clients_kind(str(one.get("type", "custom")), one):
                        raise forbidden(where, HOSTED_TOOLS)
                else:
                    waiting += [one[key] for key in _DEFINING if key in one]


def _is_text_source(source: Any) -> bool:
    """Whether a document is its own text, which may begin with an address."""
    return (
        isinstance(source, dict)
        and source.keys() <= _SOURCE
        and source.get("type") == "text"
        and isinstance(source.get("data"), str)
    )


def _is_quick(block: Block) -> bool:
    kind = block.get("type")
    if kind is None:
        return False
    known = _QUICK.get(bytes(kind))
    if known is None or not block.keys() <= known:
        return False
    if "text" in block:
        return memoryview(block["text"])[0] == _QUOTE
    if "source" in block:
        return _is_inline(bytes(block["source"]))
    content = block.get("content")
    if content is None or memoryview(content)[0] == _QUOTE:
        return True
    if memoryview(content)[0] != _BRACKET:
        return False
    return all(map(_is_quick, open_objects(bytes(content), "content")))


def _is_inline(source: bytes) -> bool:
    """Whether a source certainly holds its bytes itself."""
    if not source.startswith(b"{"):
        return False
    return first_of(source, "source").keys() <= _SOURCE and is_inline(source)
