"""A passed request without the signatures that its provider did not write."""

from __future__ import annotations

import json
from typing import Any

from modelplex.events import (
    Finished,
    FinishReason,
    Part,
    Reply,
    Thinking,
    ToolCall,
    spread,
)
from modelplex.testing.oracle_gemini import frames
from modelplex.wire.dialect import Answering
from modelplex.wire.gemini.dialect import GEMINI
from modelplex.wire.gemini.signatures import UNCHECKED_BYTES, standard
from modelplex.wire.jsonobject import open_object

ASKED = Answering("m", 1)
HI = {"role": "user", "parts": [{"text": "Hi"}]}


def sent(*contents: Any) -> Any:
    body = open_object(json.dumps({"contents": [HI, *contents]}).encode())
    changes = GEMINI.without_foreign(body, lambda proof: proof == "b3RoZXI=")
    return json.loads(body.splice(changes))["contents"][1:]


def model(*parts: Any) -> Any:
    return {"role": "model", "parts": list(parts)}


def test_a_content_of_which_nothing_is_left_goes_whole() -> None:
    foreign = {"thoughtSignature": "b3RoZXI="}
    thought = model({"text": "Hm", "thought": True, **foreign})
    ending = model({"text": "", **foreign})
    said = model({"text": "So."}, {"text": "", **foreign})
    assert sent(thought, said, ending) == [model({"text": "So."})]


def calls(*signatures: str) -> list[Any]:
    """The calls of a reply, as a guest is shown them; they are so in a stream, too."""
    thoughts = [Thinking("Hm", signature) for signature in signatures]
    called = (ToolCall("a", "f", "{}"), ToolCall("b", "g", "{}"))
    parts: tuple[Part, ...] = (*thoughts, *called)
    reply = Reply("r", "m", parts, Finished(FinishReason.TOOL_CALLS))
    [candidate] = json.loads(GEMINI.encode_reply(reply, ASKED))["candidates"]
    whole = [p for p in candidate["content"]["parts"] if "functionCall" in p]
    encoder = GEMINI.encoder(ASKED)
    stream = b"".join(map(encoder.encode, spread(reply))) + encoder.end()
    streamed = [
        part
        for chunk in frames(stream)
        for part in chunk["candidates"][0]["content"]["parts"]
        if "functionCall" in part
    ]
    assert streamed == whole
    return whole


def test_the_first_call_of_another_provider_has_a_word_that_gemini_takes() -> None:
    first, second = calls()
    assert first["thoughtSignature"] == UNCHECKED_BYTES
    assert "thoughtSignature" not in second
    assert standard(UNCHECKED_BYTES) is None  # it proves nothing
    assert sent(model(first, second)) == [model(first, second)]
    first, second = calls("c2ln")  # of Anthropic's, say
    assert first["thoughtSignature"] == UNCHECKED_BYTES


def test_a_signature_of_geminis_own_stays_on_its_call() -> None:
    first, second = calls("gemini:call0:c2ln")
    assert first["thoughtSignature"] == "c2ln"
    assert "thoughtSignature" not in second
