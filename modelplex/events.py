"""
The canonical request and the canonical events of its reply: frozen values.

Every dialect in `modelplex.wire` decodes to these and encodes from these, so that
N dialects need N modules. They carry what the richest dialect has. They are used
only when the guest and the provider speak different dialects; between equals the
bytes go through untouched (`modelplex.wire.asked`).

A reply is one sequence of `Event`, streamed or not: a reply that came whole is the
same events at once (`spread`), and `gather` folds events into a `Reply` again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, TypeAlias

from attrs import evolve, field, frozen

from modelplex.errors import GatewayError

JSON: TypeAlias = Any  # what a JSON text decodes to


# --- the parts of a message -------------------------------------------------


@frozen
class Inline:
    """Bytes that travel in the request: `content` is base64, whitespace removed."""

    media_type: str
    content: str = field(repr=False)


@frozen
class Url:
    """An http(s) address that the provider would have to fetch."""

    url: str


@frozen
class FileId:
    """A name in the provider's own file store."""

    id: str


Source: TypeAlias = Inline | Url | FileId


@frozen
class CacheMark:
    """The prompt up to and including the marked part is worth caching."""

    ttl: str | None = None  # "5m", "30m", "1h", "12h"


@frozen
class Text:
    """Plain text."""

    text: str
    cache: CacheMark | None = None
    citations: tuple[JSON, ...] = ()


@frozen
class Image:
    """A picture; `detail` is OpenAI's auto, low, high or original."""

    source: Source
    detail: str | None = None
    cache: CacheMark | None = None


@frozen
class Audio:
    """Recorded sound: `content` is base64, `format` such as wav or mp3."""

    content: str = field(repr=False)
    format: str


@frozen
class Document:
    """A file to read, such as a PDF; text documents are `Inline` text/plain."""

    source: Source
    title: str | None = None
    context: str | None = None
    citations: bool = False
    cache: CacheMark | None = None


@frozen
class Refusal:
    """What the model said in place of an answer."""

    text: str


@frozen
class Thinking:
    """Reasoning text; `signature` is the provider's proof that it is its own."""

    text: str
    signature: str | None = None


@frozen
class RedactedThinking:
    """Reasoning that only the provider can read."""

    content: str


@frozen
class ToolCall:
    """
    The model asks for a tool.

    :ivar arguments: JSON text exactly as the model wrote it, which may be invalid;
        free text when `custom`.
    """

    id: str
    name: str
    arguments: str
    custom: bool = False
    cache: CacheMark | None = None


@frozen
class ToolResult:
    """A tool's answer to the call with `call_id`."""

    call_id: str
    content: tuple[Text | Image | Document, ...]
    is_error: bool = False
    cache: CacheMark | None = None


Part: TypeAlias = (
    Text
    | Image
    | Audio
    | Document
    | Refusal
    | Thinking
    | RedactedThinking
    | ToolCall
    | ToolResult
)


class Role(Enum):
    """Who speaks. Tool results are messages of their own with role `TOOL`."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@frozen
class Message:
    """One turn. A `TOOL` message holds `ToolResult` parts and nothing else."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None


# --- the request ------------------------------------------------------------


@frozen
class Tool:
    """
    A tool the model may ask for.

    :ivar schema: the JSON Schema of the arguments; `None` means no arguments.
    :ivar custom: takes free text; `format` is then its grammar, if any.
    """

    name: str
    description: str | None = None
    schema: JSON = None
    strict: bool | None = None
    custom: bool = False
    format: JSON = None
    cache: CacheMark | None = None


