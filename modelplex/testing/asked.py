"""Strategies for canonical requests."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from modelplex.events import (
    CacheMark,
    Choose,
    JsonSchema,
    Request,
    ThinkingControl,
    Tool,
    ToolChoice,
)
from modelplex.testing.conversations import ALL, marks, messages
from modelplex.testing.pieces import (
    names,
    schemas,
    texts,
)
from modelplex.wire.fidelity import Feature


@st.composite
def _tools(draw: DrawFn, features: frozenset[Feature]) -> tuple[Tool, ...]:
    found: dict[str, Tool] = {}
    kinds = [f for f in (Feature.TOOLS, Feature.CUSTOM_TOOLS) if f in features]
    if not kinds:
        return ()
    for name in draw(st.lists(names(), max_size=2)):
        description = draw(st.sampled_from([None, "what it does"]))
        mark = draw(marks(features))
        if draw(st.sampled_from(kinds)) is Feature.CUSTOM_TOOLS:
            found[name] = Tool(name, description, custom=True, cache=mark)
            continue
        strict = Feature.STRICT_TOOLS in features and draw(st.booleans())
        schema = draw(schemas())
        found[name] = Tool(name, description, schema, strict or None, cache=mark)
    return tuple(found.values())


def _tool_choices(
    features: frozenset[Feature], tools: tuple[Tool, ...]
) -> SearchStrategy[ToolChoice | None]:
    choices: list[ToolChoice | None] = [None, ToolChoice(Choose.AUTO)]
    if Feature.TOOL_CHOICE_NONE in features:
        choices.append(ToolChoice(Choose.NONE))
    if Feature.TOOL_CHOICE_REQUIRED in features:
        choices.append(ToolChoice(Choose.REQUIRED))
    if Feature.TOOL_CHOICE_NAMED in features:
        choices.append(ToolChoice(Choose.REQUIRED, (tools[0].name,)))
    return st.sampled_from(choices)


_SETTINGS: dict[Feature, tuple[str, SearchStrategy[Any]]] = {
    Feature.MAX_TOKENS: ("max_tokens", st.integers(1, 9000)),
    Feature.TEMPERATURE: ("temperature", st.sampled_from([0.0, 0.5, 1.0])),
    Feature.TOP_P: ("top_p", st.sampled_from([0.5, 1.0])),
    Feature.TOP_K: ("top_k", st.integers(1, 100)),
    Feature.MIN_P: ("min_p", st.sampled_from([0.0, 0.1])),
    Feature.STOP: ("stop", st.lists(texts(), max_size=3).map(tuple)),
    Feature.SEVERAL_CHOICES: ("n", st.integers(1, 3)),
    Feature.SEED: ("seed", st.integers(0, 2**31)),
    Feature.PRESENCE_PENALTY: ("presence_penalty", st.sampled_from([-1.0, 0.5])),
    Feature.FREQUENCY_PENALTY: ("frequency_penalty", st.sampled_from([-1.0, 0.5])),
    Feature.LOGPROBS: ("logprobs", st.integers(0, 5)),
    Feature.USER: ("user", names()),
    Feature.SUFFIX: ("suffix", texts()),
    Feature.CACHE_MARK: ("cache", st.builds(CacheMark, st.sampled_from([None, "1h"]))),
}


@cache
def _formats(features: frozenset[Feature]) -> SearchStrategy[JsonSchema | None]:
    choices: list[SearchStrategy[JsonSchema | None]] = [st.none()]
    if Feature.JSON_OBJECT in features:
        choices.append(st.just(JsonSchema()))
    if Feature.JSON_SCHEMA in features:
        choices.append(st.builds(JsonSchema, schemas()))
    return st.one_of(choices)


@cache
def _thinking(features: frozenset[Feature]) -> SearchStrategy[ThinkingControl | None]:
    choices: list[ThinkingControl | None] = [None]
    if Feature.REASONING_EFFORT in features:
        choices += [ThinkingControl(effort=word) for word in ("low", "medium", "high")]
    if Feature.THINKING_BUDGET in features:
        choices.append(ThinkingControl(mode="enabled", budget=2048))
        choices.append(ThinkingControl(mode="disabled"))
    return st.sampled_from(choices)


@st.composite
def requests(draw: DrawFn, features: frozenset[Feature] = ALL) -> Request:
    """A legal request that uses nothing but `features`, and few of them at a time."""
    tools = draw(_tools(features))
    settings: dict[str, Any] = {}
    for feature, (name, values) in _SETTINGS.items():
        if feature in features and draw(st.integers(0, 3)) == 0:
            settings[name] = draw(values)
    if tools:
        settings["tool_choice"] = draw(_tool_choices(features, tools))
        if Feature.PARALLEL_TOOL_CALLS in features:
            settings["parallel_tool_calls"] = draw(st.sampled_from([None, False, True]))
    return Request(
        model=draw(names()),
        messages=draw(messages(features)),
        stream=draw(st.booleans()),
        tools=tools,
        response_format=draw(_formats(features)),
        thinking=draw(_thinking(features)),
        **settings,
    )
