"""``POST /api/generate``: one prompt, both ways; completions and filling a gap."""

from __future__ import annotations

from typing import Any

from modelplex.errors import UnsupportedField
from modelplex.events import JSON, Message, Part, Request, Role, Text
from modelplex.wire.dialect import Encoded
from modelplex.wire.jsonobject import JsonObject
from modelplex.wire.ollama.chat_out import admitted, attached, joined
from modelplex.wire.ollama.fidelity import GENERATE
from modelplex.wire.ollama.media import sniff
from modelplex.wire.ollama.settings import decode_settings, encode_settings
from modelplex.wire.typed import member, model_of, pack

_READ_HERE = ("prompt", "system", "suffix", "images", "template", "context", "raw")


def encode_generate(request: Request) -> Encoded:
    """
    Write a request that has one user message, and system messages before it.

    :raises UnsupportedField: it has more, or asks for what Ollama cannot do.
    :raises BadRequest: it contradicts itself, or holds what JSON cannot say.
    """
    request, lost = admitted(request, GENERATE)
    *before, prompt = request.messages or (Message(Role.USER, ()),)
    others = [m for m in before if m.role is not Role.SYSTEM]
    if others or prompt.role is not Role.USER:
        raise UnsupportedField(
            f"messages: {GENERATE.title} cannot express this (one prompt only)",
            param="messages",
        )
    body: dict[str, JSON] = {
        "model": request.model,
        "prompt": joined(prompt.parts, "\n\n"),
        "stream": request.stream,
    }
    if before:
        body["system"] = "\n\n".join(joined(m.parts, "\n\n") for m in before)
    if request.suffix is not None:
        body["suffix"] = request.suffix
    if images := attached(prompt.parts):
        body["images"] = images
    return Encoded(pack(body | encode_settings(request)), lost)


def decode_generate(body: JsonObject) -> Request:
    """
    Read a request.

    :raises UnsupportedField: it brings its own template or an encoded context, which
        mean something to one Ollama model only.
    :raises BadRequest: a value is missing or of the wrong type; names its path.
    """
    for name, type in (("template", str), ("context", list[Any]), ("raw", bool)):
        if member(body, name, type):
            raise UnsupportedField(
                f"{name}: no other provider can express this", param=name
            )
    settings = decode_settings(body, frozenset(_READ_HERE))
    parts: list[Part] = [Text(member(body, "prompt", str) or "")]
    for place, image in enumerate(member(body, "images", list[str]) or ()):
        parts.append(sniff(image, f"images[{place}]"))
    messages = [Message(Role.USER, tuple(parts))]
    if system := member(body, "system", str):
        messages.insert(0, Message(Role.SYSTEM, (Text(system),)))
    return Request(
        model=model_of(body),
        messages=tuple(messages),
        suffix=member(body, "suffix", str) or None,
        **settings,
    )
