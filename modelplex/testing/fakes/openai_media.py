"""What OpenAI's API has beside text: images, audio, moderations and files."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import define, field

from modelplex.testing.fakes.forms import Form, Upload, form
from modelplex.testing.fakes.script import Script, cut
from modelplex.testing.fakes.speaker import (
    Answer,
    Asked,
    Refused,
    dump,
    known_only,
    whole,
)

_PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+M8AAQUBAScY42YAAAAA"
    "SUVORK5CYII="
)
_UNKNOWN = "Unknown parameter: '{}'."
_SPEECH = frozenset(
    ["model", "input", "voice", "instructions", "response_format", "speed"]
) | {"stream_format"}
_MODERATION = frozenset({"model", "input"})
_IMAGE = frozenset(
    [
        "model",
        "prompt",
        "n",
        "size",
        "quality",
        "background",
        "moderation",
        "output_compression",
        "output_format",
        "partial_images",
        "response_format",
        "stream",
        "style",
        "user",
    ]
)
_EDIT = _IMAGE | {"input_fidelity"}
_VARIATION = frozenset({"model", "n", "size", "response_format", "user"})
_TRANSCRIPTION = frozenset(
    [
        "model",
        "language",
        "prompt",
        "response_format",
        "stream",
        "temperature",
        "chunking_strategy",
        "include[]",
        "timestamp_granularities[]",
    ]
)
_FILE = frozenset({"purpose", "expires_after[anchor]", "expires_after[seconds]"})
_PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_CREATED = 1_790_000_000
_PATH = re.compile(r"/v1/(images|audio|moderations|files)(?:/.*)?")
_ONE_FILE = re.compile(r"/v1/files/([^/]+)(/content)?")
_SSE = "text/event-stream"
_CATEGORIES = ("harassment", "hate", "self-harm", "sexual", "violence")

Known = Callable[[object], None]


def speech_of(fields: Mapping[str, Any], repeat: int = 1) -> bytes:
    """
    The bytes that are the speech for these fields of a request.

    :param repeat: of the script, for answers of any size.
    """
    told = json.dumps(fields, sort_keys=True, ensure_ascii=False).encode()
    return b"ID3\x04\x00\xff\x00\r\n" + told * repeat


@define(eq=False)
class Media:
    """
    Answers with facts about what it got: sizes and digests of files, and all fields.

    They are JSON in the ``revised_prompt`` of an image and the ``text`` of a
    transcription; a file says them in members of its own.
    """

    _files: dict[str, tuple[Upload, dict[str, Any]]] = field(factory=dict)
    _count: int = 0

    def serves(self, asked: Asked) -> bool:
        """Whether the path is one of these."""
        return _PATH.fullmatch(asked.path) is not None

    def answer(self, asked: Asked, script: Script, known: Known) -> Answer:
        """
        The answer to a request.

        :param known: refuses models that are not there.
        :raises Refused: the real API would not take it.
        """
        match asked.method, asked.path.removeprefix("/v1"):
            case "POST", "/images/generations":
                body = asked.json()
                known_only(body, _IMAGE, _UNKNOWN)
                known(body.get("model"))
                return _images(body, body)
            case "POST", "/images/edits":
                return _edits(form(asked), known)
            case "POST", "/images/variations":
                return _variations(form(asked), known)
            case "POST", "/audio/speech":
                return _speech(asked.json(), script, known)
            case "POST", "/audio/transcriptions" | "/audio/translations":
                return _transcription(form(asked), known)
            case "POST", "/moderations":
                return _moderation(asked.json())
            case "POST", "/files":
                return self._upload(form(asked))
            case "GET", "/files":
                listed = [told for _, told in self._files.values()]
                ends = {"first_id": None, "last_id": None}
                if listed:
                    ends = {"first_id": listed[0]["id"], "last_id": listed[-1]["id"]}
                page = {"object": "list", "data": listed, "has_more": False}
                return whole({**page, **ends})
            case _:
                return self._file(asked)

    def _upload(self, got: Form) -> Answer:
        [upload] = _files(got, _FILE, "file")
        purpose = got.get("purpose")
        if purpose not in _PURPOSES:
            raise Refused(400, f"'{purpose}' is not one of {list(_PURPOSES)}")
        self._count += 1
        id = f"file-{self._count:024x}"
        told = {
            "object": "file",
            "id": id,
            "purpose": purpose,
            "filename": upload.filename,
            "bytes": len(upload.content),
            "sha256": upload.facts()["sha256"],
            "created_at": _CREATED,
            "status": "processed",
        }
        self._files[id] = upload, told
        return whole(told)

    def _file(self, asked: Asked) -> Answer:
        found = _ONE_FILE.fullmatch(asked.path)
        if found is None:
            raise Refused(404, f"Invalid URL ({asked.method} {asked.path})")
        id = found[1]
        if id not in self._files:
            raise Refused(404, f"No such File object: {id}")
        upload, told = self._files[id]
        match asked.method, found[2]:
            case "GET", None:
                return whole(told)
            case "GET", _:
                pieces = _blocks(upload.content)
                return Answer(pieces, None, True, (), "application/octet-stream")
            case "DELETE", None:
                del self._files[id]
                return whole({"id": id, "object": "file", "deleted": True})
            case _:
                raise Refused(405, "Method not allowed")


def _files(got: Form, fields: frozenset[str], *names: str) -> list[Upload]:
    """The files of a form that has nothing else but known fields."""
    known_only(dict(got.fields), fields, _UNKNOWN)
    for upload in got.files:
        if upload.name not in names:
            raise Refused(400, _UNKNOWN.format(upload.name), "unknown_parameter")
    first = names[0]
    if not any(upload.name.startswith(first) for upload in got.files):
        said = f"Missing required parameter: '{first}'."
        raise Refused(400, said, "missing_required_parameter")
    return list(got.files)


def _images(fields: Mapping[str, Any], facts: object) -> Answer:
    if not fields.get("prompt"):
        said = "Missing required parameter: 'prompt'."
        raise Refused(400, said, "missing_required_parameter")
    details = {"text_tokens": 5, "image_tokens": 0}
    usage = {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11}
    usage_told = {**usage, "input_tokens_details": details}
    if fields.get("stream") in (True, "true"):
        kind = "image_generation.completed"
        told = {"type": kind, "b64_json": _PIXEL, "usage": usage_told}
        rest = {"created_at": _CREATED, "size": "1x1", "quality": "low"}
        event = dump({**told, **rest, "background": "opaque", "output_format": "png"})
        pieces = (b"event: %b\ndata: %b\n\n" % (kind.encode(), event),)
        return Answer(pieces, None, True, (), _SSE)
    image = {"b64_json": _PIXEL, "revised_prompt": dump(facts).decode()}
    found = [image] * int(fields.get("n") or 1)
    return whole({"created": _CREATED, "data": found, "usage": usage_told})


def _edits(got: Form, known: Known) -> Answer:
    _files(got, _EDIT, "image", "image[]", "mask")
    known(got.get("model"))
    return _images(dict(got.fields), got.facts())


def _variations(got: Form, known: Known) -> Answer:
    _files(got, _VARIATION, "image")
    known(got.get("model"))
    return _images({**dict(got.fields), "prompt": "a variation"}, got.facts())


def _speech(body: Any, script: Script, known: Known) -> Answer:
    known_only(body, _SPEECH, _UNKNOWN)
    known(body.get("model"))
    for name in ("input", "voice"):
        if not body.get(name):
            said = f"Missing required parameter: '{name}'."
            raise Refused(400, said, "missing_required_parameter")
    spoken = speech_of(body, script.repeat)
    if body.get("stream_format") == "sse":
        audio = base64.b64encode(spoken).decode()
        events = [{"type": "speech.audio.delta", "audio": piece} for piece in [audio]]
        usage = {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11}
        done = {"type": "speech.audio.done", "usage": usage}
        pieces = (b"data: " + dump(e) + b"\n\n" for e in (*events, done))
        return Answer(pieces, None, True, (), _SSE)
    kind = {"wav": "audio/wav", "pcm": "audio/pcm", "opus": "audio/opus"}
    media_type = kind.get(body.get("response_format"), "audio/mpeg")
    return Answer(_blocks(spoken), None, True, (), media_type)


def _transcription(got: Form, known: Known) -> Answer:
    _files(got, _TRANSCRIPTION, "file")
    known(got.get("model"))
    text = dump(got.facts()).decode()
    if got.get("stream") == "true":
        return Answer(_transcribed(text), None, True, (), _SSE)
    match got.get("response_format"):
        case "text" | "srt" | "vtt":
            return Answer((text.encode() + b"\n",), None, False, (), "text/plain")
        case "verbose_json":
            rest = {"task": "transcribe", "language": "english", "duration": 1.5}
            return whole({**rest, "text": text, "segments": [], "words": []})
        case _:
            usage = {"type": "duration", "seconds": 2}
            return whole({"text": text, "usage": usage})


def _transcribed(text: str) -> Iterator[bytes]:
    for piece in cut(text):
        yield _event({"type": "transcript.text.delta", "delta": piece})
    yield _event({"type": "transcript.text.done", "text": text})


def _event(event: object) -> bytes:
    return b"data: " + dump(event) + b"\n\n"


def _moderation(body: Any) -> Answer:
    """It flags as violence whatever has the word."""
    known_only(body, _MODERATION, _UNKNOWN)
    given = body.get("input")
    if not given or not isinstance(given, str | list):
        said = "Missing required parameter: 'input'."
        raise Refused(400, said, "missing_required_parameter")
    results = []
    for one in [given] if isinstance(given, str) else given:
        flagged = "violence" in dump(one).decode()
        categories = {name: flagged and name == "violence" for name in _CATEGORIES}
        scores = {name: 0.75 if told else 0.25 for name, told in categories.items()}
        told = {"flagged": flagged, "categories": categories, "category_scores": scores}
        types = {name: ["text"] for name in _CATEGORIES}
        results.append({**told, "category_applied_input_types": types})
    model = body.get("model", "omni-moderation-latest")
    return whole({"id": "modr-fake", "model": model, "results": results})


def _blocks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 2**14):
        yield content[start : start + 2**14]
