from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given

from modelplex.errors import BadRequest, GatewayError, UnsupportedField
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
from modelplex.testing.oracle_gemini import check_request
from modelplex.testing.strategies import requests, wild_messages
from modelplex.wire.fidelity import Fate, Feature, features
from modelplex.wire.gemini.abilities import NEWEST, guess
from modelplex.wire.gemini.fidelity import FIDELITY
from modelplex.wire.gemini.request_in import decode_request
from modelplex.wire.gemini.request_out import encode_request
from modelplex.wire.gemini.signatures import UNCHECKED
from modelplex.wire.jsonobject import open_object

FLASH_2 = guess("gemini-2.0-flash")
PRO_25 = guess("gemini-2.5-pro")
FLASH_25 = guess("gemini-2.5-flash")

EXPRESSIBLE = frozenset(
    feature
    for feature, verdict in FIDELITY.verdicts.items()
    if verdict.fate is not Fate.REFUSED
)
ROUND = frozenset(
    {
        Feature.IMAGE,
        Feature.AUDIO,
        Feature.TOOLS,
        Feature.TOOL_ERROR,
        Feature.TOOL_RESULT_IMAGE,
        Feature.TOOL_CHOICE_NONE,
        Feature.TOOL_CHOICE_REQUIRED,
        Feature.TOOL_CHOICE_NAMED,
        Feature.JSON_OBJECT,
        Feature.JSON_SCHEMA,
        Feature.THINKING_BLOCKS,
        Feature.THINKING_SIGNATURE,
        Feature.REASONING_EFFORT,
        Feature.MAX_TOKENS,
        Feature.TEMPERATURE,
        Feature.TOP_P,
        Feature.TOP_K,
        Feature.STOP,
        Feature.SEED,
        Feature.PRESENCE_PENALTY,
        Feature.FREQUENCY_PENALTY,
        Feature.LOGPROBS,
    }
)


def user(*parts: Part | str) -> Message:
    return said(Role.USER, *parts)


def assistant(*parts: Part | str) -> Message:
    return said(Role.ASSISTANT, *parts)


def system(*parts: Part | str) -> Message:
    return said(Role.SYSTEM, *parts)


def said(role: Role, *parts: Part | str) -> Message:
    return Message(role, tuple(Text(p) if isinstance(p, str) else p for p in parts))


def call(id: str = "a", arguments: str = "{}", name: str = "f") -> ToolCall:
    return ToolCall(id, name, arguments)


def result(id: str = "a", text: str = "ok", error: bool = False) -> Message:
    return Message(Role.TOOL, (ToolResult(id, (Text(text),), error),))


def ask(*messages: Message, **settings: Any) -> Request:
    return Request(
        model=settings.pop("model", "gemini-3-flash"),
        messages=messages or (user("Hi"),),
        **settings,
    )


def encoded(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encode_request(request).body)
    check_request(body, signed=guess(request.model).wants_signatures)
    return body


def contents(*messages: Message, **settings: Any) -> list[tuple[str, list[Any]]]:
    """Each content as its role and parts, a plain text as its text."""
    body = encoded(ask(*messages, **settings))
    return [
        (c["role"], [p["text"] if p.keys() == {"text"} else p for p in c["parts"]])
        for c in body["contents"]
    ]


def settings(**members: Any) -> dict[str, Any]:
    found: dict[str, Any] = encoded(ask(**members)).get("generationConfig", {})
    return found


# --- properties -------------------------------------------------------------


def gemini(request: Request) -> Request:
    """`request` with the signatures of its reasoning made out to be Gemini's."""
    talk = []
    for message in request.messages:
        parts = [
            evolve(part, signature=f"gemini:{part.signature}")
            if isinstance(part, Thinking) and part.signature
            else part
            for part in message.parts
        ]
        talk.append(evolve(message, parts=tuple(parts)))
    return evolve(request, messages=tuple(talk))


