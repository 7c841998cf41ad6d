"""Results, listings and errors for clients of every revision."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.wire.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, RpcError
from modelplex.wire.mcp.envelope import SERVER
from modelplex.wire.mcp.revisions import LEGACY, MODERN, has_structure
from modelplex.wire.mcp.shapes import (
    RESOURCE_NOT_FOUND,
    failed,
    not_found,
    told,
    told_error,
    told_tool,
)

STAMP = {"name": "modelplex", "version": "1"}
NOW = MODERN[0]
VERSIONS = st.sampled_from((*LEGACY, *MODERN))
ARRAY = {"name": "t", "outputSchema": {"type": "array"}}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def called(result: Any, version: str, tool: Any = None) -> dict[str, Any]:
    return told("tools/call", result, version, STAMP, tool)


def test_a_modern_client_is_told_what_every_result_has() -> None:
    legacy = {"content": [text("a")], "_meta": {"vendor/x": 1, SERVER: {"name": "s"}}}
    assert called(legacy, NOW) == {
        "content": [text("a")],
        "resultType": "complete",
        "_meta": {"vendor/x": 1, SERVER: STAMP},
    }


def test_lists_and_what_is_read_are_nobody_elses_and_never_fresh() -> None:
    for method in ("tools/list", "resources/read", "server/discover"):
        result = told(method, {"ttlMs": 9000, "cacheScope": "public"}, NOW, STAMP)
        assert (result["ttlMs"], result["cacheScope"]) == (0, "private")
    assert "ttlMs" not in told("prompts/get", {"messages": []}, NOW, STAMP)


@given(VERSIONS)
def test_a_legacy_client_is_told_nothing_of_the_modern_era(version: str) -> None:
    modern = {
        "resultType": "complete",
        "ttlMs": 1,
        "cacheScope": "public",
        "tools": [],
        "_meta": {SERVER: {"name": "s"}},
    }
    result = told("tools/list", modern, version, STAMP)
    assert result == {"tools": []} or version in MODERN


def test_structure_that_is_no_object_is_wrapped_for_those_who_take_objects() -> None:
    result = called({"content": [], "structuredContent": [1]}, "2025-06-18", ARRAY)
    assert result == {
        "content": [text("[1]")],
        "structuredContent": {"result": [1]},
    }


def test_what_is_listed_as_wrapped_is_wrapped_even_when_it_is_an_object() -> None:
    tool = {"name": "t", "outputSchema": {"anyOf": [{"type": "object"}, {}]}}
    listed = told_tool(tool, "t", "2025-11-25")["outputSchema"]
    assert listed["required"] == ["result"]
    result = called({"content": [], "structuredContent": {"a": 1}}, "2025-11-25", tool)
    assert result["structuredContent"] == {"result": {"a": 1}}


def test_an_object_of_a_tool_that_says_so_stays_as_it_is() -> None:
    tool = {"name": "t", "outputSchema": {"type": "object"}}
    given_ = {"content": [], "structuredContent": {"a": 1}}
    assert called(given_, "2025-11-25", tool) == given_
    assert told_tool(tool, "t", "2025-11-25")["outputSchema"] == {"type": "object"}


def test_any_structure_reaches_a_modern_client_as_it_is() -> None:
    for value in ([1], "a", None, 3):
        result = called({"content": [], "structuredContent": value}, NOW, ARRAY)
        assert result["structuredContent"] == value
        assert result["content"] == []


def test_a_client_that_knows_no_structure_reads_it_as_text() -> None:
    result = called({"content": [], "structuredContent": {"a": 1}}, "2025-03-26")
    assert result == {"content": [text('{"a":1}')]}
    result = called({"content": [text("x")], "structuredContent": 1}, "2024-11-05")
    assert result == {"content": [text("x")]}
    assert "outputSchema" not in told_tool(ARRAY, "t", "2025-03-26")


def test_content_that_a_client_does_not_know_becomes_text() -> None:
    audio = {"type": "audio", "data": "QUJD", "mimeType": "audio/wav"}
    link = {"type": "resource_link", "uri": "x:a", "name": "A"}
    assert called({"content": [audio]}, "2024-11-05")["content"] == [
        text("[audio, audio/wav]")
    ]
    assert called({"content": [audio]}, "2025-03-26")["content"] == [audio]
    assert called({"content": [link]}, "2025-03-26")["content"] == [text("A: x:a")]
    assert called({"content": [link]}, "2025-06-18")["content"] == [link]
    message = {"role": "user", "content": audio}
    prompt = told("prompts/get", {"messages": [message]}, "2024-11-05", STAMP)
    assert prompt["messages"][0]["content"] == text("[audio, audio/wav]")


@pytest.mark.parametrize(
    "result",
    [
        *(None, [], "x", {"resultType": "task"}, {"resultType": "input_required"}),
        *({"content": {}}, {"content": ["x"]}, {"content": [None]}),
    ],
)
def test_what_is_no_result_is_an_error_and_says_nothing(result: Any) -> None:
    with pytest.raises(RpcError) as caught:
        called(result, NOW)
    assert caught.value.rpc_code == INTERNAL_ERROR


def test_tasks_are_not_mentioned_and_names_are_those_of_the_guest() -> None:
    tool = {"name": "own", "title": "T", "execution": {"taskSupport": "optional"}}
    assert told_tool(tool, "s__own", NOW) == {
        "name": "s__own",
        "title": "T",
        "inputSchema": {"type": "object"},
    }


def test_a_missing_resource_has_the_code_of_the_clients_revision() -> None:
    old = RpcError(RESOURCE_NOT_FOUND, "none", {"uri": "x:a"})
    assert told_error("resources/read", old, NOW).rpc_code == INVALID_PARAMS
    assert told_error("resources/read", old, "2025-11-25").rpc_code == -32002
    assert not_found("x:a", NOW).rpc_code == INVALID_PARAMS
    assert not_found("x:a", "2024-11-05").rpc_code == RESOURCE_NOT_FOUND


@pytest.mark.parametrize("code", [-32020, -32022, -32021, -32042, -32050])
def test_the_codes_of_another_hop_are_not_relayed(code: int) -> None:
    for version in (NOW, "2025-06-18"):
        error = told_error(
            "tools/call", RpcError(code, "x", {"supported": []}), version
        )
        assert (error.rpc_code, error.data) == (INTERNAL_ERROR, None)


def test_a_capability_that_is_missing_is_told_to_a_modern_client() -> None:
    error = RpcError(-32021, "x", {"requiredCapabilities": {"sampling": {}}})
    assert told_error("tools/call", error, NOW) is error
    assert told_error("tools/call", error, "2025-11-25").rpc_code == INTERNAL_ERROR


def test_pages_to_visit_are_told_to_the_one_revision_that_has_them() -> None:
    error = RpcError(-32042, "visit", {"elicitations": []})
    assert told_error("tools/call", error, "2025-11-25") is error


@given(st.integers(-33000, 100), VERSIONS)
def test_no_error_has_a_code_that_the_clients_era_lacks(
    code: int, version: str
) -> None:
    told = told_error("tools/call", RpcError(code, "x"), version)
    if version in MODERN:
        assert not -32099 <= told.rpc_code <= -32000
        assert told.rpc_code != -32601
    else:
        assert told.rpc_code == code or told.rpc_code == INTERNAL_ERROR


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["content", "structuredContent", "type", "text", "_meta"])
            | st.text(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON, VERSIONS, st.sampled_from(["tools/call", "prompts/get", "tools/list"]))
def test_any_answer_is_told_or_is_an_error(
    result: Any, version: str, method: str
) -> None:
    try:
        found = told(method, result, version, STAMP, ARRAY)
    except RpcError as e:
        assert e.rpc_code == INTERNAL_ERROR
        return
    if not has_structure(version) and method == "tools/call":
        assert "structuredContent" not in found
    assert ("resultType" in found) == (version in MODERN)
    assert (SERVER in found.get("_meta", {})) == (version in MODERN)


def test_a_failure_says_why_to_the_model() -> None:
    assert failed("no", {"a/b": "1"}) == {
        "content": [text("no")],
        "isError": True,
        "_meta": {"a/b": "1"},
    }
