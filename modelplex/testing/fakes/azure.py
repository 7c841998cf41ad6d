"""A fake of OpenAI's models on Azure: both styles of addresses, filters, errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from attrs import define, evolve, field

from modelplex.testing.fakes.entra import Entra
from modelplex.testing.fakes.openai import OpenAI
from modelplex.testing.fakes.responses import Responses
from modelplex.testing.fakes.script import Script
from modelplex.testing.fakes.speaker import Answer, Asked, Refused, dump

_DEPLOYED = re.compile(
    "/openai/deployments/([^/]+)(/chat/completions|/completions|/embeddings"
    "|/audio/(?:speech|transcriptions|translations)|/images/(?:generations|edits))"
)
_MISSING = (
    "The API deployment for this resource does not exist. If you created the "
    "deployment within the last 5 minutes, please wait a moment and try again."
)
_DENIED = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to "
    "provide a valid key for an active subscription and use a correct regional API "
    "endpoint for your resource."
)
_EXPIRED = (
    "Unauthorized. Access token is missing, invalid, audience is incorrect "
    "(https://cognitiveservices.azure.com), or have expired."
)
_SAFE = {"filtered": False, "severity": "safe"}
_CLEAN = dict.fromkeys(("hate", "self_harm", "sexual", "violence"), _SAFE)
_PROMPT = [
    {
        "prompt_index": 0,
        "content_filter_results": {
            **_CLEAN,
            "jailbreak": {"filtered": False, "detected": False},
        },
    }
]


@define(eq=False)
class Azure:
    """
    See `modelplex.testing.fakes.speaker.Speaker`.

    :ivar models: the deployments.
    :ivar entra: whose tokens are taken, too.
    :ivar asynchronous: the filter tells of a text after it was said, in chunks without
        a delta.
    """

    models: tuple[str, ...] = ("gpt-x",)
    key: str = ""
    entra: Entra | None = None
    asynchronous: bool = False
    garbage: bytes = b'data: {"choices":[{"index":0,"delta":\n\n'
    filler: bytes = b'data: {"choices":[{"index":0,"delta":{"content":"'
    _chat: OpenAI = field(init=False)
    _responses: Responses = field(init=False)

    @_chat.default
    def _make_chat(self) -> OpenAI:
        return OpenAI(self.models)

    @_responses.default
    def _make_responses(self) -> Responses:
        return Responses(self.models)

    def answer(self, asked: Asked, script: Script) -> Answer:
        self._admitted(asked)
        asked, whose = self._plain(asked)
        answer = whose.answer(asked, script)
        if asked.path != "/v1/chat/completions":
            return answer
        if not answer.streamed:
            [body] = answer.pieces
            return evolve(answer, pieces=(_filtered(body),))
        first = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
        told = dump({**first, "prompt_filter_results": _PROMPT})
        announcing = (b"data: " + told + b"\n\n", *answer.announcing)
        pieces = self._stream(iter(answer.pieces))
        return evolve(answer, announcing=announcing, pieces=pieces)

    def refusal(self, status: int, message: str, code: str | None = None) -> bytes:
        error: dict[str, Any] = {"code": code or str(status), "message": message}
        if status in (400, 422):
            error = {"message": message, "type": "invalid_request_error"}
            error |= {"param": None, "code": code}
        if code == "content_filter":
            high = {"filtered": True, "severity": "high"}
            result = {**_CLEAN, "hate": high}
            inner = {"code": "ResponsibleAIPolicyViolation"}
            inner_told = {**inner, "content_filter_result": result}
            error |= {"type": None, "param": "prompt", "status": status}
            error["innererror"] = inner_told
        return dump({"error": error})

    def error_event(self, message: str) -> bytes:
        return b"data: " + self.refusal(500, message) + b"\n\n"

    def _admitted(self, asked: Asked) -> None:
        given = asked.headers.get("authorization", "")
        token = given.removeprefix("Bearer ")
        if not self.key and self.entra is None:
            return
        if self.key and asked.headers.get("api-key") == self.key:
            return
        if self.entra is not None and self.entra.accepts(token):
            return
        # The newer style takes the key as OpenAI's client sends it.
        newer = asked.path.startswith("/openai/v1/")
        if newer and self.key and token == self.key:
            return
        raise Refused(401, _EXPIRED if given else _DENIED, "401")

    def _plain(self, asked: Asked) -> tuple[Asked, OpenAI | Responses]:
        """The request as OpenAI would have got it, and which fake answers it."""
        path = asked.path
        if path.startswith("/openai/v1/"):
            return self._at(asked, "/v1" + path.removeprefix("/openai/v1"))
        if not asked.asks("api-version"):
            raise Refused(404, "Resource not found", "404")
        found = _DEPLOYED.fullmatch(path)
        if found is not None:
            deployment = unquote(found[1])
            if deployment not in self.models:
                raise Refused(404, _MISSING, "DeploymentNotFound")
            asked = _deployed(asked, deployment)
            return self._at(asked, "/v1" + found[2])
        if path.startswith(("/openai/responses", "/openai/models", "/openai/files")):
            return self._at(asked, "/v1" + path.removeprefix("/openai"))
        raise Refused(404, "Resource not found", "404")

    def _at(self, asked: Asked, path: str) -> tuple[Asked, OpenAI | Responses]:
        plain = Asked(asked.method, path, asked.headers, asked.body, asked.query)
        whose = self._responses if path.startswith("/v1/responses") else self._chat
        return plain, whose

    def _stream(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for number, piece in enumerate(pieces):
            payload = piece.removeprefix(b"data: ").rstrip(b"\n")
            if payload == b"[DONE]":
                yield piece
                continue
            yield b"data: " + _filtered(payload, prompt=False) + b"\n\n"
            if number == 0 and self.asynchronous:
                yield b"data: " + _annotation(json.loads(payload)) + b"\n\n"


def _deployed(asked: Asked, deployment: str) -> Asked:
    """The deployment in the address counts, whatever the body says."""
    if not asked.headers.get("content-type", "").startswith("application/json"):
        return asked
    body = dump({**asked.json(), "model": deployment})
    return Asked(asked.method, asked.path, asked.headers, body, asked.query)


def _filtered(body: bytes, *, prompt: bool = True) -> bytes:
    """An answer or a chunk with what the filters found."""
    told = json.loads(body)
    for choice in told["choices"]:
        choice["content_filter_results"] = _CLEAN
    if prompt:
        told["prompt_filter_results"] = _PROMPT
    return dump(told)


def _annotation(chunk: dict[str, Any]) -> bytes:
    offsets = {"check_offset": 44, "start_offset": 44, "end_offset": 198}
    choice: dict[str, Any] = {
        "index": 0,
        "finish_reason": None,
        "content_filter_results": _CLEAN,
    }
    choice["content_filter_offsets"] = offsets
    return dump({**chunk, "choices": [choice]})
