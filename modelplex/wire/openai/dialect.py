"""OpenAI's two text dialects, put together."""

from __future__ import annotations

from modelplex.wire.dialect import Dialect, StreamDecoder
from modelplex.wire.openai import (
    chat_in,
    chat_out,
    chat_reply,
    completions_in,
    completions_out,
    completions_reply,
)
from modelplex.wire.openai.chat_chunks import ChatChunks
from modelplex.wire.openai.chat_stream import ChatStream
from modelplex.wire.openai.completions_reply import CompletionChunks
from modelplex.wire.openai.completions_stream import CompletionStream
from modelplex.wire.openai.errors import decode_error, encode_error
from modelplex.wire.openai.event_stream import EventStream
from modelplex.wire.openai.fidelity import CHAT, COMPLETIONS
from modelplex.wire.openai.proofs import without_foreign
from modelplex.wire.sse import comment

_EVENTS = b"text/event-stream"
_KEEPALIVE = comment("waiting")


def _chat_decoder() -> StreamDecoder:
    return EventStream(ChatChunks(), chat_reply.decode_reply)


def _completions_decoder() -> StreamDecoder:
    return EventStream(CompletionChunks(), completions_reply.decode_reply)


OPENAI_CHAT = Dialect(
    name="openai-chat",
    media_type=_EVENTS,
    keepalive=_KEEPALIVE,
    fidelity=CHAT,
    decode_request=chat_in.decode_request,
    encode_request=chat_out.encode_request,
    decode_reply=chat_reply.decode_reply,
    encode_reply=chat_reply.encode_reply,
    decoder=_chat_decoder,
    encoder=ChatStream,
    decode_error=decode_error,
    encode_error=encode_error,
    without_foreign=without_foreign,
)

OPENAI_COMPLETIONS = Dialect(
    name="openai-completions",
    media_type=_EVENTS,
    keepalive=_KEEPALIVE,
    fidelity=COMPLETIONS,
    decode_request=completions_in.decode_request,
    encode_request=completions_out.encode_request,
    decode_reply=completions_reply.decode_reply,
    encode_reply=completions_reply.encode_reply,
    decoder=_completions_decoder,
    encoder=CompletionStream,
    decode_error=decode_error,
    encode_error=encode_error,
)
