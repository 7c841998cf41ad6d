from __future__ import annotations

from pathlib import Path

import pytest

from modelplex.testing.oracle_anthropic import read_message

GOLDEN = Path(__file__).parents[1] / "wire" / "golden" / "anthropic" / "stream.sse"

# The golden stream has a server tool, which our encoder never writes.
SERVER_TOOL = b'"type":"server_tool_use","id":"srvtoolu_1","name":"web_search"'
STREAM = GOLDEN.read_bytes().replace(
    SERVER_TOOL, b'"type":"tool_use","id":"toolu_0","name":"web_search"'
)


def test_a_stream_that_obeys_the_rules_is_put_together() -> None:
    message = read_message(STREAM)
    assert [block["type"] for block in message["content"]] == [
        "thinking",
        "redacted_thinking",
        "tool_use",
        "text",
        "tool_use",
        "tool_use",
    ]
    assert message["usage"]["output_tokens"] == 90


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"index":5', b'"index":6'),
        (b"event: message_stop", b"event: message_end"),
        (b'"usage":{"output_tokens":90', b'"usage":{"no":90'),
        (b'"signature":"c2lnbmVk"', b'"signature":""'),
        (b'"stop_reason":"tool_use"', b'"stop_reason":"tool_calls"'),
        (b'"delta":{"type":"text_delta"', b'"delta":{"type":"thinking_delta"'),
        (b'\ndata: {"type":"message_stop"}\n', b'\ndata: {"type":"ping"}\n'),
        (b'[1,2.5,null]}}"', b'[1,2.5,null]}"'),
    ],
)
def test_a_stream_that_breaks_one_does_not_pass(old: bytes, new: bytes) -> None:
    assert old in STREAM
    with pytest.raises((AssertionError, ValueError, KeyError)):
        read_message(STREAM.replace(old, new))
