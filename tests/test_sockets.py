"""A UNIX path is served by one process, with the rights asked for, and left clean."""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread

from modelplex.errors import StartError
from modelplex.sockets import MAX_PATH, listen


class Greeter(Protocol):
    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"hello")
        self.transport.loseConnection()


def greeter() -> Factory:
    return Factory.forProtocol(Greeter)


def greeting(path: Path, bound: str | None = None) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        if bound is not None:
            client.bind(bound)
        client.connect(str(path))
        return client.recv(100)


def stale_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()


def refusal(path: Path | str, **options: Any) -> str:
    """What `listen` says, which is one line and leaves no descriptor open."""
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(StartError) as refused:
        listen(reactor, str(path), greeter(), **options)
    assert set(os.listdir("/proc/self/fd")) == before
    said = str(refused.value)
    assert "\n" not in said
    return said


async def test_a_client_is_served_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listening = listen(reactor, str(path), greeter())
    assert await deferToThread(greeting, path) == b"hello"
    assert sorted(os.listdir(tmp_path)) == ["s", "s.lock"]
    await listening.stop()
    await listening.stop()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
async def test_the_mode_is_exact_whatever_the_umask(
    tmp_path: Path, umask: int, mode: int
) -> None:
    path = tmp_path / "s"
    before = os.umask(umask)
    try:
        listening = listen(reactor, str(path), greeter(), mode=mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    await listening.stop()


async def test_nobody_is_let_in_before_the_mode_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s"
    chmod, outcomes = os.chmod, []

    def probing_chmod(name: str, mode: int) -> None:
        with socket.socket(socket.AF_UNIX) as client:
            outcomes.append(client.connect_ex(name))
        chmod(name, mode)

    monkeypatch.setattr(os, "chmod", probing_chmod)
    listening = listen(reactor, str(path), greeter())
    assert outcomes == [errno.ECONNREFUSED]
    await listening.stop()


async def test_the_group_is_set_by_name(tmp_path: Path) -> None:
    gid = os.getgroups()[-1] if os.getgroups() else os.getgid()
    path = tmp_path / "s"
    name = grp.getgrgid(gid).gr_name
    listening = listen(reactor, str(path), greeter(), mode=0o660, group=name)
    assert path.stat().st_gid == gid
    await listening.stop()


def test_an_unknown_group_is_named(tmp_path: Path) -> None:
    assert "no-such-group" in refusal(tmp_path / "s", group="no-such-group")
    assert os.listdir(tmp_path) == []


async def test_a_stale_socket_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "s"
    stale_socket(path)
    listening = listen(reactor, str(path), greeter())
    assert await deferToThread(greeting, path) == b"hello"
    await listening.stop()


async def test_a_live_socket_is_never_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listening = listen(reactor, str(path), greeter())
    assert f"already served by process {os.getpid()}" in refusal(path)
    assert await deferToThread(greeting, path) == b"hello"
    await listening.stop()


def test_a_live_socket_of_another_program_is_never_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        assert "already served by another program" in refusal(path)
        assert path.exists()
    assert os.listdir(tmp_path) == ["s"]


def test_a_live_socket_with_a_full_backlog_is_live(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as one:
        other.bind(str(path))
        other.listen(0)
        one.connect(str(path))
        assert "already served" in refusal(path)


SERVES_UNTIL_KILLED = """
import sys
from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from modelplex.sockets import listen
listen(reactor, sys.argv[1], Factory.forProtocol(Protocol))
print("serving", flush=True)
reactor.run()
"""


async def test_what_a_killed_process_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with subprocess.Popen(
        [sys.executable, "-c", SERVES_UNTIL_KILLED, str(path)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        await deferToThread(child.stdout.readline)
        assert f"already served by process {child.pid}" in refusal(path)
        child.kill()
        await deferToThread(child.wait)
    assert sorted(os.listdir(tmp_path)) == ["s", "s.lock"]
    listening = listen(reactor, str(path), greeter())
    assert await deferToThread(greeting, path) == b"hello"
    await listening.stop()
    assert os.listdir(tmp_path) == []


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "none" / "s")


def test_a_file_for_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "not a directory" in refusal(tmp_path / "file" / "s").lower()


def test_a_directory_that_anyone_may_write_needs_its_sticky_bit(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o777)
    assert "world-writable" in refusal(tmp_path / "s")
    assert os.listdir(tmp_path) == []


async def test_a_sticky_directory_is_good_enough(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    await listen(reactor, str(tmp_path / "s"), greeter()).stop()


def test_a_path_that_is_too_long_is_refused_with_its_size(tmp_path: Path) -> None:
    path = f"{tmp_path}/{'s' * MAX_PATH}"
    assert f"{len(path)} bytes long, 107 are allowed" in refusal(path)


async def test_the_longest_path_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the absolute path is too long
    path = "s" * MAX_PATH
    listening = listen(reactor, path, greeter())
    assert os.path.exists(path)
    monkeypatch.chdir("/")  # as a daemon does
    await listening.stop()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_what_is_no_path_is_refused(path: str) -> None:
    assert "cannot be the path" in refusal(path)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.touch(), "is a file"),
        (lambda path: path.symlink_to("elsewhere"), "is a symbolic link"),
        (lambda path: os.mkfifo(path), "is a file"),
    ],
    ids=["directory", "file", "symlink", "fifo"],
)
def test_what_is_not_a_socket_is_left_alone(
    tmp_path: Path, made: Any, said: str
) -> None:
    path = tmp_path / "s"
    made(path)
    assert said in refusal(path)
    assert os.listdir(tmp_path) == ["s"]


def test_a_lock_that_is_a_symlink_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "s.lock").symlink_to(tmp_path / "precious")
    assert "s.lock" in refusal(tmp_path / "s")
    assert (tmp_path / "precious").read_text() == "kept"


