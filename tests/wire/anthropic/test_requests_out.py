from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from attrs import evolve
from hypothesis import assume, given

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
)
from modelplex.testing.oracle_anthropic import check_request
from modelplex.testing.strategies import requests, wild_messages
from modelplex.wire.anthropic.abilities import Abilities, guess
from modelplex.wire.anthropic.fidelity import FIDELITY
from modelplex.wire.anthropic.request_in import decode_request
from modelplex.wire.anthropic.request_out import encode_request
from modelplex.wire.fidelity import Fate, Feature, features
from modelplex.wire.jsonobject import open_object

ABLE = Abilities(
    thinking=frozenset({"adaptive", "enabled", "disabled"}),
    thinks_unasked=False,
    efforts=("low", "medium", "high", "xhigh", "max"),
    sampling=True,
    forced_tools=True,
    system_in_place=True,
)
SONNET_4_5 = guess("claude-sonnet-4-5-20250929")
OPUS_5_5 = guess("claude-opus-5-5")

EXPRESSIBLE = frozenset(
    feature
    for feature, verdict in FIDELITY.verdicts.items()
    if verdict.fate is not Fate.REFUSED
)
ROUND = frozenset(
    {
        Feature.SYSTEM_IN_PLACE,
        Feature.IMAGE,
        Feature.IMAGE_URL,
        Feature.DOCUMENT,
        Feature.DOCUMENT_URL,
        Feature.TOOLS,
        Feature.STRICT_TOOLS,
        Feature.TOOL_ERROR,
        Feature.TOOL_RESULT_IMAGE,
        Feature.TOOL_CHOICE_NONE,
        Feature.TOOL_CHOICE_REQUIRED,
        Feature.TOOL_CHOICE_NAMED,
        Feature.PARALLEL_TOOL_CALLS,
        Feature.JSON_SCHEMA,
        Feature.THINKING_BLOCKS,
        Feature.THINKING_SIGNATURE,
        Feature.REDACTED_THINKING,
        Feature.MAX_TOKENS,
        Feature.TEMPERATURE,
        Feature.TOP_K,
        Feature.STOP,
        Feature.USER,
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


def result(id: str = "a", text: str = "ok") -> Message:
    return Message(Role.TOOL, (ToolResult(id, (Text(text),)),))


def ask(*messages: Message, **settings: Any) -> Request:
    return Request(
        model=settings.pop("model", "claude-opus-5-5"),
        messages=messages or (user("Hi"),),
        **settings,
    )


def encoded(request: Request, abilities: Abilities | None = None) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encode_request(request, abilities).body)
    check_request(body, prefill=abilities is not None and abilities.prefill)
    return body


def turns(*messages: Message, **settings: Any) -> list[tuple[str, list[Any]]]:
    """Each turn as its role and blocks, a text block as its text."""
    body = encoded(ask(*messages, **settings))
    return [
        (t["role"], [b["text"] if b["type"] == "text" else b for b in t["content"]])
        for t in body["messages"]
    ]


# --- properties -------------------------------------------------------------


def normal(request: Request) -> Request:
    """`request` as it comes back from an encoding for a model of all abilities."""
    talk: list[Message] = []
    for message in request.messages:
        parts = tuple(
            part
            for part in message.parts
            if not (isinstance(part, Thinking) and part.signature is None)
        )
        if talk and talk[-1].role is message.role:
            talk[-1] = Message(message.role, (*talk[-1].parts, *parts))
        else:
            talk.append(Message(message.role, parts))
    parallel = False if request.parallel_tool_calls is False else None
    choice = request.tool_choice
    if choice is not None and choice.mode is Choose.NONE:
        parallel = None
    if choice is None and parallel is False:
        choice = ToolChoice(Choose.AUTO)
    form = request.response_format
    return evolve(
        request,
        messages=tuple(talk),
        max_tokens=request.max_tokens or 32_000,
        tool_choice=choice if request.tools else None,
        parallel_tool_calls=parallel if request.tools else None,
        response_format=form and evolve(form, strict=True),
    )


@given(request=requests(ROUND))
def test_what_is_carried_comes_back(request: Request) -> None:
    parts = [part for message in request.messages for part in message.parts]
    assume(request.tools or not any(isinstance(p, ToolCall) for p in parts))
    encoded = encode_request(request, ABLE)
    assert decode_request(open_object(encoded.body)) == normal(request)
    unsigned = any(isinstance(p, Thinking) and not p.signature for p in parts)
    assert encoded.dropped == (("reasoning_content",) if unsigned else ())


@given(request=requests(EXPRESSIBLE))
def test_every_expressible_request_obeys_the_rules(request: Request) -> None:
    for abilities in (ABLE, SONNET_4_5, OPUS_5_5):
        encoded(request, abilities)


@given(request=requests(EXPRESSIBLE))
def test_equal_requests_give_equal_bytes(request: Request) -> None:
    assert encode_request(request) == encode_request(evolve(request))


@given(request=requests(EXPRESSIBLE - {Feature.TEMPERATURE, Feature.TOP_P}))
def test_what_is_declared_dropped_is_listed(request: Request) -> None:
    declared = {
        name
        for feature, name in features(request)
        if FIDELITY.verdicts[feature].fate is Fate.DROPPED
    }
    declared.discard("reasoning_content")
    assert declared <= set(encode_request(request).dropped)


@given(messages=wild_messages())
def test_any_conversation_becomes_a_legal_one(messages: tuple[Message, ...]) -> None:
    for abilities in (ABLE, SONNET_4_5, OPUS_5_5):
        encoded(Request("claude-x", messages), abilities)


@given(request=requests())
def test_any_request_is_encoded_or_refused_by_name(request: Request) -> None:
    try:
        encode_request(request)
    except GatewayError as e:
        assert e.param


# --- messages ---------------------------------------------------------------


def test_leading_system_messages_are_the_system_prompt() -> None:
    body = encoded(ask(system("a"), system("b", " "), user("Hi")))
    assert [block["text"] for block in body["system"]] == ["a", "b"]


def test_only_a_system_message_is_answered_all_the_same() -> None:
    body = encoded(ask(system("a")))
    assert body["messages"][0]["content"] == [{"type": "text", "text": "Begin."}]


def test_a_system_message_in_the_middle_stays_there_if_the_model_allows() -> None:
    talk = (user("a"), system("b"), assistant("c"), user("d"), system("e"))
    assert turns(*talk, model="claude-opus-4-8") == [
        ("user", ["a"]),
        ("system", ["b"]),
        ("assistant", ["c"]),
        ("user", ["d"]),
        ("system", ["e"]),
    ]


def test_a_system_message_elsewhere_is_a_reminder() -> None:
    talk = (user("a"), system("b"), user("c"), assistant("d"), system("e"), user("f"))
    reminder = "<system-reminder>\n{}\n</system-reminder>".format
    assert turns(*talk) == [
        ("user", ["a", reminder("b"), "c"]),
        ("assistant", ["d"]),
        ("user", [reminder("e"), "f"]),
    ]


def test_empty_texts_and_turns_are_left_out() -> None:
    talk = (user("", "a"), assistant(), assistant(" "), user("b"))
    assert turns(*talk) == [("user", ["a", "b"])]


def test_an_empty_request_asks_to_begin() -> None:
    assert turns(user("")) == [("user", ["Begin."])]


def test_a_first_word_of_the_assistant_follows_a_user_turn() -> None:
    (role, _), *_ = turns(assistant("a"), user("b"))
    assert role == "user"


def test_a_prefill_is_continued_where_the_model_can() -> None:
    talk = (user("a"), assistant("b \n"))
    assert turns(*talk)[-1] == ("user", ["Continue."])
    body = encoded(ask(*talk), SONNET_4_5)
    assert body["messages"][-1]["content"][0]["text"] == "b"
    thinking = ThinkingControl(effort="low")
    body = encoded(ask(*talk, thinking=thinking), SONNET_4_5)
    assert body["messages"][-1]["role"] == "user"


def test_results_come_first_whatever_their_order() -> None:
    calls = [call(id) for id in ("a", "b", "c")]
    _, _, (_, blocks) = turns(
        user("x"),
        assistant(*calls),
        result("c"),
        user("and this"),
        result("a"),
        result("b"),
    )
    assert [b if isinstance(b, str) else b["tool_use_id"] for b in blocks] == [
        "c",
        "a",
        "b",
        "and this",
    ]


def test_a_missing_result_is_an_error() -> None:
    *_, (_, blocks) = turns(user("x"), assistant(call("a"), call("b")), result("b"))
    assert [(b["tool_use_id"], b.get("is_error", False)) for b in blocks] == [
        ("b", False),
        ("a", True),
    ]


def test_calls_at_the_very_end_are_answered() -> None:
    *_, (role, (block,)) = turns(user("x"), assistant(call("a")))
    assert (role, block["is_error"]) == ("user", True)


def test_a_result_without_a_call_is_text() -> None:
    picture = Image(Inline("image/png", "AAAA"))
    orphan = Message(Role.TOOL, (ToolResult("z", (Text("ok"), picture)),))
    ((_, blocks),) = turns(user("x"), orphan)
    assert blocks[:3] == ["x", "(result of the tool call z)", "ok"]
    assert blocks[3]["type"] == "image"


def test_one_id_for_two_calls_becomes_two() -> None:
    talk = (user("x"), assistant(call("a"), call("a")), result("a"), result("a"))
    _, (_, calls), (_, results) = turns(*talk)
    assert [c["id"] for c in calls] == ["a", "a_2"]
    assert [r["tool_use_id"] for r in results] == ["a", "a_2"]


def test_an_id_used_again_in_a_later_turn_is_told_apart() -> None:
    turn = (assistant(call("a")), result("a"))
    _, _, _, (_, (again,)), (_, (answer,)) = turns(user("x"), *turn, *turn)
    assert again["id"] == answer["tool_use_id"] == "a_2"


@pytest.mark.parametrize("id", ["", "a.b", "ü", "x" * 90])
def test_an_id_that_is_refused_gets_the_same_other_one_each_time(id: str) -> None:
    talk = (user("x"), assistant(call(id)), result(id))
    assert turns(*talk) == turns(*talk)
    _, (_, (made,)), _ = turns(*talk)
    assert made["id"] != id


@pytest.mark.parametrize(
    ("arguments", "input"),
    [
        ("", {}),
        ("{}", {}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        ("null", {"_raw": "null"}),
        ("[1]", {"_raw": "[1]"}),
        ("{", {"_raw": "{"}),
    ],
)
def test_any_arguments_are_an_object(arguments: str, input: Any) -> None:
    _, (_, (made,)), _ = turns(user("x"), assistant(call("a", arguments)), result())
    assert made["input"] == input


def test_signed_reasoning_is_replayed_and_unsigned_is_not() -> None:
    signed, plain = Thinking("a", "sig"), Thinking("b")
    ours = Thinking("c", "modelplex:0123456789abcdef")
    talk = (user("x"), assistant(signed, plain, ours, RedactedThinking("z"), "d"))
    request = ask(*talk, user("y"))
    content = encoded(request)["messages"][1]["content"]
    assert [block["type"] for block in content] == [
        "thinking",
        "redacted_thinking",
        "text",
    ]
    assert encode_request(request).dropped == ("reasoning_content",)


@pytest.mark.parametrize(
    ("thought", "name"),
    [
        (Thinking("Hm.", "gemini:call0:QUJD"), "reasoning_content"),
        (Thinking("Hm.", "responses:rs_1:QUJD"), "reasoning_content"),
        (RedactedThinking("responses:rs_1:QUJD"), "reasoning_details"),
    ],
)
def test_reasoning_of_another_providers_is_left_out(thought: Part, name: str) -> None:
    request = ask(user("x"), assistant(thought, call()), result(), user("y"))
    content = encoded(request)["messages"][1]["content"]
    assert [block["type"] for block in content] == ["tool_use"]
    assert encode_request(request).dropped == (name,)


def test_reasoning_that_nothing_follows_is_left_out() -> None:
    talk = (user("x"), assistant("a", Thinking("b", "sig")), user("y"))
    assert turns(*talk)[1] == ("assistant", ["a"])


def test_a_turn_of_nothing_but_reasoning_is_left_out() -> None:
    talk = (user("x"), assistant(Thinking("b", "sig")), user("y"))
    assert turns(*talk) == [("user", ["x", "y"])]


def test_a_refusal_is_text() -> None:
    talk = (user("x"), assistant(Refusal("no")), user("y"))
    assert turns(*talk)[1] == ("assistant", ["no"])


# --- pictures and documents -------------------------------------------------


@pytest.mark.parametrize("media_type", ["image/svg+xml", "image/tiff", ""])
def test_a_picture_of_another_kind_is_refused(media_type: str) -> None:
    with pytest.raises(UnsupportedField) as caught:
        encoded(ask(user(Image(Inline(media_type, "AAAA")))))
    assert caught.value.param == "messages[0].content"


def test_a_text_document_is_sent_as_text() -> None:
    content = base64.b64encode("größe".encode()).decode()
    body = encoded(ask(user(Document(Inline("text/markdown; charset=x", content)))))
    (block,) = body["messages"][0]["content"]
    assert block["source"]["data"] == "größe"


@pytest.mark.parametrize("content", ["/w==", "not base64"])
def test_a_text_document_that_is_none_is_refused(content: str) -> None:
    with pytest.raises(BadRequest):
        encoded(ask(user(Document(Inline("text/plain", content)))))


def test_a_document_keeps_its_context_and_asks_for_citations() -> None:
    pdf = Inline("application/pdf", "AAAA")
    document = Document(pdf, context="the contract", citations=True)
    request = ask(user(document), response_format=JsonSchema({"type": "object"}))
    body = encoded(request)
    (block,) = body["messages"][0]["content"]
    assert block["context"] == "the contract"
    assert block["citations"] == {"enabled": True}
    assert "output_config" not in body  # the two exclude each other


def test_a_document_of_another_kind_is_refused() -> None:
    with pytest.raises(UnsupportedField):
        encoded(ask(user(Document(Inline("application/zip", "AAAA")))))


def test_a_file_of_another_provider_is_refused() -> None:
    with pytest.raises(UnsupportedField):
        encoded(ask(user(Image(FileId("file_1")))))


def test_audio_is_refused() -> None:
    with pytest.raises(UnsupportedField):
        encoded(ask(user(Audio("AAAA", "wav"))))


@pytest.mark.parametrize("role", [Role.SYSTEM, Role.ASSISTANT])
def test_a_picture_is_shown_by_the_user_only(role: Role) -> None:
    picture = Image(Inline("image/png", "AAAA"))
    with pytest.raises(UnsupportedField) as caught:
        encoded(ask(said(role, picture), user("x")))
    assert caught.value.param == "messages[0].content"


def test_what_only_the_assistant_says_is_refused_from_the_user() -> None:
    with pytest.raises(UnsupportedField):
        encoded(ask(user(call())))


@pytest.mark.parametrize(
    ("type", "dropped"),
    [("char_location", ()), ("url_citation", ("messages[1].content",))],
)
def test_a_citation_is_kept_if_it_is_anthropics(
    type: str, dropped: tuple[str, ...]
) -> None:
    cited = Text("a", citations=({"type": type},))
    request = ask(user("x"), assistant(cited), user("y"))
    (block,) = encoded(request)["messages"][1]["content"]
    assert ("citations" in block) == (not dropped)
    assert encode_request(request).dropped == dropped


def test_a_citation_of_the_user_is_dropped() -> None:
    request = ask(user(Text("a", citations=({"type": "char_location"},))))
    assert encode_request(request).dropped == ("messages[0].content",)


# --- settings ---------------------------------------------------------------


def test_the_output_is_bounded_by_the_model() -> None:
    assert encoded(ask(), SONNET_4_5)["max_tokens"] == 32_000
    assert encoded(ask(max_tokens=1))["max_tokens"] == 1
    assert encoded(ask(max_tokens=10**6), SONNET_4_5)["max_tokens"] == 64_000
    assert encoded(ask(model="claude-3-haiku-20240307"))["max_tokens"] == 4096


def test_no_output_at_all_is_refused() -> None:
    with pytest.raises(BadRequest):
        encoded(ask(max_tokens=0))


def test_temperature_is_clamped_and_excludes_top_p() -> None:
    request = ask(temperature=1.5, top_p=0.5, top_k=7)
    body = encoded(request, SONNET_4_5)
    assert (body["temperature"], body["top_k"]) == (1.0, 7)
    assert "top_p" not in body
    assert encode_request(request, SONNET_4_5).dropped == ("top_p",)


def test_a_model_that_cannot_be_sampled_is_not() -> None:
    request = ask(temperature=0.0, top_p=0.5, top_k=7)
    body = encoded(request)
    assert not {"temperature", "top_p", "top_k"} & body.keys()
    assert encode_request(request).dropped == ("temperature", "top_p", "top_k")


def test_a_model_that_thinks_is_not_sampled() -> None:
    request = ask(temperature=0.0, thinking=ThinkingControl(effort="low"))
    assert "temperature" not in encoded(request, SONNET_4_5)


def test_blank_stops_are_left_out() -> None:
    assert encoded(ask(stop=(" ", "\n", "END")))["stop_sequences"] == ["END"]
    assert "stop_sequences" not in encoded(ask(stop=(" ",)))


@pytest.mark.parametrize("user", ["me@example.org", "x" * 300])
def test_a_user_that_says_too_much_is_hashed(user: str) -> None:
    user_id = encoded(ask(user=user))["metadata"]["user_id"]
    assert len(user_id) == 64
    assert user_id.isalnum()


def test_several_answers_are_refused() -> None:
    with pytest.raises(UnsupportedField) as caught:
        encoded(ask(n=2, stream=True))
    assert caught.value.param == "n"


def test_at_most_the_last_four_marks_stay_and_the_long_ones_come_first() -> None:
    marks = [Text(str(n), CacheMark(ttl)) for n, ttl in enumerate(["1h", "30m", "12h"])]
    tool = Tool("f", cache=CacheMark())
    parts = (Text("system", CacheMark("1h")),)
    request = ask(
        Message(Role.SYSTEM, parts), user(*marks), tools=(tool,), cache=CacheMark("1h")
    )
    body = encoded(request)
    assert "cache_control" not in body["tools"][0]
    assert "cache_control" not in body["system"][0]
    controls = [block["cache_control"] for block in body["messages"][0]["content"]]
    assert [control["ttl"] for control in controls] == ["1h", "5m", "5m"]
    assert body["cache_control"]["ttl"] == "5m"


# --- reasoning --------------------------------------------------------------

SHOWN = {"display": "summarized"}


@pytest.mark.parametrize(
    ("model", "control", "thinking", "effort"),
    [
        ("claude-opus-5-5", None, None, None),
        ("claude-opus-5-5", {"effort": "none"}, None, "low"),
        ("claude-opus-5", {"effort": "none"}, {"type": "disabled"}, None),
        ("claude-sonnet-5-5", {"effort": "none"}, {"type": "between_tools"}, None),
        ("claude-opus-4-8", {"effort": "none"}, None, None),
        ("claude-opus-4-8", {"effort": "minimal"}, {"type": "adaptive"}, "low"),
        ("claude-sonnet-4-6", {"effort": "xhigh"}, {"type": "adaptive"}, "high"),
        ("claude-opus-5-5", {"effort": "max"}, {"type": "adaptive"}, "max"),
        ("claude-opus-5", {"mode": "disabled", "effort": "max"}, "disabled", "high"),
        ("claude-opus-5-5", {"mode": "enabled", "budget": 2000}, "adaptive", "low"),
        ("claude-opus-4-6", {"mode": "enabled", "budget": 2000}, 2000, None),
        ("claude-opus-5-5", {"mode": "adaptive"}, "adaptive", None),
        ("claude-sonnet-5-5", {"mode": "between_tools"}, "between_tools", None),
        ("claude-opus-5", {"mode": "between_tools"}, "disabled", None),
        ("claude-opus-5-5", {"mode": "enabled", "budget": 9000}, "adaptive", "medium"),
        ("claude-opus-5-5", {"mode": "enabled", "budget": 32000}, "adaptive", "high"),
        ("claude-sonnet-4-5", {"mode": "adaptive"}, 8192, None),
        ("claude-sonnet-4-5", {"effort": "low"}, 1024, None),
        ("claude-sonnet-4-5", {"effort": "high"}, 16_000, None),
        ("claude-sonnet-4-5", {"effort": "none"}, None, None),
        ("claude-3-5-haiku-20241022", {"effort": "high"}, None, None),
    ],
)
def test_reasoning_is_asked_for_in_the_words_of_the_model(
    model: str, control: dict[str, Any] | None, thinking: Any, effort: str | None
) -> None:
    asked = ThinkingControl(**control) if control is not None else None
    body = encoded(ask(model=model, thinking=asked))
    match thinking:
        case int():
            expected = {"type": "enabled", "budget_tokens": thinking, **SHOWN}
        case "adaptive" | {"type": "adaptive"}:
            expected = {"type": "adaptive", **SHOWN}
        case str():
            expected = {"type": thinking}
        case _:
            expected = thinking
    assert body.get("thinking") == expected
    assert body.get("output_config", {}).get("effort") == effort


def test_a_budget_is_not_asked_for_after_calls_without_their_reasoning() -> None:
    talk = (user("x"), assistant(call("a")), result("a"))
    control = ThinkingControl(mode="enabled", budget=2000)
    request = Request("claude-opus-4-6", talk, thinking=control)
    assert encoded(request)["thinking"] == {"type": "adaptive", **SHOWN}
    older = encode_request(evolve(request, model="claude-sonnet-4-5"), SONNET_4_5)
    assert "thinking" not in json.loads(older.body) and older.dropped == ("thinking",)


@pytest.mark.parametrize(
    ("proofs", "thinks"),
    [
        ("own own", True),
        ("own none", True),
        ("own gemini:call0:c2ln", True),
        ("none own", False),
        ("gemini:call0:c2ln own", False),
    ],
)
def test_what_a_turn_began_with_tells_whether_it_goes_on_with_a_budget(
    proofs: str, thinks: bool
) -> None:
    talk = [user("before"), assistant(call("z")), result("z"), assistant("Yes")]
    talk.append(user("x"))
    for id, proof in zip("ab", proofs.split(), strict=True):
        thought = Thinking("Hm", None if proof == "none" else proof)
        talk += [assistant(thought, call(id)), result(id)]
    control = ThinkingControl(mode="enabled", budget=2000)
    request = Request("claude-sonnet-4-5", tuple(talk), thinking=control)
    body = json.loads(encode_request(request, SONNET_4_5).body)
    assert ("thinking" in body) == thinks


@pytest.mark.parametrize(
    ("max_tokens", "budget"), [(1, None), (1024, None), (1025, 1024), (9000, 4500)]
)
def test_a_budget_leaves_room_for_the_answer(max_tokens: int, budget: Any) -> None:
    thinking = ThinkingControl(effort="high")
    request = ask(max_tokens=max_tokens, thinking=thinking)
    body = encoded(request, SONNET_4_5)
    assert body.get("thinking", {}).get("budget_tokens") == budget
    lost = ("reasoning_effort",) if budget is None else ()
    assert encode_request(request, SONNET_4_5).dropped == lost


def test_a_budget_is_given_up_when_the_reasoning_before_a_call_is_gone() -> None:
    thinking = ThinkingControl(effort="high")
    talk = (user("x"), assistant(call()), result())
    assert "thinking" not in encoded(ask(*talk, thinking=thinking), SONNET_4_5)
    request = ask(user("x"), assistant("y"), *talk, thinking=thinking)
    assert "thinking" not in encoded(request, SONNET_4_5)
    talk = (user("x"), assistant(Thinking("t", "sig"), call()), result())
    assert "thinking" in encoded(ask(*talk, thinking=thinking), SONNET_4_5)


@pytest.mark.parametrize(
    "control", [ThinkingControl(effort="much"), ThinkingControl(mode="often")]
)
def test_reasoning_never_heard_of_is_refused(control: ThinkingControl) -> None:
    with pytest.raises(BadRequest):
        encoded(ask(thinking=control))


# --- tools ------------------------------------------------------------------

F = Tool("f", schema={"type": "object", "properties": {}})
G = evolve(F, name="g")
REQUIRED = ToolChoice(Choose.REQUIRED)
NAMED = ToolChoice(Choose.REQUIRED, ("f",))


def test_a_tool_without_parameters_takes_an_empty_object() -> None:
    (tool,) = encoded(ask(tools=(Tool("f"),)))["tools"]
    assert tool == {"name": "f", "input_schema": {"type": "object", "properties": {}}}


@pytest.mark.parametrize("schema", [True, {}, {"type": ["object", "null"]}])
def test_the_root_of_a_tool_is_an_object(schema: Any) -> None:
    (tool,) = encoded(ask(tools=(Tool("f", schema=schema),)))["tools"]
    assert tool["input_schema"]["type"] == "object"


@pytest.mark.parametrize(
    ("union", "required"), [("anyOf", None), ("oneOf", None), ("allOf", ["a", "b"])]
)
def test_a_union_at_the_root_is_one_object(union: str, required: Any) -> None:
    branches = [
        {"properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"properties": {"b": {"type": "integer"}}, "required": ["b"]},
    ]
    (tool,) = encoded(ask(tools=(Tool("f", schema={union: branches}),)))["tools"]
    schema = tool["input_schema"]
    assert schema["properties"].keys() == {"a", "b"}
    assert schema.get("required") == required


def test_strict_is_kept_only_for_a_schema_within_the_subset() -> None:
    closed = {"type": "object", "properties": {}, "additionalProperties": False}
    request = ask(tools=(Tool("f", schema=closed, strict=True), evolve(F, strict=True)))
    first, second = encoded(request)["tools"]
    assert (first.get("strict"), second.get("strict")) == (True, None)
    assert "tools[].strict" in encode_request(request).dropped


def test_a_custom_tool_is_a_function_of_one_string() -> None:
    custom = Tool("sql", "Runs it.", custom=True, format={"type": "text"})
    before = ToolCall("a", "sql", "select 1", custom=True)
    body = encoded(ask(user("x"), assistant(before), result(), tools=(custom,)))
    (tool,) = body["tools"]
    assert tool["input_schema"]["required"] == ["input"]
    made = body["messages"][1]["content"][0]
    assert (made["name"], made["input"]) == (tool["name"], {"input": "select 1"})


def test_a_name_with_dots_is_written_so_that_it_can_be_read_back() -> None:
    choice = ToolChoice(Choose.REQUIRED, ("g.h",))
    body = encoded(
        ask(tools=(evolve(F, name="g.h"),), tool_choice=choice),
        evolve(ABLE, thinks_unasked=False),
    )
    assert body["tools"][0]["name"] == body["tool_choice"]["name"] == "g-u2e-h"


@pytest.mark.parametrize("name", ["", "x" * 129])
def test_a_name_without_or_with_too_many_letters_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedField):
        encoded(ask(tools=(evolve(F, name=name),)))


def test_a_name_of_70_letters_depends_on_the_model() -> None:
    request = ask(tools=(evolve(F, name="x" * 70),))
    assert encoded(request, OPUS_5_5)["tools"][0]["name"] == "x" * 70
    with pytest.raises(UnsupportedField):
        encoded(request, SONNET_4_5)


def test_tools_that_only_history_knows_are_declared_and_not_called() -> None:
    talk = (user("x"), assistant(call("a"), call("b", name="g.h")))
    body = encoded(ask(*talk, result("a"), result("b")))
    assert [tool["name"] for tool in body["tools"]] == ["f", "g-u2e-h"]
    assert body["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize(
    ("choice", "parallel", "made"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice(Choose.AUTO), None, {"type": "auto"}),
        (ToolChoice(Choose.NONE), False, {"type": "none"}),
        (REQUIRED, False, {"type": "any", "disable_parallel_tool_use": True}),
        (NAMED, None, {"type": "tool", "name": "f"}),
    ],
)
def test_a_choice_is_made(choice: Any, parallel: Any, made: Any) -> None:
    request = ask(tools=(F, G), tool_choice=choice, parallel_tool_calls=parallel)
    body = encoded(request, SONNET_4_5)
    assert body.get("tool_choice") == made
    assert len(body["tools"]) == 2


@pytest.mark.parametrize(
    ("choice", "words"), [(REQUIRED, "one of the tools"), (NAMED, "the tool f ")]
)
def test_a_model_that_cannot_be_forced_is_told(choice: ToolChoice, words: str) -> None:
    body = encoded(ask(tools=(F, G), tool_choice=choice), OPUS_5_5)
    assert body["tool_choice"] == {"type": "auto"}
    assert words in body["system"][-1]["text"]


def test_a_model_that_thinks_is_not_forced() -> None:
    thinking = ThinkingControl(effort="low")
    request = ask(tools=(F,), tool_choice=REQUIRED, thinking=thinking)
    assert encoded(request, SONNET_4_5)["tool_choice"] == {"type": "auto"}


@pytest.mark.parametrize(
    ("mode", "type"), [(Choose.AUTO, "auto"), (Choose.REQUIRED, "any")]
)
def test_only_allowed_tools_are_offered(mode: Choose, type: str) -> None:
    tools = (F, G, evolve(F, name="h"))
    choice = ToolChoice(mode, ("f", "g"))
    body = encoded(ask(tools=tools, tool_choice=choice), SONNET_4_5)
    assert [tool["name"] for tool in body["tools"]] == ["f", "g"]
    assert body["tool_choice"] == {"type": type}


def test_a_choice_of_no_tool_is_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        encoded(ask(tools=(G,), tool_choice=NAMED))
    assert caught.value.param == "tool_choice"


# --- structured output ------------------------------------------------------


def form(schema: Any) -> dict[str, Any]:
    return encoded(ask(response_format=JsonSchema(schema)))


def test_a_json_object_is_asked_for_in_words() -> None:
    assert "JSON object" in form(None)["system"][-1]["text"]


def test_a_schema_is_cut_to_the_subset() -> None:
    schema = {
        "$schema": "x",
        "type": "object",
        "properties": {
            "n": {"type": "integer", "minimum": 1, "description": "A number."},
            "u": {"oneOf": [{"type": "string", "maxLength": 3}, {"$ref": "#/$defs/d"}]},
            "l": {"type": "array", "items": {"type": "object", "properties": {}}},
        },
        "$defs": {"d": {"type": "null"}},
    }
    assert form(schema)["output_config"]["format"]["schema"] == {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "description": "A number. (minimum: 1)"},
            "u": {
                "anyOf": [
                    {"type": "string", "description": "(maxLength: 3)"},
                    {"$ref": "#/$defs/d"},
                ]
            },
            "l": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {},
                    "additionalProperties": False,
                },
            },
        },
        "$defs": {"d": {"type": "null"}},
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"},
        {"$ref": "#/$defs/missing"},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"properties": {"a": True}},
        {"not": {"type": "string"}},
        True,
    ],
)
def test_a_schema_outside_the_subset_is_asked_for_in_words(schema: Any) -> None:
    body = form(schema)
    assert "output_config" not in body
    assert json.dumps(schema, separators=(",", ":")) in body["system"][-1]["text"]


