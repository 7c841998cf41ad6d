from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import BadRequest, UnsupportedField
from modelplex.events import (
    Audio,
    Choose,
    Document,
    FileId,
    Image,
    Inline,
    JsonSchema,
    Message,
    Part,
    RedactedThinking,
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
from modelplex.wire.gemini.request_in import decode_request
from modelplex.wire.gemini.signatures import UNCHECKED, seal, wrap
from modelplex.wire.jsonobject import open_object

LEAST: dict[str, Any] = {"contents": [{"parts": [{"text": "Hi"}]}]}


def decoded(**members: Any) -> Request:
    return decode_request(open_object(json.dumps({**LEAST, **members}).encode()))


def talk(*contents: tuple[str, list[Any]]) -> tuple[Message, ...]:
    return decoded(
        contents=[{"role": role, "parts": parts} for role, parts in contents]
    ).messages


def said(*parts: Any) -> tuple[Part, ...]:
    (message,) = talk(("user", list(parts)))
    return message.parts


def answered(*parts: Any) -> tuple[Part, ...]:
    (message,) = talk(("model", list(parts)))
    return message.parts


def configured(**members: Any) -> Request:
    return decoded(generationConfig=members)


def refused(body: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        decode_request(open_object(json.dumps(body).encode()))
    return caught.value


# --- spelling ---------------------------------------------------------------


def test_the_least_request_is_one_message() -> None:
    assert decoded() == Request("", (Message(Role.USER, (Text("Hi"),)),))


def test_both_spellings_are_the_same() -> None:
    snake = {
        "system_instruction": {"parts": [{"text": "s"}]},
        "generation_config": {
            "max_output_tokens": 9,
            "thinking_config": {"include_thoughts": True},
            "response_mime_type": "application/json",
            "response_json_schema": {"a_b": 1},
        },
        "tools": [{"function_declarations": [{"name": "f"}]}],
        "tool_config": {
            "function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}
        },
    }
    camel = {
        "systemInstruction": {"parts": [{"text": "s"}]},
        "generationConfig": {
            "maxOutputTokens": 9,
            "thinkingConfig": {"includeThoughts": True},
            "responseMimeType": "application/json",
            "responseJsonSchema": {"a_b": 1},
        },
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
        "toolConfig": {
            "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}
        },
    }
    assert decoded(**snake) == decoded(**camel)
    assert decoded(**snake).response_format == JsonSchema({"a_b": 1})


def test_one_member_in_two_spellings_is_refused() -> None:
    error = refused({**LEAST, "generationConfig": {"topP": 1, "top_p": 1}})
    assert error.param == "generationConfig.top_p"
    assert refused(
        {**LEAST, "tools": [], "generationConfig": {}, "generation_config": {}}
    )


def test_an_error_names_the_path_as_the_guest_spelt_it() -> None:
    part = {"inline_data": {"mime_type": 1, "data": ""}}
    error = refused({"contents": [{"parts": [{"text": "a"}, part]}]})
    assert error.param == "contents[0].parts[1].inline_data.mime_type"


# --- contents ---------------------------------------------------------------


@pytest.mark.parametrize(
    "system",
    ["Be brief.", {"text": "Be brief."}, {"parts": [{"text": "Be brief."}]}],
)
def test_a_system_instruction_is_the_first_message(system: Any) -> None:
    first, _ = decoded(systemInstruction=system).messages
    assert first == Message(Role.SYSTEM, (Text("Be brief."),))


@pytest.mark.parametrize("system", ["", {"parts": []}, {}, None])
def test_an_empty_system_instruction_is_none(system: Any) -> None:
    assert decoded(systemInstruction=system) == decoded()


def test_a_system_instruction_has_text_only() -> None:
    part = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    error = refused({**LEAST, "systemInstruction": {"parts": [part]}})
    assert error.param == "systemInstruction.parts[0].inlineData"


def test_files_of_a_user_are_known_by_their_type() -> None:
    def inline(kind: str) -> dict[str, Any]:
        return {"inlineData": {"mimeType": kind, "data": "-_\n8"}}

    assert said(*map(inline, ["image/png", "audio/mpeg", "application/pdf"])) == (
        Image(Inline("image/png", "+/8=")),
        Audio("+/8=", "mp3"),
        Document(Inline("application/pdf", "+/8=")),
    )


@pytest.mark.parametrize(
    ("file", "part"),
    [
        (
            {"fileUri": "https://example.org/a.PNG"},
            Image(Url("https://example.org/a.PNG")),
        ),
        (
            {"fileUri": "https://example.org/a", "mimeType": "image/png"},
            Image(Url("https://example.org/a")),
        ),
        (
            {"fileUri": "https://example.org/a.pdf"},
            Document(Url("https://example.org/a.pdf")),
        ),
        ({"fileUri": "gs://bucket/a"}, Document(FileId("gs://bucket/a"))),
        (
            {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x"},
            Document(
                FileId("https://generativelanguage.googleapis.com/v1beta/files/x")
            ),
        ),
    ],
)
def test_a_file_elsewhere_is_an_address_or_a_name(file: Any, part: Part) -> None:
    assert said({"fileData": file}) == (part,)


def test_chunks_that_a_client_collected_are_one_turn() -> None:
    chunks: list[Any] = [
        {"text": "let ", "thought": True},
        {"text": "me", "thought": True, "thoughtSignature": "AAAA"},
        {"text": "He"},
        {"text": "llo"},
        {"text": ""},
        {"text": "", "thoughtSignature": "BBBB"},
    ]
    (turn,) = talk(*(("model", [chunk]) for chunk in chunks))
    assert turn.parts == (
        Thinking("let me", "gemini:AAAA"),
        Text("Hello"),
        Thinking("", "gemini:text:BBBB"),
    )


def test_a_call_and_its_result_are_paired_by_id_or_by_name() -> None:
    _, asked, told = talk(
        ("user", [{"text": "a"}]),
        (
            "model",
            [
                {"functionCall": {"name": "f", "args": {"n": 1}}},
                {"functionCall": {"name": "g", "id": "x"}},
                {"functionCall": {"name": "f"}},
            ],
        ),
        (
            "function",
            [
                {"functionResponse": {"name": "f", "response": {"output": "1"}}},
                {"functionResponse": {"name": "f", "response": {"result": "2"}}},
                {"functionResponse": {"id": "x", "name": "g", "response": {}}},
            ],
        ),
    )
    first, second, third = asked.parts
    assert isinstance(first, ToolCall) and isinstance(third, ToolCall)
    assert first.arguments == '{"n":1}' and third.arguments == "{}"
    assert second == ToolCall("x", "g", "{}")
    assert first.id != third.id
    assert told == Message(
        Role.TOOL,
        (
            ToolResult(first.id, (Text("1"),)),
            ToolResult(third.id, (Text("2"),)),
            ToolResult("x", ()),
        ),
    )


def test_made_up_ids_are_the_same_each_time_and_differ_between_turns() -> None:
    turn: list[tuple[str, list[Any]]] = [
        ("model", [{"functionCall": {"name": "f"}}]),
        ("user", [{"functionResponse": {"name": "f", "response": {}}}]),
    ]
    messages = talk(*turn, *turn)
    assert messages == talk(*turn, *turn)
    ids = {p.id for m in messages for p in m.parts if isinstance(p, ToolCall)}
    assert len(ids) == 2


def test_a_result_without_an_id_is_for_a_call_that_has_none_yet() -> None:
    _, told = talk(
        (
            "model",
            [
                {"functionCall": {"id": "a", "name": "f"}},
                {"functionCall": {"id": "b", "name": "f"}},
            ],
        ),
        (
            "user",
            [
                {"functionResponse": {"id": "a", "name": "f"}},
                {"functionResponse": {"name": "f"}},
                {"functionResponse": {"name": "f"}},
            ],
        ),
    )
    first, second, third = [p.call_id for p in told.parts if isinstance(p, ToolResult)]
    assert (first, second) == ("a", "b") and third.startswith("call_")


def test_many_small_chunks_and_calls_take_no_time_to_speak_of() -> None:
    chunk = b'{"role":"model","parts":[{"text":"ab"}]},'
    call = b'{"role":"model","parts":[{"functionCall":{"id":"a","name":"f"}}]},'
    result = b'{"parts":[{"functionResponse":{"id":"a","name":"f"}}]},'
    body = b'{"contents":[%b{"parts":[]}]}' % (
        chunk * 9000 + call * 9000 + result * 9000
    )
    first, *_ = decode_request(open_object(body)).messages
    assert first.parts[0] == Text("ab" * 9000)


def test_results_go_before_what_the_user_says() -> None:
    tool, user = talk(
        ("user", [{"text": "and"}, {"functionResponse": {"name": "f", "response": {}}}])
    )
    assert tool.role is Role.TOOL
    assert user == Message(Role.USER, (Text("and"),))


@pytest.mark.parametrize(
    ("response", "text", "is_error"),
    [
        ({"output": "a"}, "a", False),
        ({"output": {"b": 1}}, '{"b":1}', False),
        ({"result": [1]}, "[1]", False),
        ({"error": "no"}, "no", True),
        ({"error": "no", "code": 1}, '{"error":"no","code":1}', True),
        ({"a": 1, "b": 2.50}, '{"a":1,"b":2.5}', False),
        ({"a": "output"}, '{"a":"output"}', False),
    ],
)
def test_an_answer_is_text(response: Any, text: str, is_error: bool) -> None:
    part = {"functionResponse": {"id": "a", "name": "f", "response": response}}
    assert said(part) == (ToolResult("a", (Text(text),), is_error),)


@pytest.mark.parametrize("response", [None, {}, {"output": ""}, {"output": None}])
def test_an_answer_of_nothing_is_empty(response: Any) -> None:
    part = {"functionResponse": {"id": "a", "name": "f", "response": response}}
    assert said(part) == (ToolResult("a", ()),)


def test_a_result_may_show_files() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    file = {"fileData": {"fileUri": "https://example.org/a.pdf"}}
    given = {"id": "a", "response": {"output": "x"}, "parts": [picture, file]}
    (result,) = said({"functionResponse": given})
    assert isinstance(result, ToolResult)
    assert [type(piece) for piece in result.content] == [Text, Image, Document]
    for wrong in ({"text": "a"}, {"inlineData": {"mimeType": "audio/wav", "data": ""}}):
        body = {"functionResponse": {"id": "a", "parts": [wrong]}}
        error = refused({"contents": [{"parts": [body]}]})
        assert error.param == "contents[0].parts[0].functionResponse.parts[0]"


@pytest.mark.parametrize(
    ("role", "part", "param"),
    [
        ("user", {"functionCall": {"name": "f"}}, ".parts[0].functionCall"),
        ("model", {"functionResponse": {}}, ".parts[0].functionResponse"),
        ("system", {"text": "a"}, ".role"),
    ],
)
def test_what_cannot_stand_there_is_refused(role: str, part: Any, param: str) -> None:
    error = refused({"contents": [{"role": role, "parts": [part]}]})
    assert error.param == f"contents[0]{param}"


def test_what_only_gemini_has_is_listed() -> None:
    request = decoded(
        contents=[
            {"role": "user", "parts": [{"text": "a"}, {"toolResponse": {}}]},
            {
                "role": "model",
                "parts": [
                    {"executableCode": {"code": "1"}},
                    {"inlineData": {"mimeType": "image/png", "data": ""}},
                    {"text": "b"},
                ],
            },
            {"role": "user", "parts": [{"executableCode": {}, "text": "c"}, {}]},
        ],
        tools=[{"googleSearch": {}}, {"urlContext": {}, "code_execution": {}}],
        toolConfig={"retrievalConfig": {"languageCode": "de"}},
        safetySettings=[],
        service_tier="flex",
        generationConfig={"mediaResolution": "LOW", "thinkingConfig": {"new": 1}},
    )
    assert set(request.extra) == {
        "contents[].parts[toolResponse]",
        "contents[].parts[executableCode]",
        "contents[].parts[inlineData]",
        "tools[googleSearch]",
        "tools[urlContext]",
        "tools[codeExecution]",
        "toolConfig.retrievalConfig",
        "safetySettings",
        "serviceTier",
        "generationConfig.mediaResolution",
        "generationConfig.thinkingConfig.new",
    }
    assert [m.parts for m in request.messages[1:]] == [(Text("b"),), (Text("c"),)]


# --- signatures -------------------------------------------------------------


def test_signatures_are_marked_with_what_they_belong_to() -> None:
    assert answered(
        {"text": "t", "thought": True},
        {"functionCall": {"id": "a", "name": "f"}, "thoughtSignature": "A-__"},
        {"functionCall": {"id": "b", "name": "g"}, "thoughtSignature": "Bg"},
    ) == (
        Thinking("t", "gemini:call0:A+//"),
        ToolCall("a", "f", "{}"),
        Thinking("", "gemini:call1:Bg=="),
        ToolCall("b", "g", "{}"),
    )


@pytest.mark.parametrize(
    "signature",
    [
        "",
        UNCHECKED,
        UNCHECKED.replace("_", "/"),
        "context_engineering_is_the_way_to_go",
    ],
)
def test_a_signature_that_proves_nothing_is_none(signature: str) -> None:
    call = {"functionCall": {"id": "a", "name": "f"}, "thoughtSignature": signature}
    assert answered(call) == (ToolCall("a", "f", "{}"),)


def test_what_another_provider_signed_comes_back_as_it_was() -> None:
    assert answered(
        {"text": "t", "thought": True, "thoughtSignature": wrap("c2ln")},
        {"text": "", "thought": True, "thoughtSignature": seal("responses:é:1")},
    ) == (Thinking("t", "c2ln"), RedactedThinking("responses:é:1"))


# --- tools ------------------------------------------------------------------


def test_a_schema_of_openapi_becomes_json_schema() -> None:
    parameters = {
        "type": "OBJECT",
        "properties": {
            "a_b": {
                "type": "STRING",
                "nullable": True,
                "format": "enum",
                "enum": ["x"],
            },
            "c": {"type": "array", "items": {"type": "INTEGER"}, "min_items": "1"},
            "d": {"anyOf": [{"type": "NUMBER"}], "nullable": True, "example": 1},
            "e": {"type": "TYPE_UNSPECIFIED", "format": "date", "maxLength": 5},
            "f": {"type": ["STRING", "NULL"], "nullable": False},
            "g": {"type": "NULL", "nullable": True},
            "h": {"ref": "#/$defs/x"},
        },
        "defs": {"x": {"type": "STRING"}},
        "required": ["a_b"],
        "propertyOrdering": ["c", "a_b"],
    }
    declared = {"name": "f", "description": "d", "parameters": parameters}
    (tool,) = decoded(tools=[{"functionDeclarations": [declared]}]).tools
    schema = {
        "type": "object",
        "properties": {
            "a_b": {"type": ["string", "null"], "enum": ["x", None]},
            "c": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
            "d": {"anyOf": [{"type": "number"}, {"type": "null"}], "examples": [1]},
            "e": {"format": "date", "maxLength": 5},
            "f": {"type": ["string", "null"]},
            "g": {"type": "null"},
            "h": {"$ref": "#/$defs/x"},
        },
        "$defs": {"x": {"type": "string"}},
        "required": ["a_b"],
    }
    assert tool == Tool("f", "d", schema)


@pytest.mark.parametrize("count", ["x", {}, 1.5, None])
def test_a_count_that_is_no_number_is_refused(count: Any) -> None:
    schema = {"type": "OBJECT", "properties": {"a": {"minLength": count}}}
    declared = {"name": "f", "parameters": schema}
    body = {**LEAST, "tools": [{"functionDeclarations": [declared]}]}
    if count is None:
        (tool,) = decode_request(open_object(json.dumps(body).encode())).tools
        assert tool.schema["properties"] == {"a": {}}
        return
    where = "tools[0].functionDeclarations[0].parameters.properties.a.minLength"
    assert refused(body).param == where


def test_a_schema_of_any_type_may_be_null() -> None:
    declared = {"name": "f", "parameters": {"nullable": True, "enum": [None]}}
    (tool,) = decoded(tools=[{"functionDeclarations": [declared]}]).tools
    assert tool.schema == {"enum": [None]}


def test_a_json_schema_stays_as_it_is() -> None:
    schema = {"type": "object", "$schema": "x", "a_b": [1]}
    declared = {"name": "f", "parametersJsonSchema": schema, "behavior": "BLOCKING"}
    request = decoded(tools=[{"functionDeclarations": [declared]}])
    assert request.tools == (Tool("f", schema=schema),)
    assert request.extra == {"tools[].behavior": None}


def test_an_endless_schema_is_refused() -> None:
    schema: Any = {"type": "STRING"}
    for _ in range(70):
        schema = {"items": schema}
    declared = {"name": "f", "parameters": schema}
    assert refused({**LEAST, "tools": [{"functionDeclarations": [declared]}]}).param


@pytest.mark.parametrize(
    ("config", "choice"),
    [
        ({}, None),
        ({"mode": "MODE_UNSPECIFIED"}, None),
        ({"mode": "AUTO"}, ToolChoice(Choose.AUTO)),
        ({"mode": "NONE", "allowedFunctionNames": ["f"]}, ToolChoice(Choose.NONE)),
        ({"mode": "ANY"}, ToolChoice(Choose.REQUIRED)),
        (
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
            ToolChoice(Choose.REQUIRED, ("f",)),
        ),
        (
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
            ToolChoice(Choose.AUTO, ("f",)),
        ),
        ({"allowedFunctionNames": ["f"]}, ToolChoice(Choose.AUTO, ("f",))),
    ],
)
def test_a_mode_is_a_choice(config: Any, choice: ToolChoice | None) -> None:
    assert decoded(toolConfig={"functionCallingConfig": config}).tool_choice == choice


def test_a_mode_that_is_not_known_is_refused() -> None:
    error = refused({**LEAST, "toolConfig": {"functionCallingConfig": {"mode": "X"}}})
    assert error.param == "toolConfig.functionCallingConfig.mode"


# --- settings ---------------------------------------------------------------


def test_every_setting_has_its_place() -> None:
    request = configured(
        temperature=1,
        topP=0.5,
        topK=40.0,
        candidateCount=2,
        maxOutputTokens=9,
        stopSequences=["z"],
        seed=1,
        presencePenalty=0.5,
        frequencyPenalty=-0.5,
        responseLogprobs=True,
        logprobs=5,
        responseModalities=["TEXT"],
        responseMimeType="text/plain",
    )
    assert request == Request(
        "",
        request.messages,
        temperature=1.0,
        top_p=0.5,
        top_k=40,
        n=2,
        max_tokens=9,
        stop=("z",),
        seed=1,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        logprobs=5,
    )


def test_log_probabilities_are_asked_for_by_a_switch() -> None:
    assert configured(responseLogprobs=True).logprobs == 0
    assert configured(responseLogprobs=False, logprobs=3).logprobs is None


@pytest.mark.parametrize(
    ("config", "control"),
    [
        ({}, None),
        ({"includeThoughts": False}, None),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, None),
        ({"includeThoughts": True}, ThinkingControl(display="summarized")),
        ({"thinkingLevel": "HIGH"}, ThinkingControl("high")),
        (
            {"thinkingLevel": "LOW", "includeThoughts": False},
            ThinkingControl("low", display="omitted"),
        ),
        ({"thinkingBudget": 0}, ThinkingControl(mode="disabled")),
        ({"thinkingBudget": -1}, ThinkingControl(mode="adaptive")),
        ({"thinkingBudget": 99}, ThinkingControl(mode="enabled", budget=99)),
    ],
)
def test_thinking_is_controlled(config: Any, control: ThinkingControl | None) -> None:
    assert configured(thinkingConfig=config).thinking == control


def test_a_response_schema_is_converted() -> None:
    form = {"type": "ARRAY", "items": {"type": "STRING"}}
    request = configured(responseMimeType="application/json", responseSchema=form)
    schema = {"type": "array", "items": {"type": "string"}}
    assert request.response_format == JsonSchema(schema)
    plain = configured(responseMimeType="application/json")
    assert plain.response_format == JsonSchema()
    older = {"_responseJsonSchema": {"a": 1}, "responseMimeType": "application/json"}
    assert configured(**older).response_format == JsonSchema({"a": 1})


def test_a_json_schema_has_no_types_in_capitals() -> None:
    """gemini-cli sends them, and only Gemini takes them."""

    def form(object: str, string: str, null: str) -> dict[str, Any]:
        return {
            "type": object,
            "properties": {
                "type": {"type": [string, null], "enum": ["STRING"]},
                "enum": {"anyOf": [{"type": string, "const": "OBJECT"}]},
            },
            "additionalProperties": {"type": {"odd": [1]}},
            "default": {"type": "OBJECT"},
        }

    request = configured(
        responseMimeType="application/json",
        responseJsonSchema=form("OBJECT", "STRING", "NULL"),
    )
    proper = form("object", "string", "null")
    assert request.response_format == JsonSchema(proper)
    declared = {"name": "f", "parametersJsonSchema": form("OBJECT", "STRING", "NULL")}
    (tool,) = decoded(tools=[{"functionDeclarations": [declared]}]).tools
    assert tool.schema == proper


def test_a_json_schema_is_not_nested_without_end() -> None:
    form: dict[str, Any] = {}
    for _ in range(300):
        form = {"items": form}
    body = {"responseMimeType": "application/json", "responseJsonSchema": form}
    error = refused({**LEAST, "generationConfig": body})
    assert "nested too deeply" in str(error)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"cachedContent": "cachedContents/x"}, "cachedContent"),
        (
            {"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}},
            "generationConfig.responseModalities",
        ),
        (
            {"generationConfig": {"responseMimeType": "text/x.enum"}},
            "generationConfig.responseMimeType",
        ),
        (
            {"generationConfig": {"responseSchema": {"type": "STRING"}}},
            "generationConfig.responseMimeType",
        ),
    ],
)
def test_what_no_other_dialect_can_mean_is_refused(members: Any, param: str) -> None:
    error = refused({**LEAST, **members})
    assert isinstance(error, UnsupportedField)
    assert error.param == param


