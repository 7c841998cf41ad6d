"""The Gemini API as a `Dialect`, in each of the two forms of its streams."""

from __future__ import annotations

from attrs import evolve

from modelplex.wire.dialect import Dialect
from modelplex.wire.gemini.errors import decode_error, encode_error
from modelplex.wire.gemini.fidelity import FIDELITY
from modelplex.wire.gemini.proofs import without_foreign
from modelplex.wire.gemini.reply import decode_reply, encode_reply
from modelplex.wire.gemini.request_in import decode_request
from modelplex.wire.gemini.request_out import encode_request
from modelplex.wire.gemini.stream_in import GeminiDecoder
from modelplex.wire.gemini.stream_out import (
    KEEPALIVE,
    GeminiArrayEncoder,
    GeminiEncoder,
)

GEMINI = Dialect(
    name="gemini",
    media_type=b"text/event-stream",
    keepalive=KEEPALIVE,
    fidelity=FIDELITY,
    decode_request=decode_request,
    encode_request=encode_request,
    decode_reply=decode_reply,
    encode_reply=encode_reply,
    decoder=GeminiDecoder,
    encoder=GeminiEncoder,
    decode_error=decode_error,
    encode_error=encode_error,
    without_foreign=without_foreign,
)

GEMINI_ARRAY = evolve(
    GEMINI, media_type=b"application/json", encoder=GeminiArrayEncoder
)
"""For a guest that asked to stream without ``alt=sse``; reads what `GEMINI` reads."""
