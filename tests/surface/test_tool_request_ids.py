"""Every call of a tool says which request of a guest it was made for."""

from __future__ import annotations

from typing import Any

import pytest

from modelplex.testing.memory.guest import Guest
from modelplex.testing.memory.rounds import ToolRoom
from modelplex.testing.memory.tools import (
    ACCEPT,
    JSON,
    ToolHouse,
    call,
    enveloped,
    header_lines,
)

SLOW: dict[str, Any] = {"name": "slow"}


def by_rest(house: ToolHouse) -> Guest:
    guest = house.guest()
    guest.post("/v1/tools/slow", b"{}")
    return guest


def by_a_session(house: ToolHouse) -> Guest:
    return house.post(call("tools/call", SLOW), house.session())


def without_a_session(house: ToolHouse) -> Guest:
    asked, guest = enveloped("tools/call", SLOW), house.guest()
    guest.post("/mcp", asked, ACCEPT, JSON, *header_lines(asked))
    return guest


@pytest.mark.parametrize("way", [by_rest, by_a_session, without_a_session])
def test_a_call_has_the_id_of_the_request_that_it_came_in(way: Any) -> None:
    house = ToolHouse()
    guest = way(house)
    found = house.served.last.caller.request_id
    house.served.last.waiting.callback({"resultType": "complete", "content": []})
    assert found and guest.answer().headers["x-request-id"] == found
    house.nothing_is_left()


def test_the_calls_of_a_model_have_the_id_of_the_request_that_it_answers() -> None:
    room = ToolRoom()
    messages = [{"role": "user", "content": "hi"}]
    body = {"model": "m", "messages": messages, "modelplex_tools": True, "stream": True}
    guest = room.post("/v1/chat/completions", body)
    room.calls("fs__read")
    [made] = room.made
    room.says()
    assert made.request_id == guest.answer().headers["x-request-id"]
    room.nothing_is_left()
