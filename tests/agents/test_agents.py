"""Agents from npm, unmodified, each doing a task with its own tools over the socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from twisted.internet.threads import deferToThread

from modelplex.testing.fakes.house import House
from modelplex.testing.fakes.script import Call, Script
from modelplex.testing.fakes.upstream import Received, Upstream
from tests.agents.agents import (
    AGENTS,
    CLAUDE_CODE,
    DUMMY,
    GEMINI_CLI,
    Agent,
    codex,
    opencode,
)
from tests.agents.kinds import KEY, MODEL, SPEAKERS
from tests.agents.sandbox import Ran, Sandbox, need, need_namespaces

pytestmark = pytest.mark.agents

Opening = Callable[..., Upstream]

TASK = "Write down what your environment is, and tell me the word."
WORD = "größe ☃ 4711"
# Both at once, as models do it.
COMMANDS = ("env > environment.txt", "cat word.txt && echo done > done.txt")

# A model of Codex's own: it is offered one tool that takes a program, as a text, in a
# namespace; and how that tool is called where there are no such tools.
OWN_MODEL = "gpt-6.1-sol"
OWN_TOOL = {
    "responses": "exec",
    "openai": "functions--exec",
    "anthropic": "functions--exec-freeform",
    "gemini": "functions--exec.freeform",
    "ollama": "functions--exec-freeform",
}

# Models of gemini-cli's own: the first is asked in JSON how hard the task is.
OWN_CHOICE = ("gemini-3.5-flash-lite", "gemini-3.1-pro-preview-customtools")
CHOICE = Script(json.dumps({"complexity_reasoning": "Hm.", "complexity_score": 90}))
CHOSEN = ("--model", MODEL)


def script(agent: Agent) -> Script:
    """Two calls of the agent's own shell; then an answer that repeats the results."""
    name, argument = agent.shell
    calls = [
        Call(f"call_{number}", name, {argument: command, **agent.more})
        for number, command in enumerate(COMMANDS)
    ]
    return Script(thinking="I had better look.", calls=tuple(calls))


def own_script(kind: str) -> Script:
    """The same for `OWN_MODEL`."""
    calls = [
        Call(
            f"call_{number}",
            OWN_TOOL[kind],
            {"input": f"text((await tools.exec_command({json.dumps(asked)})).output)"},
        )
        for number, asked in enumerate({"cmd": command} for command in COMMANDS)
    ]
    return Script(thinking="I had better look.", calls=tuple(calls))


async def works(agent: Agent, box: Sandbox, upstream: Upstream, house: House) -> Ran:
    """What `agent` did: its task, and no key got to where it does not belong."""
    box.project.mkdir()
    (box.project / "word.txt").write_text(f"{WORD}\n")
    box.settle(agent.files)
    ran = await deferToThread(box.run, [*agent.command, TASK], agent.environ)
    said = f"{ran.out}\n{ran.err}"

    refused = [one for one in upstream.posts() if one.heard is None]
    assert not refused, f"the upstream refused {refused[0]!r}\n{said}"
    failed = [one for one in house.exchanges() if one["status"] != 200]
    assert not failed, f"{failed[0]}\n{said}"
    assert ran.status == 0, said
    assert (box.project / "done.txt").read_text() == "done\n", said
    assert WORD in ran.out, said

    results = [one.heard.results for one in upstream.posts() if one.heard is not None]
    [((_, first), (_, second))] = filter(None, results)
    assert WORD not in first and WORD in second

    environment = (box.project / "environment.txt").read_text()
    assert str(box.home) in environment and KEY not in environment
    assert KEY.encode() not in ran.traffic
    for one in upstream.received:
        assert DUMMY not in f"{one.path} {one.query} {one.headers}"
        assert DUMMY.encode() not in one.body
    return ran


