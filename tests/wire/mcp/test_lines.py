"""What a child prints: its messages, whatever is between them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.testing.pieces import chopped
from modelplex.wire.jsonrpc import (
    INTERNAL_ERROR,
    Answer,
    Call,
    Failure,
    Message,
    Note,
    RpcError,
)
from modelplex.wire.mcp.lines import ChildLines, line

PONG = b'{"jsonrpc":"2.0","id":7,"result":{}}'


def read(*chunks: bytes, limit: int = 1000) -> tuple[list[Message], list[bytes]]:
    noise: list[bytes] = []
    lines = ChildLines(noise.append, limit)
    return [m for chunk in chunks for m in lines.feed(chunk)], noise


messages = st.one_of(
    st.builds(Call, st.integers(0, 9), st.text(max_size=5)),
    st.builds(Note, st.text(max_size=5)),
    st.builds(Answer, st.integers(0, 9), st.dictionaries(st.text(), st.text())),
    st.builds(Failure, st.integers(0, 9), st.integers(-40000, 9), st.text(max_size=5)),
)


@given(st.lists(messages), st.data())
def test_chunking_never_matters(told: list[Message], data: st.DataObject) -> None:
    pieces = data.draw(chopped(b"".join(map(line, told))))
    assert read(*pieces, limit=10**6) == (told, [])


@given(st.lists(st.binary() | st.just(b"\n") | st.just(PONG + b"\n")))
def test_any_bytes_are_messages_or_noise(chunks: list[bytes]) -> None:
    read(*chunks, limit=50)


def test_carriage_returns_and_blank_lines_are_no_noise() -> None:
    assert read(b"\r\n\n" + PONG + b"\r\n \n") == ([Answer(7, {})], [])


@pytest.mark.parametrize(
    "banner",
    [b"Server listening", b"[1,2]", b"{not json}", b"null", b"\xff\xfe", b'{"a":1}'],
)
def test_what_is_no_message_is_noise_and_ends_nothing(banner: bytes) -> None:
    assert read(banner + b"\n" + PONG + b"\n") == ([Answer(7, {})], [banner])


def test_noise_is_told_in_part() -> None:
    (noise,) = read(b"x" * 900 + b"\n")[1]
    assert noise == b"x" * 200


@pytest.mark.parametrize("chunk", [1, 7, 100, 10**6])
def test_a_line_that_is_too_long_is_dropped_up_to_its_end(chunk: int) -> None:
    text = b'{"jsonrpc":"2.0","method":"' + b"m" * 5000 + b'"}\n' + PONG + b"\n"
    found, noise = read(*(text[i : i + chunk] for i in range(0, len(text), chunk)))
    assert found == [Answer(7, {})]
    assert [one[:23] for one in noise] == [b"(a line of 5029 bytes) "]


def test_a_line_as_long_as_the_limit_is_read() -> None:
    assert read(PONG + b"\n", limit=len(PONG))[0] == [Answer(7, {})]
    assert read(PONG + b"\n", limit=len(PONG) - 1)[0] == [
        Failure(7, INTERNAL_ERROR, "the answer is over 35 bytes")
    ]


@pytest.mark.parametrize(
    "answer",
    [
        {"jsonrpc": "2.0", "id": 41, "result": {"x": "y" * 2000}},
        {"id": 41, "result": {"x": "y" * 2000}},
        {"jsonrpc": "2.0", "id": "41", "error": {"message": "y" * 2000}},
        {"result": {"x": "y" * 2000}, "jsonrpc": "2.0", "id": 41},
        {"jsonrpc": "2.0", "result": {"x": "y" * 2000}, "id": 41},
    ],
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_whoever_waits_for_an_answer_that_is_too_long_is_told(
    answer: object, separators: tuple[str, str]
) -> None:
    text = json.dumps(answer, separators=separators).encode()
    found, _ = read(text + b"\n" + PONG + b"\n")
    assert found == [
        Failure(41, INTERNAL_ERROR, "the answer is over 1000 bytes"),
        Answer(7, {}),
    ]


def test_an_id_inside_of_something_else_is_nobodys_answer() -> None:
    told = {"jsonrpc": "2.0", "method": "m", "params": {"x": "y" * 2000, "id": 41}}
    assert read(json.dumps(told).encode() + b"\n")[0] == []


def test_an_answer_that_is_nested_too_deeply_is_a_failure() -> None:
    deep = b'{"jsonrpc":"2.0","id":3,"result":' + b"[" * 200 + b"]" * 200 + b"}\n"
    assert read(deep)[0] == [Failure(3, INTERNAL_ERROR, "the answer cannot be read")]


def test_text_in_another_encoding_is_replaced() -> None:
    assert read(PONG.replace(b"{}", b'{"t":"caf\xe9"}') + b"\n") == (
        [Answer(7, {"t": "caf\ufffd"})],
        [],
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"\ud83d!", "\ufffd!"),
        (r"\ude00", "\ufffd"),
        (r"\ud83d\ude00\ud83d", "😀\ufffd"),
        (r"\\ud83d\ud83d", "\\ud83d\ufffd"),
        (r"\ud83d\ud83d\ude00", "\ufffd😀"),
    ],
)
def test_half_a_character_is_replaced_and_nothing_else(
    written: str, meant: str
) -> None:
    text = PONG.replace(b"{}", b'{"t":"' + written.encode() + b'"}')
    assert read(text + b"\n") == ([Answer(7, {"t": meant})], [])


def test_what_cannot_be_written_says_so() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(RpcError):
        line(Answer(1, deep))
    while deep:  # or freeing it would need as deep a stack
        deep = deep.pop()  # type: ignore[assignment]
