"""
Ollama's chat, generate and embed, closed by default.

Ollama is written in Go and takes ``Model`` for ``model``, so a key that is known is
written as it is known. It runs no tools and keeps nothing; pictures are base64.
"""

from __future__ import annotations

import re

from modelplex.errors import BadRequest
from modelplex.guests.admitted import Admitted
from modelplex.guests.hosted import Tool, says, sift
from modelplex.guests.policy import FILES, HOSTED_TOOLS, REMOTE_URLS, Policy
from modelplex.guests.references import forbidden, look_through, other_spelling, parsed
from modelplex.guests.rules import OTHER_MODELS, Admission, Rules
from modelplex.wire.jsonobject import JsonObject, open_array, open_objects

_RULES = Rules(
    harmless=frozenset(
        {
            *("model", "stream", "format", "options", "think", "keep_alive"),
            *("truncate", "shift", "logprobs", "top_logprobs", "dimensions"),
            *("system", "suffix", "template", "context", "raw"),
        }
    ),
    own=frozenset({"messages", "tools", "images", "prompt", "input"}),
    # `name` was the model's, and still is where `model` is absent.
    other_models=OTHER_MODELS | {"name", "from"},
)
_SAID = frozenset(
    {
        *("role", "content", "thinking", "tool_calls", "tool_name", "tool_call_id"),
        "name",
    }
)
_QUOTE = ord('"')
# What base64 or a data URL begins with; a picture is not read further.
_INLINE = re.compile(r"(?:data:|[A-Za-z0-9+/=_\-][A-Za-z0-9+/=_\-\s]*\Z|\Z)")
_SEEN = 64  # characters


def close(body: JsonObject, model: str, policy: Policy) -> Admitted:
    """
    Hold a request to Ollama's ``/api`` against a policy.

    :raises Forbidden: it uses a way out that the policy leaves closed; the error
        names the word that would open it.
    :raises BadRequest: it can be read in two ways, or a picture is no base64.
    """
    admission = Admission(body, policy.allow)
    for key in body.spans:
        match key:
            case "messages":
                _messages(admission, key)
            case "tools":
                if HOSTED_TOOLS not in policy.allow:
                    sifted = sift(admission.raw(key), _is_clients)
                    if sifted is not None:
                        admission.keep(sifted, key)
            case "images":
                _images(admission.raw(key), key, policy.allow)
            case "prompt" | "input":
                value = admission.raw(key)
                if value[:1] in (b"{", b"[") and b"{" in value:
                    look_through(value, key, policy.allow)
            case _:
                _RULES.hold(admission, key)
    return admission.admitted()


def _is_clients(tool: Tool) -> bool:
    kind = says(tool, "type")
    return kind == b'"function"' or (kind is None and tool.keys() == {"function"})


def _messages(admission: Admission, key: str) -> None:
    allow = admission.allow
    if REMOTE_URLS in allow and FILES in allow:
        return
    for number, message in enumerate(open_objects(admission.raw(key), key)):
        content = message.get("content")
        if content is not None and memoryview(content)[0] != _QUOTE:
            look_through(bytes(content), f"{key}[{number}].content", allow)
        for name in message.keys() - _SAID:
            where = f"{key}[{number}].{name}"
            if name == "images":
                _images(bytes(message[name]), where, allow)
            elif (known := name.casefold()) in _SAID or known == "images":
                raise other_spelling(where, known)
            else:
                look_through(bytes(message[name]), where, allow)


def _images(images: bytes, where: str, allow: frozenset[str]) -> None:
    if REMOTE_URLS in allow or images == b"null":
        return
    for image in open_array(images, where):
        if not image.startswith(b'"'):
            raise BadRequest(f"{where}: base64 is expected", param=where)
        start = image[1 : 1 + _SEEN].removesuffix(b'"').decode(errors="replace")
        if "\\" in start:
            start = parsed(image, where)[:_SEEN]
        if not _INLINE.match(start):
            if ":" in start or start.startswith(("//", "\\\\")):
                raise forbidden(where, REMOTE_URLS)
            raise BadRequest(f"{where}: base64 is expected", param=where)
