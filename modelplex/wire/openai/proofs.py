"""Taking out of a passed request the reasoning that its provider did not write."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from modelplex.wire.jsonobject import JsonObject, open_objects
from modelplex.wire.reasoning import IsForeign
from modelplex.wire.typed import pack

_DETAILS = "reasoning_details"
_REASONING = frozenset({_DETAILS, "reasoning_content", "reasoning"})


class _Detail(msgspec.Struct):
    signature: str | None = None
    data: str | None = None


_READ = msgspec.json.Decoder(list[_Detail])


def without_foreign(
    body: JsonObject, foreign: IsForeign | None
) -> Mapping[str, bytes | None]:
    """
    The members of `body` to put in place of its own.

    ``reasoning_details`` is how translated reasoning reaches a guest of this dialect,
    beside the same in plain words; a provider that did not write it may know neither.

    :param foreign: tells the proofs of others, if there are any.
    """
    raw = body.raw("messages")
    if raw is None or foreign is None or _DETAILS.encode() not in raw:
        return {}
    messages = open_objects(raw, "messages")
    kept = [
        {k: v for k, v in message.items() if k not in _REASONING}
        if _is_foreign(message.get(_DETAILS), foreign)
        else message
        for message in messages
    ]
    return {} if kept == messages else {"messages": pack(kept)}


def _is_foreign(details: msgspec.Raw | None, foreign: IsForeign) -> bool:
    if details is None:
        return False
    try:
        found = _READ.decode(details)
    except msgspec.DecodeError:
        return False
    proofs = [proof for one in found for proof in (one.signature, one.data) if proof]
    return any(map(foreign, proofs))
