"""Content blocks of a Messages request to the parts of a canonical message."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from msgspec import Raw, Struct

from modelplex.errors import BadRequest
from modelplex.events import (
    CacheMark,
    Document,
    FileId,
    HostCall,
    HostPart,
    HostResult,
    Image,
    Inline,
    Part,
    RedactedThinking,
    Source,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from modelplex.wire.anthropic.words import (
    is_own_signature,
)
from modelplex.wire.typed import compact, read

Skipped: TypeAlias = Callable[[str], None]
"""Called with the type of a block that no canonical part stands for."""


class _Head(Struct):
    type: str


class CacheControl(Struct):
    """``cache_control`` wherever it stands."""

    type: str = "ephemeral"
    ttl: str | None = None

    def mark(self) -> CacheMark:
        return CacheMark(self.ttl)


class _Marked(Struct, kw_only=True):
    cache_control: CacheControl | None = None

    @property
    def mark(self) -> CacheMark | None:
        return self.cache_control.mark() if self.cache_control else None


class _Text(_Marked):
    text: str
    citations: list[dict[str, Any]] | None = None


class _Image(_Marked):
    source: Raw


class _Citations(Struct):
    enabled: bool | None = None


class _Document(_Marked):
    source: Raw
    title: str | None = None
    context: str | None = None
    citations: _Citations | None = None


class _SearchResult(_Marked):
    source: str
    title: str
    content: list[_Text]
    citations: _Citations | None = None


class _ToolUse(_Marked):
    id: str
    name: str
    input: Raw


class _ToolResult(_Marked):
    tool_use_id: str
    content: Raw = Raw(b"null")
    is_error: bool | None = None


class _McpToolUse(Struct):
    id: str
    name: str
    input: Raw = Raw(b"{}")
    server_name: str = ""


class _ToolReference(_Marked):
    tool_name: str


class _Thinking(Struct):
    thinking: str
    signature: str | None = None


class _Redacted(Struct):
    data: str


class _Base64(Struct):
    media_type: str
    data: str


class _Url(Struct):
    url: str


class _File(Struct):
    file_id: str


class _PlainText(Struct):
    data: str


class _Content(Struct):
    content: Raw


def parts(content: Raw, where: str, skipped: Skipped) -> list[Part | HostPart]:
    """
    The parts of `content`, a string or an array of blocks.

    What was called for the model, here or at a provider, is a `HostPart`.

    :raises BadRequest: something in it is of the wrong type.
    """
    if memoryview(content)[0] == ord('"'):
        return [Text(read(content, str, where))]
    found: list[Part | HostPart] = []
    for number, raw in enumerate(read(content, list[Raw], where)):
        found += _block(raw, f"{where}[{number}]", skipped)
    return found


def _block(raw: Raw, where: str, skipped: Skipped) -> Sequence[Part | HostPart]:
    match read(raw, _Head, where).type:
        case "text":
            text = read(raw, _Text, where)
            return [Text(text.text, text.mark, tuple(text.citations or ()))]
        case "image":
            image = read(raw, _Image, where)
            source, _ = _source(image.source, f"{where}.source")
            return [Image(source, cache=image.mark)]
        case "document":
            return _document(read(raw, _Document, where), where)
        case "search_result":
            return [_search_result(read(raw, _SearchResult, where))]
        case "tool_use":
            use = read(raw, _ToolUse, where)
            read(use.input, dict[str, Raw], f"{where}.input")
            return [ToolCall(use.id, use.name, compact(use.input), cache=use.mark)]
        case "mcp_tool_use":
            made = read(raw, _McpToolUse, where)
            read(made.input, dict[str, Raw], f"{where}.input")
            input = compact(made.input)
            return [HostCall(made.id, made.server_name, made.name, input)]
        case "mcp_tool_result":
            given = _tool_result(read(raw, _ToolResult, where), where, skipped)
            return [HostResult(given.call_id, given.content, given.is_error)]
        case "tool_result":
            return [_tool_result(read(raw, _ToolResult, where), where, skipped)]
        case "tool_reference":
            reference = read(raw, _ToolReference, where)
            return [Text(reference.tool_name, reference.mark)]
        case "thinking":
            thinking = read(raw, _Thinking, where)
            if is_own_signature(thinking.signature or ""):
                return []  # ours: no provider knows it
            return [Thinking(thinking.thinking, thinking.signature or None)]
        case "redacted_thinking":
            return [RedactedThinking(read(raw, _Redacted, where).data)]
        case type:
            skipped(type)
            return []


def _source(raw: Raw, where: str) -> tuple[Source, list[Part]]:
    """The source, and the pictures inside it if it is made of blocks."""
    match read(raw, _Head, where).type:
        case "base64":
            inline = read(raw, _Base64, where)
            return Inline(inline.media_type, "".join(inline.data.split())), []
        case "url":
            return Url(read(raw, _Url, where).url), []
        case "file":
            return FileId(read(raw, _File, where).file_id), []
        case "text":
            return _inline_text(read(raw, _PlainText, where).data), []
        case "content":
            where = f"{where}.content"
            inside = parts(read(raw, _Content, where).content, where, lambda _: None)
            texts = [part.text for part in inside if isinstance(part, Text)]
            pictures = [part for part in inside if isinstance(part, Image)]
            return _inline_text("\n\n".join(texts)), [*pictures]
        case type:
            raise BadRequest(f"{where}.type: {type!r} is not known", param=where)


def _inline_text(text: str) -> Inline:
    return Inline("text/plain", base64.b64encode(text.encode()).decode())


def _document(document: _Document, where: str) -> list[Part]:
    source, pictures = _source(document.source, f"{where}.source")
    cited = document.citations is not None and document.citations.enabled is True
    title, context = document.title, document.context
    return [Document(source, title, context, cited, document.mark), *pictures]


def _search_result(result: _SearchResult) -> Document:
    text = "\n\n".join(piece.text for piece in result.content)
    cited = result.citations is not None and result.citations.enabled is True
    source = _inline_text(text)
    return Document(source, result.title, result.source, cited, result.mark)


def _tool_result(result: _ToolResult, where: str, skipped: Skipped) -> ToolResult:
    content: list[Text | Image | Document] = []
    if bytes(result.content) != b"null":
        where = f"{where}.content"
        for part in parts(result.content, where, skipped):
            if isinstance(part, Text | Image | Document):
                content.append(part)
            else:
                raise BadRequest(
                    f"{where}: no place for {type(part).__name__}", param=where
                )
    return ToolResult(
        result.tool_use_id, tuple(content), result.is_error is True, result.mark
    )


def texts(content: Raw, where: str) -> tuple[Text, ...]:
    """The text blocks of a system prompt, a string or an array."""
    found = parts(content, where, lambda _: None)
    for part in found:
        if not isinstance(part, Text):
            raise BadRequest(f"{where}: only text may stand here", param=where)
    return tuple(part for part in found if isinstance(part, Text))
