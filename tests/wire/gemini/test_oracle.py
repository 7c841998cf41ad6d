"""The oracle passes what obeys the rules, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelplex.events import (
    Event,
    Finished,
    FinishReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from modelplex.testing.oracle_gemini import check_request, frames, read_reply
from modelplex.wire.dialect import Answering
from modelplex.wire.gemini.dialect import GEMINI

GOLDEN = Path(__file__).parents[1] / "golden" / "gemini" / "request.json"
EVENTS: list[Event] = [
    ThinkingDelta("hm"),
    TextDelta("a"),
    ToolCallStarted(0, "c", "f"),
    ToolCallDelta(0, "{}"),
    Finished(FinishReason.STOP),
]
ENCODER = GEMINI.encoder(Answering("m", 0, id="r"))
STREAM = b"".join(map(ENCODER.encode, EVENTS)) + ENCODER.end()


def test_a_stream_that_obeys_the_rules_is_put_together() -> None:
    assert [part.get("text") for part in read_reply(frames(STREAM))["parts"]] == [
        "hm",
        "a",
        None,
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"data: {", b"data:{"),
        (b"\r\n\r\n", b"\n\n"),
        (b'"finishReason":"STOP"', b'"finishReason":"tool_calls"'),
        (b'"finishReason":"STOP",', b""),
        (b'"id":"c"', b'"id":""'),
        (b'"args":{}', b'"args":"{}"'),
        (b'{"text":"a"}', b"{}"),
        (b'"role":"model"', b'"role":"assistant"'),
        (b'"totalTokenCount":0', b'"totalTokenCount":1'),
        (b'"usageMetadata"', b'"usage"'),
        (b'"thought":true', b'"thoughtSignature":"\xc3\xa9"'),
    ],
)
def test_a_stream_that_breaks_one_does_not_pass(old: bytes, new: bytes) -> None:
    assert old in STREAM
    with pytest.raises((AssertionError, ValueError, KeyError)):
        read_reply(frames(STREAM.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"role": "model"', '"role": "user"'),
        ('{"role": "user", "parts": [\n      {"text": "What', '{"parts": [{"text": "'),
        ('"id": "c2", "name": "look_up", "response"', '"id": "c3", "response"'),
        ('"id": "c2"', '"id": "c1"'),
        (', "thoughtSignature": "Y2FsbA=="', ""),
        ('{"text": "And now?"}', '{"text": " "}'),
        ('"name": "now"', '"name": "n w"'),
        ('"parametersJsonSchema"', '"parameters"'),
        ('["look_up"]', '["look"]'),
        ('"mode": "ANY"', '"mode": "AUTO"'),
        ('"thinkingLevel": "LOW"', '"thinkingLevel": "LOW", "thinkingBudget": 1'),
        ('"seed": 1', '"seed": null'),
        ('"responseMimeType": "application/json"', '"responseMimeType": "text/plain"'),
        ('"generationConfig"', '"generation_config"'),
    ],
)
def test_a_request_that_breaks_one_does_not_pass(old: str, new: str) -> None:
    body = GOLDEN.read_text()
    check_request(json.loads(body))
    assert old in body
    with pytest.raises((AssertionError, KeyError)):
        check_request(json.loads(body.replace(old, new)))
