"""The official `openai` client over the socket, in front of each type of provider."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, TypeVar

import httpx2
import openai
import pytest
from attrs import evolve, frozen
from openai.types.chat import ChatCompletion
from pydantic import BaseModel
from twisted.internet.threads import deferToThread

from modelplex.testing.fakes.anthropic import Anthropic
from modelplex.testing.fakes.faults import Status
from modelplex.testing.fakes.house import House
from modelplex.testing.fakes.ollama import Ollama
from modelplex.testing.fakes.openai import OpenAI, vector_of
from modelplex.testing.fakes.script import Call, Heard, Script
from modelplex.testing.fakes.upstream import Upstream

T = TypeVar("T")

KEY = "sk-secret-0123456789"
SPEAKERS: dict[str, Any] = {
    "openai": OpenAI(("target",), KEY),
    "anthropic": Anthropic(("target",), KEY),
    "ollama": Ollama(("target",), KEY),
}
REAL = pytest.mark.parametrize("kind", SPEAKERS)
EVERY = pytest.mark.parametrize("kind", [*SPEAKERS, "demo"])

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+M8AAQUBAScY42YAAAAA"
    "SUVORK5CYII="
)
HI: Any = [{"role": "user", "content": "Hi there"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
CLOCK: Any = {"type": "function", "function": {"name": "clock"}}
CALLS = (Call("call_1", "weather", {"city": "Köln ☃"}), Call("call_2", "clock"))
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["name", "count"],
    "additionalProperties": False,
}


class Counted(BaseModel):
    name: str
    count: int


@frozen
class Open:
    """A service with one provider, and the client's side of its socket."""

    house: House
    upstream: Upstream | None

    def transport(self) -> httpx2.HTTPTransport:
        return httpx2.HTTPTransport(uds=self.house.socket)

    async def ask(self, act: Callable[[openai.OpenAI], T]) -> T:
        """What `act` gives for a client, in a thread as it blocks."""

        def acted() -> T:
            with openai.OpenAI(
                base_url="http://modelplex/v1",
                api_key="none",
                max_retries=0,
                http_client=openai.DefaultHttpxClient(transport=self.transport()),
            ) as client:
                return act(client)

        result: T = await deferToThread(acted)
        return result

    async def chat(self, **more: Any) -> ChatCompletion:
        asked = {"model": "fast", "messages": HI, **more}
        return await self.ask(lambda c: c.chat.completions.create(**asked))

    def heard(self) -> Heard:
        """What the upstream understood of the last request."""
        assert self.upstream is not None
        heard = self.upstream.posts()[-1].heard
        assert heard is not None
        return heard


@pytest.fixture
def opened(house: House, upstream: Callable[..., Upstream]) -> Callable[..., Open]:
    """Opens a service in front of one provider that follows a script."""

    def made(kind: str, **script: Any) -> Open:
        names = '{ fast = "target", "a/b:c" = "target" }'
        head = f'[[providers]]\nname = "p"\ntype = "{kind}"\nmodels = {names}\n'
        if kind == "demo":
            house.open(head, {})
            return Open(house, None)
        one = upstream(SPEAKERS[kind], script=Script(**script))
        rest = f'base_url = "{one.url}"\napi_key = "${{KEY}}"\n'
        house.open(head + rest, {"KEY": KEY})
        return Open(house, one)

    return made


def said(kind: str) -> str:
    return "You said: Hi there" if kind == "demo" else Script().text


@EVERY
async def test_a_plain_answer_is_whole(opened: Callable[..., Open], kind: str) -> None:
    reply = await opened(kind).chat()
    [choice] = reply.choices
    assert choice.message.content == said(kind)
    assert (choice.message.role, choice.finish_reason) == ("assistant", "stop")
    assert reply.usage is not None and reply.object == "chat.completion"
    used = (2, 4) if kind == "demo" else (11, 7)
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == used


@EVERY
@pytest.mark.parametrize("usage", [True, False, None])
async def test_a_streamed_answer_comes_in_pieces(
    opened: Callable[..., Open], kind: str, usage: bool | None
) -> None:
    options: Any = {"stream_options": {"include_usage": usage}}
    if usage is None:
        options = {}
    one = opened(kind)

    def streamed(client: openai.OpenAI) -> list[Any]:
        with client.chat.completions.create(
            model="fast", messages=HI, stream=True, **options
        ) as stream:
            return list(stream)

    chunks = await one.ask(streamed)
    *ordinary, last = chunks
    if usage:
        assert last.choices == [] and last.usage.total_tokens in (6, 18)
    else:
        ordinary = chunks
    assert all(chunk.usage is None for chunk in ordinary)
    assert not usage or all("usage" in c.model_fields_set for c in ordinary)
    assert usage or not any("usage" in c.model_fields_set for c in ordinary)
    pieces = [chunk.choices[0].delta.content or "" for chunk in ordinary]
    assert "".join(pieces) == said(kind) and sum(map(bool, pieces)) > 2
    assert ordinary[-1].choices[0].finish_reason == "stop"
    assert len({chunk.id for chunk in chunks}) == 1
    # The operator learns it, whether the guest has asked or not.
    [exchange] = one.house.exchanges()
    assert exchange["output_tokens"] == (4 if kind == "demo" else 7)


