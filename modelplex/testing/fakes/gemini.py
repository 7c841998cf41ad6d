"""A fake of Gemini's API that refuses what the real one does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from attrs import define, field

from modelplex.testing.fakes.gemini_messages import MESSAGES
from modelplex.testing.fakes.gemini_requests import (
    check,
    heard,
    sealed_call,
    sealed_text,
)
from modelplex.testing.fakes.openai import vector_of
from modelplex.testing.fakes.protojson import read
from modelplex.testing.fakes.script import Heard, Script, Spoken, cut, perform
from modelplex.testing.fakes.seals import Seals
from modelplex.testing.fakes.speaker import Answer, Asked, Refused, dump, whole

_PATH = re.compile(r"/(?:v1|v1beta)/models(?:/([^:]+)(?::(\w+))?)?")
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_ENDINGS = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}
_TYPE = "type.googleapis.com/google.rpc."
_METHODS = ("generateContent", "countTokens", "embedContent", "batchEmbedContents")


@define(eq=False)
class Gemini:
    """
    See `modelplex.testing.fakes.speaker.Speaker`.

    It takes back only the thought signatures that this very one has issued, each only
    on the call that it was issued for, and the words that are documented to skip the
    check.

    :ivar generation: as in the names of the models; from 3 on, calls are signed.
    :ivar ids: calls have ids; models before the third generation give none.
    :ivar retry_delay: what an error of 429 says, such as ``3s``; empty for nothing.
    :ivar quota: the quota that an error of 429 names.
    """

    models: tuple[str, ...] = ("gemini-3-x",)
    key: str = ""
    generation: int = 3
    ids: bool = True
    retry_delay: str = ""
    quota: str = "GenerateRequestsPerMinutePerProjectPerModel"
    garbage: bytes = b'data: {"candidates":[{"content":{"parts":[{"te\r\n\r\n'
    filler: bytes = b'data: {"candidates":[{"content":{"parts":[{"text":"'
    seals: Seals = field(factory=Seals)

    def answer(self, asked: Asked, script: Script) -> Answer:
        self._admitted(asked)
        found = _PATH.fullmatch(unquote(asked.path))
        if found is None:
            raise Refused(404, f"{asked.path} was not found on this server.")
        name, method = found[1], found[2]
        match asked.method, method:
            case "GET", None if name is None:
                return whole({"models": [self._model(m) for m in self.models]})
            case "GET", None:
                self._known(name, "getModel")
                return whole(self._model(name))
            case "POST", "generateContent" | "streamGenerateContent":
                return self._generate(name, method, asked, script)
            case "POST", "countTokens":
                return self._count(name, asked, script)
            case "POST", "embedContent":
                self._known(name, method)
                body = read(MESSAGES, "EmbedContentRequest", asked.json())
                return whole({"embedding": _embedding(body)})
            case "POST", "batchEmbedContents":
                return self._embed_all(name, asked)
            case _:
                raise Refused(404, f"{asked.path} was not found on this server.")

    def refusal(self, status: int, message: str, code: str | None = None) -> bytes:
        word = _STATUSES.get(status, "UNKNOWN")
        details: list[dict[str, Any]] = []
        if code is not None:
            reason = {"reason": code, "domain": "googleapis.com"}
            details.append({"@type": _TYPE + "ErrorInfo", **reason})
        if status == 429:
            violation = {"quotaId": self.quota}
            details.append({"@type": _TYPE + "QuotaFailure", "violations": [violation]})
            if self.retry_delay:
                delay = {"retryDelay": self.retry_delay}
                details.append({"@type": _TYPE + "RetryInfo", **delay})
        error: dict[str, Any] = {"code": status, "message": message, "status": word}
        if details:
            error["details"] = details
        return dump({"error": error})

    def error_event(self, message: str) -> bytes:
        return b"data: " + self.refusal(503, message) + b"\r\n\r\n"

    def _admitted(self, asked: Asked) -> None:
        given = asked.headers.get("x-goog-api-key") or asked.asks("key")
        if not self.key or given == self.key:
            return
        if given is None:
            raise Refused(
                403,
                "Method doesn't allow unregistered callers (callers without "
                "established identity). Please use API Key or other form of API "
                "consumer identity to call this API.",
            )
        message = "API key not valid. Please pass a valid API key."
        raise Refused(400, message, "API_KEY_INVALID")

    def _known(self, name: str | None, method: str) -> None:
        if name not in self.models:
            raise Refused(
                404,
                f"models/{name} is not found for API version v1beta, or is not "
                f"supported for {method}. Call ListModels to see the list of available "
                "models and their supported methods.",
            )

    def _model(self, name: str) -> dict[str, Any]:
        return {
            "name": f"models/{name}",
            "version": "001",
            "displayName": name,
            "description": "A fake.",
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536,
            "supportedGenerationMethods": list(_METHODS),
            "temperature": 1,
            "topP": 0.95,
            "topK": 64,
            "thinking": True,
        }

    def _generate(self, name: str, method: str, asked: Asked, script: Script) -> Answer:
        body = read(MESSAGES, "GenerateContentRequest", asked.json())
        self._known(name, method)
        check(body, self.seals, self.generation)
        told = heard(name, body, method == "streamGenerateContent")
        spoken = perform(script, told)
        chunks = self._chunks(told, spoken)
        if not told.stream:
            return whole(_joined(list(chunks)), told)
        if asked.asks("alt") == "sse":
            events = (b"data: " + dump(chunk) + b"\r\n\r\n" for chunk in chunks)
            return Answer(events, told, True, (), "text/event-stream")
        media_type = "application/json; charset=UTF-8"
        return Answer(_array(chunks), told, True, (), media_type)

    def _chunks(self, told: Heard, spoken: Spoken) -> Iterator[dict[str, Any]]:
        """The stream; each chunk says what has been counted so far."""
        if spoken.ending == "blocked":
            blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
            yield {**blocked, **_about(told, spoken, written=False)}
            return
        for piece in cut(spoken.thinking):
            yield _chunk(told, spoken, {"text": piece, "thought": True})
        for piece in spoken.pieces():
            yield _chunk(told, spoken, {"text": piece})
        signs = self.generation >= 3
        for number, call in enumerate(spoken.calls):
            named: dict[str, Any] = {"id": call.id} if self.ids else {}
            named |= {"name": call.name, "args": call.arguments}
            part: dict[str, Any] = {"functionCall": named}
            if signs and number == 0:  # of parallel ones only the first is signed
                part["thoughtSignature"] = sealed_call(self.seals, named)
            yield _chunk(told, spoken, part)
        last: dict[str, Any] = {"text": ""}
        if signs and not spoken.calls:
            last["thoughtSignature"] = sealed_text(self.seals)
        yield _chunk(told, spoken, last, _ENDINGS.get(spoken.ending, "STOP"))

    def _count(self, name: str, asked: Asked, script: Script) -> Answer:
        self._known(name, "countTokens")
        body = read(MESSAGES, "CountTokensRequest", asked.json())
        if "generateContentRequest" in body:
            if "contents" in body:
                raise Refused(400, "contents and generate_content_request are both set")
            body = body["generateContentRequest"]
            if body.get("model") != f"models/{name}":
                raise Refused(400, "generate_content_request.model: unexpected model")
        check(body, self.seals, self.generation)
        counted = {"modality": "TEXT", "tokenCount": script.input_tokens}
        told = {"totalTokens": script.input_tokens, "promptTokensDetails": [counted]}
        return whole(told)

    def _embed_all(self, name: str, asked: Asked) -> Answer:
        self._known(name, "batchEmbedContents")
        body = read(MESSAGES, "BatchEmbedContentsRequest", asked.json())
        requests = body.get("requests", ())
        if not requests:
            raise Refused(
                400, "* BatchEmbedContentsRequest.requests: must not be empty"
            )
        for place, one in enumerate(requests):
            if one.get("model") != f"models/{name}":
                where = f"BatchEmbedContentsRequest.requests[{place}].model"
                raise Refused(400, f"* {where}: unexpected model name format\n")
        return whole({"embeddings": [_embedding(one) for one in requests]})


def _embedding(body: Any) -> dict[str, Any]:
    texts = [part["text"] for part in body.get("content", {}).get("parts", ())]
    if not texts:
        raise Refused(400, "* EmbedContentRequest.content: contents is not specified\n")
    size = int(body.get("outputDimensionality", 3))
    return {"values": vector_of(" ".join(texts), size)}


def _about(told: Heard, spoken: Spoken, *, written: bool) -> dict[str, Any]:
    """What every chunk says beside its words."""
    thoughts = spoken.thinking_tokens
    usage = {"promptTokenCount": spoken.input_tokens}
    if spoken.cached_tokens:
        usage["cachedContentTokenCount"] = spoken.cached_tokens
    if written:
        usage["candidatesTokenCount"] = spoken.output_tokens - thoughts
        if thoughts:
            usage["thoughtsTokenCount"] = thoughts
    total = spoken.input_tokens + (spoken.output_tokens if written else 0)
    return {
        "usageMetadata": {**usage, "totalTokenCount": total},
        "modelVersion": told.model,
        "responseId": "fake-response",
    }


def _chunk(
    told: Heard, spoken: Spoken, part: dict[str, Any], finish: str | None = None
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [part]}}
    candidate["index"] = 0
    if finish is not None:
        candidate["finishReason"] = finish
    about = _about(told, spoken, written=finish is not None)
    return {"candidates": [candidate], **about}


def _joined(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The chunks as the one answer that they add up to."""
    whole_one = chunks[-1]
    if "candidates" not in whole_one:
        return whole_one
    parts: list[dict[str, Any]] = []
    for chunk in chunks:
        [part] = chunk["candidates"][0]["content"]["parts"]
        before = parts[-1] if parts else {}
        if "text" not in part or "text" not in before:
            if part != {"text": ""}:
                parts.append(part)
        elif part["text"] and before.get("thought") != part.get("thought"):
            parts.append(part)
        else:  # an empty last one has only the signature of what it follows
            before["text"] += part["text"]
            before |= {k: v for k, v in part.items() if k == "thoughtSignature"}
    whole_one["candidates"][0]["content"]["parts"] = parts
    return whole_one


def _array(chunks: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    before = b"["
    for chunk in chunks:
        yield before + dump(chunk)
        before = b",\r\n"
    yield b"]"