def normal(request: Request) -> Request:
    """`request` as it comes back from an encoding for a model of all abilities."""
    talk: list[Message] = []
    last_calls: list[str] = []
    for message in request.messages:
        parts: tuple[Any, ...] = tuple(
            _result(part) if isinstance(part, ToolResult) else part
            for part in message.parts
            if not (isinstance(part, Thinking) and part.signature is None)
        )
        if talk and talk[-1].role is message.role:
            parts = (*talk.pop().parts, *parts)
        if message.role is Role.TOOL:
            parts = tuple(sorted(parts, key=lambda p: last_calls.index(p.call_id)))
        else:
            last_calls = [p.id for p in parts if isinstance(p, ToolCall)]
        talk.append(Message(message.role, parts))
    form = request.response_format
    thinking = request.thinking
    return evolve(
        request,
        model="",
        stream=False,
        messages=tuple(talk),
        tools=tuple(
            evolve(tool, schema=tool.schema if tool.schema["properties"] else None)
            for tool in request.tools
        ),
        tool_choice=request.tool_choice if request.tools else None,
        response_format=form,
        thinking=thinking and evolve(thinking, display="summarized"),
    )


def _result(part: ToolResult) -> ToolResult:
    texts = [p.text for p in part.content if isinstance(p, Text)]
    rest = [p for p in part.content if not isinstance(p, Text)]
    joined = [Text("\n".join(texts))] if texts else []
    return evolve(part, content=(*joined, *rest))


@given(request=requests(ROUND))
def test_what_is_carried_comes_back(request: Request) -> None:
    request = gemini(request)
    encoded = encode_request(request, NEWEST)
    assert decode_request(open_object(encoded.body)) == normal(request)
    unsigned = any(
        isinstance(part, Thinking) and not part.signature
        for message in request.messages
        for part in message.parts
    )
    assert encoded.dropped == (("reasoning_content",) if unsigned else ())


@given(request=requests(EXPRESSIBLE))
def test_every_expressible_request_obeys_the_rules(request: Request) -> None:
    for abilities in (NEWEST, PRO_25, FLASH_2, guess("gemma-3-27b")):
        body = json.loads(encode_request(request, abilities).body)
        check_request(body, signed=abilities.wants_signatures)


@given(request=requests(EXPRESSIBLE))
def test_equal_requests_give_equal_bytes(request: Request) -> None:
    assert encode_request(request) == encode_request(evolve(request))


@given(request=requests(EXPRESSIBLE))
def test_what_is_declared_dropped_is_listed(request: Request) -> None:
    declared = {
        name
        for feature, name in features(request)
        if FIDELITY.verdicts[feature].fate is Fate.DROPPED
    }
    declared -= {"reasoning_content", "reasoning_details"}
    assert declared <= set(encode_request(request).dropped)


@given(messages=wild_messages())
def test_any_conversation_becomes_a_legal_one(messages: tuple[Message, ...]) -> None:
    for model in ("gemini-3-pro", "gemini-2.5-flash", "gemma-3-4b"):
        encoded(Request(model, messages))


@given(request=requests())
def test_any_request_is_encoded_or_refused_by_name(request: Request) -> None:
    try:
        encode_request(request)
    except GatewayError as e:
        assert e.param


@given(request=requests(EXPRESSIBLE))
def test_a_longer_conversation_begins_with_the_same_bytes(request: Request) -> None:
    longer = evolve(request, messages=(*request.messages, assistant("x"), user("y")))
    before = json.loads(encode_request(request).body)["contents"]
    after = json.loads(encode_request(longer).body)["contents"]
    assert after[: len(before)] == before


# --- messages ---------------------------------------------------------------


def test_leading_system_messages_are_the_instruction() -> None:
    body = encoded(ask(system("a"), system("b", " "), user("Hi")))
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}


def test_a_later_system_message_is_said_by_the_user() -> None:
    talk = (user("a"), system("b"), assistant("c"), system("d"))
    assert contents(*talk) == [
        ("user", ["a", "[system]: b"]),
        ("model", ["c"]),
        ("user", ["[system]: d"]),
    ]


