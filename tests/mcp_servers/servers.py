"""Real tool servers from npm and PyPI: how they are configured, and what is asked."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

PLACE = Path(__file__).parents[2] / ".venv" / "mcp-servers"
MODULES = PLACE / "node_modules"
TEXT = "größe ☃ 4711"


@frozen
class Ask:
    """
    One call.

    :ivar says: is in what the tool answers; a number is the code of an error.
    """

    tool: str
    arguments: Mapping[str, Any]
    says: str | int
    failed: bool = False


@frozen
class Server:
    """
    A server, as it is configured.

    :ivar tools: how many of its tools a guest is offered.
    """

    name: str
    command: Sequence[str]
    tools: int
    asks: Sequence[Ask]
    env: Mapping[str, str] = {}
    interactive: bool = False

    def configured(self) -> str:
        """Its part of a configuration."""
        env = ", ".join(f'{name} = "{value}"' for name, value in self.env.items())
        return (
            f'[[mcp.servers]]\nname = "{self.name}"\ncommand = "{self.command[0]}"\n'
            f"args = {json.dumps(list(self.command[1:]))}\nenv = {{ {env} }}\n"
            f"interactive = {str(self.interactive).lower()}\n"
        )


def need() -> None:
    """Skip where they are not installed."""
    if not (PLACE / "installed").exists():
        pytest.skip("they are not installed: run `make mcp-servers`, which needs npm")
    for program in ("node", "git"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def servers(directory: Path) -> list[Server]:
    """All of them, with something in `directory` to work on."""
    files, repository = directory / "files", directory / "repository"
    files.mkdir()
    (files / "word.txt").write_text(TEXT)
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    (repository / "new.txt").write_text("new")
    return [*_of_npm(files, directory), *_of_python(repository, directory)]


def _of_npm(files: Path, directory: Path) -> list[Server]:
    def command(name: str, *arguments: str) -> list[str]:
        return [str(MODULES / ".bin" / f"mcp-server-{name}"), *arguments]

    word = str(files / "word.txt")
    entity = {"name": "Ada", "entityType": "person", "observations": [TEXT]}
    return [
        Server(
            "filesystem",
            command("filesystem", str(files)),
            14,
            [
                Ask("list_directory", {"path": str(files)}, "[FILE] word.txt"),
                Ask("read_text_file", {"path": word}, TEXT),
                Ask("read_text_file", {"path": "/etc/passwd"}, "denied", failed=True),
            ],
        ),
        Server(
            "everything",
            command("everything", "stdio"),
            12,  # and one that must be run as a task, which nobody is offered
            [
                Ask("echo", {"message": TEXT}, f"Echo: {TEXT}"),
                Ask("get-sum", {"a": 2, "b": 3}, "5"),
            ],
        ),
        Server(
            "memory",
            command("memory"),
            9,
            [
                Ask("create_entities", {"entities": [entity]}, TEXT),
                Ask("search_nodes", {"query": "4711"}, "Ada"),
            ],
            {"MEMORY_FILE_PATH": str(directory / "memory.jsonl")},
        ),
    ]


def _of_python(repository: Path, directory: Path) -> list[Server]:
    def command(name: str, *arguments: str) -> list[str]:
        return [str(PLACE / name / "bin" / f"mcp-server-{name}"), *arguments]

    paris = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Etc/GMT-2"}
    return [
        Server(
            "git",
            command("git", "--repository", str(repository)),
            12,
            [
                Ask("git_status", {"repo_path": str(repository)}, "new.txt"),
                Ask(
                    "git_add",
                    {"repo_path": str(repository), "files": ["new.txt"]},
                    "staged",
                ),
            ],
        ),
        Server(
            "time",
            command("time"),
            2,
            [
                Ask("get_current_time", {"timezone": "UTC"}, "UTC"),
                Ask("convert_time", paris, "14:00"),
            ],
        ),
        Server(
            "sqlite",
            command("sqlite", "--db-path", str(directory / "base.sqlite")),
            6,
            [
                Ask(
                    "create_table",
                    {"query": "CREATE TABLE IF NOT EXISTS words (word TEXT)"},
                    "created",
                ),
                Ask(
                    "write_query",
                    {"query": f"INSERT INTO words VALUES ('{TEXT}')"},
                    "affected_rows",
                ),
                Ask("read_query", {"query": "SELECT word FROM words"}, TEXT),
            ],
        ),
    ]
