"""OpenAI's Responses API as a `Dialect`."""

from __future__ import annotations

from modelplex.wire.dialect import Dialect
from modelplex.wire.openai.errors import encode_error
from modelplex.wire.responses.errors import decode_error
from modelplex.wire.responses.fidelity import FIDELITY
from modelplex.wire.responses.history import without_foreign
from modelplex.wire.responses.request_in import decode_request
from modelplex.wire.responses.request_out import encode_request
from modelplex.wire.responses.stream_in import ResponsesDecoder, decode_reply
from modelplex.wire.responses.stream_out import ResponseStream, encode_reply
from modelplex.wire.sse import comment

RESPONSES = Dialect(
    name="openai-responses",
    media_type=b"text/event-stream",
    keepalive=comment("waiting"),
    fidelity=FIDELITY,
    decode_request=decode_request,
    encode_request=encode_request,
    decode_reply=decode_reply,
    encode_reply=encode_reply,
    decoder=ResponsesDecoder,
    encoder=ResponseStream,
    decode_error=decode_error,
    encode_error=encode_error,
    without_foreign=without_foreign,
)
