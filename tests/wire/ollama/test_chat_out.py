"""Requests of ``/api/chat`` as they are written."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec
import pytest

from modelplex.errors import BadRequest, UnsupportedField
from modelplex.events import (
    CacheMark,
    Choose,
    Document,
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
from modelplex.wire.jsonobject import open_object
from modelplex.wire.ollama.dialect import OLLAMA

GOLDEN = Path(__file__).parent.parent / "golden" / "ollama"
PNG = "iVBORw0KGgowMDAw"
LOOK = Tool("look", "Look somewhere.", {"type": "object", "properties": {}})


def decode(**body: Any) -> Request:
    whole = {"model": "m", "messages": []} | body
    return OLLAMA.decode_request(open_object(msgspec.json.encode(whole)))


def encode(*messages: Message, **settings: Any) -> dict[str, Any]:
    encoded = OLLAMA.encode_request(Request("m", messages, **settings))
    body: dict[str, Any] = msgspec.json.decode(encoded.body)
    return body


def user(*parts: Part) -> Message:
    return Message(Role.USER, parts)


def test_a_request_full_of_everything_is_written() -> None:
    request = Request(
        "qwen3:8b",
        (
            Message(Role.SYSTEM, (Text("Be brief."), Text("Be kind.", CacheMark()))),
            Message(
                Role.USER,
                (
                    Text("What is on it?"),
                    Image(Inline("image/png", PNG), "high"),
                    Text("And"),
                    Document(
                        Inline("text/plain", b64encode(b"three cats").decode()),
                        "notes.txt",
                    ),
                ),
                name="ann",
            ),
            Message(
                Role.ASSISTANT,
                (
                    Thinking("two tools", "c2ln"),
                    RedactedThinking("x"),
                    Text("Let me "),
                    Text("see."),
                    ToolCall("call_a", "look", '{"where":"left", "depth":2.0}'),
                    ToolCall("call_b", "weigh", '{"kg":'),
                ),
            ),
            Message(
                Role.TOOL,
                (
                    ToolResult("call_b", (Text("no scale"),), is_error=True),
                    ToolResult(
                        "call_a",
                        (
                            Text("a cat"),
                            Image(Inline("image/jpeg", "/9j/AAAA")),
                            Text("asleep"),
                        ),
                    ),
                ),
            ),
            Message(Role.SYSTEM, (Text("Still brief."),)),
        ),
        stream=True,
        max_tokens=200,
        temperature=0.5,
        top_p=0.9,
        top_k=20,
        min_p=0.05,
        stop=("END", " "),
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        logprobs=3,
        tools=(
            Tool(
                "look",
                "Look somewhere.",
                {"properties": {"where": {"type": "string"}}, "required": ["where"]},
                strict=True,
            ),
            Tool("weigh"),
        ),
        tool_choice=ToolChoice(Choose.REQUIRED, ("look",)),
        parallel_tool_calls=True,
        response_format=JsonSchema({"type": "object"}, "animal", "d", True),
        thinking=ThinkingControl(effort="xhigh"),
        user="u",
        extra={
            "keep_alive": "10m",
            "options": {"num_ctx": 4096},
            "options.num_ctx": 8192,
            "repeat_penalty": 1.1,
            "metadata": {},
        },
    )
    encoded = OLLAMA.encode_request(request)
    assert encoded.body == (GOLDEN / "chat_request_out.json").read_bytes()
    assert encoded.dropped == (
        "user",
        "parallel_tool_calls",
        "tools[].strict",
        "metadata",
        "cache_control",
        "messages[1].name",
        "image_url.detail",
        "reasoning_details",
    )


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (None, None),
        (ThinkingControl(), None),
        (ThinkingControl(effort="none"), False),
        (ThinkingControl(effort="minimal"), "low"),
        (ThinkingControl(effort="low"), "low"),
        (ThinkingControl(effort="medium"), "medium"),
        (ThinkingControl(effort="high"), "high"),
        (ThinkingControl(effort="xhigh"), "max"),
        (ThinkingControl(effort="max"), "max"),
        (ThinkingControl(mode="enabled", budget=2048), True),
        (ThinkingControl(mode="adaptive", effort="low"), "low"),
        (ThinkingControl(mode="disabled", effort="high"), False),
        (ThinkingControl(mode="between_tools"), False),
        (ThinkingControl(budget=0), False),
    ],
)
def test_thinking_is_a_switch_or_a_level(
    control: ThinkingControl | None, expected: bool | str | None
) -> None:
    assert encode(user(Text("a")), thinking=control).get("think") == expected


def test_an_effort_that_is_no_word_for_one_is_refused() -> None:
    with pytest.raises(BadRequest, match="reasoning_effort: 'huge'"):
        encode(user(Text("a")), thinking=ThinkingControl(effort="huge"))


@pytest.mark.parametrize(
    ("choice", "offered", "hint"),
    [
        (None, ["look", "now"], None),
        (ToolChoice(Choose.AUTO), ["look", "now"], None),
        (ToolChoice(Choose.AUTO, ("now", "gone")), ["now"], None),
        (ToolChoice(Choose.NONE), None, None),
        (ToolChoice(Choose.REQUIRED), ["look", "now"], "at least one of the tools"),
        (ToolChoice(Choose.REQUIRED, ("now",)), ["now"], "the tool now"),
        (ToolChoice(Choose.REQUIRED, ("now", "look")), ["look", "now"], "at least one"),
    ],
)
def test_a_tool_choice_is_the_tools_that_are_left_and_words(
    choice: ToolChoice | None, offered: list[str] | None, hint: str | None
) -> None:
    body = encode(user(Text("a")), tools=(LOOK, Tool("now")), tool_choice=choice)
    tools = body.get("tools")
    assert (tools and [t["function"]["name"] for t in tools]) == offered
    hints = [m["content"] for m in body["messages"] if m["role"] == "system"]
    assert len(hints) == (0 if hint is None else 1)
    assert hint is None or hint in hints[0]


@pytest.mark.parametrize(
    "choice", [ToolChoice(Choose.REQUIRED, ("gone",)), ToolChoice(Choose.AUTO, ("x",))]
)
def test_a_choice_of_a_tool_that_is_not_offered_is_refused(choice: ToolChoice) -> None:
    with pytest.raises(BadRequest, match="no such tool"):
        encode(user(Text("a")), tools=(LOOK,), tool_choice=choice)


def test_a_required_call_without_tools_is_refused() -> None:
    with pytest.raises(BadRequest, match="tool_choice"):
        encode(user(Text("a")), tool_choice=ToolChoice(Choose.REQUIRED))


@pytest.mark.parametrize(
    ("part", "settings", "param"),
    [
        (Image(Url("https://example.org/a.png")), {}, "messages[0].content"),
        (Document(Inline("application/pdf", "AAAA")), {}, "messages[0].content"),
        (Text("a"), {"n": 2}, "n"),
        (Text("a"), {"suffix": "b"}, "suffix"),
        (Text("a"), {"audio_output": {"voice": "alloy"}}, "audio"),
    ],
)
def test_what_ollama_cannot_express_is_refused_by_name(
    part: Part, settings: dict[str, Any], param: str
) -> None:
    with pytest.raises(UnsupportedField) as refused:
        encode(user(part), **settings)
    assert refused.value.param == param


def test_a_text_document_is_told_with_what_is_known_about_it() -> None:
    source = Inline("text/markdown", b64encode(b"three cats").decode())
    document = Document(source, "notes.md", "from Ann", citations=True)
    encoded = OLLAMA.encode_request(Request("m", (user(document),)))
    (message,) = msgspec.json.decode(encoded.body)["messages"]
    assert message["content"] == "notes.md:\nfrom Ann\nthree cats"
    assert encoded.dropped == ("messages[0].content",)


@pytest.mark.parametrize("content", ["AA", "/w==", "ä"])
def test_a_text_document_that_is_no_text_is_refused(content: str) -> None:
    with pytest.raises(BadRequest, match="UTF-8"):
        encode(user(Document(Inline("text/plain", content))))


def test_a_tool_schema_that_is_no_object_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"tools\[0\]\.function\.parameters"):
        encode(user(Text("a")), tools=(Tool("t", schema=True),))


def test_a_tool_that_takes_free_text_is_a_function_of_one_string() -> None:
    sql = Tool("sql", "Runs it.", custom=True, format={"type": "text"})
    body = encode(
        user(Text("a")),
        Message(
            Role.ASSISTANT,
            (
                ToolCall("a", "sql", '{"select": 1}', custom=True),
                ToolCall("b", "bare", "\ud800", custom=True),
                ToolCall("c", "look", "{}"),
            ),
        ),
        *(Message(Role.TOOL, (ToolResult(i, (Text("1"),)),)) for i in "abc"),
        tools=(sql, Tool("bare", custom=True, format={"type": "text"}), LOOK),
    )
    made, bare, look = (tool["function"] for tool in body["tools"])
    assert made == {
        "name": "sql-freeform",
        "description": 'Runs it.\nThe input has this format: {"type":"text"}',
        "parameters": {
            "type": "object",
            "properties": {"input": {"type": "string"}},
            "required": ["input"],
        },
    }
    assert bare["description"] == 'The input has this format: {"type":"text"}'
    assert look["name"] == "look"
    _, said, *results = body["messages"]
    called = [(c["id"], c["function"]) for c in said["tool_calls"]]
    assert called == [
        (
            "a",
            {
                "index": 0,
                "name": "sql-freeform",
                "arguments": {"input": '{"select": 1}'},
            },
        ),
        ("b", {"index": 1, "name": "bare-freeform", "arguments": {"input": "?"}}),
        ("c", {"index": 2, "name": "look", "arguments": {}}),
    ]
    names = [r["tool_name"] for r in results]
    assert names == ["sql-freeform", "bare-freeform", "look"]


def test_a_function_named_like_one_that_takes_free_text_is_told_apart() -> None:
    name = "sql-freeform"
    body = encode(
        user(Text("a")),
        Message(Role.ASSISTANT, (ToolCall("a", name, "{}"),)),
        Message(Role.TOOL, (ToolResult("a", (Text("1"),)),)),
        tools=(Tool(name),),
    )
    wire = "sql-freeform-function"
    assert body["tools"][0]["function"]["name"] == wire
    _, said, result = body["messages"]
    assert said["tool_calls"][0]["function"]["name"] == result["tool_name"] == wire


@pytest.mark.parametrize("custom", [True, False])
def test_a_required_tool_is_asked_for_by_the_name_it_is_offered_with(
    custom: bool,
) -> None:
    tools = (LOOK, Tool("sql", custom=custom))
    choice = ToolChoice(Choose.REQUIRED, ("sql",))
    body = encode(user(Text("a")), tools=tools, tool_choice=choice)
    (tool,) = body["tools"]
    wire = "sql-freeform" if custom else "sql"
    assert tool["function"]["name"] == wire
    assert f"the tool {wire}," in body["messages"][0]["content"]


def test_a_format_that_json_cannot_say_is_refused() -> None:
    tool = Tool("t", custom=True, format={"definition": "\ud800"})
    with pytest.raises(BadRequest, match="JSON"):
        encode(user(Text("a")), tools=(tool,))


@pytest.mark.parametrize("value", [{"a": {}}, {"text": "\ud800"}])
def test_what_json_cannot_say_is_refused(value: dict[str, Any]) -> None:
    inner = value
    for _ in range(3000 if "a" in value else 0):
        inner = {"a": inner}
    with pytest.raises(BadRequest, match="JSON"):
        encode(user(Text("a")), response_format=JsonSchema(inner))


def test_results_find_the_tool_they_answer_whatever_their_order() -> None:
    calls = tuple(ToolCall(i, f"tool_{i}", "{}") for i in ("a", "b", "c"))
    body = encode(
        Message(Role.ASSISTANT, calls),
        *(Message(Role.TOOL, (ToolResult(i, (Text(i),)),)) for i in ("c", "a")),
        Message(Role.TOOL, (ToolResult("lost", ()),)),
        user(Text("go on")),
    )
    results = [m for m in body["messages"] if m["role"] == "tool"]
    assert [m.get("tool_name") for m in results] == ["tool_c", "tool_a", None]
    assert [m["tool_call_id"] for m in results] == ["c", "a", "lost"]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([Message(Role.SYSTEM, (Text("a"),))], ["a"]),
        ([Message(Role.SYSTEM, (Text("a"),))] * 2, ["a", "a"]),
        ([user(Text("")), user()], ["", ""]),
        ([user(Text("a")), Message(Role.ASSISTANT, (Text("pre"),))], ["a", "pre"]),
        ([Message(Role.ASSISTANT, (Refusal("no"), Thinking("t")))], ["no"]),
    ],
    ids=["only system", "two systems", "empty", "prefill", "refusal"],
)
def test_strange_conversations_are_written_all_the_same(
    messages: list[Message], expected: list[str]
) -> None:
    assert [m["content"] for m in encode(*messages)["messages"]] == expected
