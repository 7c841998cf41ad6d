"""Strategies for conversations: legal ones, and what guests send all the same."""

from __future__ import annotations

from functools import cache
from typing import Any

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from modelplex.events import (
    Audio,
    CacheMark,
    Document,
    FileId,
    Image,
    Inline,
    Message,
    Part,
    RedactedThinking,
    Refusal,
    Role,
    Source,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from modelplex.testing.pieces import (
    arguments,
    base64_texts,
    ids,
    names,
    texts,
)
from modelplex.wire.fidelity import Feature

ALL = frozenset(Feature)


@cache
def marks(features: frozenset[Feature]) -> SearchStrategy[CacheMark | None]:
    """A cache mark now and then, if it is among the features."""
    if Feature.CACHE_MARK not in features:
        return st.none()
    marks = st.sampled_from([CacheMark(), CacheMark("5m"), CacheMark("1h")])
    return st.one_of(st.none(), st.none(), st.none(), marks)


@cache
def _text_parts(features: frozenset[Feature]) -> SearchStrategy[Text]:
    return st.builds(Text, texts(), cache=marks(features))


@cache
def _sources(
    features: frozenset[Feature], inline: Feature, url: Feature, media: str
) -> SearchStrategy[Source] | None:
    choices: list[SearchStrategy[Source]] = []
    if inline in features:
        choices.append(base64_texts().map(lambda content: Inline(media, content)))
    if url in features:
        choices.append(names().map(lambda name: Url(f"https://example.org/{name}")))
    if Feature.FILE_ID in features:
        choices.append(names().map(lambda name: FileId(f"file_{name}")))
    return st.one_of(choices) if choices else None


@cache
def _images(features: frozenset[Feature]) -> SearchStrategy[Image] | None:
    sources = _sources(features, Feature.IMAGE, Feature.IMAGE_URL, "image/png")
    if sources is None:
        return None
    detail: SearchStrategy[str | None] = st.none()
    if Feature.IMAGE_DETAIL in features:
        detail = st.sampled_from([None, "low", "high"])
    return st.builds(Image, sources, detail, marks(features))


@cache
def _documents(features: frozenset[Feature]) -> SearchStrategy[Document] | None:
    sources = _sources(
        features, Feature.DOCUMENT, Feature.DOCUMENT_URL, "application/pdf"
    )
    if sources is None:
        return None
    titled = ["a title.pdf"] if Feature.DOCUMENT_TITLE in features else []
    titles = st.sampled_from([None, *titled])
    return st.builds(Document, sources, titles, cache=marks(features))


@cache
def _user_parts(features: frozenset[Feature]) -> SearchStrategy[Part]:
    choices: list[SearchStrategy[Any]] = [_text_parts(features)]
    choices += [s for s in (_images(features), _documents(features)) if s is not None]
    if Feature.AUDIO in features:
        choices.append(
            st.builds(Audio, base64_texts(), st.sampled_from(["wav", "mp3"]))
        )
    return st.one_of(choices)


@cache
def _result_parts(
    features: frozenset[Feature],
) -> SearchStrategy[tuple[Text | Image | Document, ...]]:
    choices: list[SearchStrategy[Any]] = [_text_parts(features)]
    images = _images(features)
    if Feature.TOOL_RESULT_IMAGE in features and images is not None:
        choices.append(images)
    return st.lists(st.one_of(choices), max_size=2).map(tuple)


@st.composite
def _assistant(draw: DrawFn, features: frozenset[Feature], calls: int) -> Message:
    parts: list[Part] = []
    signed = Feature.THINKING_SIGNATURE in features
    if Feature.THINKING_BLOCKS in features and draw(st.booleans()):
        signature = draw(st.sampled_from([None, "c2ln"])) if signed else None
        parts.append(Thinking(draw(texts()), signature))
    if Feature.REDACTED_THINKING in features and draw(st.booleans()):
        parts.append(RedactedThinking(draw(base64_texts())))
    if not calls or draw(st.booleans()):
        parts.append(draw(_text_parts(features)))
    kinds = [f for f in (Feature.TOOLS, Feature.CUSTOM_TOOLS) if f in features]
    for _ in range(calls):
        custom = draw(st.sampled_from(kinds)) is Feature.CUSTOM_TOOLS
        written = draw(texts() if custom else arguments())
        parts.append(
            ToolCall(draw(ids()), draw(names()), written, custom, draw(marks(features)))
        )
    return Message(Role.ASSISTANT, tuple(parts))


@st.composite
def messages(draw: DrawFn, features: frozenset[Feature] = ALL) -> tuple[Message, ...]:
    """
    A legal conversation of up to three turns that ends with the user or a tool.

    Every tool call has its result in the next message, or in the next ones: the
    results of one turn stand in one `TOOL` message or in one each.
    """
    talk: list[Message] = [
        Message(Role.SYSTEM, (part,))
        for part in draw(st.lists(_text_parts(features), max_size=2))
    ]
    tools = Feature.TOOLS in features or Feature.CUSTOM_TOOLS in features
    for number in range(draw(st.integers(1, 3))):
        if number:
            calls = draw(st.integers(0, 2)) if tools else 0
            answer = draw(_assistant(features, calls))
            answer, asked = _numbered(answer, number)
            talk.append(answer)
            results = [
                ToolResult(
                    id,
                    draw(_result_parts(features)),
                    Feature.TOOL_ERROR in features and draw(st.booleans()),
                    draw(marks(features)),
                )
                for id in asked
            ]
            apart = draw(st.booleans())
            if apart:
                talk += [Message(Role.TOOL, (result,)) for result in results]
            elif results:
                talk.append(Message(Role.TOOL, tuple(results)))
            if results and apart:
                continue
        parts = tuple(draw(st.lists(_user_parts(features), min_size=1, max_size=3)))
        name = draw(names()) if Feature.MESSAGE_NAME in features else None
        talk.append(Message(Role.USER, parts, name))
        if Feature.SYSTEM_IN_PLACE in features and draw(st.integers(0, 4)) == 0:
            talk.append(Message(Role.SYSTEM, (draw(_text_parts(features)),)))
    return tuple(talk)


def _numbered(message: Message, turn: int) -> tuple[Message, list[str]]:
    """The message with ids that no other turn has, and those ids."""
    ids: list[str] = []
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, ToolCall):
            part = evolve(part, id=f"{part.id}_{turn}_{len(ids)}")
            ids.append(part.id)
        parts.append(part)
    return Message(message.role, tuple(parts)), ids


