"""
Readers for Gemini's replies that pass through: streams in either form, and whole ones.

A provider is always asked for server-sent events (``alt=sse``); for a guest that
streams without, their payloads become the items of one array. The end of a stream is
the end of its body, after a reason was given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import msgspec
from attrs import define, field
from msgspec import Raw, Struct

from modelplex.errors import GatewayError, UpstreamMalformed
from modelplex.events import Usage
from modelplex.wire.gemini.errors import encode_error_chunk
from modelplex.wire.gemini.words import WireUsage
from modelplex.wire.tap import (
    UNREADABLE,
    DecodeError,
    Framing,
    Noted,
    Seen,
    WholeTap,
    cut_short,
    is_error,
    meant,
    no_json,
    wrong_with,
)

_SIGNATURE = b'"thoughtSignature"'
_ABSENT = (b"", b"null")
_EMPTY = (b"null", b'""', b"[]", b"{}")
_ABOUT = ("thought", "thoughtSignature", "partMetadata")  # members that say nothing


class _Candidate(Struct, rename="camel", gc=False):
    finish_reason: str | None = None


class _Feedback(Struct, rename="camel"):
    block_reason: str | None = None


class _Chunk(Struct, rename="camel", gc=False):
    candidates: list[_Candidate] | None = None
    usage_metadata: Raw = Raw()
    prompt_feedback: _Feedback | None = None
    error: Raw = Raw()


class _Content(Struct):
    parts: list[dict[str, Raw]] | None = None


class _Told(Struct):
    content: _Content | None = None


class _Telling(Struct):
    """A chunk, as far as it has parts."""

    candidates: list[_Told] | None = None


_CHUNK = msgspec.json.Decoder(_Chunk)
_TELLING = msgspec.json.Decoder(_Telling)
_USAGE = msgspec.json.Decoder(WireUsage | None)
_TEXT = msgspec.json.Decoder(str)


class Form(Protocol):
    """How the chunks of a stream reach the guest."""

    def passed(self, payload: bytes, frame: bytes) -> bytes:
        """What passes of the event `frame`, whose data are `payload`."""

    def told(self, payload: bytes) -> bytes:
        """A chunk of our own."""

    def closed(self) -> bytes:
        """What ends the stream."""


class AsEvents:
    """As they came, but for what Google's SDKs cannot read."""

    def passed(self, payload: bytes, frame: bytes) -> bytes:
        plain = frame.startswith(b"data: ") and frame.startswith(payload, 6)
        if plain and not frame[6 + len(payload) :].strip():
            return frame
        # A line that does not begin with "data: " is JSON to the Python SDK.
        return self.told(payload.replace(b"\n", b" "))

    def told(self, payload: bytes) -> bytes:
        return b"data: " + payload + b"\r\n\r\n"

    def closed(self) -> bytes:
        return b""


@define(eq=False)
class AsArray:
    """The items of one array that grows."""

    _begun: bool = False

    def passed(self, payload: bytes, frame: bytes) -> bytes:
        return self.told(payload)

    def told(self, payload: bytes) -> bytes:
        before = b",\r\n" if self._begun else b"["
        self._begun = True
        return before + payload

    def closed(self) -> bytes:
        return b"]"


