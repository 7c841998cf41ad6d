"""Every command and every example of the README, run as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelplex.config import parse

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.rst").read_text()
BIN = Path(sys.executable).parent

# Commands that set a machine up rather than use it; make and CI run these.
SET_UP = ("make demo", "make test", "pip install .")
# Commands that serve until they are stopped.
SERVES = ("modelplex --config", "twistd -n modelplex", "twistd -ny")


def blocks(language: str) -> list[str]:
    """The code blocks of `language`, without their indentation."""
    found = re.findall(
        rf"^\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)", README, re.MULTILINE
    )
    return [
        "\n".join(line[4:] for line in text.rstrip().splitlines()) for text in found
    ]


def commands() -> list[str]:
    """The commands after a prompt, each with its continuation lines."""
    text = "\n".join(blocks("console"))
    return [one.strip() for one in re.split(r"^\$ ", text, flags=re.MULTILINE) if one]


def environment(directory: Path) -> dict[str, str]:
    return {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(directory),
        "XDG_RUNTIME_DIR": str(directory.with_name("run")),
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """An empty directory as a user's, with the files the commands name."""
    # The control socket is not to be below the directory of a guest's socket.
    (tmp_path / "run").mkdir(mode=0o700)
    directory = tmp_path / "here"
    (directory / "etc").mkdir(parents=True)
    shutil.copy(ROOT / "etc/modelplex.tac", directory / "etc")
    yield directory


def run(command: str, directory: Path) -> str:
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=directory,
        env=environment(directory),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def serving(command: str, directory: Path) -> subprocess.Popen[str]:
    """Start `command` and wait until its socket answers."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=directory,
        env=environment(directory),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    path = str(directory / "modelplex.socket")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(path)
            except OSError:
                time.sleep(0.05)
            else:
                return process
    process.kill()
    raise AssertionError(f"{command}: does not serve: {process.communicate()[1]}")


def stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=20)
    # twistd ends with the signal that it was sent; the command of ours with 0.
    assert process.returncode in (0, -signal.SIGTERM), stderr


def test_every_command_of_the_readme_works_in_order(directory: Path) -> None:
    process: subprocess.Popen[str] | None = None
    ran = []
    try:
        for command in commands():
            if command in SET_UP:
                continue
            if command.startswith(SERVES):
                if process is not None:
                    stop(process)
                process = serving(command, directory)
            else:
                ran.append(run(command, directory))
    finally:
        if process is not None:
            stop(process)
    said = "\n".join(ran)
    assert '"status":"ok"' in said
    assert "data: [DONE]" in said
    assert "serving" in said, "modelplex status"


def test_the_python_example_of_the_readme_works(directory: Path) -> None:
    pytest.importorskip("openai", reason="the example is for the openai package")
    [example] = blocks("python")
    (directory / "example.py").write_text(example)
    run("modelplex init", directory)
    process = serving("modelplex", directory)
    try:
        said = run(f"{sys.executable} example.py", directory)
    finally:
        stop(process)
    assert said == "You said: Hello from isolation!\n"


def test_the_forwarder_of_the_readme_works(directory: Path) -> None:
    if shutil.which("socat") is None:
        pytest.skip("socat is not installed")
    [block] = blocks("sh")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = block.splitlines()[0].replace("8080", str(port)).removesuffix(" &")
    run("modelplex init", directory)
    process = serving("modelplex", directory)
    forwarder = subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=directory)
    try:
        said = run(
            "curl -sS --retry 20 --retry-connrefused --retry-delay 0 "
            f"http://127.0.0.1:{port}/health",
            directory,
        )
    finally:
        forwarder.kill()
        forwarder.wait()
        stop(process)
    assert '"status":"ok"' in said


@pytest.mark.parametrize("text", blocks("toml"))
def test_every_configuration_of_the_readme_loads(text: str) -> None:
    config = parse(text, {"OPENAI_API_KEY": "sk-x"})
    assert config.providers or config.mcp.servers
