"""
Reasoning that only its own provider can read, kept with who that is.

Providers prove their reasoning with signatures or seal it, want it back as it was, and
refuse one another's. A guest sends back what its dialect has a place for, to whichever
provider answers next. So for each guest there is a memory of two things: who wrote a
proof, to take it out of a request to somebody else, for that request only; and the
reasoning before each tool call, to put it back where a dialect has no place for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import TypeAlias

import msgspec
from attrs import define, evolve, field, frozen

from modelplex.events import (
    Event,
    Finished,
    Message,
    Part,
    RedactedThinking,
    Request,
    Role,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
)

PROOFS = 20_000  # whose writers are remembered
TURNS = 2_000  # turns with tool calls whose reasoning is kept
BYTES = 8 << 20  # characters, really, of all that reasoning
_PIECE = 64  # characters that a piece counts as besides its texts

IsForeign: TypeAlias = Callable[[str], bool]
"""Whether a proof was written by another provider than the one that is asked."""


@frozen
class Origin:
    """Who answers: the name of a provider, and its own name for the model."""

    provider: str
    model: str


NOBODY = Origin("", "")
"""Whoever is still to be chosen."""


@frozen
class _Turn:
    """
    One answer with tool calls.

    :ivar layout: in order, its reasoning, ``""`` for a text, the id of each call.
    """

    origin: Origin
    layout: tuple[Thinking | RedactedThinking | str, ...] = field(repr=False)
    size: int
    words: bytes = b""


@define(eq=False)
class ReasoningMemory:
    """
    What one guest's providers have proved; bounded, the oldest is forgotten first.

    A proof nobody is known to have written goes to everybody.
    """

    _proofs: int = PROOFS
    _turns: int = TURNS
    _bytes: int = BYTES
    _writers: dict[bytes, str] = field(factory=dict)
    _providers: set[str] = field(factory=set)
    _by_call: dict[str, _Turn] = field(factory=dict)
    _by_words: dict[bytes, str] = field(factory=dict)  # to a key of the former
    _size: int = 0

    def wrote(self, provider: str, proof: str) -> None:
        """Remember that `provider` wrote `proof`, in its dialect's form or ours."""
        key = _key(proof)
        self._writers.pop(key, None)
        self._writers[key] = provider
        self._providers.add(provider)
        if len(self._writers) > self._proofs:
            del self._writers[next(iter(self._writers))]

    def others_wrote(self, provider: str) -> IsForeign | None:
        """What tells the proofs of others from `provider`'s; ``None`` without any."""
        if not self._providers - {provider}:
            return None
        return lambda proof: self._writers.get(_key(proof), provider) != provider

    def recorder(self, origin: Origin) -> Recorder:
        """What is to see every event of one answer of `origin`'s."""
        return Recorder(self, origin, self._bytes)

    def keep(
        self,
        origin: Origin,
        layout: tuple[Thinking | RedactedThinking | str, ...],
        words: bytes = b"",
    ) -> None:
        """Remember an answer; see `_Turn`."""
        calls = [piece for piece in layout if isinstance(piece, str) and piece]
        size = sum(_PIECE + _size_of(piece) for piece in layout)
        if not calls or size > self._bytes:
            return
        self._forget(calls[0])
        self._by_call[calls[0]] = _Turn(origin, layout, size, words)
        if words:
            self._by_words[words] = calls[0]
        self._size += size
        while self._size > self._bytes or len(self._by_call) > self._turns:
            self._forget(next(iter(self._by_call)))

    def toward(self, origin: Origin, request: Request) -> Request:
        """
        `request` as `origin` may be sent it.

        The proofs of others are taken out, and its own reasoning is put back before
        tool calls that came without any.
        """
        foreign = self.others_wrote(origin.provider)
        if foreign is None and not self._by_call:
            return request
        used: set[str] = set()
        messages = tuple(
            self._message(origin, message, foreign, used)
            if message.role is Role.ASSISTANT
            else message
            for message in request.messages
        )
        if messages == request.messages:
            return request
        return evolve(request, messages=messages)

    def _message(
        self,
        origin: Origin,
        message: Message,
        foreign: IsForeign | None,
        used: set[str],
    ) -> Message:
        parts = message.parts
        if foreign is not None:
            parts = tuple(_without(parts, foreign))
        if not any(map(_is_proven, parts)):
            parts = self._restored(origin, parts, used)
        return message if parts == message.parts else evolve(message, parts=parts)

    def _restored(
        self, origin: Origin, parts: tuple[Part, ...], used: set[str]
    ) -> tuple[Part, ...]:
        calls = [part for part in parts if isinstance(part, ToolCall)]
        if not calls:
            return parts
        key, ids = calls[0].id, [call.id for call in calls]
        if key not in self._by_call and self._by_words:
            # A client that drops the ids of calls: they are known by what they say.
            thought = "".join(p.text for p in parts if isinstance(p, Thinking))
            said = [(call.name, call.arguments) for call in calls]
            key = self._by_words.get(_words(thought, said), "")
            ids = []
        turn = self._by_call.get(key)
        if turn is None or turn.origin != origin or key in used:
            return parts
        used.add(key)
        told = [piece for piece in turn.layout if isinstance(piece, str) and piece]
        if ids and told != ids:
            return parts  # the guest has changed what was said
        left = [p for p in parts if not isinstance(p, (Thinking, ToolCall))]
        made: list[Part] = []
        for piece in turn.layout:
            if not isinstance(piece, str):
                made.append(piece)
            elif piece:
                made += left
                left = []
                made.append(calls.pop(0))
            else:
                made += [p for p in left if isinstance(p, Text)]
                left = [p for p in left if not isinstance(p, Text)]
        return (*made, *left)

    def _forget(self, call: str) -> None:
        turn = self._by_call.pop(call, None)
        if turn is not None:
            self._size -= turn.size
            if self._by_words.get(turn.words) == call:
                del self._by_words[turn.words]


