"""Images, audio, moderations and files through the official `openai` client."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from io import BytesIO
from typing import Any, TypeVar

import httpx2
import openai
import pytest
from attrs import frozen
from twisted.internet.threads import deferToThread

from modelplex.testing.fakes.azure import Azure
from modelplex.testing.fakes.house import House
from modelplex.testing.fakes.openai import OpenAI
from modelplex.testing.fakes.openai_media import speech_of
from modelplex.testing.fakes.script import Script
from modelplex.testing.fakes.upstream import Upstream

T = TypeVar("T")

KEY = "sk-secret-0123456789"
SOUND = bytes(range(256)) * 8000  # 2 MB
PICTURE = ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(100), "image/png")
GUEST = '[[guests]]\nname = "default"\n'
DEPRECATED = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")


@frozen
class Open:
    """A service with one provider, and the client's side of its socket."""

    house: House
    upstream: Upstream

    async def ask(self, act: Callable[[openai.OpenAI], T]) -> T:
        """What `act` gives for a client, in a thread as it blocks."""

        def acted() -> T:
            transport = httpx2.HTTPTransport(uds=self.house.socket)
            with openai.OpenAI(
                base_url="http://modelplex/v1",
                api_key="none",
                max_retries=0,
                http_client=openai.DefaultHttpxClient(transport=transport),
            ) as client:
                return act(client)

        result: T = await deferToThread(acted)
        return result


@pytest.fixture
def opened(house: House, upstream: Callable[..., Upstream]) -> Callable[..., Open]:
    """Opens a service in front of one provider; the guest's model is ``fast``."""

    def made(rest: str = "", kind: str = "openai", **script: Any) -> Open:
        speaker: Any = (OpenAI if kind == "openai" else Azure)(("target",), KEY)
        one = upstream(speaker, script=Script(**script))
        house.open(
            f'[[providers]]\nname = "p"\ntype = "{kind}"\n'
            'models = { fast = "target", omni-moderation-latest = "target" }\n'
            f'base_url = "{one.url}"\napi_key = "${{KEY}}"\n{rest}',
            {"KEY": KEY},
        )
        return Open(house, one)

    return made


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def facts(text: str | None) -> Any:
    """What the upstream has understood of a form."""
    assert text is not None
    return json.loads(text)


@DEPRECATED
@pytest.mark.parametrize("kind", ["transcriptions", "translations"])
@pytest.mark.parametrize("azure", ["", 'api_version = "2024-10-21"\n', "v1"])
async def test_sound_becomes_words(
    opened: Callable[..., Open], kind: str, azure: str
) -> None:
    one = opened(azure.removeprefix("v1"), "azure") if azure else opened()

    def act(client: openai.OpenAI) -> Any:
        return getattr(client.audio, kind).create(
            model="fast", file=("ü.mp3", SOUND, "audio/mpeg"), prompt="größe"
        )

    told = facts((await one.ask(act)).text)
    assert sorted(told["fields"]) == [["model", "target"], ["prompt", "größe"]]
    [file] = told["files"]
    assert (file["bytes"], file["sha256"]) == (len(SOUND), digest(SOUND))
    assert (file["filename"], file["type"]) == ("ü.mp3", "audio/mpeg")
    [exchange] = one.house.exchanges()
    assert (exchange["operation"], exchange["target"]) == ("audio", "target")
    assert (exchange["status"], exchange["error"]) == (200, None)


async def test_words_come_in_pieces(opened: Callable[..., Open]) -> None:
    one = opened()

    def act(client: openai.OpenAI) -> Any:
        with client.audio.transcriptions.create(
            model="fast", file=BytesIO(SOUND), stream=True
        ) as stream:
            return list(stream)

    *deltas, done = await one.ask(act)
    assert done.type == "transcript.text.done" and len(deltas) > 2
    assert "".join(event.delta for event in deltas) == done.text
    assert facts(done.text)["files"][0]["sha256"] == digest(SOUND)


@pytest.mark.parametrize("shape", ["text", "vtt", "srt"])
async def test_words_come_as_text(opened: Callable[..., Open], shape: Any) -> None:
    one = opened()
    told = await one.ask(
        lambda c: c.audio.transcriptions.create(
            model="fast", file=SOUND, response_format=shape
        )
    )
    assert ["response_format", shape] in facts(str(told))["fields"]


@pytest.mark.parametrize("size", [1, 200_000])
async def test_words_become_sound(opened: Callable[..., Open], size: int) -> None:
    one = opened(repeat=size)

    def act(client: openai.OpenAI) -> tuple[bytes, str]:
        asks: Any = {"model": "fast", "voice": "alloy", "input": "größe"}
        with client.audio.speech.with_streaming_response.create(**asks) as answer:
            kind = answer.headers["content-type"]
            return b"".join(answer.iter_bytes()), kind

    sound, kind = await one.ask(act)
    asked = {"model": "target", "voice": "alloy", "input": "größe"}
    assert digest(sound) == digest(speech_of(asked, size))
    assert kind == "audio/mpeg"


