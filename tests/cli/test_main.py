"""Which subcommand runs, and what is said when none can."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelplex.cli.main import COMMANDS, _split, main


@pytest.mark.parametrize(
    ("words", "command", "rest"),
    [
        ([], None, []),
        (["-v"], None, ["-v"]),
        (["check"], "check", []),
        (["-c", "a.toml", "check"], "check", ["-c", "a.toml"]),
        (["check", "-c", "a.toml"], "check", ["-c", "a.toml"]),
        # A file may be called like a command.
        (["-c", "check"], None, ["-c", "check"]),
        (["--socket", "models", "status", "--json"], "status", None),
        (["--config=x", "models"], "models", ["--config=x"]),
    ],
)
def test_a_command_may_follow_the_common_options(
    words: list[str], command: str | None, rest: list[str] | None
) -> None:
    found, left = _split(words)
    assert found == command
    assert rest is None or left == rest


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_every_command_explains_itself(
    command: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*([command] if command else []), "-h"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "usage: modelplex" in said
    if command is None:
        assert all(name in said for name in COMMANDS)


def test_the_version_is_the_packages_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    from importlib.metadata import version

    assert capsys.readouterr().out == f"modelplex {version('modelplex')}\n"


def test_wrong_usage_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--sokcet", "x"])
    assert ended.value.code == 2


def test_a_missing_configuration_is_one_line_that_helps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-c", str(tmp_path / "none.toml")]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "modelplex init" in line and "modelplex demo" in line


@pytest.mark.parametrize("command", ["status", "models"])
def test_asking_where_nothing_runs_is_one_line_that_helps(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    missing = str(tmp_path / "none")
    assert main([command, "-c", missing, "-s", missing]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert f"no modelplex serves {missing}" in line


def test_the_demo_shows_every_scene_and_holds_no_key(tmp_path: Path) -> None:
    pytest.importorskip("openai", reason="the demo's agent uses it")
    done = subprocess.run(
        [sys.executable, "-m", "modelplex.cli.main", "demo"],
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout
    for part in (
        "You said: Hello from isolation!",
        "7 tokens in, 9 out",
        'calls count_words({"path":"README.rst"})',
        "sees the tools notes__read_note (",
        "The tool said: bread, tea, a new Unix socket",
        "modelplex-provider: demo",
        "broken reliable: upstream_unreachable",
        "404 model_not_found",
        "403 forbidden_by_policy: messages[0].content: not allowed",
        'allow = ["remote-urls"]',
    ):
        assert part in said
    assert list(tmp_path.iterdir()) == [], "what the demo made is gone again"
