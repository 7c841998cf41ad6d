"""How many tokens a request would be, whoever can be asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelplex.testing.memory.house import House, upstream

MESSAGES = {"messages": [{"role": "user", "content": "Hello there"}]}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "Hello there"}]}]}
GUESTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "anthropic": (
        "/v1/messages/count_tokens",
        {"model": "m", **MESSAGES},
        "input_tokens",
    ),
    "gemini": ("/v1beta/models/m:countTokens", CONTENTS, "totalTokens"),
    "responses": (
        "/v1/responses/input_tokens",
        {"model": "m", "input": "Hello there"},
        "input_tokens",
    ),
}
COUNTS = {
    "anthropic": {"input_tokens": 17},
    "gemini": {"totalTokens": 17},
    "responses": {"object": "response.input_tokens", "input_tokens": 17},
}
UPSTREAMS: dict[str, dict[str, Any]] = {
    "anthropic": {"type": "anthropic"},
    "gemini": {"type": "gemini"},
    "responses": {"api": "responses"},
}
GUEST = pytest.mark.parametrize("guest", GUESTS)


@GUEST
@pytest.mark.parametrize("kind", UPSTREAMS)
def test_whoever_counts_is_asked_and_the_guest_told_in_its_words(
    guest: str, kind: str
) -> None:
    house = House((upstream("up", **UPSTREAMS[kind]),))
    target, body, member = GUESTS[guest]
    asking = house.guest()
    asking.post(target, body)
    house.turn()
    connection = house.upstreams.accept()
    house.turn()
    assert b"Hello there" in connection.requests()[-1].body
    connection.answer(json.dumps(COUNTS[kind]).encode())
    house.turn()
    answer = asking.answer()
    assert answer.status == 200
    assert json.loads(answer.body)[member] == 17
    house.nothing_is_left()


@GUEST
def test_where_nobody_counts_it_is_estimated(guest: str) -> None:
    house = House()
    target, body, member = GUESTS[guest]
    asking = house.guest()
    asking.post(target, body)
    house.turn()
    answer = asking.answer()
    assert answer.status == 200
    assert 3 < json.loads(answer.body)[member] < 30
    house.nothing_is_left()


@GUEST
@pytest.mark.parametrize("status", [404, 500])
def test_an_estimate_is_better_than_an_error(guest: str, status: int) -> None:
    house = House((upstream("up", api="responses"),))
    target, body, member = GUESTS[guest]
    asking = house.guest()
    asking.post(target, body)
    house.turn()
    house.upstreams.accept().answer(b'{"error":{"message":"no"}}', status)
    house.turn()
    assert json.loads(asking.answer().body)[member] > 3
    house.nothing_is_left()


def test_a_model_that_is_not_there_has_no_tokens() -> None:
    house = House()
    asking = house.guest()
    asking.post("/v1/messages/count_tokens", {"model": "nobodys", **MESSAGES})
    house.turn()
    answer = asking.answer()
    assert answer.status == 404
    assert json.loads(answer.body)["error"]["type"] == "not_found_error"
    house.nothing_is_left()
