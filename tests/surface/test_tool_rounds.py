"""A model with the host's tools, whatever the guest and the provider speak."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, Logger
from zope.interface import implementer

from modelplex.errors import GatewayError
from modelplex.events import (
    FinishReason,
    HostCall,
    Message,
    Role,
    Started,
    Text,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    ToolResult,
)
from modelplex.exchange import Exchange
from modelplex.guests.policy import Policy
from modelplex.interfaces import IReplySink
from modelplex.mcp.approvals import Denied
from modelplex.surface import tool_round, tool_rounds
from modelplex.surface.tool_calls import Bounds
from modelplex.surface.tool_forms import Source, ToolsWanted
from modelplex.testing import (
    oracle_anthropic,
    oracle_gemini,
    oracle_openai,
    oracle_responses,
)
from modelplex.testing.fakes.tool_server import answers, fails, hangs, text, waits
from modelplex.testing.memory.guest import Answered, Guest
from modelplex.testing.memory.house import House
from modelplex.testing.memory.rounds import UPSTREAMS, ToolRoom
from modelplex.testing.memory.websocket import Talker
from modelplex.tools import ToolServerError
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.dialect import Answering
from modelplex.wire.jsonobject import open_object

KINDS = tuple(UPSTREAMS)
TALKS = ("chat", "responses", "messages", "gemini", "ollama")
SHOWN = ("responses", "messages")

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}


@frozen
class Said:
    """What a guest understood."""

    text: str
    finish: str
    input_tokens: int
    output_tokens: int
    calls: tuple[str, ...] = ()
    made: tuple[tuple[str, str, bool], ...] = ()  # name, result, whether it failed


def ask(
    room: ToolRoom,
    talk: str,
    stream: bool = True,
    tools: Any = True,
    own: bool = False,
    **more: Any,
) -> Guest:
    """Ask as a guest of `talk`, whose own tool is ``weather`` if it has one."""
    weather = {"name": "weather", "description": "Tells it."}
    match talk:
        case "chat":
            function = {**weather, "parameters": WEATHER}
            path, body = (
                "/v1/chat/completions",
                {
                    "messages": [{"role": "user", "content": "hello"}],
                    "modelplex_tools": tools,
                    "stream_options": {"include_usage": True} if stream else None,
                    "tools": [{"type": "function", "function": function}]
                    if own
                    else None,
                },
            )
        case "responses":
            mcp = {
                "type": "mcp",
                "server_label": "host",
                "require_approval": "never",
                "allowed_tools": None if tools is True else tools,
            }
            function = {"type": "function", **weather, "parameters": WEATHER}
            path, body = (
                "/v1/responses",
                {
                    "input": "hello",
                    "tools": [mcp, *([function] if own else [])],
                },
            )
        case "messages":
            toolset: dict[str, Any] = {"type": "mcp_toolset", "mcp_server_name": "host"}
            if tools is not True:
                toolset["default_config"] = {"enabled": False}
                toolset["configs"] = {name: {"enabled": True} for name in tools}
            function = {**weather, "input_schema": WEATHER}
            path, body = (
                "/v1/messages",
                {
                    "max_tokens": 100,
                    "messages": [{"role": "user", "content": "hello"}],
                    "mcp_servers": [
                        {"type": "url", "url": "modelplex", "name": "host"}
                    ],
                    "tools": [toolset, *([function] if own else [])],
                },
            )
        case "gemini":
            method = "streamGenerateContent?alt=sse" if stream else "generateContent"
            path = f"/v1beta/models/m:{method}"
            declared = {"functionDeclarations": [{**weather, "parameters": WEATHER}]}
            body = {
                "contents": [{"role": "user", "parts": [{"text": "hello"}]}],
                "modelplex_tools": tools,
                "tools": [declared] if own else [],
            }
        case _:
            function = {**weather, "parameters": WEATHER}
            path, body = (
                "/api/chat",
                {
                    "messages": [{"role": "user", "content": "hello"}],
                    "modelplex_tools": tools,
                    "tools": [{"type": "function", "function": function}]
                    if own
                    else [],
                },
            )
    if talk != "gemini":
        body |= {"model": "m", "stream": stream}
    return room.post(path, {**body, **more})


def understood(talk: str, answer: Answered, stream: bool) -> Said:
    """Read a complete answer as strictly as its clients do."""
    assert answer.status == 200 and answer.complete, answer.body
    body = answer.body
    match talk:
        case "chat":
            if stream:
                told = oracle_openai.accumulate_chat(body, include_usage=True)
            else:
                whole = json.loads(body)
                [choice] = whole["choices"]
                told = {**choice["message"], "usage": whole["usage"]}
                told["finish_reason"] = choice["finish_reason"]
            usage = told["usage"]
            return Said(
                told["content"] or "",
                told["finish_reason"],
                usage["prompt_tokens"],
                usage["completion_tokens"],
                tuple(c["function"]["name"] for c in told.get("tool_calls") or ()),
            )
        case "responses":
            told = oracle_responses.accumulate(body) if stream else json.loads(body)
            output = told["output"]
            return Said(
                "|".join(
                    part["text"]
                    for item in output
                    if item["type"] == "message"
                    for part in item["content"]
                ),
                told["status"],
                told["usage"]["input_tokens"],
                told["usage"]["output_tokens"],
                tuple(i["name"] for i in output if i["type"] == "function_call"),
                tuple(
                    (i["name"], _given(i), i["status"] == "failed")
                    for i in output
                    if i["type"] == "mcp_call"
                ),
            )
        case "messages":
            told = oracle_anthropic.read_message(body) if stream else json.loads(body)
            names, made, calls = {}, [], []
            for block in told["content"]:
                match block["type"]:
                    case "mcp_tool_use":
                        assert block["server_name"] == "host"
                        names[block["id"]] = block["name"]
                    case "mcp_tool_result":
                        given = "".join(p["text"] for p in block["content"])
                        name = names[block["tool_use_id"]]
                        made.append((name, given, block["is_error"]))
                    case "tool_use":
                        calls.append(block["name"])
            usage = told["usage"]
            return Said(
                "|".join(b["text"] for b in told["content"] if b["type"] == "text"),
                told["stop_reason"],
                usage["input_tokens"],
                usage["output_tokens"],
                tuple(calls),
                tuple(made),
            )
        case "gemini":
            if stream:
                told = oracle_gemini.read_reply(oracle_gemini.frames(body))
            else:
                told = oracle_gemini.read_reply([json.loads(body)])
            usage = told["usage"]
            parts = told["parts"]
            return Said(
                "".join(part.get("text", "") for part in parts),
                told["finishReason"],
                usage["promptTokenCount"],
                usage["candidatesTokenCount"],
                tuple(p["functionCall"]["name"] for p in parts if "functionCall" in p),
            )
        case _:
            lines = [json.loads(line) for line in body.splitlines()]
            calls = [c for one in lines for c in one["message"].get("tool_calls", ())]
            return Said(
                "".join(one["message"]["content"] for one in lines),
                lines[-1]["done_reason"],
                lines[-1]["prompt_eval_count"],
                lines[-1]["eval_count"],
                tuple(call["function"]["name"] for call in calls),
            )


def _given(item: dict[str, Any]) -> str:
    if item["error"] is None:
        return str(item["output"])
    return str(item["error"]["content"][0]["text"])


def tail(messages: tuple[Message, ...], number: int) -> list[Message]:
    return list(messages[-number:])


def results(message: Message) -> list[tuple[str, bool]]:
    """What the tools gave, as the model reads it."""
    assert message.role is Role.TOOL
    return [
        ("".join(p.text for p in part.content if isinstance(p, Text)), part.is_error)
        for part in message.parts
        if isinstance(part, ToolResult)
    ]


def given(room: ToolRoom) -> list[str]:
    """What the model is told last of its calls, each by a message or all by one."""
    found: list[str] = []
    for message in reversed(room.heard().messages):
        if message.role is not Role.TOOL:
            break
        texts = [text.removeprefix("Error: ") for text, _ in results(message)]
        found = texts + found
    return found


def called(message: Message) -> list[tuple[str, Any]]:
    assert message.role is Role.ASSISTANT
    return [
        (part.name, json.loads(part.arguments))
        for part in message.parts
        if isinstance(part, ToolCall)
    ]


@implementer(IReplySink)
@define(eq=False)
class Stopping:
    """Ends everything as soon as it is told of a call."""

    reply: Any = None
    told: list[Any] = field(factory=list)
    over: bool = False

    def received(self, batch: Any) -> None:
        self.told += batch
        if any(isinstance(event, HostCall) for event in batch):
            self.reply.stopProducing()

    def ended(self) -> None:
        self.over = True

    def failed(self, error: GatewayError) -> None:
        self.over = True


# --- every pair


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("talk", TALKS)
def test_a_model_of_any_provider_uses_tools_for_a_guest_of_any_dialect(
    talk: str, kind: str, stream: bool
) -> None:
    room = ToolRoom(kind)
    room.server.set("tools/call", answers(text("a file")))
    guest = ask(room, talk, stream)
    asked = room.heard()
    assert [one.name for one in asked.tools] == [
        "fs__read",
        "fs__write",
        "fs__odd_name",
    ]
    room.calls("fs__read", text="Let me look.", path="a")
    [request] = room.server.asked
    assert request.params == {"name": "read", "arguments": {"path": "a"}}
    saying, told = tail(room.heard().messages, 2)
    assert called(saying) == [("fs__read", {"path": "a"})]
    assert [p.text for p in saying.parts if isinstance(p, Text)] == ["Let me look."]
    assert [found for found, _ in results(told)] == ["a file"]
    room.says(TextDelta("It is a file."))
    said = understood(talk, guest.answer(), stream)
    between = "|" if talk in SHOWN else "\n\n"
    assert said.text == f"Let me look.{between}It is a file."
    assert (said.input_tokens, said.output_tokens) == (20, 6)
    assert said.made == ((("fs__read", "a file", False),) if talk in SHOWN else ())
    assert said.calls == ()
    room.nothing_is_left()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("talk", TALKS)
def test_what_the_guest_is_to_call_itself_is_returned_to_it(
    talk: str, stream: bool
) -> None:
    room = ToolRoom()
    room.server.set("tools/call", answers(text("a file")))
    guest = ask(room, talk, stream, own=True)
    room.calls("weather", "fs__read", path="a")
    said = understood(talk, guest.answer(), stream)
    assert said.calls == ("weather",)
    assert len(room.server.asked) == 1 and len(room.posts) == 1
    assert said.made == ((("fs__read", "a file", False),) if talk in SHOWN else ())
    if talk in ("chat", "messages"):
        assert said.finish in ("tool_calls", "tool_use")
    room.nothing_is_left()


# --- going on


def test_a_chat_guest_goes_on_from_what_it_was_not_shown() -> None:
    room = ToolRoom("anthropic")
    room.server.set("tools/call", answers(text("a file")))
    ask(room, "chat", own=True)
    room.says(
        ThinkingDelta("hm"),
        ThinkingSigned("sig"),
        ToolCallStarted(0, "c1", "fs__read"),
        ToolCallDelta(0, "{}"),
        finish=FinishReason.TOOL_CALLS,
    )
    room.calls("fs__odd_name", "weather", text="Both.")
    call = {"name": "weather", "arguments": "{}"}
    told = [
        {"role": "user", "content": "hello"},
        {
            "role": "assistant",
            "content": "Both.",
            "tool_calls": [{"id": "call_1_ther", "type": "function", "function": call}],
        },
        {"role": "tool", "tool_call_id": "call_1_ther", "content": "rain"},
    ]
    guest = ask(room, "chat", own=True, messages=told)
    messages = room.heard().messages
    assert [m.role.value for m in messages] == [
        *("user", "assistant", "tool", "assistant", "tool"),
    ]
    assert called(messages[1]) == [("fs__read", {})]
    assert messages[1].parts[0].signature == "sig"  # type: ignore[union-attr]
    assert results(messages[2]) == [("a file", False)]
    assert called(messages[3]) == [("fs__odd_name", {}), ("weather", {})]
    assert sorted(results(messages[4])) == [("a file", False), ("rain", False)]
    room.says(TextDelta("Done."))
    assert understood("chat", guest.answer(), True).text == "Done."
    room.nothing_is_left()


@pytest.mark.parametrize("stream", [True, False])
def test_a_messages_guest_sends_the_blocks_back_and_nothing_is_called_again(
    stream: bool,
) -> None:
    room = ToolRoom("anthropic")
    room.server.set("tools/call", answers(text("a file")))
    guest = ask(room, "messages", stream)
    room.calls("fs__read", "fs__odd_name", text="Both.", path="a")
    room.says(TextDelta("Done."))
    body = guest.answer().body
    message = oracle_anthropic.read_message(body) if stream else json.loads(body)
    told = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": "and now?"},
    ]
    before = len(room.server.asked)
    ask(room, "messages", stream, messages=told)
    messages = room.heard().messages
    assert [m.role.value for m in messages] == [
        *("user", "assistant", "tool", "assistant", "user"),
    ]
    assert called(messages[1]) == [
        ("fs__read", {"path": "a"}),
        ("fs__odd_name", {"path": "a"}),
    ]
    assert results(messages[2]) == [("a file", False)] * 2
    assert len(room.server.asked) == before
    room.says(TextDelta("Nothing."))
    room.nothing_is_left()


@pytest.mark.parametrize("stream", [True, False])
def test_a_response_goes_on_from_the_one_before_with_its_calls(stream: bool) -> None:
    room = ToolRoom("openai")
    room.server.set("tools/call", answers(text("a file")))
    guest = ask(room, "responses", stream)
    room.calls("fs__read", "fs__odd_name", text="Both.", path="a")
    room.says(TextDelta("Done."))
    body = guest.answer().body
    first = oracle_responses.accumulate(body) if stream else json.loads(body)
    kinds = [item["type"] for item in first["output"]]
    assert kinds == ["mcp_list_tools", "message", "mcp_call", "mcp_call", "message"]
    listed = first["output"][0]
    assert (listed["server_label"], listed["error"]) == ("host", None)
    assert listed["tools"][0]["name"] == "fs__read"
    again = ask(room, "responses", stream, previous_response_id=first["id"])
    messages = room.heard().messages
    assert called(messages[1]) == [
        ("fs__read", {"path": "a"}),
        ("fs__odd_name", {"path": "a"}),
    ]
    assert results(messages[2]) + results(messages[3]) == [("a file", False)] * 2
    assert len(room.server.asked) == 2
    room.says(TextDelta("More."))
    body = again.answer().body
    second = oracle_responses.accumulate(body) if stream else json.loads(body)
    assert [item["type"] for item in second["output"]] == ["message"]  # listed before
    room.nothing_is_left()


def test_a_guest_over_a_websocket_has_the_same_tools() -> None:
    room = ToolRoom()
    answer: Deferred[Any] = Deferred()
    room.server.set("tools/call", waits(answer))
    talker = Talker(room.house.guest())
    talker.open()
    talker.ask(tools=[{"type": "mcp", "server_label": "host"}], store=False)
    room.turn()
    room.calls("fs__read")
    room.house.wait(40)
    assert talker.pings() >= 1
    answer.callback(text("a file"))
    room.turn()
    room.says(TextDelta("Done."))
    told = talker.messages()
    assert told[-1]["type"] == "response.completed"
    items = told[-1]["response"]["output"]
    assert [item["type"] for item in items] == [
        *("mcp_list_tools", "mcp_call", "message"),
    ]
    talker.ask(previous_response_id=told[-1]["response"]["id"])
    room.turn()
    assert results(room.heard().messages[2]) == [("a file", False)]
    talker.guest.leave()
    room.nothing_is_left()


# --- what keeps a call from being made, or answered


@pytest.mark.parametrize("talk", TALKS)
def test_what_went_wrong_with_a_call_is_told_to_the_model(talk: str) -> None:
    room = ToolRoom(answer=Denied("the operator said no"))
    room.server.set("tools/call", fails(ToolServerError("fs: it ended")), "read")
    guest = ask(room, talk)
    room.calls("fs__write", "fs__read", "fs__secret", "made_up")
    found = given(room)
    assert found == [
        "Not called: the operator said no.",
        "fs: it ended",
        "Unknown tool: fs__secret",
        "Unknown tool: made_up",
    ]
    assert sorted(one.outcome for one in room.made) == [
        *("denied", "failed", "unknown", "unknown"),
    ]
    room.says(TextDelta("I could not."))
    said = understood(talk, guest.answer(), True)
    assert said.text == "I could not."
    if talk in SHOWN:
        assert sorted(why for _, why, failed in said.made if failed) == sorted(found)
    room.nothing_is_left()


def test_a_tool_that_is_not_offered_is_not_called() -> None:
    room = ToolRoom()
    ask(room, "chat", tools=["fs__r*"])
    assert [one.name for one in room.heard().tools] == ["fs__read"]
    room.calls("fs__odd_name")
    assert given(room) == ["Not called: there is no such tool."]
    assert room.server.asked == []
    room.says(TextDelta("ok"))
    room.nothing_is_left()


@pytest.mark.parametrize("written", ["[1]", "{", "nonsense"])
def test_arguments_that_are_no_object_are_not_sent_to_a_server(written: str) -> None:
    room = ToolRoom()
    guest = ask(room, "messages")
    room.says(
        ToolCallStarted(0, "c1", "fs__read"),
        ToolCallDelta(0, written),
        finish=FinishReason.TOOL_CALLS,
    )
    assert room.server.asked == []
    room.says(TextDelta("ok"))
    [(name, why, failed)] = understood("messages", guest.answer(), True).made
    assert (name, failed) == ("fs__read", True) and "no JSON object" in why
    room.nothing_is_left()


def test_calls_that_were_cut_short_are_not_made() -> None:
    room = ToolRoom()
    guest = ask(room, "chat", stream=False)
    room.says(
        TextDelta("So"),
        ToolCallStarted(0, "c1", "fs__read"),
        ToolCallDelta(0, "{}"),
        finish=FinishReason.LENGTH,
    )
    said = understood("chat", guest.answer(), False)
    assert (said.text, said.finish, said.calls) == ("So", "length", ())
    assert room.server.asked == []
    room.nothing_is_left()


# --- time


def test_calls_run_beside_each_other_and_are_answered_in_their_order() -> None:
    room = ToolRoom()
    first: Deferred[Any] = Deferred()
    second: Deferred[Any] = Deferred()
    room.server.set("tools/call", waits(first), "read")
    room.server.set("tools/call", waits(second), "odd name")
    guest = ask(room, "responses")
    room.calls("fs__read", "fs__odd_name")
    assert room.server.running == 2
    second.callback(text("second"))
    assert b"response.mcp_call.completed" in guest.answer().body
    assert room.waiting == []
    first.callback(text("first"))
    room.turn()
    assert given(room) == ["first", "second"]
    room.says(TextDelta("ok"))
    made = understood("responses", guest.answer(), True).made
    assert [given for _, given, _ in made] == ["first", "second"]
    room.nothing_is_left()


@pytest.mark.parametrize("talk", ["chat", "responses", "messages"])
def test_a_guest_that_waits_for_the_operator_is_shown_signs_of_life(talk: str) -> None:
    answer: Deferred[Any] = Deferred()
    room = ToolRoom(answer=answer)
    room.server.set("tools/call", answers(text("written")))
    guest = ask(room, talk)
    room.calls("fs__write")
    before = guest.answer().body
    room.house.wait(60)
    grown = guest.answer().body.removeprefix(before)
    assert 2 <= grown.count(b"\n\n") <= 5
    assert room.server.asked == []
    answer.callback(ToolRoom().answer)
    room.turn()
    room.says(TextDelta("ok"))
    assert guest.answer().complete and b"ok" in guest.answer().body
    room.nothing_is_left()


def test_a_guest_that_leaves_ends_the_calls() -> None:
    for stream in (True, False):
        room = ToolRoom()
        room.server.set("tools/call", hangs())
        guest = ask(room, "chat", stream)
        room.calls("fs__read", "fs__odd_name")
        assert room.server.running == 2
        guest.leave()
        room.turn()
        assert room.server.running == 0 and len(room.server.cancelled) == 2
        assert [one.outcome for one in room.made] == ["cancelled"] * 2
        room.nothing_is_left()


def test_a_guest_that_leaves_in_a_later_round_ends_that() -> None:
    room = ToolRoom()
    guest = ask(room, "chat")
    room.calls("fs__read")
    connection = room.begin(Started("1", "m"), TextDelta("It"))
    guest.leave()
    room.turn()
    assert not connection.open
    room.nothing_is_left()


@pytest.mark.parametrize("stream", [True, False])
def test_all_together_may_not_take_longer_than_it_may(stream: bool) -> None:
    room = ToolRoom(bounds=Bounds(total=40.0))
    room.server.set("tools/call", hangs())
    guest = ask(room, "chat", stream)
    room.calls("fs__read", text="Wait.")
    room.house.wait(41)
    answer = guest.answer()
    assert answer.complete and room.server.running == 0
    assert (answer.status == 200) is stream
    assert b"took too long" in answer.body
    room.nothing_is_left()


def test_whoever_is_told_of_a_call_may_end_it_all_at_once() -> None:
    room = ToolRoom()
    room.server.set("tools/call", hangs())
    sink = Stopping()
    asked = Asked(
        Operation.CHAT,
        ANTHROPIC,
        open_object(b'{"model":"m","max_tokens":9,"messages":[]}'),
        "m",
        True,
        Answering("m", 0),
    )
    exchange = Exchange("id", "g", Operation.CHAT, "m", True, 0.0, room.house.reactor)
    candidates = room.catalogue.candidates("m", Operation.CHAT, Policy("default"))
    wanted = ToolsWanted((Source(),), "tools", shown=True)

    async def act() -> None:
        opening = room.rounds.open(wanted, asked, candidates, exchange)
        _, sink.reply = await opening
        sink.reply.deliver(sink)

    work = Deferred.fromCoroutine(act())
    room.turn()
    room.calls("fs__read")
    room.turn()
    assert work.called and sink.told and room.server.running == 0
    assert not sink.over
    room.nothing_is_left()


# --- bounds


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("talk", TALKS)
def test_the_last_round_ends_with_what_there_is_and_says_so(
    talk: str, stream: bool
) -> None:
    room = ToolRoom(bounds=Bounds(rounds=2))
    guest = ask(room, talk, stream)
    room.calls("fs__read", text="One.")
    room.calls("fs__read", text="Two.")
    assert len(room.server.asked) == 1 and len(room.posts) == 2
    said = understood(talk, guest.answer(), stream)
    assert said.text.startswith("One.") and "Two." in said.text
    if talk in SHOWN:
        assert "asked 2 times" in said.made[-1][1] and said.made[-1][2]
    else:
        assert "asked 2 times" in said.text
    assert said.finish in (*("length", "completed", "pause_turn", "MAX_TOKENS"),)
    room.nothing_is_left()


def test_more_calls_than_one_round_may_have_are_not_made() -> None:
    room = ToolRoom(bounds=Bounds(calls=2))
    ask(room, "chat")
    room.calls(*["fs__read"] * 3)
    assert len(room.server.asked) == 2
    assert given(room)[2] == "Not called: these are too many calls."
    room.says(TextDelta("ok"))
    room.nothing_is_left()


def test_a_response_makes_no_more_calls_than_its_guest_wants() -> None:
    room = ToolRoom()
    guest = ask(room, "responses", max_tool_calls=1)
    room.calls("fs__read", "fs__read")
    room.calls("fs__read")
    room.says(TextDelta("ok"))
    assert len(room.server.asked) == 1
    made = understood("responses", guest.answer(), True).made
    assert [failed for _, _, failed in made] == [False, True, True]
    room.nothing_is_left()


def test_results_that_are_too_large_end_the_answer() -> None:
    room = ToolRoom(bounds=Bounds(size=100))
    room.server.set("tools/call", answers(text("x" * 60)))
    guest = ask(room, "chat", stream=False)
    room.calls("fs__read", "fs__odd_name")
    assert guest.answer().status == 502
    assert guest.answer().error["code"] == "tool_rounds_too_large"
    room.nothing_is_left()


# --- providers that fail


@pytest.mark.parametrize("stream", [True, False])
def test_another_provider_goes_on_while_nothing_of_a_round_was_told(
    stream: bool,
) -> None:
    room = ToolRoom(upstreams=2)
    guest = ask(room, "chat", stream)
    room.calls("fs__read", text="One.")
    first = room.waiting.pop()
    first.answer(b"{}", 503)
    room.turn()
    assert len(room.posts) == 3 and room.waiting[0] is not first
    assert room.posts[1] == room.posts[2]
    room.says(TextDelta("Two."))
    assert understood("chat", guest.answer(), stream).text == "One.\n\nTwo."
    room.nothing_is_left()


def test_who_has_answered_is_asked_again() -> None:
    room = ToolRoom(upstreams=2)
    ask(room, "chat")
    room.waiting.pop().answer(b"{}", 503)
    room.turn()
    second = room.waiting[0]
    room.calls("fs__read")
    assert [one.path for one in room.waiting] == [second.path]
    room.says(TextDelta("ok"))
    room.nothing_is_left()


def test_a_provider_that_breaks_off_a_later_round_is_told_of() -> None:
    room = ToolRoom(upstreams=2)
    guest = ask(room, "chat")
    room.calls("fs__read", text="One.")
    room.begin(Started("1", "m"), TextDelta("Tw")).cut()
    room.turn()
    *_, last = guest.answer().events
    assert guest.answer().complete and "error" in json.loads(last)
    assert len(room.posts) == 2
    room.nothing_is_left()


def test_a_slow_guest_paces_every_round() -> None:
    room = ToolRoom()
    guest = ask(room, "chat")
    guest.stop_reading()
    room.calls("fs__read", text="One.")
    assert guest.paused
    connection = room.begin(Started("1", "m"), TextDelta("Two."))
    assert connection.paused
    guest.read_on()
    room.turn()
    assert not connection.paused
    guest.leave()
    room.nothing_is_left()


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_is_too_long_to_go_on_from_ends_there(
    stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool_round, "LONGEST", 100)
    room = ToolRoom()
    guest = ask(room, "chat", stream)
    connection = room.waiting[-1]
    room.says(TextDelta("x" * 101))
    assert guest.answer().complete and b"too long" in guest.answer().body
    assert (guest.answer().status == 200) is stream
    assert not connection.open or not connection.paused
    room.nothing_is_left()


def test_a_bug_is_logged_and_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[LogEvent] = []

    @implementer(ILogObserver)
    def keep(event: LogEvent) -> None:
        events.append(event)

    async def broken(params: Any, caller: Any) -> Any:
        raise TypeError("a bug")

    # An observer of its own: to the test run a logged failure is a failed test.
    monkeypatch.setattr(tool_rounds._Rounds, "log", Logger(observer=keep))
    room = ToolRoom()
    room.server.set("tools/call", broken, "read")
    room.server.set("tools/call", hangs(), "odd name")
    guest = ask(room, "chat", stream=False)
    room.calls("fs__odd_name", "fs__read")
    assert guest.answer().status == 500 and b"a bug" not in guest.answer().body
    assert room.server.running == 0
    [event] = events
    assert event["log_failure"].check(TypeError)
    room.nothing_is_left()


# --- what is sent


def test_a_forced_call_is_forced_once() -> None:
    room = ToolRoom()
    choice = {"type": "mcp", "server_label": "host", "name": "fs__read"}
    guest = ask(room, "responses", tool_choice=choice)
    first = room.heard().tool_choice
    assert first is not None and first.names == ("fs__read",)
    room.calls("fs__read")
    second = room.heard().tool_choice
    assert second is None or (second.mode.value, second.names) == ("auto", ())
    room.says(TextDelta("ok"))
    assert understood("responses", guest.answer(), True).text == "ok"
    room.nothing_is_left()


def test_calls_that_a_server_counts_anew_each_time_stay_apart() -> None:
    room = ToolRoom()
    guest = ask(room, "messages")
    for _ in range(2):
        room.says(
            ToolCallStarted(0, "same", "fs__read"),
            ToolCallDelta(0, "{}"),
            finish=FinishReason.TOOL_CALLS,
        )
    room.says(TextDelta("ok"))
    body = guest.answer().body
    message = oracle_anthropic.read_message(body)
    ids = [b["id"] for b in message["content"] if b["type"] == "mcp_tool_use"]
    assert len(set(ids)) == 2
    room.nothing_is_left()


def test_signed_reasoning_goes_back_to_who_signed_it() -> None:
    room = ToolRoom("anthropic")
    guest = ask(room, "messages")
    room.says(
        ThinkingDelta("hm"),
        ThinkingSigned("sig"),
        ToolCallStarted(0, "c1", "fs__read"),
        ToolCallDelta(0, "{}"),
        finish=FinishReason.TOOL_CALLS,
    )
    turn = json.loads(room.posts[-1])["messages"][-2]
    assert [block["type"] for block in turn["content"]] == ["thinking", "tool_use"]
    assert turn["content"][0]["signature"] == "sig"
    room.says(ThinkingDelta("so"), ThinkingSigned("sig2"), TextDelta("ok"))
    message = oracle_anthropic.read_message(guest.answer().body)
    assert [block["type"] for block in message["content"]] == [
        *("thinking", "mcp_tool_use", "mcp_tool_result", "thinking", "text"),
    ]
    room.nothing_is_left()


def test_a_picture_that_a_tool_gives_is_shown_to_the_model() -> None:
    room = ToolRoom("anthropic")
    picture = {"type": "image", "mimeType": "image/png", "data": "aGk="}
    room.server.set("tools/call", answers({"content": [picture]}))
    ask(room, "chat")
    room.calls("fs__read")
    result = json.loads(room.posts[-1])["messages"][-1]["content"][0]
    assert result["content"][0]["source"]["data"] == "aGk="
    room.says(TextDelta("ok"))
    room.nothing_is_left()


# --- refusals


@pytest.mark.parametrize("talk", TALKS)
def test_a_guest_of_a_house_without_tools_is_told_so(talk: str) -> None:
    room = ToolRoom()
    house = House()
    room.house.site = house.site
    guest = ask(room, talk)
    assert guest.answer().status == 400
    assert b"has no tools" in guest.answer().body
    assert room.posts == []


def test_a_tool_of_the_guests_own_may_not_have_the_same_name() -> None:
    room = ToolRoom()
    function = {"type": "function", "function": {"name": "fs__read"}}
    said = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    body = {**said, "modelplex_tools": True, "tools": [function]}
    guest = room.post("/v1/chat/completions", body)
    assert (
        guest.answer().status == 400 and "fs__read" in guest.answer().error["message"]
    )
    assert room.posts == []
    room.nothing_is_left()


@pytest.mark.parametrize(
    "url", ["https://example.com/mcp", "modelplexx", "x:modelplex"]
)
def test_a_server_elsewhere_stays_a_hosted_tool(url: str) -> None:
    room = ToolRoom()
    mcp = {"type": "mcp", "server_label": "x", "server_url": url}
    guest = room.post("/v1/responses", {"model": "m", "input": "x", "tools": [mcp]})
    room.says(TextDelta("ok"))
    answer = guest.answer()
    assert "tools" in answer.headers["modelplex-dropped"]
    servers = [{"type": "url", "url": url, "name": "x"}]
    body = {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "x"}],
        "mcp_servers": servers,
    }
    guest = room.post("/v1/messages", body)
    room.says(TextDelta("ok"))
    assert "mcp_servers" in guest.answer().headers["modelplex-dropped"]
    room.nothing_is_left()