async def test_sound_comes_as_events(opened: Callable[..., Open]) -> None:
    def act(client: openai.OpenAI) -> tuple[str, str]:
        answer = client.audio.speech.create(
            model="fast", voice="alloy", input="x", stream_format="sse"
        )
        return answer.text, answer.response.headers["content-type"]

    text, kind = await opened().ask(act)
    assert kind == "text/event-stream" and text.count("data: ") == 2


async def test_words_become_a_picture(opened: Callable[..., Open]) -> None:
    one = opened()
    made = await one.ask(
        lambda c: c.images.generate(model="fast", prompt="a größe", n=2)
    )
    assert made.data is not None and len(made.data) == 2
    told = facts(made.data[0].revised_prompt)
    assert told == {"model": "target", "prompt": "a größe", "n": 2}


async def test_a_picture_comes_as_events(opened: Callable[..., Open]) -> None:
    def act(client: openai.OpenAI) -> Any:
        return list(client.images.generate(model="fast", prompt="x", stream=True))

    [event] = await opened().ask(act)
    assert event.type == "image_generation.completed"


@DEPRECATED
async def test_pictures_become_a_picture(opened: Callable[..., Open]) -> None:
    one = opened()
    made = await one.ask(
        lambda c: c.images.edit(
            model="fast", prompt="x", image=[PICTURE, PICTURE], mask=PICTURE
        )
    )
    assert made.data is not None
    told = facts(made.data[0].revised_prompt)
    assert ["model", "target"] in told["fields"]
    names = sorted(file["name"] for file in told["files"])
    assert names == ["image[]", "image[]", "mask"]
    assert {file["sha256"] for file in told["files"]} == {digest(PICTURE[1])}
    made = await one.ask(
        lambda c: c.images.create_variation(model="fast", image=PICTURE)
    )
    assert made.data is not None
    assert facts(made.data[0].revised_prompt)["fields"] == [["model", "target"]]


async def test_what_is_said_is_moderated(opened: Callable[..., Open]) -> None:
    one = opened()
    told = await one.ask(lambda c: c.moderations.create(input=["violence", "tea"]))
    assert [result.flagged for result in told.results] == [True, False]
    assert json.loads(one.upstream.posts()[0].body)["model"] == "target"


async def test_files_are_kept_and_come_back(opened: Callable[..., Open]) -> None:
    one = opened(f'{GUEST}allow = ["files"]\n')

    def act(client: openai.OpenAI) -> None:
        file = client.files.create(file=("a.jsonl", SOUND), purpose="batch")
        assert (file.bytes, file.filename) == (len(SOUND), "a.jsonl")
        assert [f.id for f in client.files.list(limit=10)] == [file.id]
        assert client.files.retrieve(file.id).purpose == "batch"
        assert digest(client.files.content(file.id).content) == digest(SOUND)
        assert client.files.delete(file.id).deleted
        with pytest.raises(openai.NotFoundError) as caught:
            client.files.retrieve(file.id)
        assert "No such File" in str(caught.value)

    await one.ask(act)
    assert {line["operation"] for line in one.house.exchanges()} == {"files"}
    assert one.upstream.received[1].query == "limit=10"


@pytest.mark.parametrize("call", ["create", "list", "retrieve", "delete", "content"])
async def test_files_are_closed_unless_opened(
    opened: Callable[..., Open], call: str
) -> None:
    one = opened()
    given: Any = {"list": {}, "create": {"file": SOUND, "purpose": "batch"}}

    def act(client: openai.OpenAI) -> None:
        asks = given.get(call, {"file_id": "file-1"})
        with pytest.raises(openai.PermissionDeniedError) as caught:
            getattr(client.files, call)(**asks)
        assert 'allow = ["files"]' in str(caught.value)

    await one.ask(act)
    assert one.upstream.received == []


async def test_an_error_about_a_form_is_the_sdks_own(
    opened: Callable[..., Open],
) -> None:
    one = opened()

    def act(client: openai.OpenAI) -> None:
        asks: Any = {"model": "fast", "file": SOUND, "extra_body": {"bogus": "1"}}
        with pytest.raises(openai.BadRequestError) as caught:
            client.audio.transcriptions.create(**asks)
        assert "Unknown parameter: 'bogus'" in str(caught.value)
        with pytest.raises(openai.NotFoundError):
            client.audio.transcriptions.create(model="other", file=SOUND)

    await one.ask(act)


async def test_a_form_that_is_too_large_is_told_so(
    opened: Callable[..., Open],
) -> None:
    one = opened()

    def act(client: openai.OpenAI) -> None:
        with pytest.raises(openai.APIStatusError) as caught:
            client.audio.transcriptions.create(model="fast", file=bytes(40 * 2**20))
        assert caught.value.status_code == 413

    await one.ask(act)
    assert one.upstream.received == []
