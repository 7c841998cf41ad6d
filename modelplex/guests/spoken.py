"""The blocks that the turns of a conversation consist of, without reading them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from modelplex.errors import BadRequest
from modelplex.guests.references import look_through, other_spelling
from modelplex.wire.jsonobject import open_object, open_objects

Block = Mapping[str, msgspec.Raw]

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TURNS = msgspec.json.Decoder(list[dict[str, str | list[dict[str, msgspec.Raw]]]])
_encode = msgspec.json.Encoder().encode


def blocks_of(
    text: bytes, where: str, content: str, said: frozenset[str], allow: frozenset[str]
) -> Iterator[tuple[str, list[dict[str, msgspec.Raw]]]]:
    """
    The blocks of each turn of the array `text`, and where they stand.

    Turns whose content is a text are passed over; other members are looked through.

    :param content: the member that holds a text or blocks.
    :param said: members that hold no references.
    :raises BadRequest: turns or blocks are no objects, or can be read in two ways.
    """
    known = said | {content}
    turns = None if b'": ' in text[:64] else _plain_turns(text)
    if turns is not None and all(turn.keys() <= known for turn in turns):
        for number, plain in enumerate(turns):
            blocks = plain.get(content)
            if type(blocks) is list:
                yield f"{where}[{number}].{content}", blocks
        return
    for number, turn in enumerate(open_objects(text, where)):
        for name in turn.keys() - known:
            place = f"{where}[{number}].{name}"
            if name.casefold() in known:
                raise other_spelling(place, name.casefold())
            look_through(bytes(turn[name]), place, allow)
        if content in turn:
            place = f"{where}[{number}].{content}"
            yield place, open_blocks(turn[content], place)


def open_blocks(value: bytes | msgspec.Raw, where: str) -> list[dict[str, msgspec.Raw]]:
    """The blocks of a content: none of a text, and one that stands without an array."""
    match memoryview(value)[0]:
        case 0x5B:  # [
            return open_objects(bytes(value), where)
        case 0x7B:  # {
            return open_objects(b"[" + bytes(value) + b"]", where)
    return []


def _plain_turns(
    text: bytes,
) -> list[dict[str, str | list[dict[str, msgspec.Raw]]]] | None:
    """
    The turns when nothing is lost by reading them at once, which takes half the time.

    They are written again to see that; it costs a copy. It is so for what nearly all
    clients write.
    """
    try:
        turns = _TURNS.decode(text)
        return turns if _encode(turns) == text else None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None


def other_spellings(
    block: Mapping[str, object], known: frozenset[str], where: str
) -> None:
    """
    Refuse a key that a lenient reader takes for one of `known`.

    :raises BadRequest: there is one.
    """
    if block.keys() <= known:
        return
    for name in block:
        if name not in known and name.casefold() in known:
            raise other_spelling(f"{where}.{name}", name.casefold())


def first_of(text: bytes, where: str) -> dict[str, msgspec.Raw]:
    """
    The members of one object, none of which is ambiguous.

    :raises BadRequest: it is no object, or can be read in two ways.
    """
    try:
        found = _MEMBERS.decode(text)
        if _encode(found) != text:
            open_object(text, where)
    except (msgspec.DecodeError, RecursionError) as e:
        raise BadRequest(f"{where}: {e}", param=where) from None
    return found
