"""What each API of a fake upstream has to know: how to hear, answer and complain."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qs

from attrs import define, field, frozen

from modelplex.testing.fakes.script import Heard, Script


class Refused(Exception):
    """The API refuses a request, as the real one would."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


@define(eq=False)
class Asked:
    """
    One request as it arrived.

    :ivar path: percent-encoded as it came, without its query.
    :ivar headers: by lower-case name; the last of several.
    :ivar query: as it came, without the question mark.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    query: str = field(default="", repr=False)

    def asks(self, name: str) -> str | None:
        """The first value of a parameter of the query, if it is there."""
        found = parse_qs(self.query, keep_blank_values=True).get(name)
        return found[0] if found else None

    def json(self) -> Any:
        """
        The body, decoded.

        :raises Refused: it is no JSON object.
        """
        try:
            decoded = json.loads(self.body)
        except ValueError:
            raise Refused(400, "the body is not JSON") from None
        if not isinstance(decoded, dict):
            raise Refused(400, "the body is no JSON object")
        return decoded


@frozen
class Answer:
    """
    A good answer.

    :ivar announcing: events that say nothing yet; none if it is not streamed.
    :ivar pieces: events that say something, or the one body.
    :ivar heard: what was understood, if it was about a model's words.
    """

    pieces: Iterable[bytes]
    heard: Heard | None = None
    streamed: bool = False
    announcing: tuple[bytes, ...] = ()
    media_type: str = "application/json"


class Speaker(Protocol):
    """
    One API.

    :ivar models: what it has.
    :ivar key: the only credential that it accepts; empty for none.
    :ivar garbage: a piece of a stream that breaks its syntax.
    :ivar filler: one event of a stream begins with it and never ends.
    """

    models: tuple[str, ...]
    key: str
    garbage: bytes
    filler: bytes

    def answer(self, asked: Asked, script: Script) -> Answer:
        """
        The answer to a request.

        :raises Refused: the real API would not take it.
        """

    def refusal(self, status: int, message: str, code: str | None = None) -> bytes:
        """The body of an error."""

    def error_event(self, message: str) -> bytes:
        """An error in the middle of a stream."""


def dump(value: object) -> bytes:
    """Compact JSON in UTF-8, as the real ones write it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def whole(value: object, heard: Heard | None = None) -> Answer:
    """An answer of one JSON value."""
    return Answer((dump(value),), heard)


def known_only(body: Mapping[str, Any], known: Iterable[str], say: str) -> None:
    """
    Refuse members that the API does not know.

    :param say: the words, with ``{}`` for the member.
    :raises Refused: there is one.
    """
    for name in body:
        if name not in known:
            raise Refused(400, say.format(name), "unknown_parameter")
