"""What is learnt from canonical events while they pass."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import UpstreamCut
from modelplex.events import (
    ANNOUNCING,
    Event,
    Failed,
    Finished,
    Started,
    TextDelta,
    Usage,
    UsageReported,
)
from modelplex.testing.seams import Recorded
from modelplex.testing.strategies import reply_events
from modelplex.wire.reading import EventReader


@given(reply_events(thinking=True), st.booleans(), st.data())
def test_events_pass_unchanged_and_are_read(
    events: list[Event], breaks: bool, data: st.DataObject
) -> None:
    error = UpstreamCut("gone")
    told = events
    if breaks:
        told = events[: data.draw(st.integers(0, len(events)))]
        reader = EventReader(Recorded([*told, Failed(error)]))
    else:
        reader = EventReader(Recorded(list(events)))
    assert reader.feed(b"") == told
    assert reader.done
    assert reader.error is (error if breaks else None)
    finished = [e for e in told if isinstance(e, Finished)]
    assert reader.finish == (finished[-1].reason.value if finished else None)
    counted = [e for e in told if isinstance(e, UsageReported)]
    assert reader.usage == (counted[-1].usage if counted else None)
    assert reader.meaningful is any(not isinstance(e, ANNOUNCING) for e in told)
    assert reader.eof() == []


def test_announcements_and_failures_are_no_answer() -> None:
    reader = EventReader(Recorded([Started("i", "m"), UsageReported(Usage(1))]))
    reader.feed(b"")
    assert not reader.meaningful
    reader = EventReader(Recorded([Failed(UpstreamCut("gone"))]))
    assert reader.feed(b"") == []
    assert not reader.meaningful
    reader = EventReader(Recorded([TextDelta("H")]))
    reader.feed(b"")
    assert reader.meaningful
