"""The Anthropic Messages API as a `Dialect`."""

from __future__ import annotations

from modelplex.wire.anthropic.errors import decode_error, encode_error
from modelplex.wire.anthropic.fidelity import FIDELITY
from modelplex.wire.anthropic.proofs import without_foreign
from modelplex.wire.anthropic.reply import decode_reply, encode_reply
from modelplex.wire.anthropic.request_in import decode_request
from modelplex.wire.anthropic.request_out import encode_request
from modelplex.wire.anthropic.stream_in import AnthropicDecoder
from modelplex.wire.anthropic.stream_out import PING, AnthropicEncoder
from modelplex.wire.dialect import Dialect

ANTHROPIC = Dialect(
    name="anthropic",
    media_type=b"text/event-stream",
    keepalive=PING,
    fidelity=FIDELITY,
    decode_request=decode_request,
    encode_request=encode_request,
    decode_reply=decode_reply,
    encode_reply=encode_reply,
    decoder=AnthropicDecoder,
    encoder=AnthropicEncoder,
    decode_error=decode_error,
    encode_error=encode_error,
    without_foreign=without_foreign,
)
