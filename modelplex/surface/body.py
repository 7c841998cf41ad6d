"""What a guest's request body is once its content codings are undone."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable

from modelplex.errors import BadRequest, TooLarge

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

#: What a 415 tells the guest to use instead (RFC 9110 §15.5.16).
ACCEPTED = b"gzip, deflate, zstd, identity"

#: Codings of one body, and members or frames of one coding. Each costs a pass over
#: what is left of the input, so both are bounded.
MAX_CODINGS = 3
MAX_MEMBERS = 32

#: A zstd frame may ask its reader for a window; RFC 9659 caps it at 8 MiB.
MAX_WINDOW_LOG = 23


def decoded(body: bytes, encoding: bytes, limit: int) -> bytes:
    """
    `body` with every coding of a ``Content-Encoding`` value undone.

    :param encoding: the header's value, several joined with commas, in the order in
        which they were applied.
    :param limit: the most bytes that any step may give.
    :raises TooLarge: a step gives more than `limit` bytes.
    :raises BadRequest: the bytes are not what `encoding` says; status 415 when it
        names a coding that is not in `ACCEPTED`.
    """
    codings = [coding.strip().lower() for coding in encoding.split(b",")]
    undo = [_undo(coding) for coding in codings if coding not in (b"", b"identity")]
    if len(undo) > MAX_CODINGS:
        raise BadRequest(f"more than {MAX_CODINGS} content codings")
    for step in reversed(undo):
        if body:  # a GET that announces gzip and sends nothing
            body = step(body, limit)
    return body


def _undo(coding: bytes) -> Callable[[bytes, int], bytes]:
    match coding:
        case b"gzip" | b"x-gzip":
            return _gunzip
        case b"deflate":
            return _inflate
        case b"zstd":
            return _unzstd
    name = coding[:40].decode("ascii", "replace")
    raise BadRequest(
        f"content-encoding {name!r} is not one of {ACCEPTED.decode()}",
        status=415,
        code="unsupported_content_encoding",
    )


def _gunzip(body: bytes, limit: int) -> bytes:
    return _zlib(body, limit, "gzip", 16 + zlib.MAX_WBITS)


def _inflate(body: bytes, limit: int) -> bytes:
    # "deflate" means zlib's framing (RFC 9110 §8.4.1.2); some clients send it bare.
    framed = body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return _zlib(body, limit, "deflate", zlib.MAX_WBITS if framed else -zlib.MAX_WBITS)


def _zlib(body: bytes, limit: int, name: str, wbits: int) -> bytes:
    parts: list[bytes] = []
    room = limit
    for _ in range(MAX_MEMBERS if name == "gzip" else 1):
        member = zlib.decompressobj(wbits)
        try:
            part = member.decompress(body, room + 1)
        except zlib.error:
            raise _invalid(name) from None
        room -= len(part)
        if room < 0:
            raise _too_large(limit)
        if not member.eof:
            raise _truncated(name)
        parts.append(part)
        body = member.unused_data
        if not body:
            return parts[0] if len(parts) == 1 else b"".join(parts)
    raise _invalid(name)


def _unzstd(body: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    room = limit
    for _ in range(MAX_MEMBERS):
        frame = ZstdDecompressor(
            options={DecompressionParameter.window_log_max: MAX_WINDOW_LOG}
        )
        try:
            part = frame.decompress(body, room + 1)
        except ZstdError:
            raise _invalid("zstd") from None
        room -= len(part)
        if room < 0:
            raise _too_large(limit)
        if not frame.eof:
            raise _truncated("zstd")
        parts.append(part)
        body = frame.unused_data
        if not body:
            return parts[0] if len(parts) == 1 else b"".join(parts)
    raise _invalid("zstd")


def _invalid(name: str) -> BadRequest:
    return BadRequest(f"the request body is not valid {name}")


def _truncated(name: str) -> BadRequest:
    return BadRequest(f"the {name} request body is cut off")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the decompressed request is larger than {limit} bytes")
