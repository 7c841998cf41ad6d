"""The two dialects, put together."""

from __future__ import annotations

from modelplex.wire.dialect import Dialect
from modelplex.wire.ollama.chat_in import decode_chat
from modelplex.wire.ollama.chat_out import encode_chat
from modelplex.wire.ollama.errors import decode_error, encode_error
from modelplex.wire.ollama.fidelity import CHAT, GENERATE
from modelplex.wire.ollama.generate import decode_generate, encode_generate
from modelplex.wire.ollama.reply import (
    decode_chat_reply,
    decode_generate_reply,
    encode_chat_reply,
    encode_generate_reply,
)
from modelplex.wire.ollama.stream import (
    chat_decoder,
    chat_encoder,
    generate_decoder,
    generate_encoder,
)

OLLAMA = Dialect(
    name="ollama",
    media_type=b"application/x-ndjson",
    keepalive=b"",
    fidelity=CHAT,
    decode_request=decode_chat,
    encode_request=encode_chat,
    decode_reply=decode_chat_reply,
    encode_reply=encode_chat_reply,
    decoder=chat_decoder,
    encoder=chat_encoder,
    decode_error=decode_error,
    encode_error=encode_error,
)

OLLAMA_GENERATE = Dialect(
    name="ollama-generate",
    media_type=b"application/x-ndjson",
    keepalive=b"",
    fidelity=GENERATE,
    decode_request=decode_generate,
    encode_request=encode_generate,
    decode_reply=decode_generate_reply,
    encode_reply=encode_generate_reply,
    decoder=generate_decoder,
    encoder=generate_encoder,
    decode_error=decode_error,
    encode_error=encode_error,
)
