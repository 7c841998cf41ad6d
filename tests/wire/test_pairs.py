"""What one dialect says, another says too: requests and replies over every pair."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from modelplex.errors import GatewayError
from modelplex.events import (
    Audio,
    Choose,
    Document,
    Event,
    FinishReason,
    Image,
    Inline,
    Message,
    Part,
    Refusal,
    Reply,
    Request,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Url,
    gather,
)
from modelplex.testing import (
    oracle_anthropic,
    oracle_gemini,
    oracle_openai,
    oracle_responses,
)
from modelplex.testing.strategies import chopped, reply_events, requests
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.dialect import Answering, Dialect
from modelplex.wire.fidelity import Fate, Feature, features
from modelplex.wire.gemini.dialect import GEMINI, GEMINI_ARRAY
from modelplex.wire.jsonobject import JsonObject, open_object
from modelplex.wire.ollama.dialect import OLLAMA, OLLAMA_GENERATE
from modelplex.wire.openai.dialect import OPENAI_CHAT, OPENAI_COMPLETIONS
from modelplex.wire.responses.dialect import RESPONSES

CHATS = (OPENAI_CHAT, RESPONSES, ANTHROPIC, GEMINI, OLLAMA)
PROMPTS = (OPENAI_COMPLETIONS, OLLAMA_GENERATE)
TURNS = {
    OPENAI_CHAT.name: "messages",
    RESPONSES.name: "input",
    ANTHROPIC.name: "messages",
    GEMINI.name: "contents",
    OLLAMA.name: "messages",
}
# Takes every parameter, in each of the dialects that look at the name.
MODEL = "claude-sonnet-4-6"


def with_fate(dialect: Dialect, *fates: Fate) -> frozenset[Feature]:
    verdicts = dialect.fidelity.verdicts
    return frozenset(f for f, verdict in verdicts.items() if verdict.fate in fates)


CARRIED = {d.name: with_fate(d, Fate.CARRIED) for d in (*CHATS, *PROMPTS)}
POSSIBLE = {
    d.name: frozenset(Feature) - with_fate(d, Fate.REFUSED) for d in (*CHATS, *PROMPTS)
}


# --- what a request says ----------------------------------------------------


def parts(request: Request, *roles: Role) -> Iterable[Part]:
    for message in request.messages:
        if not roles or message.role in roles:
            yield from message.parts


def results(request: Request) -> list[ToolResult]:
    return [p for p in parts(request) if isinstance(p, ToolResult)]


def pieces(request: Request) -> Iterable[Any]:
    """The parts, those in the answers of tools in their place."""
    for part in parts(request):
        if isinstance(part, ToolResult):
            yield from part.content
        else:
            yield part


def squeezed(texts: Iterable[str]) -> str:
    """What is said, however it is cut into parts and joined again."""
    return "".join("".join(texts).split())


def spoken(request: Request) -> list[tuple[str, str]]:
    """Who says what, in turns; an answer of a tool by the call it is for."""
    turns: list[tuple[str, str]] = []

    def say(who: str, text: str) -> None:
        if turns and turns[-1][0] == who:
            turns[-1] = (who, turns[-1][1] + text)
        elif text:
            turns.append((who, text))

    for message in request.messages:
        for part in message.parts:
            match part:
                case Text(text) | Refusal(text):
                    say(message.role.value, squeezed([text]))
                case ToolResult():
                    texts = (p.text for p in part.content if isinstance(p, Text))
                    say(part.call_id, squeezed(texts))
    return turns


def calls(request: Request, custom: bool) -> list[Any]:
    found = [p for p in parts(request) if isinstance(p, ToolCall)]
    return [
        (p.id, p.name, p.arguments if custom else json.loads(p.arguments or "{}"))
        for p in found
        if p.custom is custom
    ]


def tools(request: Request, custom: bool) -> list[Any]:
    return [
        (t.name, t.description, None if custom else schema_of(t))
        for t in request.tools
        if t.custom is custom
    ]


def schema_of(tool: Tool) -> Any:
    """The schema; one without properties takes what no schema takes."""
    schema = tool.schema
    return schema if schema and schema.get("properties") else None


def chosen(request: Request) -> Any:
    choice = request.tool_choice
    if choice is None or not request.tools or choice.mode is Choose.AUTO:
        return None
    return choice


def one_call_at_most(request: Request) -> bool:
    choice = request.tool_choice
    called = request.tools and (choice is None or choice.mode is not Choose.NONE)
    return bool(called) and request.parallel_tool_calls is False


def media(request: Request, kind: type, source: type = object) -> list[Any]:
    found = [p for p in pieces(request) if isinstance(p, kind)]
    return [p for p in found if isinstance(getattr(p, "source", None), source)]


def schema(request: Request) -> Any:
    return request.response_format and request.response_format.schema


def thoughts(request: Request) -> str:
    found = (p for p in parts(request) if isinstance(p, Thinking))
    return squeezed(part.text for part in found)


#: What has to be the same in both, for each feature that is carried.
SAYS: dict[Feature, Callable[[Request], Any]] = {
    Feature.SYSTEM_IN_PLACE: lambda r: [
        (n, squeezed(p.text for p in m.parts if isinstance(p, Text)))
        for n, m in enumerate(r.messages)
        if m.role is Role.SYSTEM
    ],
    Feature.MESSAGE_NAME: lambda r: [m.name for m in r.messages],
    Feature.IMAGE: lambda r: [p.source for p in media(r, Image, Inline)],
    Feature.IMAGE_URL: lambda r: [p.source for p in media(r, Image, Url)],
    Feature.IMAGE_DETAIL: lambda r: [p.detail for p in media(r, Image)],
    Feature.AUDIO: lambda r: [p for p in pieces(r) if isinstance(p, Audio)],
    Feature.DOCUMENT: lambda r: [p.source for p in media(r, Document, Inline)],
    Feature.DOCUMENT_URL: lambda r: [p.source for p in media(r, Document, Url)],
    Feature.TOOLS: lambda r: (tools(r, False), calls(r, False)),
    Feature.CUSTOM_TOOLS: lambda r: (tools(r, True), calls(r, True)),
    Feature.STRICT_TOOLS: lambda r: [bool(t.strict) for t in r.tools],
    Feature.TOOL_ERROR: lambda r: [(p.call_id, p.is_error) for p in results(r)],
    Feature.TOOL_RESULT_IMAGE: lambda r: [
        (p.call_id, [x.source for x in p.content if isinstance(x, Image)])
        for p in results(r)
    ],
    Feature.TOOL_CHOICE_NONE: chosen,
    Feature.TOOL_CHOICE_REQUIRED: chosen,
    Feature.TOOL_CHOICE_NAMED: chosen,
    Feature.PARALLEL_TOOL_CALLS: one_call_at_most,
    Feature.JSON_OBJECT: lambda r: r.response_format is None,
    Feature.JSON_SCHEMA: schema,
    Feature.THINKING_BLOCKS: thoughts,
    Feature.REASONING_EFFORT: lambda r: r.thinking and r.thinking.effort,
    Feature.MAX_TOKENS: lambda r: r.max_tokens,
    Feature.TEMPERATURE: lambda r: r.temperature,
    Feature.TOP_P: lambda r: r.top_p,
    Feature.TOP_K: lambda r: r.top_k,
    Feature.MIN_P: lambda r: r.min_p,
    Feature.STOP: lambda r: r.stop,
    Feature.SEED: lambda r: r.seed,
    Feature.PRESENCE_PENALTY: lambda r: r.presence_penalty,
    Feature.FREQUENCY_PENALTY: lambda r: r.frequency_penalty,
    Feature.LOGPROBS: lambda r: r.logprobs,
    Feature.SUFFIX: lambda r: r.suffix,
}
#: Carried only as far as it is a provider's own, or with other words for the rest;
#: the tests of the dialects say what becomes of these.
APART = {
    Feature.THINKING_SIGNATURE,
    Feature.REDACTED_THINKING,
    Feature.DOCUMENT_TITLE,
}


def again(dialect: Dialect, request: Request) -> Request:
    """`request` as this dialect says it."""
    body = open_object(dialect.encode_request(request).body)
    return evolve(dialect.decode_request(body), model=request.model, stream=True)


def recognizable(part: Any) -> Any:
    """The part with what Ollama, which has no media types, tells it by."""
    match part:
        case Image(Inline(kind, content)):
            return evolve(part, source=Inline(kind, _PNG + content))
        case Audio(content, _):
            return Audio(_WAV + content, "wav")
        case ToolResult(_, content):
            return evolve(part, content=tuple(map(recognizable, content)))
        case _:
            return part


def offered(request: Request) -> Request:
    """The request with a tool: Anthropic takes no calls in the past without one."""
    if request.tools or not any(isinstance(p, ToolCall) for p in parts(request)):
        return request
    return evolve(request, tools=(Tool("f", schema=_SCHEMA),))


_PNG = "iVBORw0KGgoA"  # base64 of whole groups, so that more may follow
_WAV = "UklGRiQAAABXQVZF"
_SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def as_asked(guest: Dialect, provider: Dialect, request: Request) -> Request:
    """A request that `guest` could have sent to `provider`."""
    request = evolve(
        offered(request),
        messages=tuple(
            evolve(message, parts=tuple(map(recognizable, message.parts)))
            for message in request.messages
        ),
    )
    if guest in PROMPTS or provider in PROMPTS:
        hello = (Message(Role.USER, (Text("Hi"),)),)
        request = evolve(request, messages=hello, tools=(), tool_choice=None)
    return again(guest, evolve(request, model=MODEL, stream=True))


PAIRS = [
    (guest, provider)
    for guest in (*CHATS, *PROMPTS)
    for provider in (*CHATS, *PROMPTS)
    if guest is not provider
]


def test_there_is_something_to_compare_for_every_feature_that_is_carried() -> None:
    assert frozenset().union(*CARRIED.values()) == SAYS.keys() | APART


@pytest.mark.parametrize(("guest", "provider"), PAIRS, ids=lambda dialect: dialect.name)
def test_what_both_carry_arrives_as_it_was_said(
    guest: Dialect, provider: Dialect
) -> None:
    both = (CARRIED[guest.name] & CARRIED[provider.name]) - APART

    @settings(max_examples=20)
    @given(requests(both))
    def check(drawn: Request) -> None:
        request = as_asked(guest, provider, drawn)
        assert provider.encode_request(request).dropped == ()
        arrived = again(provider, request)
        assert spoken(arrived) == spoken(request)
        for feature in both:
            if feature is Feature.MAX_TOKENS and request.max_tokens is None:
                continue  # completions have a limit at all times
            assert SAYS[feature](arrived) == SAYS[feature](request), feature

    check()


@pytest.mark.parametrize(("guest", "provider"), PAIRS, ids=lambda dialect: dialect.name)
def test_what_is_carried_arrives_whatever_is_beside_it(
    guest: Dialect, provider: Dialect
) -> None:
    possible = (CARRIED[guest.name] & POSSIBLE[provider.name]) - APART
    if Feature.CUSTOM_TOOLS not in CARRIED[provider.name]:
        possible -= {Feature.CUSTOM_TOOLS}  # they would arrive as tools

    @settings(max_examples=20)
    @given(requests(possible))
    def check(drawn: Request) -> None:
        request = as_asked(guest, provider, drawn)
        arrived = again(provider, request)
        used = {feature for feature, _ in features(request)}
        for feature in CARRIED[provider.name] & used - APART:
            if feature is not Feature.SYSTEM_IN_PLACE:  # others may be added
                assert SAYS[feature](arrived) == SAYS[feature](request), feature

    check()


# --- the bytes of a conversation that grows ---------------------------------


def turns(body: JsonObject, dialect: Dialect) -> bytes:
    raw = body.raw(TURNS[dialect.name])
    assert raw is not None
    return bytes(raw).removesuffix(b"]")


@pytest.mark.parametrize("dialect", CHATS, ids=lambda d: d.name)
def test_a_longer_conversation_begins_with_the_same_bytes(dialect: Dialect) -> None:
    # Marks move on to the last four places; no cache takes them for the prompt.
    possible = POSSIBLE[dialect.name] - {Feature.CACHE_MARK}

    @given(requests(possible))
    def check(drawn: Request) -> None:
        request = evolve(offered(drawn), model=MODEL)
        whole = open_object(dialect.encode_request(request).body)
        for number, message in enumerate(request.messages):
            if message.role is not Role.ASSISTANT:
                continue
            earlier = evolve(request, messages=request.messages[:number])
            asked = open_object(dialect.encode_request(earlier).body)
            assert turns(whole, dialect).startswith(turns(asked, dialect))
            for key in ("instructions", "system", "systemInstruction", "tools"):
                assert whole.raw(key) == asked.raw(key)

    check()


# --- replies ----------------------------------------------------------------

ANSWERING = Answering(model="m", created=1, include_usage=True, id="id_1")

ORACLES: dict[str, Callable[[bytes], object]] = {
    OPENAI_CHAT.name: lambda s: oracle_openai.accumulate_chat(s, include_usage=True),
    RESPONSES.name: oracle_responses.accumulate,
    ANTHROPIC.name: oracle_anthropic.read_message,
    GEMINI.name: lambda s: oracle_gemini.read_reply(oracle_gemini.frames(s)),
    OLLAMA.name: lambda s: [json.loads(line) for line in s.splitlines()],
}


def stream(dialect: Dialect, events: Iterable[Event]) -> bytes:
    encoder = dialect.encoder(ANSWERING)
    return b"".join(map(encoder.encode, events)) + encoder.end()


def read(dialect: Dialect, chunks: Iterable[bytes]) -> list[Event]:
    decoder = dialect.decoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.eof()


def said(reply: Reply) -> tuple[Any, ...]:
    """Of a reply what every dialect has."""
    words = [p.text for p in reply.parts if isinstance(p, Text | Refusal)]
    thoughts = [p.text for p in reply.parts if isinstance(p, Thinking)]
    called = [
        (p.id, p.name, json.loads(p.arguments or "{}"))
        for p in reply.parts
        if isinstance(p, ToolCall)
    ]
    counted = (reply.usage.input_tokens, reply.usage.output_tokens)
    return "".join(words), squeezed(thoughts), called, reply.finish.reason, counted


@pytest.mark.parametrize(
    ("guest", "provider"),
    [
        (guest, provider)
        for guest in (*CHATS, GEMINI_ARRAY)
        for provider in CHATS
        if guest.name != provider.name
    ],
    ids=lambda dialect: f"{dialect.name} {dialect.media_type.decode()}",
)
def test_a_translated_stream_is_legal_and_says_the_same_however_it_is_cut(
    guest: Dialect, provider: Dialect
) -> None:
    @settings(max_examples=25)
    @given(
        events=reply_events(
            thinking=True, signatures=True, interleaved=True, logprobs=True
        ),
        draw=st.data(),
    )
    def check(events: list[Event], draw: st.DataObject) -> None:
        wire = stream(provider, events)
        whole = read(provider, [wire])
        cut = read(provider, draw.draw(chopped(wire)))
        assert gather(cut) == gather(whole)
        shown = stream(guest, cut)
        if guest is not GEMINI_ARRAY:
            ORACLES[guest.name](shown)
        arrived = gather(read(guest, draw.draw(chopped(shown))))
        assert said(arrived) == said(gather(whole)) == said(gather(events))

    check()


@pytest.mark.parametrize("dialect", CHATS, ids=lambda d: d.name)
def test_any_legal_reply_is_legal_in_every_dialect(dialect: Dialect) -> None:
    @given(
        events=reply_events(
            refusals=True,
            thinking=True,
            signatures=True,
            custom=True,
            interleaved=True,
            citations=True,
            logprobs=True,
            reasons=tuple(FinishReason),
        ),
        draw=st.data(),
    )
    def check(events: list[Event], draw: st.DataObject) -> None:
        shown = stream(dialect, events)
        ORACLES[dialect.name](shown)
        arrived = gather(read(dialect, draw.draw(chopped(shown))))
        sent = gather(events)
        for kind in (Text | Refusal, Thinking):
            assert squeezed(p.text for p in arrived.parts if isinstance(p, kind)) == (
                squeezed(p.text for p in sent.parts if isinstance(p, kind))
            )
        called = [p.id for p in arrived.parts if isinstance(p, ToolCall)]
        assert called == [p.id for p in sent.parts if isinstance(p, ToolCall)]

    check()


@pytest.mark.parametrize("dialect", (*CHATS, GEMINI_ARRAY), ids=lambda d: d.name)
def test_an_error_in_the_middle_reaches_every_guest_as_one(dialect: Dialect) -> None:
    @settings(max_examples=25)
    @given(
        events=reply_events(thinking=True, signatures=True, interleaved=True),
        draw=st.data(),
    )
    def check(events: list[Event], draw: st.DataObject) -> None:
        kept = draw.draw(st.integers(0, len(events) - 2))
        encoder = dialect.encoder(ANSWERING)
        shown = b"".join(map(encoder.encode, events[:kept]))
        shown += encoder.fail(GatewayError("it broke"))
        with pytest.raises(GatewayError):
            gather(read(dialect, draw.draw(chopped(shown))))

    check()
