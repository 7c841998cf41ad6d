"""
What a translation carries, drops or refuses: declared per dialect, then enforced.

A `Fidelity` is a dialect's declaration. `admit` holds one request against it before
it is encoded, so no encoder decides by itself to lose something; the same
declaration renders ``docs/fidelity.rst``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum

from attrs import frozen

from modelplex.errors import UnsupportedField
from modelplex.events import (
    Audio,
    Choose,
    Document,
    FileId,
    Image,
    Part,
    RedactedThinking,
    Request,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)


class Feature(Enum):
    """Something a request may use; the value is its name in OpenAI's words."""

    SYSTEM_IN_PLACE = "system message in the middle"
    MESSAGE_NAME = "messages[].name"
    IMAGE = "image"
    IMAGE_URL = "image by URL"
    IMAGE_DETAIL = "image_url.detail"
    AUDIO = "input_audio"
    DOCUMENT = "file"
    DOCUMENT_URL = "file by URL"
    DOCUMENT_TITLE = "file.filename"
    FILE_ID = "file_id"
    TOOLS = "tools"
    CUSTOM_TOOLS = "custom tools"
    STRICT_TOOLS = "tools[].strict"
    TOOL_ERROR = "tool result is_error"
    TOOL_RESULT_IMAGE = "image in a tool result"
    TOOL_CHOICE_NONE = "tool_choice none"
    TOOL_CHOICE_REQUIRED = "tool_choice required"
    TOOL_CHOICE_NAMED = "tool_choice named"
    PARALLEL_TOOL_CALLS = "parallel_tool_calls"
    JSON_OBJECT = "response_format json_object"
    JSON_SCHEMA = "response_format json_schema"
    THINKING_BLOCKS = "reasoning_content"
    THINKING_SIGNATURE = "thinking signature"
    REDACTED_THINKING = "redacted thinking"
    REASONING_EFFORT = "reasoning_effort"
    THINKING_BUDGET = "thinking budget"
    MAX_TOKENS = "max_completion_tokens"
    TEMPERATURE = "temperature"
    TOP_P = "top_p"
    TOP_K = "top_k"
    MIN_P = "min_p"
    STOP = "stop"
    SEVERAL_CHOICES = "n"
    SEED = "seed"
    PRESENCE_PENALTY = "presence_penalty"
    FREQUENCY_PENALTY = "frequency_penalty"
    LOGPROBS = "logprobs"
    AUDIO_OUTPUT = "audio"
    USER = "user"
    SUFFIX = "suffix"
    CACHE_MARK = "prompt_cache_breakpoint"
    CITATIONS = "citations"
    OTHER_FIELDS = "other fields"


class Fate(Enum):
    """What becomes of a feature."""

    CARRIED = "carried"
    ADAPTED = "adapted"
    DROPPED = "dropped"
    REFUSED = "refused"


@frozen
class Verdict:
    """A fate, and in a few words how or why."""

    fate: Fate
    note: str = ""


CARRIED = Verdict(Fate.CARRIED)


def adapted(note: str) -> Verdict:
    """It reaches the model in another form."""
    return Verdict(Fate.ADAPTED, note)


def dropped(note: str = "") -> Verdict:
    """A hint: left out, and listed in ``modelplex-dropped``."""
    return Verdict(Fate.DROPPED, note)


def refused(note: str = "") -> Verdict:
    """It changes what the answer means: 400 naming the field."""
    return Verdict(Fate.REFUSED, note)


@frozen
class Fidelity:
    """
    A dialect's declaration: a verdict for every `Feature`.

    :ivar title: how a person calls the dialect, as in "Ollama chat".
    :ivar proves: takes reasoning back that its own provider signed or sealed. Whose a
        block is only the encoder can tell, so it lists those that it leaves out.
    """

    title: str
    verdicts: Mapping[Feature, Verdict]
    proves: bool = False

    def __attrs_post_init__(self) -> None:
        missing = [f.name for f in Feature if f not in self.verdicts]
        if missing:
            raise ValueError(f"{self.title}: no verdict for {', '.join(missing)}")


_REASONING = frozenset(
    {Feature.THINKING_BLOCKS, Feature.THINKING_SIGNATURE, Feature.REDACTED_THINKING}
)


def admit(request: Request, fidelity: Fidelity) -> tuple[str, ...]:
    """
    Hold `request` against what its target can express.

    :returns: the names of what will be dropped, each once, in order.
    :raises UnsupportedField: a part that changes the meaning cannot be expressed.
    """
    lost: dict[str, None] = {}
    for feature, name in features(request):
        verdict = fidelity.verdicts[feature]
        if verdict.fate is Fate.REFUSED:
            why = f" ({verdict.note})" if verdict.note else ""
            raise UnsupportedField(
                f"{name}: {fidelity.title} cannot express this{why}", param=name
            )
        if verdict.fate is Fate.DROPPED and not (
            fidelity.proves and feature in _REASONING
        ):
            lost[name] = None
    return tuple(lost)


