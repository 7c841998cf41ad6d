"""Whole replies of the Gemini API, both ways."""

from __future__ import annotations

import msgspec

from modelplex.errors import GatewayError, UpstreamCut, UpstreamMalformed
from modelplex.events import (
    Event,
    Part,
    RedactedThinking,
    Refusal,
    Reply,
    Text,
    Thinking,
    ToolCall,
    gather,
)
from modelplex.wire.dialect import Answering
from modelplex.wire.gemini import shown
from modelplex.wire.gemini.chunk_reader import ChunkReader
from modelplex.wire.gemini.errors import decode_error
from modelplex.wire.gemini.logprobs import wire_logprobs
from modelplex.wire.gemini.part_reader import joined
from modelplex.wire.gemini.signatures import own, seal


def decode_reply(body: bytes) -> Reply:
    """
    The reply that `body` is.

    :raises GatewayError: it is an error after all, or no reply at all.
    """
    if body.lstrip()[:1] == b"[":
        raise decode_error(200, body)  # only errors stand in an array here
    events: list[Event] = []
    reader = ChunkReader()
    try:
        reader.read(body, events)
        reader.finish(events)
    except UpstreamCut:
        raise UpstreamMalformed("the reply does not say why it ended") from None
    except GatewayError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise UpstreamMalformed(f"the reply cannot be read: {e}") from None
    return gather(joined(events))


def encode_reply(reply: Reply, answering: Answering) -> bytes:
    """The response that says `reply` to a guest."""
    parts: list[bytes] = []
    signatures = {
        known.call: known.wire
        for part in reply.parts
        if isinstance(part, Thinking)
        and (known := own(part.signature)) is not None
        and known.call is not None
    }
    calls = 0
    for part in reply.said:
        if isinstance(part, ToolCall):
            signature = shown.call_signature(calls, signatures.get(calls))
            calls += 1
            written = [part.arguments]
            made = shown.Call(part.id, part.name, part.custom, signature, written)
            parts.append(made.part())
        else:
            parts += _parts(part)
    ending = shown.stopped(reply.finish)
    if reply.logprobs:
        ending["logprobsResult"] = wire_logprobs(reply.logprobs)
    about = shown.about(reply.id, answering, reply.usage)
    return shown.response(parts, ending, about)


def _parts(part: Part) -> list[bytes]:
    match part:
        case Text() | Refusal():
            return [shown.text_part(part.text)] if part.text else []
        case Thinking():
            known = own(part.signature)
            made = [shown.thought_part(part.text)] if part.text else []
            if part.signature and (known is None or known.call is None):
                made.append(shown.proof_part(part.signature))
            return made
        case RedactedThinking():
            return [shown.sealed_part(seal(part.content))]
        case _:
            return []  # the dialect answers with nothing else
