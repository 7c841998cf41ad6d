"""Taking out of a passed request the reasoning that its provider did not write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import msgspec

from modelplex.errors import BadRequest
from modelplex.wire.anthropic.words import is_foreign
from modelplex.wire.jsonobject import JsonObject, open_objects
from modelplex.wire.reasoning import IsForeign
from modelplex.wire.typed import pack

_PROOFS = {b'"thinking"': "signature", b'"redacted_thinking"': "data"}
# How a string begins that became a proof of Anthropic's on its way to a guest.
_MARKS = (b'"modelplex:', b'"gemini:', b'"responses:')
_ASSISTANT = b'"assistant"'
_OFF = b'{"type":"disabled"}'


class _Thinking(msgspec.Struct):
    type: str = ""


def without_foreign(
    body: JsonObject, foreign: IsForeign | None
) -> Mapping[str, bytes | None]:
    """
    The members of `body` to put in place of its own.

    A model that thinks for a budget refuses to go on with a turn that called tools and
    whose first reasoning is gone, so it is told not to think then.

    :param foreign: tells the proofs of others, if there are any; those in no form of
        Anthropic's are known here.
    """
    raw = body.raw("messages")
    if raw is None or b"thinking" not in raw:
        return {}
    if foreign is None and not any(mark in raw for mark in _MARKS):
        return {}
    kept: list[Mapping[str, msgspec.Raw]] = []
    cut = False
    for message in open_objects(raw, "messages"):
        content = message.get("content")
        blocks = _blocks(content)
        left = [b for b in blocks if not _is_foreign(b, foreign)]
        if len(left) == len(blocks):
            kept.append(message)
            continue
        cut = True
        if left:
            kept.append({**message, "content": msgspec.Raw(pack(left))})
    if not cut:
        return {}
    changes: dict[str, bytes | None] = {"messages": pack(kept)}
    thinking = body.get("thinking", _Thinking | None) or _Thinking()
    if thinking.type == "enabled" and _reasoning_missing(kept):
        changes["thinking"] = _OFF
    return changes


def _reasoning_missing(messages: Sequence[Mapping[str, msgspec.Raw]]) -> bool:
    """The same as of that name in `modelplex.wire.anthropic.thinking_out`."""
    began: list[bytes] = []  # the types of the blocks
    backwards = reversed(messages)
    for said, group in groupby(backwards, lambda m: _is(m.get("role"), _ASSISTANT)):
        turns = [_types(message) for message in group]
        if said:
            began = [kind for turn in reversed(turns) for kind in turn]
        elif not any(b'"tool_result"' in turn for turn in turns):
            break
    return b'"tool_use"' in began and began[0] not in _PROOFS


def _types(message: Mapping[str, msgspec.Raw]) -> list[bytes]:
    return [bytes(b.get("type", b"")) for b in _blocks(message.get("content"))]


def _is(value: msgspec.Raw | None, expected: bytes) -> bool:
    return value is not None and bytes(value) == expected


def _blocks(content: msgspec.Raw | None) -> list[dict[str, msgspec.Raw]]:
    if content is None or not bytes(content).startswith(b"["):
        return []
    try:
        return open_objects(bytes(content), "content")
    except BadRequest:
        return []  # the provider will say what is wrong with it


def _is_foreign(block: Mapping[str, msgspec.Raw], foreign: IsForeign | None) -> bool:
    member = _PROOFS.get(bytes(block.get("type", b"")))
    if member is None or member not in block:
        return False
    try:
        proof = msgspec.json.decode(block[member], type=str)
    except msgspec.DecodeError:
        return False
    return is_foreign(proof) or (foreign is not None and foreign(proof))
