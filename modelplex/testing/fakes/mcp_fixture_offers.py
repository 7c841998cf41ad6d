"""
What the conformance suite expects of a server: tools, prompts and resources.

Names, texts and keys are those that ``@modelcontextprotocol/conformance`` asks for
(0.2.0-alpha.12). Only the standard library is used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol, TypeAlias

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9aw"
    "AAAABJRU5ErkJggg=="
)
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="
PAUSE = 0.05  # seconds between the steps of what takes a while

JsonObject: TypeAlias = dict[str, Any]
Questions: TypeAlias = Mapping[str, tuple[str, JsonObject]]


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, code: int, message: str, told: Any = None) -> None:
        super().__init__(message)
        self.code, self.message, self.told = code, message, told


class Exchange(Protocol):
    """One request, as what answers it sees it."""

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What the client can be asked."""

    def ask(self, questions: Questions, *, stateful: bool = False) -> JsonObject:
        """
        The client's answers by the keys of `questions`: (method, params) pairs.

        :raises Refused: it cannot be asked.
        """

    def log(self, level: str, said: str) -> None:
        """Tell the client of what is done."""

    def progress(self, done: int, total: int) -> None:
        """Tell the client how far it is."""

    def pause(self) -> None:
        """Let some time go by."""

    def change(self, kind: str) -> None:
        """The tools, or the prompts, are others now."""


Tool: TypeAlias = Callable[[Exchange, JsonObject], JsonObject]

TEXT = {"type": "string"}


def said(text: str) -> JsonObject:
    """A piece of text."""
    return {"type": "text", "text": text}


def result(*content: JsonObject, **more: Any) -> JsonObject:
    """What a tool answers."""
    return {"content": list(content), **more}


def form(message: str, **fields: JsonObject) -> tuple[str, JsonObject]:
    """A question to the user, all of whose fields are required."""
    schema = {"type": "object", "properties": fields, "required": list(fields)}
    return "elicitation/create", {"message": message, "requestedSchema": schema}


def sampling(prompt: str, most: int) -> tuple[str, JsonObject]:
    """A question to the client's model."""
    messages = [{"role": "user", "content": said(prompt)}]
    return "sampling/createMessage", {"messages": messages, "maxTokens": most}


def embedded(uri: str, kind: str, text: str) -> JsonObject:
    """A resource in a result."""
    return {
        "type": "resource",
        "resource": {"uri": uri, "mimeType": kind, "text": text},
    }


IMAGE = {"type": "image", "data": PNG, "mimeType": "image/png"}
ROOTS: tuple[str, JsonObject] = ("roots/list", {})
CAPITAL = sampling("What is the capital of France?", 100)
NAME = form("What is your name?", name=TEXT)
CONFIRM = form("Please confirm", ok={"type": "boolean"})
MIXED = json.dumps({"test": "data", "value": 123}, separators=(",", ":"))

# --- tools


def always(*content: JsonObject, **more: Any) -> Tool:
    """A tool that has one answer."""
    return lambda exchange, arguments: result(*content, **more)


def logging(exchange: Exchange, arguments: JsonObject) -> JsonObject:
    for number, step in enumerate(("started", "processing data", "completed")):
        if number:
            exchange.pause()
        verb = "Tool" if step == "processing data" else "Tool execution"
        exchange.log("info", f"{verb} {step}")
    return result(said("Tool with logging executed successfully"))


def progressing(exchange: Exchange, arguments: JsonObject) -> JsonObject:
    for done in (0, 50, 100):
        if done:
            exchange.pause()
        exchange.progress(done, 100)
    return result(said("Tool with progress executed successfully"))


def sampled(exchange: Exchange, arguments: JsonObject) -> JsonObject:
    answers = exchange.ask({"request": sampling(arguments["prompt"], 100)})
    return result(said(f"LLM response: {_text(answers['request'])}"))


def elicited(
    fields: JsonObject, lead: str, required: bool = False, message: str | None = None
) -> Tool:
    """A tool that asks the user for `fields`, and tells what was answered."""

    def tool(exchange: Exchange, arguments: JsonObject) -> JsonObject:
        method, params = form(message or arguments["message"], **fields)
        if not required:
            del params["requestedSchema"]["required"]
        found = exchange.ask({"request": (method, params)})["request"]
        content = json.dumps(found.get("content", {}))
        return result(said(f"{lead}: action={found['action']}, content={content}"))

    return tool


def asks(final: Callable[[JsonObject], str], *rounds: Questions, **more: Any) -> Tool:
    """A tool that asks everything in `rounds`, in turn."""

    def tool(exchange: Exchange, arguments: JsonObject) -> JsonObject:
        answers: JsonObject = {}
        for questions in rounds:
            answers |= exchange.ask(questions, **more)
        return result(said(final(answers)))

    return tool


