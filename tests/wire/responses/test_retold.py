"""What is said in a passed response besides what its provider said."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from modelplex.wire import sse
from modelplex.wire.responses.retold import retold, retold_whole

MEMBERS = {"store": b"true", "previous_response_id": b'"resp_1"'}


def event(**members: object) -> bytes:
    kind = str(members["type"])
    return sse.encode(json.dumps(members).encode(), kind)


def test_only_the_members_given_change() -> None:
    response = {"id": "r", "store": False, "temperature": 0.10, "metadata": {"a": "☃"}}
    told = event(type="response.created", sequence_number=0, response=response)
    [again] = sse.events(retold(told, MEMBERS))
    assert again == told.rstrip().replace(b'"store": false', b'"store": true').replace(
        b'{"a": "\\u2603"}}', b'{"a": "\\u2603"},"previous_response_id":"resp_1"}'
    )


def test_every_other_event_passes_as_it_came() -> None:
    others = b"".join(
        [
            event(type="response.output_text.delta", delta='"response":{"store":1}'),
            event(type="response.x", response="text"),
            event(type="response.y", response=None),
            b': comment with "response"\n\n',
            b'data: {"response":{"a":1,"a":2},"type":"t"}\n\n',
            b'data: {"response":{"a":1}\n\n',
            b'event: x\ndata: {"response":{}}\n\n',  # and no type
        ]
    )
    assert retold(others, MEMBERS) == others


def test_events_stay_events_whatever_their_lines() -> None:
    told = (
        b'event: t\r\ndata: {"type":"t",\r\ndata: "response":{"store":false}}\r\n\r\n'
    )
    [again] = sse.events(retold(told, MEMBERS))
    payload = sse.data(again)
    assert payload is not None
    said = {"store": True, "previous_response_id": "resp_1"}
    assert json.loads(payload) == {"type": "t", "response": said}


@given(deltas=st.lists(st.text(), max_size=4), at=st.integers(0, 4))
def test_a_stream_keeps_its_events_in_their_order(deltas: list[str], at: int) -> None:
    events = [event(type="response.output_text.delta", delta=d) for d in deltas]
    events.insert(at, event(type="response.completed", response={"id": "r"}))
    again = sse.events(retold(b"".join(events), MEMBERS))
    said = [json.loads(sse.data(one) or b"") for one in again]
    assert [one["delta"] for one in said if "delta" in one] == deltas
    [response] = [one["response"] for one in said if "response" in one]
    assert response == {"id": "r", "store": True, "previous_response_id": "resp_1"}


def test_a_whole_response_is_told_the_same() -> None:
    assert json.loads(retold_whole(b'{"id":"r","store":false}', MEMBERS)) == {
        "id": "r",
        "store": True,
        "previous_response_id": "resp_1",
    }
    assert retold_whole(b"[]", MEMBERS) == b"[]"
