"""
Tools and their results of MCP, as any model's API takes them: pure.

A result may hold anything; what no model takes is told in words. (Content blocks of
revisions 2024-11-05 to 2026-07-28.)
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from modelplex.events import Document, Image, Inline, Text, Tool
from modelplex.wire.jsonrpc import Result, to_json
from modelplex.wire.mcp.schemas import input_schema

Piece = Text | Image | Document

MOST = 1000  # blocks of one result that are read
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")


def tool_of(name: str, definition: Mapping[str, Any]) -> Tool:
    """A tool as a model is told of it, under the name that guests know it by."""
    title, about = definition.get("title"), definition.get("description")
    said = [one for one in (about, title) if isinstance(one, str) and one.strip()]
    schema = input_schema(definition.get("inputSchema"))
    return Tool(name, said[0] if said else None, schema)


def is_tellable(definition: Mapping[str, Any]) -> bool:
    """Whether JSON can say it: not nested too deeply, and no half characters."""
    try:
        msgspec.json.encode(definition)
    except (RecursionError, UnicodeEncodeError):
        return False
    return True


def answered(result: Result) -> tuple[tuple[Piece, ...], bool]:
    """
    What a model is told of the result of a call, and whether it is an error.

    Structure stands in for content only where there is none, as servers are told to
    give both.
    """
    if not isinstance(result, Mapping):
        return (Text("The tool's answer is not a result."),), True
    content = result.get("content")
    blocks: Sequence[Any] = content if isinstance(content, list) else ()
    pieces = tuple(piece for block in blocks[:MOST] for piece in _pieces(block))
    if len(blocks) > MOST:
        pieces = (*pieces, Text(f"[{len(blocks) - MOST} more pieces are left out]"))
    if not pieces and "structuredContent" in result:
        pieces = (Text(_json(result["structuredContent"])),)
    return pieces, result.get("isError") is True


def _pieces(block: Any) -> Iterator[Piece]:
    if not isinstance(block, Mapping):
        yield Text(_json(block))
        return
    match block.get("type"):
        case "text" if isinstance(block.get("text"), str):
            if block["text"]:
                yield _text(block["text"])
        case "image":
            yield _picture(block.get("mimeType"), block.get("data"))
        case "audio":
            yield _text(f"[audio, {block.get('mimeType') or 'of an unknown type'}]")
        case "resource_link":
            name = block.get("title") or block.get("name") or "resource"
            about = block.get("description")
            said = f"{name}: {block.get('uri', '')}"
            yield _text(f"{said} ({about})" if about else said)
        case "resource" if isinstance(block.get("resource"), Mapping):
            yield _resource(block["resource"])
        case _:
            yield Text(_json(block))


def _picture(kind: Any, content: Any) -> Piece:
    if isinstance(kind, str) and isinstance(content, str) and kind in _PICTURES:
        plain = "".join(content.split())
        try:
            base64.b64decode(plain, validate=True)
        except (binascii.Error, ValueError):
            return Text("[an image that cannot be read]")
        return Image(Inline(kind, plain))
    return _text(f"[image, {kind or 'of an unknown type'}]")


def _resource(resource: Mapping[str, Any]) -> Piece:
    uri, text = resource.get("uri", ""), resource.get("text")
    if isinstance(text, str):
        return _text(f"{uri}\n{text}" if uri else text)
    kind = resource.get("mimeType")
    if kind in _PICTURES and isinstance(resource.get("blob"), str):
        return _picture(kind, resource["blob"])
    return _text(f"[{uri}, {kind or 'of an unknown type'}]")


def _text(text: str) -> Text:
    """`text` without half characters, which UTF-8 cannot say."""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-8", "replace").decode()
    return Text(text)


def _json(value: Any) -> str:
    return to_json(value).decode()