async def test_a_path_that_was_taken_from_us_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listening = listen(reactor, str(path), greeter())
    path.unlink()
    stale_socket(path)
    await listening.stop()
    assert os.listdir(tmp_path) == ["s"]


async def test_a_lock_that_was_removed_does_not_let_two_in(tmp_path: Path) -> None:
    path, lock = tmp_path / "s", tmp_path / "s.lock"
    listening = listen(reactor, str(path), greeter())
    lock.unlink()
    # The lock is gone, and the socket itself is still seen to be live.
    assert "already served" in refusal(path)
    with open(lock, "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        await listening.stop()
        assert os.listdir(tmp_path) == ["s.lock"]


@pytest.mark.parametrize("name", ["abcd", "other"])
async def test_the_name_of_a_client_is_nothing_to_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # Twisted takes a name of four characters for an IPv6 address, and fails.
    monkeypatch.chdir(tmp_path)
    peers: list[Any] = []

    class Noting(Greeter):
        def connectionMade(self) -> None:
            assert self.transport is not None
            peers.append(self.transport.getPeer())
            super().connectionMade()

    path = tmp_path / "s"
    listening = listen(reactor, str(path), Factory.forProtocol(Noting))
    assert await deferToThread(greeting, path, name) == b"hello"
    assert peers == [UNIXAddress(None)]
    await listening.stop()


async def test_an_open_connection_outlives_the_listening(tmp_path: Path) -> None:
    path = tmp_path / "s"
    made: Deferred[Protocol] = Deferred()
    lost: Deferred[None] = Deferred()

    class Patient(Protocol):
        def connectionMade(self) -> None:
            made.callback(self)

        def connectionLost(self, reason: Any = None) -> None:
            lost.callback(None)

    listening = listen(reactor, str(path), Factory.forProtocol(Patient))
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        protocol = await made
        await listening.stop()
        assert protocol.transport is not None
        protocol.transport.write(b"still here")
        assert await deferToThread(client.recv, 100) == b"still here"
        protocol.transport.loseConnection()
        await lost
