"""What each API's own form for tools of an MCP server says, where that is Modelplex."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import BadRequest
from modelplex.surface.tool_forms import Found, Source, ToolsWanted, plain
from modelplex.surface.tool_forms_mcp import messages, responses
from modelplex.wire.jsonobject import JsonObject, open_object

FUNCTION = {"type": "function", "name": "own", "parameters": {}}


def body(**members: Any) -> JsonObject:
    return open_object(json.dumps({"model": "m", **members}).encode())


def rest(found: Found) -> Any:
    return json.loads(found[0].text)


def sources(found: Found) -> list[Source]:
    assert found[1] is not None
    return list(found[1].sources)


def mcp(label: str = "host", **more: Any) -> dict[str, Any]:
    return {"type": "mcp", "server_label": label, **more}


def server(url: str = "modelplex", name: str = "host", **more: Any) -> dict[str, Any]:
    return {"type": "url", "url": url, "name": name, **more}


# --- anywhere


@pytest.mark.parametrize(
    ("value", "names"), [(True, None), (["fs__*"], ("fs__*",)), ([], ())]
)
def test_tools_are_named_in_a_member_of_their_own(value: Any, names: Any) -> None:
    found = plain(body(modelplex_tools=value, tools=[FUNCTION]))
    assert rest(found) == {"model": "m", "tools": [FUNCTION]}
    assert found[1] == ToolsWanted((Source(names=names),), "modelplex_tools")


@pytest.mark.parametrize("value", [False, None])
def test_no_tools_are_no_tools(value: Any) -> None:
    found = plain(body(modelplex_tools=value))
    assert rest(found) == {"model": "m"} and found[1] is None


def test_a_request_without_any_form_is_not_touched() -> None:
    asked = body(tools=[FUNCTION], mcp_servers=[server("https://example.com")])
    for form in (plain, responses, messages):
        assert form(asked) == (asked, None)
        assert form(asked)[0] is asked


@pytest.mark.parametrize("value", ["fs__*", 1, [1], {}, ["x" * 257], ["x"] * 1001])
def test_what_is_no_list_of_names_is_refused(value: Any) -> None:
    with pytest.raises(BadRequest, match="modelplex_tools"):
        plain(body(modelplex_tools=value))


# --- Responses


@pytest.mark.parametrize(
    ("url", "one"),
    [
        *((None, None), ("modelplex", None), ("modelplex:", None)),
        *(("modelplex://", None), ("modelplex://fs", "fs"), ("modelplex://fs/", "fs")),
    ],
)
def test_a_response_names_all_servers_or_one(url: Any, one: Any) -> None:
    tool = mcp() if url is None else mcp(server_url=url)
    found = responses(body(tools=[FUNCTION, tool]))
    assert rest(found) == {"model": "m", "tools": [FUNCTION]}
    assert sources(found) == [Source("host", one)]


def test_a_response_names_some_of_the_tools() -> None:
    for allowed in (["a", "b"], {"tool_names": ["a", "b"]}):
        found = responses(body(tools=[mcp(allowed_tools=allowed)]))
        assert sources(found)[0].names == ("a", "b")
        assert "tools" not in found[0]


def test_a_response_may_want_only_what_changes_nothing() -> None:
    found = responses(body(tools=[mcp(allowed_tools={"read_only": True})]))
    assert sources(found) == [Source("host", reading=True)]


def test_what_names_another_server_stays_where_it_is() -> None:
    elsewhere = [
        mcp("a", server_url="https://example.com/mcp"),
        mcp("b", connector_id="connector_gmail"),
        mcp("c", tunnel_id="t"),
        {"type": "namespace", "name": "mcp", "tools": [{"type": "mcp"}]},
    ]
    asked = body(tools=elsewhere)
    assert responses(asked) == (asked, None)
    found = responses(body(tools=[*elsewhere, mcp()]))
    assert rest(found)["tools"] == elsewhere
    assert sources(found) == [Source("host")]


@pytest.mark.parametrize(
    "approval", ["always", {"never": {"tool_names": ["a"]}}, {"always": {}}]
)
def test_approval_is_the_operators(approval: Any) -> None:
    with pytest.raises(BadRequest, match="operator"):
        responses(body(tools=[mcp(require_approval=approval)]))
    responses(body(tools=[mcp(require_approval="never")]))


@pytest.mark.parametrize(
    "tools", [[mcp("")], [{"type": "mcp"}], [mcp(), mcp()], [mcp("x" * 300)]]
)
def test_a_server_has_a_label_of_its_own(tools: Any) -> None:
    with pytest.raises(BadRequest):
        responses(body(tools=tools))


def test_a_tool_that_can_be_read_in_two_ways_is_refused() -> None:
    text = b'{"tools":[{"type":"mcp","server_label":"a","server_label":"b"}]}'
    with pytest.raises(BadRequest, match="twice"):
        responses(open_object(text))


def test_the_choice_of_one_of_these_tools_is_taken_out_with_them() -> None:
    choice = {"type": "mcp", "server_label": "host", "name": "a"}
    found = responses(body(tools=[mcp()], tool_choice=choice))
    assert found[1] is not None and found[1].forced == ("host", "a")
    assert rest(found) == {"model": "m"}
    for other in ("required", {**choice, "server_label": "x"}, {"type": "function"}):
        found = responses(body(tools=[mcp()], tool_choice=other))
        assert rest(found)["tool_choice"] == other
        assert found[1] is not None and found[1].forced is None


def test_a_response_may_say_how_many_calls_are_made() -> None:
    found = responses(body(tools=[mcp()], max_tool_calls=3))
    assert found[1] is not None and found[1].most == 3
    assert "max_tool_calls" not in found[0]
    plainly = body(tools=[FUNCTION], max_tool_calls=3)
    assert responses(plainly) == (plainly, None)


def test_tools_that_were_listed_are_not_listed_again() -> None:
    said = [{"type": "mcp_list_tools", "id": "x", "server_label": "host", "tools": []}]
    found = responses(body(tools=[mcp()], input=said))
    assert found[1] is not None and found[1].listed
    found = responses(body(tools=[mcp()], input="hi"))
    assert found[1] is not None and not found[1].listed


# --- Messages


def test_a_message_names_servers_and_their_toolsets() -> None:
    toolset = {"type": "mcp_toolset", "mcp_server_name": "host"}
    custom = {"name": "own", "input_schema": {}}
    found = messages(body(mcp_servers=[server()], tools=[custom, toolset]))
    assert rest(found) == {"model": "m", "tools": [custom]}
    assert sources(found) == [Source("host")]
    assert found[1] is not None and found[1].shown


def test_a_toolset_chooses() -> None:
    def chosen(**toolset: Any) -> Source:
        said = {"type": "mcp_toolset", "mcp_server_name": "host", **toolset}
        servers = [server("modelplex://fs")]
        [source] = sources(messages(body(mcp_servers=servers, tools=[said])))
        return source

    off, on = {"enabled": False}, {"enabled": True}
    assert chosen(configs={"a": off, "b": on}) == Source("host", "fs", None, ("a",))
    assert chosen(default_config=off, configs={"a": on, "b": {}}).names == ("a",)
    assert chosen(default_config=off).names == ()


def test_the_older_configuration_chooses_too() -> None:
    setting = {"enabled": True, "allowed_tools": ["a"]}
    found = messages(body(mcp_servers=[server(tool_configuration=setting)]))
    assert sources(found)[0].names == ("a",)
    off = server(tool_configuration={"enabled": False})
    assert messages(body(mcp_servers=[off, server(name="b")]))[1] is not None


def test_other_servers_of_a_message_stay_with_their_toolsets() -> None:
    other = server("https://example.com", "other")
    toolsets = [
        {"type": "mcp_toolset", "mcp_server_name": name} for name in ("other", "host")
    ]
    found = messages(body(mcp_servers=[other, server()], tools=toolsets))
    assert rest(found)["mcp_servers"] == [other]
    assert rest(found)["tools"] == toolsets[:1]


@pytest.mark.parametrize("servers", [[server(name="")], [server(), server()]])
def test_a_server_of_a_message_has_a_name_of_its_own(servers: Any) -> None:
    with pytest.raises(BadRequest):
        messages(body(mcp_servers=servers))


# --- anything


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 9)
    | st.sampled_from(["mcp", "modelplex", "mcp_toolset", "host", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "server_label", "server_url", "url", "name", "mcp_server_name"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON, _JSON, _JSON)
def test_whatever_a_request_holds_is_read_or_refused(
    tools: Any, servers: Any, choice: Any
) -> None:
    asked = body(tools=tools, mcp_servers=servers, tool_choice=choice)
    for form in (responses, messages):
        try:
            without, wanted = form(asked)
        except BadRequest:
            continue
        json.loads(without.text)
        assert (wanted is None) == (without is asked)


# --- how much


def test_a_request_names_only_so_much() -> None:
    many = [mcp(f"a{n}") for n in range(64)]
    assert len(sources(responses(body(tools=many)))) == 64
    parts = [mcp(f"a{n}", allowed_tools=[f"t{n}"] * 30) for n in range(40)]
    servers = [
        server(name=s["server_label"], tool_configuration={"allowed_tools": ["*"] * 30})
        for s in parts
    ]
    for form, field, asked in (
        (responses, "tools", body(tools=[*many, mcp("b")])),
        (responses, "tools", body(tools=parts)),
        (messages, "mcp_servers", body(mcp_servers=servers[:20])),
        (
            messages,
            "mcp_servers",
            body(mcp_servers=[server(name=f"a{n}") for n in range(65)]),
        ),
        (plain, "modelplex_tools", body(modelplex_tools=["*" * 200, "b*"])),
    ):
        with pytest.raises(BadRequest) as caught:
            form(asked)
        assert caught.value.param == field
    plain(body(modelplex_tools=["*" * 200, "b"]))


def test_toolsets_of_one_server_cost_no_more_than_of_many() -> None:
    # Copying what was read before for each would be 5,000,000,000 steps.
    def toolset(**configs: Any) -> dict[str, Any]:
        return {"type": "mcp_toolset", "mcp_server_name": "host", "configs": configs}

    off = {"enabled": False}
    tools = [toolset(**{f"t{n}": off}) for n in range(100_000)]
    with pytest.raises(BadRequest, match="too many names"):
        messages(body(mcp_servers=[server()], tools=tools))
    first = toolset(**{f"t{n}": off for n in range(1000)})
    found = messages(body(mcp_servers=[server()], tools=[first, *[toolset()] * 50_000]))
    assert len(sources(found)[0].without) == 1000