def features(request: Request) -> Iterator[tuple[Feature, str]]:
    """Every feature that `request` uses, with the field to name for it."""
    yield from _settings(request)
    seen_other = False
    for number, message in enumerate(request.messages):
        where = f"messages[{number}]"
        if message.role is Role.SYSTEM:
            if seen_other:
                yield Feature.SYSTEM_IN_PLACE, where
        else:
            seen_other = True
        if message.name is not None:
            yield Feature.MESSAGE_NAME, f"{where}.name"
        for part in message.parts:
            yield from _part(part, f"{where}.content")


def reasoning_name(part: Thinking | RedactedThinking) -> str:
    """The field to name for a block of reasoning that is left out."""
    return "reasoning_content" if isinstance(part, Thinking) else "reasoning_details"


def _settings(request: Request) -> Iterator[tuple[Feature, str]]:
    simple = {
        Feature.MAX_TOKENS: request.max_tokens,
        Feature.TEMPERATURE: request.temperature,
        Feature.TOP_P: request.top_p,
        Feature.TOP_K: request.top_k,
        Feature.MIN_P: request.min_p,
        Feature.STOP: request.stop or None,
        Feature.SEVERAL_CHOICES: None if request.n == 1 else request.n,
        Feature.SEED: request.seed,
        Feature.PRESENCE_PENALTY: request.presence_penalty,
        Feature.FREQUENCY_PENALTY: request.frequency_penalty,
        Feature.LOGPROBS: request.logprobs,
        Feature.AUDIO_OUTPUT: request.audio_output,
        Feature.USER: request.user,
        Feature.SUFFIX: request.suffix,
        Feature.PARALLEL_TOOL_CALLS: request.parallel_tool_calls,
        Feature.CACHE_MARK: request.cache,
    }
    for feature, value in simple.items():
        if value is not None:
            yield feature, feature.value
    for tool in request.tools:
        yield (Feature.CUSTOM_TOOLS if tool.custom else Feature.TOOLS), "tools"
        if tool.strict:
            yield Feature.STRICT_TOOLS, "tools[].strict"
        if tool.cache is not None:
            yield Feature.CACHE_MARK, "cache_control"
    if (choice := request.tool_choice) is not None:
        if choice.names:
            yield Feature.TOOL_CHOICE_NAMED, "tool_choice"
        elif choice.mode is Choose.NONE:
            yield Feature.TOOL_CHOICE_NONE, "tool_choice"
        elif choice.mode is Choose.REQUIRED:
            yield Feature.TOOL_CHOICE_REQUIRED, "tool_choice"
    if (form := request.response_format) is not None:
        schema = form.schema is not None
        feature = Feature.JSON_SCHEMA if schema else Feature.JSON_OBJECT
        yield feature, "response_format"
    if (thinking := request.thinking) is not None:
        if thinking.effort is not None:
            yield Feature.REASONING_EFFORT, "reasoning_effort"
        if thinking.mode is not None or thinking.budget is not None:
            yield Feature.THINKING_BUDGET, "thinking"
    for name in request.extra:
        yield Feature.OTHER_FIELDS, name


def _part(part: Part, where: str) -> Iterator[tuple[Feature, str]]:
    match part:
        case Text():
            if part.citations:
                yield Feature.CITATIONS, where
        case Image():
            match part.source:
                case Url():
                    yield Feature.IMAGE_URL, where
                case FileId():
                    yield Feature.FILE_ID, where
                case _:
                    yield Feature.IMAGE, where
            if part.detail is not None:
                yield Feature.IMAGE_DETAIL, "image_url.detail"
        case Audio():
            yield Feature.AUDIO, where
        case Document():
            match part.source:
                case Url():
                    yield Feature.DOCUMENT_URL, where
                case FileId():
                    yield Feature.FILE_ID, where
                case _:
                    yield Feature.DOCUMENT, where
            if part.title:
                yield Feature.DOCUMENT_TITLE, "file.filename"
            if part.context:
                yield Feature.DOCUMENT_TITLE, "document.context"
            if part.citations:
                yield Feature.CITATIONS, where
        case Thinking():
            yield Feature.THINKING_BLOCKS, reasoning_name(part)
            if part.signature is not None:
                yield Feature.THINKING_SIGNATURE, "reasoning_details"
        case RedactedThinking():
            yield Feature.REDACTED_THINKING, reasoning_name(part)
        case ToolCall():
            if part.custom:
                yield Feature.CUSTOM_TOOLS, where
        case ToolResult():
            if part.is_error:
                yield Feature.TOOL_ERROR, where
            for piece in part.content:
                if isinstance(piece, Image):
                    yield Feature.TOOL_RESULT_IMAGE, where
                yield from _part(piece, where)
        case _:
            pass
    if getattr(part, "cache", None) is not None:
        yield Feature.CACHE_MARK, "cache_control"
