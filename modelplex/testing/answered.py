"""Strategies for the canonical events of replies."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from modelplex.events import (
    Cited,
    Event,
    Finished,
    FinishReason,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    TokenLogprobs,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
)
from modelplex.testing.pieces import (
    arguments,
    base64_texts,
    cut,
    ids,
    names,
    texts,
)


@cache
def usages() -> SearchStrategy[Usage]:
    """Counts that add up: what is cached is part of the input, and so on."""
    few = st.integers(0, 500)
    return st.builds(
        lambda plain, cached, written, visible, hidden: Usage(
            plain + cached + written, visible + hidden, cached, written, hidden
        ),
        *[few] * 5,
    )


@st.composite
def _calls(draw: DrawFn, first: int, custom: bool, interleaved: bool) -> list[Event]:
    """One call or two parallel ones, whose fragments may come mixed."""
    events: list[Event] = []
    fragments: list[list[Event]] = []
    for index in range(first, first + draw(st.integers(1, 2))):
        free = custom and draw(st.booleans())
        written = draw(texts() if free else arguments())
        events.append(
            ToolCallStarted(index, f"{draw(ids())}_{index}", draw(names()), free)
        )
        pieces: list[Event] = [ToolCallDelta(index, p) for p in draw(cut(written))]
        if not interleaved:
            events += pieces
        else:
            fragments.append(pieces)
    while any(fragments):
        chosen = draw(st.sampled_from([f for f in fragments if f]))
        events.append(chosen.pop(0))
    return events


@st.composite
def reply_events(
    draw: DrawFn,
    *,
    refusals: bool = False,
    thinking: bool = False,
    signatures: bool = False,
    tools: bool = True,
    custom: bool = False,
    interleaved: bool = False,
    citations: bool = False,
    logprobs: bool = False,
    reasons: Collection[FinishReason] = (FinishReason.STOP, FinishReason.LENGTH),
) -> list[Event]:
    """
    A legal and complete sequence of events, as a provider's decoder gives them.

    A reply with tool calls finishes with `TOOL_CALLS`, one with a refusal with
    `REFUSAL`, any other with one of `reasons`. No delta is empty.
    """
    events: list[Event] = [Started("msg_" + draw(names()), draw(names()))]
    kinds = ["text", *["refusal"] * refusals, *["thinking"] * thinking]
    kinds += ["redacted"] * (thinking and signatures) + ["tools"] * tools
    reason = draw(st.sampled_from(list(reasons)))
    calls, last = 0, ""
    for kind in draw(st.lists(st.sampled_from(kinds), max_size=4)):
        if kind == last and kind in ("text", "thinking"):
            continue  # two texts in a row are one
        last = kind
        match kind:
            case "text":
                events += [TextDelta(t) for t in draw(cut(draw(texts())))]
                if citations and draw(st.booleans()):
                    events.append(Cited({"type": "x", "cited_text": draw(texts())}))
                if logprobs and draw(st.booleans()):
                    entry = {"token": "a", "logprob": -0.5, "top_logprobs": []}
                    events.append(TokenLogprobs((entry,)))
            case "refusal":
                events += [RefusalDelta(t) for t in draw(cut(draw(texts())))]
                reason = FinishReason.REFUSAL
            case "thinking":
                events += [ThinkingDelta(t) for t in draw(cut(draw(texts())))]
                if signatures:
                    events.append(ThinkingSigned("c2ln" + draw(names())))
            case "redacted":
                events.append(ThinkingRedacted(draw(base64_texts())))
            case _:
                mixed = interleaved and draw(st.booleans())
                events += draw(_calls(calls, custom, mixed))
                calls = sum(isinstance(e, ToolCallStarted) for e in events)
                reason = FinishReason.TOOL_CALLS
    if draw(st.booleans()):
        events.insert(1, UsageReported(Usage(input_tokens=draw(st.integers(0, 500)))))
    stop = draw(texts()) if reason is FinishReason.STOP_SEQUENCE else None
    events += [Finished(reason, stop), UsageReported(draw(usages()))]
    return events