def test_a_model_without_instructions_is_told_by_the_user() -> None:
    body = encoded(ask(system("a"), user("Hi"), model="gemma-3-27b-it"))
    assert "systemInstruction" not in body
    assert body["contents"][0]["parts"] == [{"text": "[system]: a"}, {"text": "Hi"}]


def test_a_picture_in_the_system_prompt_is_refused() -> None:
    picture = Image(Inline("image/png", "AAAA"))
    with pytest.raises(UnsupportedField) as caught:
        encode_request(ask(system(picture), user("Hi")))
    assert caught.value.param == "messages[0].content"


def test_empty_texts_and_turns_are_left_out() -> None:
    talk = (user("", "a"), assistant(), assistant(" "), user("b"))
    assert contents(*talk) == [("user", ["a", "b"])]


def test_an_empty_request_asks_to_begin() -> None:
    assert contents(user("")) == [("user", ["Begin."])]


def test_a_first_word_of_the_model_follows_a_user_turn() -> None:
    (role, _), *_ = contents(assistant("a"), user("b"))
    assert role == "user"


def test_a_prefill_is_left_for_the_model_to_continue() -> None:
    assert contents(user("a"), assistant("b"))[-1] == ("model", ["b"])


def test_what_a_user_shows_is_inline_or_a_file() -> None:
    ((_, parts),) = contents(
        user(
            Image(Inline("image/PNG; x=1", "AAAA")),
            Image(Url("https://example.org/a.png")),
            Document(Inline("application/pdf", "AAAA")),
            Audio("AAAA", "wav"),
        )
    )
    assert parts == [
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"fileData": {"fileUri": "https://example.org/a.png"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
    ]


def test_the_title_of_a_document_is_listed_as_dropped() -> None:
    document = Document(Inline("text/plain", "AAAA"), "a.txt", "why")
    lost = encode_request(ask(user(document))).dropped
    assert lost == ("file.filename", "document.context")


def test_a_file_of_another_store_is_refused() -> None:
    with pytest.raises(UnsupportedField):
        encode_request(ask(user(Image(FileId("file_1")))))


@pytest.mark.parametrize("message", [user(call()), assistant(Audio("AAAA", "wav"))])
def test_a_part_that_cannot_stand_there_is_refused(message: Message) -> None:
    with pytest.raises(UnsupportedField) as caught:
        encode_request(ask(message))
    assert caught.value.param == "messages[0].content"


def test_a_refusal_is_what_the_model_said() -> None:
    assert contents(user("a"), assistant(Refusal("no")))[-1] == ("model", ["no"])


# --- calls and results ------------------------------------------------------


def test_results_come_first_and_in_the_order_of_the_calls() -> None:
    calls = [call(id) for id in ("a", "b", "c")]
    _, _, (_, parts) = contents(
        user("x"), assistant(*calls), result("c"), user("and"), result("a", "1")
    )
    responses = [p["functionResponse"] for p in parts[:3]]
    assert [r["id"] for r in responses] == ["a", "b", "c"]
    assert [r["response"] for r in responses] == [
        {"output": "1"},
        {"error": "(no result)"},
        {"output": "ok"},
    ]
    assert parts[3:] == ["and"]


def test_a_result_has_the_name_of_its_call() -> None:
    *_, (_, (part,)) = contents(user("x"), assistant(call(name="g")), result())
    assert part["functionResponse"]["name"] == "g"


def test_calls_at_the_very_end_are_answered() -> None:
    *_, (role, (part,)) = contents(user("x"), assistant(call("a")))
    assert (role, part["functionResponse"]["id"]) == ("user", "a")


def test_a_model_that_goes_on_speaking_waits_for_the_same_results() -> None:
    talk = (user("x"), assistant(call("a")), assistant("t", call("b")))
    _, (_, spoken), (_, results) = contents(*talk, result("b"), result("a"))
    assert spoken[1] == "t"
    assert [r["functionResponse"]["id"] for r in results] == ["a", "b"]


def test_a_result_without_a_call_is_text() -> None:
    picture = Image(Inline("image/png", "AAAA"))
    orphan = Message(Role.TOOL, (ToolResult("z", (Text("ok"), picture)),))
    ((_, parts),) = contents(user("x"), orphan)
    assert parts[:3] == ["x", "(result of the tool call z)", "ok"]
    assert "inlineData" in parts[3]


def test_one_id_for_two_calls_becomes_two() -> None:
    talk = (user("x"), assistant(call(), call()), result(text="1"), result(text="2"))
    _, (_, calls), (_, results) = contents(*talk)
    assert [c["functionCall"]["id"] for c in calls] == ["a", "a_2"]
    answers = [r["functionResponse"]["response"]["output"] for r in results]
    assert answers == ["1", "2"]


@pytest.mark.parametrize(
    ("text", "error", "response"),
    [
        ("ok", False, {"output": "ok"}),
        ("no", True, {"error": "no"}),
        ('{"a":1}', False, {"a": 1}),
        ('{"output":1}', False, {"output": '{"output":1}'}),
        ("[1]", False, {"output": "[1]"}),
        ("{", False, {"output": "{"}),
    ],
)
def test_an_answer_is_an_object(text: str, error: bool, response: Any) -> None:
    talk = (user("x"), assistant(call()), result("a", text, error))
    *_, (_, (part,)) = contents(*talk)
    assert part["functionResponse"]["response"] == response


def test_a_picture_in_a_result_stands_inside_or_beside_it() -> None:
    shown = ToolResult("a", (Text("1"), Image(Inline("image/png", "AAAA"))))
    talk = (user("x"), assistant(call()), Message(Role.TOOL, (shown,)))
    *_, (_, (part,)) = contents(*talk)
    assert "inlineData" in part["functionResponse"]["parts"][0]
    *_, (_, (part, beside)) = contents(*talk, model="gemini-2.5-pro")
    assert "parts" not in part["functionResponse"] and "inlineData" in beside


@pytest.mark.parametrize(
    ("arguments", "args"),
    [
        ('{"a":1}', {"a": 1}),
        ("", {}),
        ("null", {}),
        ("[1]", {"_raw": "[1]"}),
        ("{", {"_raw": "{"}),
    ],
)
def test_the_arguments_of_a_call_are_an_object(arguments: str, args: Any) -> None:
    _, (_, (part,)), _ = contents(user("x"), assistant(call(arguments=arguments)))
    assert part["functionCall"]["args"] == args


def test_every_digit_of_an_argument_is_kept() -> None:
    body = encode_request(ask(user("x"), assistant(call(arguments='{"n": 1.10e5}'))))
    assert b'"args":{"n":1.10e5}' in body.body


# --- reasoning and its signatures -------------------------------------------


def test_each_signature_stands_on_the_part_that_it_came_with() -> None:
    _, (_, parts), _ = contents(
        user("x"),
        assistant(
            Thinking("let me", "gemini:AAAA"),
            "text",
            Thinking("", "gemini:text:BBBB"),
            Thinking("now", "gemini:call0:CCCC"),
            call("a"),
            Thinking("", "gemini:call1:DDDD"),
            call("b"),
        ),
    )
    assert parts[0] == {"text": "let me", "thought": True, "thoughtSignature": "AAAA"}
    assert parts[1] == {"text": "text", "thoughtSignature": "BBBB"}
    assert parts[2] == {"text": "now", "thought": True}
    assert [p["thoughtSignature"] for p in parts[3:]] == ["CCCC", "DDDD"]


def test_signatures_find_their_calls_when_a_client_puts_them_first() -> None:
    proofs = [
        Thinking("", f"gemini:call{n}:{s}") for n, s in ((1, "BB=="), (0, "AA=="))
    ]
    _, (_, parts), _ = contents(
        user("x"), assistant(*proofs, "t", call("a"), call("b"))
    )
    assert [p["thoughtSignature"] for p in parts[1:]] == ["AA==", "BB=="]


def test_the_signature_of_a_text_that_is_elsewhere_has_a_part_of_its_own() -> None:
    _, (_, parts) = contents(
        user("x"), assistant(Thinking("", "gemini:text:AA=="), "t")
    )
    assert parts == [{"text": "", "thoughtSignature": "AA=="}, "t"]


def test_a_step_of_another_model_is_let_pass_unchecked() -> None:
    step = (assistant(call("a"), call("b")), result("a"), result("b"))
    _, (_, (first, second)), _ = contents(user("x"), *step)
    assert first["thoughtSignature"] == UNCHECKED
    assert "thoughtSignature" not in second
    _, (_, (first, _)), _ = contents(user("x"), *step, model="gemini-2.5-pro")
    assert "thoughtSignature" not in first


@pytest.mark.parametrize("signature", ["c2ln", "responses:rs_1:abc", "gemini:é", ""])
def test_what_others_signed_is_left_out_and_listed(signature: str) -> None:
    thoughts = (Thinking("a", signature), RedactedThinking("b"), Thinking("c"))
    request = ask(user("x"), assistant(*thoughts, "t"), user("y"))
    lost = ("reasoning_content", "reasoning_details")
    assert encode_request(request).dropped == lost
    assert contents(*request.messages)[1] == ("model", ["t"])


@pytest.mark.parametrize(
    ("model", "control", "config"),
    [
        ("gemini-3-flash", ThinkingControl("low"), {"thinkingLevel": "LOW"}),
        ("gemini-3-flash", ThinkingControl("minimal"), {"thinkingLevel": "MINIMAL"}),
        ("gemini-3-pro", ThinkingControl("minimal"), {"thinkingLevel": "LOW"}),
        ("gemini-3.5-pro", ThinkingControl("max"), {"thinkingLevel": "HIGH"}),
        ("gemini-4-argon", ThinkingControl("xhigh"), {"thinkingLevel": "XHIGH"}),
        ("my-model", ThinkingControl("max"), {"thinkingLevel": "HIGH"}),
        ("gemini-3-pro", ThinkingControl(mode="enabled", budget=9000), "MEDIUM"),
        ("gemini-3-pro", ThinkingControl(mode="enabled", budget=900), "LOW"),
        ("gemini-3-pro", ThinkingControl(mode="enabled", budget=90_000), "HIGH"),
        ("gemini-3-pro", ThinkingControl(mode="adaptive"), {}),
        ("gemini-2.5-flash", ThinkingControl("high"), {"thinkingBudget": 24_576}),
        ("gemini-2.5-pro", ThinkingControl("max"), {"thinkingBudget": 32_768}),
        (
            "gemini-2.5-pro",
            ThinkingControl(mode="enabled", budget=5),
            {"thinkingBudget": 128},
        ),
        (
            "gemini-2.5-flash-lite",
            ThinkingControl(mode="enabled", budget=5),
            {"thinkingBudget": 512},
        ),
        ("gemini-2.5-pro", ThinkingControl(mode="adaptive"), {"thinkingBudget": -1}),
        ("gemini-2.5-pro", ThinkingControl(display="summarized"), {}),
    ],
)
def test_reasoning_is_asked_for_as_the_model_takes_it(
    model: str, control: ThinkingControl, config: Any
) -> None:
    if isinstance(config, str):
        config = {"thinkingLevel": config}
    asked = settings(model=model, thinking=control)["thinkingConfig"]
    assert asked == {**config, "includeThoughts": True}


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("gemini-3-flash", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3-pro", {"thinkingLevel": "LOW"}),
        ("gemini-2.5-flash", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", {"thinkingBudget": 128}),
        ("gemini-2.0-flash", {}),
    ],
)
def test_no_reasoning_is_as_little_as_the_model_can(model: str, config: Any) -> None:
    for control in (
        ThinkingControl("none"),
        ThinkingControl(mode="disabled"),
        ThinkingControl(mode="between_tools"),
    ):
        asked = settings(model=model, thinking=control)
        assert asked.get("thinkingConfig", {}) == config


def test_reasoning_that_is_not_to_be_shown_is_not_asked_for() -> None:
    control = ThinkingControl("low", display="omitted")
    assert settings(thinking=control)["thinkingConfig"] == {"thinkingLevel": "LOW"}


def test_a_model_that_cannot_reason_says_so() -> None:
    request = ask(model="gemini-1.5-pro", thinking=ThinkingControl("low"))
    assert encode_request(request).dropped == ("reasoning_effort",)
    request = ask(model="gemma-3", thinking=ThinkingControl(mode="adaptive"))
    assert encode_request(request).dropped == ("thinking",)


@pytest.mark.parametrize(
    "control", [ThinkingControl("much"), ThinkingControl(mode="maybe")]
)
def test_a_word_for_reasoning_that_is_not_known_is_refused(
    control: ThinkingControl,
) -> None:
    with pytest.raises(BadRequest):
        encode_request(ask(thinking=control))


# --- tools ------------------------------------------------------------------


def test_a_tool_without_arguments_has_no_schema() -> None:
    nothing: Any
    for nothing in (None, {"type": "object", "properties": {}}, True):
        body = encoded(ask(tools=(Tool("f", " what ", nothing),)))
        (group,) = body["tools"]
        assert group["functionDeclarations"] == [{"name": "f", "description": "what"}]


def test_the_schema_of_a_tool_stays_as_it_is_but_for_notes() -> None:
    schema = {"$schema": "x", "oneOf": [{"type": "object"}], "strict": True}
    body = encoded(ask(tools=(Tool("f", schema=schema),)))
    (tool,) = body["tools"][0]["functionDeclarations"]
    assert tool["parametersJsonSchema"] == {"oneOf": [{"type": "object"}]}


def test_a_tool_that_takes_free_text_is_a_function_of_one_string() -> None:
    tool = Tool("sql", "ask", custom=True, format={"type": "grammar"})
    body = encoded(ask(tools=(tool,)))
    (made,) = body["tools"][0]["functionDeclarations"]
    assert made["name"] == "sql.freeform"
    assert '{"type":"grammar"}' in made["description"]
    assert made["parametersJsonSchema"]["required"] == ["input"]


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice(Choose.AUTO), {"mode": "AUTO"}),
        (ToolChoice(Choose.NONE), {"mode": "NONE"}),
        (ToolChoice(Choose.REQUIRED), {"mode": "ANY"}),
        (
            ToolChoice(Choose.REQUIRED, ("f",)),
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
        (
            ToolChoice(Choose.AUTO, ("f", "g h")),
            {"mode": "VALIDATED", "allowedFunctionNames": ["f", "g_u20_h"]},
        ),
    ],
)
def test_a_choice_is_a_mode(choice: ToolChoice, config: Any) -> None:
    body = encoded(ask(tools=(Tool("f"), Tool("g h")), tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": config}


def test_a_choice_of_what_is_not_there_is_refused() -> None:
    choice = ToolChoice(Choose.REQUIRED, ("g",))
    with pytest.raises(BadRequest) as caught:
        encode_request(ask(tools=(Tool("f"),), tool_choice=choice))
    assert caught.value.param == "tool_choice"


@pytest.mark.parametrize("name", ["", "f" * 129])
def test_a_name_that_does_not_fit_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedField):
        encode_request(ask(tools=(Tool(name),)))


def test_a_long_name_in_the_history_is_cut_the_same_way_each_time() -> None:
    _, (_, (part,)), _ = contents(user("x"), assistant(call(name="f" * 200)))
    assert len(part["functionCall"]["name"]) == 128


# --- settings ---------------------------------------------------------------


def test_every_setting_has_its_place() -> None:
    assert settings(
        max_tokens=9,
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        stop=("a", "", "b"),
        seed=1,
        presence_penalty=0.0,
        frequency_penalty=1.0,
        logprobs=3,
    ) == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 4,
        "maxOutputTokens": 9,
        "stopSequences": ["a", "b"],
        "seed": 1,
        "presencePenalty": 0.0,
        "frequencyPenalty": 1.0,
        "responseLogprobs": True,
        "logprobs": 3,
    }


