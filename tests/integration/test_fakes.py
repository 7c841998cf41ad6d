"""The official SDKs read what the fake upstreams answer, with nothing between."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from twisted.internet.threads import deferToThread

from modelplex.testing.fakes.anthropic import Anthropic
from modelplex.testing.fakes.azure import Azure
from modelplex.testing.fakes.entra import Entra
from modelplex.testing.fakes.faults import Fault, Status
from modelplex.testing.fakes.gemini import Gemini
from modelplex.testing.fakes.openai import OpenAI, vector_of
from modelplex.testing.fakes.openai_media import speech_of
from modelplex.testing.fakes.responses import Responses
from modelplex.testing.fakes.script import Call, Script

if TYPE_CHECKING:
    from modelplex.testing.fakes.upstream import Upstream

Upstreams = Callable[..., "Upstream"]

KEY = "sk-secret-0123456789"
CALLS = (Call("call_1", "weather", {"city": "Köln ☃"}), Call("call_2", "clock"))
THINKING = {"type": "enabled", "budget_tokens": 1024}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
FUNCTION: Any = {"type": "function", "name": "weather", "parameters": PARAMETERS}
CLOCK: Any = {"type": "function", "name": "clock", "parameters": {"type": "object"}}


async def asked(client: Any, act: Callable[[Any], Any]) -> Any:
    """What `act` gives for a client, in a thread as it blocks."""

    def acted() -> Any:
        with client:
            return act(client)

    return await deferToThread(acted)


def of_openai(one: Upstream, key: str = KEY) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{one.url}/v1", api_key=key, max_retries=0)


# --- the Responses API


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_response_thinks_calls_and_goes_on(
    upstream: Upstreams, streamed: bool
) -> None:
    script = Script(thinking="Hm, größer?", calls=CALLS, thinking_tokens=3)
    one = upstream(Responses(("m",), KEY), script=script)

    def turn(client: openai.OpenAI, given: list[Any]) -> Any:
        settings: Any = {
            "model": "m",
            "input": given,
            "tools": [FUNCTION, CLOCK],
            "store": False,
            "reasoning": {"effort": "high", "summary": "auto"},
            "include": ["reasoning.encrypted_content"],
        }
        if not streamed:
            return client.responses.create(**settings)
        with client.responses.stream(**settings) as stream:
            return stream.get_final_response()

    def act(client: openai.OpenAI) -> tuple[Any, Any]:
        given: list[Any] = [{"role": "user", "content": "Hi"}]
        first = turn(client, given)
        for item in first.output:
            told = item.model_dump(exclude_none=True)
            told.pop("parsed_arguments", None)
            given.append(told)
        for call in CALLS:
            answer = {"call_id": call.id, "output": "sun"}
            given.append({"type": "function_call_output", **answer})
        return first, turn(client, given)

    first, second = await asked(of_openai(one), act)
    thought, *calls = first.output
    assert thought.summary[0].text == "Hm, größer?" and thought.encrypted_content
    assert [(c.call_id, c.name, json.loads(c.arguments)) for c in calls] == [
        (call.id, call.name, call.arguments) for call in CALLS
    ]
    assert first.usage.output_tokens_details.reasoning_tokens == 3
    assert second.output_text == "call_1 said sun; call_2 said sun"


async def test_a_response_is_stored_listed_and_deleted(upstream: Upstreams) -> None:
    one = upstream(Responses(("m",), KEY))

    def act(client: openai.OpenAI) -> None:
        first = client.responses.create(model="m", input="Hi")
        again = client.responses.create(
            model="m", input="And?", previous_response_id=first.id
        )
        assert client.responses.retrieve(again.id).output_text == Script().text
        listed = client.responses.input_items.list(again.id, order="asc", limit=2)
        assert [item.role for item in listed] == ["user", "assistant", "user"]  # type: ignore[union-attr]
        counted = client.responses.input_tokens.count(model="m", input="Hi")
        assert counted.input_tokens == 11
        compacted = client.responses.compact(model="m", previous_response_id=again.id)
        # A user's message is no output item to the SDK, which warns of it.
        given: Any = [
            item.model_dump(exclude_none=True, warnings=False)
            for item in compacted.output
        ]
        client.responses.create(model="m", input=given)
        client.responses.delete(again.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(again.id)

    await asked(of_openai(one), act)


async def test_a_response_that_fails_in_the_middle_says_so(
    upstream: Upstreams,
) -> None:
    one = upstream(Responses(("m",), KEY), fault=Fault.ERROR_LATER)

    def act(client: openai.OpenAI) -> list[Any]:
        with client.responses.create(model="m", input="Hi", stream=True) as stream:
            return list(stream)

    events = await asked(of_openai(one), act)
    assert [e.type for e in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1].type == "response.failed"
    assert events[-1].response.id == events[0].response.id
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert events[-1].response.error.message == "an error in the stream"


# --- images, audio, moderations, files


async def test_files_and_forms_arrive_to_the_byte(upstream: Upstreams) -> None:
    one = upstream(OpenAI(("m",), KEY), script=Script(repeat=2000))
    content = bytes(range(256)) * 400 + b"\r\n--boundary\r\n\r\n\n"
    facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def act(client: openai.OpenAI) -> None:
        file = ("größe.bin", content, "application/octet-stream")
        kept: Any = client.files.create(file=file, purpose="user_data")
        assert (kept.bytes, kept.sha256) == (facts["bytes"], facts["sha256"])
        assert [one.id for one in client.files.list()] == [kept.id]
        assert client.files.content(kept.id).read() == content
        assert client.files.delete(kept.id).deleted
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(kept.id)

        heard = client.audio.transcriptions.create(
            model="m", file=("a.mp3", content, "audio/mpeg"), language="de"
        )
        told = json.loads(heard.text)
        assert told["fields"] == [["model", "m"], ["language", "de"]]
        assert facts.items() <= told["files"][0].items()

        edited = client.images.edit(
            model="m",
            prompt="a ☃",
            image=[("a.png", content, "image/png"), ("b.png", b"b", "image/png")],
            mask=("m.png", b"", "image/png"),
        )
        assert edited.data is not None
        told = json.loads(edited.data[0].revised_prompt or "")
        assert sorted(f["filename"] for f in told["files"]) == [
            "a.png",
            "b.png",
            "m.png",
        ]

        made = client.images.generate(model="m", prompt="a ☃", n=2)
        assert made.data is not None and len(made.data) == 2
        assert base64.b64decode(made.data[0].b64_json or "").startswith(b"\x89PNG")

        asked_for: Any = {"model": "m", "input": "Grüße", "voice": "alloy"}
        with client.audio.speech.with_streaming_response.create(**asked_for) as spoken:
            assert b"".join(spoken.iter_bytes()) == speech_of(asked_for, 2000)

        judged = client.moderations.create(input=["hello", "violence"])
        assert [one.flagged for one in judged.results] == [False, True]

    await asked(of_openai(one), act)


# --- Azure


@pytest.mark.parametrize("newer", [True, False])
async def test_azure_is_reached_both_ways(upstream: Upstreams, newer: bool) -> None:
    one = upstream(Azure(("deployed",), KEY, asynchronous=True))
    client: openai.OpenAI
    if newer:
        client = openai.OpenAI(base_url=f"{one.url}/openai/v1", api_key=KEY)
    else:
        client = openai.AzureOpenAI(
            azure_endpoint=one.url, api_key=KEY, api_version="2024-10-21"
        )

    def act(client: openai.OpenAI) -> None:
        settings: Any = {
            "model": "deployed",
            "messages": [{"role": "user", "content": "Hi"}],
        }
        reply: Any = client.chat.completions.create(**settings)
        assert reply.choices[0].message.content == Script().text
        assert reply.prompt_filter_results[0]["prompt_index"] == 0
        with client.chat.completions.create(**settings, stream=True) as stream:
            first, *rest = list(stream)
        assert first.choices == [] and first.id == ""
        deltas = [chunk.choices[0].delta for chunk in rest]
        assert None in deltas
        said = "".join(d.content or "" for d in deltas if d is not None)
        assert said == Script().text
        vectors = client.embeddings.create(model="deployed", input="hi")
        assert vectors.data[0].embedding == vector_of("hi", 3)
        assert client.responses.create(model="deployed", input="Hi").output_text
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(**{**settings, "model": "elsewhere"})

    await asked(client, act)


async def test_a_token_of_entra_opens_azure_until_it_expires(
    upstream: Upstreams,
) -> None:
    clock = [0.0]
    entra = Entra(key=KEY, expires_in=60, now=lambda: clock[0])
    issuer = upstream(entra)
    one = upstream(Azure(("m",), "another", entra))

    def act(client: openai.OpenAI) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": "client-x",
            "client_secret": KEY,
            "scope": "https://cognitiveservices.azure.com/.default",
        }
        url = f"{issuer.url}/tenant-x/oauth2/v2.0/token"
        told = client._client.post(url, data=form).json()
        assert told["expires_in"] == 60
        wrong = client._client.post(url, data={**form, "client_secret": "x"})
        assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
        token = client.with_options(api_key=told["access_token"])
        messages: Any = [{"role": "user", "content": "Hi"}]
        token.chat.completions.create(model="m", messages=messages)
        clock[0] = 60.0
        with pytest.raises(openai.AuthenticationError) as raised:
            token.chat.completions.create(model="m", messages=messages)
        assert raised.value.code == "401"

    client = openai.OpenAI(base_url=f"{one.url}/openai/v1", api_key="none")
    await asked(client, act)
    assert entra.asked == 2


# --- Anthropic


@pytest.mark.parametrize("redacted", [True, False])
async def test_anthropic_takes_its_own_thinking_back(
    upstream: Upstreams, redacted: bool
) -> None:
    script = Script(thinking="Hm, größer?", calls=CALLS[:1], redacted=redacted)
    one = upstream(Anthropic(("m",), KEY), script=script)
    tool: Any = {"name": "weather", "input_schema": {"type": "object"}}

    def act(client: anthropic.Anthropic) -> None:
        settings: Any = {
            "model": "m",
            "max_tokens": 2000,
            "thinking": THINKING,
            "tools": [tool],
        }
        messages: list[Any] = [{"role": "user", "content": "Hi"}]
        with client.messages.stream(**settings, messages=messages) as stream:
            first = stream.get_final_message()
        content: Any = [b.model_dump(exclude_none=True) for b in first.content]
        answer = {"type": "tool_result", "tool_use_id": "call_1", "content": "sun"}
        rest = [{"role": "user", "content": [answer]}]

        def again(said: Any) -> Any:
            told = [*messages, {"role": "assistant", "content": said}, *rest]
            return client.messages.create(**settings, messages=told)

        assert again(content).content[-1].text == "call_1 said sun"
        with pytest.raises(anthropic.BadRequestError, match="Expected `thinking`"):
            again(content[1:])
        key = "data" if redacted else "thinking"
        changed = {**content[0], key: "x" + content[0][key][1:]}
        with pytest.raises(
            anthropic.BadRequestError, match=r"Invalid `(signature|data)`"
        ):
            again([changed, *content[1:]])
        settings.pop("max_tokens")
        counted = client.messages.count_tokens(**settings, messages=messages)
        assert counted.input_tokens == 11

    client = anthropic.Anthropic(base_url=one.url, api_key=KEY, max_retries=0)
    await asked(client, act)


# --- Gemini


def of_gemini(one: Upstream, version: str = "v1beta", key: str = KEY) -> Any:
    genai = pytest.importorskip("google.genai")
    options = {"base_url": one.url, "api_version": version}
    return genai.Client(api_key=key, http_options=options)


@pytest.mark.parametrize("version", ["v1beta", "v1"])
@pytest.mark.parametrize("streamed", [True, False])
async def test_gemini_thinks_calls_and_goes_on(
    upstream: Upstreams, version: str, streamed: bool
) -> None:
    script = Script(thinking="Hm, größer?", calls=CALLS, thinking_tokens=3)
    one = upstream(Gemini(("m",), KEY), script=script)
    client = of_gemini(one, version)
    config = {
        "system_instruction": "Be brief.",
        "thinking_config": {"include_thoughts": True, "thinking_level": "LOW"},
        "tools": [
            {"function_declarations": [_declared("weather"), _declared("clock")]}
        ],
    }

    def turn(client: Any, contents: list[Any]) -> list[Any]:
        settings = {"model": "m", "contents": contents, "config": config}
        if not streamed:
            chunks = [client.models.generate_content(**settings)]
        else:
            chunks = list(client.models.generate_content_stream(**settings))
        assert chunks[-1].usage_metadata.thoughts_token_count == 3
        assert chunks[-1].candidates[0].finish_reason == "STOP"
        return [p for c in chunks for p in c.candidates[0].content.parts]

    def act(client: Any) -> tuple[list[Any], list[Any]]:
        contents: list[Any] = [{"role": "user", "parts": [{"text": "Hi"}]}]
        first = [p for p in turn(client, contents) if p.text != ""]
        answers = [
            {"id": call.id, "name": call.name, "response": {"output": "sun"}}
            for call in CALLS
        ]
        parts = [{"function_response": answer} for answer in answers]
        contents += [
            {"role": "model", "parts": first},
            {"role": "user", "parts": parts},
        ]
        return first, turn(client, contents)

    first, second = await asked(client, act)
    calls = [part.function_call for part in first if part.function_call]
    assert [(c.id, c.name, c.args) for c in calls] == [
        (call.id, call.name, call.arguments) for call in CALLS
    ]
    assert "".join(p.text for p in first if p.thought) == "Hm, größer?"
    said = "".join(p.text for p in second if not p.thought)
    assert said == "call_1 said sun; call_2 said sun"
    heard = one.posts()[0].heard
    assert heard is not None and heard.system == "Be brief." and heard.thinks
    assert heard.tools == ("weather", "clock")


def _declared(name: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    return {"name": name, "parameters_json_schema": schema}


async def test_gemini_counts_embeds_lists_and_refuses(upstream: Upstreams) -> None:
    one = upstream(Gemini(("m", "n"), KEY, retry_delay="3s"))

    def act(client: Any) -> None:
        errors = pytest.importorskip("google.genai.errors")
        assert client.models.count_tokens(model="m", contents="Hi").total_tokens == 11
        found = client.models.embed_content(
            model="m", contents=["a", "bc"], config={"output_dimensionality": 2}
        )
        assert [e.values for e in found.embeddings] == [
            vector_of("a", 2),
            vector_of("bc", 2),
        ]
        names = [model.name for model in client.models.list()]
        assert names == ["models/m", "models/n"]
        assert client.models.get(model="n").name == "models/n"
        with pytest.raises(errors.ClientError) as raised:
            client.models.generate_content(model="o", contents="Hi")
        assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")
        one.fault = Status(429, "too many")
        with pytest.raises(errors.ClientError) as raised:
            client.models.generate_content(model="m", contents="Hi")
        assert "RetryInfo" in str(raised.value.details)
        one.fault = Fault.ERROR_LATER
        with pytest.raises(errors.ServerError):
            list(client.models.generate_content_stream(model="m", contents="Hi"))

    await asked(of_gemini(one), act)


async def test_gemini_answers_a_wrong_key_with_400(upstream: Upstreams) -> None:
    one = upstream(Gemini(("m",), KEY))

    def act(client: Any) -> Any:
        errors = pytest.importorskip("google.genai.errors")
        with pytest.raises(errors.ClientError) as raised:
            client.models.generate_content(model="m", contents="Hi")
        return raised.value

    error = await asked(of_gemini(one, key="another"), act)
    assert (error.code, error.status) == (400, "INVALID_ARGUMENT")
    assert "API_KEY_INVALID" in str(error.details)
