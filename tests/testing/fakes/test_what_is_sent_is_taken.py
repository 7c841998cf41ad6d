"""What the codecs send, the fakes take: two readings of the same documents."""

from __future__ import annotations

import json
from urllib.parse import quote

from hypothesis import given

from modelplex.events import Request
from modelplex.testing.asked import requests
from modelplex.testing.fakes.gemini import Gemini
from modelplex.testing.fakes.responses import Responses
from modelplex.testing.fakes.script import Script
from modelplex.testing.fakes.speaker import Asked
from modelplex.wire.fidelity import Fate, Feature, Fidelity
from modelplex.wire.gemini import request_out as gemini
from modelplex.wire.gemini.abilities import guess
from modelplex.wire.gemini.fidelity import FIDELITY as GEMINI
from modelplex.wire.responses import request_out as responses
from modelplex.wire.responses.fidelity import FIDELITY as RESPONSES


def sayable(fidelity: Fidelity) -> frozenset[Feature]:
    """What a request may use without being refused by us."""
    found = {f for f, v in fidelity.verdicts.items() if v.fate is not Fate.REFUSED}
    return frozenset(found)


@given(requests(sayable(GEMINI)))
def test_gemini_takes_what_is_sent(request: Request) -> None:
    body = gemini.encode_request(request, guess("gemini-3-pro")).body
    path = f"/v1beta/models/{quote(request.model)}:generateContent"
    asked = Asked("POST", path, {}, body)
    answer = Gemini((request.model,)).answer(asked, Script())
    assert answer.heard is not None and b"".join(answer.pieces)


@given(requests(sayable(RESPONSES)))
def test_the_responses_api_takes_what_is_sent(request: Request) -> None:
    body = json.loads(responses.encode_request(request).body)
    asked = Asked("POST", "/v1/responses", {}, json.dumps(body).encode())
    answer = Responses((body["model"],)).answer(asked, Script())
    assert answer.heard is not None and b"".join(answer.pieces)