def test_a_fraction_of_a_count_is_refused() -> None:
    error = refused({**LEAST, "generationConfig": {"top_k": 1.5}})
    assert error.param == "generationConfig.top_k"


def test_the_name_of_a_model_is_without_its_collection() -> None:
    assert decoded(model="models/gemini-x").model == "gemini-x"


# --- faults -----------------------------------------------------------------

FULL: dict[str, Any] = {
    "model": "models/x",
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "a"},
                {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                {"fileData": {"fileUri": "https://x/a", "mimeType": "image/png"}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "b", "thought": True, "thoughtSignature": "AAAA"},
                {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}},
            ],
        },
        {
            "role": "function",
            "parts": [
                {
                    "functionResponse": {
                        "id": "1",
                        "name": "f",
                        "response": {"output": 1},
                        "parts": [{"inlineData": {"mimeType": "i", "data": ""}}],
                    }
                }
            ],
        },
    ],
    "systemInstruction": {"role": "system", "parts": [{"text": "s"}]},
    "tools": [
        {
            "functionDeclarations": [
                {
                    "name": "f",
                    "description": "d",
                    "parameters": {
                        "type": "OBJECT",
                        "nullable": True,
                        "format": "x",
                        "properties": {"a": {"type": "STRING", "minLength": "1"}},
                        "items": {"type": "STRING"},
                        "anyOf": [{"type": "STRING"}],
                        "enum": ["a"],
                    },
                },
                {"name": "g", "parametersJsonSchema": {"type": "object"}},
            ]
        },
        {"googleSearch": {}},
    ],
    "toolConfig": {
        "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}
    },
    "generationConfig": {
        "temperature": 1,
        "topK": 1,
        "candidateCount": 1,
        "stopSequences": ["a"],
        "responseLogprobs": True,
        "logprobs": 1,
        "responseMimeType": "application/json",
        "responseSchema": {"type": "OBJECT"},
        "responseModalities": ["TEXT"],
        "thinkingConfig": {"thinkingBudget": 1, "includeThoughts": True},
    },
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    pairs: Any = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    for key, inner in pairs:
        found += places(inner, (*path, key))
    return found


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    key, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = replaced(copy[key], tuple(rest), by)
    return copy


