from __future__ import annotations

import json
from typing import Any

import pytest

from modelplex.testing.fakes.anthropic import Anthropic
from modelplex.testing.fakes.script import Call, Script
from modelplex.testing.fakes.speaker import Answer, Asked, Refused
from modelplex.testing.oracle_anthropic import read_message

CALL = Call("call_1", "weather", {"city": "Köln ☃"})
HI: Any = {"role": "user", "content": "Hi"}
TOOLS: Any = [{"name": "weather", "input_schema": {"type": "object"}}]
ENABLED: Any = {"type": "enabled", "budget_tokens": 1024}
RESULT: Any = {"type": "tool_result", "tool_use_id": "call_1"}


def post(
    fake: Anthropic,
    messages: Any,
    *,
    path: str = "",
    version: str = "2023-06-01",
    script: Any = None,
    **more: Any,
) -> Answer:
    body = {"model": "m", "messages": messages, "tools": TOOLS, **more}
    if not path:
        body["max_tokens"] = 2000
    headers = {"anthropic-version": version}
    asked = Asked("POST", "/v1/messages" + path, headers, json.dumps(body).encode())
    return fake.answer(asked, Script(**(script or {})))


def refusal(fake: Anthropic, messages: Any, **more: Any) -> str:
    with pytest.raises(Refused) as raised:
        post(fake, messages, **more)
    assert raised.value.status == 400
    return raised.value.message


def called(fake: Anthropic, redacted: bool = False) -> list[Any]:
    """The content of a message that has thought and called a tool, from a stream."""
    script = {"thinking": "Hm ☃", "calls": (CALL,), "redacted": redacted}
    answer = post(fake, [HI], script=script, thinking=ENABLED, stream=True)
    stream = b"".join((*answer.announcing, *answer.pieces))
    content: list[Any] = read_message(stream)["content"]
    return content


def after(content: Any) -> list[Any]:
    return [HI, {"role": "assistant", "content": content}, {**HI, "content": [RESULT]}]


@pytest.mark.parametrize("redacted", [False, True])
def test_thinking_comes_back_and_only_its_own(redacted: bool) -> None:
    fake = Anthropic(("m",))
    content = called(fake, redacted)
    post(fake, after(content), thinking=ENABLED)
    message = refusal(fake, after(called(Anthropic(("m",)), redacted)))
    assert message.startswith("messages.1.content.0: Invalid `")
    assert ("`data` in `redacted_thinking`" in message) is redacted


def test_changed_thinking_is_refused() -> None:
    fake = Anthropic(("m",))
    thought, call = called(fake)
    changed = {**thought, "thinking": "Hm"}
    assert "Invalid `signature`" in refusal(fake, after([changed, call]))
    unsigned = {"type": "thinking", "thinking": "Hm ☃"}
    assert "signature: Field required" in refusal(fake, after([unsigned, call]))


def test_a_turn_of_tools_begins_with_its_thought_if_thinking_is_enabled() -> None:
    fake = Anthropic(("m",))
    thought, call = called(fake)
    message = refusal(fake, after([call]), thinking=ENABLED)
    assert message.startswith("messages.1.content.0.type: Expected `thinking` or")
    assert "but found `tool_use`" in message
    post(fake, after([call]))
    # Only its first step has to, and an earlier turn has not.
    second = {**call, "id": "call_2"}
    more = [
        {"role": "assistant", "content": [second]},
        {"role": "user", "content": [{**RESULT, "tool_use_id": "call_2"}]},
    ]
    post(fake, [*after([thought, call]), *more], thinking=ENABLED)
    text = [{"type": "text", "text": "x"}]
    post(fake, [*after([call]), {"role": "assistant", "content": text}, HI])


def test_omitted_thinking_is_signed_as_well() -> None:
    fake = Anthropic(("m",))
    answer = post(
        fake,
        [HI],
        script={"thinking": "Hm", "calls": (CALL,)},
        thinking={**ENABLED, "display": "omitted"},
    )
    content = json.loads(b"".join(answer.pieces))["content"]
    assert content[0]["thinking"] == "" and content[0]["signature"]
    post(fake, after(content), thinking=ENABLED)


def test_tokens_are_counted_without_a_limit() -> None:
    fake = Anthropic(("m",))
    answer = post(fake, [HI], path="/count_tokens", thinking=ENABLED)
    assert json.loads(b"".join(answer.pieces)) == {"input_tokens": 11}
    message = refusal(fake, [HI], path="/count_tokens", max_tokens=1)
    assert message == "max_tokens: Extra inputs are not permitted"
    assert "empty turn" in refusal(fake, [{**HI, "content": []}], path="/count_tokens")


def test_the_newer_version_has_no_sampling() -> None:
    fake = Anthropic(("m",))
    post(fake, [HI], temperature=1)
    message = refusal(fake, [HI], temperature=1, version="2026-10-21")
    assert message == "temperature: Extra inputs are not permitted"