def test_only_the_chosen_token_is_asked_for_without_a_number() -> None:
    assert settings(logprobs=0) == {"responseLogprobs": True}


def test_of_many_stop_sequences_the_first_five_are_sent() -> None:
    request = ask(stop=tuple("abcdefg"))
    assert settings(stop=request.stop) == {"stopSequences": list("abcde")}
    assert encode_request(request).dropped == ("stop",)


@pytest.mark.parametrize(
    ("members", "param"),
    [({"max_tokens": 0}, "max_tokens"), ({"logprobs": 21}, "top_logprobs")],
)
def test_a_senseless_number_is_refused(members: Any, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        encode_request(ask(**members))
    assert caught.value.param == param


def test_hints_are_dropped_and_listed() -> None:
    request = ask(user="u", min_p=0.1, parallel_tool_calls=False, cache=CacheMark())
    dropped = encode_request(evolve(request, extra={"store": True})).dropped
    expected = {"user", "min_p", "parallel_tool_calls", "store"}
    assert expected <= set(dropped)


def form(schema: Any) -> Any:
    return settings(response_format=JsonSchema(schema)).get("responseJsonSchema")


def test_any_object_is_asked_for_by_its_type() -> None:
    assert settings(response_format=JsonSchema()) == {
        "responseMimeType": "application/json"
    }


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"const": "a"}, {"enum": ["a"]}),
        ({"oneOf": [{"type": "null"}]}, {"anyOf": [{"type": "null"}]}),
        ({"allOf": [{"type": "null"}], "title": "t"}, {"type": "null", "title": "t"}),
        ({"$schema": "x", "default": 1, "type": "integer"}, {"type": "integer"}),
        (
            {
                "definitions": {"a": {"type": "null"}},
                "items": {"$ref": "#/definitions/a"},
            },
            {"$defs": {"a": {"type": "null"}}, "items": {"$ref": "#/$defs/a"}},
        ),
        ({"$ref": "#/$defs/a", "title": "t"}, {"$ref": "#/$defs/a"}),
        (
            {"type": "string", "maxLength": 3, "description": "d"},
            {"type": "string", "description": "d (maxLength: 3)"},
        ),
        ({"not": {"type": "null"}}, {"description": '(not: {"type":"null"})'}),
        ({"items": True, "prefixItems": [{}]}, {"items": {}, "prefixItems": [{}]}),
        ({"items": False}, {"items": {"not": {}}}),
        (
            {"additionalProperties": {"const": 1}},
            {"additionalProperties": {"enum": [1]}},
        ),
        ({"additionalProperties": False}, {"additionalProperties": False}),
    ],
)
def test_a_schema_is_cut_to_the_subset(given: Any, kept: Any) -> None:
    assert form(given) == kept


