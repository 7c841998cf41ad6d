"""How the pieces of a reply look to a Gemini guest, streamed or whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from attrs import define, field

from modelplex.events import Finished, Usage
from modelplex.wire.dialect import Answering
from modelplex.wire.gemini.signatures import UNCHECKED_BYTES, Signature, own, wrap
from modelplex.wire.gemini.tool_words import wire_args
from modelplex.wire.gemini.words import finish_word, wire_usage
from modelplex.wire.typed import is_object

_json = msgspec.json.encode

EMPTY = b'{"text":""}'
"""A part that says nothing: clients count on a content having one."""


def call_signature(number: int, signature: str | None) -> str | None:
    """
    What signs the call `number` of a reply; for the first without any, a word for that.

    The guest sends it back, maybe to Gemini, which wants one on the first.
    """
    return UNCHECKED_BYTES if signature is None and number == 0 else signature


@define(eq=False)
class Call:
    """A call whose arguments may still be coming in."""

    id: str
    name: str
    custom: bool
    signature: str | None = None
    written: list[str] = field(factory=list)

    def complete(self) -> bool:
        """Whether no more of it can come, as far as it can be told."""
        if self.custom or not self.written:
            return bool(self.written)
        ended = self.written[-1].rstrip().endswith("}")
        return ended and is_object("".join(self.written))

    def part(self) -> bytes:
        """The part, whose `args` are an object whatever was written."""
        args = wire_args("".join(self.written), self.custom)
        call = {"id": self.id, "name": self.name, "args": args}
        part: dict[str, Any] = {"functionCall": call}
        if self.signature is not None:
            part["thoughtSignature"] = self.signature
        return _json(part)


def text_part(text: str) -> bytes:
    """A text, or a piece of one."""
    return b'{"text":' + _json(text) + b"}"


def thought_part(text: str) -> bytes:
    """A thought, or a piece of one."""
    return b'{"text":' + _json(text) + b',"thought":true}'


def signed_part(signature: Signature) -> bytes:
    """What signs the thought or the text before it."""
    part: dict[str, Any] = {"text": ""}
    if not signature.text:
        part["thought"] = True
    return _json({**part, "thoughtSignature": signature.wire})


def sealed_part(wire: str) -> bytes:
    """What only another provider can read, or has signed with."""
    return _json({"text": "", "thought": True, "thoughtSignature": wire})


def proof_part(signature: str) -> bytes:
    """What a thought was signed with, by whomever; not for that of a call."""
    known = own(signature)
    return sealed_part(wrap(signature)) if known is None else signed_part(known)


def response(
    parts: list[bytes], ending: Mapping[str, Any], about: Mapping[str, Any]
) -> bytes:
    """
    One whole response.

    :param ending: the members of the candidate beside its content.
    :param about: the members beside the candidates.
    """
    content = {
        "parts": [msgspec.Raw(part) for part in parts or [EMPTY]],
        "role": "model",
    }
    candidate = {"content": content, **ending, "index": 0}
    return _json({"candidates": [candidate], **about})


def stopped(finish: Finished) -> dict[str, Any]:
    """The members that say why the model stopped."""
    members = {"finishReason": finish_word(finish.reason)}
    if finish.explanation:
        members["finishMessage"] = finish.explanation
    return members


def about(id: str, answering: Answering, usage: Usage | None = None) -> dict[str, Any]:
    """What a response says about itself."""
    members: dict[str, Any] = {}
    if usage is not None:
        members["usageMetadata"] = wire_usage(usage)
    return {
        **members,
        "modelVersion": answering.model,
        "responseId": id or answering.id,
    }