@EVERY
async def test_the_asynchronous_client_reads_a_stream(
    opened: Callable[..., Open], kind: str
) -> None:
    one = opened(kind)

    async def read() -> str:
        transport = httpx2.AsyncHTTPTransport(uds=one.house.socket)
        async with openai.AsyncOpenAI(
            base_url="http://modelplex/v1",
            api_key="none",
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(transport=transport),
        ) as client:
            stream = await client.chat.completions.create(
                model="fast", messages=HI, stream=True
            )
            return "".join(
                [chunk.choices[0].delta.content or "" async for chunk in stream]
            )

    assert await deferToThread(asyncio.run, read()) == said(kind)


@REAL
@pytest.mark.parametrize("streamed", [True, False])
async def test_parallel_calls_come_and_their_results_go_back(
    opened: Callable[..., Open], kind: str, streamed: bool
) -> None:
    one = opened(kind, calls=CALLS)

    def turn(client: openai.OpenAI, messages: Any) -> Any:
        asked: Any = {"model": "fast", "messages": messages, "tools": [WEATHER, CLOCK]}
        if not streamed:
            return client.chat.completions.create(**asked)
        with client.chat.completions.stream(
            **asked, stream_options={"include_usage": True}
        ) as stream:
            for _ in stream:
                pass
            return stream.get_final_completion()

    reply = await one.ask(lambda client: turn(client, HI))
    message = reply.choices[0].message
    assert reply.choices[0].finish_reason == "tool_calls"
    assert reply.usage.completion_tokens == 7
    assert [
        (call.id, call.function.name, json.loads(call.function.arguments))
        for call in message.tool_calls
    ] == [(call.id, call.name, call.arguments) for call in CALLS]
    assert one.heard().tools == ("weather", "clock")

    answers: Any = [
        {"role": "tool", "tool_call_id": "call_2", "content": "noon"},
        {"role": "tool", "tool_call_id": "call_1", "content": "größer"},
    ]
    told = message.model_dump(include={"role", "content", "tool_calls"})
    for call in told["tool_calls"]:
        call["function"].pop("parsed_arguments", None)
        call.pop("index", None)
    reply = await one.ask(lambda client: turn(client, [*HI, told, *answers]))
    assert one.heard().results == (("call_2", "noon"), ("call_1", "größer"))
    assert reply.choices[0].message.content == "call_2 said noon; call_1 said größer"


async def test_the_demo_model_calls_a_tool_and_reports_what_it_said(
    opened: Callable[..., Open],
) -> None:
    one = opened("demo")
    reply = await one.chat(tools=[WEATHER])
    [call] = reply.choices[0].message.tool_calls or []
    assert call.type == "function" and call.function.name == "weather"
    assert json.loads(call.function.arguments) == {"city": "Hi there"}
    result = {"role": "tool", "tool_call_id": call.id, "content": "sun"}
    reply = await one.chat(messages=[*HI, reply.choices[0].message, result])
    assert reply.choices[0].message.content == "The tool said: sun"


def shown(text: str) -> Any:
    image = {"url": f"data:image/png;base64,{PIXEL}"}
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": image}]
    return [{"role": "user", "content": parts}]


FORM = {"name": "counted", "schema": SCHEMA, "strict": True}
# What a guest asks for, and how every upstream must have understood it.
ASKED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "an image": (
        {"messages": shown("What is this?")},
        {"said": "What is this?", "images": (PIXEL,)},
    ),
    "a system prompt": (
        {"messages": [{"role": "system", "content": "Be brief: ☃."}, *HI]},
        {"system": "Be brief: ☃.", "said": "Hi there"},
    ),
    "unicode": (
        {"messages": [{"role": "user", "content": "größe 😀 \u2028 é"}]},
        {"said": "größe 😀 \u2028 é"},
    ),
    "stop": ({"stop": [" ☃", "never"]}, {"stop": (" ☃", "never")}),
    "one stop": ({"stop": "never"}, {"stop": ("never",)}),
    "max_tokens": ({"max_tokens": 2}, {"max_tokens": 2}),
    "max_completion_tokens": ({"max_completion_tokens": 2}, {"max_tokens": 2}),
    "a JSON Schema": (
        {"response_format": {"type": "json_schema", "json_schema": FORM}},
        {"schema": SCHEMA},
    ),
    "reasoning": ({"reasoning_effort": "high"}, {"thinks": True}),
}


