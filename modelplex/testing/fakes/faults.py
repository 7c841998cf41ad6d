"""Good answers as bytes on the wire, and every way in which they go wrong."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from enum import Enum
from http import HTTPStatus
from itertools import islice

from attrs import frozen

from modelplex.testing.fakes.speaker import Answer, Speaker

HUGE = 80 * 2**20  # bytes of a body without an end
_BLOCK = 2**16


class Act(Enum):
    """What an upstream does beside sending bytes."""

    HOLD = "wait until it is released, or hung up on"
    CLOSE = "close the connection"


Step = bytes | Act | float
"""Bytes to send, something to do, or seconds to wait."""


class Fault(Enum):
    """What goes wrong; the word says when, as far as the guest can tell."""

    HANG = "no header comes"
    CLOSE = "closed before a header"
    NOT_HTTP = "another protocol"
    HTML = "an HTML page with 200"
    ERROR_WITH_200 = "a JSON error with 200"
    NOT_GZIP = "said to be compressed, and is not"
    REDIRECT = "a 303 to another host"
    GARBAGE_FIRST = "not what the syntax says, at the start"
    CUT_FIRST = "closed within a chunk, at the start"
    ERROR_FIRST = "announced, then an error"
    HANG_FIRST = "announced, then silent"
    END_FIRST = "announced, then ended properly"
    HUGE = "a body without an end"
    LONG_LENGTH = "a content-length that is too large"
    SHORT_LENGTH = "a content-length that is too small"
    BAD_CHUNK = "a chunk without a size, in the middle"
    GARBAGE_LATER = "not what the syntax says, in the middle"
    CUT_LATER = "closed within a chunk, in the middle"
    ERROR_LATER = "an error, in the middle"
    HANG_LATER = "silent, in the middle"
    END_LATER = "ended properly, in the middle"
    DRIP = "never silent and never done"
    UNFRAMED = "ended by closing, as HTTP/1.0 does"
    WRONG_TYPE = "text/plain"
    GZIP = "compressed without having been asked"


@frozen
class Status:
    """
    An error status.

    :ivar headers: further lines of the header, such as ``retry-after``.
    """

    status: int
    message: str = "the fake upstream was told to fail"
    code: str | None = None
    headers: tuple[str, ...] = ()


def refused(speaker: Speaker, fault: Status) -> Iterator[Step]:
    """An error answer."""
    body = speaker.refusal(fault.status, fault.message, fault.code)
    yield _head(fault.status, "application/json", *fault.headers, length=len(body))
    yield body


def good(answer: Answer) -> Iterator[Step]:
    """A proper answer."""
    if not answer.streamed:
        body = b"".join(answer.pieces)
        yield _head(200, answer.media_type, length=len(body)) + body
        return
    yield _head(200, answer.media_type)
    yield from map(_chunk, answer.announcing)
    yield from map(_chunk, answer.pieces)
    yield _LAST


def broken(
    answer: Answer, fault: Fault, speaker: Speaker, elsewhere: str
) -> Iterator[Step]:
    """
    `answer`, with a fault.

    :param elsewhere: the URL of another host, to redirect to.
    """
    match fault:
        case Fault.HANG:
            yield Act.HOLD
            yield from good(answer)
        case Fault.CLOSE:
            yield Act.CLOSE
        case Fault.NOT_HTTP:
            yield b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n"
            yield Act.HOLD
        case Fault.HTML:
            page = b"<!DOCTYPE html><html><title>Sign in</title></html>"
            yield _head(200, "text/html; charset=utf-8", length=len(page)) + page
        case Fault.ERROR_WITH_200:
            body = speaker.refusal(500, "an error with 200")
            yield _head(200, "application/json", length=len(body)) + body
        case Fault.REDIRECT:
            yield _head(303, "text/plain", f"location: {elsewhere}", length=0)
        case Fault.UNFRAMED:
            yield _head(200, answer.media_type, "connection: close", length=-1)
            yield _body(answer)
            yield Act.CLOSE
        case Fault.WRONG_TYPE:
            body = _body(answer)
            yield _head(200, "text/plain", length=len(body)) + body
        case Fault.GZIP:
            yield from _compressed(answer)
        case Fault.NOT_GZIP:
            body = _body(answer)
            yield _head(200, answer.media_type, _ENCODED, length=len(body)) + body
        case Fault.HUGE:
            yield from _huge(answer, speaker)
        case Fault.LONG_LENGTH:
            body = b"".join((*answer.announcing, *islice(answer.pieces, 1)))
            yield _head(200, answer.media_type, length=len(body) + 9) + body
            yield Act.CLOSE
        case Fault.SHORT_LENGTH:
            body = _body(answer)
            yield _head(200, answer.media_type, length=len(body) * 3 // 4) + body
            yield Act.CLOSE
        case _:
            yield _head(200, answer.media_type)
            yield from _broken_within(answer, fault, speaker)


def _broken_within(answer: Answer, fault: Fault, speaker: Speaker) -> Iterator[Step]:
    """The rest of an answer whose header was good."""
    if not answer.streamed:
        yield from _broken_whole(_body(answer), fault, speaker)
        return
    pieces = iter(answer.pieces)
    yield from map(_chunk, answer.announcing)
    if "start" not in fault.value and "announced" not in fault.value:
        yield from map(_chunk, islice(pieces, 2))
        yield 0.02  # so that the guest has it before the fault
    match fault:
        case Fault.GARBAGE_FIRST | Fault.GARBAGE_LATER:
            yield _chunk(speaker.garbage)
        case Fault.CUT_FIRST | Fault.CUT_LATER:
            yield _chunk(next(pieces))[:-9]
            yield Act.CLOSE
            return
        case Fault.BAD_CHUNK:
            yield b"no size\r\n"
        case Fault.ERROR_FIRST | Fault.ERROR_LATER:
            yield _chunk(speaker.error_event("an error in the stream"))
        case Fault.HANG_FIRST | Fault.HANG_LATER:
            yield Act.HOLD
            yield from map(_chunk, pieces)
        case Fault.DRIP:
            for piece in pieces:
                yield _chunk(piece)
                yield 0.05
        case _:
            pass
    yield _LAST


def _broken_whole(body: bytes, fault: Fault, speaker: Speaker) -> Iterator[Step]:
    """The same fault as it shows in a body that is one piece."""
    half, rest = body[: len(body) // 2], body[len(body) // 2 :]
    match fault:
        case Fault.GARBAGE_FIRST | Fault.GARBAGE_LATER:
            yield _chunk(half + b"\xff\x00" + rest) + _LAST
        case Fault.CUT_FIRST | Fault.CUT_LATER:
            yield _chunk(half)[:-9]
            yield Act.CLOSE
        case Fault.BAD_CHUNK:
            yield _chunk(half) + b"no size\r\n"
        case Fault.ERROR_FIRST | Fault.ERROR_LATER:
            yield _chunk(speaker.refusal(500, "an error with 200")) + _LAST
        case Fault.HANG_FIRST | Fault.HANG_LATER:
            yield _chunk(half)
            yield Act.HOLD
            yield _chunk(rest) + _LAST
        case Fault.DRIP:
            for byte in body:
                yield _chunk(bytes((byte,)))
                yield 0.05
            yield _LAST
        case _:
            yield _chunk(half) + _LAST


def _huge(answer: Answer, speaker: Speaker) -> Iterator[Step]:
    yield _head(200, answer.media_type)
    yield _chunk(speaker.filler if answer.streamed else b'{"choices":"')
    block = _chunk(b"x" * _BLOCK)
    for _ in range(HUGE // _BLOCK):
        yield block
    yield _LAST


def _compressed(answer: Answer) -> Iterator[Step]:
    if not answer.streamed:
        body = gzip.compress(_body(answer))
        yield _head(200, answer.media_type, _ENCODED, length=len(body)) + body
        return
    yield _head(200, answer.media_type, _ENCODED)
    packing = zlib.compressobj(wbits=31)
    for piece in (*answer.announcing, *answer.pieces):
        packed = packing.compress(piece) + packing.flush(zlib.Z_SYNC_FLUSH)
        yield _chunk(packed)
    yield _chunk(packing.flush()) + _LAST


_ENCODED = "content-encoding: gzip"
_LAST = b"0\r\n\r\n"


def _body(answer: Answer) -> bytes:
    return b"".join((*answer.announcing, *answer.pieces))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _head(status: int, kind: str, *more: str, length: int | None = None) -> bytes:
    """The header; without a length the body is chunked, with -1 it is not framed."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:  # Anthropic's 529
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", f"content-type: {kind}", *more]
    if length is None:
        lines.append("transfer-encoding: chunked")
    elif length >= 0:
        lines.append(f"content-length: {length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