def chain(length: int) -> dict[str, Any]:
    definitions: dict[str, Any] = {
        str(n): {"items": {"$ref": f"#/$defs/{n + 1}"}} for n in range(length)
    }
    definitions[str(length)] = {"type": "null"}
    return {"$ref": "#/$defs/0", "$defs": definitions}


def test_a_long_chain_of_definitions_is_taken_for_endless() -> None:
    assert "output_config" in form(chain(9))
    assert "output_config" not in form(chain(5000))


def nested(depth: int) -> Any:
    schema: Any = {"type": "null"}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize("depth", [10, 100, 300])
def test_a_deep_schema_is_taken_for_endless(depth: int) -> None:
    assert ("output_config" in form(nested(depth))) == (depth == 10)


def test_what_is_too_deep_to_be_written_is_refused() -> None:
    with pytest.raises(BadRequest):
        encoded(ask(tools=(Tool("f", schema=nested(20_000)),)))


def test_a_model_without_structured_outputs_is_asked_in_words() -> None:
    request = ask(
        model="claude-3-5-sonnet-20241022",
        response_format=JsonSchema({"type": "object"}),
    )
    assert "JSON Schema" in encoded(request)["system"][-1]["text"]


def test_a_guest_that_repeats_an_id_costs_no_more_than_one_that_does_not() -> None:
    # Searching for each would be 5,000,000,000 steps, and the test would time out.
    calls = tuple(ToolCall("same", "f", "{}") for _ in range(100_000))
    results = tuple(ToolResult("same", (Text("ok"),)) for _ in calls)
    messages = (
        Message(Role.USER, (Text("go"),)),
        Message(Role.ASSISTANT, calls),
        Message(Role.TOOL, results),
    )
    body = json.loads(encode_request(Request("claude-sonnet-4-5", messages)).body)
    asked = [b["id"] for b in body["messages"][1]["content"]]
    answered = [b["tool_use_id"] for b in body["messages"][2]["content"]]
    assert asked == answered
    assert asked[:3] == ["same", "same_2", "same_3"]
    assert len(set(asked)) == 100_000
