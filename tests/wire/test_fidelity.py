"""What the dialects declare about translations is what their encoders do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve
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
from modelplex.testing.strategies import requests
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.dialect import Dialect
from modelplex.wire.fidelity import (
    CARRIED,
    Fate,
    Feature,
    Fidelity,
    admit,
    dropped,
    features,
    refused,
)
from modelplex.wire.gemini.dialect import GEMINI
from modelplex.wire.jsonobject import open_object
from modelplex.wire.ollama.dialect import OLLAMA, OLLAMA_GENERATE
from modelplex.wire.openai.dialect import OPENAI_CHAT, OPENAI_COMPLETIONS
from modelplex.wire.responses.dialect import RESPONSES

DIALECTS = [
    *(OPENAI_CHAT, OPENAI_COMPLETIONS, RESPONSES, ANTHROPIC, GEMINI),
    *(OLLAMA, OLLAMA_GENERATE),
]
# Takes the sampling parameters and thinking for a budget, as fewer and fewer do.
MODEL = "claude-sonnet-4-6"

PNG = Inline("image/png", "iVBORw0KGgo=")
PDF = Inline("application/pdf", "JVBERi0xLjc=")
PLAIN = Inline("text/plain", "YQ==")
WEB = Url("https://example.org/x")
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
TOOL = Tool("f", "what it does", SCHEMA)
CALL = ToolCall("call_1", "f", "{}")
CITATION = {"type": "char_location", "cited_text": "x", "document_index": 0}

#: Signatures by whose model gave them, as guests of every dialect bring them back.
PROOFS = {
    "c2ln": ANTHROPIC.name,
    "responses:rs_1:c2ln": RESPONSES.name,
    "gemini:c2ln": GEMINI.name,
}

Sample = tuple[Request, Request]
"""A request that uses one feature, and the same without it."""


def asked(*parts: Part, **more: Any) -> Request:
    return Request(MODEL, (Message(Role.USER, (Text("Hi"), *parts)),), **more)


def setting(name: str, value: Any, **more: Any) -> Sample:
    return asked(**{**more, name: value}), asked(**more)


def talk(*parts: Part, result: ToolResult | None = None) -> Request:
    """A conversation in which the assistant said `parts` before its answer."""
    hello = Message(Role.USER, (Text("Hi"),))
    said = [hello, Message(Role.ASSISTANT, (*parts, Text("Hello")))]
    if result is not None:
        said = [hello, Message(Role.ASSISTANT, (CALL,)), Message(Role.TOOL, (result,))]
    return Request(MODEL, (*said, hello))


def result(*content: Text | Image, failed: bool = False) -> Request:
    return talk(result=ToolResult("call_1", (Text("it"), *content), failed))


def with_name(name: str | None) -> Request:
    return Request(MODEL, (Message(Role.USER, (Text("Hi"),), name),))


def with_system(place: int) -> Request:
    said = list(talk().messages)
    said.insert(place, Message(Role.SYSTEM, (Text("Be brief."),)))
    return Request(MODEL, tuple(said))


def choosing(choice: ToolChoice) -> list[Sample]:
    """With tools to choose from, and without for a dialect that has no tools."""
    other = Tool("g", "another", SCHEMA)
    return [
        setting("tool_choice", choice, tools=(TOOL, other)),
        setting("tool_choice", choice),
    ]


#: For each feature one sample, or several if dialects differ in what is possible.
SAMPLES: dict[Feature, Sequence[Sample]] = {
    Feature.SYSTEM_IN_PLACE: [(with_system(2), talk())],
    Feature.MESSAGE_NAME: [(with_name("ann"), with_name(None))],
    Feature.IMAGE: [(asked(Image(PNG)), asked())],
    Feature.IMAGE_URL: [(asked(Image(WEB)), asked())],
    Feature.IMAGE_DETAIL: [(asked(Image(PNG, "low")), asked(Image(PNG)))],
    Feature.AUDIO: [(asked(Audio("UklGRg==", "wav")), asked())],
    Feature.DOCUMENT: [(asked(Document(PDF)), asked())],
    Feature.DOCUMENT_TITLE: [
        (asked(Document(PDF, "a.pdf")), asked(Document(PDF))),
        (asked(Document(PLAIN, "a.txt")), asked(Document(PLAIN))),
    ],
    Feature.DOCUMENT_URL: [(asked(Document(WEB)), asked())],
    Feature.FILE_ID: [
        (asked(Document(FileId("f"))), asked()),
        (asked(Image(FileId("f"))), asked()),
    ],
    Feature.TOOLS: [setting("tools", (TOOL,))],
    Feature.CUSTOM_TOOLS: [setting("tools", (Tool("c", custom=True),))],
    Feature.STRICT_TOOLS: [
        (asked(tools=(evolve(TOOL, strict=True),)), asked(tools=(TOOL,)))
    ],
    Feature.TOOL_ERROR: [(result(failed=True), result())],
    Feature.TOOL_RESULT_IMAGE: [(result(Image(PNG)), result())],
    Feature.TOOL_CHOICE_NONE: choosing(ToolChoice(Choose.NONE)),
    Feature.TOOL_CHOICE_REQUIRED: choosing(ToolChoice(Choose.REQUIRED)),
    Feature.TOOL_CHOICE_NAMED: choosing(ToolChoice(Choose.REQUIRED, ("f",))),
    Feature.PARALLEL_TOOL_CALLS: [
        setting("parallel_tool_calls", False, tools=(TOOL,)),
        setting("parallel_tool_calls", False),
    ],
    Feature.JSON_OBJECT: [setting("response_format", JsonSchema())],
    Feature.JSON_SCHEMA: [setting("response_format", JsonSchema(SCHEMA, "s"))],
    Feature.THINKING_BLOCKS: [(talk(Thinking("Hm.")), talk())],
    Feature.THINKING_SIGNATURE: [
        (talk(Thinking("Hm.", proof)), talk(Thinking("Hm."))) for proof in PROOFS
    ],
    Feature.REDACTED_THINKING: [
        (talk(RedactedThinking(proof)), talk()) for proof in PROOFS
    ],
    Feature.REASONING_EFFORT: [setting("thinking", ThinkingControl("low"))],
    Feature.THINKING_BUDGET: [
        setting("thinking", ThinkingControl(mode="enabled", budget=2048))
    ],
    Feature.MAX_TOKENS: [setting("max_tokens", 7)],
    Feature.TEMPERATURE: [setting("temperature", 0.5)],
    Feature.TOP_P: [setting("top_p", 0.5)],
    Feature.TOP_K: [setting("top_k", 5)],
    Feature.MIN_P: [setting("min_p", 0.5)],
    Feature.STOP: [setting("stop", ("END",))],
    Feature.SEVERAL_CHOICES: [setting("n", 2)],
    Feature.SEED: [setting("seed", 7)],
    Feature.PRESENCE_PENALTY: [setting("presence_penalty", 0.5)],
    Feature.FREQUENCY_PENALTY: [setting("frequency_penalty", 0.5)],
    Feature.LOGPROBS: [setting("logprobs", 2), setting("logprobs", 0)],
    Feature.AUDIO_OUTPUT: [setting("audio_output", {"voice": "x", "format": "wav"})],
    Feature.USER: [setting("user", "ann")],
    Feature.SUFFIX: [setting("suffix", "the end")],
    Feature.CACHE_MARK: [
        (asked(Text("x", CacheMark("1h"))), asked(Text("x"))),
        setting("cache", CacheMark()),
        (
            asked(tools=(evolve(TOOL, cache=CacheMark()),)),
            asked(tools=(TOOL,)),
        ),
    ],
    Feature.CITATIONS: [
        (talk(Text("x", citations=(CITATION,))), talk(Text("x"))),
        (asked(Text("x", citations=(CITATION,))), asked(Text("x"))),
    ],
    Feature.OTHER_FIELDS: [setting("extra", {"logit_bias": {"1": 2}})],
}
#: All samples of these are tried; of others the first that a dialect can express.
SEVERAL = {Feature.CACHE_MARK, Feature.FILE_ID, Feature.LOGPROBS}
#: Nothing has to be said for it: a dialect without tools calls none.
SATISFIED = {(OLLAMA_GENERATE.name, Feature.TOOL_CHOICE_NONE)}


def used(request: Request) -> set[Feature]:
    return {feature for feature, _ in features(request)}


def name_of(feature: Feature, request: Request) -> str:
    return next(name for found, name in features(request) if found is feature)


def signer(request: Request) -> str | None:
    """The dialect whose model signed or sealed the reasoning in `request`."""
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, Thinking) and part.signature is not None:
                return PROOFS[part.signature]
            if isinstance(part, RedactedThinking):
                return PROOFS[part.content]
    return None


def is_refused(dialect: Dialect, feature: Feature) -> bool:
    return dialect.fidelity.verdicts[feature].fate is Fate.REFUSED


@pytest.mark.parametrize("feature", list(Feature), ids=lambda f: f.name)
def test_every_sample_uses_its_feature(feature: Feature) -> None:
    for sample, without in SAMPLES[feature]:
        assert feature in used(sample)
        assert feature not in used(without)
        assert used(without) <= used(sample)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
@pytest.mark.parametrize("feature", list(Feature), ids=lambda f: f.name)
def test_what_is_declared_is_what_happens(dialect: Dialect, feature: Feature) -> None:
    fate = dialect.fidelity.verdicts[feature].fate
    possible = 0
    for sample, without in SAMPLES[feature]:
        if fate is Fate.CARRIED and signer(sample) not in (None, dialect.name):
            continue  # see test_reasoning_of_other_models_is_left_out_and_listed
        if fate is Fate.REFUSED:
            possible += 1
            with pytest.raises(UnsupportedField) as caught:
                dialect.encode_request(sample)
            assert caught.value.param in {
                name for one, name in features(sample) if is_refused(dialect, one)
            }
            assert str(caught.value).startswith(f"{caught.value.param}: ")
            continue
        try:
            bare = dialect.encode_request(without)
        except UnsupportedField:
            continue  # the sample needs more than this dialect has
        possible += 1
        encoded = dialect.encode_request(sample)
        listed = name_of(feature, sample) in encoded.dropped
        if fate is Fate.DROPPED:
            assert listed
            assert encoded.body == bare.body
            continue
        assert not listed
        if (dialect.name, feature) not in SATISFIED:
            assert encoded.body != bare.body
        if fate is Fate.CARRIED:
            again = dialect.decode_request(open_object(encoded.body))
            assert feature in used(again)
        if feature not in SEVERAL:
            break
    assert possible, "no request could show it, so it cannot be declared"


@pytest.mark.parametrize(
    "dialect",
    [d for d in DIALECTS if not is_refused(d, Feature.THINKING_SIGNATURE)],
    ids=lambda d: d.name,
)
@pytest.mark.parametrize("proof", PROOFS)
def test_reasoning_of_other_models_is_left_out_and_listed(
    dialect: Dialect, proof: str
) -> None:
    signed, sealed = Thinking("Hm.", proof), RedactedThinking(proof)
    own = dialect.name == PROOFS[proof]
    bare = dialect.encode_request(talk()).body
    plain = dialect.encode_request(talk(Thinking("Hm."))).body
    encoded = dialect.encode_request(talk(signed))
    assert (encoded.dropped == ()) is own
    assert (encoded.body == plain) is not own
    encoded = dialect.encode_request(talk(sealed))
    sealed_fate = dialect.fidelity.verdicts[Feature.REDACTED_THINKING].fate
    own = own and sealed_fate is Fate.CARRIED
    assert encoded.dropped == (() if own else ("reasoning_details",))
    assert (encoded.body == bare) is not own


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
def test_the_bare_samples_lose_nothing(dialect: Dialect) -> None:
    for request in (asked(), asked(tools=(TOOL,)), talk()):
        try:
            assert dialect.encode_request(request).dropped == ()
        except UnsupportedField:
            assert request != asked()


@given(st.sampled_from(DIALECTS), requests())
def test_any_request_is_encoded_or_refused_as_declared(
    dialect: Dialect, request: Request
) -> None:
    barred = {name for one, name in features(request) if is_refused(dialect, one)}
    try:
        encoded = dialect.encode_request(request)
    except UnsupportedField as e:
        assert not barred or e.param in barred
        return
    except BadRequest:
        assert not barred
        return
    assert not barred
    assert len(set(encoded.dropped)) == len(encoded.dropped)
    assert set(encoded.dropped) <= {name for _, name in features(request)}
    open_object(encoded.body)


def test_a_declaration_has_a_verdict_for_everything() -> None:
    with pytest.raises(ValueError, match=r"Some: no verdict for .*SEED"):
        Fidelity("Some", {f: CARRIED for f in Feature if f is not Feature.SEED})


def test_dropped_names_stand_once_and_in_order() -> None:
    verdicts = dict.fromkeys(Feature, CARRIED)
    verdicts[Feature.SEED] = verdicts[Feature.IMAGE] = dropped()
    verdicts[Feature.SUFFIX] = refused("why not")
    some = Fidelity("Some", verdicts)
    request = asked(Image(PNG), Image(PNG), seed=1)
    assert admit(request, some) == ("seed", "messages[0].content")
    with pytest.raises(UnsupportedField) as caught:
        admit(evolve(request, suffix="x"), some)
    assert str(caught.value) == "suffix: Some cannot express this (why not)"
    assert (caught.value.param, caught.value.status) == ("suffix", 400)
