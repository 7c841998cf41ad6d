"""
The agent of ``modelplex demo``: an ordinary program on the official openai package.

All it is given is the path of a socket. Nothing in it knows about Modelplex.
"""

from __future__ import annotations

import json
import sys
from typing import Any

SCENE_ENDS = "\0"


def scene(number: int, title: str) -> None:
    """Announce what comes."""
    print(f"\n{number}. {title}")


def say(who: str, text: str) -> None:
    """One line of the conversation."""
    print(f"  {who:>8} │ {text}")


def scene_ends() -> None:
    """Let the host show what it logged, and go on when it has."""
    sys.stdout.write(SCENE_ENDS)
    sys.stdout.flush()
    sys.stdin.readline()


def main(socket: str) -> None:
    """The whole session."""
    import httpx2
    import openai

    transport = httpx2.HTTPTransport(uds=socket)
    client = openai.OpenAI(
        base_url="http://modelplex/v1",
        api_key="unused",  # the package wants one; modelplex never looks at it
        http_client=openai.DefaultHttpxClient(transport=transport),
    )
    plain(client)
    streamed(client)
    with_a_tool(client)
    with_tools_of_the_host(client)
    failover(client)
    refused(client)


def plain(client: Any) -> None:
    """A question and its answer."""
    scene(1, "A plain answer")
    question = "Hello from isolation!"
    say("agent", question)
    reply = client.chat.completions.create(
        model="demo", messages=[{"role": "user", "content": question}]
    )
    say("model", reply.choices[0].message.content)
    scene_ends()


def streamed(client: Any) -> None:
    """The same, word by word."""
    scene(2, "A streamed answer, shown as it arrives")
    question = "one two three four five six seven"
    say("agent", question)
    stream = client.chat.completions.create(
        model="demo",
        messages=[{"role": "user", "content": question}],
        stream=True,
        stream_options={"include_usage": True},
    )
    print("     model │ ", end="", flush=True)
    usage = None
    for chunk in stream:
        if chunk.choices:
            print(chunk.choices[0].delta.content or "", end="", flush=True)
        usage = chunk.usage or usage
    print()
    if usage is not None:
        say("usage", f"{usage.prompt_tokens} tokens in, {usage.completion_tokens} out")
    scene_ends()


def with_a_tool(client: Any) -> None:
    """The model asks for a tool; the agent runs it and hands the result back."""
    scene(3, "A tool-calling turn")
    messages: list[Any] = [{"role": "user", "content": "README.rst"}]
    say("agent", "README.rst (and offers the tool count_words)")
    tools = [
        {
            "type": "function",
            "function": {
                "name": "count_words",
                "description": "Count the words of a file.",
                "parameters": {
                    "type": "object",
                    "properties": {"path": {"type": "string"}},
                    "required": ["path"],
                },
            },
        }
    ]
    reply = client.chat.completions.create(model="demo", messages=messages, tools=tools)
    message = reply.choices[0].message
    messages.append(message.model_dump(exclude_none=True))
    for call in message.tool_calls:
        say("model", f"calls {call.function.name}({call.function.arguments})")
        path = json.loads(call.function.arguments)["path"]
        result = f"{path} has {len(path.split('.'))} words in its name"
        say("tool", result)
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    reply = client.chat.completions.create(model="demo", messages=messages, tools=tools)
    say("model", reply.choices[0].message.content)
    scene_ends()


def with_tools_of_the_host(client: Any) -> None:
    """The model uses a tool that runs on the host, as far as the agent may."""
    scene(4, "A tool of the host, called by Modelplex under its permissions")
    listed = client.get("/tools", cast_to=object)
    names = [tool["name"] for tool in listed["data"]]
    say("agent", f"sees the tools {', '.join(names)} (deleting is denied to it)")
    say("agent", "What is on the list? shopping")
    reply = client.chat.completions.create(
        model="demo",
        messages=[{"role": "user", "content": "shopping"}],
        extra_body={"modelplex_tools": ["notes__*"]},
    )
    say("model", reply.choices[0].message.content)
    scene_ends()


def failover(client: Any) -> None:
    """A model whose first provider is down: the agent sees nothing of it."""
    scene(5, "A provider is down, and the agent does not notice")
    say("agent", "Are you there? (asks for the model `reliable`)")
    raw = client.chat.completions.with_raw_response.create(
        model="reliable", messages=[{"role": "user", "content": "Are you there?"}]
    )
    say("model", raw.parse().choices[0].message.content)
    say("header", f"modelplex-provider: {raw.headers['modelplex-provider']}")
    scene_ends()


def refused(client: Any) -> None:
    """A model that it was not given, and a way out that is closed."""
    import openai

    scene(6, "What it was not given, it cannot reach")
    say("agent", "asks for the model `demmo`")
    try:
        client.chat.completions.create(
            model="demmo", messages=[{"role": "user", "content": "hi"}]
        )
    except openai.NotFoundError as e:
        say("error", f"404 {e.code}: {e.body['message']}")  # type: ignore[index]
    say("agent", "shows the model a picture by its URL")
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}
    try:
        client.chat.completions.create(
            model="demo", messages=[{"role": "user", "content": [picture]}]
        )
    except openai.PermissionDeniedError as e:
        say("error", f"403 {e.code}: {e.body['message']}")  # type: ignore[index]
    scene_ends()


if __name__ == "__main__":
    main(sys.argv[1])