class Choose(Enum):
    """Whether the model may, must or must not call a tool."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


@frozen
class ToolChoice:
    """`names`, if any, are the only tools that may be chosen."""

    mode: Choose
    names: tuple[str, ...] = ()


@frozen
class JsonSchema:
    """The answer must satisfy `schema`; `schema=None` asks for any JSON object."""

    schema: JSON = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


@frozen
class ThinkingControl:
    """
    How much to reason, in the words of the dialects that say it.

    :ivar effort: none, minimal, low, medium, high, xhigh or max.
    :ivar mode: Anthropic's enabled, adaptive, disabled or between_tools.
    :ivar budget: tokens, with mode enabled.
    :ivar display: summarized or omitted.
    """

    effort: str | None = None
    mode: str | None = None
    budget: int | None = None
    display: str | None = None


@frozen
class Request:
    """
    What a guest asked, in no dialect.

    :ivar max_tokens: visible and reasoning tokens together.
    :ivar logprobs: number of alternatives per token; 0 is the chosen one only.
    :ivar suffix: the text after the gap, for fill-in-the-middle completions.
    :ivar extra: members of the guest's own dialect that no other one has, by their
        name there; hints by definition, so a translation drops and lists them.
    """

    model: str
    messages: tuple[Message, ...]
    stream: bool = False
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: int | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: JsonSchema | None = None
    thinking: ThinkingControl | None = None
    audio_output: JSON = None
    user: str | None = None
    suffix: str | None = None
    cache: CacheMark | None = None
    extra: Mapping[str, JSON] = field(factory=dict)


# --- the events of a reply --------------------------------------------------


class FinishReason(Enum):
    """Why the model stopped."""

    STOP = "stop"
    STOP_SEQUENCE = "stop_sequence"
    LENGTH = "length"
    CONTEXT_WINDOW = "context_window"
    TOOL_CALLS = "tool_calls"
    REFUSAL = "refusal"
    PAUSE = "pause"


@frozen
class Usage:
    """
    Tokens of one exchange.

    `input_tokens` includes the cached ones and those written to a cache, and
    `output_tokens` includes reasoning, as OpenAI counts.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


@frozen
class Started:
    """The provider has begun; announces only, nothing is lost if it is held back."""

    id: str
    model: str


@frozen
class TextDelta:
    text: str


@frozen
class RefusalDelta:
    text: str


@frozen
class ThinkingDelta:
    text: str


@frozen
class ThinkingSigned:
    """Ends one block of reasoning with its signature."""

    signature: str


@frozen
class ThinkingRedacted:
    """One whole block of reasoning that only the provider can read."""

    content: str


@frozen
class ToolCallStarted:
    """`index` counts the calls of this reply from 0, without gaps."""

    index: int
    id: str
    name: str
    custom: bool = False


@frozen
class ToolCallDelta:
    index: int
    arguments: str


@frozen
class Cited:
    """A citation for the text so far, in the provider's own shape."""

    citation: JSON


@frozen
class TokenLogprobs:
    """OpenAI-shaped entries: token, logprob, bytes, top_logprobs."""

    content: tuple[JSON, ...]


@frozen
class UsageReported:
    """Counts so far; a later one replaces an earlier one."""

    usage: Usage


@frozen
class Finished:
    """The model stopped; only `UsageReported` may follow."""

    reason: FinishReason
    stop_sequence: str | None = None
    explanation: str | None = None


@frozen
class Failed:
    """The reply is broken and over; nothing follows."""

    error: GatewayError


# Of what Modelplex does itself for a model, between two answers of it. No provider's
# reply has these, and of a message they are no part: there they are a `ToolCall` and a
# `ToolResult` like any other.


@frozen
class HostTools:
    """
    The tools of the host that the model is offered.

    :ivar label: what the guest calls the server that they are of.
    :ivar tools: their definitions as MCP has them.
    """

    label: str
    tools: tuple[JSON, ...] = field(repr=False)


@frozen
class HostCall:
    """
    Modelplex calls a tool of the host now.

    :ivar id: no two calls of a reply have the same.
    :ivar arguments: as of a `ToolCall`.
    """

    id: str
    label: str
    name: str
    arguments: str


@frozen
class HostResult:
    """What the tool has answered; other calls may have begun or ended meanwhile."""

    call_id: str
    content: tuple[Text | Image | Document, ...]
    is_error: bool = False

    @property
    def texts(self) -> list[str]:
        """The content for a place that takes only text."""
        return [
            part.text if isinstance(part, Text) else f"[{type(part).__name__.lower()}]"
            for part in self.content
        ]


HostPart: TypeAlias = HostTools | HostCall | HostResult


Event: TypeAlias = (
    Started
    | TextDelta
    | RefusalDelta
    | ThinkingDelta
    | ThinkingSigned
    | ThinkingRedacted
    | ToolCallStarted
    | ToolCallDelta
    | Cited
    | TokenLogprobs
    | UsageReported
    | Finished
    | Failed
    | HostPart
)

