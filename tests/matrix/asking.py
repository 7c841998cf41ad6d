"""What is asked and answered in the matrix, whatever SDK asks and whoever answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from attrs import define, field, frozen

from modelplex.testing.fakes.script import Call
from modelplex.wire.dialect import Dialect

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+M8AAQUBAScY42YAAAAA"
    "SUVORK5CYII="
)


@frozen
class Tool:
    """A function that the model may call."""

    name: str
    parameters: Mapping[str, Any]
    description: str = "Does what it says."


@frozen
class Ask:
    """What is asked for beside the conversation."""

    stream: bool = False
    system: str = ""
    tools: tuple[Tool, ...] = ()
    schema: Mapping[str, Any] | None = None
    thinks: bool = False
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None


@frozen
class Tokens:
    """
    What was counted, as OpenAI counts: cached ones are input, thoughts are output.

    ``None`` is what an API has no word for.
    """

    input: int
    output: int
    cached: int | None = None
    thinking: int | None = None


@frozen
class Said:
    """
    An answer as an SDK gives it.

    :ivar ending: ``stop``, ``stop_sequence``, ``length`` or ``tool_calls``.
    :ivar pieces: in how many pieces the text came; of calls, if there was no text,
        their arguments.
    :ivar turn: the SDK's own objects, for the next request as they are.
    """

    text: str
    thinking: str
    calls: tuple[Call, ...]
    ending: str
    tokens: Tokens
    pieces: int
    turn: Sequence[Any] = field(repr=False)


class InBand(Exception):
    """An SDK shows an error that came in the middle of a stream, and raises none."""


@define(eq=False)
class Traffic:
    """
    The last request and answer of an SDK, as its HTTP client saw them.

    :ivar count: how many requests there were.
    :ivar status: of the answer; 0 before there is one.
    """

    count: int = 0
    status: int = 0
    sent: bytes = field(default=b"", repr=False)
    answered: Mapping[str, str] = field(factory=dict)

    def hooks(self) -> dict[str, list[Any]]:
        """For the HTTP client, of either generation of httpx."""
        return {"request": [self._request], "response": [self._response]}

    def _request(self, request: Any) -> None:
        self.count += 1
        self.sent = request.read()
        self.status, self.answered = 0, {}

    def _response(self, response: Any) -> None:
        self.status, self.answered = response.status_code, response.headers


class Guest(Protocol):
    """
    One SDK that talks to Modelplex.

    :ivar keeps_ids: the ids of calls come back with their results.
    :ivar shows: which of `Tokens` its API has words for.
    """

    name: str
    dialect: Dialect
    traffic: Traffic
    keeps_ids: bool
    shows: frozenset[str]

    def user(self, text: str, image: str = "") -> list[Any]:
        """What a user says."""

    def results(self, said: Said, texts: Sequence[str]) -> list[Any]:
        """What came of the calls of `said`, in their order."""

    def ask(self, history: Sequence[Any], ask: Ask, model: str) -> Said:
        """
        Ask.

        :param history: of what `user`, `results` and `Said.turn` gave.
        """

    def error(self, error: Exception) -> int | None:
        """
        The status that `error` tells of, 0 if it tells of none.

        :returns: ``None`` for one that is not the SDK's own for what happened.
        """

    def models(self) -> list[str]:
        """The names of the models."""

    def close(self) -> None:
        """Close the connections."""


class Embeds(Protocol):
    """An SDK that can ask for embeddings."""

    def embed(self, texts: Sequence[str], model: str) -> list[list[float]]:
        """The vector of each text."""


class Counts(Protocol):
    """An SDK that can ask how many tokens a request would be."""

    def count(self, history: Sequence[Any], model: str) -> int:
        """How many."""
