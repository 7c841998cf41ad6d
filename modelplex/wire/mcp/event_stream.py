"""The events of a remote server: messages, with what it takes to go on after a cut."""

from __future__ import annotations

import re

from attrs import define, field, frozen

from modelplex.wire.sse import Frames, events

LARGEST = 16 * 2**20  # bytes of one event
LONGEST_WAIT = 60.0  # seconds that a server may have us wait
_BOM = b"\xef\xbb\xbf"
_LINES = re.compile(rb"\r\n|\n|\r")
_DIGITS = re.compile(r"[0-9]{1,9}")
_ID = 1024  # bytes of an id that are remembered, and sent in a header


@frozen
class ServerEvent:
    """
    One event.

    :ivar kind: ``message`` unless it says otherwise.
    :ivar data: never empty.
    """

    kind: str
    data: bytes = field(repr=False)


@define
class EventReader:
    """
    Reads a stream of events as browsers do (WHATWG HTML §9.2).

    Events without data are not given, but what they say of reconnecting is kept.

    :ivar last_id: of the last event that had one; empty for none.
    :ivar retry: seconds to wait before reconnecting, if the server said so.
    """

    last_id: str = ""
    retry: float | None = None
    _frames: Frames = field(factory=lambda: Frames(LARGEST))
    _start: bytes | None = b""  # held back while it may be a byte order mark

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """
        The events that are complete now.

        :raises UpstreamMalformed: one is too large.
        """
        if self._start is not None:
            chunk = self._start + chunk
            if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
                self._start = chunk
                return []
            self._start = None
            chunk = chunk.removeprefix(_BOM)
        found = [self._event(one) for one in events(self._frames.feed(chunk))]
        return [event for event in found if event is not None]

    def cut(self) -> None:
        """The stream is over: what is unfinished is dropped, the last id stays."""
        self._frames = Frames(LARGEST)
        self._start = b""

    def _event(self, event: bytes) -> ServerEvent | None:
        kind, lines = "", []
        for line in _LINES.split(event):
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            match name:
                case b"data":
                    lines.append(value)
                case b"event":
                    kind = value.decode("utf-8", "replace")
                case b"id":
                    self._identified(value)
                case b"retry":
                    text = value.decode("utf-8", "replace")
                    if _DIGITS.fullmatch(text):
                        self.retry = min(int(text) / 1000, LONGEST_WAIT)
                case _:
                    pass  # a comment, or what we do not know
        data = b"\n".join(lines)
        return ServerEvent(kind or "message", data) if data else None

    def _identified(self, value: bytes) -> None:
        text = value.decode("utf-8", "replace")
        # It is sent back in a header, which must say it exactly or not at all.
        if text.isascii() and text.isprintable() and len(text) <= _ID:
            self.last_id = text
