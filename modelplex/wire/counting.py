"""How many tokens a request would be: what each API says, and an estimate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil

import msgspec
from attrs import frozen

from modelplex.errors import UpstreamMalformed
from modelplex.events import (
    Audio,
    Document,
    Image,
    Inline,
    Part,
    RedactedThinking,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from modelplex.wire.dialect import Encoded

# Measured over the tokenizers of several vendors on English prose, code and JSON:
# 3 to 4.5 bytes a token. Rather too many than too few, so that a guest compacts its
# context before a provider refuses it.
_BYTES = 3.5  # a token
_MESSAGE = 4  # tokens around each message
_PICTURE = 1600  # tokens, the most that a large picture is at Anthropic


@frozen
class CountDialect:
    """
    One API's way to count as functions over bytes and values.

    :ivar encode_request: `model` is the provider's name; raises `GatewayError`.
    :ivar decode_reply: raises `UpstreamMalformed`.
    """

    name: str
    encode_request: Callable[[Request], Encoded]
    decode_reply: Callable[[bytes], int]
    encode_reply: Callable[[int], bytes]


class _Counted(msgspec.Struct):
    input_tokens: int


def decode_input_tokens(body: bytes) -> int:
    """The ``input_tokens`` of Anthropic's and of OpenAI's reply."""
    try:
        return max(0, msgspec.json.decode(body, type=_Counted).input_tokens)
    except (msgspec.DecodeError, RecursionError) as e:
        raise UpstreamMalformed(f"the provider sent no count: {e}") from None


def estimate(request: Request) -> int:
    """About as many tokens as `request` is, for a model nobody can ask."""
    size = 0
    tokens = _MESSAGE * len(request.messages)
    for tool in request.tools:
        size += len(tool.name) + len(tool.description or "")
        size += len(msgspec.json.encode(tool.schema))
    if request.response_format is not None:
        size += len(msgspec.json.encode(request.response_format.schema))
    for message in request.messages:
        for part in message.parts:
            for piece in _pieces(part):
                if isinstance(piece, str):
                    size += len(piece.encode())
                else:
                    tokens += piece
    return max(1, tokens + ceil(size / _BYTES))


def _pieces(part: Part) -> Iterator[str | int]:
    """The texts of `part`, and tokens for what is none."""
    match part:
        case Text() | Refusal() | Thinking():
            yield part.text
        case RedactedThinking():
            yield part.content
        case ToolCall():
            yield part.name
            yield part.arguments
        case ToolResult():
            for piece in part.content:
                yield from _pieces(piece)
        case Image():
            yield _PICTURE
        case Document(source=Inline() as inline):
            yield (
                inline.content
                if inline.media_type.startswith("text/")
                # A page is about 3,000 characters of base64 and up to 3,000 tokens.
                else (max(_PICTURE, len(inline.content) // 10))
            )
        case Document():
            yield _PICTURE
        case Audio():
            yield len(part.content) // 100