@cache
def wild_messages() -> SearchStrategy[tuple[Message, ...]]:
    """Messages in any order: empty texts, orphan results, repeated ids, any JSON."""
    empty_too = st.one_of(st.sampled_from(["", " ", "\n"]), texts())
    any_id = st.sampled_from(["", "a", "b", "a.b", "ü", "x" * 90])
    written = st.one_of(
        st.sampled_from(["", "null", "[1]", "{", '{"a":1}', '{"a":1,"a":2}']),
        st.text(max_size=5),
    )
    call = st.builds(ToolCall, any_id, st.sampled_from(["f", "g.h", "ü" * 70]), written)
    text = st.builds(Text, empty_too)
    thinking = st.builds(Thinking, empty_too, st.sampled_from([None, "", "s"]))
    speech = st.one_of(text, call, thinking, st.builds(Refusal, empty_too))
    result = st.builds(ToolResult, any_id, st.lists(text, max_size=2).map(tuple))
    turn = st.one_of(
        st.builds(Message, st.just(Role.SYSTEM), st.lists(text, max_size=2).map(tuple)),
        st.builds(Message, st.just(Role.USER), st.lists(text, max_size=2).map(tuple)),
        st.builds(
            Message, st.just(Role.ASSISTANT), st.lists(speech, max_size=3).map(tuple)
        ),
        st.builds(Message, st.just(Role.TOOL), st.lists(result, max_size=2).map(tuple)),
    )
    return st.lists(turn, max_size=5).map(tuple)
