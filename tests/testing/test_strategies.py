from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from modelplex.events import Event, Finished, Started, ToolCallStarted, gather, spread
from modelplex.testing.strategies import chopped, json_values, reply_events, requests
from modelplex.wire.fidelity import Feature, features

chosen = st.frozensets(st.sampled_from(Feature), max_size=6)


@given(draw=st.data())
def test_a_request_uses_only_the_features_asked_for(draw: st.DataObject) -> None:
    wanted = draw.draw(chosen)
    request = draw.draw(requests(wanted))
    assert {feature for feature, _ in features(request)} <= wanted


@given(
    events=reply_events(
        refusals=True,
        thinking=True,
        signatures=True,
        custom=True,
        interleaved=True,
        citations=True,
        logprobs=True,
    )
)
def test_a_reply_is_complete_and_its_calls_are_numbered(events: list[Event]) -> None:
    assert isinstance(events[0], Started)
    assert isinstance(events[-2], Finished)
    calls = [event.index for event in events if isinstance(event, ToolCallStarted)]
    assert calls == list(range(len(calls)))
    reply = gather(events)
    assert gather(spread(reply)) == reply


@given(data=st.binary(max_size=30), draw=st.data())
def test_pieces_add_up_to_the_whole(data: bytes, draw: st.DataObject) -> None:
    assert b"".join(draw.draw(chopped(data))) == data


@given(value=json_values())
def test_a_json_value_survives_the_wire(value: object) -> None:
    assert msgspec.json.decode(msgspec.json.encode(value)) == value