@pytest.mark.parametrize("kind", SPEAKERS)
@pytest.mark.parametrize("name", AGENTS)
async def test_an_agent_does_its_task_with_any_model(
    house: House, upstream: Opening, tmp_path: Path, name: str, kind: str
) -> None:
    agent = AGENTS[name]
    need(agent.command[0])
    one = upstream(kind, script(agent))
    ran = await works(agent, Sandbox(tmp_path, house.socket), one, house)
    assert DUMMY.encode() in ran.traffic, "it went another way"


async def test_claude_code_needs_no_forwarder(
    house: House, upstream: Opening, tmp_path: Path
) -> None:
    need("claude")
    one = upstream("anthropic", script(CLAUDE_CODE))
    direct = CLAUDE_CODE.over(
        ANTHROPIC_BASE_URL="http://localhost", ANTHROPIC_UNIX_SOCKET=house.socket
    )
    ran = await works(direct, Sandbox(tmp_path, house.socket), one, house)
    assert ran.traffic == b"", "it went by the forwarder"


@pytest.mark.parametrize("kind", OWN_TOOL)
@pytest.mark.parametrize("built_in", [False, True], ids=["http", "websocket"])
async def test_codex_uses_the_tools_of_its_own_models(
    house: House, upstream: Opening, tmp_path: Path, kind: str, built_in: bool
) -> None:
    need("codex")
    one = upstream(kind, own_script(kind), OWN_MODEL)
    agent = codex(OWN_MODEL, built_in=built_in)
    ran = await works(agent, Sandbox(tmp_path, house.socket), one, house)
    upgraded = ran.traffic.count(b"HTTP/1.1 101 ")
    assert upgraded == int(built_in), "one connection for all, or none"


@pytest.mark.parametrize("kind", SPEAKERS)
async def test_gemini_cli_lets_a_small_model_choose_the_one_to_ask(
    house: House, upstream: Opening, tmp_path: Path, kind: str
) -> None:
    need("gemini")
    asks_by_itself = evolve(
        GEMINI_CLI, command=tuple(w for w in GEMINI_CLI.command if w not in CHOSEN)
    )
    working = script(asks_by_itself)
    one = upstream(kind, working, *OWN_CHOICE)

    def answer(asked: Received) -> None:
        choosing = b"complexity_score" in asked.body
        one.script = CHOICE if choosing else working
        one.request().addCallback(answer)

    one.request().addCallback(answer)
    await works(asks_by_itself, Sandbox(tmp_path, house.socket), one, house)
    choice, *work = house.exchanges()
    assert choice["model"] != work[0]["model"]
    heard = one.posts()[0].heard
    assert heard is not None
    word = "OBJECT" if kind == "gemini" else "object"
    assert heard.schema["type"] == word, "only Gemini knows types in capitals"


@pytest.mark.parametrize(
    ("package", "version", "path"),
    [
        ("@ai-sdk/openai", "v1", "/v1/responses"),
        ("@ai-sdk/anthropic", "v1", "/v1/messages"),
        ("@ai-sdk/google", "v1beta", "/v1beta/models/fast:streamGenerateContent"),
    ],
)
@pytest.mark.parametrize("kind", ["openai", "anthropic"])
async def test_opencode_may_speak_another_api(
    house: House,
    upstream: Opening,
    tmp_path: Path,
    kind: str,
    package: str,
    version: str,
    path: str,
) -> None:
    need("opencode")
    agent = opencode(package, version)
    one = upstream(kind, script(agent))
    ran = await works(agent, Sandbox(tmp_path, house.socket), one, house)
    assert f"POST {path}".encode() in ran.traffic


def test_an_agent_has_no_network_but_its_loopback_port(tmp_path: Path) -> None:
    need_namespaces()
    box = Sandbox(tmp_path, "")
    box.project.mkdir()
    interfaces = box.run(["tail", "-n", "+3", "/proc/net/dev"], {}).out.splitlines()
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
    assert box.run(["tail", "-n", "+2", "/proc/net/route"], {}).out == ""
