"""``/api/generate``, both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import BadRequest, UnsupportedField
from modelplex.events import (
    Finished,
    FinishReason,
    Image,
    Inline,
    JsonSchema,
    Message,
    Reply,
    Request,
    Role,
    Text,
    Thinking,
    ThinkingControl,
    Tool,
    Usage,
)
from modelplex.testing.strategies import json_values
from modelplex.wire.dialect import Answering
from modelplex.wire.jsonobject import open_object
from modelplex.wire.ollama.dialect import OLLAMA_GENERATE

GOLDEN = Path(__file__).parent.parent / "golden" / "ollama"
PROMPT = Message(Role.USER, (Text("def f("),))
CODE_ONLY = Message(Role.SYSTEM, (Text("Code only."),))


def decode(**body: Any) -> Request:
    whole = msgspec.json.encode({"model": "m"} | body)
    return OLLAMA_GENERATE.decode_request(open_object(whole))


def test_a_completion_fills_a_gap() -> None:
    request = Request(
        "codellama",
        (CODE_ONLY, PROMPT),
        max_tokens=16,
        stop=("\n\n",),
        suffix="return x",
        user="u",
        extra={"echo": False, "keep_alive": 0},
    )
    encoded = OLLAMA_GENERATE.encode_request(request)
    assert encoded.body == (
        b'{"model":"codellama","prompt":"def f(","stream":false,'
        b'"system":"Code only.","suffix":"return x",'
        b'"options":{"stop":["\\n\\n"],"num_predict":16},"keep_alive":0}'
    )
    assert encoded.dropped == ("user", "echo")


@pytest.mark.parametrize(
    "messages",
    [
        (CODE_ONLY,),
        (PROMPT, PROMPT),
        (PROMPT, CODE_ONLY),
        (Message(Role.ASSISTANT, (Text("a"),)), PROMPT),
    ],
)
def test_a_conversation_is_no_prompt(messages: tuple[Message, ...]) -> None:
    with pytest.raises(UnsupportedField, match="one prompt only"):
        OLLAMA_GENERATE.encode_request(Request("m", messages))


def test_tools_are_refused() -> None:
    with pytest.raises(UnsupportedField, match="tools"):
        OLLAMA_GENERATE.encode_request(Request("m", (PROMPT,), tools=(Tool("t"),)))


def test_what_the_official_client_sends_is_read() -> None:
    sent = (GOLDEN / "client_generate_request.json").read_bytes()
    request = OLLAMA_GENERATE.decode_request(open_object(sent))
    image = Image(Inline("image/png", "iVBORw0KGgowMDAw"))
    assert request == Request(
        "codellama",
        (CODE_ONLY, Message(Role.USER, (Text("def f("), image))),
        temperature=0.0,
        response_format=JsonSchema(),
        thinking=ThinkingControl(effort="none"),
        suffix="return x",
    )
    back = OLLAMA_GENERATE.encode_request(request).body
    assert msgspec.json.decode(back) == msgspec.json.decode(sent)


@pytest.mark.parametrize(
    "member", [{"template": "{{"}, {"context": [1]}, {"raw": True}]
)
def test_what_one_model_only_understands_is_refused(member: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedField) as refused:
        decode(prompt="a", **member)
    assert refused.value.param == next(iter(member))


def test_members_that_say_nothing_are_no_matter() -> None:
    empty = decode(
        template="", context=[], raw=False, system="", suffix="", images=None
    )
    assert empty == Request("m", (Message(Role.USER, (Text(""),)),), stream=True)


@given(
    body=st.dictionaries(
        st.sampled_from(["prompt", "system", "suffix", "images", "raw", "context"]),
        json_values(),
    )
)
def test_any_object_is_a_request_or_a_bad_request(body: dict[str, Any]) -> None:
    try:
        request = decode(**body)
    except BadRequest:
        return
    assert OLLAMA_GENERATE.encode_request(request).body


def test_a_reply_is_written_and_read() -> None:
    reply = Reply(
        "",
        "m",
        (Thinking("hm"), Text("a, b):")),
        Finished(FinishReason.LENGTH),
        Usage(3, 4),
    )
    wire = OLLAMA_GENERATE.encode_reply(reply, Answering("m", 0))
    assert wire == (
        b'{"model":"m","created_at":"1970-01-01T00:00:00Z","response":"a, b):",'
        b'"thinking":"hm","done":true,"done_reason":"length","prompt_eval_count":3,'
        b'"eval_count":4}'
    )
    assert OLLAMA_GENERATE.decode_reply(wire) == reply
