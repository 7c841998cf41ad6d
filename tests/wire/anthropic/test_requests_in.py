from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import BadRequest
from modelplex.events import (
    CacheMark,
    Choose,
    Document,
    FileId,
    Image,
    Inline,
    Message,
    Part,
    Request,
    Role,
    Text,
    Thinking,
    ThinkingControl,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from modelplex.testing.strategies import json_values
from modelplex.wire.anthropic.request_in import decode_request
from modelplex.wire.jsonobject import open_object
from modelplex.wire.typed import compact, read

LEAST: dict[str, Any] = {
    "model": "m",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hi"}],
}


def decoded(**members: Any) -> Request:
    return decode_request(open_object(json.dumps({**LEAST, **members}).encode()))


def said(*blocks: Any, role: str = "user") -> tuple[Message, ...]:
    return decoded(messages=[{"role": role, "content": list(blocks)}]).messages


def parts(*blocks: Any, role: str = "user") -> tuple[Part, ...]:
    (message,) = said(*blocks, role=role)
    return message.parts


def culprit(**members: Any) -> str | None:
    with pytest.raises(BadRequest) as caught:
        decoded(**members)
    return caught.value.param


# --- messages ---------------------------------------------------------------


def test_the_least_request_is_one_message() -> None:
    assert decoded() == Request("m", (Message(Role.USER, (Text("Hi"),)),), max_tokens=9)


def test_a_system_prompt_is_the_first_message() -> None:
    first, _ = decoded(system="Be brief.").messages
    assert first == Message(Role.SYSTEM, (Text("Be brief."),))
    assert decoded(system=None) == decoded(system=[]) == decoded()


def test_a_system_message_stays_where_it_stands() -> None:
    talk = [*LEAST["messages"], {"role": "system", "content": "now brief"}]
    assert decoded(messages=talk).messages[1] == Message(
        Role.SYSTEM, (Text("now brief"),)
    )


def test_results_go_before_what_the_user_says() -> None:
    tool, user = said(
        {"type": "text", "text": "and"},
        {"type": "tool_result", "tool_use_id": "a", "content": "x"},
        {"type": "tool_result", "tool_use_id": "b"},
    )
    results = (ToolResult("a", (Text("x"),)), ToolResult("b", ()))
    assert tool == Message(Role.TOOL, results)
    assert user == Message(Role.USER, (Text("and"),))


def test_reasoning_that_we_signed_is_left_out() -> None:
    assert parts(
        {"type": "thinking", "thinking": "a", "signature": "modelplex:00"},
        {"type": "thinking", "thinking": "b", "signature": "theirs"},
        {"type": "thinking", "thinking": "c"},
        role="assistant",
    ) == (Thinking("b", "theirs"), Thinking("c"))


def test_arguments_are_compact_json_with_every_digit() -> None:
    body = (
        b'{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":[{'
        b'"type":"tool_use","id":"a","name":"f",'
        b'"input": { "n": 1.10e5, "s" : "a b" } }]}]}'
    )
    ((call,),) = [m.parts for m in decode_request(open_object(body)).messages]
    assert call == ToolCall("a", "f", '{"n":1.10e5,"s":"a b"}')


def test_a_file_is_known_by_its_id() -> None:
    source = {"type": "file", "file_id": "file_1"}
    assert parts({"type": "image", "source": source}) == (Image(FileId("file_1")),)


def test_white_space_in_base64_is_removed() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "AA\nAA"}
    (image,) = parts({"type": "image", "source": source})
    assert image == Image(Inline("image/png", "AAAA"))


def test_a_document_of_blocks_is_its_text_and_its_pictures() -> None:
    picture = {"type": "image", "source": {"type": "url", "url": "http://x"}}
    texts = [{"type": "text", "text": "a"}, picture, {"type": "text", "text": "b"}]
    source = {"type": "content", "content": texts}
    document, image = parts({"type": "document", "source": source})
    assert document == Document(Inline("text/plain", "YQoKYg=="))
    assert isinstance(image, Image)


def test_a_tool_that_was_found_is_told_by_its_name() -> None:
    found = {"type": "tool_reference", "tool_name": "f"}
    result = {"type": "tool_result", "tool_use_id": "a", "content": [found]}
    assert parts(result) == (ToolResult("a", (Text("f"),)),)


