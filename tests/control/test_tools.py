"""What the operator does about tools, over the control socket and from the command."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.web.server import Site

from modelplex.cli import approve, log, tools
from modelplex.cli.main import parser
from modelplex.control.root import ControlRoot
from modelplex.control.tools import NoTools
from modelplex.errors import StorageError
from modelplex.storage.audit import AuditLog

WAITING = {
    "id": "ab12",
    "guest": "coder",
    "exposed": "fs__write",
    "arguments": {"path": "/a\u202eb", "n\x1b[2J": "x\ny"},
    "digest": "d" * 64,
    "definition": "e" * 64,
    "seconds_left": 42,
}
SERVERS: list[dict[str, Any]] = [
    {
        "name": "fs",
        "state": "ready",
        "why": "",
        "version": "2025-11-25",
        "pid": 7,
        "tools": [
            {"exposed": "fs__read", "standing": "trusted", "hash": "a" * 64},
            {
                "exposed": "fs__\x1b[2Jx",
                "standing": "changed",
                "changed": ["description"],
                "hash": "b" * 64,
            },
        ],
    },
    {"name": "git", "state": "backoff", "why": "it ended\x1b]0;x\x07"},
]


class Desk:
    """Knows of two servers and one call, and notes what it is told to do."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.broken = False

    def tools(self) -> list[dict[str, Any]]:
        return SERVERS

    def accept(self, server: str, tool: str | None, hash: str | None) -> list[str]:
        if self.broken:
            raise StorageError("no room")
        if server != "fs":
            raise KeyError(server)
        self.done.append(("accept", tool, hash))
        return [tool] if tool else ["read", "x"]

    def restart(self, server: str) -> None:
        if server != "fs":
            raise KeyError(server)
        self.done.append(("restart", server))

    def approvals(self) -> list[dict[str, Any]]:
        return [WAITING]

    def approve(self, id: str) -> bool:
        self.done.append(("approve", id))
        return id == "ab12"

    def deny(self, id: str, why: str) -> bool:
        self.done.append(("deny", id, why))
        return id == "ab12"


Run = Callable[..., Any]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def run(desk: Desk, tmp_path: Path) -> Iterator[Run]:
    """Runs a command in a thread against a control socket that is served."""
    control = tmp_path / "control.socket"
    root = ControlRoot(dict, list, desk).resource()
    port = reactor.listenUNIX(str(control), Site(root, timeout=None))  # type: ignore[attr-defined]
    config = tmp_path / "config.toml"
    socket = tmp_path / "sockets" / "s"
    config.write_text(f"[server]\nsocket = '{socket}'\ncontrol = '{control}'\n")

    def run(module: Any, name: str, *words: str) -> Any:
        made = parser(name)
        module.add_arguments(made)
        args = made.parse_args(["-c", str(config), *words])
        out = io.StringIO()
        environ = {"XDG_STATE_HOME": str(tmp_path)}

        def ran() -> tuple[int, str]:
            assert threading.current_thread() is not threading.main_thread()
            return module.run(args, environ, out), out.getvalue()

        return deferToThread(ran)

    yield run
    pytest_twisted.blockon(port.stopListening())


@pytest_twisted.ensureDeferred
async def test_servers_and_tools_are_listed_with_what_waits(run: Run) -> None:
    code, said = await run(tools, "tools")
    assert code == 0
    assert "fs__read" in said and "changed" in said and "description" in said
    assert "1 wait to be accepted" in said
    code, said = await run(tools, "tools", "list", "git")
    assert "fs__read" not in said and "backoff" in said


@pytest_twisted.ensureDeferred
async def test_a_terminal_is_not_told_what_to_do_by_a_tool_server(run: Run) -> None:
    """Names, reasons and arguments with control sequences or turned around."""
    for one in (await run(tools, "tools"), await run(approve, "approve")):
        assert "\x1b" not in one[1] and "\x07" not in one[1] and "\u202e" not in one[1]
    _, said = await run(approve, "approve")
    assert '"/a\\u202eb"' in said and '"x\\ny"' in said


