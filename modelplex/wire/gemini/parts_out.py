"""Parts of a canonical message to parts of Gemini's contents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from attrs import frozen

from modelplex.errors import UnsupportedField
from modelplex.events import (
    Audio,
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
from modelplex.wire.fidelity import reasoning_name
from modelplex.wire.gemini.abilities import Abilities
from modelplex.wire.gemini.signatures import UNCHECKED, own
from modelplex.wire.gemini.tool_words import past_tool_name, wire_args
from modelplex.wire.typed import compact, is_object

Block = dict[str, Any]

_RESPONSE_WORDS = ('{"output":', '{"error":', '{"result":')


def said(parts: Iterable[Part], where: str) -> list[Block]:
    """
    The parts for what the user says, without the empty texts, which are refused.

    :raises UnsupportedField: a part is of a kind that Gemini does not take.
    """
    blocks: list[Block] = []
    for part in parts:
        match part:
            case Text() | Refusal():
                blocks += text(part.text)
            case Image():
                blocks.append(_file(part.source))
            case Document():
                blocks.append(_file(part.source))
            case Audio():
                kind = f"audio/{part.format}"
                blocks.append(_file(Inline(kind, part.content)))
            case _:
                raise UnsupportedField(
                    f"{where}: Gemini has no place for {type(part).__name__} here",
                    param=where,
                )
    return blocks


def told(parts: Sequence[Part], where: str) -> list[Block]:
    """
    The parts for what the system says, which is text only.

    :raises UnsupportedField: a part is of another kind.
    """
    blocks: list[Block] = []
    for part in parts:
        if not isinstance(part, Text):
            raise UnsupportedField(
                f"{where}: a system message has text only", param=where
            )
        blocks += text(part.text)
    return blocks


def text(text: str) -> list[Block]:
    """One part, or none for a text of white space only."""
    return [{"text": text}] if text.strip() else []


def answered(
    parts: Iterable[Part], where: str, lost: list[str], abilities: Abilities
) -> list[Block]:
    """
    The parts for a turn of the model, in the order given, each signed as it was.

    Reasoning that is not signed by Gemini proves nothing to it and is left out.
    """
    blocks: list[Block] = []
    calls: list[Block] = []
    signatures: dict[int, str] = {}
    for part in parts:
        match part:
            case Text() | Refusal():
                blocks += text(part.text)
            case Thinking():
                _thought(part, blocks, signatures, lost)
            case RedactedThinking():
                lost.append(reasoning_name(part))
            case ToolCall():
                name = past_tool_name(part, abilities.tool_name_limit)
                args = wire_args(part.arguments, part.custom)
                call: Block = {
                    "functionCall": {"id": part.id, "name": name, "args": args}
                }
                calls.append(call)
                blocks.append(call)
            case _:
                raise UnsupportedField(
                    f"{where}: Gemini has no place for {type(part).__name__} in an"
                    " assistant message",
                    param=where,
                )
    for number, call in enumerate(calls):
        if number in signatures:
            call["thoughtSignature"] = signatures[number]
        elif number == 0 and abilities.wants_signatures:
            call["thoughtSignature"] = UNCHECKED
    return blocks


def _thought(
    part: Thinking, blocks: list[Block], signatures: dict[int, str], lost: list[str]
) -> None:
    signature = own(part.signature)
    if signature is None:
        lost.append(reasoning_name(part))
        return
    thought: Block = {"text": part.text, "thought": True}
    if signature.call is not None:
        signatures[signature.call] = signature.wire
    elif not signature.text:
        thought["thoughtSignature"] = signature.wire
        blocks.append(thought)
        return
    if part.text:
        blocks.append(thought)
    if signature.text:
        last = blocks[-1] if blocks else {}
        if last.keys() != {"text"}:
            last = {"text": ""}
            blocks.append(last)
        last["thoughtSignature"] = signature.wire


@frozen
class Answered:
    """
    The answer of a tool.

    :ivar response: the `functionResponse` without id and name.
    :ivar beside: files for a model that takes none inside of it.
    :ivar text: what was said in it.
    """

    response: Block
    beside: list[Block]
    text: str


def result(part: ToolResult, where: str, abilities: Abilities) -> Answered:
    """What the answer of a tool says, as an object."""
    texts = [piece.text for piece in part.content if isinstance(piece, Text)]
    rest = [piece for piece in part.content if not isinstance(piece, Text)]
    files = said(rest, where)
    written = "\n".join(texts)
    answer: Block = {"response": _response(written, part.is_error)}
    beside: list[Block] = []
    if files and abilities.files_in_results:
        answer["parts"] = files
    else:
        beside = files
    return Answered(answer, beside, written)


def _response(written: str, is_error: bool) -> Any:
    if is_error:
        return {"error": written}
    plain = written.strip()
    # An object stands for itself, unless it would be read as one of these.
    if is_object(plain) and not plain.startswith(_RESPONSE_WORDS):
        return msgspec.Raw(compact(plain.encode()).encode())
    return {"output": written}


def _file(source: Source) -> Block:
    if isinstance(source, Url):
        return {"fileData": {"fileUri": source.url}}
    assert isinstance(source, Inline)  # ids of other stores were refused
    kind = source.media_type.partition(";")[0].strip().lower()
    return {"inlineData": {"mimeType": kind, "data": source.content}}
