from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve

from modelplex.testing.fakes.gemini import Gemini
from modelplex.testing.fakes.script import Call, Script
from modelplex.testing.fakes.speaker import Answer, Asked, Refused
from modelplex.testing.oracle_gemini import frames, items, read_reply

CALLS = (Call("call_1", "weather", {"city": "Köln ☃"}), Call("call_2", "clock"))
ASKING: Any = {"role": "user", "parts": [{"text": "Hi"}]}
DECLARED: Any = {"functionDeclarations": [{"name": "weather"}, {"name": "clock"}]}


def post(
    fake: Gemini,
    body: Any,
    method: str = "generateContent",
    query: str = "",
    **more: Any,
) -> Answer:
    path = f"/v1beta/models/m:{method}"
    asked = Asked("POST", path, {}, json.dumps(body).encode(), query)
    return fake.answer(asked, Script(**more))


def said(answer: Answer) -> Any:
    return json.loads(b"".join(answer.pieces))


def refusal(fake: Gemini, body: Any, **more: Any) -> str:
    with pytest.raises(Refused) as raised:
        post(fake, body, **more)
    assert raised.value.status == 400
    return raised.value.message


def called(fake: Gemini) -> Any:
    """The content of a model that has called two tools."""
    reply = said(post(fake, {"contents": [ASKING], "tools": [DECLARED]}, calls=CALLS))
    return reply["candidates"][0]["content"]


def answered(*calls: Call) -> Any:
    told = [{"id": c.id, "name": c.name, "response": {"output": "sun"}} for c in calls]
    return {"role": "user", "parts": [{"functionResponse": one} for one in told]}


@pytest.mark.parametrize("query", ["alt=sse", ""])
@pytest.mark.parametrize("calls", [(), CALLS])
def test_both_streams_obey_the_rules(query: str, calls: Any) -> None:
    settings = {"thinkingConfig": {"includeThoughts": True}}
    body = {"contents": [ASKING], "generationConfig": settings}
    method = "streamGenerateContent"
    told: Any = {"calls": calls, "thinking": "Hm ☃", "thinking_tokens": 2}
    answer = post(Gemini(("m",)), body, method, query, **told)
    stream = b"".join(answer.pieces)
    reply = read_reply(frames(stream) if query else items(stream))
    assert reply["parts"][0] == {"text": "Hm ☃", "thought": True}
    assert reply["finishReason"] == "STOP"
    assert any("thoughtSignature" in part for part in reply["parts"])
    assert reply["usage"]["thoughtsTokenCount"] == 2


def test_a_call_comes_back_signed_and_is_answered() -> None:
    fake = Gemini(("m",))
    content = called(fake)
    assert ["thoughtSignature" in part for part in content["parts"]] == [True, False]
    answer = post(fake, {"contents": [ASKING, content, answered(*CALLS)]})
    assert answer.heard is not None
    assert answer.heard.results == (("call_1", "sun"), ("call_2", "sun"))


def test_a_call_of_this_turn_without_its_signature_is_refused() -> None:
    fake = Gemini(("m",))
    content = called(fake)
    signature = content["parts"][0].pop("thoughtSignature")
    turn = [ASKING, content, answered(*CALLS)]
    assert "missing a thought_signature" in refusal(fake, {"contents": turn})
    # Of an earlier turn, or of an older model, it is not asked for.
    post(
        fake, {"contents": [*turn, {"role": "model", "parts": [{"text": "x"}]}, ASKING]}
    )
    post(evolve(fake, generation=2), {"contents": turn})
    content["parts"][1]["thoughtSignature"] = signature
    assert "Corrupted" in refusal(fake, {"contents": turn})


def test_only_its_own_signatures_are_taken() -> None:
    fake = Gemini(("m",))
    turn = [ASKING, called(Gemini(("m",))), answered(*CALLS)]
    assert refusal(fake, {"contents": turn}) == "Corrupted thought signature."
    turn[1]["parts"][0]["thoughtSignature"] = "skip_thought_signature_validator"
    post(fake, {"contents": turn})
    turn[1] = called(fake)
    turn[1]["parts"][0]["functionCall"]["args"] = {"city": "changed"}
    assert refusal(fake, {"contents": turn}) == "Corrupted thought signature."


