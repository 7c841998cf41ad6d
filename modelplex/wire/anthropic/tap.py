"""Readers for messages that pass through: streams event by event, and whole ones."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from attrs import define, field
from msgspec import Raw, Struct

from modelplex.errors import GatewayError, UpstreamMalformed
from modelplex.events import Usage
from modelplex.wire.anthropic.errors import encode_error_event
from modelplex.wire.anthropic.words import WireUsage
from modelplex.wire.tap import (
    UNREADABLE,
    DecodeError,
    Framing,
    Noted,
    Seen,
    WholeTap,
    comment_only,
    cut_short,
    is_error,
    meant,
    no_json,
    wrong_with,
)

_SIGNATURE, _REDACTED = b'"signature"', b'"redacted_thinking"'
_SAID = ("text", "thinking", "partial_json", "signature")


class _Event(Struct, gc=False):
    type: str


class _Piece(Struct, gc=False):
    """A delta, or a block at its start, as far as it tells whether it says anything."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    signature: str | None = None
    data: str | None = None


class _Begun(Struct):
    delta: _Piece | None = None
    content_block: _Piece | None = None


class _Delta(Struct):
    stop_reason: str | None = None


class _Closing(Struct):
    delta: _Delta | None = None
    usage: Raw = Raw()


class _Message(Struct):
    usage: Raw = Raw()


class _Started(Struct):
    message: _Message | None = None


class _Whole(Struct):
    type: str | None = None
    error: Raw = Raw()
    stop_reason: str | None = None
    usage: Raw = Raw()


class _Content(Struct):
    content: list[Raw]


_EVENT = msgspec.json.Decoder(_Event)
_BEGUN = msgspec.json.Decoder(_Begun)
_CLOSING = msgspec.json.Decoder(_Closing)
_STARTED = msgspec.json.Decoder(_Started)
_WHOLE = msgspec.json.Decoder(_Whole)
_USAGE = msgspec.json.Decoder(WireUsage | None)
_CONTENT = msgspec.json.Decoder(_Content)
_PIECE = msgspec.json.Decoder(_Piece)


@define(eq=False)
class AnthropicTap:
    """
    Passes a stream of the Messages API and reads it on the way.

    :param noted: is told of signatures and of redacted thinking.
    """

    _decode_error: DecodeError
    _noted: Noted | None = None
    meaningful: bool = False
    done: bool = False
    usage: Usage | None = None
    finish: str | None = None
    error: GatewayError | None = None
    _counted: WireUsage = field(factory=WireUsage)
    _framing: Framing = field(factory=Framing)

    def feed(self, chunk: bytes) -> bytes:
        if self.done or self.error is not None:
            return b""
        try:
            return self._framing.feed(chunk, self._event)
        except UpstreamMalformed as e:
            self.error = e
            return b""

    def eof(self) -> bytes:
        if self.done or self.error is not None:
            return b""
        rest = self._framing.eof(self._event)
        if self.error is None and not self.done:
            self.error = cut_short()
        return rest

    def fail(self, error: GatewayError) -> bytes:
        return encode_error_event(error)

    def _event(self, payload: bytes | None, frame: bytes) -> bytes:
        if self.done or self.error is not None:
            return b""
        if not payload:
            if payload is None and is_error(frame):
                self.error = meant(self._decode_error, frame)
            return comment_only(payload, frame)
        try:
            kind = _EVENT.decode(payload).type
        except msgspec.ValidationError:
            if payload.startswith(b"[DONE]"):  # of servers that are like OpenAI's
                self.error = cut_short()
            else:
                self.error = wrong_with(payload, self._decode_error)
            return frame if self.error is None else b""
        except UNREADABLE:
            self.error = no_json()
            return b""
        match kind:
            case "content_block_delta" | "content_block_start":
                if not self.meaningful:
                    self.meaningful = _says_something(payload)
                if self._noted is not None and (
                    _SIGNATURE in payload or _REDACTED in payload
                ):
                    for proof in _proofs(payload):
                        self._noted(proof)
            case "message_start":
                self._start(payload)
            case "message_delta":
                self._close(payload)
            case "message_stop":
                self.meaningful = self.done = True
            case "error":
                self.error = meant(self._decode_error, payload)
                return b""
            case _:
                pass  # ping, the end of a block, or a type not known yet
        return frame

    def _start(self, payload: bytes) -> None:
        try:
            message = _STARTED.decode(payload).message
        except UNREADABLE:
            return  # of a shape we do not know: not ours to judge
        if message is not None:
            self._count(message.usage)

    def _close(self, payload: bytes) -> None:
        try:
            closing = _CLOSING.decode(payload)
        except UNREADABLE:
            return
        self._count(closing.usage)
        if closing.delta is not None and closing.delta.stop_reason is not None:
            self.finish = closing.delta.stop_reason
            self.meaningful = True

    def _count(self, raw: Raw) -> None:
        """Counts are those of the whole message so far; later ones replace earlier."""
        counted = _counts(raw)
        if counted is not None:
            self._counted = self._counted.updated(counted)
            self.usage = self._counted.canonical()


def _counts(raw: Raw) -> WireUsage | None:
    """Counts that are no counts are not worth an error: they are ``None``."""
    try:
        return _USAGE.decode(raw) if raw else None
    except UNREADABLE:
        return None


def _says_something(payload: bytes) -> bool:
    """Whether a delta or the start of a block is part of an answer."""
    try:
        begun = _BEGUN.decode(payload)
    except UNREADABLE:
        return True
    delta, block = begun.delta, begun.content_block
    if delta is not None:
        said = any(getattr(delta, key) for key in _SAID)
        return said or delta.type not in (
            *("text_delta", "thinking_delta", "input_json_delta", "signature_delta"),
            "",
        )
    if block is None:
        return False
    # The start of a call is news; other blocks than these come whole, or are work that
    # the provider has begun.
    return block.type not in ("text", "thinking", "") or bool(
        block.text or block.thinking
    )


def _proofs(payload: bytes) -> Iterator[str]:
    """The proofs in a delta or in the start of a block."""
    try:
        begun = _BEGUN.decode(payload)
    except UNREADABLE:
        return
    for piece in (begun.delta, begun.content_block):
        if piece is not None:
            yield from _proof_of(piece)


def _proof_of(piece: _Piece) -> Iterator[str]:
    if piece.signature:
        yield piece.signature
    if piece.type == "redacted_thinking" and piece.data:
        yield piece.data


# --- whole replies ----------------------------------------------------------


def read_message(body: bytes, decode_error: DecodeError) -> Seen:
    """What a message says that is not streamed, or a count of tokens."""
    message = _WHOLE.decode(body)
    if message.type == "error" or is_error(body):
        raise decode_error(200, body)
    usage = _counts(message.usage)
    proves = _SIGNATURE in body or _REDACTED in body
    proofs = tuple(_whole_proofs(body)) if proves else ()
    counted = None if usage is None else usage.canonical()
    return Seen(counted, message.stop_reason, proofs)


def _whole_proofs(body: bytes) -> Iterator[str]:
    try:
        blocks = _CONTENT.decode(body).content
    except UNREADABLE:
        return
    for block in blocks:
        try:
            piece = _PIECE.decode(block)
        except UNREADABLE:
            continue  # a block not known yet
        yield from _proof_of(piece)


def whole_tap(
    decode_error: DecodeError, limit: int, noted: Noted | None = None
) -> WholeTap:
    """Passes a message that is not streamed, and reads it."""
    return WholeTap(decode_error, limit, read_message, noted=noted)
