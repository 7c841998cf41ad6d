"""Modelplex as a child process, in each of the ways in which people run it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import define, field

ROOT = Path(__file__).parents[2]
TWISTD = str(Path(sys.executable).parent / "twistd")
OPTIONS = ["--config", "config.toml", "--socket", "g/s"]
WAYS: dict[str, list[str]] = {
    "twistd": [TWISTD, "-n", "modelplex", *OPTIONS],
    "twist": [sys.executable, "-m", "twisted", "modelplex", *OPTIONS],
    "tac": [TWISTD, "-ny", str(ROOT / "etc" / "modelplex.tac")],
    "command": [sys.executable, "-m", "modelplex.cli.main", *OPTIONS],
}
ANY_WAY = pytest.mark.parametrize("way", WAYS)
# The command, and Twisted's own two ways of running a service; what is refused before
# the reactor runs is the same for these two.
MAIN_WAYS = pytest.mark.parametrize("way", ["twistd", "twist", "command"])
TWO_WAYS = pytest.mark.parametrize("way", ["twistd", "command"])
# When all is done Twisted's two kill themselves with the signal that ended them, so
# that whoever started them can tell; the command, as any other, then exits with 0.
ENDED = {way: 0 if way == "command" else -signal.SIGTERM for way in WAYS}
LONG = "one two three four five six seven"
CONFIG = """
[server]
drain = 20
[[providers]]
name = "demo"
type = "demo"
demo = { delay = 0.1 }
"""


@define(eq=False)
class Place:
    """A directory with a configuration, and the processes that were started in it."""

    directory: Path
    children: list[subprocess.Popen[str]] = field(factory=list)

    @property
    def path(self) -> Path:
        """The main socket."""
        return self.directory / "g" / "s"

    def start(self, way: str) -> subprocess.Popen[str]:
        """Run Modelplex; it may take a while until it serves, or fail."""
        child = subprocess.Popen(
            WAYS[way],
            cwd=self.directory,
            env={
                **os.environ,
                "XDG_RUNTIME_DIR": str(self.directory / "r"),
                "CONFIG_FILE": "config.toml",
                "SOCKET_PATH": "g/s",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.children.append(child)
        return child

    def serving(self, way: str) -> subprocess.Popen[str]:
        """Run Modelplex, and wait until it answers."""
        child = self.start(way)
        until(lambda: child.poll() is not None or self.healthy())
        assert child.poll() is None, ended(child)[1]
        return child

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(15)
        try:
            client.connect(str(self.path))
        except OSError:
            client.close()
            raise
        return client

    def healthy(self) -> bool:
        try:
            return self.get("/health")["service"] == "modelplex"
        except OSError:
            return False

    def get(self, path: str) -> dict[str, str]:
        with self.connect() as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
            answer: dict[str, str] = json.loads(rest(client).partition(b"\r\n\r\n")[2])
            return answer

    def stream(self) -> socket.socket:
        """A stream that takes about a second, and has begun."""
        messages = [{"role": "user", "content": LONG}]
        asked = {"model": "demo", "stream": True, "messages": messages}
        body = json.dumps(asked).encode()
        client = self.connect()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {len(body)}"
        client.sendall(head.encode() + b"\r\n\r\n" + body)
        seen = b""
        while b'"content":' not in seen.replace(b'"content":""', b""):
            seen += client.recv(4096)
        return client


def until(condition: Callable[[], bool]) -> None:
    for _ in range(1500):
        if condition():
            return
        time.sleep(0.01)  # a process of its own: there is no clock to advance
    raise AssertionError("this took more than fifteen seconds")


def rest(client: socket.socket) -> bytes:
    """What still comes; a connection that is cut has ended, too."""
    seen = b""
    try:
        while chunk := client.recv(65536):
            seen += chunk
    except ConnectionResetError:
        pass
    return seen


def ended(child: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code of a process, and all that it has written."""
    said, _ = child.communicate(timeout=15)
    return child.returncode, said


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    for name in ("g", "r"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "config.toml").write_text(CONFIG)
    made = Place(tmp_path)
    yield made
    for child in made.children:
        if child.poll() is None:
            child.kill()
        child.communicate()