def test_a_search_result_is_a_document() -> None:
    assert parts(
        {
            "type": "search_result",
            "source": "http://x",
            "title": "t",
            "content": [{"type": "text", "text": "a"}],
            "citations": {"enabled": True},
        }
    ) == (Document(Inline("text/plain", "YQ=="), "t", "http://x", citations=True),)


def test_marks_are_read_wherever_they_stand() -> None:
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    call = {"type": "tool_use", "id": "a", "name": "f", "input": {}, **mark}
    result = {"type": "tool_result", "tool_use_id": "a", "content": "x", **mark}
    request = decoded(
        system=[{"type": "text", "text": "s", **mark}],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "a", **mark}]},
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [result]},
        ],
        tools=[{"name": "f", "input_schema": {}, **mark}],
        **mark,
    )
    marked: list[Any] = [request, *request.tools]
    marked += [part for message in request.messages for part in message.parts]
    assert [item.cache for item in marked] == [CacheMark("1h")] * 6


# --- what has no canonical place --------------------------------------------


def test_server_tools_and_their_blocks_are_listed() -> None:
    used = {"type": "server_tool_use", "id": "a", "name": "web_search", "input": {}}
    request = decoded(
        messages=[{"role": "assistant", "content": [used]}],
        tools=[
            {"type": "web_search_20260318", "name": "web_search"},
            {"type": "mcp_toolset", "mcp_server_name": "x"},
        ],
    )
    assert request.tools == ()
    assert list(request.extra) == [
        "messages[].content[server_tool_use]",
        "tools[web_search_20260318]",
        "tools[mcp_toolset]",
    ]


def test_other_members_are_kept_by_name() -> None:
    request = decoded(
        container="c",
        context_management={"edits": []},
        metadata={"user_id": "u", "team": 1},
        output_config={"task_budget": 1},
        tools=[{"name": "f", "input_schema": {}, "defer_loading": True}],
    )
    assert request.user == "u"
    assert dict(request.extra) == {
        "container": "c",
        "context_management": {"edits": []},
        "metadata.team": 1,
        "output_config.task_budget": 1,
        "tools[].defer_loading": None,
    }


@pytest.mark.parametrize(
    ("type", "name", "argument"),
    [
        ("bash_20250124", "bash", "restart"),
        ("text_editor_20250728", "str_replace_based_edit_tool", "old_str"),
        ("memory_20250818", "memory", "new_path"),
    ],
)
def test_a_tool_that_the_guest_runs_is_a_function(
    type: str, name: str, argument: str
) -> None:
    (tool,) = decoded(tools=[{"type": type, "name": name}]).tools
    assert tool.name == name
    assert argument in tool.schema["properties"]


# --- settings ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "expected", "parallel"),
    [
        (None, None, None),
        ({"type": "auto"}, ToolChoice(Choose.AUTO), None),
        ({"type": "none"}, ToolChoice(Choose.NONE), None),
        (
            {"type": "any", "disable_parallel_tool_use": True},
            ToolChoice(Choose.REQUIRED),
            False,
        ),
        (
            {"type": "tool", "name": "f", "disable_parallel_tool_use": False},
            ToolChoice(Choose.REQUIRED, ("f",)),
            None,
        ),
    ],
)
def test_a_tool_choice_is_read(choice: Any, expected: Any, parallel: Any) -> None:
    request = decoded(tool_choice=choice)
    assert (request.tool_choice, request.parallel_tool_calls) == (expected, parallel)


def test_reasoning_is_read_in_all_its_words() -> None:
    request = decoded(
        thinking={"type": "adaptive", "display": "omitted"},
        output_config={"effort": "xhigh", "format": None},
    )
    assert request.thinking == ThinkingControl("xhigh", "adaptive", None, "omitted")
    only = decoded(output_config={"effort": "low"}).thinking
    assert only == ThinkingControl("low")


def test_sampling_is_read() -> None:
    request = decoded(temperature=1, top_p=0.5, top_k=3)
    assert (request.temperature, request.top_p, request.top_k) == (1.0, 0.5, 3)


# --- wrong types ------------------------------------------------------------