@define(eq=False)
class Recorder:
    """
    Sees the events of one answer, and remembers it when it is complete.

    Of one that is longer than the memory is, only who wrote its proofs is remembered.
    """

    _memory: ReasoningMemory
    _origin: Origin
    _left: int  # characters, until it is given up
    _layout: list[Thinking | RedactedThinking | str] = field(factory=list)
    _text: list[str] = field(factory=list)
    _thought: list[str] = field(factory=list)  # all of it
    _called: dict[int, tuple[str, list[str]]] = field(factory=dict)
    _proven: bool = False

    def saw(self, event: Event) -> None:
        """Take notice of `event`."""
        match event:
            case ThinkingSigned():
                self._memory.wrote(self._origin.provider, event.signature)
            case ThinkingRedacted():
                self._memory.wrote(self._origin.provider, event.content)
            case _:
                pass
        if self._left >= 0:
            self._saw(event)

    def _saw(self, event: Event) -> None:
        match event:
            case TextDelta():
                self._say("")
            case ThinkingDelta():
                if self._fits(event.text):
                    self._text.append(event.text)
                    self._thought.append(event.text)
            case ThinkingSigned():
                if not self._fits(event.signature):
                    return
                self._proven = True
                self._layout.append(Thinking("".join(self._text), event.signature))
                self._text.clear()
            case ThinkingRedacted():
                if not self._fits(event.content):
                    return
                self._proven = True
                self._layout.append(RedactedThinking(event.content))
            case ToolCallStarted():
                if self._fits(event.id, event.name):
                    self._say(event.id)
                    self._called[event.index] = (event.name, [])
            case ToolCallDelta():
                if self._fits(event.arguments):
                    self._called[event.index][1].append(event.arguments)
            case Finished():
                if self._proven:
                    said = [(n, "".join(a)) for n, a in self._called.values()]
                    words = _words("".join(self._thought), said)
                    self._memory.keep(self._origin, tuple(self._layout), words)
            case _:
                pass

    def _say(self, what: str) -> None:
        """A call's id, or nothing for a text; reasoning before it was not signed."""
        if self._text:
            self._text.clear()
        goes_on = not what and bool(self._layout) and self._layout[-1] == ""
        if what or (not goes_on and self._fits()):
            self._layout.append(what)

    def _fits(self, *texts: str) -> bool:
        """Count what is to be kept; give all of it up if that is too much."""
        self._left -= _PIECE + sum(map(len, texts))
        if self._left < 0:
            for kept in (self._layout, self._text, self._thought, self._called):
                kept.clear()
        return self._left >= 0


def _without(parts: tuple[Part, ...], foreign: IsForeign) -> Iterator[Part]:
    for part in parts:
        match part:
            case Thinking(signature=str(proof)) if foreign(proof):
                yield Thinking(part.text)
            case RedactedThinking() if foreign(part.content):
                pass
            case _:
                yield part


def _is_proven(part: Part) -> bool:
    return isinstance(part, RedactedThinking) or (
        isinstance(part, Thinking) and part.signature is not None
    )


def _size_of(piece: Thinking | RedactedThinking | str) -> int:
    match piece:
        case Thinking():
            return len(piece.text) + len(piece.signature or "")
        case RedactedThinking():
            return len(piece.content)
        case _:
            return len(piece)


def _key(proof: str) -> bytes:
    """The proof itself has no colon; what a dialect puts before it has."""
    return blake2b(proof.rpartition(":")[2].encode(), digest_size=16).digest()


def _words(thought: str, calls: Sequence[tuple[str, str]]) -> bytes:
    """What an answer thought and called, however its arguments are written."""
    said = [thought, *(text for n, a in calls for text in (n, _in_order(a)))]
    return blake2b("\0".join(said).encode("utf-8", "replace"), digest_size=16).digest()


def _in_order(arguments: str) -> str:
    try:
        read: object = msgspec.json.decode(arguments or "{}")
        return msgspec.json.encode(read, order="sorted").decode()
    except (msgspec.DecodeError, RecursionError):
        return arguments
