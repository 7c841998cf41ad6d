"""The upstreams of the matrix: how each is configured, faked and declared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from attrs import define, evolve, field, frozen

from modelplex.testing.fakes.anthropic import Anthropic
from modelplex.testing.fakes.azure import Azure
from modelplex.testing.fakes.gemini import Gemini
from modelplex.testing.fakes.gemini_requests import SKIP
from modelplex.testing.fakes.ollama import Ollama
from modelplex.testing.fakes.openai import OpenAI
from modelplex.testing.fakes.responses import Responses
from modelplex.testing.fakes.script import Script
from modelplex.testing.fakes.speaker import Answer, Asked, Speaker
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.dialect import Dialect
from modelplex.wire.gemini.dialect import GEMINI
from modelplex.wire.ollama.dialect import OLLAMA
from modelplex.wire.openai.dialect import OPENAI_CHAT
from modelplex.wire.responses.dialect import RESPONSES

KEY = "sk-secret-0123456789"
"""The operator's, which only the upstreams may see."""


@frozen
class Column:
    """
    One upstream.

    :ivar lines: its lines of the configuration.
    :ivar speaker: makes the fake, for a model and a key.
    :ivar dialect: what requests are translated to.
    :ivar proof: how a string in a request to it is named that holds a proof.
    :ivar ids: its calls have ids.
    :ivar tells: which tokens it tells of, beside input and output.
    :ivar counts: it can be asked how many tokens a request would be.
    :ivar embeds: it has embeddings.
    :ivar types: it is told the type of an image.
    """

    name: str
    lines: str
    model: str
    speaker: Callable[[tuple[str, ...], str], Speaker]
    dialect: Dialect
    proof: tuple[str, ...] = ()
    ids: bool = True
    tells: frozenset[str] = frozenset({"cached", "thinking"})
    counts: bool = False
    embeds: bool = False
    types: bool = True

    def provider(self, name: str, url: str, models: str, priority: int = 1) -> str:
        """The table of the configuration; the key is in ``KEY``."""
        return (
            f'[[providers]]\nname = "{name}"\n{self.lines}\nmodels = {models}\n'
            f'base_url = "{url}"\napi_key = "${{KEY}}"\npriority = {priority}\n'
        )

    def fake(self) -> Speaker:
        """A new fake, that knows no signature yet."""
        return self.speaker((self.model,), KEY)

    def proofs(self, body: bytes) -> list[str]:
        """Every proof in a request to it, in order."""
        return list(_proofs(json.loads(body), self.proof))


def _proofs(value: Any, names: tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, list):
        for inner in value:
            yield from _proofs(inner, names)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in names and isinstance(inner, str) and inner not in SKIP:
                yield inner
            else:
                yield from _proofs(inner, names)


COLUMNS = (
    Column("openai", 'type = "openai"', "gpt-5.2", OpenAI, OPENAI_CHAT, embeds=True),
    Column(
        "responses",
        'type = "openai"\napi = "responses"',
        "gpt-5.2-pro",
        Responses,
        RESPONSES,
        ("encrypted_content",),
        counts=True,
    ),
    Column(
        "anthropic",
        'type = "anthropic"',
        "claude-sonnet-4-5",
        Anthropic,
        ANTHROPIC,
        ("signature", "data"),
        counts=True,
    ),
    Column(
        "gemini",
        'type = "gemini"',
        "gemini-3-pro",
        Gemini,
        GEMINI,
        ("thoughtSignature", "thought_signature"),
        counts=True,
        embeds=True,
    ),
    Column(
        "ollama",
        'type = "ollama"',
        "qwen3",
        Ollama,
        OLLAMA,
        tells=frozenset(),
        embeds=True,
        types=False,
    ),
)


def _adaptive(models: tuple[str, ...], key: str) -> Speaker:
    return Anthropic(models, key, thinking=("enabled", "adaptive", "disabled"))


def _before_ids(models: tuple[str, ...], key: str) -> Speaker:
    return Gemini(models, key, generation=2, ids=False)


def _filtered(models: tuple[str, ...], key: str) -> Speaker:
    return Azure(models, key, asynchronous=True)


#: The same APIs at another place, or for models that take something else.
FURTHER = (
    Column("azure", 'type = "azure"', "gpt-x", _filtered, OPENAI_CHAT, embeds=True),
    evolve(
        COLUMNS[2], name="anthropic-4.6", model="claude-opus-4-6", speaker=_adaptive
    ),
    evolve(
        COLUMNS[3],
        name="gemini-2.5",
        model="gemini-2.5-flash",
        speaker=_before_ids,
        proof=(),
        ids=False,
    ),
)


@define(eq=False)
class Chopped:
    """A speaker whose answers come a few bytes at a time, characters cut through."""

    speaker: Speaker
    size: int = 3
    models: tuple[str, ...] = field(init=False)
    key: str = field(init=False)
    garbage: bytes = field(init=False)
    filler: bytes = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.models, self.key = self.speaker.models, self.speaker.key
        self.garbage, self.filler = self.speaker.garbage, self.speaker.filler

    def answer(self, asked: Asked, script: Script) -> Answer:
        answer = self.speaker.answer(asked, script)
        whole = b"".join((*answer.announcing, *answer.pieces))
        pieces = [whole[n : n + self.size] for n in range(0, len(whole), self.size)]
        return evolve(answer, announcing=(), pieces=pieces)

    def refusal(self, status: int, message: str, code: str | None = None) -> bytes:
        return self.speaker.refusal(status, message, code)

    def error_event(self, message: str) -> bytes:
        return self.speaker.error_event(message)