def capable(exchange: Exchange, arguments: JsonObject) -> JsonObject:
    # A client of the legacy era says what it can do only once, and ours is a relay.
    answers: JsonObject = {}
    for need, key, question in (
        ("sampling", "capital_question", CAPITAL),
        ("elicitation", "user_name", NAME),
        ("roots", "client_roots", ROOTS),
    ):
        if need in exchange.capabilities:
            with suppress(Refused):
                answers |= exchange.ask({key: question})
    return result(said(f"Answered: {', '.join(answers)}"))


def changing(kind: str) -> Tool:
    """A tool that makes `kind` change."""

    def tool(exchange: Exchange, arguments: JsonObject) -> JsonObject:
        exchange.change(kind)
        return result(said(f"The {kind} have changed"))

    return tool


def _text(message: JsonObject) -> str:
    content = message["content"]
    return str(content["text"] if isinstance(content, dict) else content[0]["text"])


def _named(answers: JsonObject) -> str:
    return f"Hello, {answers['user_name'].get('content', {}).get('name')}!"


def _titled(*titles: str) -> list[JsonObject]:
    return [{"const": f"value{n}", "title": one} for n, one in enumerate(titles, 1)]


OPTIONS = {**TEXT, "enum": ["option1", "option2", "option3"]}
USER: JsonObject = {
    "username": {**TEXT, "description": "User's response"},
    "email": {**TEXT, "description": "User's email address"},
}
DEFAULTS: JsonObject = {
    "name": {**TEXT, "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {
        **TEXT,
        "enum": ["active", "inactive", "pending"],
        "default": "active",
    },
    "verified": {"type": "boolean", "default": True},
}
ENUMS: JsonObject = {
    "untitledSingle": OPTIONS,
    "titledSingle": {
        **TEXT,
        "oneOf": _titled("First Option", "Second Option", "Third Option"),
    },
    "legacyEnum": {
        **TEXT,
        "enum": ["opt1", "opt2", "opt3"],
        "enumNames": ["Option One", "Option Two", "Option Three"],
    },
    "untitledMulti": {"type": "array", "items": OPTIONS},
    "titledMulti": {
        "type": "array",
        "items": {"anyOf": _titled("First Choice", "Second Choice", "Third Choice")},
    },
}
SCHEMA_2020: JsonObject = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": TEXT, "city": TEXT},
        }
    },
    "properties": {
        "name": TEXT,
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {**TEXT, "enum": ["phone", "email"]},
        "phone": TEXT,
        "email": TEXT,
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {
        "properties": {"contactMethod": {"const": "phone"}},
        "required": ["contactMethod"],
    },
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}

_COMPLETED = "Elicitation completed"
_TOOLS: dict[str, Tool] = {
    "test_simple_text": always(said("This is a simple text response for testing.")),
    "test_image_content": always(IMAGE),
    "test_audio_content": always(
        {"type": "audio", "data": WAV, "mimeType": "audio/wav"}
    ),
    "test_embedded_resource": always(
        embedded(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content.",
        )
    ),
    "test_multiple_content_types": always(
        said("Multiple content types test:"),
        IMAGE,
        embedded("test://mixed-content-resource", "application/json", MIXED),
    ),
    "test_tool_with_logging": logging,
    "test_error_handling": always(
        said("This tool intentionally returns an error for testing"), isError=True
    ),
    "test_tool_with_progress": progressing,
    "test_sampling": sampled,
    "test_elicitation": elicited(USER, "User response", required=True),
    "test_elicitation_sep1034_defaults": elicited(
        DEFAULTS, _COMPLETED, message="Please review the defaults"
    ),
    "test_elicitation_sep1330_enums": elicited(
        ENUMS, _COMPLETED, message="Please choose"
    ),
    "test_reconnection": always(said("Nothing has to be reconnected here.")),
    "json_schema_2020_12_tool": always(said("The arguments are right.")),
    "test_missing_capability": asks(str, {"capital_question": CAPITAL}),
    "test_streaming_elicitation": asks(_named, {"user_name": NAME}),
    "test_logging_tool": logging,
    "test_trigger_tool_change": changing("tools"),
    "test_trigger_prompt_change": changing("prompts"),
    "test_header_parameter": always(said("The header is as the argument.")),
    "test_input_required_result_elicitation": asks(_named, {"user_name": NAME}),
    "test_input_required_result_sampling": asks(
        lambda answers: _text(answers["capital_question"]),
        {"capital_question": CAPITAL},
    ),
    "test_input_required_result_list_roots": asks(
        lambda answers: ", ".join(
            one["uri"] for one in answers["client_roots"]["roots"]
        ),
        {"client_roots": ROOTS},
    ),
    "test_input_required_result_request_state": asks(
        lambda answers: "state-ok", {"confirm": CONFIRM}, stateful=True
    ),
    "test_input_required_result_multiple_inputs": asks(
        lambda answers: f"Answered: {', '.join(sorted(answers))}",
        {
            "user_name": NAME,
            "greeting": sampling("Generate a greeting", 50),
            "client_roots": ROOTS,
        },
        stateful=True,
    ),
    "test_input_required_result_multi_round": asks(
        lambda answers: f"Answered: {', '.join(sorted(answers))}",
        {"step1": form("Step 1: What is your name?", name=TEXT)},
        {"step2": form("Step 2: What is your favorite color?", color=TEXT)},
        stateful=True,
    ),
    "test_input_required_result_tampered_state": asks(
        lambda answers: "state-ok", {"confirm": CONFIRM}, stateful=True
    ),
    "test_input_required_result_capabilities": capable,
}
_SCHEMAS: dict[str, JsonObject] = {
    "test_sampling": {
        "type": "object",
        "properties": {"prompt": TEXT},
        "required": ["prompt"],
    },
    "test_elicitation": {
        "type": "object",
        "properties": {"message": TEXT},
        "required": ["message"],
    },
    "json_schema_2020_12_tool": SCHEMA_2020,
    "test_header_parameter": {
        "type": "object",
        "properties": {"region": {**TEXT, "x-mcp-header": "Region"}},
        "required": ["region"],
    },
}
_ADDED = "test_dynamic_tool"


