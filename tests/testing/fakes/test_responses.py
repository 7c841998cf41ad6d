from __future__ import annotations

import json
from typing import Any

import pytest

from modelplex.testing.fakes.responses import Responses
from modelplex.testing.fakes.script import Call, Script
from modelplex.testing.fakes.speaker import Answer, Asked, Refused
from modelplex.testing.oracle_responses import accumulate

CALL = Call("call_1", "weather", {"city": "Köln ☃"})
HI: Any = {"role": "user", "content": "Hi"}
OUTPUT: Any = {"type": "function_call_output", "call_id": "call_1", "output": "sun"}
THINKS: Any = {
    "reasoning": {"effort": "high", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "store": False,
}


def post(fake: Responses, path: str = "", *, script: Any = None, **body: Any) -> Answer:
    told = json.dumps({"model": "m", **body}).encode()
    asked = Asked("POST", f"/v1/responses{path}", {}, told)
    return fake.answer(asked, Script(**(script or {})))


def said(answer: Answer) -> Any:
    return json.loads(b"".join(answer.pieces))


def refused(fake: Responses, **body: Any) -> Refused:
    with pytest.raises(Refused) as raised:
        post(fake, **body)
    return raised.value


def called(fake: Responses) -> list[Any]:
    script = {"thinking": "Hm ☃", "calls": (CALL,)}
    found: list[Any] = said(post(fake, input=[HI], script=script, **THINKS))["output"]
    return found


@pytest.mark.parametrize(
    "script",
    [
        {"thinking": "Hm ☃"},
        {"thinking": "Hm ☃", "calls": (CALL, Call("call_2", "run", {"input": "ls"}))},
        {"ending": "content_filter"},
        {"repeat": 9},
    ],
)
def test_a_stream_obeys_the_rules(script: Any) -> None:
    custom = {"type": "custom", "name": "run"}
    answer = post(
        Responses(("m",)),
        input="Hi",
        stream=True,
        tools=[custom],
        script=script,
        **THINKS,
    )
    response = accumulate(b"".join((*answer.announcing, *answer.pieces)))
    kinds = [item["type"] for item in response["output"]]
    if "thinking" in script:
        assert kinds.pop(0) == "reasoning"
    calls = ["function_call", "custom_tool_call"]
    assert kinds == (calls if "calls" in script else ["message"])
    incomplete = "ending" in script
    assert response["status"] == ("incomplete" if incomplete else "completed")


def test_encrypted_content_comes_only_if_it_was_asked_for() -> None:
    fake = Responses(("m",))
    assert called(fake)[0]["encrypted_content"]
    thought = said(
        post(fake, input="Hi", script={"thinking": "Hm"}, reasoning={"effort": "low"})
    )["output"][0]
    assert thought["summary"] == [] and "encrypted_content" not in thought


def test_reasoning_comes_back_and_only_its_own() -> None:
    fake = Responses(("m",))
    thought, call = called(fake)
    heard = post(fake, input=[HI, thought, call, OUTPUT], store=False).heard
    assert heard is not None and heard.results == (("call_1", "sun"),)
    bare = {k: v for k, v in thought.items() if k != "id"}
    post(fake, input=[HI, bare, call, OUTPUT], store=False)

    other, foreign = called(Responses(("m",)))
    error = refused(fake, input=[HI, other, foreign, OUTPUT])
    assert (error.status, error.code) == (400, "invalid_encrypted_content")
    moved = {**thought, "id": "rs_moved"}
    error = refused(fake, input=[HI, moved, call, OUTPUT])
    assert "did not match the target item id" in error.message


def test_reasoning_and_what_it_led_to_stay_together() -> None:
    fake = Responses(("m",))
    thought, call = called(fake)
    without = {k: v for k, v in call.items() if k != "id"}
    assert (
        "required 'reasoning' item" in refused(fake, input=[HI, call, OUTPUT]).message
    )
    post(fake, input=[HI, without, OUTPUT])  # nobody can tell what led to it
    error = refused(fake, input=[HI, thought])
    assert "without its required following item" in error.message
    empty = {k: v for k, v in thought.items() if k != "encrypted_content"}
    error = refused(fake, input=[HI, empty, call, OUTPUT])
    assert error.status == 404 and "not persisted" in error.message


BAD: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "a parameter": ({"stop": "x"}, "stop", "unknown_parameter"),
    "one below": ({"text": {"schema": {}}}, "text.schema", "unknown_parameter"),
    "one of an item": (
        {"input": [{**HI, "name": "x"}]},
        "input[0].name",
        "unknown_parameter",
    ),
    "a short answer": (
        {"max_output_tokens": 15},
        "max_output_tokens",
        "integer_below_min_value",
    ),
    "an unknown response": (
        {"previous_response_id": "resp_x"},
        "resp_x",
        "previous_response_not_found",
    ),
    "an output without call": ({"input": [HI, OUTPUT]}, "call_1", None),
    "a call without output": (
        {
            "input": [
                {
                    "type": "function_call",
                    "call_id": "call_1",
                    "name": "f",
                    "arguments": "{}",
                }
            ]
        },
        "call_1",
        None,
    ),
    "a tool of chat's shape": (
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        "tools[0].name",
        "missing_required_parameter",
    ),
    "an id of another kind": (
        {"input": [{**HI, "type": "message", "id": "call_1"}]},
        "input[0].id",
        "invalid_value",
    ),
    "an id that is too long": (
        {"input": [HI, {**OUTPUT, "call_id": "c" * 65}]},
        "input[1].call_id",
        "string_above_max_length",
    ),
    "a part of another role": (
        {
            "input": [
                {"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}
            ]
        },
        "input_text",
        "invalid_value",
    ),
    "a schema that is not strict": (
        {
            "text": {
                "format": {
                    "type": "json_schema",
                    "name": "x",
                    "strict": True,
                    "schema": {"type": "object"},
                }
            }
        },
        "additionalProperties",
        "invalid_function_parameters",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_the_api_does_not_take_is_refused(what: str) -> None:
    body, quoted, code = BAD[what]
    error = refused(Responses(("m",)), **{"input": "Hi", **body})
    assert (error.status, error.code) == (400, code)
    assert quoted in error.message


def test_an_unknown_parameter_is_named_in_the_error() -> None:
    fake = Responses(("m",))
    error = refused(fake, input="Hi", stop="x")
    told = json.loads(fake.refusal(error.status, error.message, error.code))
    assert told["error"] == {
        "message": "Unknown parameter: 'stop'.",
        "type": "invalid_request_error",
        "param": "stop",
        "code": "unknown_parameter",
    }


def test_chat_is_not_to_be_had() -> None:
    asked = Asked("POST", "/v1/chat/completions", {}, b"{}")
    with pytest.raises(Refused, match="only supported in v1/responses"):
        Responses(("m",)).answer(asked, Script())


def test_a_stored_item_may_be_referred_to() -> None:
    fake = Responses(("m",))
    [message] = said(post(fake, input="Hi"))["output"]
    reference = {"type": "item_reference", "id": message["id"]}
    heard = post(fake, input=[HI, reference, HI]).heard
    assert heard is not None
    assert refused(fake, input=[{**reference, "id": "msg_x"}]).status == 404


def test_a_compacted_conversation_goes_on_where_it_was_compacted() -> None:
    fake = Responses(("m",))
    compacted = said(post(fake, "/compact", input=[HI]))
    assert [item["type"] for item in compacted["output"]] == ["message", "compaction"]
    post(fake, input=[*compacted["output"], HI])
    error = refused(Responses(("m",)), input=compacted["output"])
    assert error.code == "invalid_encrypted_content"