@pytest.mark.parametrize("schema", [[], True, {"items": 1}])
def test_what_is_no_schema_is_asked_for_in_words(schema: Any) -> None:
    body = encoded(ask(response_format=JsonSchema(schema)))
    assert body["generationConfig"] == {"responseMimeType": "application/json"}
    assert "JSON Schema" in body["systemInstruction"]["parts"][-1]["text"]


def test_beside_tools_an_older_model_is_asked_in_words() -> None:
    wish = ask(tools=(Tool("f"),), response_format=JsonSchema({"type": "object"}))
    assert "responseJsonSchema" in encoded(wish)["generationConfig"]
    body = encoded(evolve(wish, model="gemini-2.5-flash"))
    assert "generationConfig" not in body
    assert "JSON Schema" in body["systemInstruction"]["parts"][-1]["text"]
    body = encoded(evolve(wish, model="gemma-3"))
    assert "JSON Schema" in body["contents"][-1]["parts"][-1]["text"]


def nested(depth: int) -> Any:
    schema: Any = {"type": "null"}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


def test_a_deep_schema_is_asked_for_in_words() -> None:
    assert form(nested(60)) == nested(60)
    assert form(nested(100)) is None


def test_what_is_too_deep_to_be_written_is_refused() -> None:
    with pytest.raises(BadRequest):
        encode_request(ask(tools=(Tool("f", schema={"anyOf": [nested(20_000)]}),)))
    with pytest.raises(BadRequest):
        encode_request(ask(response_format=JsonSchema(nested(20_000))))
