"""``POST /v1/messages/count_tokens``, both ways."""

from __future__ import annotations

import msgspec

from modelplex.events import Request
from modelplex.wire.anthropic.request_in import decode_request
from modelplex.wire.anthropic.request_out import encode_request
from modelplex.wire.counting import CountDialect, decode_input_tokens
from modelplex.wire.dialect import Encoded
from modelplex.wire.jsonobject import JsonObject, open_object

# The API refuses every other member (docs.claude.com, "Count tokens in a Message").
_COUNTED = frozenset(
    {"messages", "model", "system", "thinking", "tool_choice", "tools", "output_config"}
)


def decode_count_request(body: JsonObject) -> Request:
    """The request whose tokens are to be counted; it has no ``max_tokens``."""
    if "max_tokens" not in body:
        body = open_object(body.splice({"max_tokens": b"1"}))
    return decode_request(body)


def encode_count_request(request: Request) -> Encoded:
    """The body that asks to count `request`."""
    encoded = encode_request(request)
    whole = open_object(encoded.body)
    others = dict.fromkeys(key for key in whole.spans if key not in _COUNTED)
    return Encoded(whole.splice(others), encoded.dropped)


def encode_count_reply(tokens: int) -> bytes:
    """The reply that says `tokens`."""
    return msgspec.json.encode({"input_tokens": tokens})


ANTHROPIC_COUNT = CountDialect(
    "anthropic", encode_count_request, decode_input_tokens, encode_count_reply
)
