"""
The official `openai` and `anthropic` clients over the real socket, with a real tool.

The model is a fake that calls the tool once; the tool server is a child process. What
the clients see of it is what their own APIs show of an MCP server.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from attrs import define
from twisted.internet.threads import deferToThread

from modelplex.testing.fakes import mcp_server
from modelplex.testing.fakes.anthropic import Anthropic
from modelplex.testing.fakes.gemini import Gemini
from modelplex.testing.fakes.house import House
from modelplex.testing.fakes.ollama import Ollama
from modelplex.testing.fakes.openai import OpenAI
from modelplex.testing.fakes.responses import Responses
from modelplex.testing.fakes.script import Call, Script
from modelplex.testing.fakes.upstream import Upstream

KEY = "sk-secret-0123456789"
SPEAKERS: dict[str, tuple[str, Callable[[], Any]]] = {
    "openai": ('type = "openai"', lambda: OpenAI(("target",), KEY)),
    "responses": (
        'type = "openai"\napi = "responses"',
        lambda: Responses(("target",), KEY),
    ),
    "anthropic": ('type = "anthropic"', lambda: Anthropic(("target",), KEY)),
    "gemini": ('type = "gemini"', lambda: Gemini(("target",), KEY)),
    "ollama": ('type = "ollama"', lambda: Ollama(("target",), KEY)),
}
KINDS = pytest.mark.parametrize("kind", SPEAKERS)
MCP: Any = {
    "type": "mcp",
    "server_label": "host",
    "server_url": "modelplex",
    "require_approval": "never",
    "allowed_tools": ["one__echo"],
}
SERVERS: Any = [{"type": "url", "url": "modelplex://one", "name": "host"}]
TOOLSET: Any = {
    "type": "mcp_toolset",
    "mcp_server_name": "host",
    "default_config": {"enabled": False},
    "configs": {"echo": {"enabled": True}},
}
HI: Any = [{"role": "user", "content": "Hi there"}]


@define(eq=False)
class Open:
    """A service with one provider and one tool server."""

    house: House
    upstream: Upstream

    async def openai(self, act: Callable[[openai.OpenAI], Any]) -> Any:
        """What `act` gives for a client, in a thread as it blocks."""

        def acted() -> Any:
            transport = httpx2.HTTPTransport(uds=self.house.socket)
            with openai.OpenAI(
                base_url="http://modelplex/v1",
                api_key="none",
                max_retries=0,
                http_client=openai.DefaultHttpxClient(transport=transport),
            ) as client:
                return act(client)

        return await deferToThread(acted)

    async def anthropic(self, act: Callable[[anthropic.Anthropic], Any]) -> Any:
        """The same for the other client."""

        def acted() -> Any:
            transport = httpx2.HTTPTransport(uds=self.house.socket)
            with anthropic.Anthropic(
                base_url="http://modelplex",
                api_key="none",
                max_retries=0,
                http_client=anthropic.DefaultHttpxClient(transport=transport),
            ) as client:
                return act(client)

        return await deferToThread(acted)

    def results(self) -> list[str]:
        """What the model was told that the tool gave."""
        heard = self.upstream.posts()[-1].heard
        assert heard is not None
        return [text for _, text in heard.results]


@pytest.fixture
def opened(
    house: House, upstream: Callable[..., Upstream], tmp_path: Path
) -> Callable[[str], Open]:
    """Opens a service whose model calls ``one__echo`` once."""

    def made(kind: str) -> Open:
        lines, speaker = SPEAKERS[kind]
        call = Call("call_1", "one__echo", {"text": "Köln ☃"})
        one = upstream(speaker(), script=Script(calls=(call,)))
        house.open(
            f'[[providers]]\nname = "p"\n{lines}\nbase_url = "{one.url}"\n'
            'models = { fast = "target" }\napi_key = "${KEY}"\n'
            f'[mcp]\nstate = "{tmp_path / "state"}"\n'
            f'[[mcp.servers]]\nname = "one"\ncommand = "{sys.executable}"\n'
            f'args = ["-I", "-S", "{mcp_server.__file__}"]\n',
            {"KEY": KEY},
        )
        return Open(house, one)

    return made


def spoken(items: Any) -> list[Any]:
    """All but reasoning, of which Gemini has a signature for each call."""
    return [one for one in items if one.type not in ("reasoning", "thinking")]


def usage_of(usage: Any) -> tuple[int, int]:
    return usage.input_tokens, usage.output_tokens


@KINDS
async def test_a_chat_says_what_came_of_the_tool(
    opened: Callable[[str], Open], kind: str
) -> None:
    one = opened(kind)
    tools = {"modelplex_tools": ["one__echo"]}

    def asked(client: openai.OpenAI) -> Any:
        return client.chat.completions.create(
            model="fast", messages=HI, extra_body=tools
        )

    completion = await one.openai(asked)
    assert "said Köln ☃" in completion.choices[0].message.content
    assert completion.choices[0].finish_reason == "stop"
    assert completion.choices[0].message.tool_calls is None
    assert completion.usage.prompt_tokens == 22
    assert one.results() == ["Köln ☃"] and len(one.upstream.posts()) == 2

    def streamed(client: openai.OpenAI) -> Any:
        with client.chat.completions.stream(
            model="fast", messages=HI, extra_body=tools
        ) as stream:
            for _ in stream:
                pass
            return stream.get_final_completion()

    completion = await one.openai(streamed)
    assert "said Köln ☃" in completion.choices[0].message.content


@KINDS
async def test_a_response_shows_the_call_as_its_api_does(
    opened: Callable[[str], Open], kind: str
) -> None:
    one = opened(kind)

    def asked(client: openai.OpenAI) -> Any:
        return client.responses.create(model="fast", input="Hi there", tools=[MCP])

    def streamed(client: openai.OpenAI) -> Any:
        with client.responses.stream(
            model="fast", input="Hi there", tools=[MCP]
        ) as stream:
            kinds = [event.type for event in stream]
            assert "response.mcp_call_arguments.done" in kinds
            assert "response.mcp_list_tools.completed" in kinds
            return stream.get_final_response()

    for act in (asked, streamed):
        response = await one.openai(act)
        listed, call, message = spoken(response.output)
        assert [tool.name for tool in listed.tools] == ["one__echo"]
        assert (call.type, call.name, call.server_label) == (
            *("mcp_call", "one__echo", "host"),
        )
        assert (call.output, call.error, call.status) == ("Köln ☃", None, "completed")
        assert message.type == "message" and "said Köln ☃" in response.output_text
        assert usage_of(response.usage) == (22, 14)

    def going_on(client: openai.OpenAI) -> Any:
        return client.responses.create(
            model="fast",
            input="And now?",
            tools=[MCP],
            previous_response_id=response.id,
            tool_choice="none",
        )

    await one.openai(going_on)
    assert b"K\xc3\xb6ln" in one.upstream.posts()[-1].body


@KINDS
async def test_a_message_shows_the_call_as_its_api_does(
    opened: Callable[[str], Open], kind: str
) -> None:
    one = opened(kind)
    members: Any = {
        "model": "fast",
        "max_tokens": 100,
        "messages": HI,
        "mcp_servers": SERVERS,
        "tools": [TOOLSET],
        "betas": ["mcp-client-2025-11-20"],
    }

    def asked(client: anthropic.Anthropic) -> Any:
        return client.beta.messages.create(**members)

    def streamed(client: anthropic.Anthropic) -> Any:
        with client.beta.messages.stream(**members) as stream:
            for _ in stream:
                pass
            return stream.get_final_message()

    for act in (asked, streamed):
        message = await one.anthropic(act)
        use, result, text = spoken(message.content)
        assert (use.type, use.name, use.server_name) == (
            *("mcp_tool_use", "one__echo", "host"),
        )
        assert use.input == {"text": "Köln ☃"}
        assert (result.type, result.tool_use_id) == ("mcp_tool_result", use.id)
        assert result.content[0].text == "Köln ☃" and not result.is_error
        assert "said Köln ☃" in text.text
        assert message.stop_reason == "end_turn"
        assert usage_of(message.usage) == (22, 14)
    members["messages"] = [
        *HI,
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": "And now?"},
    ]
    posts = len(one.upstream.posts())
    await one.anthropic(asked)
    assert b"K\xc3\xb6ln" in one.upstream.posts()[posts].body