ANNOUNCING = (Started, UsageReported)
"""Events that carry no answer yet; until another one came, failover is possible."""


# --- a reply as a whole -----------------------------------------------------


@frozen
class Reply:
    """A reply that is complete: what the events of a stream add up to."""

    id: str
    model: str
    parts: tuple[Part | HostPart, ...]
    finish: Finished
    usage: Usage = Usage()
    logprobs: tuple[JSON, ...] = ()

    @property
    def said(self) -> tuple[Part, ...]:
        """The parts that the model itself has made."""
        return tuple(part for part in self.parts if isinstance(part, Part))


def gather(events: Iterable[Event]) -> Reply:
    """
    Fold a complete sequence of events into the reply they stream.

    :raises GatewayError: the error of a `Failed` event.
    """
    id, model, usage = "", "", Usage()
    finish = Finished(FinishReason.STOP)
    parts: list[Part | HostPart] = []
    said: dict[int, list[str]] = {}  # position in parts -> pieces, joined at the end
    cited: dict[int, list[JSON]] = {}
    calls: dict[int, int] = {}  # tool index -> position in parts
    logprobs: list[JSON] = []

    def add(part: Part, *pieces: str) -> None:
        said[len(parts)] = list(pieces)
        parts.append(part)

    for event in events:
        position = len(parts) - 1
        last = parts[position] if parts else None
        match event:
            case Started():
                id, model = event.id, event.model
            case TextDelta(text):
                if isinstance(last, Text):
                    said[position].append(text)
                else:
                    add(Text(""), text)
            case RefusalDelta(text):
                if isinstance(last, Refusal):
                    said[position].append(text)
                else:
                    add(Refusal(""), text)
            case ThinkingDelta(text):
                if isinstance(last, Thinking) and last.signature is None:
                    said[position].append(text)
                else:
                    add(Thinking(""), text)
            case ThinkingSigned(signature):
                if isinstance(last, Thinking) and last.signature is None:
                    parts[position] = Thinking("", signature)
                else:
                    add(Thinking("", signature))
            case ThinkingRedacted(content):
                parts.append(RedactedThinking(content))
            case ToolCallStarted():
                calls[event.index] = len(parts)
                add(ToolCall(event.id, event.name, "", event.custom))
            case ToolCallDelta(index, arguments):
                said[calls[index]].append(arguments)
            case Cited(citation):
                if isinstance(last, Text):
                    cited.setdefault(position, []).append(citation)
            case TokenLogprobs(content):
                logprobs.extend(content)
            case HostTools() | HostCall() | HostResult():
                parts.append(event)
            case UsageReported():
                usage = event.usage
            case Finished():
                finish = event
            case Failed():
                raise event.error
    for position, pieces in said.items():
        match parts[position]:
            case Text() as part:
                citations = tuple(cited.get(position, ()))
                parts[position] = evolve(
                    part, text="".join(pieces), citations=citations
                )
            case Refusal():
                parts[position] = Refusal("".join(pieces))
            case Thinking() as part:
                parts[position] = evolve(part, text="".join(pieces))
            case ToolCall() as part:
                parts[position] = evolve(part, arguments="".join(pieces))
    return Reply(id, model, tuple(parts), finish, usage, tuple(logprobs))


def spread(reply: Reply) -> tuple[Event, ...]:
    """The events that `gather` folds into `reply`."""
    events: list[Event] = [Started(reply.id, reply.model)]
    index = 0
    for part in reply.parts:
        match part:
            case Text():
                events.append(TextDelta(part.text))
                events += [Cited(c) for c in part.citations]
            case Refusal():
                events.append(RefusalDelta(part.text))
            case Thinking():
                events.append(ThinkingDelta(part.text))
                if part.signature is not None:
                    events.append(ThinkingSigned(part.signature))
            case RedactedThinking():
                events.append(ThinkingRedacted(part.content))
            case ToolCall():
                events.append(ToolCallStarted(index, part.id, part.name, part.custom))
                if part.arguments:
                    events.append(ToolCallDelta(index, part.arguments))
                index += 1
            case HostTools() | HostCall() | HostResult():
                events.append(part)
    if reply.logprobs:
        events.append(TokenLogprobs(reply.logprobs))
    events += [reply.finish, UsageReported(reply.usage)]
    return tuple(events)
