"""``modelplex check`` against providers that work and providers that do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from modelplex.cli.check import Finding, _judged, check
from modelplex.config import Provider, parse

CONFIG = """
[[providers]]
name = "demo"
type = "demo"

[[providers]]
name = "refused"
type = "demo"
demo = { fail = "http-401" }

[[providers]]
name = "down"
type = "openai"
base_url = "http+unix://%2Fnonexistent%2Fsocket/v1"
"""


@pytest_twisted.ensureDeferred
async def test_every_provider_is_asked_and_told_of_by_itself() -> None:
    found = {f.name: f for f in await check(parse(CONFIG, {}), reactor, {})}
    assert {name: f.ok for name, f in found.items()} == {
        "demo": True,
        "refused": False,
        "down": False,
    }
    assert "key is refused" in found["refused"].said
    assert "no connection" in found["down"].said
    assert isinstance(found["demo"], Finding)


TOOLS = """
[[mcp.servers]]
name = "notes"
command = "{python}"
args = ["-m", "modelplex.cli.demo_tools"]

[[mcp.servers]]
name = "crashes"
command = "{python}"
args = ["-c", "raise SystemExit(3)"]

[[mcp.servers]]
name = "missing"
command = "no-such-program"

[[mcp.servers]]
name = "away"
url = "http://127.0.0.1:9/mcp"
"""


@pytest_twisted.ensureDeferred
async def test_every_tool_server_is_asked_too() -> None:
    config = parse(CONFIG + TOOLS.format(python=sys.executable), {})
    environ = {"PATH": os.environ["PATH"]}
    found = {f.name: f for f in await check(config, reactor, environ)}
    assert found["notes"].ok and found["notes"].said == "2 tools"
    for name, why in (
        ("crashes", "exit code 3"),
        ("missing", "no-such-program"),
        ("away", "no connection"),
    ):
        assert not found[name].ok and why in found[name].said, found[name]


def run(
    config: str, directory: Path, **environ: str
) -> subprocess.CompletedProcess[str]:
    path = directory / "config.toml"
    path.write_text(config)
    return subprocess.run(
        [sys.executable, "-m", "modelplex.cli.main", "check", "-c", str(path)],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_failure_is_status_1_and_a_table_says_where(tmp_path: Path) -> None:
    done = run(CONFIG, tmp_path)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["NAME", "TYPE", "RESULT", "MS", "DETAIL"]
    assert [line.split()[2] for line in lines[1:4]] == ["ok", "FAILED", "FAILED"]


def test_a_provider_without_its_variable_fails(tmp_path: Path) -> None:
    config = CONFIG.split("[[providers]]")[1]
    unset = '[[providers]]\nname = "x"\ntype = "openai"\napi_key = "${NOT_SET}"\n'
    assert run("[[providers]]" + config, tmp_path).returncode == 0
    done = run("[[providers]]" + config + unset, tmp_path)
    assert done.returncode == 1
    assert "NOT_SET" in done.stdout


def test_mistakes_are_all_told_and_nothing_is_asked(tmp_path: Path) -> None:
    done = run('[server]\nsokcet = "x"\n[[providers]]\nname = 1\n', tmp_path)
    assert done.returncode == 1
    assert "server.sokcet" in done.stderr and "providers[0]" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("type", "models", "there", "missing"),
    [
        ("openai", ("gpt-4", "gpt-*"), ["gpt-4"], ""),
        ("openai", ("gpt-4", "gpt-5"), ["gpt-4"], "gpt-5"),
        ("openai", {"fast": "gpt-4o-mini"}, ["gpt-4"], "gpt-4o-mini"),
        ("ollama", ("llama3",), ["llama3:latest"], ""),
        ("azure", ("my-deployment",), ["gpt-4o"], ""),
        ("gemini", ("gemini-x", "gemini-y"), ["gemini-x"], "gemini-y"),
    ],
)
def test_models_that_the_provider_does_not_list_are_told(
    type: str, models: tuple[str, ...] | dict[str, str], there: list[str], missing: str
) -> None:
    provider = Provider(name="p", type=type, models=models)  # type: ignore[arg-type]
    ok, said = _judged(provider, there)
    assert ok
    assert ("not among them" in said) == bool(missing) and missing in said
