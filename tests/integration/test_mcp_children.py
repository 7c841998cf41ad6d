"""Real child processes, with every bad habit of real servers."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

if TYPE_CHECKING:  # their imports must wait until the reactor is chosen
    from modelplex.mcp.child import ChildServer
    from modelplex.testing.fakes.child import Children


@pytest_twisted.async_yield_fixture
async def children() -> AsyncIterator[Children]:
    """Servers that have all ended after the test, with all that they started."""
    from twisted.internet import reactor

    from modelplex.testing.fakes.child import Children

    made = Children(reactor)
    yield made
    groups = [one.status.pid for one in made.made if one.status.pid is not None]
    await made.stop()
    # What was killed is gone a moment later, when the kernel has got to it.
    await until(lambda: not any(map(members, groups)))


def members(group: int) -> list[int]:
    """The processes of a group that live, read from the kernel."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(stat[2]) == group and stat[0] != "Z":
                found.append(int(entry.name))
    return found


async def pause(seconds: float) -> None:
    from twisted.internet import reactor, task

    await task.deferLater(reactor, seconds)


async def until(true: Any, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not become so"
        await pause(0.01)


def call(server: ChildServer, called: str, caller: Any = None, **args: Any) -> Any:
    from modelplex.tools import Silent

    given = {"name": called, "arguments": args}
    return Deferred.fromCoroutine(
        server.request("tools/call", given, caller or Silent())
    )


async def text(
    server: ChildServer, called: str, caller: Any = None, **args: Any
) -> str:
    result = await call(server, called, caller, **args)
    return str(result["content"][0]["text"])


async def answers(server: ChildServer) -> bool:
    return await text(server, "echo", text="hé") == "hé"


@pytest.mark.parametrize(
    ("habits", "version"),
    [
        ([], "2025-11-25"),
        (["old"], "2024-11-05"),
        (["modern"], "2026-07-28"),
        (["exit-on-discover"], "2025-11-25"),
        (["silent-on-discover"], "2025-11-25"),
        (["invalid-on-discover"], "2025-11-25"),
        (["banner"], "2025-11-25"),
        (["crlf"], "2025-11-25"),
        (["early"], "2025-11-25"),
        (["stderr"], "2025-11-25"),
        (["storm"], "2025-11-25"),
        (["text-ids"], "2025-11-25"),
        (["spoof"], "2025-11-25"),
        (["spoof", "modern", "banner", "crlf", "text-ids"], "2026-07-28"),
        (["result-first"], "2025-11-25"),
        (["duplicates"], "2025-11-25"),
        (["pages"], "2025-11-25"),
        (["cycle"], "2025-11-25"),
        (["broken-prompts"], "2025-11-25"),
    ],
)
async def test_a_server_with_a_bad_habit_serves(
    children: Children, habits: list[str], version: str
) -> None:
    silent = "silent-on-discover" in habits
    server = children.server(*habits, probe_timeout=0.3 if silent else 10)
    assert await answers(server)
    names = [tool["name"] for tool in (await server.refresh()).tools]
    assert len(names) == len(set(names)) == 21
    assert server.listing.resources == ({"uri": "test://one", "name": "one"},)
    assert (server.status.version, server.status.restarts) == (version, 0)


async def test_a_server_that_hangs_when_it_is_probed_serves_the_second_time(
    children: Children,
) -> None:
    server = children.server("hang-on-discover", probe_timeout=0.1, start_timeout=0.9)
    assert await answers(server)
    assert server.status.restarts >= 1


@pytest.mark.parametrize("habit", ["hang", "refuse", "exit", "alien"])
async def test_a_server_that_cannot_serve_is_given_up(
    children: Children, habit: str
) -> None:
    from modelplex.tools import ServerState, ToolServerError

    server = children.server(habit, probe_timeout=0.1, start_timeout=0.4)
    with pytest.raises(ToolServerError, match="is not running"):
        await answers(server)
    assert server.status.state is ServerState.FAILED
    assert server.status.pid is None


async def test_a_program_that_does_not_exist_is_named(children: Children) -> None:
    from modelplex.mcp.child_settings import ChildSettings
    from modelplex.testing.fakes.child import QUICK
    from modelplex.tools import ToolServerError

    settings = ChildSettings("none", ("no-such-program",), restarts=QUICK)
    server = children.run(settings)
    with pytest.raises(ToolServerError):
        await answers(server)
    assert server.status.why == (
        "cannot run no-such-program: No such file or directory"
    )


async def test_a_folder_that_does_not_exist_is_named(children: Children) -> None:
    from modelplex.tools import ToolServerError

    server = children.server(cwd="/no/such/folder")
    with pytest.raises(ToolServerError):
        await answers(server)
    assert server.status.why == "cannot run /no/such/folder: No such file or directory"


async def test_a_child_gets_its_own_environment_and_nothing_of_ours(
    children: Children,
) -> None:
    from modelplex.secret import Secret

    children.host = {"PATH": "/bin", "OPENAI_API_KEY": "sk-secret", "LANG": "C"}
    server = children.server(env={"TOKEN": Secret("t0k"), "PYTHONPATH": "/x"})
    assert json.loads(await text(server, "env")) == {
        "PATH": "/bin",
        "TOKEN": "t0k",
        "PYTHONPATH": "/x",
    }


async def test_a_child_is_limited_and_leads_a_session_of_its_own(
    children: Children, tmp_path: Path
) -> None:
    from modelplex.mcp.child_settings import ProcessLimits

    limits = ProcessLimits(memory=500 * 2**20, cpu=1000, files=64)
    server = children.server(limits=limits, cwd=str(tmp_path))
    told, cwd, status = json.loads(await text(server, "limits"))
    pid = server.status.pid
    assert told == {
        "RLIMIT_DATA": [500 * 2**20] * 2,
        "RLIMIT_CPU": [1000] * 2,
        "RLIMIT_NOFILE": [64] * 2,
        "RLIMIT_CORE": [0, 0],
        "group": [pid, pid],
    }
    assert cwd == str(tmp_path)
    assert "NoNewPrivs:\t1" in status


async def test_a_wrapper_runs_the_command(children: Children) -> None:
    server = children.server(wrapper=("env", "WRAPPED=yes"))
    assert json.loads(await text(server, "env"))["WRAPPED"] == "yes"


async def test_what_is_pipelined_is_answered_in_any_order(children: Children) -> None:
    server = children.server()
    slow, quick = call(server, "sleep", seconds=0.2), call(server, "echo", text="x")
    assert (await quick)["content"][0]["text"] == "x"
    assert not slow.called
    assert (await slow)["content"][0]["text"] == "slept"


async def test_a_result_of_ten_megabytes_arrives_and_a_longer_one_is_an_error(
    children: Children,
) -> None:
    from modelplex.wire.jsonrpc import RpcError

    server = children.server()
    size = 10 * 2**20 - 200
    assert len(await text(server, "big", size=size)) == size
    with pytest.raises(RpcError, match="the answer is over 10485760 bytes"):
        await text(server, "big", size=size + 400)
    assert await answers(server)
    assert server.status.restarts == 0


async def test_arguments_of_ten_megabytes_are_sent(children: Children) -> None:
    server = children.server()
    sent = "x" * 10 * 2**20
    with pytest.raises(Exception, match="over"):
        await text(server, "echo", text=sent)
    assert await text(server, "echo", text=sent[:9_000_000]) == sent[:9_000_000]


async def test_text_that_is_no_utf8_arrives(children: Children) -> None:
    server = children.server()
    assert await call(server, "latin") == {"t": "caf\ufffd"}
    assert await call(server, "half") == {"t": "\ufffd!"}


async def test_a_megabyte_of_complaints_stops_nothing_and_is_logged_in_part(
    children: Children,
) -> None:
    lines: list[str] = []

    @implementer(ILogObserver)
    def observer(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observer)
    try:
        server = children.server()
        assert await text(server, "stderr", size=3 * 2**20) == "complained"
        assert await answers(server)
        await server.stop()
    finally:
        globalLogPublisher.removeObserver(observer)
    said = [line for line in lines if line.startswith("fake stderr: all is lost")]
    assert 100 <= len(said) <= 200
    assert any("more lines" in line for line in lines)


@pytest.mark.parametrize("tool", ["crash", "exit"])
async def test_a_crash_fails_what_is_in_flight_and_the_next_call_works(
    children: Children, tool: str
) -> None:
    from modelplex.tools import ToolServerError

    server = children.server()
    waiting = [call(server, "never") for _ in range(5)]
    ended = call(server, tool, code=3)
    if tool == "exit":
        assert (await ended)["content"][0]["text"] == "the last words"
    for one in [*waiting, *([ended] if tool == "crash" else [])]:
        with pytest.raises(ToolServerError, match="ended before it had answered"):
            await one
    why = server.status.why
    assert why == ("killed by SIGKILL" if tool == "crash" else "exit code 3")
    assert await answers(server)
    assert server.status.restarts == 1


@pytest.mark.parametrize("habit", ["ignore-eof", "ignore-term"])
async def test_a_server_that_does_not_want_to_end_is_ended(
    children: Children, habit: str
) -> None:
    server = children.server(habit, grace=0.2)
    assert await answers(server)
    pid = server.status.pid
    assert pid is not None
    began = time.monotonic()
    await server.stop()
    took = time.monotonic() - began
    least = 0.2 if habit == "ignore-eof" else 0.4
    assert least <= took < least + 2
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("ending", ["stop", "crash"])
async def test_what_a_server_has_started_ends_with_it(
    children: Children, ending: str
) -> None:
    server = children.server("grandchild")
    assert await answers(server)
    group = server.status.pid
    assert group is not None
    assert len(members(group)) == 2
    if ending == "stop":
        await server.stop()
    else:
        call(server, "crash").addErrback(lambda _: None)
        await until(lambda: server.status.pid != group)
    await until(lambda: not members(group))


async def test_a_daemon_that_holds_a_pipe_does_not_hold_the_server(
    children: Children,
) -> None:
    server = children.server("daemon")
    assert await answers(server)
    group = server.status.pid
    assert group is not None
    path = Path(f"/proc/{group}/task/{group}/children")
    (daemon,) = map(int, path.read_text().split())
    try:
        began = time.monotonic()
        await server.stop()
        assert time.monotonic() - began < 3
    finally:
        os.kill(daemon, signal.SIGKILL)


async def test_a_server_that_does_not_read_does_not_fill_our_memory(
    children: Children,
) -> None:
    from modelplex.tools import ToolServerError

    server = children.server(concurrency=100)
    await text(server, "deaf")
    sent = "x" * 2**20
    waiting = [call(server, "echo", text=sent) for _ in range(40)]
    refused = [one for one in waiting if one.called]
    assert 20 <= len(refused) < 30
    for one in waiting:
        one.cancel()
        with pytest.raises((ToolServerError, CancelledError)):
            await one


async def test_a_cancelled_call_is_cancelled_at_the_server(children: Children) -> None:
    server = children.server()
    assert await answers(server)
    waiting = call(server, "sleep", seconds=0.2)
    await pause(0.05)
    waiting.cancel()
    with pytest.raises(CancelledError):
        await waiting
    seen = json.loads(await text(server, "seen"))
    assert seen[-2:] == ["notifications/cancelled", "tools/call"]


async def test_progress_extends_a_call_and_silence_ends_it(children: Children) -> None:
    from modelplex.testing.fakes.child import Asked
    from modelplex.tools import ToolServerTimeout

    caller, server = Asked(), children.server(timeout=1)
    assert await text(server, "progress", caller, steps=6, pause=0.3) == "done"
    assert caller.progress == [1, 2, 3, 4, 5, 6]
    with pytest.raises(ToolServerTimeout):
        await text(server, "never")
    assert await answers(server)


async def test_lines_reach_the_only_caller_from_its_level_on(
    children: Children,
) -> None:
    from modelplex.testing.fakes.child import Asked

    for habits in ([], ["modern"]):
        caller, server = Asked(level="info"), children.server(*habits)
        assert await text(server, "log", caller) == "logged"
        assert caller.lines == [("info", "about info"), ("error", "about error")]


@pytest.mark.parametrize("method", ["elicitation/create", "sampling/createMessage"])
async def test_an_interactive_server_asks_its_caller(
    children: Children, method: str
) -> None:
    from modelplex.testing.fakes.child import Asked

    caller, server = Asked(), children.server(interactive=True)
    told = await text(server, "ask", caller, method=method)
    assert json.loads(told) == {"action": "accept"}
    assert await text(server, "ask-withdraw", caller) == "never mind"


async def test_a_server_that_is_shared_asks_nobody(children: Children) -> None:
    from modelplex.testing.fakes.child import Asked

    caller, server = Asked(), children.server()
    told = json.loads(await text(server, "ask", caller))
    assert told["code"] == -32601
    assert not caller.questions


async def test_roots_are_told_to_a_server_that_asks_at_once(
    children: Children, tmp_path: Path
) -> None:
    server = children.server("roots", roots=(str(tmp_path),))
    told = json.loads(await text(server, "ask", method="roots/list"))
    assert told == {"roots": [{"uri": tmp_path.as_uri(), "name": tmp_path.name}]}


async def test_a_modern_server_asks_in_rounds(children: Children) -> None:
    from modelplex.testing.fakes.child import Asked

    caller, server = Asked(), children.server("modern", roots=("/srv",))
    told = json.loads(await text(server, "rounds", caller, rounds=3))
    assert told["answers"] == {
        "ok": {"action": "accept"},
        "where": {"roots": [{"uri": "file:///srv", "name": "srv"}]},
    }
    assert [set(one) for one in caller.questions] == [{"ok"}] * 3
    assert await call(server, "rounds", caller, rounds=1, silent=True)
    with pytest.raises(Exception, match="asked over 10 times"):
        await text(server, "rounds", caller, rounds=99)


async def test_a_storm_of_changes_reads_the_lists_once(children: Children) -> None:
    from modelplex.testing.fakes.child import Watching

    for habits in ([], ["modern"]):
        server, watching = children.server(*habits), Watching()
        await server.refresh()
        server.watch(watching)
        await text(server, "change", tool="new", times=500)
        await until(lambda watching=watching: watching.changes)
        assert server.listing.tools[-1]["name"] == "new"
        seen = json.loads(await text(server, "seen"))
        assert seen.count("tools/list") == 2
        assert watching.changes == 1


async def test_subscriptions_and_levels_survive_a_crash(children: Children) -> None:
    from modelplex.testing.fakes.child import Watching
    from modelplex.tools import Silent

    uri = {"uri": "test://one"}
    for habits in ([], ["modern"]):
        server, watching = children.server(*habits), Watching()
        server.watch(watching)
        await server.request("resources/subscribe", uri, Silent())
        await server.request("logging/setLevel", {"level": "info"}, Silent())
        call(server, "crash").addErrback(lambda _: None)
        await until(lambda server=server: server.status.restarts)
        await text(server, "touch", **uri)
        await until(lambda watching=watching: watching.uris == ["test://one"])
        seen = json.loads(await text(server, "seen"))
        if habits:
            assert "subscriptions/listen test://one" in seen
        else:
            assert "resources/subscribe test://one" in seen
            assert "logging/setLevel info" in seen


async def test_many_calls_at_once_each_get_their_own_answer(children: Children) -> None:
    server = children.server(concurrency=64, queue=2000)
    sums = await gatherResults([call(server, "add", a=n, b=1) for n in range(1000)])
    assert [int(one["content"][0]["text"]) for one in sums] == list(range(1, 1001))


async def churn(children: Children, count: int, seed: int) -> None:
    """Make `count` calls while processes are killed; every one has one outcome."""
    from modelplex.mcp.child_settings import RestartSettings
    from modelplex.tools import ToolServerError

    chance = random.Random(seed)
    often = RestartSettings(first=0.001, most=0.01, times=10**9)
    servers = [
        children.server(*habits, restarts=often, queue=10**6, timeout=20)
        for habits in ([], ["modern"], ["grandchild", "exit-on-discover"])
    ]
    outcomes = {"answered": 0, "failed": 0, "cancelled": 0}
    groups = set()

    async def one(number: int) -> None:
        server = chance.choice(servers)
        tool = chance.choice(["add", "add", "sleep"])
        called = call(server, tool, a=number, b=1, seconds=0.005)
        if chance.random() < 0.1:
            from twisted.internet import reactor

            reactor.callLater(chance.random() * 0.01, called.cancel)
        try:
            text = (await called)["content"][0]["text"]
        except ToolServerError:
            outcomes["failed"] += 1
        except CancelledError:
            outcomes["cancelled"] += 1
        else:
            assert text == ("slept" if tool == "sleep" else str(number + 1))
            outcomes["answered"] += 1

    async def worker(numbers: Iterator[int]) -> None:
        for number in numbers:
            await one(number)
            pid = chance.choice(servers).status.pid
            if pid is not None:
                groups.add(pid)
                if chance.random() < 0.03:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    numbers = iter(range(count))
    await gatherResults([Deferred.fromCoroutine(worker(numbers)) for _ in range(20)])
    assert sum(outcomes.values()) == count
    assert outcomes["answered"] > count / 4
    assert outcomes["failed"] > count / 1000
    for server in servers:
        assert server.status.in_flight == 0
        await server.stop()
        assert server.status.in_flight == 0
    await until(lambda: not any(members(group) for group in groups))


async def test_a_thousand_calls_and_random_kills_leave_nothing(
    children: Children,
) -> None:
    await churn(children, 1000, seed=1)


@pytest.mark.slow
async def test_ten_thousand_calls_and_random_kills_leave_nothing(
    children: Children,
) -> None:
    await churn(children, 10_000, seed=2)


# Nothing is left, even of a Modelplex that was killed

PARENT = """
import os, sys
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from modelplex.testing.fakes.child import Asked, Children

children = Children(reactor)
async def run():
    for habits in (["grandchild", "ignore-term"], ["ignore-eof"], ["modern"]):
        server = children.server(*habits)
        given = {"name": "echo", "arguments": {"text": "x"}}
        await server.request("tools/call", given, Asked())
        print(server.status.pid, flush=True)
    print("ready", flush=True)
Deferred.fromCoroutine(run())
reactor.run()
"""


def test_nothing_is_left_of_a_modelplex_that_was_killed(tmp_path: Path) -> None:
    import subprocess

    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        told = list(iter(parent.stdout.readline, "ready\n"))
        groups = [int(line) for line in told]
        guards = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text()
        assert len(guards.split()) == 4
        assert [len(members(group)) for group in groups] == [2, 1, 1]
        parent.kill()
    end = time.monotonic() + 10
    while any(members(group) for group in groups) or alive(guards):
        assert time.monotonic() < end, "something is left"
        time.sleep(0.02)


def alive(pids: str) -> list[str]:
    return [pid for pid in pids.split() if Path(f"/proc/{pid}").exists()]


def test_a_child_whose_parent_is_gone_already_does_not_run() -> None:
    import subprocess

    from modelplex.mcp.process import LAUNCHER

    argv = [sys.executable, "-I", "-S", str(LAUNCHER), "parent=1", "--", "echo", "ran"]
    ended = subprocess.run(argv, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, b"")
