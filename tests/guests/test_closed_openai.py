"""Closed by default: each way out through a provider, closed and opened by its word."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelplex.errors import BadRequest, Forbidden, GatewayError
from modelplex.guests.admitted import Admitted
from modelplex.guests.closed_openai import close
from modelplex.guests.policy import (
    FILES,
    HOSTED_TOOLS,
    REMOTE_URLS,
    SERVER_STATE,
    WORDS,
    Policy,
)
from modelplex.testing.strategies import json_values, names, schemas, texts
from modelplex.wire.jsonobject import open_object

PNG = "data:image/png;base64,iVBORw0KGgo="
WEB = "https://evil.example/a?b=c"
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {}}}
CUSTOM = {"type": "custom", "custom": {"name": "c"}}
SEARCH = {"type": "web_search"}


def admit(body: Any, *allow: str, model: str = "m") -> tuple[dict[str, Any], Admitted]:
    """What is sent in place of `body`, and the admission."""
    text = (
        body
        if isinstance(body, bytes)
        else json.dumps(body, ensure_ascii=False).encode()
    )
    opened = open_object(text)
    admitted = close(opened, model, Policy("g", allow=frozenset(allow)))
    return json.loads(opened.splice(admitted.changes)), admitted


def saying(*parts: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": [*parts]}], **more}


def refused(body: Any, *allow: str, model: str = "m") -> GatewayError:
    with pytest.raises((Forbidden, BadRequest)) as caught:
        admit(body, *allow, model=model)
    return caught.value


def is_opened_only_by(word: str, body: Any, model: str = "m") -> None:
    """`body` is refused by every set of words without `word`, passed by all others."""
    for count in range(len(WORDS) + 1):
        for words in combinations(WORDS, count):
            if word in words:
                sent, admitted = admit(body, *words, model=model)
                assert sent == (json.loads(body) if isinstance(body, bytes) else body)
                assert admitted == Admitted()
            else:
                error = refused(body, *words, model=model)
                assert isinstance(error, Forbidden)
                assert f'allow = ["{word}"]' in str(error)
                assert "evil.example" not in str(error)


# --- remote URLs ------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": WEB}},
        {"type": "image_url", "image_url": WEB},
        {"type": "image_url", "image_url": [WEB]},
        {"type": "image_url", "image_url": {"url": [PNG, [WEB]]}},
        {"type": "image_url", "image_url": {"url": "HTTPS://EVIL.EXAMPLE"}},
        {"type": "image_url", "image_url": {"url": " https://evil.example"}},
        {"type": "image_url", "image_url": {"url": "\thttp://evil.example"}},
        {"type": "image_url", "image_url": {"url": " data:x"}},
        {"type": "image_url", "image_url": {"url": "//evil.example/a.png"}},
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        {"type": "image_url", "image_url": {"url": "gs://bucket/a.png"}},
        {"type": "image_url", "image_url": {"url": ""}},
        {"type": "Image_URL", "Image_URL": {"URL": WEB}},
        {"type": "text", "text": "x", "image_url": {"url": WEB}},
        {"image_url": WEB},
        {"type": "video_url", "video_url": {"url": WEB}},
        {"type": "audio_url", "audio_url": {"url": WEB}},
        {"type": "input_image", "image_url": WEB},
        {"type": "input_file", "file_url": WEB},
        {"type": "image", "source": {"type": "url", "url": WEB}},
        {"type": "text", "text": {"url": WEB}},
        {"fileData": {"mimeType": "image/png", "fileUri": WEB}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": WEB}},
        {"type": "input_audio", "input_audio": {"data": WEB, "format": "mp3"}},
        {"type": "video", "video": [PNG, WEB]},
        {"type": "image", "image": WEB},
        {"a": [{"b": [[{"c": {"IMAGE_URL": {"detail": "low", "url": WEB}}}]]}]},
    ],
)
def test_an_address_in_content_is_refused_unless_remote_urls_are_open(
    part: dict[str, Any],
) -> None:
    is_opened_only_by(REMOTE_URLS, saying({"type": "text", "text": "Look"}, part))
    is_opened_only_by(REMOTE_URLS, {"messages": [{"role": "user", "content": part}]})
    is_opened_only_by(
        REMOTE_URLS, {"messages": [{"role": "user", "content": "x", "more": part}]}
    )
    is_opened_only_by(REMOTE_URLS, {"prompt": [part], "model": "m"})
    is_opened_only_by(REMOTE_URLS, {"input": part, "model": "m"})


@pytest.mark.parametrize(
    "body",
    [
        {"model": "m", "image_url": WEB},
        {"model": "m", "input_uri": WEB},
        {"model": "m", "video": [WEB]},
        {"model": "m", "image": WEB},
        {"model": "m", "prediction": {"content": [{"image_url": {"url": WEB}}]}},
        {"model": "m", "webhook": {"callback_url": WEB}},
        {"model": "m", "API_BASE": WEB},
        {"model": "m", "backend": {"endpoint": WEB}},
        {"messages": [{"role": "user", "content": "x", "image_url": WEB}]},
        {"messages": [{"role": "user", "content": "x", "images": [WEB]}]},
        b'{"messages":[{"role":"user","content":[{"image_url":"https:\\/\\/a"}]}]}',
        b'{"messages":[{"content":[{"\\u0069mage_ur\\u006c":"\\u0068ttps://a"}]}]}',
        b'{"messages":[ {"con\\u0074ent" :[{"image_url":"https://a"}]}]}',
        b'{"messages":[{"role":"user","image_\\u0075rl":"https://a"}]}',
    ],
)
def test_an_address_anywhere_else_is_refused_too(body: Any) -> None:
    with pytest.raises((Forbidden, BadRequest)):
        admit(body)
    with pytest.raises((Forbidden, BadRequest)):
        admit(body, HOSTED_TOOLS, SERVER_STATE, FILES)


# --- files ------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_id": "file-abc"}},
        {"type": "file", "file": {"FILE_ID": "file-abc"}},
        {"type": "input_image", "file_id": "file-abc"},
        {"type": "x", "attachments": [{"file_ids": ["file-abc"]}]},
        {"fileId": "file-abc"},
    ],
)
def test_a_stored_file_is_refused_unless_files_are_open(part: dict[str, Any]) -> None:
    is_opened_only_by(FILES, saying(part))
    is_opened_only_by(FILES, {"model": "m", "extra": [part]})
    is_opened_only_by(FILES, {"model": "m", "file_id": "file-abc"})


# --- hosted tools -----------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        (SEARCH, "web_search"),
        ({"type": "web_search_preview", "filters": {}}, "web_search_preview"),
        ({"type": "code_interpreter", "container": {"type": "auto"}}, "code_interp"),
        ({"type": "mcp", "server_url": WEB, "server_label": "x"}, "mcp"),
        ({"type": "Function", "function": {"name": "f"}}, "Function"),
        ({"type": "builtin_function", "function": {"name": "$web"}}, "builtin"),
        ({"type": None, "function": {"name": "f"}}, "None"),
        ({"type": ["function"]}, "function"),
        ({"type": {"a": 1}}, "a"),
        ({"google_search": {}}, "untyped"),
        ({"function": {"name": "f"}, "web_search": {}}, "untyped"),
        ({}, "untyped"),
        ({"Type": "web_search"}, "untyped"),
        ({"type": "function", "Type": "web_search"}, "function"),
        ({"TYPE": "mcp", "type": "function", "function": {}}, "function"),
    ],
)
def test_a_hosted_tool_is_taken_out_and_listed(tool: dict[str, Any], name: str) -> None:
    body = {"model": "m", "tools": [FUNCTION, tool, CUSTOM], "tool_choice": "required"}
    sent, admitted = admit(body)
    assert sent == {**body, "tools": [FUNCTION, CUSTOM]}
    [dropped] = admitted.dropped
    assert dropped.startswith("tools[") and name in dropped
    assert admit(body, HOSTED_TOOLS) == (body, Admitted())
    alone = {"model": "m", "tools": [tool], "tool_choice": "auto", "n": 1}
    sent, admitted = admit({**alone, "parallel_tool_calls": True})
    assert sent == {"model": "m", "n": 1}
    assert admitted.dropped == (dropped,)


@pytest.mark.parametrize(
    "tools",
    [
        b'[{"type":"function","type":"web_search"}]',
        b'[{"type":"function","\\u0074ype":"web_search"}]',
        b'[{"type":"web_search", "function":{},"type":"function"}]',
        b'[["web_search"]]',
        b'["web_search"]',
        b'{"type":"web_search"}',
        b'"web_search"',
        b"1",
    ],
)
def test_tools_that_can_be_read_in_two_ways_are_refused(tools: bytes) -> None:
    assert isinstance(refused(b'{"tools":' + tools + b"}"), BadRequest)


def test_no_tools_are_no_hosted_tools() -> None:
    nothing: tuple[Any, ...] = ([], None, [{"function": {}}])
    for tools in nothing:
        body = {"tools": tools}
        assert admit(body) == (body, Admitted())


@pytest.mark.parametrize(
    "choice",
    [
        SEARCH,
        {"type": "mcp", "server_label": "x"},
        {"Type": "web_search"},
        {"type": "function", "TYPE": "web_search"},
        {"type": "allowed_tools", "allowed_tools": {"tools": [FUNCTION, SEARCH]}},
        {"type": "allowed_tools", "mode": "required", "tools": [SEARCH]},
    ],
)
def test_a_forced_hosted_tool_is_refused(choice: Any) -> None:
    is_opened_only_by(HOSTED_TOOLS, {"model": "m", "tool_choice": choice})


def test_to_require_a_tool_when_all_are_hosted_is_to_force_one() -> None:
    is_opened_only_by(HOSTED_TOOLS, {"tools": [SEARCH], "tool_choice": "required"})


@pytest.mark.parametrize(
    "choice", ["auto", "none", "required", FUNCTION, CUSTOM, None, {"function": {}}]
)
def test_a_choice_among_the_guests_own_tools_passes(choice: Any) -> None:
    body = {"tools": [FUNCTION], "tool_choice": choice}
    assert admit(body) == (body, Admitted())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("web_search_options", {"search_context_size": "low"}),
        ("plugins", [{"id": "web"}]),
        ("search_parameters", {"mode": "on"}),
        ("enable_search", True),
        ("mcp_servers", [{"url": WEB}]),
        ("data_sources", [{"type": "azure_search", "parameters": {"endpoint": WEB}}]),
    ],
)
def test_a_setting_that_searches_is_taken_out(key: str, value: Any) -> None:
    sent, admitted = admit({"model": "m", key: value, "n": 1})
    assert (sent, admitted.dropped) == ({"model": "m", "n": 1}, (key,))
    body = {"model": "m", key: value}
    assert admit(body, HOSTED_TOOLS) == (body, Admitted())


# --- state of a server ------------------------------------------------------


@pytest.mark.parametrize("value", [True, 1, "yes", {}])
def test_store_is_forced_off(value: Any) -> None:
    sent, admitted = admit({"store": value, "model": "m"})
    assert sent == {"store": False, "model": "m"}
    assert admitted.dropped == ("store",)
    body = {"store": value}
    assert admit(body, SERVER_STATE) == (body, Admitted())


@pytest.mark.parametrize("key", ["previous_response_id", "conversation", "background"])
def test_state_that_a_provider_keeps_is_refused(key: str) -> None:
    is_opened_only_by(SERVER_STATE, {"model": "m", key: "x"})


@pytest.mark.parametrize(
    "key", ["store", "background", "conversation", "previous_response_id"]
)
@pytest.mark.parametrize("value", [None, False])
def test_what_is_off_is_no_way_out(key: str, value: Any) -> None:
    assert admit({key: value}) == ({key: value}, Admitted())


# --- whatever the words -----------------------------------------------------


@pytest.mark.parametrize("key", ["models", "fallbacks", "route", "preset"])
def test_only_the_model_names_a_model(key: str) -> None:
    assert "model" in str(refused({"model": "m", key: ["x"]}, *WORDS))
    assert admit({"model": "m", key: None})[1] == Admitted()


@pytest.mark.parametrize(
    "key",
    [
        *("Model", "MODELS", "Tools", "tool_Choice", "Messages", "Store", "\u017ftore"),
        *("web_\u017fearch_options", "Previous_response_id", "PLUGINS"),
    ],
)
def test_a_key_that_a_lenient_parser_takes_for_another_is_refused(key: str) -> None:
    error = refused({"model": "m", key: []}, *WORDS)
    assert isinstance(error, BadRequest)
    assert repr(key.casefold()) in str(error)


@pytest.mark.parametrize("key", ["Content", "ROLE", "tool_call\u017f"])
def test_a_key_of_a_message_is_written_one_way(key: str) -> None:
    body = {"messages": [{"role": "user", key: "x"}]}
    assert isinstance(refused(body), BadRequest)


@pytest.mark.parametrize(
    "content",
    [
        b'[{"type":"text","text":"a","text":"b"}]',
        b'[{"image_url":{"url":"data:,","url":"https://a"}}]',
        b'[{"image_url":{"url":"https://a","\\u0075rl":"data:,"}}]',
        b"[" * 5000 + b"]" * 5000,
    ],
)
def test_content_that_can_be_read_in_two_ways_is_refused(content: bytes) -> None:
    body = b'{"messages":[{"role":"user","content":' + content + b"}]}"
    with pytest.raises(BadRequest):
        admit(body)


@pytest.mark.parametrize("messages", [b"1", b"null", b'"x"', b"[1]", b"[[]]", b"{}"])
def test_messages_of_another_shape_are_refused(messages: bytes) -> None:
    assert isinstance(refused(b'{"messages":' + messages + b"}"), BadRequest)


# --- properties -------------------------------------------------------------

quoted = st.one_of(
    texts(),
    st.sampled_from(
        [WEB, f'{{"url":"{WEB}"}}', f"![x]({WEB})", "file_id", '","url":"']
    ),
)
parts = st.one_of(
    quoted.map(lambda text: {"type": "text", "text": text}),
    st.just({"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}),
    st.just({"type": "image_url", "image_url": "DATA:image/png;base64,AAAA"}),
    st.just({"type": "input_audio", "input_audio": {"data": "//uQ", "format": "mp3"}}),
    st.just({"type": "file", "file": {"filename": "a", "file_data": PNG}}),
)
turns = st.one_of(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "system"]),
            "content": st.one_of(quoted, st.lists(parts, max_size=3)),
        }
    ),
    st.fixed_dictionaries(
        {
            "role": st.just("assistant"),
            "content": st.none() | quoted,
            "annotations": st.just([{"url_citation": {"url": WEB}}]),
            "reasoning_content": quoted,
            "tool_calls": st.lists(
                quoted.map(
                    lambda text: {
                        "id": "a",
                        "type": "function",
                        "function": {"name": "f", "arguments": text},
                    }
                ),
                max_size=1,
            ),
        }
    ),
    quoted.map(lambda t: {"role": "tool", "tool_call_id": "a", "content": t}),
)
tools = st.builds(
    lambda name, text, schema: {
        "type": "function",
        "function": {
            "name": name,
            "description": text,
            "parameters": {**schema, "$schema": "https://json-schema.org/draft"},
        },
    },
    names(),
    quoted,
    schemas(),
)
harmless = st.fixed_dictionaries(
    {"model": names(), "messages": st.lists(turns, max_size=3)},
    optional={
        "tools": st.lists(tools, max_size=3),
        "tool_choice": st.sampled_from(["auto", "required", FUNCTION]),
        "temperature": st.floats(0, 2),
        "stream": st.booleans(),
        "store": st.just(False),
        "user": quoted,
        "metadata": st.dictionaries(names(), quoted, max_size=2),
        "response_format": schemas().map(
            lambda s: {"type": "json_schema", "json_schema": {"schema": s}}
        ),
        "guided_json": schemas().map(
            lambda s: {**s, "$schema": "https://json-schema.org/draft"}
        ),
        "chat_template_kwargs": st.just({"enable_thinking": False, "big": 10**5000}),
        "prompt": st.one_of(quoted, st.lists(quoted), st.lists(st.integers())),
        "input": st.lists(st.lists(st.integers(), max_size=3), max_size=3),
    },
)


def dump(value: Any) -> bytes:
    """JSON as clients write it; `json` refuses to write integers that long."""
    return json.dumps(value).replace('"big": 0', f'"big": {"1" * 5000}').encode()


@given(harmless, st.sets(st.sampled_from(WORDS)))
def test_functions_and_inline_content_are_never_refused(
    body: dict[str, Any], words: set[str]
) -> None:
    if "chat_template_kwargs" in body:
        body["chat_template_kwargs"] = {"enable_thinking": False, "big": 0}
    opened = open_object(dump(body))
    policy = Policy("g", allow=frozenset(words))
    assert close(opened, "m", policy) == Admitted()


def addresses(value: Any, key: str = "") -> list[str]:
    """Every http(s) address below a key for addresses, found without cleverness."""
    found: list[str] = []
    if isinstance(value, dict):
        for name, inner in value.items():
            found += addresses(inner, name)
    elif isinstance(value, list):
        for inner in value:
            found += addresses(inner, key)
    elif isinstance(value, str):
        is_web = value.strip().casefold().startswith(("http:", "https:"))
        if is_web and key.casefold().endswith(("url", "uri", "video", "file_data")):
            found.append(value)
    return found


def types(tools: Any) -> set[str]:
    return {str(tool.get("type", "function")) for tool in tools or ()}


hostile_keys = st.sampled_from(
    [
        "url",
        "URL",
        "image_url",
        "video_url",
        "fileUri",
        "uR\u0131",
        "text",
        "x",
        "file_data",
    ]
)
hostile = st.recursive(
    st.sampled_from([WEB, "HTTP://a", " https://a", PNG, "x", "file-1", 7, None]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(hostile_keys, inner, max_size=3),
    ),
    max_leaves=6,
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "messages": st.lists(
            st.fixed_dictionaries(
                {"role": st.just("user")},
                optional={"content": hostile, "more": hostile, "image_url": hostile},
            ),
            max_size=2,
        ),
        "tools": st.lists(
            st.sampled_from(
                [FUNCTION, SEARCH, CUSTOM, {"type": "function", "Type": "mcp"}, {}]
            ),
            max_size=3,
        ),
        "input": hostile,
        "prompt": hostile,
        "other": hostile,
        "mcp_servers": hostile,
        "image_url": hostile,
        "store": json_values(2),
    },
)


def escaped(text: str, places: set[int]) -> str:
    """The JSON `text` with some letters inside its strings written as escapes."""
    return "".join(
        f"\\u{ord(c):04x}" if c.isalpha() and i in places and '"' in text[:i] else c
        for i, c in enumerate(text)
    )


@given(bodies, st.sets(st.integers(0, 120), max_size=6))
@example({"messages": [{"role": "user", "content": {"image_url": WEB}}]}, set())
@example({"mcp_servers": {"url": WEB}}, set())
def test_nothing_that_is_admitted_names_an_address(
    body: dict[str, Any], places: set[int]
) -> None:
    text = json.dumps(body)
    spelt = escaped(text, places)
    try:
        if json.loads(spelt) != body:
            return
    except ValueError:
        return  # an escape in true, false or null
    try:
        sent, _ = admit(spelt.encode())
    except (Forbidden, BadRequest):
        return
    assert addresses(sent) == []
    assert types(sent.get("tools")) <= {"function", "custom"}
    assert not any("Type" in tool for tool in sent.get("tools") or ())
    assert sent.get("store") in (None, False)


@given(
    st.binary(max_size=30) | json_values().map(dump), st.sets(st.sampled_from(WORDS))
)
def test_any_object_is_admitted_or_refused(text: bytes, words: set[str]) -> None:
    for key in (b"messages", b"tools", b"tool_choice", b"input", b"other", b"store"):
        try:
            admit(b'{"' + key + b'":' + text + b"}", *words)
        except (Forbidden, BadRequest) as e:
            assert str(e)


@given(bodies, st.data())
def test_more_words_never_open_less(body: dict[str, Any], data: st.DataObject) -> None:
    words = data.draw(st.sets(st.sampled_from(WORDS)))
    more = words | data.draw(st.sets(st.sampled_from(WORDS)))
    try:
        admit(body, *words)
    except (Forbidden, BadRequest):
        return
    admit(body, *more)


def test_a_body_of_settings_alone_is_not_changed() -> None:
    body = {"model": "m", "temperature": 1, "seed": 3, "stop": ["a"], "logit_bias": {}}
    assert admit(body) == (body, Admitted())
