"""A guest's legacy completion request to the canonical one: its prompt is a message."""

from __future__ import annotations

from typing import NoReturn

from modelplex.errors import UnsupportedField
from modelplex.events import Message, Request, Role, Text
from modelplex.wire.jsonobject import JsonObject
from modelplex.wire.openai.chat_in import extra, stop
from modelplex.wire.openai.fields import Field, root

_MAX_TOKENS = 16  # what OpenAI takes when the guest says nothing

_NAMES = """
model prompt suffix max_tokens temperature top_p top_k min_p n best_of echo stop seed
presence_penalty frequency_penalty logprobs stream stream_options user
"""
_READ = frozenset(_NAMES.split())


def decode_request(body: JsonObject) -> Request:
    """
    The canonical form of a completion request.

    :raises UnsupportedField: several prompts or answers, tokens, or an echo; these
        work with a provider that has completions itself.
    :raises BadRequest: a field is missing or of a wrong type.
    """
    request = root(body)
    model = request.need("model").name()
    prompt = Text(_prompt(request))
    for key in ("n", "best_of"):
        if (request.maybe(key, Field.positive) or 1) > 1:
            _refuse(key, "one answer at a time can be translated")
    if request.maybe("echo", Field.boolean):
        _refuse("echo", "a translated answer cannot repeat its prompt")
    request.maybe("stream_options", Field.object)
    return Request(
        model=model,
        messages=(Message(Role.USER, (prompt,)),),
        stream=request.maybe("stream", Field.boolean) or False,
        max_tokens=request.maybe("max_tokens", Field.positive) or _MAX_TOKENS,
        temperature=request.maybe("temperature", Field.number),
        top_p=request.maybe("top_p", Field.number),
        top_k=request.maybe("top_k", Field.integer),
        min_p=request.maybe("min_p", Field.number),
        stop=stop(request),
        seed=request.maybe("seed", Field.integer),
        presence_penalty=request.maybe("presence_penalty", Field.number),
        frequency_penalty=request.maybe("frequency_penalty", Field.number),
        logprobs=_logprobs(request),
        user=request.maybe("user", Field.text) or None,
        suffix=request.maybe("suffix", Field.text) or None,
        extra=extra(request, _READ),
    )


def _prompt(request: Field) -> str:
    prompt = request.get("prompt")
    if prompt is None:
        _refuse("prompt", "a prompt is needed for a translation")
    if isinstance(prompt.value, str):
        return prompt.value
    items = prompt.items()
    if len(items) != 1:
        _refuse("prompt", "one prompt at a time can be translated")
    if not isinstance(items[0].value, str):
        if isinstance(items[0].value, int | list):
            _refuse("prompt", "tokens cannot be translated, only text")
        items[0].wrong("a string is expected", "invalid_type")
    return items[0].value


def _logprobs(request: Field) -> int | None:
    logprobs = request.get("logprobs")
    if logprobs is None:
        return None
    if not 0 <= logprobs.integer() <= 5:
        logprobs.wrong("must be from 0 to 5")
    return logprobs.integer()


def _refuse(param: str, why: str) -> NoReturn:
    raise UnsupportedField(f"{param}: {why}", param=param)
