"""Requests of ``/api/chat`` as they are read."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec
import pytest
from attrs import evolve

from modelplex.errors import BadRequest
from modelplex.events import (
    Audio,
    Image,
    Inline,
    JsonSchema,
    Message,
    Part,
    Request,
    Role,
    Text,
    Thinking,
    ThinkingControl,
    Tool,
    ToolCall,
    ToolResult,
)
from modelplex.wire.jsonobject import open_object
from modelplex.wire.ollama.dialect import OLLAMA

GOLDEN = Path(__file__).parent.parent / "golden" / "ollama"
PNG = "iVBORw0KGgowMDAw"


def decode(**body: Any) -> Request:
    whole = {"model": "m", "messages": []} | body
    return OLLAMA.decode_request(open_object(msgspec.json.encode(whole)))


def encode(*messages: Message, **settings: Any) -> dict[str, Any]:
    encoded = OLLAMA.encode_request(Request("m", messages, **settings))
    body: dict[str, Any] = msgspec.json.decode(encoded.body)
    return body


def user(*parts: Part) -> Message:
    return Message(Role.USER, parts)


def test_what_the_official_client_sends_is_read() -> None:
    sent = (GOLDEN / "client_chat_request.json").read_bytes()
    request = OLLAMA.decode_request(open_object(sent))
    look, weigh = [p for p in request.messages[2].parts if isinstance(p, ToolCall)]
    assert look.id != weigh.id
    assert request == Request(
        "qwen3:8b",
        (
            Message(Role.SYSTEM, (Text("Be brief."),)),
            user(Text("What is on it?"), Image(Inline("image/png", PNG))),
            Message(
                Role.ASSISTANT,
                (
                    Thinking("two tools"),
                    ToolCall(look.id, "look", '{"where":"left","depth":2}'),
                    ToolCall(weigh.id, "weigh", "{}"),
                ),
            ),
            Message(Role.TOOL, (ToolResult(weigh.id, (Text("3 kg"),)),)),
            Message(Role.TOOL, (ToolResult(look.id, (Text("a cat"),)),)),
        ),
        stream=True,
        max_tokens=200,
        temperature=0.5,
        top_k=20,
        min_p=0.05,
        stop=("END",),
        seed=7,
        logprobs=3,
        tools=(
            Tool(
                "look",
                "Look somewhere.",
                {
                    "type": "object",
                    "required": ["where"],
                    "properties": {
                        "where": {"type": "string", "enum": ["left", "right"]},
                        "depth": {"type": "integer"},
                    },
                },
            ),
        ),
        response_format=JsonSchema(
            {"type": "object", "properties": {"animal": {"type": "string"}}}
        ),
        thinking=ThinkingControl(effort="high"),
        extra={
            "keep_alive": "10m",
            "options.num_ctx": 8192,
            "options.repeat_penalty": 1.1,
        },
    )


def test_a_request_streams_unless_it_says_otherwise() -> None:
    assert decode().stream
    assert decode(stream=None).stream
    assert not decode(stream=False).stream


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"num_predict": -1, "seed": -1}, {}),
        ({"num_predict": 0}, {}),
        ({"num_predict": 128.0, "seed": 3}, {"max_tokens": 128, "seed": 3}),
        ({"stop": "END", "temperature": 1}, {"stop": ("END",), "temperature": 1.0}),
        ({"stop": None, "top_p": None}, {}),
        ({"mirostat": 2, "use_mmap": None}, {"extra": {"options.mirostat": 2}}),
        (None, {}),
    ],
)
def test_options_are_read_as_ollama_reads_them(
    options: Any, expected: dict[str, Any]
) -> None:
    assert decode(options=options) == evolve(decode(), **expected)


@pytest.mark.parametrize(
    ("think", "expected"),
    [
        (None, None),
        ("", None),
        (True, ThinkingControl(mode="enabled")),
        (False, ThinkingControl(effort="none")),
        ("low", ThinkingControl(effort="low")),
        ("max", ThinkingControl(effort="max")),
    ],
)
def test_every_way_to_think_is_read_and_written_again(
    think: Any, expected: ThinkingControl | None
) -> None:
    request = decode(think=think)
    assert request.thinking == expected
    body = msgspec.json.decode(OLLAMA.encode_request(request).body)
    assert body.get("think") == (think or (None if think == "" else think))


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (None, None),
        ("", None),
        ("json", JsonSchema()),
        ({"$ref": "#"}, JsonSchema({"$ref": "#"})),
    ],
)
def test_every_format_is_read(form: Any, expected: JsonSchema | None) -> None:
    assert decode(format=form).response_format == expected


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"BM\0\0", "image/bmp"),
        (b"II*\0", "image/tiff"),
        (b"\0\0\0\x20ftypavif", "image/avif"),
        (b"\0\0\0\x20ftypheic", "image/heic"),
        (b"RIFF\n\n\n\nWAVEfmt ", "wav"),
        (b"ID3\4", "mp3"),
        (b"\xff\xfb\x90", "mp3"),
        (b"fLaC", "flac"),
        (b"OggS", "ogg"),
    ],
)
def test_pictures_and_sounds_are_told_by_their_first_bytes(
    start: bytes, expected: str
) -> None:
    content = b64encode(start + bytes(60)).decode()
    folded = content[:20] + "\n" + content[20:]
    said = {"role": "user", "content": "", "images": [folded]}
    (message,) = decode(messages=[said]).messages
    kind = Image(Inline(expected, content)) if "/" in expected else None
    assert message.parts == (kind or Audio(content, expected),)


@pytest.mark.parametrize("text", ["", "A", "AA=A", "****", "AAAA", "PHN2Zz4="])
def test_an_image_that_is_none_is_refused(text: str) -> None:
    said = [{"role": "user", "images": [PNG, text]}]
    with pytest.raises(BadRequest) as refused:
        decode(messages=said)
    assert refused.value.param == "messages[0].images[1]"


def called(*calls: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": "", "tool_calls": list(calls)}


def call(name: str, **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": {}}} | more


def answers(*messages: dict[str, Any]) -> list[str]:
    """The name of the call that each tool message is said to answer."""
    talk = decode(messages=list(messages)).messages
    parts = [part for message in talk for part in message.parts]
    names = {p.id: p.name + str(p.arguments) for p in parts if isinstance(p, ToolCall)}
    return [names[p.call_id][:-2] for p in parts if isinstance(p, ToolResult)]


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([{"tool_call_id": "2"}, {"tool_call_id": "1"}], ["g", "f"]),
        ([{"tool_name": "g"}, {"tool_name": "f"}], ["g", "f"]),
        ([{"name": "g"}, {}], ["g", "f"]),
        ([{}, {}], ["f", "g"]),
        ([{"tool_name": "renamed"}], ["f"]),
    ],
)
def test_a_result_answers_by_id_then_by_name_then_by_order(
    results: list[dict[str, Any]], expected: list[str]
) -> None:
    turn = called(call("f", id="1"), call("g", id="2"))
    told = [{"role": "tool", "content": "x"} | result for result in results]
    assert answers(turn, *told) == expected


def test_calls_without_ids_have_the_same_ones_in_every_turn() -> None:
    first = [called(call("f"), call("f")), {"role": "tool", "tool_name": "f"}]
    second = [*first, {"role": "tool", "tool_name": "f"}, called(call("f"))]
    before, after = (decode(messages=talk).messages for talk in (first, second))
    assert after[: len(before)] == before
    ids = [p.id for m in after for p in m.parts if isinstance(p, ToolCall)]
    assert len(set(ids)) == 3


def test_ids_that_come_twice_are_answered_one_after_the_other() -> None:
    turn = called(call("f", id="same"), call("g", id="same"))
    result = {"role": "tool", "tool_call_id": "same"}
    talk = decode(messages=[turn, result, result]).messages
    assert [m.parts[0] for m in talk[1:]] == [ToolResult("same", ())] * 2


def test_a_result_that_answers_nothing_is_refused_unless_it_has_an_id() -> None:
    with pytest.raises(BadRequest, match=r"messages\[0\]"):
        decode(messages=[{"role": "tool", "content": "x", "tool_name": "f"}])
    lost = decode(messages=[{"role": "tool", "content": "x", "tool_call_id": "a"}])
    assert lost.messages[0].parts == (ToolResult("a", (Text("x"),)),)


@pytest.mark.parametrize("kind", ["named", "reversed", "by id", "in order"])
def test_many_results_cost_no_more_each_than_few(kind: str) -> None:
    # Looking through all that wait for each would be 3,200,000,000 steps.
    many = range(80_000)
    turn = called(*(call(f"f{n}", id=str(n)) for n in many))
    told: list[dict[str, Any]] = [{"role": "tool", "content": "x"} for _ in many]
    numbers = list(reversed(many)) if kind == "reversed" else list(many)
    for number, result in zip(numbers, told, strict=True):
        if kind == "by id":
            result["tool_call_id"] = str(number)
        elif kind != "in order":
            result["tool_name"] = f"f{number}"
    parts = [m.parts[0] for m in decode(messages=[turn, *told]).messages[1:]]
    ids = [part.call_id for part in parts if isinstance(part, ToolResult)]
    assert ids == [str(number) for number in numbers]
