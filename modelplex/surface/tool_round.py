"""
One answer of a model that may call tools of the host: what the guest is told, pure.

Texts and reasoning are told as they come. Calls of the host's tools are kept back, for
Modelplex makes them; the guest's own are its business, and how the model stopped is
told when it is known whether it goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, evolve, field

from modelplex.errors import UpstreamMalformed
from modelplex.events import (
    Choose,
    Cited,
    Event,
    Finished,
    FinishReason,
    Message,
    Part,
    RefusalDelta,
    Request,
    Role,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    TokenLogprobs,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    ToolChoice,
    ToolResult,
    Usage,
    UsageReported,
    gather,
)
from modelplex.surface.toolkit import Toolkit
from modelplex.wire.typed import pack

LONGEST = 16 * 2**20  # characters of an answer, which the next request repeats
_EVENT = 64  # characters that an event counts as besides its texts
_BROKEN_OFF = (FinishReason.LENGTH, FinishReason.CONTEXT_WINDOW, FinishReason.REFUSAL)


@define(eq=False)
class Told:
    """
    What a guest has been told in all rounds so far.

    :ivar usage: of the rounds that have ended.
    :ivar calls: of the guest's own tools.
    :ivar ids: of all calls.
    :ivar numbers: the last number that was given to calls of one id.
    """

    usage: Usage = field(factory=Usage)
    calls: int = 0
    started: bool = False
    spoken: bool = False
    ids: set[str] = field(factory=set)
    numbers: dict[str, int] = field(factory=dict)


@define(eq=False)
class Round:
    """
    Takes the events of one answer, and says what becomes of each.

    :ivar usage: of this round.
    :ivar finish: how the model stopped.
    """

    _kit: Toolkit
    _told: Told
    usage: Usage = field(factory=Usage)
    finish: Finished = field(factory=lambda: Finished(FinishReason.STOP))
    _events: list[Event] = field(factory=list)
    _indexes: dict[int, int | None] = field(factory=dict)  # None for ours
    _size: int = 0
    _apart: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        # Where calls are not shown nothing else stands between what is said before
        # them and after.
        self._apart = self._told.spoken and not self._kit.wanted.shown

    def heard(self, batch: Sequence[Event]) -> list[Event]:
        """
        What the guest is told of `batch`.

        :raises UpstreamMalformed: the answer is too long to go on from.
        """
        told: list[Event] = []
        for event in batch:
            self._heard(event, told)
        return told

    def _heard(self, event: Event, told: list[Event]) -> None:
        match event:
            case Started():
                if not self._told.started:
                    self._told.started = True
                    told.append(event)
            case UsageReported():
                self.usage = event.usage
                told.append(UsageReported(added(self._told.usage, event.usage)))
            case Finished():
                self.finish = event
            case TextDelta():
                self._keep(event)
                if self._apart and event.text:
                    told.append(TextDelta("\n\n"))
                    self._apart = False
                self._told.spoken |= bool(event.text)
                told.append(event)
            case ThinkingDelta():
                self._keep(event)
                told.append(event)
            case ToolCallStarted():
                self._started(event, told)
            case ToolCallDelta():
                self._keep(event)
                index = self._indexes.get(event.index)
                if index is not None:
                    told.append(evolve(event, index=index))
            case _:
                self._keep(event)
                told.append(event)

    def _started(self, event: ToolCallStarted, told: list[Event]) -> None:
        event = evolve(event, id=self._unique(event.id))
        self._keep(event)
        if self._kit.is_ours(event.name):
            self._indexes[event.index] = None
        else:
            self._indexes[event.index] = self._told.calls
            told.append(evolve(event, index=self._told.calls))
            self._told.calls += 1

    def _unique(self, id: str) -> str:
        """Some servers count the calls of each answer anew."""
        found = plain = id or "call"
        numbers = self._told.numbers
        while found in self._told.ids:
            numbers[plain] = numbers.get(plain, 1) + 1
            found = f"{plain}_{numbers[plain]}"
        self._told.ids.add(found)
        return found

    def _keep(self, event: Event) -> None:
        self._size += _EVENT + _length(event)
        if self._size > LONGEST:
            raise UpstreamMalformed("the model's answer is too long to go on from")
        self._events.append(event)

    # --- once it has ended

    @property
    def parts(self) -> tuple[Part, ...]:
        """The answer, as the next request repeats it."""
        return gather(self._events).said

    @property
    def is_broken_off(self) -> bool:
        """The model did not come to its end, so that its calls may be cut short."""
        return self.finish.reason in _BROKEN_OFF

    def ours(self, parts: Sequence[Part]) -> list[ToolCall]:
        """The calls that are to be made here."""
        if self.is_broken_off:
            return []
        calls = [part for part in parts if isinstance(part, ToolCall)]
        return [call for call in calls if self._kit.is_ours(call.name)]

    @property
    def has_theirs(self) -> bool:
        """Whether the guest has calls to make."""
        return any(index is not None for index in self._indexes.values())

    def end(self) -> None:
        """Count it."""
        self._told.usage = added(self._told.usage, self.usage)


def _length(event: Event) -> int:
    """The characters of an event's texts."""
    match event:
        case TextDelta() | RefusalDelta() | ThinkingDelta():
            return len(event.text)
        case ThinkingSigned():
            return len(event.signature)
        case ThinkingRedacted():
            return len(event.content)
        case ToolCallStarted():
            return len(event.id) + len(event.name)
        case ToolCallDelta():
            return len(event.arguments)
        case Cited():
            return len(pack(event.citation))
        case TokenLogprobs():
            return len(pack(event.content))
        case _:
            return 0


def continued(
    request: Request, parts: tuple[Part, ...], results: Sequence[ToolResult]
) -> Request:
    """The request that goes on from an answer and what its calls have given."""
    choice = request.tool_choice
    if choice is not None and choice.mode is Choose.REQUIRED:
        choice = ToolChoice(Choose.AUTO)  # it was done
    return evolve(
        request,
        messages=(*request.messages, *turn(parts, results)),
        tool_choice=choice,
    )


def turn(
    parts: tuple[Part, ...], results: Sequence[ToolResult]
) -> tuple[Message, Message]:
    """An answer with calls, and what they have given."""
    return Message(Role.ASSISTANT, parts), Message(Role.TOOL, tuple(results))


def added(one: Usage, other: Usage) -> Usage:
    """The tokens of both."""
    return Usage(
        one.input_tokens + other.input_tokens,
        one.output_tokens + other.output_tokens,
        one.cached_tokens + other.cached_tokens,
        one.cache_write_tokens + other.cache_write_tokens,
        one.reasoning_tokens + other.reasoning_tokens,
    )
