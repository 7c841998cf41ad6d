"""Calls of tools, measured: the ways to a tool, and the table that is made of them."""

from __future__ import annotations

import asyncio

from benchmarks.tool_server import answer
from benchmarks.tool_targets import SERVER
from benchmarks.tool_ways import CallFailed, Pipes
from benchmarks.tools import DIRECT, MANY, Window, figures, window


def _window(way: str, callers: int, p50: float, foreign: float = 0.0) -> Window:
    return Window(way, callers, 100, 0, 1000.0, p50, 2 * p50, foreign)


def test_what_is_added_is_the_difference_to_the_pipes() -> None:
    windows = [
        *(_window(DIRECT, callers, 0.25) for callers in (1, MANY)),
        *(_window("a", callers, 1.0) for callers in (1, MANY)),
    ]
    direct, other = figures(windows, [DIRECT, "a"])
    assert direct == [DIRECT, "0.25", "\u2013", "0.50", "1,000", "0.5", "0"]
    assert other == ["a", "1.00", "0.75", "2.00", "1,000", "2.0", "0"]


def test_a_disturbed_window_counts_only_where_there_is_no_other() -> None:
    noisy = _window("a", 1, 9.0, foreign=1.0)
    [alone] = figures([noisy], ["a"])
    [both] = figures([noisy, _window("a", 1, 1.0)], ["a"])
    assert alone[1] == "9.00" and both[1] == "1.00"


def test_calls_by_pipes_are_counted_and_answered() -> None:
    found = asyncio.run(window(DIRECT, Pipes(SERVER, "echo"), 4, 0.1))
    assert found.calls > 4 and found.bad == 0 and found.p50 <= found.p99


def test_a_wrong_answer_is_noticed() -> None:
    async def called() -> None:
        calling = await Pipes((*SERVER[:-1], "-c", WRONG), "echo").open()
        try:
            await calling.call(1)
        finally:
            await calling.close()

    try:
        asyncio.run(called())
    except CallFailed as e:
        assert "said 2 so" in str(e)
    else:
        raise AssertionError("it was not")


WRONG = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked:
        told = {"id": asked["id"], "result": "said 2 so"}
        print(json.dumps(told), flush=True)
"""


def test_the_server_has_one_tool() -> None:
    listed = answer("tools/list", {})
    assert listed is not None and [one["name"] for one in listed["tools"]] == ["echo"]
    assert answer("resources/list", {}) is None