def test_the_full_request_is_read() -> None:
    assert decode_request(open_object(json.dumps(FULL).encode())).model == "x"


@given(path=st.sampled_from(places(FULL)), value=json_values())
def test_a_wrong_value_anywhere_is_a_bad_request_at_its_path(
    path: tuple[Any, ...], value: Any
) -> None:
    body = json.dumps(replaced(FULL, path, value)).encode()
    try:
        request = decode_request(open_object(body))
    except BadRequest as e:
        assert e.param
        assert e.param.startswith(str(path[0]))
        return
    assert isinstance(request, Request)


@given(body=st.dictionaries(st.sampled_from([*FULL, "x", "top_p"]), json_values()))
def test_any_object_is_a_request_or_a_bad_one(body: Any) -> None:
    try:
        request = decode_request(open_object(json.dumps(body).encode()))
    except BadRequest as e:
        assert e.param
        return
    assert isinstance(request, Request)


@pytest.mark.parametrize("place", ["args", "schema", "contents"])
def test_a_request_of_any_depth_is_read_or_refused(place: str) -> None:
    deep = b"[" * 3000 + b"]" * 3000
    bodies = {
        "args": b'{"contents":[{"role":"model","parts":[{"functionCall":'
        b'{"name":"f","args":{"a":%b}}}]}]}',
        "schema": b'{"contents":[],"tools":[{"functionDeclarations":[{"name":"f",'
        b'"parameters":{"enum":%b}}]}]}',
        "contents": b'{"contents":%b}',
    }
    try:
        request = decode_request(open_object(bodies[place] % deep))
    except BadRequest:
        return
    assert isinstance(request, Request)
