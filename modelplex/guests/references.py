"""
Looking through values of JSON for references to what is elsewhere.

Keys are compared as the least exact parser would: some servers (those in Go) take
``Model`` for ``model``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from modelplex.errors import BadRequest, Forbidden
from modelplex.guests.policy import FILES, REMOTE_URLS
from modelplex.wire.jsonobject import open_objects

OFF = (b"false", b"null")

# Keys whose value is an address, and keys whose value is content or, with some
# servers, the address of it: OpenRouter's file_data, DashScope's video and
# input_audio.data.
_PLACE = re.compile(r"(?:ur[li]s?|endpoint|api_base|ur[li]_?prefix)\Z")
_FILE_IDS = ("file_id", "file_ids", "fileid", "fileids")
_CONTENTS = re.compile(r"image|video|audio|file|media|document|data$")
_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.\-]*:[/\\]{2}", re.IGNORECASE)
# A file in Gemini's store is named by its address there, or by its end.
_STORED = re.compile(
    r"(?:https://generativelanguage\.googleapis\.com/(?:v\w+/)?)?files/[\w\-]+",
    re.ASCII,
)
_COLONS = 8  # more than one source has members
_QUOTE = ord('"')
_TEXT_PART = frozenset({"type", "text"})


def forbidden(where: str, word: str) -> Forbidden:
    """The refusal of what `word` would open."""
    return Forbidden(
        f'{where}: not allowed to this guest; its policy would need allow = ["{word}"]',
        param=where,
    )


def only_the_model(where: str) -> Forbidden:
    """The refusal of a second way to name a model, which no word opens."""
    return Forbidden(f"{where}: only `model` may name a model", param=where)


def other_spelling(where: str, name: str) -> BadRequest:
    """The refusal of a key that some servers take for `name` and others do not."""
    return BadRequest(f"{where}: write it as {name!r}", param=where)


def is_text(content: bytes) -> bool:
    """Whether these parts are certainly nothing but text; it is quick to tell."""
    try:
        parts = open_objects(content, "content")
    except BadRequest:
        return False  # what is wrong with it will be seen when it is looked through
    return all(
        part.keys() <= _TEXT_PART and memoryview(part.get("text", b'"'))[0] == _QUOTE
        for part in parts
    )


def is_inline(raw: bytes) -> bool:
    """Whether JSON with base64 in it certainly has no address; it is quick to tell."""
    position = -1
    for _ in range(_COLONS):
        position = raw.find(b":", position + 1)
        if position < 0:
            return b"\\" not in raw or b"\\u" not in raw
        if raw[position + 1] in b"/\\":
            return False
    return False


def look_through(value: bytes, where: str, allow: frozenset[str]) -> None:
    """
    Look for references in a JSON value of any shape, however deep.

    :raises Forbidden: there is one, and `allow` does not have its word.
    :raises BadRequest: a key stands twice in an object, or it is nested too deeply.
    """
    if value[:1] in (b"{", b"[", b'"'):
        key = where.rpartition(".")[2].partition("[")[0]
        look_at(parsed(value, where), key, where, allow)


def look_at(value: Any, key: str, where: str, allow: frozenset[str]) -> None:
    """
    Look for references in a value that `parsed` has given.

    :param key: of the member it is the value of.
    :raises Forbidden: as `look_through` does.
    """
    for name, text in strings(value, key):
        if _PLACE.search(name):
            if text[:5].casefold() == "data:":
                continue
            stored = name.endswith("uri") and _STORED.fullmatch(text)
            word = FILES if stored else REMOTE_URLS
            if word not in allow:
                raise forbidden(where, word)
        elif name.endswith(_FILE_IDS):
            if FILES not in allow:
                raise forbidden(where, FILES)
        elif (
            REMOTE_URLS not in allow and _CONTENTS.search(name) and _ADDRESS.match(text)
        ):
            raise forbidden(where, REMOTE_URLS)


def parsed(value: bytes, where: str, spelt: Callable[[str], str] = str) -> Any:
    """
    A JSON value, read so that no other reader finds more in it.

    :param spelt: what makes two spellings of a key the same.
    :raises BadRequest: a key stands twice in an object, or it is nested too deeply.
    """

    def checked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        # Two spellings of one key may stay: both values are looked at.
        if len({spelt(key) for key, _ in pairs}) != len(pairs):
            raise BadRequest(f"{where}: a key stands twice", param=where)
        return dict(pairs)

    try:
        # An integer of thousands of digits is a ValueError to `int`.
        return json.loads(value, object_pairs_hook=checked, parse_int=float)
    except RecursionError:
        raise BadRequest(f"{where}: nested too deeply", param=where) from None


def strings(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Each string in a value, with the folded key of the member it belongs to."""
    waiting: list[tuple[str, Any]] = [(key.casefold(), value)]
    while waiting:
        key, one = waiting.pop()
        if isinstance(one, dict):
            waiting += [(name.casefold(), inner) for name, inner in one.items()]
        elif isinstance(one, list):
            waiting += [(key, inner) for inner in one]
        elif isinstance(one, str):
            yield key, one
