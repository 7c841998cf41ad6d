"""What a fake upstream is told to say, and what it heard: the same for every API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import field, frozen

PIECE = 7  # characters of text or arguments in one event of a stream


@frozen
class Call:
    """A tool call that the model makes."""

    id: str
    name: str
    arguments: dict[str, Any] = field(factory=dict)


@frozen
class Script:
    """
    What the model says.

    :ivar calls: made unless the conversation ends with the results of tools.
    :ivar repeat: how often the text is said, for answers of any size.
    :ivar ending: ``stop``; ``content_filter`` for an answer that was held back in the
        middle; ``blocked`` for a prompt that Gemini does not answer.
    :ivar again: the calls are made after the results of tools, too.
    :ivar redacted: the thinking is encrypted, where the API has that.
    :ivar cached_tokens: how many of the input tokens came from a cache.
    :ivar thinking_tokens: how many of the output tokens were thoughts.
    """

    text: str = "Hello, größe ☃ and 😀!"
    thinking: str = ""
    calls: tuple[Call, ...] = ()
    repeat: int = 1
    input_tokens: int = 11
    output_tokens: int = 7
    ending: str = "stop"
    again: bool = False
    redacted: bool = False
    cached_tokens: int = 0
    thinking_tokens: int = 0


@frozen
class Heard:
    """
    What a request asked for, whatever API it came by.

    :ivar said: the text of the last message that is not a tool's result.
    :ivar images: (media type, base64) of every image; Ollama names no type.
    :ivar results: (id of the call, text) of the tool results at the end.
    :ivar usage: tokens are to be told in the stream.
    """

    model: str
    stream: bool
    system: str = ""
    said: str = ""
    images: tuple[tuple[str, str], ...] = ()
    results: tuple[tuple[str, str], ...] = ()
    tools: tuple[str, ...] = ()
    schema: Any = None
    thinks: bool = False
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    usage: bool = False


@frozen
class Spoken:
    """
    A script as it is performed for one request.

    :ivar ending: ``stop``, ``length``, ``tool_calls``, ``stop_sequence``, or what the
        script says.
    """

    text: str
    thinking: str
    calls: tuple[Call, ...]
    ending: str
    repeat: int
    input_tokens: int
    output_tokens: int
    stopped_at: str | None = None
    redacted: bool = False
    cached_tokens: int = 0
    thinking_tokens: int = 0

    def pieces(self) -> Iterator[str]:
        """The text, as a stream tells it."""
        for _ in range(self.repeat):
            yield from cut(self.text)


def cut(text: str) -> Iterator[str]:
    """`text` in pieces, wherever its words end."""
    for start in range(0, len(text), PIECE):
        yield text[start : start + PIECE]


def perform(script: Script, heard: Heard) -> Spoken:
    """What a model with this script says: stops and limits are kept to."""
    text, ending, stopped_at = script.text, script.ending, None
    if heard.results:
        text = "; ".join(f"{id} said {result}" for id, result in heard.results)
    calls = () if heard.results and not script.again else script.calls
    if calls:
        text, ending = "", "tool_calls"
    words = text.split(" ")
    if heard.max_tokens is not None and len(words) > heard.max_tokens:
        text, ending = " ".join(words[: heard.max_tokens]), "length"
    for stop in heard.stop:
        if stop in text:
            text, ending, stopped_at = text.partition(stop)[0], "stop_sequence", stop
    return Spoken(
        text,
        script.thinking if heard.thinks else "",
        calls,
        ending,
        1 if ending != "stop" else script.repeat,
        script.input_tokens,
        script.output_tokens,
        stopped_at,
        script.redacted,
        script.cached_tokens,
        script.thinking_tokens,
    )
