"""Legacy completions: one prompt in, text out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import (
    BadRequest,
    UnsupportedField,
    UpstreamCut,
    UpstreamRateLimited,
)
from modelplex.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Message,
    Refusal,
    RefusalDelta,
    Reply,
    Request,
    Role,
    Started,
    Text,
    TextDelta,
    ThinkingDelta,
    TokenLogprobs,
    Usage,
    UsageReported,
    gather,
)
from modelplex.testing.oracle_openai import accumulate_completion
from modelplex.testing.strategies import chopped, json_values, reply_events, requests
from modelplex.wire.dialect import Answering
from modelplex.wire.fidelity import Fate
from modelplex.wire.jsonobject import open_object
from modelplex.wire.openai.dialect import OPENAI_COMPLETIONS
from modelplex.wire.openai.fidelity import COMPLETIONS

ASKED = Answering(model="asked-for", created=1, include_usage=True, id="own")
STOPPED = Finished(FinishReason.STOP)
ENTRY = {
    "token": "a",
    "logprob": -0.5,
    "bytes": None,
    "top_logprobs": [{"token": "b", "logprob": -1.0, "bytes": None}],
}


def decode(members: dict[str, Any]) -> Request:
    body = json.dumps({"model": "m", **members}).encode()
    return OPENAI_COMPLETIONS.decode_request(open_object(body))


def prompted(text: str, **settings: Any) -> Request:
    message = Message(Role.USER, (Text(text),))
    return Request("m", (message,), **{"max_tokens": 16, **settings})


def test_a_request_full_of_everything_is_read() -> None:
    assert decode(
        {
            "prompt": ["def f("],
            "suffix": "return x",
            "max_tokens": 50,
            "temperature": 0.5,
            "top_p": 0.9,
            "n": 1,
            "best_of": 1,
            "echo": False,
            "stop": "\n",
            "seed": 7,
            "presence_penalty": 0.1,
            "frequency_penalty": 0.2,
            "logprobs": 2,
            "stream": True,
            "stream_options": {"include_usage": True},
            "user": "who",
            "logit_bias": {"1": 2},
        }
    ) == prompted(
        "def f(",
        suffix="return x",
        max_tokens=50,
        temperature=0.5,
        top_p=0.9,
        stop=("\n",),
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        logprobs=2,
        stream=True,
        user="who",
        extra={"logit_bias": {"1": 2}},
    )


def test_sixteen_tokens_are_the_default() -> None:
    assert decode({"prompt": "a"}) == prompted("a")


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": "a", "n": 2}, "n"),
        ({"prompt": "a", "best_of": 2}, "best_of"),
        ({"prompt": "a", "echo": True}, "echo"),
    ],
)
def test_what_only_a_completions_provider_can_do_is_refused(
    members: dict[str, Any], param: str
) -> None:
    with pytest.raises(UnsupportedField) as caught:
        decode(members)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"prompt": 5}, "prompt"),
        ({"prompt": [None]}, "prompt[0]"),
        ({"prompt": "a", "logprobs": True}, "logprobs"),
        ({"prompt": "a", "logprobs": 6}, "logprobs"),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
    ],
)
def test_a_wrong_type_or_value_is_named(members: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        decode(members)
    assert caught.value.param == param


@given(
    members=st.dictionaries(
        st.sampled_from(["prompt", "n", "stop", "echo", "logprobs", "suffix", "model"]),
        json_values(),
    )
)
def test_any_json_is_read_or_refused(members: dict[str, Any]) -> None:
    try:
        decode({"prompt": "a", **members})
    except BadRequest as e:
        assert e.param in members or e.param == "prompt[0]" or "stop[" in str(e.param)


ROUND = frozenset(f for f, v in COMPLETIONS.verdicts.items() if v.fate is Fate.CARRIED)


@given(request=requests(ROUND), prompt=st.text())
def test_what_is_carried_is_read_again(request: Request, prompt: str) -> None:
    message = Message(Role.USER, (Text(prompt),))
    request = evolve(request, messages=(message,), max_tokens=request.max_tokens or 100)
    encoded = OPENAI_COMPLETIONS.encode_request(request)
    assert encoded.dropped == ()
    assert OPENAI_COMPLETIONS.decode_request(open_object(encoded.body)) == request


@pytest.mark.parametrize(
    "messages",
    [
        (Message(Role.SYSTEM, (Text("a"),)), Message(Role.USER, (Text("b"),))),
        (Message(Role.ASSISTANT, (Text("a"),)),),
    ],
)
def test_a_conversation_is_no_prompt(messages: tuple[Message, ...]) -> None:
    with pytest.raises(UnsupportedField) as caught:
        OPENAI_COMPLETIONS.encode_request(Request("m", messages))
    assert caught.value.param == "messages"


def written(events: list[Event]) -> bytes:
    encoder = OPENAI_COMPLETIONS.encoder(ASKED)
    return b"".join(map(encoder.encode, events)) + encoder.end()


def test_a_stream_is_written_with_text_and_nothing_else() -> None:
    stream = written(
        [
            Started("msg_1", "x"),
            ThinkingDelta("hm"),
            TextDelta("ab"),
            TokenLogprobs((ENTRY, ENTRY)),
            TextDelta("c"),
            TokenLogprobs((ENTRY,)),
            RefusalDelta("no"),
            Finished(FinishReason.LENGTH),
            UsageReported(Usage(3, 2)),
        ]
    )
    said = accumulate_completion(stream, include_usage=True)
    assert said["text"] == "abcno"
    assert said["finish_reason"] == "length"
    assert said["usage"]["total_tokens"] == 5
    assert said["logprobs"] == [
        {
            "tokens": ["a", "a"],
            "token_logprobs": [-0.5, -0.5],
            "top_logprobs": [{"b": -1.0}, {"b": -1.0}],
            "text_offset": [0, 1],
        },
        {
            "tokens": ["a"],
            "token_logprobs": [-0.5],
            "top_logprobs": [{"b": -1.0}],
            "text_offset": [2],
        },
    ]
    assert json.loads(stream.split(b"\n")[0][6:])["id"] == "cmpl-msg_1"


@given(events=reply_events(logprobs=False, tools=False), draw=st.data())
def test_a_stream_is_read_again_however_it_is_cut(
    events: list[Event], draw: st.DataObject
) -> None:
    decoder = OPENAI_COMPLETIONS.decoder()
    pieces = draw.draw(chopped(written(events)))
    told = [e for piece in pieces for e in decoder.feed(piece)] + decoder.eof()
    sent = gather(events)
    assert gather(told) == evolve(sent, id=f"cmpl-{sent.id}", model="asked-for")


def test_a_whole_reply_goes_both_ways() -> None:
    reply = Reply(
        "cmpl-1", "asked-for", (Text("abc"),), STOPPED, Usage(3, 2), (ENTRY, ENTRY)
    )
    body = OPENAI_COMPLETIONS.encode_reply(reply, ASKED)
    assert OPENAI_COMPLETIONS.decode_reply(body) == reply
    told = json.loads(body)
    assert told["object"] == "text_completion"
    assert told["choices"][0]["text"] == "abc"
    assert told["choices"][0]["logprobs"]["text_offset"] == [0, 1]


def test_a_refusal_is_text_that_was_filtered() -> None:
    reply = Reply("", "", (Refusal("No."),), Finished(FinishReason.REFUSAL))
    [choice] = json.loads(OPENAI_COMPLETIONS.encode_reply(reply, ASKED))["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("No.", "content_filter")


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        ({"finish_reason": "stop"}, STOPPED),
        ({"finish_reason": "length"}, Finished(FinishReason.LENGTH)),
        ({"finish_reason": "content_filter"}, Finished(FinishReason.REFUSAL)),
        (
            {"finish_reason": "stop", "stop_reason": "X"},
            Finished(FinishReason.STOP_SEQUENCE, "X"),
        ),
        ({"finish_reason": None}, STOPPED),
        ({"finish_reason": "eos"}, STOPPED),
    ],
)
def test_every_finish_reason_has_a_meaning(
    finish: dict[str, Any], expected: Finished
) -> None:
    body = {"id": "c", "choices": [{"text": "a", "index": 0, **finish}]}
    reply = OPENAI_COMPLETIONS.decode_reply(json.dumps(body).encode())
    assert reply.finish == expected


def test_logprobs_of_llama_cpp_are_chats_entries() -> None:
    choice = {"text": "a", "logprobs": {"content": [ENTRY]}, "finish_reason": "stop"}
    body = json.dumps({"choices": [choice]}).encode()
    assert OPENAI_COMPLETIONS.decode_reply(body).logprobs == (ENTRY,)


def test_usage_is_asked_for_or_not_there() -> None:
    silent = OPENAI_COMPLETIONS.encoder(evolve(ASKED, include_usage=False))
    stream = silent.encode(UsageReported(Usage(1, 1))) + silent.encode(TextDelta("a"))
    stream += silent.encode(STOPPED) + silent.end()
    assert accumulate_completion(stream, include_usage=False)["text"] == "a"


def test_an_error_in_band_is_no_clean_end() -> None:
    failed = OPENAI_COMPLETIONS.encoder(ASKED).fail(UpstreamCut("x"))
    told = json.loads(failed.removeprefix(b"data: "))
    assert told["error"]["code"] == "upstream_cut"


def test_an_error_or_a_cut_ends_a_stream() -> None:
    text = b'data: {"id":"c","choices":[{"text":"a"}]}\n\n'
    error = b'data: {"error":{"message":"x","code":"rate_limit_exceeded"}}\n\n'
    for stream, kind in [(text, UpstreamCut), (text + error, UpstreamRateLimited)]:
        decoder = OPENAI_COMPLETIONS.decoder()
        *_, last = decoder.feed(stream) + decoder.eof()
        assert isinstance(last, Failed) and type(last.error) is kind


def test_a_guest_that_names_no_limit_is_not_cut_off_at_openais_sixteen() -> None:
    encoded = OPENAI_COMPLETIONS.encode_request(prompted("a", max_tokens=None))
    assert json.loads(encoded.body)["max_tokens"] == 1024
