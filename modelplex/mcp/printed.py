"""What a child prints that is no message: its standard error, and stray lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

LONGEST = 2000  # bytes of one line that are shown
BURST = 100  # lines at once
RATE = 10.0  # lines a second, on average

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@define(eq=False, repr=False)
class Printed:
    """
    Writes the lines that a child prints into the log, as many as a log can bear.

    :param masked: texts that are shown as ``***``, the longest first.
    :ivar last: the last line, for whoever asks why the child has ended.
    """

    name: str
    _clock: IReactorTime
    _masked: Sequence[str] = field(default=(), repr=False)
    last: str = ""
    _rest: bytes = field(default=b"", repr=False)
    _cut: bool = False
    _allowed: float = BURST
    _since: float = 0.0
    _dropped: int = 0
    log = Logger()

    def feed(self, chunk: bytes) -> None:
        """More of its standard error."""
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            self._keep(piece)
            self._end()
        self._keep(rest)

    def noise(self, line: bytes) -> None:
        """A line of its standard output that is no message."""
        self._line(line, "stdout")

    def eof(self) -> None:
        """It prints no more."""
        self._end()
        self._tell_dropped()

    def _keep(self, piece: bytes) -> None:
        # A little more than is shown, so that no secret is cut in two and missed.
        room = 2 * LONGEST - len(self._rest)
        self._cut = self._cut or len(piece) > room
        self._rest += piece[: max(room, 0)]

    def _end(self) -> None:
        line, self._rest = self._rest, b""
        cut, self._cut = self._cut, False
        if line.strip():
            self._line(line, "stderr", cut)

    def _line(self, line: bytes, stream: str, cut: bool = False) -> None:
        text = line.decode("utf-8", "backslashreplace").strip()
        for secret in self._masked:
            text = text.replace(secret, "***")
        if cut or len(text) > LONGEST:
            text = text[:LONGEST] + "…"
        self.last = text = _CONTROL.sub(lambda m: f"\\x{ord(m[0]):02x}", text)
        now = self._clock.seconds()
        self._allowed = min(BURST, self._allowed + (now - self._since) * RATE)
        self._since = now
        if self._allowed < 1:
            self._dropped += 1
            return
        self._allowed -= 1
        self._tell_dropped()
        self.log.info(
            "{server} {stream}: {line}", server=self.name, stream=stream, line=text
        )

    def _tell_dropped(self) -> None:
        count, self._dropped = self._dropped, 0
        if count:
            self.log.info(
                "{server} printed {count} more lines", server=self.name, count=count
            )
