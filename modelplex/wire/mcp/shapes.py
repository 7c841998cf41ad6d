"""
What a server answered and what it lists, as a client of another revision takes it.

Servers answer in the form of the revision that they speak; clients get the form of
theirs. What a client cannot be told in its own words becomes text, or is left out. All
of it is pure. (Revisions 2024-11-05 to 2026-07-28.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelplex.wire.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    Result,
    RpcError,
    to_json,
)
from modelplex.wire.mcp.envelope import MISSING_CAPABILITY, SERVER, own
from modelplex.wire.mcp.revisions import (
    MODERN,
    has_any_structure,
    has_audio,
    has_structure,
)
from modelplex.wire.mcp.schemas import WRAPPED, input_schema, is_object, wrapped

RESOURCE_NOT_FOUND = -32002
URL_ELICITATION_REQUIRED = -32042
"""Of 2025-11-25 only: the client opens what `data` names, and calls again."""

COMPLETE = "complete"
INPUT_REQUIRED = "input_required"

#: Those whose results say how long they stay true.
_LISTED = frozenset(
    (
        *("server/discover", "tools/list", "prompts/list", "resources/list"),
        *("resources/templates/list", "resources/read"),
    )
)
_MODERN_ONLY = ("resultType", "ttlMs", "cacheScope")


def told(
    method: str,
    result: Result,
    version: str,
    stamp: Mapping[str, Any],
    tool: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """
    The `result` of `method`, as a client that speaks `version` takes it.

    :param stamp: our ``serverInfo``; the server's own belongs to its hop.
    :param tool: the definition of the tool that was called, as its server lists it.
    :raises RpcError: it is no result, or one of a kind that nobody has asked for.
    """
    if not isinstance(result, Mapping):
        raise RpcError(INTERNAL_ERROR, "the server's answer is not a result")
    if result.get("resultType", COMPLETE) != COMPLETE:
        raise RpcError(INTERNAL_ERROR, "the server's answer is of an unknown kind")
    found = {key: value for key, value in result.items() if key not in _MODERN_ONLY}
    meta = own(_meta(found.pop("_meta", None)))
    if method == "tools/call":
        found = _called(found, version, tool)
    elif method == "prompts/get":
        found["messages"] = [
            _message(one, version) for one in _items(found, "messages")
        ]
    if version in MODERN:
        found["resultType"] = COMPLETE
        meta[SERVER] = dict(stamp)
        if method in _LISTED:
            # What one guest may see is nobody else's, and changes without a word.
            found |= {"ttlMs": 0, "cacheScope": "private"}
    return {**found, "_meta": meta} if meta else found


def told_tool(tool: Mapping[str, Any], name: str, version: str) -> dict[str, Any]:
    """A tool's definition under the name that the client knows it by."""
    found = {key: value for key, value in tool.items() if key != "execution"}
    found |= {"name": name, "inputSchema": input_schema(tool.get("inputSchema"))}
    output = found.pop("outputSchema", None)
    if isinstance(output, Mapping) and has_structure(version):
        plain = has_any_structure(version) or is_object(output)
        found["outputSchema"] = output if plain else wrapped(output)
    return found


def told_error(method: str, error: RpcError, version: str) -> RpcError:
    """
    What a server answered instead of a result, as the client is told.

    The codes of one hop's protocol are not those of another: a server that found our
    headers wrong says nothing about the client's.
    """
    code = error.rpc_code
    modern = version in MODERN
    if code == RESOURCE_NOT_FOUND and modern:
        return RpcError(INVALID_PARAMS, error.message, error.data)
    if code == MISSING_CAPABILITY and modern and _is_needed(error.data):
        return error
    if code == URL_ELICITATION_REQUIRED and version == "2025-11-25":
        return error
    if -32099 <= code <= -32020 or (modern and -32019 <= code <= -32000):
        return RpcError(INTERNAL_ERROR, error.message or "the server failed")
    if code == -32601 and modern:
        # To this client that would mean that *we* lack the method.
        return RpcError(INTERNAL_ERROR, "the server does not have this")
    return error


def not_found(uri: str, version: str) -> RpcError:
    """A resource that does not exist, or not for this guest."""
    code = INVALID_PARAMS if version in MODERN else RESOURCE_NOT_FOUND
    return RpcError(code, "Resource not found", {"uri": uri})


def failed(text: str, meta: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The result of a tool call that failed, for a model to read."""
    found: dict[str, Any] = {"content": [{"type": "text", "text": text}]}
    found["isError"] = True
    return {**found, "_meta": dict(meta)} if meta else found


def _called(
    result: dict[str, Any], version: str, tool: Mapping[str, Any] | None
) -> dict[str, Any]:
    content = [_content(one, version) for one in _items(result, "content")]
    found = {**result, "content": content}
    if "structuredContent" not in found:
        return found
    value = found["structuredContent"]
    if not has_structure(version):
        del found["structuredContent"]
    elif not has_any_structure(version) and _is_wrapped(value, tool):
        found["structuredContent"] = {WRAPPED: value}
    else:
        return found
    if not any(one.get("type") == "text" for one in content):
        content.append({"type": "text", "text": to_json(value).decode()})
    return found


def _is_wrapped(value: Any, tool: Mapping[str, Any] | None) -> bool:
    """Whether `value` is to be a member of an object, as `told_tool` listed it."""
    output = None if tool is None else tool.get("outputSchema")
    listed = isinstance(output, Mapping) and not is_object(output)
    return listed or not isinstance(value, Mapping)


def _message(message: Any, version: str) -> Any:
    if not isinstance(message, Mapping) or "content" not in message:
        return message
    return {**message, "content": _content(message["content"], version)}


def _content(block: Any, version: str) -> Mapping[str, Any]:
    """One block of content, as text where the client does not know its type."""
    if not isinstance(block, Mapping):
        raise RpcError(INTERNAL_ERROR, "the server's content is not content")
    match block.get("type"):
        case "audio" if not has_audio(version):
            return _text(f"[audio, {block.get('mimeType', 'of an unknown type')}]")
        case "resource_link" if not has_structure(version):
            title = block.get("title") or block.get("name") or "resource"
            return _text(f"{title}: {block.get('uri', '')}")
    return block


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _items(result: Mapping[str, Any], key: str) -> Sequence[Any]:
    items = result.get(key, [])
    if not isinstance(items, list):
        raise RpcError(INTERNAL_ERROR, f"the server's {key} is not a list")
    return items


def _meta(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_needed(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(
        value.get("requiredCapabilities"), Mapping
    )