@define(eq=False)
class GeminiTap:
    """
    Passes a stream of server-sent events and reads it on the way.

    :param noted: is told of thought signatures.
    """

    _decode_error: DecodeError
    _noted: Noted | None = None
    meaningful: bool = False
    done: bool = False
    usage: Usage | None = None
    finish: str | None = None
    error: GatewayError | None = None
    _form: Form = field(factory=AsEvents)
    _framing: Framing = field(factory=Framing)

    def feed(self, chunk: bytes) -> bytes:
        if self.done or self.error is not None:
            return b""
        # One event in one chunk, as nearly all are.
        if (
            chunk.startswith(b"data: ")
            and chunk.endswith(b"\r\n\r\n")
            and chunk.find(b"\r") == len(chunk) - 4
            and chunk.find(b"\n") == len(chunk) - 3
            and not self._framing.frames.unfinished
        ):
            return self._event(chunk[6:-4], chunk)
        try:
            return self._framing.feed(chunk, self._event)
        except UpstreamMalformed as e:
            self.error = e
            return b""

    def eof(self) -> bytes:
        if self.done or self.error is not None:
            return b""
        rest = self._framing.eof(self._event)
        if self.error is not None:
            return rest
        if self.finish is None:
            self.error = cut_short()
            return rest
        self.done = True
        return rest + self._form.closed()

    def fail(self, error: GatewayError) -> bytes:
        return self._form.told(encode_error_chunk(error)) + self._form.closed()

    def _event(self, payload: bytes | None, frame: bytes) -> bytes:
        if self.error is not None:
            return b""
        if payload is None and is_error(frame):  # it may come bare
            payload = frame
        if not payload or payload.startswith(b"[DONE]"):
            return b""  # nothing that Google's SDKs can read
        try:
            chunk = _CHUNK.decode(payload)
        except msgspec.ValidationError:
            self.error = wrong_with(payload, self._decode_error)
            return self._form.passed(payload, frame) if self.error is None else b""
        except UNREADABLE:
            if not payload.isspace():
                self.error = no_json()
            return b""
        if bytes(chunk.error) not in _ABSENT:
            self.error = meant(self._decode_error, payload)
            return b""
        self.usage = _counts(chunk.usage_metadata) or self.usage
        self.finish = _reason(chunk) or self.finish
        if not self.meaningful:
            self.meaningful = self.finish is not None or _says_something(payload)
        if self._noted is not None and _SIGNATURE in payload:
            for proof in _proofs(payload):
                self._noted(proof)
        return self._form.passed(payload, frame)


def array_tap(decode_error: DecodeError, noted: Noted | None = None) -> GeminiTap:
    """The same for a guest that streams without ``alt=sse``."""
    return GeminiTap(decode_error, noted, form=AsArray())


def _counts(raw: Raw) -> Usage | None:
    """Counts that are no counts are not worth an error: they are ``None``."""
    try:
        counted = _USAGE.decode(raw) if raw else None
    except UNREADABLE:
        return None
    return None if counted is None else counted.canonical()


def _reason(chunk: _Chunk) -> str | None:
    """Why the model stopped, or was never asked."""
    for candidate in chunk.candidates or ():
        reason = candidate.finish_reason
        if reason and reason != "FINISH_REASON_UNSPECIFIED":
            return reason
    feedback = chunk.prompt_feedback
    return (feedback and feedback.block_reason) or None


def _parts(payload: bytes) -> Iterator[dict[str, Raw]]:
    try:
        candidates = _TELLING.decode(payload).candidates or ()
    except UNREADABLE:
        return
    for told in candidates:
        yield from (told.content and told.content.parts) or ()


def _says_something(payload: bytes) -> bool:
    return any(
        key not in _ABOUT and bytes(value) not in _EMPTY
        for part in _parts(payload)
        for key, value in part.items()
    )


def _proofs(payload: bytes) -> Iterator[str]:
    """The thought signatures in a chunk, or in a whole reply."""
    for part in _parts(payload):
        raw = part.get("thoughtSignature")
        try:
            proof = _TEXT.decode(raw) if raw is not None else ""
        except UNREADABLE:
            continue
        if proof:
            yield proof


# --- whole replies ----------------------------------------------------------


def read_reply(body: bytes, decode_error: DecodeError) -> Seen:
    """What a response says that is not streamed, or a count of tokens, or vectors."""
    if body.lstrip()[:1] == b"[" and is_error(body):
        raise decode_error(200, body)
    chunk = _CHUNK.decode(body)
    if bytes(chunk.error) not in _ABSENT:
        raise decode_error(200, body)
    proofs = tuple(_proofs(body)) if _SIGNATURE in body else ()
    return Seen(_counts(chunk.usage_metadata), _reason(chunk), proofs)


def whole_tap(
    decode_error: DecodeError, limit: int, noted: Noted | None = None
) -> WholeTap:
    """Passes a reply that is not streamed, and reads it."""
    return WholeTap(decode_error, limit, read_reply, noted=noted)
