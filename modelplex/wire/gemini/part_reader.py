"""
Parts of a model's content to canonical events, in a reply or in a conversation.

Server tools and their results are passed over, and so is what is not known yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from attrs import define
from msgspec import Raw, Struct

from modelplex.events import (
    Event,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
)
from modelplex.wire.freeform import free_text
from modelplex.wire.gemini.signatures import Signature, standard, unwrap
from modelplex.wire.gemini.tool_words import (
    made_up_id,
    tool_name,
    whole_arguments,
)


class FunctionCall(Struct, gc=False):
    """A call, which comes whole."""

    name: str = ""
    id: str | None = None
    args: Raw = Raw(b"{}")


class Part(Struct, rename="camel", gc=False):
    """As much of a part as an answer is made of."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None


@define(eq=False)
class PartReader:
    """
    Reads the parts of one message.

    :ivar plain_names: names of tools are the guest's own, and no escapes of ours.
    :ivar calls: how many there were.
    :ivar answered: there was a text or a call.
    """

    plain_names: bool = False
    calls: int = 0
    answered: bool = False

    def read(self, part: Part, witness: str, events: list[Event]) -> None:
        """
        Append what `part` says.

        :param witness: tells the calls of this message from those of another, for
            the ids of those that have none.
        """
        signature = part.thought_signature
        if part.function_call is not None:
            self._call(part.function_call, signature, witness, events)
            return
        if text := part.text:
            if part.thought:
                events.append(ThinkingDelta(text))
            else:
                self.answered = True
                events.append(TextDelta(text))
        if signature is not None and (wire := standard(signature)) is not None:
            _signed(wire, bool(part.thought), events)

    def _call(
        self,
        call: FunctionCall,
        signature: str | None,
        witness: str,
        events: list[Event],
    ) -> None:
        index = self.calls
        self.calls += 1
        self.answered = True
        if signature is not None and (wire := standard(signature)) is not None:
            events.append(ThinkingSigned(Signature(wire, call=index).marked()))
        arguments = whole_arguments(call.args)
        name, custom = call.name, False
        if not self.plain_names:
            name, custom = tool_name(name)
        id = call.id or made_up_id(witness, str(index), call.name, arguments)
        if custom:
            arguments = free_text(arguments)
        events.append(ToolCallStarted(index, id, name, custom))
        if arguments:
            events.append(ToolCallDelta(index, arguments))


def _signed(wire: str, thought: bool, events: list[Event]) -> None:
    if not thought:
        events.append(ThinkingSigned(Signature(wire, text=True).marked()))
        return
    foreign, sealed = unwrap(wire)
    if sealed is not None:
        events.append(ThinkingRedacted(sealed))
    else:
        events.append(ThinkingSigned(foreign or Signature(wire).marked()))


def joined(events: Iterable[Event]) -> Iterator[Event]:
    """The same events with neighbouring pieces of text in one, however many."""
    for kind, run in groupby(events, key=type):
        if kind is TextDelta:
            yield TextDelta("".join(e.text for e in run if isinstance(e, TextDelta)))
        elif kind is ThinkingDelta:
            pieces = [e.text for e in run if isinstance(e, ThinkingDelta)]
            yield ThinkingDelta("".join(pieces))
        else:
            yield from run
