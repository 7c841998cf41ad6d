"""What a child prints reaches the log: masked, readable, and not too much of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from modelplex.mcp.printed import BURST, Printed


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []

    @implementer(ILogObserver)
    def observer(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observer)
    yield lines
    globalLogPublisher.removeObserver(observer)


def make(*masked: str) -> tuple[Clock, Printed]:
    clock = Clock()
    return clock, Printed("git", clock, masked)


def test_a_line_is_told_with_the_name_of_its_server(logged: list[str]) -> None:
    _, printed = make()
    printed.feed(b"rea")
    printed.feed(b"dy\r\n\nand")
    printed.noise(b"banner")
    printed.eof()
    assert logged == ["git stderr: ready", "git stdout: banner", "git stderr: and"]
    assert printed.last == "and"


def test_a_secret_is_masked_wherever_it_is_cut(logged: list[str]) -> None:
    _, printed = make("sk-secret-1", "sk-secret")
    for byte in b"key sk-secret-1, sk-secret.\n":
        printed.feed(bytes([byte]))
    assert logged == ["git stderr: key ***, ***."]


def test_a_secret_across_the_end_of_what_is_shown_is_masked(logged: list[str]) -> None:
    _, printed = make("sk-secret")
    printed.feed(b"x" * 1995 + b"sk-secret" + b"y" * 90_000 + b"\n")
    assert "sk-s" not in logged[0]
    assert len(logged[0]) < 2100


def test_characters_that_move_the_cursor_or_the_reader_are_spelt_out(
    logged: list[str],
) -> None:
    _, printed = make()
    printed.feed("a\x1b[2Jb\u202ec\x00\n".encode() + b"\xff\n")
    assert logged == [
        "git stderr: a\\x1b[2Jb\\x202ec\\x00",
        "git stderr: \\xff",
    ]


def test_no_more_lines_than_a_log_can_bear(logged: list[str]) -> None:
    clock, printed = make()
    printed.feed(b"again\n" * 10_000)
    assert len(logged) == BURST
    clock.advance(1)
    printed.feed(b"later\n")
    assert logged[BURST:] == ["git printed 9900 more lines", "git stderr: later"]
    printed.feed(b"later\n" * 20)
    printed.eof()
    assert logged[-1] == "git printed 11 more lines"