BAD: dict[str, tuple[Any, str]] = {
    "a field": ({"stop": 1}, 'Unknown name "stop": Cannot find field.'),
    "a field below": (
        {"generationConfig": {"max_tokens": 1}},
        "Unknown name \"max_tokens\" at 'generation_config': Cannot find field.",
    ),
    "a type": ({"systemInstruction": "Be brief."}, "Invalid value at 'system_instru"),
    "an enum": (
        {"generationConfig": {"thinkingConfig": {"thinkingLevel": "MAX"}}},
        "Invalid value at 'generation_config.thinking_config.thinking_level'",
    ),
    "both ways to limit thinking": (
        {
            "generationConfig": {
                "thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 1}
            }
        },
        "only set only one",
    ),
    "six stops": ({"generationConfig": {"stopSequences": list("abcdef")}}, "at most 5"),
    "a schema without its type": (
        {"generationConfig": {"responseJsonSchema": {}}},
        "application/json",
    ),
    "no contents": ({"contents": []}, "contents is not specified"),
    "a role": ({"contents": [{**ASKING, "role": "tool"}]}, "valid role: user, model"),
    "no parts": ({"contents": [{"role": "user", "parts": []}]}, "must not be empty"),
    "an empty part": ({"contents": [{"role": "user", "parts": [{}]}]}, "oneof field"),
    "a response without a call": (
        {"contents": [ASKING, {"role": "model", "parts": [{"text": "x"}]}, answered()]},
        "must not be empty",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_the_api_does_not_take_is_refused(what: str) -> None:
    more, why = BAD[what]
    assert why in refusal(Gemini(("m",)), {"contents": [ASKING], **more})


@pytest.mark.parametrize(
    "keyword",
    ["$schema", "const", "oneOf", "allOf", "exclusiveMinimum", "patternProperties"],
)
def test_a_keyword_that_schemas_lack_is_refused(keyword: str) -> None:
    def tools(member: str) -> Any:
        schema = {"type": "object", "properties": {"a": {keyword: {}}}}
        return [{"functionDeclarations": [{"name": "f", member: schema}]}]

    fake = Gemini(("m",))
    message = refusal(fake, {"contents": [ASKING], "tools": tools("parameters")})
    where = "tools[0].function_declarations[0].parameters.properties[a]"
    assert f"Unknown name \"{keyword}\" at '{where}'" in message
    post(fake, {"contents": [ASKING], "tools": tools("parametersJsonSchema")})


def test_responses_must_match_the_calls() -> None:
    fake = Gemini(("m",))
    content = called(fake)

    def why(*rest: Any) -> str:
        return refusal(fake, {"contents": [ASKING, content, *rest]})

    assert "is equal to" in why(answered(CALLS[0]))
    assert "is equal to" in why(ASKING)
    other = evolve(CALLS[1], name="another")
    assert "do not match" in why(answered(CALLS[0], other))
    late = answered(*CALLS)
    assert "immediately after" in why(late, late)
    model = {"role": "model", "parts": [{"text": "x"}]}
    message = refusal(fake, {"contents": [ASKING, model, content, late]})
    assert "function call turn comes immediately after a user turn" in message


def test_names_may_be_written_both_ways() -> None:
    body = {
        "contents": [ASKING],
        "system_instruction": {"parts": [{"text": "Be brief."}]},
        "generation_config": {"thinkingConfig": {"include_thoughts": True}},
    }
    heard = post(Gemini(("m",)), body).heard
    assert heard is not None and heard.system == "Be brief." and heard.thinks


def test_a_blocked_prompt_has_no_candidate() -> None:
    reply = said(post(Gemini(("m",)), {"contents": [ASKING]}, ending="blocked"))
    assert reply["promptFeedback"]["blockReason"] and "candidates" not in reply
    held = said(post(Gemini(("m",)), {"contents": [ASKING]}, ending="content_filter"))
    assert held["candidates"][0]["finishReason"] == "SAFETY"


def test_tokens_are_counted_and_texts_embedded() -> None:
    fake = Gemini(("m",))
    whole = {"generateContentRequest": {"model": "models/m", "contents": [ASKING]}}
    for body in ({"contents": [ASKING]}, whole):
        assert said(post(fake, body, "countTokens"))["totalTokens"] == 11
    one = {"content": {"parts": [{"text": "ab"}]}, "outputDimensionality": 2}
    told = said(post(fake, one, "embedContent"))
    assert told == {"embedding": {"values": [2, 2.25]}}
    both = {"requests": [{**one, "model": "models/m"}, one]}
    assert "requests[1].model" in refusal(fake, both, method="batchEmbedContents")
