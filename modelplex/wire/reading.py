"""
What is learnt from a reply while it passes: usage, why it ended, whether it broke.

A `Reader` takes the upstream's bytes and gives batches for the guest's side. Two
kinds exist: a `modelplex.wire.tap.Tap` looks at bytes that go through as they are, and
an `EventReader` turns them into canonical events.
"""

from __future__ import annotations

from typing import Protocol

from attrs import define

from modelplex.errors import GatewayError
from modelplex.events import ANNOUNCING, Event, Failed, Finished, Usage, UsageReported
from modelplex.wire.dialect import StreamDecoder
from modelplex.wire.reasoning import Recorder


class Reader(Protocol):
    """
    Reads one reply. Never raises; once `error` is set nothing more comes.

    :ivar meaningful: a piece of the answer was seen, not only announcements.
    :ivar done: the reply's own end was seen; what follows is of no interest.
    :ivar usage: tokens, once the upstream has said.
    :ivar finish: why the model stopped, in the dialect's word.
    :ivar error: why the reply is broken.
    """

    meaningful: bool
    done: bool
    usage: Usage | None
    finish: str | None
    error: GatewayError | None

    def feed(self, chunk: bytes) -> bytes | list[Event]:
        """What `chunk` completes for the guest; falsy when nothing."""

    def eof(self) -> bytes | list[Event]:
        """Call once when the upstream has ended."""


@define(eq=False)
class EventReader:
    """A reader whose batches are canonical events; a recorder is shown each."""

    _decoder: StreamDecoder
    _recorder: Recorder | None = None
    meaningful: bool = False
    done: bool = False
    usage: Usage | None = None
    finish: str | None = None
    error: GatewayError | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        return self._noted(self._decoder.feed(chunk))

    def eof(self) -> list[Event]:
        return self._noted(self._decoder.eof())

    def _noted(self, events: list[Event]) -> list[Event]:
        self.done = self._decoder.done
        for event in events:
            if self._recorder is not None:
                self._recorder.saw(event)
            if isinstance(event, UsageReported):
                self.usage = event.usage
            elif isinstance(event, Finished):
                self.finish = event.reason.value
            elif isinstance(event, Failed):
                self.error = event.error
            if not self.meaningful:
                self.meaningful = not isinstance(event, (*ANNOUNCING, Failed))
        if self.error is not None:
            return [e for e in events if not isinstance(e, Failed)]
        return events
