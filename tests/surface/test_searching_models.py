"""A model whose name makes a gateway search the web, however it is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from modelplex.config import Guest as Policy
from modelplex.testing.memory.guest import Guest
from modelplex.testing.memory.house import House, upstream

NAME = "x:Online"
MESSAGES: dict[str, Any] = {"messages": [{"role": "user", "content": "x"}]}
CONTENTS: dict[str, Any] = {"contents": [{"parts": [{"text": "x"}]}]}
GLOB = (upstream("up", models=("*",)),)
OPEN = Policy(name="default", allow=("hosted-tools",))
FORM = (
    b'--B\r\nContent-Disposition: form-data; name="model"\r\n\r\nx:Online\r\n'
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    b"x\r\n--B--\r\n"
)

ASKED = pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/v1/chat/completions", {"model": NAME, **MESSAGES}),
        ("/v1/completions", {"model": NAME, "prompt": "x"}),
        ("/v1/embeddings", {"model": NAME, "input": "x"}),
        ("/v1/messages", {"model": NAME, "max_tokens": 3, **MESSAGES}),
        ("/v1/responses", {"model": NAME, "input": "x"}),
        ("/api/chat", {"model": NAME, **MESSAGES}),
        ("/api/generate", {"model": NAME, "prompt": "x"}),
        ("/api/embed", {"model": NAME, "input": "x"}),
        (f"/v1beta/models/{NAME}:generateContent", CONTENTS),
        ("/v1/images/generations", {"model": NAME, "prompt": "x"}),
        ("/v1/audio/speech", {"model": NAME, "input": "x", "voice": "v"}),
        ("/v1/audio/transcriptions", FORM),
    ],
)


def ask(house: House, target: str, body: Any) -> Guest:
    guest = house.guest()
    if isinstance(body, bytes):
        head = f"POST {target} HTTP/1.1\r\ncontent-length: {len(body)}\r\n"
        head += "content-type: multipart/form-data; boundary=B\r\n\r\n"
        guest.send(head.encode() + body)
    else:
        guest.post(target, body)
    house.turn()
    return guest


@ASKED
def test_it_is_refused_in_every_dialect(target: str, body: Any) -> None:
    house = House(GLOB)
    answer = ask(house, target, body).answer()
    assert answer.status == 403
    assert b"hosted-tools" in answer.body
    house.nothing_is_left()


@ASKED
def test_it_is_opened_by_its_word(target: str, body: Any) -> None:
    house = House(GLOB, policy=OPEN)
    ask(house, target, body)
    assert b"x:Online" in house.upstreams.accept().request().body


def test_another_way_to_write_the_name_is_refused_too() -> None:
    for name in ("up/x:online", "modelplex-x:online", "x:online:free", "a/b:ONLINE"):
        body = {"model": name, **MESSAGES}
        answer = ask(House(GLOB), "/v1/chat/completions", body).answer()
        assert answer.status == 403


def test_an_operator_may_have_it_under_another_name() -> None:
    house = House((upstream("up", models={"news": "x:online"}),))
    ask(house, "/v1/chat/completions", {"model": "news", **MESSAGES})
    assert b"x:online" in house.upstreams.accept().request().body
