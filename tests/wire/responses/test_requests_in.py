"""A guest's Responses requests, read."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import BadRequest, UnsupportedField
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
from modelplex.testing.strategies import json_values
from modelplex.wire.jsonobject import open_object
from modelplex.wire.responses.dialect import RESPONSES
from modelplex.wire.responses.names import flat_name, guest_name

GOLDEN = Path(__file__).parent.parent / "golden" / "responses"
PNG = Inline("image/png", "iVBORw0KGgo=")
NO_ARGUMENTS = {"type": "object", "properties": {}}


def read(body: dict[str, Any]) -> Request:
    return RESPONSES.decode_request(open_object(msgspec.json.encode(body)))


def decode(input: Any = "Hi", **body: Any) -> Request:
    return read({"model": "m", "input": input} | body)


def golden(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDEN / name).read_bytes())
    return found


REQUEST = Request(
    model="gpt-5",
    messages=(
        Message(Role.SYSTEM, (Text("Be brief."),)),
        Message(Role.SYSTEM, (Text("Answer in verse."),)),
        Message(
            Role.USER,
            (
                Text("What is in these?", CacheMark("30m")),
                Image(PNG, "low"),
                Image(Url("https://example.org/a.png")),
                Image(FileId("file-1")),
                Document(Inline("application/pdf", "JVBERi0="), "a.pdf"),
                Document(Url("https://example.org/b.pdf")),
                Audio("UklGRg==", "wav"),
            ),
        ),
        Message(
            Role.ASSISTANT,
            (
                Thinking("First.\n\nSecond.", "responses:rs_1:gAAAAAB="),
                RedactedThinking("responses:rs_2:gAAAAAC="),
                Thinking("Hm.", "c2ln"),
                RedactedThinking("b3BhcXVl"),
                Thinking("Openly."),
                Text("I will look."),
                Refusal("Not at all of them."),
                ToolCall("call_1", "look_up", '{"word":"größe"}'),
                ToolCall("call_2", "mcp-_files--list", "{}"),
                ToolCall("call_3", "apply_patch", "*** Begin Patch", custom=True),
                ToolCall(
                    "call_4",
                    "local_shell",
                    '{"action":{"type":"exec","command":["ls"]}}',
                ),
            ),
        ),
        Message(Role.TOOL, (ToolResult("call_1", (Text("size"),)),)),
        Message(Role.TOOL, (ToolResult("call_2", (Text("a.png"), Image(PNG))),)),
        Message(Role.TOOL, (ToolResult("call_3", (Text("Done"),)),)),
        Message(Role.TOOL, (ToolResult("call_4", (Text("a b"),)),)),
        Message(Role.USER, (Text("And now?"),)),
    ),
    stream=True,
    max_tokens=2048,
    temperature=0.5,
    top_p=1.0,
    logprobs=2,
    tools=(
        Tool(
            "look_up",
            "Looks a word up.",
            {
                "type": "object",
                "properties": {"word": {"type": "string"}},
                "required": ["word"],
                "additionalProperties": False,
            },
            strict=True,
        ),
        Tool("now", strict=False),
        Tool("mcp-_files--list", "Files.\n\nLists.", NO_ARGUMENTS),
        Tool("mcp-_files--read", None, NO_ARGUMENTS),
        Tool("apply_patch", custom=True),
        Tool(
            "functions--exec",
            "Runs code.\n\nTakes source.",
            custom=True,
            format={
                "type": "grammar",
                "grammar": {"syntax": "lark", "definition": "start: /.+/"},
            },
        ),
    ),
    tool_choice=ToolChoice(
        Choose.AUTO, ("look_up", "mcp-_files--list", "mcp-_files--read")
    ),
    parallel_tool_calls=False,
    response_format=JsonSchema({"type": "object"}, "out", "The answer.", True),
    thinking=ThinkingControl("high", display="summarized"),
    user="u-1",
    extra={
        "tools[].defer_loading": True,
        "tools[web_search]": {"type": "web_search", "external_web_access": True},
        "input[web_search_call]": None,
        "reasoning.context": "all_turns",
        "text.verbosity": "low",
        "metadata": {"a": "b"},
        "client_metadata": {"x": "y"},
        "prompt_cache_key": "k",
        "service_tier": "flex",
        "include[web_search_call.action.sources]": True,
        "tool_choice.tools[web_search]": {"type": "web_search"},
    },
)


def test_a_request_full_of_everything_is_read() -> None:
    assert read(golden("request.json")) == REQUEST


def test_what_codex_sends_is_read() -> None:
    request = read(golden("codex_request.json"))
    assert [m.role for m in request.messages] == [
        *[Role.SYSTEM] * 3,
        *[Role.USER] * 2,
        Role.ASSISTANT,
        Role.TOOL,
        Role.ASSISTANT,
        Role.TOOL,
    ]
    assert [(t.name, t.custom) for t in request.tools] == [
        ("exec_command", False),
        ("collaboration--spawn_agent", False),
        ("collaboration--wait", False),
        ("functions--exec", True),
    ]
    assert request.messages[5].parts == (
        Thinking("**Listing**", "c2ln"),
        ToolCall("call_1", "functions--exec", "await tools.shell('ls')", custom=True),
    )
    assert request.thinking == ThinkingControl(display="summarized")
    assert set(request.extra) == {
        "tools[web_search]",
        "prompt_cache_key",
        "client_metadata",
    }


def test_a_string_is_what_the_user_says() -> None:
    assert decode("Hi").messages == (Message(Role.USER, (Text("Hi"),)),)


def test_an_item_without_type_is_a_message_if_it_has_a_role() -> None:
    [message] = decode([{"role": "assistant", "content": "Hi"}]).messages
    assert message == Message(Role.ASSISTANT, (Text("Hi"),))


def test_the_latest_tool_of_a_name_counts() -> None:
    added = {
        "type": "additional_tools",
        "tools": [{"type": "function", "name": "f", "description": "new"}],
    }
    request = decode(
        [added, {"role": "user", "content": "x"}],
        tools=[{"type": "function", "name": "f"}, {"type": "function", "name": "g"}],
    )
    assert [(t.name, t.description) for t in request.tools] == [
        ("f", "new"),
        ("g", None),
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", ToolChoice(Choose.NONE)),
        ("auto", ToolChoice(Choose.AUTO)),
        ("required", ToolChoice(Choose.REQUIRED)),
        ({"type": "function", "name": "f"}, ToolChoice(Choose.REQUIRED, ("f",))),
        ({"type": "custom", "name": "f"}, ToolChoice(Choose.REQUIRED, ("f",))),
        (
            {"type": "function", "name": "f", "namespace": "n"},
            ToolChoice(Choose.REQUIRED, ("n--f",)),
        ),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}],
            },
            ToolChoice(Choose.REQUIRED, ("f",)),
        ),
    ],
)
def test_every_choice_of_a_tool_is_read(choice: Any, expected: ToolChoice) -> None:
    assert decode(tool_choice=choice).tool_choice == expected


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "web_search"},
        {"type": "mcp", "server_label": "x"},
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]},
    ],
)
def test_a_tool_that_only_its_provider_has_cannot_be_forced(choice: Any) -> None:
    with pytest.raises(UnsupportedField) as raised:
        decode(tool_choice=choice)
    assert raised.value.param == "tool_choice"


@pytest.mark.parametrize(
    ("input", "param"),
    [
        ([{"type": "item_reference", "id": "msg_1"}], "input[0]"),
        ([{"type": None, "id": "msg_1"}], "input[0]"),
        ([{"type": "compaction", "encrypted_content": "x"}], "input[0]"),
        ([{"type": "tomorrow"}], "input[0]"),
    ],
)
def test_what_only_its_provider_understands_is_refused(input: Any, param: str) -> None:
    with pytest.raises(UnsupportedField) as raised:
        decode(input)
    assert raised.value.param == param


@pytest.mark.parametrize(
    "field",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"prompt": {"id": "p"}},
        {"background": True},
    ],
)
def test_what_a_provider_would_keep_is_refused(field: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedField) as raised:
        decode(**field)
    assert raised.value.param == next(iter(field))


def test_reasoning_that_its_provider_has_kept_is_listed() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    request = decode([{"role": "user", "content": "x"}, item])
    assert request.extra == {"input[reasoning]": None}
    assert len(request.messages) == 1


def test_the_calls_of_tools_that_the_guest_runs_belong_to_the_conversation() -> None:
    shot = {
        "type": "computer_screenshot",
        "image_url": "data:image/png;base64,iVBORw0KGgo=",
    }
    request = decode(
        [
            {"type": "computer_call", "id": "cu_1", "call_id": "c", "action": {"x": 1}},
            {"type": "computer_call_output", "call_id": "c", "output": shot},
            {"type": "shell_call", "id": "s", "action": {"commands": ["ls"]}},
            {"type": "shell_call_output", "id": "s", "output": [{"stdout": "a"}]},
        ]
    )
    assert [p for m in request.messages for p in m.parts] == [
        ToolCall("c", "computer", '{"action":{"x":1}}'),
        ToolResult("c", (Image(PNG),)),
        ToolCall("s", "shell", '{"action":{"commands":["ls"]}}'),
        ToolResult("s", (Text('[{"stdout":"a"}]'),)),
    ]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": 1}, "model"),
        ({"model": ""}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 1}, "input"),
        ({"input": [1]}, "input[0]"),
        ({"input": [{"type": "message"}]}, "input[0].content"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [1]}]}, "input[0].content[0]"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "input[0].content[0].text",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "x"}]}]},
            "input[0].content[0].type",
        ),
        (
            {
                "input": [
                    {
                        "role": "system",
                        "content": [{"type": "input_image", "image_url": "x"}],
                    }
                ]
            },
            "input[0].content[0].type",
        ),
        (
            {"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]},
            "input[0].call_id",
        ),
        (
            {"input": [{"type": "function_call", "call_id": "c", "name": "f"}]},
            "input[0].arguments",
        ),
        ({"input": [{"type": "reasoning", "summary": "x"}]}, "input[0].summary"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": 1}]}, "tools[0].type"),
        (
            {"tools": [{"type": "function", "name": "f", "parameters": []}]},
            "tools[0].parameters",
        ),
        (
            {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "x"}]}]},
            "tools[0].tools[0].type",
        ),
        (
            {"tools": [{"type": "custom", "name": "f", "format": {"type": "x"}}]},
            "tools[0].format.type",
        ),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"include": [1]}, "include[0]"),
        ({"reasoning": {"effort": "much"}}, "reasoning.effort"),
        ({"text": {"format": {"type": "x"}}}, "text.format.type"),
        (
            {"text": {"format": {"type": "json_schema", "name": "n"}}},
            "text.format.schema",
        ),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"stream": 1}, "stream"),
        ({"store": "yes"}, "store"),
        ({"instructions": []}, "instructions"),
        ({"stream_options": 1}, "stream_options"),
        ({"background": 1}, "background"),
    ],
)
def test_an_error_names_the_path(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as raised:
        decode(**body) if "input" not in body else read({"model": "m"} | body)
    assert raised.value.param == param
    assert raised.value.message.startswith(f"{param}: ")


@pytest.mark.parametrize(
    ("form", "expected"),
    [({"type": "text"}, None), ({"type": "json_object"}, JsonSchema())],
)
def test_a_format_may_ask_for_no_schema(form: Any, expected: Any) -> None:
    assert decode(text={"format": form}).response_format == expected
    update = {"type": "configuration_update", "text": {"format": form}}
    said = [update, {"role": "user", "content": "x"}]
    schema = {"type": "json_schema", "name": "n", "schema": {}}
    assert decode(said, text={"format": schema}).response_format == expected


def test_a_tool_s_answer_may_be_a_file_or_nothing() -> None:
    request = decode(
        [
            {
                "type": "function_call_output",
                "call_id": "a",
                "output": [{"type": "input_file", "file_id": "f"}],
            },
            {"type": "function_call_output", "call_id": "b", "output": None},
            {
                "type": "computer_call_output",
                "call_id": "c",
                "output": {"file_id": "g"},
            },
            {"type": "computer_call_output", "call_id": "d", "output": {"x": 1}},
            {"type": "shell_call_output", "call_id": "e"},
        ]
    )
    assert [m.parts[0] for m in request.messages] == [
        ToolResult("a", (Document(FileId("f")),)),
        ToolResult("b", ()),
        ToolResult("c", (Image(FileId("g")),)),
        ToolResult("d", (Text('{"x":1}'),)),
        ToolResult("e", ()),
    ]


def test_logprobs_are_asked_for_by_including_them() -> None:
    include = ["message.output_text.logprobs"]
    assert decode(include=include).logprobs == 0
    assert decode(include=include, top_logprobs=3).logprobs == 3
    assert decode(top_logprobs=0).logprobs is None


@given(namespace=st.text(min_size=1), name=st.text())
def test_every_name_comes_back_with_its_namespace(namespace: str, name: str) -> None:
    assert guest_name(flat_name(namespace, name)) == (namespace, name)
    assert guest_name(flat_name("", name)) == ("", name)


@given(
    one=st.tuples(st.text("a-_", max_size=5), st.text("a-_", max_size=5)),
    other=st.tuples(st.text("a-_", max_size=5), st.text("a-_", max_size=5)),
)
def test_no_two_tools_get_the_same_name(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert (flat_name(*one) == flat_name(*other)) == (one == other)


WHOLE = golden("request.json")


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    members = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in members:
        found += _places(inner, (*path, key))
    return found


@given(place=st.sampled_from(_places(WHOLE)), value=json_values())
def test_any_value_anywhere_is_read_or_refused_by_name(
    place: tuple[Any, ...], value: Any
) -> None:
    body = golden("request.json")
    holder: Any = body
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    try:
        request = read(body)
    except BadRequest as e:
        assert e.param is not None
        return
    assert request.model


@given(body=st.dictionaries(st.sampled_from(sorted(WHOLE)), json_values(), max_size=6))
def test_any_object_is_read_or_refused(body: dict[str, Any]) -> None:
    with suppress(BadRequest):
        assert read({"model": "m", "input": "x"} | body).model


@pytest.mark.parametrize("depth", [*range(100, 1100, 50), 100_000])
def test_depth_is_read_or_refused(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    item = b'{"type":"shell_call","call_id":"c","action":%b}' % deep
    body = b'{"model":"m","input":[%b],"metadata":%b}' % (item, deep)
    with suppress(BadRequest):
        request = RESPONSES.decode_request(open_object(body))
        assert RESPONSES.encode_request(request).body


def test_many_hosted_calls_cost_no_more_each_than_few() -> None:
    # Looking through all before each would be 5,000,000,000 steps.
    item = {"type": "mcp_call", "name": "f", "server_label": "l"}
    items = [{**item, "id": f"m{number}"} for number in range(100_000)]
    calls, results = read({"model": "m", "input": items}).messages
    assert len(calls.parts) == len(results.parts) == 100_000


def test_hosted_calls_of_one_id_are_told_apart() -> None:
    item = {"type": "mcp_call", "id": "a", "name": "f", "server_label": "l"}
    calls, results = read({"model": "m", "input": [item, item]}).messages
    ids = [part.id for part in calls.parts if isinstance(part, ToolCall)]
    assert ids == [p.call_id for p in results.parts if isinstance(p, ToolResult)]
    assert len(set(ids)) == 2