def tool(name: str) -> Tool | None:
    """What the tool of that name does."""
    return always(said("It is there.")) if name == _ADDED else _TOOLS.get(name)


def tools(more: bool) -> list[JsonObject]:
    """All of them; `more` is one that comes and goes."""
    return [
        {
            "name": name,
            "description": f"For the conformance suite: {name}",
            "inputSchema": _SCHEMAS.get(name, {"type": "object", "properties": {}}),
        }
        for name in (*_TOOLS, *([_ADDED] if more else []))
    ]


# --- prompts

_PROMPTS: dict[str, tuple[str, ...]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}


def prompts(more: bool) -> list[JsonObject]:
    """All of them; `more` is one that comes and goes."""
    return [
        {
            "name": name,
            "description": f"For the conformance suite: {name}",
            "arguments": [
                {"name": one, "description": one, "required": True} for one in wanted
            ],
        }
        for name, wanted in (
            *_PROMPTS.items(),
            *([("test_dynamic_prompt", ())] if more else []),
        )
    ]


def prompt(name: str, given: JsonObject, exchange: Exchange) -> JsonObject | None:
    """The prompt of that name; ``None`` when there is none."""
    match name:
        case "test_simple_prompt" | "test_dynamic_prompt":
            content = [said("This is a simple prompt for testing.")]
        case "test_prompt_with_arguments":
            first, second = given.get("arg1"), given.get("arg2")
            text = f"Prompt with arguments: arg1='{first}', arg2='{second}'"
            content = [said(text)]
        case "test_prompt_with_embedded_resource":
            text = "Embedded resource content for testing."
            content = [
                embedded(given["resourceUri"], "text/plain", text),
                said("Please process the embedded resource above."),
            ]
        case "test_prompt_with_image":
            content = [IMAGE, said("Please analyze the image above.")]
        case "test_input_required_result_prompt":
            question = form("What context should the prompt use?", context=TEXT)
            found = exchange.ask({"user_context": question})["user_context"]
            context = found.get("content", {}).get("context")
            content = [said(f"Use this context: {context}")]
        case _:
            return None
    return {"messages": [{"role": "user", "content": one} for one in content]}


# --- resources

RESOURCES: list[JsonObject] = [
    {"uri": f"test://{name}", "name": name, "description": name, "mimeType": kind}
    for name, kind in (
        ("static-text", "text/plain"),
        ("static-binary", "image/png"),
        ("watched-resource", "text/plain"),
    )
]
TEMPLATES: list[JsonObject] = [
    {
        "uriTemplate": "test://template/{id}/data",
        "name": "template",
        "description": "A resource for every id",
        "mimeType": "application/json",
    }
]
_HEAD, _TAIL = "test://template/", "/data"


def resource(uri: str) -> JsonObject | None:
    """The contents of a resource; ``None`` when there is none."""
    found: JsonObject = {"uri": uri, "mimeType": "text/plain"}
    if uri == "test://static-text":
        found["text"] = "This is the content of the static text resource."
    elif uri == "test://watched-resource":
        found["text"] = "This is the content of the watched resource."
    elif uri == "test://static-binary":
        found |= {"mimeType": "image/png", "blob": PNG}
    elif uri.startswith(_HEAD) and uri.endswith(_TAIL):
        id = uri[len(_HEAD) : -len(_TAIL)]
        told = {"id": id, "templateTest": True, "data": f"Data for ID: {id}"}
        found |= {"mimeType": "application/json", "text": json.dumps(told)}
    else:
        return None
    return {"contents": [found]}


CAPABILITIES: JsonObject = {
    "tools": {"listChanged": True},
    "prompts": {"listChanged": True},
    "resources": {"subscribe": True, "listChanged": True},
    "completions": {},
    "logging": {},
}
