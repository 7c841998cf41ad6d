"""
The objects an answer is made of: each line of a stream, or the one of a whole reply.

`Answer` reads them into canonical events, in the order they come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from attrs import define, field

from modelplex.errors import UpstreamCut, UpstreamMalformed
from modelplex.events import (
    JSON,
    Event,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    ThinkingDelta,
    TokenLogprobs,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
)
from modelplex.wire.freeform import free_text
from modelplex.wire.ollama.calls import made_up_id
from modelplex.wire.ollama.tool_words import tool_name
from modelplex.wire.typed import compact
from modelplex.wire.upstream import Complaint, classify

_MOST_CALLS = 1024  # in one reply; their ids are remembered


class Called(msgspec.Struct):
    name: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class Call(msgspec.Struct):
    function: Called
    id: str | None = None


class Token(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list[Token] | None = None


class Said(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[Call] | None = None


class Line(msgspec.Struct, kw_only=True):
    """What lines of both routes have."""

    model: str | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    logprobs: list[Token] | None = None
    error: Any = None


class ChatLine(Line, kw_only=True):
    message: Said | None = None


class GenerateLine(Line, kw_only=True):
    response: str | None = None
    thinking: str | None = None
    tool_calls: list[Call] | None = None

    @property
    def message(self) -> Said:
        return Said(self.response, self.thinking, self.tool_calls)


ReadLine = Callable[[bytes], ChatLine | GenerateLine]
read_chat: ReadLine = msgspec.json.Decoder(ChatLine).decode
read_generate: ReadLine = msgspec.json.Decoder(GenerateLine).decode


def new_chat_answer() -> Answer:
    """An answer of ``/api/chat``, of which nothing is known yet."""
    return Answer(read_chat)


def new_generate_answer() -> Answer:
    """The same for ``/api/generate``."""
    return Answer(read_generate)


@define(eq=False)
class Answer:
    """
    One answer while it is read.

    :ivar done: the line that ends it was read.
    """

    _read: ReadLine
    done: bool = False
    _started: bool = False
    _ids: set[str] = field(factory=set)

    def events(self, text: bytes, may_be_cut: bool = False) -> list[Event]:
        """
        What one line says.

        :param may_be_cut: nothing follows, so the line may lack its end.
        :raises UpstreamCut: and so it does.
        :raises UpstreamMalformed: it is no such line.
        :raises GatewayError: it says that the provider failed.
        """
        try:
            line = self._read(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
            if may_be_cut and str(e) == "Input data was truncated":
                raise UpstreamCut("the provider's answer ends within a line") from None
            raise UpstreamMalformed(
                f"the provider sent no Ollama answer: {e}"
            ) from None
        if line.error:
            raise classify(500, Complaint(words_of(line.error)))
        events: list[Event] = []
        if not self._started:
            self._started = True
            events.append(Started("", line.model or ""))
        said = line.message
        if said is not None:
            if said.thinking:
                events.append(ThinkingDelta(said.thinking))
            if said.content:
                events.append(TextDelta(said.content))
            if said.tool_calls:
                events += self._calls(said.tool_calls, text)
        if line.logprobs:
            events.append(TokenLogprobs(tuple(map(_logprob, line.logprobs))))
        if line.done:
            self.done = True
            events += [Finished(self._reason(line)), UsageReported(_usage(line))]
        return events

    def _calls(self, calls: list[Call], text: bytes) -> list[Event]:
        events: list[Event] = []
        for call in calls:
            index = len(self._ids)
            if index >= _MOST_CALLS:
                raise UpstreamMalformed(f"more than {_MOST_CALLS} tool calls")
            try:
                arguments = compact(bytes(call.function.arguments))
                if arguments.startswith('"'):  # of servers that are nearly Ollama
                    arguments = msgspec.json.decode(arguments, type=str)
            except UnicodeDecodeError as e:
                raise UpstreamMalformed(f"a tool call's arguments: {e}") from None
            id = call.id
            if not id or id in self._ids:
                # The line holds the time in nanoseconds and the call itself.
                id = made_up_id(text, str(index).encode())
            self._ids.add(id)
            if arguments == "null":
                arguments = "{}"
            name, custom = tool_name(call.function.name)
            if custom:
                arguments = free_text(arguments)
            events.append(ToolCallStarted(index, id, name, custom))
            if arguments:
                events.append(ToolCallDelta(index, arguments))
        return events

    def _reason(self, line: Line) -> FinishReason:
        if line.done_reason == "length":
            return FinishReason.LENGTH
        return FinishReason.TOOL_CALLS if self._ids else FinishReason.STOP


def words_of(error: JSON) -> str:
    """The message in an ``error`` member, which is a string nearly always."""
    if isinstance(error, dict):
        error = error.get("message", error)
    return error if isinstance(error, str) else msgspec.json.encode(error).decode()


def _usage(line: Line) -> Usage:
    """Zero counts are left out, and the whole prompt may have been cached."""
    return Usage(max(line.prompt_eval_count or 0, 0), max(line.eval_count or 0, 0))


def _logprob(token: Token) -> JSON:
    return {
        "token": token.token,
        "logprob": token.logprob,
        "bytes": token.bytes,
        "top_logprobs": [
            {"token": t.token, "logprob": t.logprob, "bytes": t.bytes}
            for t in token.top_logprobs or ()
        ],
    }
