"""What the demo model says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from modelplex.events import (
    Choose,
    Finished,
    FinishReason,
    Image,
    Inline,
    JsonSchema,
    Message,
    Reply,
    Request,
    Role,
    Text,
    Thinking,
    ThinkingControl,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
    gather,
)
from modelplex.providers.demo_script import compose, embedding
from modelplex.testing.strategies import json_values, requests, schemas, texts

WEATHER = Tool(
    "weather",
    schema={
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "unit": {"enum": ["celsius", "kelvin"]},
            "places": {"type": "array", "items": {"type": ["number", "null"]}},
            "exact": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
            "kind": {"const": "now"},
            "not_needed": {"type": "string"},
        },
        "required": ["city", "days", "unit", "places", "exact", "kind"],
    },
)


def asked(*said: str, **more: Any) -> Request:
    return Request("m", (Message(Role.USER, tuple(map(Text, said))),), **more)


def reply(request: Request) -> Reply:
    return gather(compose(request, "demo"))


def test_it_repeats_what_it_was_told() -> None:
    assert reply(asked("Hello", "you")) == Reply(
        "demo-1",
        "demo",
        (Text("You said: Hello you"),),
        Finished(FinishReason.STOP),
        Usage(2, 4),
    )
    picture = Message(Role.USER, (Text("Look"), Image(Inline("image/png", "AA=="))))
    assert reply(Request("m", (picture,))).parts == (
        Text("You said (and showed me 1 image): Look"),
    )


def test_it_calls_the_first_tool_with_arguments_that_fit_its_schema() -> None:
    answer = reply(asked("Paris", tools=(WEATHER, Tool("other"))))
    [call] = answer.parts
    assert isinstance(call, ToolCall)
    assert (call.name, call.id) == ("weather", "call_1_weather")
    assert json.loads(call.arguments) == {
        "city": "Paris",
        "days": 1,
        "unit": "celsius",
        "places": [1],
        "exact": True,
        "kind": "now",
    }
    assert answer.finish == Finished(FinishReason.TOOL_CALLS)


def test_it_says_what_the_tool_said() -> None:
    request = asked("Paris", tools=(WEATHER,))
    [call] = reply(request).parts
    assert isinstance(call, ToolCall)
    result = Message(Role.TOOL, (ToolResult(call.id, (Text("It rains."),)),))
    after = Message(Role.ASSISTANT, (call,))
    request = evolve(request, messages=(*request.messages, after, result))
    assert reply(request).parts == (Text("The tool said: It rains."),)
    # Unless it has to call one.
    request = evolve(request, tool_choice=ToolChoice(Choose.REQUIRED))
    assert isinstance(reply(request).parts[0], ToolCall)


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        (None, "weather"),
        (ToolChoice(Choose.AUTO), "weather"),
        (ToolChoice(Choose.NONE), None),
        (ToolChoice(Choose.REQUIRED, ("custom",)), "custom"),
        (ToolChoice(Choose.REQUIRED, ("missing",)), None),
    ],
)
def test_the_choice_of_a_tool_is_obeyed(
    choice: ToolChoice | None, called: str | None
) -> None:
    tools = (WEATHER, Tool("custom", custom=True))
    parts = reply(asked("x", tools=tools, tool_choice=choice)).parts
    assert [p.name for p in parts if isinstance(p, ToolCall)] == [called] * bool(called)


def test_a_free_tool_gets_free_text() -> None:
    text = "a text longer than one piece"
    [call] = reply(asked(text, tools=(Tool("c", custom=True),))).parts
    assert isinstance(call, ToolCall)
    assert (call.arguments, call.custom) == (text, True)


def test_it_answers_in_json_when_it_is_asked_to() -> None:
    form = JsonSchema({"properties": {"a": {"type": "string"}}})
    [text] = reply(asked("Hi", response_format=form)).parts
    assert isinstance(text, Text)
    assert json.loads(text.text) == {"a": "Hi"}
    assert reply(asked("Hi", response_format=JsonSchema())).parts == (Text("{}"),)


def test_it_stops_where_it_has_to() -> None:
    answer = reply(asked("a b c", max_tokens=3))
    assert answer.parts == (Text("You said: a"),)
    assert (answer.finish.reason, answer.usage.output_tokens) == (
        FinishReason.LENGTH,
        3,
    )
    assert reply(asked("a", max_tokens=3)).finish.reason is FinishReason.STOP


def test_it_thinks_when_it_is_asked_to() -> None:
    for effort, thinks in (("low", True), ("none", False), (None, False)):
        control = ThinkingControl(effort)
        parts = reply(asked("Hi", thinking=control)).parts
        assert isinstance(parts[0], Thinking) is thinks


@given(requests())
def test_any_legal_request_has_one_complete_answer_always_the_same(
    request: Request,
) -> None:
    answer = reply(request)
    assert answer == reply(request)
    assert answer.usage.output_tokens >= 0
    called = any(isinstance(p, ToolCall) for p in answer.parts)
    assert called is (answer.finish.reason is FinishReason.TOOL_CALLS)


words = ["type", "properties", "required", "items", "enum", "anyOf", "const", "oneOf"]
odd = st.recursive(
    json_values(2) | schemas() | st.sampled_from(["string", "array", "object"]),
    lambda inner: st.dictionaries(st.sampled_from(words), inner, max_size=4),
    max_leaves=8,
)


@given(odd)
@example({"enum": {"a": 1}})
@example({"enum": 5})
@example({"anyOf": {"a": 1}})
@example({"required": 5, "properties": {}})
@example({"required": "ab", "properties": {"a": {}}})
@example({"type": {"a": 1}})
def test_no_schema_is_too_odd(schema: Any) -> None:
    [call] = reply(asked("x", tools=(Tool("f", schema=schema),))).parts
    assert isinstance(call, ToolCall)
    json.loads(call.arguments)


@given(texts(), st.integers(1, 64))
def test_an_embedding_is_a_direction_that_depends_on_the_text_only(
    text: str, size: int
) -> None:
    vector = embedding(text, size)
    assert len(vector) == size
    assert sum(x * x for x in vector) == pytest.approx(1)
    assert vector == embedding(text, size)
    assert embedding("", 4) == [0.0] * 4