@REAL
@pytest.mark.parametrize("what", ASKED)
async def test_each_upstream_understands_what_was_asked(
    opened: Callable[..., Open], kind: str, what: str
) -> None:
    request, meant = ASKED[what]
    one = opened(kind)
    await one.chat(**request)
    heard = one.heard()
    images: Any = tuple(content for _, content in heard.images)
    heard = evolve(heard, images=images)
    assert {name: getattr(heard, name) for name in meant} == meant


@REAL
async def test_why_an_answer_ended_is_told(
    opened: Callable[..., Open], kind: str
) -> None:
    one = opened(kind)
    cut = (await one.chat(max_tokens=2)).choices[0]
    assert (cut.message.content, cut.finish_reason) == ("Hello, größe", "length")
    stopped = (await one.chat(stop=" ☃")).choices[0]
    assert (stopped.message.content, stopped.finish_reason) == ("Hello, größe", "stop")


@EVERY
async def test_an_answer_satisfies_its_schema(
    opened: Callable[..., Open], kind: str
) -> None:
    one = opened(kind, text='{"name":"größe","count":3}')

    def parsed(client: openai.OpenAI) -> Any:
        with client.chat.completions.stream(
            model="fast", messages=HI, response_format=Counted
        ) as stream:
            return stream.get_final_completion().choices[0].message.parsed

    counted = await one.ask(parsed)
    name, count = ("Hi there", 1) if kind == "demo" else ("größe", 3)
    assert counted == Counted(name=name, count=count)


@EVERY
@pytest.mark.parametrize("streamed", [True, False])
async def test_reasoning_is_shown_apart(
    opened: Callable[..., Open], kind: str, streamed: bool
) -> None:
    thought = "I will repeat what I was told." if kind == "demo" else "Hm, größer ☃?"
    one = opened(kind, thinking=thought)
    if not streamed:
        message: Any = (await one.chat(reasoning_effort="high")).choices[0].message
        assert (message.reasoning_content, message.content) == (thought, said(kind))
        return

    def read(client: openai.OpenAI) -> Any:
        with client.chat.completions.stream(
            model="fast", messages=HI, reasoning_effort="high"
        ) as stream:
            return stream.get_final_completion().choices[0].message

    message = await one.ask(read)
    assert (message.reasoning_content, message.content) == (thought, said(kind))


async def test_a_demo_model_says_that_it_was_shown_an_image(
    opened: Callable[..., Open],
) -> None:
    reply = await opened("demo").chat(messages=shown("This"))
    seen = "You said (and showed me 1 image): This"
    assert reply.choices[0].message.content == seen


@REAL
async def test_nothing_that_names_the_guest_reaches_the_upstream(
    opened: Callable[..., Open], kind: str
) -> None:
    one = opened(kind)
    given = {
        "authorization": "Bearer guest-own",
        "x-api-key": "guest-own",
        "cookie": "session=guest-own",
        "x-forwarded-for": "guest-own",
        "user-agent": "guest-own",
        "openai-organization": "guest-own",
        "x-request-id": "guest-own",
        "traceparent": "00-1-2-01",
    }
    await one.chat(extra_headers=given)
    assert one.upstream is not None
    for received in one.upstream.received:
        assert "guest-own" not in received.headers.values()
    passed = one.upstream.posts()[0].headers.get("traceparent")
    assert passed == ("00-1-2-01" if kind == "openai" else None)
    credentials = {"authorization", "x-api-key"} & set(received.headers)
    assert credentials == {"x-api-key" if kind == "anthropic" else "authorization"}


# --- errors


async def failed(one: Open, **more: Any) -> Any:
    with pytest.raises(openai.APIError) as raised:
        await one.chat(**more)
    assert KEY not in repr(vars(raised.value))
    return raised.value


@EVERY
async def test_an_unknown_model_is_not_found(
    opened: Callable[..., Open], kind: str
) -> None:
    error = await failed(opened(kind), model="fasd")
    assert isinstance(error, openai.NotFoundError)
    assert error.code == "model_not_found" and "fast" in error.message


@REAL
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("status", "kind_of_error", "code"),
    [
        (400, openai.BadRequestError, None),
        (401, openai.InternalServerError, "provider_misconfigured"),
        (404, openai.NotFoundError, "model_not_found"),
        (422, openai.UnprocessableEntityError, None),
        (500, openai.InternalServerError, "upstream_overloaded"),
    ],
)
async def test_an_upstreams_refusal_has_its_class(
    opened: Callable[..., Open],
    kind: str,
    stream: bool,
    status: int,
    kind_of_error: type[openai.APIStatusError],
    code: str | None,
) -> None:
    one = opened(kind)
    assert one.upstream is not None
    message = f"this model does not like {KEY}"
    one.upstream.fault = Status(status, message, code if status == 404 else None)
    error = await failed(one, stream=stream)
    assert type(error) is kind_of_error and error.code == code
    assert error.status_code == (502 if status in (401, 500) else status)
    assert status == 401 or "this model does not like ***" in error.message
    assert (error.request_id or "").startswith("req_")


