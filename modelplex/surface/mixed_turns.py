"""
What happened beside the calls that a guest was given to make itself.

A model may call tools of the host and of the guest in one answer. Where the guest's
dialect has no words for the host's calls, the guest goes on from a history without
them. Here they are kept, by the ids of the guest's own calls, and put back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import define, evolve, field

from modelplex.events import (
    Audio,
    Document,
    FileId,
    Image,
    Inline,
    Message,
    Part,
    RedactedThinking,
    Refusal,
    Request,
    Role,
    Source,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from modelplex.wire.typed import pack

TURNS = 500
BYTES = 16 << 20  # characters, really
_PART = 128  # characters that a part counts as besides its texts


@define(eq=False)
class MixedTurns:
    """Those of one guest; bounded, the oldest is forgotten first."""

    _turns: int = TURNS
    _bytes: int = BYTES
    _kept: dict[tuple[str, ...], tuple[tuple[Message, ...], int]] = field(factory=dict)
    _size: int = 0

    def keep(self, calls: tuple[str, ...], messages: tuple[Message, ...]) -> None:
        """
        Remember `messages`, which a guest will know as one answer with `calls`.

        :param messages: of the host's rounds, the last with those calls among others.
        """
        size = sum(_size_of(p) for message in messages for p in message.parts)
        size += sum(_PART + len(id) for id in calls)
        if not calls or size > self._bytes:
            return
        self._forget(calls)
        self._kept[calls] = messages, size
        self._size += size
        while self._size > self._bytes or len(self._kept) > self._turns:
            self._forget(next(iter(self._kept)))

    def restored(self, request: Request) -> Request:
        """`request` with what its guest does not know."""
        if not self._kept:
            return request
        return evolve(request, messages=tuple(self._restored(request.messages)))

    def _restored(self, messages: Iterable[Message]) -> Iterator[Message]:
        for message in messages:
            kept = None
            if message.role is Role.ASSISTANT:
                calls = tuple(p.id for p in message.parts if isinstance(p, ToolCall))
                kept = self._kept.get(calls) if calls else None
            if kept is None:
                yield message
            else:
                yield from kept[0]

    def _forget(self, calls: tuple[str, ...]) -> None:
        known = self._kept.pop(calls, None)
        if known is not None:
            self._size -= known[1]


def _size_of(part: Part) -> int:
    return _PART + _length(part)


def _length(part: Part) -> int:
    """The characters of all that is said in a part."""
    match part:
        case Text():
            cited = sum(len(pack(one)) for one in part.citations)
            return len(part.text) + cited
        case Refusal():
            return len(part.text)
        case Thinking():
            return len(part.text) + len(part.signature or "")
        case RedactedThinking():
            return len(part.content)
        case ToolCall():
            return len(part.id) + len(part.name) + len(part.arguments)
        case ToolResult():
            return len(part.call_id) + sum(map(_size_of, part.content))
        case Image():
            return _length_of_source(part.source)
        case Document():
            words = len(part.title or "") + len(part.context or "")
            return words + _length_of_source(part.source)
        case Audio():
            return len(part.content)
        case _:
            return 0


def _length_of_source(source: Source) -> int:
    match source:
        case Inline():
            return len(source.media_type) + len(source.content)
        case FileId():
            return len(source.id)
        case _:
            return len(source.url)