@pytest.mark.parametrize("missing", ["model", "max_tokens", "messages"])
def test_a_missing_member_is_named(missing: str) -> None:
    body = {key: value for key, value in LEAST.items() if key != missing}
    with pytest.raises(BadRequest) as caught:
        decode_request(open_object(json.dumps(body).encode()))
    assert caught.value.param == missing


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"model": []}, "model"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop_sequences": ["a", 1]}, "stop_sequences[1]"),
        ({"system": [{"type": "image"}]}, "system[0]"),
        ({"system": [{"type": "thinking", "thinking": "x"}]}, "system"),
        ({"messages": {}}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": ""}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [1]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
            "messages[0].content[0].text",
        ),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": [{"name": "f", "input_schema": []}]}, "tools[0].input_schema"),
        ({"tools": [{"type": 1}]}, "tools[0].type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "best"}}, "tool_choice.type"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": "x"}},
            "thinking.budget_tokens",
        ),
        ({"output_config": {"effort": 1}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format"),
        ({"metadata": {"user_id": 1}}, "metadata.user_id"),
        ({"cache_control": {"ttl": 5}}, "cache_control.ttl"),
    ],
)
def test_a_wrong_type_is_named(members: dict[str, Any], param: str) -> None:
    assert culprit(**members) == param


@pytest.mark.parametrize(
    ("block", "role", "param"),
    [
        ({"type": "tool_use", "id": "a", "name": "f", "input": []}, "assistant", 1),
        ({"type": "tool_use", "id": "a", "name": "f"}, "assistant", 0),
        ({"type": "tool_use", "id": "a", "name": "f", "input": {}}, "user", 2),
        ({"type": "tool_result", "tool_use_id": "a"}, "assistant", 2),
        ({"type": "tool_result"}, "user", 0),
        ({"type": "image", "source": {"type": "tape"}}, "user", 3),
        ({"type": "document", "source": {"type": "url"}}, "user", 3),
    ],
)
def test_a_block_that_is_wrong_is_named(block: Any, role: str, param: int) -> None:
    where = "messages[0].content"
    params = [f"{where}[0]", f"{where}[0].input", where, f"{where}[0].source"]
    messages = [{"role": role, "content": [block]}]
    assert culprit(messages=messages) == params[param]


def test_a_result_holds_no_call() -> None:
    call = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "a", "content": [call]}
    messages = [{"role": "user", "content": [result]}]
    assert culprit(messages=messages) == "messages[0].content[0].content"


KEYS = re.findall(
    r"\w+",
    """
    model max_tokens messages system stream stop_sequences temperature top_p top_k
    tools tool_choice thinking cache_control output_config metadata other role
    content type text source input id name tool_use_id signature data citations
    input_schema effort format schema user_id ttl budget_tokens is_error
    """,
)
WORDS = re.findall(
    r"\w+",
    """
    user assistant system text image document tool_use tool_result thinking
    redacted_thinking search_result tool_reference base64 url file content custom
    auto tool json_schema server_tool_use web_search_20260318 bash_20250124
    """,
)
anything = st.recursive(
    st.one_of(json_values(2), st.sampled_from(WORDS)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    ),
    max_leaves=20,
)
turns = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "assistant", "system"]),
            "content": st.lists(
                st.dictionaries(st.sampled_from(KEYS), anything, max_size=4).flatmap(
                    lambda block: st.sampled_from(WORDS).map(
                        lambda type: {**block, "type": type}
                    )
                ),
                max_size=3,
            ),
        }
    ),
    max_size=2,
)


@given(
    members=st.dictionaries(st.sampled_from(KEYS), anything, max_size=6),
    messages=st.one_of(turns, anything),
)
def test_any_json_is_a_request_or_a_bad_one(
    members: dict[str, Any], messages: Any
) -> None:
    body = json.dumps({**LEAST, "messages": messages, **members}).encode()
    try:
        request = decode_request(open_object(body))
    except BadRequest as e:
        assert e.message
    else:
        assert isinstance(request, Request)


def test_what_is_nested_too_deeply_is_a_bad_request() -> None:
    with pytest.raises(BadRequest) as caught:
        read(b"[" * 100_000 + b"]" * 100_000, Any, "messages")
    assert caught.value.param == "messages"


def test_arguments_too_deep_to_be_made_compact_stay_as_they_are() -> None:
    deep = b"[" * 100_000 + b" ]" + b"]" * 99_999
    assert compact(deep) == deep.decode()


def test_a_number_of_ten_thousand_digits_is_a_bad_request() -> None:
    body = json.dumps(LEAST)[:-1] + ',"other":' + "9" * 10_000 + "}"
    with pytest.raises(BadRequest):
        decode_request(open_object(body.encode()))
