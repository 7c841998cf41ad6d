"""``countTokens``: how many tokens a request would be, both ways."""

from __future__ import annotations

from typing import Any

import msgspec

from modelplex.errors import UpstreamMalformed
from modelplex.events import Request
from modelplex.wire.counting import CountDialect
from modelplex.wire.dialect import Encoded
from modelplex.wire.gemini.errors import decode_error
from modelplex.wire.gemini.members import body_members
from modelplex.wire.gemini.request_in import decode_members
from modelplex.wire.gemini.request_out import encode_request
from modelplex.wire.jsonobject import JsonObject
from modelplex.wire.typed import pack


def decode_count_request(body: JsonObject) -> Request:
    """
    The request whose tokens are to be counted: `contents`, or a whole one inside.

    :raises BadRequest: a member is missing or of the wrong type; names it.
    """
    given = body_members(body)
    if "generateContentRequest" in given:
        return decode_members(given.within("generateContentRequest"))
    return decode_members(given)


def encode_count_request(request: Request) -> Encoded:
    """
    The body that asks to count `request`, its system prompt and tools included.

    :raises GatewayError: the request cannot be said to Gemini.
    """
    encoded = encode_request(request)
    model = request.model
    if not model.startswith(("models/", "tunedModels/")):
        model = f"models/{model}"
    whole: dict[str, Any] = {"model": model}
    whole |= msgspec.json.decode(encoded.body, type=dict[str, msgspec.Raw])
    return Encoded(pack({"generateContentRequest": whole}), encoded.dropped)


class _Counted(msgspec.Struct, rename="camel"):
    total_tokens: int
    error: Any = None


def decode_count_reply(body: bytes) -> int:
    """
    The number of tokens that a provider counted.

    :raises GatewayError: it is an error after all, or no number.
    """
    try:
        return max(0, msgspec.json.decode(body, type=_Counted).total_tokens)
    except (msgspec.DecodeError, RecursionError) as e:
        if b'"error"' in body[:4096]:
            raise decode_error(200, body) from None
        raise UpstreamMalformed(f"the provider sent no count: {e}") from None


def encode_count_reply(tokens: int) -> bytes:
    """The reply that says `tokens`."""
    return msgspec.json.encode({"totalTokens": tokens})


GEMINI_COUNT = CountDialect(
    "gemini", encode_count_request, decode_count_reply, encode_count_reply
)