@pytest_twisted.ensureDeferred
async def test_definitions_are_accepted_and_servers_restarted(
    run: Run, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (await run(tools, "tools", "accept", "fs"))[0] == 0
    code, said = await run(tools, "tools", "accept", "fs", "read", "--hash", "h")
    assert (code, said) == (0, "accepted fs read\n")
    assert (await run(tools, "tools", "restart", "fs"))[0] == 0
    assert desk.done == [
        ("accept", None, None),
        ("accept", "read", "h"),
        ("restart", "fs"),
    ]
    for words in (["accept", "x"], ["restart", "x"]):
        assert (await run(tools, "tools", *words))[0] == 1
    assert "there is no tool server 'x'" in capsys.readouterr().err
    assert (await run(tools, "tools", "accept"))[0] == 2
    desk.broken = True
    assert (await run(tools, "tools", "accept", "fs"))[0] == 1


@pytest_twisted.ensureDeferred
async def test_a_call_is_approved_or_denied_by_its_id(
    run: Run, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (await run(approve, "approve", "ab12"))[0] == 0
    words = ["ab12", "--deny", "--why", "not now"]
    assert (await run(approve, "approve", *words))[0] == 0
    assert (await run(approve, "approve", "zz"))[0] == 1
    assert "no call zz waits" in capsys.readouterr().err
    assert (await run(approve, "approve", "../tools"))[0] == 1
    assert desk.done == [
        ("approve", "ab12"),
        ("deny", "ab12", "not now"),
        ("approve", "zz"),
    ]


@pytest_twisted.ensureDeferred
async def test_without_an_id_and_a_terminal_the_calls_are_listed(
    run: Run, desk: Desk
) -> None:
    code, said = await run(approve, "approve")
    assert code == 0 and "ab12  coder wants fs__write, 42s left" in said
    assert desk.done == []
    code, said = await run(approve, "approve", "--json")
    assert said.startswith('[{"id":"ab12"')


class Terminal(io.StringIO):
    """What an operator types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "done"),
    [
        ("y\n", [("approve", "ab12")]),
        ("No\n", [("deny", "ab12", "")]),
        ("\n", []),
        ("yes please\n", []),
        ("", []),
    ],
)
@pytest_twisted.ensureDeferred
async def test_on_a_terminal_each_call_is_asked_about(
    run: Run,
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    done: list[tuple[Any, ...]],
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    code, said = await run(approve, "approve")
    assert code == 0 and "approve? [y]es, [n]o, later: " in said
    assert desk.done == done


@pytest_twisted.ensureDeferred
async def test_the_record_is_shown_and_verified(run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "audit.jsonl")
    kept = AuditLog.opened(path, lambda: 0.0, print, max_size=1024)
    for n in range(9):
        members = {"guest": "g", "exposed": f"t{n}\x1b", "outcome": "ok", "rule": "r"}
        kept.write("call", {**members, "duration_ms": 1.5})
    kept.close()
    code, said = await run(log, "log", "show", path)
    assert code == 0 and len(said.splitlines()) == 9 and "\x1b" not in said
    first = said.splitlines()[0]
    assert first == "1970-01-01T00:00:00Z 1 call g t0<U+001B> ok (r) 1.5ms"
    code, said = await run(log, "log", "verify", path)
    assert code == 0 and said.startswith("ok: 9 lines")
    assert (await run(log, "log", "verify", path, "--head", "0" * 64))[0] == 1
    Path(path).write_bytes(b"{}\n")
    code, said = await run(log, "log", "verify", path)
    assert code == 1 and f"{path}:1" in said
    assert (await run(log, "log"))[0] == 1, "there is none at the default place"


@pytest_twisted.ensureDeferred
async def test_lines_are_followed_as_they_come(tmp_path: Path) -> None:
    path = str(tmp_path / "audit.jsonl")
    kept = AuditLog.opened(path, lambda: 0.0, print, max_size=600)
    kept.write("call", {"n": 0})
    lines = log._lines(path, follow=True)
    numbers = []
    for n in range(1, 8):
        numbers.append((await deferToThread(next, lines)).split('"n":')[1][0])
        kept.write("call", {"n": n})
    kept.close()
    assert numbers == list("0123456")


def test_where_there_are_no_tools_there_is_nothing_to_do() -> None:
    none = NoTools()
    assert none.tools() == none.approvals() == []
    assert not none.approve("x") and not none.deny("x", "")
    with pytest.raises(KeyError):
        none.accept("x", None, None)
    with pytest.raises(KeyError):
        none.restart("x")
