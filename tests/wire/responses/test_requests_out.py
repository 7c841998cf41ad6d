"""Canonical requests, written for a provider that speaks the Responses API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given

from modelplex.errors import GatewayError, UnsupportedField
from modelplex.events import (
    Audio,
    CacheMark,
    Choose,
    Document,
    FileId,
    Image,
    Inline,
    JsonSchema,
    Message,
    Part,
    RedactedThinking,
    Refusal,
    Request,
    Role,
    Text,
    Thinking,
    ThinkingControl,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Url,
)
from modelplex.testing.strategies import requests, wild_messages
from modelplex.wire.fidelity import Feature
from modelplex.wire.jsonobject import open_object
from modelplex.wire.responses.dialect import RESPONSES

GOLDEN = Path(__file__).parent.parent / "golden" / "responses"
ASK = Message(Role.USER, (Text("Hi"),))
SCHEMA = {"type": "object", "properties": {"word": {"type": "string"}}}
GRAMMAR = {
    "type": "grammar",
    "grammar": {"syntax": "lark", "definition": "start: /.+/"},
}
PNG = Inline("image/png", "iVBORw0KGgo=")

REQUEST = Request(
    model="gpt-5",
    messages=(
        Message(Role.SYSTEM, (Text("Be brief."),)),
        Message(Role.SYSTEM, (Text("Answer "), Text("in verse."))),
        Message(
            Role.USER,
            (
                Text("What is in these?", CacheMark("30m")),
                Image(PNG, "low"),
                Image(Url("https://example.org/a.png")),
                Document(
                    Inline("application/pdf", "JVBERi0="), "a.pdf", "the contract"
                ),
                Document(Url("https://example.org/b.pdf")),
                Document(Inline("text/plain", "Z3LDtsOfZQ=="), "c.txt"),
                Audio("UklGRg==", "wav"),
            ),
            name="ann",
        ),
        Message(
            Role.ASSISTANT,
            (
                Thinking("First.", "responses:rs_1:gAAAAAB="),
                RedactedThinking("responses::gAAAAAC="),
                Thinking("Another's.", "c2ln"),
                RedactedThinking("b3BhcXVl"),
                Text("I will look."),
                Refusal("Not at all of them."),
                ToolCall("call_1", "look_up", '{"word":"größe"}'),
                ToolCall("call_2", "now", ""),
                ToolCall("call_3", "patch", "*** Begin", custom=True),
                ToolCall("call_4", "now", "{}"),
            ),
        ),
        Message(
            Role.TOOL,
            (
                ToolResult("call_1", (Text("no such word"),), is_error=True),
                ToolResult("call_2", (Text("a.png"), Image(PNG))),
                ToolResult("call_3", (), is_error=True),
                ToolResult("call_9", (Text("whose?"),)),
            ),
        ),
        Message(Role.USER, (Text("And now?"),)),
    ),
    stream=True,
    max_tokens=5,
    temperature=0.5,
    top_p=0.9,
    top_k=3,
    seed=4,
    logprobs=2,
    tools=(
        Tool("look_up", "Looks a word up.", SCHEMA, strict=True),
        Tool("now"),
        Tool("patch", "Patches.", custom=True, format=GRAMMAR),
    ),
    tool_choice=ToolChoice(Choose.REQUIRED, ("patch",)),
    parallel_tool_calls=False,
    response_format=JsonSchema(SCHEMA, "out", "The answer.", True),
    thinking=ThinkingControl("high", display="summarized"),
    user="u" * 65,
    extra={
        "metadata": {"a": "b"},
        "prompt_cache_key": "k",
        "service_tier": 1,
        "verbosity": "low",
        "logit_bias": {},
    },
)


def encode(*messages: Message, **settings: Any) -> dict[str, Any]:
    encoded = RESPONSES.encode_request(Request("m", messages or (ASK,), **settings))
    body: dict[str, Any] = json.loads(encoded.body)
    return body


def lost(*messages: Message, **settings: Any) -> tuple[str, ...]:
    return RESPONSES.encode_request(
        Request("m", messages or (ASK,), **settings)
    ).dropped


def said(*parts: Part) -> Message:
    return Message(Role.ASSISTANT, parts)


def test_a_request_full_of_everything_is_written() -> None:
    encoded = RESPONSES.encode_request(REQUEST)
    golden = json.loads((GOLDEN / "request_written.json").read_bytes())
    assert json.loads(encoded.body) == golden
    assert encoded.dropped == (
        "top_k",
        "seed",
        "service_tier",
        "logit_bias",
        "messages[2].name",
        "cache_control",
        "reasoning_content",
        "reasoning_details",
    )
    assert RESPONSES.encode_request(REQUEST) == encoded


def test_nothing_is_left_at_the_provider() -> None:
    body = encode()
    assert body["store"] is False
    assert body["include"] == ["reasoning.encrypted_content"]


def test_what_is_not_asked_for_is_not_written() -> None:
    assert encode() == {
        "model": "m",
        "input": [{"role": "user", "content": "Hi"}],
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }


def test_a_lone_system_message_is_the_input() -> None:
    body = encode(Message(Role.SYSTEM, (Text("Begin."),)))
    assert body["input"] == [{"role": "developer", "content": "Begin."}]
    assert "instructions" not in body


def test_a_proof_of_its_own_goes_back_as_the_item_it_was() -> None:
    body = encode(ASK, said(Thinking("Hm", "responses:rs_1:gA=="), Text("x")))
    assert body["input"][1] == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "Hm"}],
        "encrypted_content": "gA==",
    }


def test_a_proof_of_another_provider_is_taken_out_and_listed() -> None:
    talk = ASK, said(Thinking("Hm", "c2ln"), RedactedThinking("eA=="), Text("x")), ASK
    assert [i["role"] for i in encode(*talk)["input"]] == ["user", "assistant", "user"]
    assert lost(*talk) == ("reasoning_content", "reasoning_details")


def test_reasoning_that_nothing_follows_is_left_out() -> None:
    talk = ASK, said(Text("x"), RedactedThinking("responses:rs_1:gA==")), ASK
    assert len(encode(*talk)["input"]) == 3
    assert lost(*talk) == ("reasoning_details",)


def test_a_call_that_was_never_answered_gets_an_answer() -> None:
    body = encode(ASK, said(ToolCall("c", "f", "{}")), ASK)
    assert [i.get("type") for i in body["input"]] == [
        None,
        "function_call",
        "function_call_output",
        None,
    ]


def test_an_answer_to_no_call_is_what_the_user_says() -> None:
    body = encode(ASK, Message(Role.TOOL, (ToolResult("c", (Text("x"),)),)))
    assert [p["text"] for p in body["input"][1]["content"]] == [
        "(result of the tool call c)",
        "x",
    ]


def test_parts_that_are_not_for_their_role_are_left_out() -> None:
    strange = Message(Role.TOOL, (Text("x"),)), said(Image(PNG), Text("a"))
    body = encode(ASK, *strange, Message(Role.USER, (Refusal("no"),)))
    assert body["input"][1:] == [
        {"role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
        {"role": "user", "content": ""},
    ]


def test_an_error_without_words_is_still_one() -> None:
    result = ToolResult("c", (Image(PNG),), is_error=True)
    body = encode(ASK, said(ToolCall("c", "f", "")), Message(Role.TOOL, (result,)))
    assert body["input"][2]["output"][0] == {"type": "input_text", "text": "Error: "}


def test_a_long_id_of_a_call_is_the_same_in_its_answer() -> None:
    id = "x" * 65
    body = encode(
        ASK, said(ToolCall(id, "f", "{}")), Message(Role.TOOL, (ToolResult(id, ()),))
    )
    first, second = (item["call_id"] for item in body["input"][1:])
    assert first == second and len(first) <= 64


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(Choose.NONE), "none"),
        (ToolChoice(Choose.AUTO), "auto"),
        (ToolChoice(Choose.REQUIRED), "required"),
        (ToolChoice(Choose.REQUIRED, ("f",)), {"type": "function", "name": "f"}),
        (ToolChoice(Choose.REQUIRED, ("g",)), {"type": "custom", "name": "g"}),
        (
            ToolChoice(Choose.AUTO, ("f",)),
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}],
            },
        ),
    ],
)
def test_every_choice_of_a_tool_is_written(choice: ToolChoice, expected: Any) -> None:
    body = encode(tools=(Tool("f"), Tool("g", custom=True)), tool_choice=choice)
    assert body["tool_choice"] == expected


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (ThinkingControl("low"), {"effort": "low"}),
        (ThinkingControl(display="summarized"), {"summary": "auto"}),
        (ThinkingControl(mode="disabled"), {"effort": "none"}),
        (
            ThinkingControl(mode="enabled", budget=2048),
            {"effort": "low", "summary": "auto"},
        ),
        (
            ThinkingControl(mode="enabled", budget=9000, display="omitted"),
            {"effort": "medium"},
        ),
        (
            ThinkingControl(mode="enabled", budget=32000),
            {"effort": "high", "summary": "auto"},
        ),
        (ThinkingControl(mode="enabled"), {"effort": "medium", "summary": "auto"}),
        (ThinkingControl(mode="adaptive"), {"summary": "auto"}),
        (ThinkingControl("xhigh", "adaptive"), {"effort": "xhigh", "summary": "auto"}),
    ],
)
def test_reasoning_is_asked_for(control: ThinkingControl, expected: Any) -> None:
    assert encode(thinking=control)["reasoning"] == expected


@pytest.mark.parametrize(
    ("settings", "param"),
    [
        ({"stop": ("x",)}, "stop"),
        ({"n": 2}, "n"),
        ({"suffix": "x"}, "suffix"),
        ({"audio_output": {"voice": "x"}}, "audio"),
        (
            {"messages": (Message(Role.USER, (Image(FileId("f")),)),)},
            "messages[0].content",
        ),
    ],
)
def test_what_changes_the_meaning_is_refused(
    settings: dict[str, Any], param: str
) -> None:
    with pytest.raises(UnsupportedField) as raised:
        RESPONSES.encode_request(evolve(Request("m", (ASK,)), **settings))
    assert raised.value.param == param


_CARRIED = frozenset(
    {
        *(Feature.SYSTEM_IN_PLACE, Feature.IMAGE, Feature.IMAGE_URL),
        *(Feature.IMAGE_DETAIL, Feature.AUDIO, Feature.DOCUMENT, Feature.DOCUMENT_URL),
        *(Feature.TOOLS, Feature.CUSTOM_TOOLS, Feature.STRICT_TOOLS),
        *(Feature.TOOL_RESULT_IMAGE, Feature.TOOL_CHOICE_NONE),
        *(Feature.TOOL_CHOICE_REQUIRED, Feature.TOOL_CHOICE_NAMED),
        *(Feature.PARALLEL_TOOL_CALLS, Feature.JSON_OBJECT, Feature.JSON_SCHEMA),
        *(Feature.REASONING_EFFORT, Feature.TEMPERATURE, Feature.TOP_P),
        *(Feature.LOGPROBS, Feature.USER),
    }
)


def _plain(request: Request) -> Request:
    """The same with one result a message, and with what is said anyway said."""
    messages: list[Message] = []
    for message in request.messages:
        if message.role is Role.TOOL:
            for result in message.parts:
                assert isinstance(result, ToolResult)
                result = evolve(result, content=result.content or (Text(""),))
                messages.append(Message(Role.TOOL, (_titled(result),)))
        else:
            messages.append(evolve(message, parts=tuple(map(_titled, message.parts))))
    tools = [t if t.custom else evolve(t, strict=bool(t.strict)) for t in request.tools]
    form = request.response_format
    if form is not None and form.schema is not None:
        form = evolve(form, name=form.name or "output", strict=bool(form.strict))
    return evolve(
        request, messages=tuple(messages), tools=tuple(tools), response_format=form
    )


def _titled(part: Any) -> Any:
    if isinstance(part, Document) and not isinstance(part.source, Url):
        return evolve(part, title=part.title or "document.pdf")
    return evolve(part, title=None) if isinstance(part, Document) else part


@given(request=requests(_CARRIED))
def test_what_is_carried_comes_back(request: Request) -> None:
    encoded = RESPONSES.encode_request(request)
    assert encoded.dropped == ()
    assert RESPONSES.decode_request(open_object(encoded.body)) == _plain(request)
    assert RESPONSES.encode_request(request) == encoded


def test_own_members_come_back() -> None:
    extra = {
        "metadata": {"a": "b"},
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
        "truncation": "auto",
        "max_tool_calls": 3,
        "text.verbosity": "low",
    }
    request = Request("m", (ASK,), extra=extra)
    encoded = RESPONSES.encode_request(request)
    assert encoded.dropped == ()
    assert RESPONSES.decode_request(open_object(encoded.body)) == request


@given(request=requests())
def test_any_legal_request_is_written_or_refused_by_name(request: Request) -> None:
    try:
        encoded = RESPONSES.encode_request(request)
    except UnsupportedField as e:
        assert e.param
        return
    RESPONSES.decode_request(open_object(encoded.body))


@given(messages=wild_messages())
def test_any_conversation_is_put_right(messages: tuple[Message, ...]) -> None:
    try:
        encoded = RESPONSES.encode_request(Request("m", messages))
    except GatewayError:
        return
    items = json.loads(encoded.body)["input"]
    called: list[str] = []
    answered: list[str] = []
    for item in items:
        if item.get("type", "").endswith("_call"):
            called.append(item["call_id"])
        elif item.get("type", "").endswith("_output"):
            assert item["call_id"] in called, "an output before its call"
            answered.append(item["call_id"])
    assert sorted(called) == sorted(answered), "a call without an output"
