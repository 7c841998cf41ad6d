"""Parts of a canonical message to content blocks of a Messages request."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Any

from modelplex.errors import BadRequest, UnsupportedField
from modelplex.events import (
    Document,
    Image,
    Inline,
    Part,
    RedactedThinking,
    Refusal,
    Source,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from modelplex.wire.anthropic.cache_out import cache_control
from modelplex.wire.anthropic.tool_words import (
    past_tool_name,
    wire_input,
)
from modelplex.wire.anthropic.words import (
    is_citation,
    is_foreign,
)
from modelplex.wire.fidelity import reasoning_name

_PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

Block = dict[str, Any]


def said(parts: Iterable[Part], where: str, lost: list[str]) -> list[Block]:
    """
    The blocks for what the user or a tool says, without the empty ones.

    :raises GatewayError: a part is of a kind that Anthropic does not take.
    """
    blocks: list[Block] = []
    for part in parts:
        match part:
            case Text():
                if part.citations:
                    lost.append(where)
                blocks += text(part)
            case Image():
                blocks.append(_image(part, where))
            case Document():
                blocks.append(_document(part, where))
            case _:
                raise UnsupportedField(
                    f"{where}: Anthropic Messages has no place for"
                    f" {type(part).__name__} here",
                    param=where,
                )
    return blocks


def told(parts: Sequence[Part], where: str, lost: list[str]) -> list[Block]:
    """
    The blocks for what the system says, which is text only.

    :raises UnsupportedField: a part is of another kind.
    """
    for part in parts:
        if not isinstance(part, Text):
            raise UnsupportedField(
                f"{where}: a system message has text only", param=where
            )
    return said(parts, where, lost)


def text(part: Text) -> list[Block]:
    """One block, or none for a text of white space only, which Anthropic refuses."""
    if not part.text.strip():
        return []
    return [{"type": "text", "text": part.text, **cache_control(part.cache)}]


def answered(
    parts: Iterable[Part], where: str, lost: list[str], name_limit: int
) -> list[Block]:
    """
    The blocks for a turn of the assistant, in the order given.

    Reasoning without its provider's signature proves nothing and is left out.
    """
    blocks: list[Block] = []
    for part in parts:
        match part:
            case Text():
                blocks += (made := text(part))
                if not part.citations:
                    pass
                elif made and all(map(is_citation, part.citations)):
                    made[0]["citations"] = list(part.citations)
                else:
                    lost.append(where)
            case Refusal():
                blocks += text(Text(part.text))
            case Thinking():
                if not part.signature or is_foreign(part.signature):
                    lost.append(reasoning_name(part))
                    continue
                blocks.append(
                    {
                        "type": "thinking",
                        "thinking": part.text,
                        "signature": part.signature,
                    }
                )
            case RedactedThinking():
                if is_foreign(part.content):
                    lost.append(reasoning_name(part))
                    continue
                blocks.append({"type": "redacted_thinking", "data": part.content})
            case ToolCall():
                blocks.append(
                    {
                        "type": "tool_use",
                        "id": part.id,
                        "name": past_tool_name(part, name_limit),
                        "input": wire_input(part.arguments, part.custom),
                        **cache_control(part.cache),
                    }
                )
            case _:
                raise UnsupportedField(
                    f"{where}: Anthropic Messages has no place for"
                    f" {type(part).__name__} in an assistant message",
                    param=where,
                )
    return blocks


def result(part: ToolResult, where: str, lost: list[str]) -> Block:
    """The block for the answer of a tool."""
    block: Block = {"type": "tool_result", "tool_use_id": part.call_id}
    if content := said(part.content, where, lost):
        block["content"] = content
    if part.is_error:
        block["is_error"] = True
    return {**block, **cache_control(part.cache)}


def _image(image: Image, where: str) -> Block:
    source = image.source
    if isinstance(source, Inline) and source.media_type not in _PICTURES:
        raise UnsupportedField(
            f"{where}: Anthropic Messages takes no {source.media_type or 'such'}"
            " picture, only jpeg, png, gif and webp",
            param=where,
        )
    block: Block = {"type": "image", "source": _source(source, where)}
    return {**block, **cache_control(image.cache)}


def _document(document: Document, where: str) -> Block:
    block: Block = {"type": "document", "source": _source(document.source, where)}
    if document.title:
        block["title"] = document.title
    if document.context:
        block["context"] = document.context
    if document.citations:
        block["citations"] = {"enabled": True}
    return {**block, **cache_control(document.cache)}


def _source(source: Source, where: str) -> Block:
    if isinstance(source, Url):
        return {"type": "url", "url": source.url}
    assert isinstance(source, Inline)  # ids of other stores were refused
    kind = source.media_type.partition(";")[0].strip().lower()
    if kind in _PICTURES or kind == "application/pdf":
        return {"type": "base64", "media_type": kind, "data": source.content}
    if kind.startswith("text/") or kind == "application/json":
        text = _decoded(source.content, where)
        return {"type": "text", "media_type": "text/plain", "data": text}
    raise UnsupportedField(
        f"{where}: Anthropic Messages takes no {kind or 'such'} file, only PDF and"
        " text",
        param=where,
    )


def _decoded(content: str, where: str) -> str:
    try:
        return base64.b64decode(content, validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadRequest(
            f"{where}: the file is not base64 of UTF-8 text", param=where
        ) from None
