"""What every dialect closes, by one table, and what real agents send through it."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelplex.errors import BadRequest, Forbidden
from modelplex.guests import (
    closed_anthropic,
    closed_gemini,
    closed_ollama,
    closed_openai,
    closed_responses,
)
from modelplex.guests.admitted import Admitted, Closing
from modelplex.guests.hosted import MOST_TOOLS
from modelplex.guests.policy import (
    FILES,
    HOSTED_TOOLS,
    REMOTE_URLS,
    SERVER_STATE,
    WORDS,
    Policy,
)
from modelplex.guests.rules import OTHER_MODELS, SEARCHING
from modelplex.testing.strategies import json_values
from modelplex.wire.jsonobject import open_object

CLOSINGS: dict[str, Closing] = {
    "openai": closed_openai.close,
    "anthropic": closed_anthropic.close,
    "responses": closed_responses.close,
    "gemini": closed_gemini.close,
    "ollama": closed_ollama.close,
}
WEB = "https://evil.example/a?b=c"
PNG = "iVBORw0KGgo="
COMPACT = (",", ":")
SPACED = (", ", ": ")
UNSTORED = {"responses": {"store": False}}


def admit(
    dialect: str, body: Any, *allow: str, model: str = "m"
) -> tuple[dict[str, Any], Admitted]:
    """What is sent in place of `body`, and the admission."""
    text = body if isinstance(body, bytes) else json.dumps(body, separators=COMPACT)
    if isinstance(text, str):
        text = text.encode()
    opened = open_object(text)
    policy = Policy("g", allow=frozenset(allow))
    admitted = CLOSINGS[dialect](opened, model, policy)
    return json.loads(opened.splice(admitted.changes)), admitted


def said(dialect: str, *parts: Any, **more: Any) -> dict[str, Any]:
    """A request whose user says `parts`."""
    match dialect:
        case "responses":
            return {"input": [{"role": "user", "content": [*parts]}], **more}
        case "gemini":
            return {"contents": [{"role": "user", "parts": [*parts]}], **more}
    return {"messages": [{"role": "user", "content": [*parts]}], **more}


def is_opened_only_by(word: str, dialect: str, body: dict[str, Any]) -> None:
    body = body | UNSTORED.get(dialect, {})
    for count in range(len(WORDS) + 1):
        for words in combinations(WORDS, count):
            if word in words:
                assert admit(dialect, body, *words) == (body, Admitted())
                continue
            with pytest.raises(Forbidden) as caught:
                admit(dialect, body, *words)
            assert f'allow = ["{word}"]' in str(caught.value)
            assert "evil.example" not in str(caught.value)


# --- what is refused --------------------------------------------------------

URL_SOURCE = {"type": "image", "source": {"type": "url", "url": WEB}}
FILE_SOURCE = {"type": "document", "source": {"type": "file", "file_id": "file_1"}}
STORED = "https://generativelanguage.googleapis.com/v1beta/files/abc-1"


def result(content: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "t", "content": content}


@pytest.mark.parametrize(
    ("word", "dialect", "body"),
    [
        # Remote references
        (REMOTE_URLS, "anthropic", said("anthropic", URL_SOURCE)),
        (REMOTE_URLS, "anthropic", {"system": [URL_SOURCE]}),
        (REMOTE_URLS, "anthropic", said("anthropic", result([URL_SOURCE]))),
        (REMOTE_URLS, "anthropic", said("anthropic", result(URL_SOURCE))),
        (
            REMOTE_URLS,
            "anthropic",
            said(
                "anthropic",
                {
                    "type": "document",
                    "source": {"type": "content", "content": [URL_SOURCE]},
                },
            ),
        ),
        (REMOTE_URLS, "anthropic", said("anthropic", {"type": "text", **URL_SOURCE})),
        (
            REMOTE_URLS,
            "anthropic",
            said("anthropic", {"type": "text", "text": {"url": WEB}}),
        ),
        (
            REMOTE_URLS,
            "anthropic",
            said(
                "anthropic", {"type": "tool_use", "input": {}, "source": {"url": WEB}}
            ),
        ),
        (
            REMOTE_URLS,
            "anthropic",
            said(
                "anthropic",
                {
                    "type": "web_fetch_tool_result",
                    "tool_use_id": "t",
                    "content": {
                        "type": "web_fetch_result",
                        "url": WEB,
                        "content": {"type": "document", "source": {"url": WEB}},
                    },
                },
            ),
        ),
        (REMOTE_URLS, "anthropic", {"webhook": {"callback_url": WEB}}),
        (
            REMOTE_URLS,
            "responses",
            said("responses", {"type": "input_image", "image_url": WEB}),
        ),
        (
            REMOTE_URLS,
            "responses",
            said("responses", {"type": "input_file", "file_url": WEB}),
        ),
        (
            REMOTE_URLS,
            "responses",
            said("responses", {"type": "input_file", "file_data": WEB}),
        ),
        (
            REMOTE_URLS,
            "responses",
            said("responses", {"type": "input_text", "text": "x", "image_url": WEB}),
        ),
        (
            REMOTE_URLS,
            "responses",
            {
                "input": [
                    {
                        "type": "function_call_output",
                        "call_id": "c",
                        "output": [{"type": "input_image", "image_url": WEB}],
                    }
                ]
            },
        ),
        (
            REMOTE_URLS,
            "responses",
            {
                "input": [
                    {
                        "type": "computer_call_output",
                        "call_id": "c",
                        "output": {"type": "computer_screenshot", "image_url": WEB},
                    }
                ]
            },
        ),
        (
            REMOTE_URLS,
            "responses",
            {"instructions": [{"role": "system", "content": {"image_url": WEB}}]},
        ),
        (REMOTE_URLS, "gemini", said("gemini", {"fileData": {"fileUri": WEB}})),
        (REMOTE_URLS, "gemini", said("gemini", {"file_data": {"file_uri": WEB}})),
        (REMOTE_URLS, "gemini", said("gemini", {"fileData": {"file_uri": "gs://b/a"}})),
        (
            REMOTE_URLS,
            "gemini",
            said("gemini", {"fileData": {"fileUri": "https://youtu.be/abc"}}),
        ),
        (
            REMOTE_URLS,
            "gemini",
            said("gemini", {"fileData": {"fileUri": f"{STORED}/../../evil"}}),
        ),
        (REMOTE_URLS, "gemini", {"systemInstruction": {"fileData": {"fileUri": WEB}}}),
        (
            REMOTE_URLS,
            "gemini",
            {"system_instruction": {"parts": {"fileData": {"fileUri": WEB}}}},
        ),
        (
            REMOTE_URLS,
            "gemini",
            {"contents": {"parts": {"text": "x", "fileData": {"fileUri": WEB}}}},
        ),
        (
            REMOTE_URLS,
            "gemini",
            said(
                "gemini",
                {
                    "functionResponse": {
                        "name": "f",
                        "response": {},
                        "parts": [{"fileData": {"fileUri": WEB}}],
                    }
                },
            ),
        ),
        (REMOTE_URLS, "gemini", said("gemini", {"inlineData": {"data": WEB}})),
        (
            REMOTE_URLS,
            "gemini",
            {"generationOutputConfig": {"outputUriPrefix": "gs://bucket/x/"}},
        ),
        (
            REMOTE_URLS,
            "gemini",
            {"content": {"parts": [{"fileData": {"fileUri": WEB}}]}},
        ),
        (
            REMOTE_URLS,
            "gemini",
            {"requests": [{"content": {"parts": [{"file_data": {"file_uri": WEB}}]}}]},
        ),
        (
            REMOTE_URLS,
            "gemini",
            {"generateContentRequest": said("gemini", {"fileData": {"fileUri": WEB}})},
        ),
        (REMOTE_URLS, "ollama", {"messages": [{"role": "user", "images": [WEB]}]}),
        (REMOTE_URLS, "ollama", {"prompt": "x", "images": [PNG, WEB]}),
        (REMOTE_URLS, "ollama", {"images": ["//evil.example/a.png"]}),
        (REMOTE_URLS, "ollama", said("ollama", {"image_url": {"url": WEB}})),
        (REMOTE_URLS, "ollama", {"input": [{"image_url": WEB}]}),
        (REMOTE_URLS, "anthropic", {"messages": [{"content": "x", "image_url": WEB}]}),
        (
            REMOTE_URLS,
            "anthropic",
            said("anthropic", {"type": "image", "source": {"data": WEB}}),
        ),
        (REMOTE_URLS, "gemini", {"contents": [{"parts": [], "image_url": WEB}]}),
        (
            REMOTE_URLS,
            "anthropic",
            said("anthropic", {"source": {"type": "text", "data": "x", "url": WEB}}),
        ),
        (REMOTE_URLS, "gemini", said("gemini", {"text": {"fileUri": WEB}})),
        (REMOTE_URLS, "gemini", {"generationConfig": {"sinkUri": WEB}}),
        (
            REMOTE_URLS,
            "gemini",
            said("gemini", {"functionResponse": {"fileData": {"fileUri": WEB}}}),
        ),
        (REMOTE_URLS, "gemini", {"requests": [{"fileData": {"fileUri": WEB}}]}),
        (
            REMOTE_URLS,
            "gemini",
            {"systemInstruction": {"parts": [], "fileData": {"fileUri": WEB}}},
        ),
        # Stored files
        (FILES, "anthropic", said("anthropic", FILE_SOURCE)),
        (FILES, "anthropic", said("anthropic", result([FILE_SOURCE]))),
        (
            FILES,
            "anthropic",
            said("anthropic", {"type": "container_upload", "file_id": "file_1"}),
        ),
        (
            FILES,
            "responses",
            said("responses", {"type": "input_image", "file_id": "file-1"}),
        ),
        (FILES, "responses", said("responses", {"type": "input_file", "FILE_ID": "f"})),
        (FILES, "gemini", said("gemini", {"fileData": {"fileUri": STORED}})),
        (FILES, "gemini", said("gemini", {"file_data": {"file_uri": "files/abc-1"}})),
        # Server state
        (SERVER_STATE, "anthropic", {"container": "container_1"}),
        (SERVER_STATE, "anthropic", {"container": {"skills": []}}),
        (SERVER_STATE, "anthropic", {"thread": {"type": "create"}}),
        (SERVER_STATE, "responses", {"previous_response_id": "resp_1"}),
        (SERVER_STATE, "responses", {"conversation": {"id": "conv_1"}}),
        (SERVER_STATE, "responses", {"background": True}),
        (SERVER_STATE, "responses", {"background_options": {"continuation_id": "x"}}),
        (SERVER_STATE, "responses", {"prompt": {"id": "pmpt_1"}}),
        (SERVER_STATE, "responses", {"input": [{"type": "item_reference", "id": "m"}]}),
        (SERVER_STATE, "responses", {"input": [{"type": None, "id": "m"}]}),
        (SERVER_STATE, "responses", {"input": [{"id": "m"}]}),
        (SERVER_STATE, "responses", {"input": {"id": "m"}}),
        (
            SERVER_STATE,
            "responses",
            {"input": [{"type": "image_generation_call", "id": "ig", "result": None}]},
        ),
        (SERVER_STATE, "gemini", {"cachedContent": "cachedContents/x"}),
        (SERVER_STATE, "gemini", {"cached_content": "cachedContents/x"}),
        # Hosted tools that are forced, or that would run now
        (HOSTED_TOOLS, "responses", {"tool_choice": {"type": "web_search_preview"}}),
        (
            HOSTED_TOOLS,
            "responses",
            {"tool_choice": {"type": "mcp", "server_label": "x"}},
        ),
        (
            HOSTED_TOOLS,
            "responses",
            {"tools": [{"type": "web_search"}], "tool_choice": "required"},
        ),
        (
            HOSTED_TOOLS,
            "responses",
            {
                "tools": [
                    {"type": "shell", "environment": {"type": "container_auto"}},
                    {"type": "custom", "name": "c"},
                ],
                "tool_choice": {"type": "shell"},
            },
        ),
        (
            HOSTED_TOOLS,
            "responses",
            {
                "input": [
                    {"type": "shell_call", "environment": {"type": "container_auto"}}
                ]
            },
        ),
        (
            HOSTED_TOOLS,
            "responses",
            {"input": [{"type": "mcp_approval_response", "approve": True}]},
        ),
        (
            HOSTED_TOOLS,
            "anthropic",
            {
                "tools": [{"type": "web_search_20250305", "name": "web_search"}],
                "tool_choice": {"type": "any"},
            },
        ),
        (
            HOSTED_TOOLS,
            "anthropic",
            {
                "tools": [
                    {"type": "web_search_20250305", "name": "web_search"},
                    {"name": "f", "input_schema": {}},
                ],
                "tool_choice": {"type": "tool", "name": "web_search"},
            },
        ),
        (
            HOSTED_TOOLS,
            "anthropic",
            said("anthropic", {"type": "server_tool_use", "id": "s", "input": {}}),
        ),
        (
            HOSTED_TOOLS,
            "anthropic",
            said(
                "anthropic",
                {
                    "type": "tool_addition",
                    "tool": {
                        "type": "tool_definition",
                        "definition": {"type": "web_fetch_20250910", "name": "w"},
                    },
                },
            ),
        ),
        (
            HOSTED_TOOLS,
            "gemini",
            {
                "tools": [{"googleSearch": {}}],
                "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
            },
        ),
        (
            HOSTED_TOOLS,
            "gemini",
            {
                "tools": {"url_context": {}},
                "tool_config": {"function_calling_config": {"mode": "any"}},
            },
        ),
        (HOSTED_TOOLS, "gemini", said("gemini", {"toolCall": {"id": "a"}})),
    ],
)
def test_a_way_out_is_opened_by_its_word_alone(
    word: str, dialect: str, body: dict[str, Any]
) -> None:
    is_opened_only_by(word, dialect, {"model": "m", **body})


@pytest.mark.parametrize(
    ("dialect", "tool", "name"),
    [
        *(
            ("anthropic", {"type": kind, "name": "x"}, kind)
            for kind in (
                *("web_search_20250305", "web_fetch_20260318", "advisor_20260301"),
                *("code_execution_20260521", "tool_search_tool_bm25", "new_20300101"),
                "bash_code_execution",
            )
        ),
        ("anthropic", {"type": "mcp_toolset", "mcp_server_name": "x"}, "mcp_toolset"),
        ("anthropic", {"Type": "web_search_20250305", "input_schema": {}}, "untyped"),
        ("anthropic", {"type": "custom", "TYPE": "x", "input_schema": {}}, "custom"),
        ("anthropic", {"google_search": {}}, "untyped"),
        ("anthropic", {"type": "custom", "name": "web_search"}, "custom"),
        *(
            ("responses", {"type": kind, "server_url": WEB}, kind)
            for kind in (
                *("web_search", "web_search_2025_08_26", "web_search_preview"),
                *("file_search", "code_interpreter", "image_generation", "mcp"),
                *("programmatic_tool_calling", "new_tool", "Function"),
            )
        ),
        ("responses", {"type": "shell", "environment": {"type": "x"}}, "shell"),
        ("responses", {"type": "shell", "Environment": {"type": "local"}}, "shell"),
        ("responses", {"type": "namespace", "tools": [{"type": "mcp"}]}, "mcp"),
        (
            "responses",
            {
                "type": "namespace",
                "tools": [{"type": "namespace", "tools": [{"type": "custom"}]}],
            },
            "namespace",
        ),
        ("responses", {"name": "web_search"}, "untyped"),
        *(
            ("gemini", {kind: {}}, kind)
            for kind in (
                *("googleSearch", "google_search", "googleSearchRetrieval"),
                *("urlContext", "url_context", "codeExecution", "fileSearch"),
                *("googleMaps", "computerUse", "mcpServers", "enterpriseWebSearch"),
                *("retrieval", "parallelAiSearch", "new_tool"),
            )
        ),
        ("ollama", {"type": "web_search"}, "web_search"),
        ("ollama", {"type": "function", "Type": "x", "function": {}}, "function"),
    ],
)
def test_a_hosted_tool_is_taken_out_and_listed(
    dialect: str, tool: dict[str, Any], name: str
) -> None:
    owns: dict[str, dict[str, Any]] = {
        "anthropic": {"name": "f", "input_schema": {"x": {"url": WEB}}},
        "responses": {"type": "function", "name": "f", "parameters": {"url": WEB}},
        "gemini": {"functionDeclarations": [{"name": "f", "description": WEB}]},
        "ollama": {"type": "function", "function": {"name": "f"}},
    }
    own = owns[dialect]
    more = UNSTORED.get(dialect, {})
    body = {"tools": [own, tool], **more}
    sent, admitted = admit(dialect, body)
    assert sent == {"tools": [own], **more}
    assert admitted.dropped == (f"tools[{name}]",)
    assert admit(dialect, body, HOSTED_TOOLS) == (body, Admitted())
    sent, _ = admit(dialect, {"tools": [tool], "x": 1, **more})
    assert sent == {"x": 1, **more}


@pytest.mark.parametrize(
    ("dialect", "key", "value"),
    [
        ("anthropic", "mcp_servers", [{"type": "url", "url": WEB}]),
        ("anthropic", "diagnostics", {"previous_message_id": "msg_1"}),
        (
            "responses",
            "prompt_cache_options",
            {"ttl": "30m", "comparison_response_id": "resp_1"},
        ),
    ],
)
def test_a_setting_that_is_no_more_than_a_wish_is_taken_out(
    dialect: str, key: str, value: Any
) -> None:
    body = {key: value, "x": 1, **UNSTORED.get(dialect, {})}
    sent, admitted = admit(dialect, body)
    assert admitted.dropped[0].startswith(key)
    assert WEB not in json.dumps(sent) and "_1" not in json.dumps(sent)
    assert admit(dialect, body, HOSTED_TOOLS, SERVER_STATE) == (body, Admitted())


@pytest.mark.parametrize("dialect", CLOSINGS)
def test_what_gateways_have_of_their_own_is_closed_in_every_dialect(
    dialect: str,
) -> None:
    for key in sorted(SEARCHING):
        body = {key: [{"id": "web"}], "x": 1, **UNSTORED.get(dialect, {})}
        sent, admitted = admit(dialect, body)
        assert key not in sent and admitted.dropped == (key,)
        assert admit(dialect, body, HOSTED_TOOLS) == (body, Admitted())
        with pytest.raises(BadRequest, match="write it as"):
            admit(dialect, {key.upper(): [{"id": "web"}]})
    for key in sorted(OTHER_MODELS):
        with pytest.raises(Forbidden, match="only `model`"):
            admit(dialect, {key: ["other"]}, *WORDS)


HOSTED: dict[str, dict[str, Any]] = {dialect: {"type": "x"} for dialect in CLOSINGS}
HOSTED["gemini"] = {"googleSearch": {}}


@pytest.mark.parametrize("dialect", CLOSINGS)
def test_a_request_has_only_so_many_tools(dialect: str) -> None:
    tools = [HOSTED[dialect]] * (MOST_TOOLS + 1)
    with pytest.raises(BadRequest) as caught:
        admit(dialect, {"tools": tools})
    assert caught.value.param == "tools"
    _, admitted = admit(dialect, {"tools": tools[1:]})
    assert len(admitted.dropped) == MOST_TOOLS


@pytest.mark.parametrize(
    "body",
    [
        {"generationConfig": {"imageConfig": {"imageUri": "gs://a/b"}}},
        {"generation_config": {"image_config": {"image_uri": "gs://a/b"}}},
        {"generationConfig": {"speechConfig": {"voice": {"url": WEB}}}},
        {"generationConfig": {"thinkingConfig": {"uri": WEB}}},
        {"generationConfig": {"responseFormat": [{"image": {"uri": WEB}}]}},
        {"embedContentConfig": {"document": WEB}},
        {"embed_content_config": {"uri": WEB}},
        {"requests": [{"embedContentConfig": {"uri": WEB}}]},
        {"safetySettings": [{"uri": WEB}]},
        {"modelArmorConfig": {"endpoint": WEB}},
        {"labels": {"url": WEB}},
        said("gemini", {"text": "x", "videoMetadata": {"uri": WEB}}),
        said("gemini", {"text": "x", "partMetadata": {"file": WEB}}),
        said("gemini", {"text": "x", "mediaResolution": {"uri": WEB}}),
    ],
)
def test_a_setting_of_geminis_is_no_place_for_an_address(body: dict[str, Any]) -> None:
    is_opened_only_by(REMOTE_URLS, "gemini", body)


def test_settings_of_geminis_pass() -> None:
    picture = {"inlineData": {"mimeType": "video/mp4", "data": PNG}}
    schema = {"properties": {"url": {"type": "string", "example": {"url": WEB}}}}
    body = {
        "generationConfig": {
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"name": "K"}}},
            "imageConfig": {"aspectRatio": "16:9"},
            "thinkingConfig": {"thinkingBudget": -1, "includeThoughts": True},
            "responseSchema": schema,
            "stopSequences": [WEB],
        },
        "safetySettings": [{"category": "HARM", "threshold": "BLOCK_NONE"}],
        "labels": {"team": "a"},
        **said("gemini", {**picture, "videoMetadata": {"startOffset": "1s", "fps": 2}}),
    }
    assert admit("gemini", body) == (body, Admitted())


def test_what_finds_deferred_tools_takes_their_deferral_with_it() -> None:
    own = {"name": "f", "input_schema": {}, "defer_loading": True}
    search = {"type": "tool_search_tool_regex_20251119", "name": "s"}
    sent, _ = admit("anthropic", {"tools": [search, own]})
    assert sent == {"tools": [{"name": "f", "input_schema": {}}]}


@pytest.mark.parametrize("choice", [{"type": "auto"}, {"type": "none"}])
def test_a_choice_among_no_tools_goes_with_them(choice: dict[str, str]) -> None:
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    assert admit("anthropic", {"tools": tools, "tool_choice": choice})[0] == {}
    config = {"functionCallingConfig": {"mode": "AUTO"}}
    hosted = {"tools": [{"googleSearch": {}}], "tool_config": config}
    assert admit("gemini", hosted)[0] == {}


def test_hosted_tools_are_taken_out_of_a_namespace_and_of_an_item() -> None:
    own = {"type": "custom", "name": "c"}
    search = {"type": "web_search"}
    space = {"type": "namespace", "name": "n", "tools": [own, search]}
    items: list[dict[str, Any]] = [
        {"type": "additional_tools", "role": "developer", "tools": [space]},
        {"type": "additional_tools", "role": "developer", "tools": [search]},
        {"role": "user", "content": "x"},
    ]
    body = {"tools": [space], "input": items, "store": False}
    sent, admitted = admit("responses", body)
    space = {**space, "tools": [own]}
    assert sent == {
        "tools": [space],
        "input": [{**items[0], "tools": [space]}, items[2]],
        "store": False,
    }
    assert admitted.dropped == ("tools[web_search]",) * 3
    assert admit("responses", body, HOSTED_TOOLS) == (body, Admitted())


@pytest.mark.parametrize("store", [{}, {"store": True}, {"store": None}])
def test_a_provider_is_always_told_to_keep_no_response(store: dict[str, Any]) -> None:
    sent, admitted = admit("responses", {"model": "m", **store})
    assert (sent, admitted.dropped) == ({"model": "m", "store": False}, ())
    body = {"model": "m", **store}
    assert admit("responses", body, SERVER_STATE) == (body, Admitted())
    sent, admitted = admit("gemini", {"store": True})
    assert (sent, admitted.dropped) == ({"store": False}, ("store",))


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("anthropic", {"fallbacks": [{"model": "other"}]}),
        ("anthropic", {"fallbacks": "default"}),
        ("gemini", {"model": "models/other"}),
        ("gemini", {"generateContentRequest": {"model": "models/other"}}),
        ("gemini", {"requests": [{"model": "models/other"}]}),
        ("gemini", {"generationConfig": {"routing_config": {"manualMode": {}}}}),
        ("gemini", {"generation_config": {"modelSelectionConfig": {"x": 1}}}),
        ("ollama", {"name": "other"}),
    ],
)
def test_a_second_way_to_name_a_model_is_refused(
    dialect: str, body: dict[str, Any]
) -> None:
    with pytest.raises(Forbidden, match="only `model`"):
        admit(dialect, body, *WORDS)


def test_the_same_model_may_be_named_again() -> None:
    for name in ("m", "models/m", None):
        body = {
            "generateContentRequest": {"model": name},
            "requests": [{"model": name}],
        }
        assert admit("gemini", body) == (body, Admitted())


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("anthropic", b'{"Messages":[]}'),
        ("anthropic", b'{"messages":[{"role":"user","Content":[]}]}'),
        ("anthropic", b'{"messages":[{"content":[{"type":"image","Source":{}}]}]}'),
        ("anthropic", b'{"messages":[{"content":[{"type":"text","TYPE":"image"}]}]}'),
        ("anthropic", b'{"messages":[{"content":[{"type":"text","type":"image"}]}]}'),
        ("anthropic", b'{"messages":[{"content":[],"content":[]}]}'),
        ("anthropic", b'{"messages":[{"content":[{"\\u0074ype":"image"}]}]}'),
        ("anthropic", b'{"messages":[{"content":[{"s":{"url":"data:","url":"x"}}]}]}'),
        ("anthropic", b'{"tools":[{"name":"f","name":"g","input_schema":{}}]}'),
        ("responses", b'{"Input":[]}'),
        ("responses", b'{"previous_Response_id":"x"}'),
        ("responses", b'{"input":[{"type":"message","Type":"item_reference"}]}'),
        ("responses", b'{"input":[{"role":"user","content":[{"a":1,"a":2}]}]}'),
        ("responses", b'{"input":[{"role":"user","role":"user","content":"x"}]}'),
        ("responses", b'{"input":["x"]}'),
        (
            "responses",
            b'{"tools":[{"type":"shell","environment":'
            b'{"type":"container_auto","type":"local"}}]}',
        ),
        (
            "gemini",
            b'{"contents":[{"parts":[{"functionResponse":'
            b'{"parts":[{"fileData":{"fileUri":"https://a"}}],"parts":[]}}]}]}',
        ),
        ("gemini", b'{"contents":[],"Contents":[]}'),
        ("gemini", b'{"Contents":[]}'),
        ("gemini", b'{"cached_Content":"x"}'),
        ("gemini", b'{"systemInstruction":{},"system_instruction":{}}'),
        ("gemini", b'{"contents":[{"parts":[{"fileData":{},"file_data":{}}]}]}'),
        (
            "gemini",
            b'{"contents":[{"parts":[{"fileData":{"fileUri":"data:","file_uri":"x"}}]}]}',
        ),
        ("gemini", b'{"contents":[{"parts":[{"FileData":{}}]}]}'),
        ("gemini", b'{"contents":[{"Parts":[]}]}'),
        (
            "gemini",
            b'{"tools":[{"functionDeclarations":[],"function_declarations":[]}]}',
        ),
        ("gemini", b'{"generationConfig":{"topP":1,"top_p":1}}'),
        ("gemini", b'{"generateContentRequest":{"generate_content_request":{}}}'),
        ("ollama", b'{"Messages":[]}'),
        ("ollama", b'{"IMAGES":[]}'),
        ("ollama", b'{"messages":[{"role":"user","Images":[]}]}'),
        ("ollama", b'{"me\xc5\xbf\xc5\xbfages":[]}'),
        ("ollama", b'{"images":["evil.example/a.png"]}'),
        ("ollama", b'{"images":[{"url":"x"}]}'),
        ("ollama", b'{"images":["%bhttps://a"]}' % (b" " * 64)),
        ("ollama", b'{"images":["\\u0065vil.example"]}'),
        ("ollama", b'{"images":"x"}'),
        *(
            (dialect, b'{"%b":[{"%b":[{"x":%b}]}]}' % (turns, parts, deep))
            for dialect, turns, parts in (
                ("anthropic", b"messages", b"content"),
                ("responses", b"input", b"content"),
                ("gemini", b"contents", b"parts"),
            )
            for deep in (b"[" * 5000 + b"]" * 5000,)
        ),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(dialect: str, body: bytes) -> None:
    with pytest.raises(BadRequest):
        admit(dialect, body)


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (
            "gemini",
            b'{"contents":[{"parts":[{"inlineData":{"data":"https\\u003a//a"}}]}]}',
        ),
        (
            "anthropic",
            b'{"messages":[{"content":[{"type":"image","source":'
            b'{"data":"\\u0068ttps\\u003a\\/\\/a"}}]}]}',
        ),
        ("ollama", b'{"images":["\\u0068ttps:\\/\\/a"]}'),
        (
            "responses",
            b'{"input":[{"role":"user","content":[{"image_url":"\\u0068ttps:\\/\\/a"}]}]}',
        ),
    ],
)
def test_an_address_with_escapes_is_an_address(dialect: str, body: bytes) -> None:
    with pytest.raises(Forbidden, match=REMOTE_URLS):
        admit(dialect, body)


def test_base64_may_have_its_slashes_escaped() -> None:
    for dialect, body in (
        ("ollama", b'{"images":["\\/9j\\/4AAQ"]}'),
        ("gemini", b'{"contents":[{"parts":[{"inlineData":{"data":"\\/9j\\/"}}]}]}'),
    ):
        assert admit(dialect, body)[1] == Admitted()


# --- what passes ------------------------------------------------------------

NOTE = f'see {WEB}, ![x]({WEB}) and {{"url":"{WEB}"}} \x1b[0m'
SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {"url": {"type": "string", "default": WEB}},
}
EPHEMERAL = {"type": "ephemeral", "ttl": "1h"}
CLAUDE_CODE: dict[str, Any] = {
    "model": "claude-x",
    "max_tokens": 64000,
    "stream": True,
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "high"},
    "context_management": {
        "edits": [{"type": "clear_thinking_20251015", "keep": "all"}]
    },
    "metadata": {"user_id": f'{{"device_id":"{WEB}"}}'},
    "betas": ["context-management-2025-06-27"],
    "system": [{"type": "text", "text": NOTE, "cache_control": EPHEMERAL}] * 3,
    "tools": [
        {"name": "WebFetch", "description": NOTE, "input_schema": SCHEMA},
        {"name": "Lazy", "input_schema": SCHEMA, "defer_loading": True},
        {"type": "custom", "name": "c", "input_schema": {}, "cache_control": EPHEMERAL},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
        {"type": "memory_20250818", "name": "memory"},
        {"type": "computer_20251124", "name": "computer", "display_width_px": 1},
        {"type": "computer_toolset_20260801"},
        {"type": "browser_toolset_20260801"},
    ],
    "tool_choice": {"type": "tool", "name": "WebFetch"},
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": NOTE}]},
        {"role": "system", "content": NOTE},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": NOTE, "signature": "Eo8B"},
                {"type": "redacted_thinking", "data": "Eo8B"},
                {
                    "type": "text",
                    "text": "Look",
                    "citations": [{"type": "web_search_result_location", "url": WEB}],
                },
                {
                    "type": "tool_use",
                    "id": "t",
                    "name": "WebFetch",
                    "input": {"url": WEB},
                },
            ],
        },
        {
            "role": "user",
            "content": [
                {**result(NOTE), "is_error": False, "cache_control": EPHEMERAL},
                result([{"type": "text", "text": NOTE, "cache_control": EPHEMERAL}]),
                result([{"type": "tool_reference", "tool_name": "Lazy"}]),
                result(
                    [{"type": "browser_state", "tabs": [{"tab_id": "1", "url": WEB}]}]
                ),
                {
                    "type": "image",
                    "source": {
                        "type": "base64",
                        "media_type": "image/png",
                        "data": PNG,
                    },
                },
                {
                    "type": "document",
                    "source": {
                        "type": "text",
                        "media_type": "text/plain",
                        "data": WEB,
                    },
                    "title": WEB,
                },
                {"type": "search_result", "source": WEB, "title": "x", "content": []},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {
                    "type": "server_tool_use",
                    "id": "s",
                    "name": "web_fetch",
                    "input": {"url": WEB},
                },
                {
                    "type": "web_search_tool_result",
                    "tool_use_id": "s",
                    "content": [
                        {"type": "web_search_result", "url": WEB, "title": "x"}
                    ],
                },
                {
                    "type": "bash_code_execution_tool_result",
                    "tool_use_id": "s",
                    "content": {
                        "type": "bash_code_execution_result",
                        "content": [
                            {"type": "bash_code_execution_output", "file_id": "file_1"}
                        ],
                    },
                },
                {"type": "compaction", "content": NOTE, "encrypted_content": "x"},
            ],
        },
    ],
}
CODEX: dict[str, Any] = {
    "model": "gpt-x",
    "instructions": NOTE,
    "store": False,
    "stream": True,
    "parallel_tool_calls": True,
    "include": ["reasoning.encrypted_content"],
    "reasoning": {"effort": "high", "summary": "auto"},
    "text": {"verbosity": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    "prompt_cache_key": "0199",
    "client_metadata": {"x-codex-repository": WEB},
    "tool_choice": "auto",
    "tools": [
        {"type": "function", "name": "shell", "strict": False, "parameters": SCHEMA},
        {
            "type": "namespace",
            "name": "mcp__docs",
            "description": NOTE,
            "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}],
        },
        {"type": "custom", "name": "apply_patch", "format": {"type": "grammar"}},
        {"type": "local_shell"},
        {"type": "shell"},
        {"type": "shell", "environment": {"type": "local"}},
        {"type": "apply_patch"},
        {"type": "computer_use_preview", "environment": "browser"},
        {"type": "tool_search", "execution": "client"},
    ],
    "input": [
        {
            "type": "additional_tools",
            "role": "developer",
            "tools": [
                {
                    "type": "namespace",
                    "name": "n",
                    "tools": [{"type": "custom", "name": "exec"}],
                }
            ],
        },
        {
            "type": "message",
            "role": "developer",
            "content": [{"type": "input_text", "text": NOTE}],
        },
        {"role": "user", "content": NOTE},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": NOTE},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        {
            "type": "message",
            "role": "assistant",
            "content": [
                {
                    "type": "output_text",
                    "text": "x",
                    "annotations": [
                        {"type": "url_citation", "url": WEB},
                        {"type": "file_citation", "file_id": "file-1"},
                    ],
                }
            ],
        },
        {"type": "function_call", "call_id": "c", "name": "shell", "arguments": NOTE},
        {"type": "function_call_output", "call_id": "c", "output": NOTE},
        {
            "type": "custom_tool_call",
            "call_id": "d",
            "name": "apply_patch",
            "input": NOTE,
        },
        {"type": "custom_tool_call_output", "call_id": "d", "output": NOTE},
        {"type": "local_shell_call", "call_id": "e", "action": {"env": {"url": WEB}}},
        {"type": "shell_call_output", "call_id": "e", "output": [{"stdout": NOTE}]},
        {
            "type": "web_search_call",
            "id": "ws",
            "action": {"type": "search", "url": WEB},
        },
        {"type": "file_search_call", "id": "fs", "results": [{"file_id": "file-1"}]},
        {"type": "compaction", "encrypted_content": "gAAA"},
    ],
}
GEMINI_CLI: dict[str, Any] = {
    "contents": [
        {"role": "user", "parts": [{"text": NOTE}, {"text": "x"}]},
        {
            "role": "model",
            "parts": [
                {"text": NOTE, "thought": True},
                {
                    "functionCall": {
                        "id": "c",
                        "name": "web_fetch",
                        "args": {"url": WEB},
                    },
                    "thoughtSignature": "EqAB",
                },
                {"executableCode": {"code": NOTE}, "thought_signature": "EqAB"},
                {
                    "toolCall": {
                        "id": "t",
                        "toolType": "URL_CONTEXT",
                        "args": {"url": WEB},
                    }
                },
                {"toolResponse": {"id": "t", "response": {"url": WEB}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "id": "c",
                        "name": "web_fetch",
                        "response": {"output": NOTE, "url": WEB, "fileUri": WEB},
                    }
                },
                {
                    "function_response": {
                        "name": "read",
                        "response": {},
                        "parts": [
                            {"inlineData": {"mimeType": "image/png", "data": PNG}}
                        ],
                    }
                },
                {"inlineData": {"mimeType": "image/png", "data": PNG}},
            ],
        },
    ],
    "systemInstruction": {"role": "user", "parts": [{"text": NOTE}]},
    "tools": [
        {"functionDeclarations": [{"name": "f", "parametersJsonSchema": SCHEMA}]},
        {"function_declarations": [{"name": "g", "parameters_json_schema": SCHEMA}]},
    ],
    "toolConfig": {
        "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}
    },
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT"}],
    "labels": {"repo": WEB},
    "generationConfig": {
        "temperature": 0,
        "topP": 1,
        "thinkingConfig": {"include_thoughts": True, "thinkingLevel": "HIGH"},
        "responseJsonSchema": SCHEMA,
        "_responseJsonSchema": SCHEMA,
    },
}
OLLAMA: dict[str, Any] = {
    "model": "m",
    "stream": True,
    "options": {"num_ctx": 8192},
    "format": SCHEMA,
    "think": "high",
    "keep_alive": "5m",
    "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
    "messages": [
        {
            "role": "user",
            "content": NOTE,
            "images": [PNG, f"data:image/png;base64,{PNG}"],
        },
        {
            "role": "assistant",
            "content": "",
            "thinking": NOTE,
            "tool_calls": [{"function": {"name": "f", "arguments": {"url": WEB}}}],
        },
        {"role": "tool", "content": NOTE, "tool_name": "f"},
    ],
}
EMBEDDINGS: dict[str, Any] = {
    "requests": [
        {
            "model": "models/m",
            "content": {"parts": [{"text": NOTE}]},
            "taskType": "RETRIEVAL_QUERY",
            "output_dimensionality": 8,
        }
    ]
}


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("anthropic", CLAUDE_CODE),
        ("responses", CODEX),
        ("gemini", GEMINI_CLI),
        ("gemini", EMBEDDINGS),
        ("gemini", EMBEDDINGS["requests"][0]),
        ("gemini", {"generateContentRequest": {**GEMINI_CLI, "model": "models/m"}}),
        ("gemini", {"systemInstruction": NOTE, "contents": GEMINI_CLI["contents"][0]}),
        ("ollama", OLLAMA),
        ("ollama", {"model": "m", "prompt": NOTE, "images": [PNG], "context": [1, 2]}),
        ("ollama", {"model": "m", "input": [WEB, NOTE]}),
    ],
)
def test_what_agents_send_passes_as_it_is(dialect: str, body: dict[str, Any]) -> None:
    for separators in (COMPACT, SPACED):
        for is_ascii in (False, True):
            text = json.dumps(body, separators=separators, ensure_ascii=is_ascii)
            for count in range(len(WORDS) + 1):
                for words in combinations(WORDS, count):
                    _, admitted = admit(dialect, text.encode(), *words)
                    assert admitted == Admitted()


def test_codex_loses_its_web_search_alone() -> None:
    search = {"type": "web_search", "external_web_access": False}
    sent, admitted = admit("responses", {**CODEX, "tools": [search, *CODEX["tools"]]})
    assert (sent, admitted.dropped) == (CODEX, ("tools[web_search]",))


# --- properties -------------------------------------------------------------

escapes = st.sets(st.integers(0, 400), max_size=6)
spellings = st.sampled_from([str, str.upper, str.title, str.casefold])
wrapped = st.lists(
    st.sampled_from(["list", "content", "source", "parts", "text", "output", "x"]),
    max_size=5,
)
references = st.sampled_from(
    [
        ("url", WEB, "image"),
        ("image_url", WEB, "input_image"),
        ("file_url", WEB, "input_file"),
        ("fileUri", WEB, ""),
        ("file_uri", "gs://evil.example/a", ""),
        ("file_id", "file-evil.example", "document"),
    ]
)
kinds = st.sampled_from(
    [
        *("", "text", "image", "document", "tool_result", "thinking", "message"),
        *("input_text", "function_call_output", "compaction", "unheard_of"),
    ]
)


def escaped(text: str, places: set[int]) -> str:
    """The JSON `text` with some letters inside its strings written as escapes."""
    return "".join(
        f"\\u{ord(c):04x}" if c.isalpha() and i in places and '"' in text[:i] else c
        for i, c in enumerate(text)
    )


@given(
    st.sampled_from(sorted(CLOSINGS)),
    references,
    spellings,
    kinds,
    wrapped,
    escapes,
    st.sampled_from([COMPACT, SPACED]),
)
@example("anthropic", ("url", WEB, "image"), str, "image", ["source"], set(), COMPACT)
@example("gemini", ("fileUri", WEB, ""), str, "", ["x"], {60}, COMPACT)
def test_no_hidden_reference_is_sent(
    dialect: str,
    reference: tuple[str, str, str],
    spelt: Any,
    kind: str,
    around: list[str],
    places: set[int],
    separators: tuple[str, str],
) -> None:
    name, address, own = reference
    part: Any = {spelt(name): address} | ({"type": own} if own else {})
    for key in around:
        part = [part] if key == "list" else {key: part}
    if isinstance(part, dict) and kind:
        part = {"type": kind, **part}
    for body in (
        said(dialect, {"text": "x"}, part),
        said(dialect, part),
        {"unheard_of": part},
    ):
        text = json.dumps(body, separators=separators)
        spelt_out = escaped(text, places)
        if json.loads(spelt_out) != body:
            continue
        try:
            sent, _ = admit(dialect, spelt_out.encode())
        except (Forbidden, BadRequest):
            continue
        assert "evil.example" not in json.dumps(sent), sent


@given(
    st.sampled_from(sorted(CLOSINGS)),
    st.binary(max_size=30) | json_values().map(lambda v: json.dumps(v).encode()),
    st.sets(st.sampled_from(WORDS)),
)
@example("anthropic", b'[{"type":"\\ud800","name":"\\ud800"}]', set())
def test_any_object_is_admitted_or_refused(
    dialect: str, value: bytes, words: set[str]
) -> None:
    for body in (
        *(
            b'{"%b":%b}' % (key.encode(), value)
            for key in (
                *("messages", "tools", "tool_choice", "toolConfig", "input", "system"),
                *("contents", "images", "store", "requests", "generationConfig"),
                *("generateContentRequest", "systemInstruction", "model", "content"),
                *("prompt_cache_options", "instructions", "prompt"),
            )
        ),
        b'{"tools":[{"type":"x"}],"tool_choice":%b}' % value,
        b'{"tools":[{"x":1}],"toolConfig":%b}' % value,
        b'{"tools":[{"type":"namespace","tools":%b}]}' % value,
        b'{"tools":[{"type":"shell","environment":%b}]}' % value,
        b'{"messages":[{"content":[{"type":"tool_addition","tool":%b}]}]}' % value,
        b'{"messages":[{"content":[{"type":"server_tool_use","id":%b}]}]}' % value,
        b'{"messages":[{"role":"user","images":%b}]}' % value,
        b'{"contents":[{"parts":[{"functionResponse":%b}]}]}' % value,
        b'{"contents":[{"parts":[{"toolCall":%b}]}]}' % value,
        b'{"input":[{"type":"additional_tools","tools":%b}]}' % value,
        b'{"input":[{"type":%b,"role":"user"}]}' % value,
    ):
        try:
            admit(dialect, body, *words)
        except (Forbidden, BadRequest) as e:
            assert str(e)


@given(
    st.sampled_from(
        [
            *(("anthropic", "tools", "type"), ("responses", "tools", "type")),
            ("ollama", "tools", "type"),
        ]
    ),
    st.lists(
        st.dictionaries(
            st.sampled_from(["type", "Type", "name", "input_schema", "parameters"]),
            st.sampled_from(
                [
                    *("custom", "function", "web_search", "bash_20250124", "mcp"),
                    *("web_search_20250305", "code_execution_20250825", "namespace"),
                ]
            ),
            max_size=4,
        ),
        max_size=4,
    ),
    escapes,
)
def test_no_hosted_tool_is_sent(
    place: tuple[str, str, str], tools: list[dict[str, str]], places: set[int]
) -> None:
    dialect, key, kind = place
    text = json.dumps({key: tools}, separators=COMPACT)
    try:
        sent, _ = admit(dialect, escaped(text, places).encode())
    except (Forbidden, BadRequest):
        return
    for tool in sent.get(key) or ():
        assert "Type" not in tool
        assert not str(tool.get(kind, "")).startswith(("web", "code", "mcp"))