@ANY_WAY
def test_each_way_serves_and_ends_cleanly(place: Place, way: str) -> None:
    old = os.umask(0)
    try:
        child = place.serving(way)
    finally:
        os.umask(old)
    found = place.path.stat()
    assert stat.S_ISSOCK(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o600
    child.send_signal(signal.SIGTERM)
    code, said = ended(child)
    assert code == ENDED[way], said
    assert not place.path.exists()
    assert "Traceback" not in said and "Warning" not in said


@MAIN_WAYS
def test_a_running_stream_is_finished_before_the_end(place: Place, way: str) -> None:
    child = place.serving(way)
    with place.stream() as client:
        child.send_signal(signal.SIGTERM)
        until(lambda: not place.path.exists())
        seen = rest(client)
    assert b"seven" in seen and seen.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert ended(child)[0] == ENDED[way]


@MAIN_WAYS
def test_a_second_signal_cuts_what_still_runs(place: Place, way: str) -> None:
    child = place.serving(way)
    with place.stream() as client:
        child.send_signal(signal.SIGTERM)
        until(lambda: not place.path.exists())
        begun = time.monotonic()
        child.send_signal(signal.SIGTERM)
        seen = rest(client)
        assert time.monotonic() - begun < 0.5
    assert b"seven" not in seen and b"[DONE]" not in seen
    assert ended(child)[0] == ENDED[way]


@TWO_WAYS
def test_the_socket_of_a_killed_process_is_taken_over(place: Place, way: str) -> None:
    place.serving(way).kill()
    ended(place.children[0])
    assert place.path.exists()
    (place.directory / "twistd.pid").unlink(missing_ok=True)
    child = place.serving(way)
    child.terminate()
    assert ended(child)[0] == ENDED[way] and not place.path.exists()


@TWO_WAYS
def test_a_socket_that_is_served_is_left_alone(place: Place, way: str) -> None:
    place.serving("command")
    code, said = ended(place.start(way))
    assert code == 1
    [line] = [line for line in said.splitlines() if "served" in line]
    assert "modelplex: " in line and "g/s" in line  # twistd logs it, with the time
    assert "Traceback" not in said
    assert place.healthy()


@TWO_WAYS
@pytest.mark.parametrize(
    ("config", "words"),
    [
        (None, ["config.toml: no such file", "modelplex init", "modelplex demo"]),
        ("[server]\nsokket = 1\n", ["server.sokket", "socket"]),
    ],
)
def test_a_bad_configuration_is_one_line(
    place: Place, way: str, config: str | None, words: list[str]
) -> None:
    path = place.directory / "config.toml"
    path.unlink()
    if config is not None:
        path.write_text(config)
    code, said = ended(place.start(way))
    assert code == 1
    [line] = said.strip().splitlines()
    assert line.startswith("modelplex: ") and all(word in line for word in words)


@TWO_WAYS
def test_a_directory_that_anyone_may_write_to_is_refused(
    place: Place, way: str
) -> None:
    place.path.parent.chmod(0o777)
    code, said = ended(place.start(way))
    assert code == 1 and "world-writable" in said and "Traceback" not in said


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_streams_over_the_socket(place: Place) -> None:
    place.serving("twistd")
    asked = {"model": "demo", "stream": True, "messages": []}
    asked["messages"] = [{"role": "user", "content": "größe"}]
    said = subprocess.run(
        [
            *("curl", "-sS", "-N", "--unix-socket", str(place.path)),
            *("http://localhost/v1/chat/completions", "--json", json.dumps(asked)),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=15,
    ).stdout
    assert said.endswith("data: [DONE]\n\n") and "größe" in said