@REAL
@pytest.mark.parametrize("stream", [True, False])
async def test_a_rate_limit_says_when_to_come_back(
    opened: Callable[..., Open], kind: str, stream: bool
) -> None:
    one = opened(kind)
    assert one.upstream is not None
    one.upstream.fault = Status(429, "slow down", headers=("retry-after: 7",))
    error = await failed(one, stream=stream)
    assert isinstance(error, openai.RateLimitError)
    assert error.response.headers["retry-after"] == "7"


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("retry-after: 9", 9, 9),
        ("retry-after: Wed, 01 Jan 2025 00:00:00 GMT", 0, 0),
        ("retry-after: Fri, 01 Jan 2100 00:00:00 GMT", 86_400, 86_400),
        ("retry-after-ms: 1500", 1.5, 1.5),
    ],
)
async def test_each_form_of_retry_after_is_understood(
    opened: Callable[..., Open], header: str, least: float, most: float
) -> None:
    one = opened("openai")
    assert one.upstream is not None
    one.upstream.fault = Status(429, headers=(header,))
    error = await failed(one)
    told = float(error.response.headers["retry-after-ms"]) / 1000
    assert least <= told <= most


@REAL
async def test_a_wrong_key_is_the_operators_business(
    opened: Callable[..., Open], kind: str
) -> None:
    one = opened(kind)
    assert one.upstream is not None
    one.upstream.speaker = evolve(SPEAKERS[kind], key="another")
    error = await failed(one)
    assert error.status_code == 502 and error.code == "provider_misconfigured"
    assert any("refused our credentials" in line for line in one.house.log.texts)


# --- the other routes


@pytest.mark.parametrize("kind", ["openai", "ollama", "demo"])
async def test_embeddings_come_as_numbers_and_as_base64(
    opened: Callable[..., Open], kind: str
) -> None:
    one = opened(kind)
    texts = ["größe", "b"]

    def asked(client: openai.OpenAI) -> tuple[Any, Any]:
        create = client.embeddings.create
        return (
            create(model="fast", input=texts, dimensions=4),
            create(model="fast", input=texts, dimensions=4, encoding_format="float"),
        )

    packed, plain = await one.ask(asked)
    assert [e.index for e in packed.data] == [0, 1]
    for mine, theirs in zip(packed.data, plain.data, strict=True):
        assert mine.embedding == pytest.approx(theirs.embedding)
        assert len(mine.embedding) == 4
    if kind != "demo":
        assert plain.data[0].embedding == vector_of("größe", 4)
        assert plain.usage.prompt_tokens == 2


async def test_anthropic_has_no_embeddings(opened: Callable[..., Open]) -> None:
    one = opened("anthropic")
    with pytest.raises(openai.NotFoundError) as raised:
        await one.ask(lambda c: c.embeddings.create(model="fast", input="a"))
    assert raised.value.code == "model_not_found"


@EVERY
@pytest.mark.parametrize("stream", [True, False])
async def test_legacy_completions_are_answered(
    opened: Callable[..., Open], kind: str, stream: bool
) -> None:
    one = opened(kind)

    def asked(client: openai.OpenAI) -> tuple[str, Any]:
        create: Any = client.completions.create
        asked = {"model": "fast", "prompt": "Hi there", "max_tokens": 50}
        if not stream:
            reply = create(**asked)
            assert reply.usage.completion_tokens in (4, 7)
            return reply.choices[0].text, reply.choices[0].finish_reason
        with create(**asked, stream=True) as chunks:
            choices = [chunk.choices[0] for chunk in chunks]
        return "".join(c.text for c in choices), choices[-1].finish_reason

    assert await one.ask(asked) == (said(kind), "stop")
    assert kind == "demo" or one.heard().said == "Hi there"


@EVERY
async def test_models_are_listed_and_found_by_names_with_slashes(
    opened: Callable[..., Open], kind: str
) -> None:
    def asked(client: openai.OpenAI) -> tuple[list[str], str]:
        names = [model.id for model in client.models.list()]
        return names, client.models.retrieve("a/b:c").id

    one = opened(kind)
    assert await one.ask(asked) == (["a/b:c", "fast"], "a/b:c")
    reply = await one.chat(model="a/b:c")
    assert reply.choices[0].message.content == said(kind)
