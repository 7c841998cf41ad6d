"""
What ``previous_response_id`` and ``store`` mean, over values: no memory is kept here.

Whoever keeps the memory puts a `Stored` in it for each finished response, bounded by
`Stored.size`, and gives it back to `continued` for the request that goes on from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from attrs import field, frozen

from modelplex.errors import BadRequest
from modelplex.wire.jsonobject import JsonObject, open_array
from modelplex.wire.reasoning import IsForeign
from modelplex.wire.responses.proofs import WRAPPED
from modelplex.wire.responses.response_out import own_part
from modelplex.wire.typed import pack

Changes = Mapping[str, bytes | None]
"""For `JsonObject.splice`."""

PAGE = 20  # items that a list has when its guest does not say

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "mcp_call": "mcp",
    "mcp_list_tools": "mcpl",
}
_IDENTIFIED = ("reasoning", "mcp_call", "mcp_list_tools")


@frozen
class Stored:
    """
    A finished response and all that led to it.

    :ivar input: every input item, those of the responses before it included.
    :ivar output: every output item.
    :ivar response: the response object.
    """

    id: str
    input: tuple[bytes, ...] = field(repr=False)
    output: tuple[bytes, ...] = field(repr=False)
    response: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """The bytes it takes."""
        return len(self.response) + sum(map(len, (*self.input, *self.output)))


class _Response(msgspec.Struct):
    id: str = ""
    output: list[msgspec.Raw] | None = None


def stored(body: JsonObject, response: bytes) -> Stored:
    """
    What to remember of an exchange.

    :param body: the request, continued and resolved as it was answered.
    :param response: the response object: `ResponseStream.final`, or that of a tap.
    :raises BadRequest: one of them is not what it must be.
    """
    try:
        said = msgspec.json.decode(response, type=_Response)
    except (msgspec.DecodeError, RecursionError) as e:
        raise BadRequest(f"response: {e}") from None
    output = tuple(bytes(item) for item in said.output or ())
    return Stored(said.id, tuple(items(body)), output, response)


def items(body: JsonObject) -> list[bytes]:
    """
    The items of a request's ``input``; a string is one message.

    :raises BadRequest: it is neither a string nor an array.
    """
    raw = body.raw("input")
    if raw is None or raw == b"null":
        return []
    if raw.startswith(b'"'):
        return [b'{"type":"message","role":"user","content":%b}' % raw]
    return open_array(raw, "input")


def continued(body: JsonObject, previous: Stored) -> Changes:
    """
    What makes `body` a request that stands for itself.

    The ids that items got here mean nothing to a provider, who may refuse them; those
    of reasoning are part of its proof and stay, and so do those that an item cannot be
    without. Instructions are not inherited.

    :raises BadRequest: its input cannot be read.
    """
    before = [*previous.input, *map(_without_id, previous.output)]
    whole = b"[" + b",".join([*before, *items(body)]) + b"]"
    return {"input": whole, "previous_response_id": None}


def resolved(body: JsonObject, known: Mapping[str, bytes]) -> Changes:
    """
    What puts items in the place of references to them.

    :param known: items by their ids; see `places`.
    :raises BadRequest: a reference is to an item that is not known.
    """
    raw = body.raw("input")
    if raw is None or not raw.startswith(b"[") or b'"id"' not in raw:
        return {}
    found: list[bytes] = []
    changed = False
    for number, item in enumerate(items(body)):
        id = _reference(item)
        if id is None:
            found.append(item)
            continue
        if id not in known:
            raise BadRequest(
                f"input[{number}]: no item with id {id[:80]!r} is known",
                param=f"input[{number}].id",
                code="item_not_found",
            )
        found.append(_without_id(known[id]))
        changed = True
    return {"input": b"[" + b",".join(found) + b"]"} if changed else {}


def places(stored: Stored) -> dict[str, int]:
    """Where in `stored` every item is, by its id, for `item_at`."""
    found: dict[str, int] = {}
    for place, item in enumerate((*stored.input, *stored.output)):
        members = _members(item)
        id = _text(members.get("id"))
        if not id and place < len(stored.input):
            id = _made_up(stored, place, members)
        if id:
            found[id] = place
    return found


def item_at(stored: Stored, place: int) -> bytes:
    """The item at a place, with its id; the output comes after the input."""
    inputs = len(stored.input)
    if place < inputs:
        return _with_id(stored, place)
    return stored.output[place - inputs]


def input_items(
    stored: Stored, *, after: str = "", limit: int = PAGE, order: str = "desc"
) -> bytes:
    """
    The list that ``GET /responses/{id}/input_items`` answers.

    :param after: the id of the last item of the page before.
    :raises BadRequest: a parameter is out of its range.
    """
    if order not in ("asc", "desc"):
        raise BadRequest("order: must be asc or desc", param="order")
    if not 1 <= limit <= 100:
        raise BadRequest("limit: must be from 1 to 100", param="limit")
    listed = _with_ids(stored)
    if order == "desc":
        listed.reverse()
    ids = [_id(item) for item in listed]
    if after:
        if after not in ids:
            raise BadRequest(f"after: no item {after[:80]!r}", param="after")
        start = ids.index(after) + 1
        listed, ids = listed[start:], ids[start:]
    page = listed[:limit]
    return msgspec.json.encode(
        {
            "object": "list",
            "data": [msgspec.Raw(item) for item in page],
            "first_id": ids[0] if page else None,
            "last_id": ids[len(page) - 1] if page else None,
            "has_more": len(listed) > len(page),
        }
    )


def without_foreign(body: JsonObject, foreign: IsForeign | None) -> Changes:
    """
    What takes out of a passed request the reasoning that its provider did not write.

    :param foreign: tells the proofs of others, if there are any; those of other
        dialects are known here.
    """
    raw = body.raw("input")
    if raw is None or not raw.startswith(b"[") or b"encrypted_content" not in raw:
        return {}
    if foreign is None and WRAPPED.encode() not in raw:
        return {}
    before = items(body)
    kept = [item for item in before if not _is_foreign(item, foreign)]
    if len(kept) == len(before):
        return {}
    return {"input": b"[" + b",".join(kept) + b"]"}


def _is_foreign(item: bytes, foreign: IsForeign | None) -> bool:
    if b"encrypted_content" not in item:
        return False
    members = _members(item)
    if _text(members.get("type")) != "reasoning":
        return False
    content = _text(members.get("encrypted_content"))
    return content.startswith(WRAPPED) or (
        bool(content) and foreign is not None and foreign(content)
    )


def _reference(item: bytes) -> str | None:
    """The id that a reference names, or ``None`` for any other item."""
    members = _members(item)
    kind = _text(members.get("type"))
    if kind == "item_reference" or (not kind and "role" not in members):
        return _text(members.get("id")) or None
    return None


def _with_ids(stored: Stored) -> list[bytes]:
    """The input items, with ids for those that were sent without."""
    return [_with_id(stored, number) for number in range(len(stored.input))]


def _with_id(stored: Stored, number: int) -> bytes:
    item = stored.input[number]
    members = _members(item)
    if _text(members.get("id")):
        return item
    id = pack(_made_up(stored, number, members))
    return pack({**members, "id": msgspec.Raw(id)})


def _made_up(stored: Stored, number: int, members: Mapping[str, msgspec.Raw]) -> str:
    """The id of an input item that was sent without one."""
    prefix = _PREFIXES.get(_text(members.get("type")) or "message", "item")
    return f"{prefix}_{own_part(stored.id)}_in_{number}"


def _without_id(item: bytes) -> bytes:
    members = _members(item)
    if "id" not in members or _text(members.get("type")) in _IDENTIFIED:
        return item
    return pack({k: v for k, v in members.items() if k != "id"})


def _id(item: bytes) -> str:
    return _text(_members(item).get("id"))


def _members(item: bytes) -> dict[str, msgspec.Raw]:
    """The members of an item; none of what is no object, which is refused elsewhere."""
    try:
        return _MEMBERS.decode(item)
    except (msgspec.DecodeError, RecursionError):
        return {}


def _text(raw: Any) -> str:
    """A string member; the empty one for whatever is none."""
    if raw is None:
        return ""
    try:
        return msgspec.json.decode(raw, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
