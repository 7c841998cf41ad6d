"""Taking out of a passed request the signatures that its provider did not write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from modelplex.errors import BadRequest
from modelplex.wire.gemini.signatures import UNCHECKED, standard, unwrap
from modelplex.wire.jsonobject import JsonObject, open_objects
from modelplex.wire.reasoning import IsForeign
from modelplex.wire.typed import pack

# Protobuf's JSON takes either spelling.
_SIGNATURES = ("thoughtSignature", "thought_signature")
_WRAPPED = b'"bW9kZWxwbGV4'  # how what `signatures.unwrap` reads begins
_CALLS = ("functionCall", "function_call")


def without_foreign(
    body: JsonObject, foreign: IsForeign | None
) -> Mapping[str, bytes | None]:
    """
    The members of `body` to put in place of its own.

    A call keeps a word that stands for a call Gemini did not make; a thought goes
    whole, and a content of nothing else with it.

    :param foreign: tells the proofs of others, if there are any; those of other
        dialects, in our wrapping, are known here.
    """
    raw = body.raw("contents")
    if raw is None or not any(name.encode() in raw for name in _SIGNATURES):
        return {}
    if foreign is None and _WRAPPED not in raw:
        return {}
    changed = False
    contents: list[object] = []
    for content in open_objects(raw, "contents"):
        parts = _parts(content.get("parts"))
        owned = [_own(part, foreign) for part in parts]
        if owned == parts:
            contents.append(content)
            continue
        changed = True
        if left := [part for part in owned if part is not None]:
            contents.append({**content, "parts": left})
    return {"contents": pack(contents)} if changed else {}


def _parts(parts: msgspec.Raw | None) -> list[dict[str, msgspec.Raw]]:
    if parts is None or not bytes(parts).startswith(b"["):
        return []
    try:
        return open_objects(bytes(parts), "parts")
    except BadRequest:
        return []  # the provider will say what is wrong with it


def _own(
    part: dict[str, msgspec.Raw], foreign: IsForeign | None
) -> dict[str, Any] | None:
    """`part` as its provider may see it; ``None`` if it may not."""
    name = next((name for name in _SIGNATURES if name in part), None)
    if name is None or not _is_foreign(part[name], foreign):
        return part
    left: dict[str, Any] = {k: v for k, v in part.items() if k != name}
    if any(call in part for call in _CALLS):
        return {**left, name: UNCHECKED}
    thought = bytes(part.get("thought", b"")) == b"true"
    empty = left.keys() <= {"text"} and bytes(left.get("text", b'""')) == b'""'
    return None if thought or empty else left


def _is_foreign(raw: msgspec.Raw, foreign: IsForeign | None) -> bool:
    try:
        wire = standard(msgspec.json.decode(raw, type=str))
    except msgspec.DecodeError:
        return False
    if wire is None:
        return False
    return unwrap(wire) != (None, None) or (foreign is not None and foreign(wire))
