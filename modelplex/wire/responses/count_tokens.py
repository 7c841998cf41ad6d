"""``POST /v1/responses/input_tokens``, both ways."""

from __future__ import annotations

import msgspec

from modelplex.events import Request
from modelplex.wire.counting import CountDialect, decode_input_tokens
from modelplex.wire.dialect import Encoded
from modelplex.wire.jsonobject import open_object
from modelplex.wire.responses.request_out import encode_request

_COUNTED = frozenset(
    {
        *("input", "instructions", "model", "parallel_tool_calls", "reasoning"),
        *("text", "tool_choice", "tools"),
    }
)


def encode_count_request(request: Request) -> Encoded:
    """The body that asks to count `request`."""
    encoded = encode_request(request)
    whole = open_object(encoded.body)
    others = dict.fromkeys(key for key in whole.spans if key not in _COUNTED)
    return Encoded(whole.splice(others), encoded.dropped)


def encode_count_reply(tokens: int) -> bytes:
    """The reply that says `tokens`."""
    return msgspec.json.encode(
        {"object": "response.input_tokens", "input_tokens": tokens}
    )


RESPONSES_COUNT = CountDialect(
    "openai-responses", encode_count_request, decode_input_tokens, encode_count_reply
)
