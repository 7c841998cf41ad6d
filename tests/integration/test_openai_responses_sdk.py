"""
The official `openai` client's `responses` over the socket, before each kind of API.

Whatever it finds there, the client sees one Responses API with a memory.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import httpx2
import openai
import pytest
import pytest_twisted
from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ServerFactory
from twisted.internet.threads import deferToThread
from twisted.protocols.portforward import ProxyClientFactory, ProxyServer
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import unix_connect

from modelplex.testing.fakes.anthropic import Anthropic
from modelplex.testing.fakes.faults import Fault
from modelplex.testing.fakes.house import House
from modelplex.testing.fakes.openai import OpenAI
from modelplex.testing.fakes.responses import Responses
from modelplex.testing.fakes.script import Call, Heard, Script
from modelplex.testing.fakes.upstream import Upstream

T = TypeVar("T")

KEY = "sk-secret-0123456789"
SPEAKERS: dict[str, Callable[[], Any]] = {
    "chat": lambda: OpenAI(("target",), KEY),
    "anthropic": lambda: Anthropic(("target",), KEY),
    "responses": lambda: Responses(("target",), KEY),
}
KINDS = pytest.mark.parametrize("kind", SPEAKERS)
TYPES = {
    "chat": 'type = "openai"',
    "anthropic": 'type = "anthropic"',
    "responses": 'type = "openai"\napi = "responses"',
}
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "Tells the weather.",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
CALLS = (
    Call("call_1", "weather", {"city": "Köln ☃"}),
    Call("call_2", "weather", {"city": "Rom"}),
)


@frozen
class Open:
    """A service with one provider, and the client's side of its socket."""

    house: House
    upstream: Upstream

    async def ask(self, act: Callable[[openai.OpenAI], T]) -> T:
        """What `act` gives for a client, in a thread as it blocks."""

        def acted() -> T:
            transport = httpx2.HTTPTransport(uds=self.house.socket)
            with openai.OpenAI(
                base_url="http://modelplex/v1",
                api_key="none",
                max_retries=0,
                http_client=openai.DefaultHttpxClient(transport=transport),
            ) as client:
                return act(client)

        result: T = await deferToThread(acted)
        return result

    async def create(self, **more: Any) -> Any:
        asked = {"model": "fast", "input": "Hi there", **more}
        return await self.ask(lambda c: c.responses.create(**asked))

    def heard(self) -> Heard:
        """What the upstream understood of the last request."""
        heard = self.upstream.posts()[-1].heard
        assert heard is not None
        return heard

    def sent(self) -> Any:
        """The last request itself."""
        return json.loads(self.upstream.posts()[-1].body)


@pytest.fixture
def opened(house: House, upstream: Callable[..., Upstream]) -> Callable[..., Open]:
    """Opens a service in front of one provider that follows a script."""

    def made(kind: str, fault: Any = None, **script: Any) -> Open:
        faults = {} if fault is None else {"fault": fault}
        one = upstream(SPEAKERS[kind](), script=Script(**script), **faults)
        house.open(
            f'[[providers]]\nname = "p"\n{TYPES[kind]}\nbase_url = "{one.url}"\n'
            'models = { fast = "target" }\napi_key = "${KEY}"\n',
            {"KEY": KEY},
        )
        return Open(house, one)

    return made


@KINDS
async def test_a_plain_response_is_whole(
    opened: Callable[..., Open], kind: str
) -> None:
    one = opened(kind)
    response = await one.create(instructions="Be brief.", metadata={"a": "b"})
    assert response.output_text == Script().text
    assert (response.status, response.error) == ("completed", None)
    assert (response.usage.input_tokens, response.usage.output_tokens) == (11, 7)
    assert response.instructions == "Be brief."
    assert response.metadata == {"a": "b"}
    assert (response.store, response.previous_response_id) == (True, None)
    assert (one.heard().system, one.heard().said) == ("Be brief.", "Hi there")


@KINDS
async def test_a_stream_satisfies_the_sdks_accumulator(
    opened: Callable[..., Open], kind: str
) -> None:
    def streamed(client: openai.OpenAI) -> Any:
        with client.responses.stream(model="fast", input="Hi there") as stream:
            events = list(stream)
            return events, stream.get_final_response()

    events, final = await opened(kind).ask(streamed)
    deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
    assert "".join(deltas) == Script().text and len(deltas) > 2
    assert final.output_text == Script().text
    assert final.usage.output_tokens == 7
    assert final.store is True


@KINDS
@pytest.mark.parametrize("stored", [True, False])
async def test_parallel_calls_and_their_results_in_a_conversation(
    opened: Callable[..., Open], kind: str, stored: bool
) -> None:
    one = opened(kind, calls=CALLS)
    first = await one.create(tools=[WEATHER], store=stored)
    calls = [item for item in first.output if item.type == "function_call"]
    assert [(c.call_id, c.name, json.loads(c.arguments)) for c in calls] == [
        (call.id, call.name, call.arguments) for call in CALLS
    ]
    results: Any = [
        {"type": "function_call_output", "call_id": "call_1", "output": "größer"},
        {"type": "function_call_output", "call_id": "call_2", "output": "sun"},
    ]
    if stored:
        asked = {"previous_response_id": first.id, "input": results}
    else:
        hi = {"role": "user", "content": "Hi there"}
        asked = {"store": False, "input": [hi, *first.output, *results]}
    second = await one.create(tools=[WEATHER], **asked)
    assert one.heard().results == (("call_1", "größer"), ("call_2", "sun"))
    assert second.output_text == "call_1 said größer; call_2 said sun"
    assert second.previous_response_id == (first.id if stored else None)


@KINDS
async def test_a_stored_response_is_kept_listed_and_deleted(
    opened: Callable[..., Open], kind: str
) -> None:
    one = opened(kind)
    first = await one.create(input=[{"role": "user", "content": "one"}])
    assert one.sent().get("store") in (False, None)
    second = await one.create(input="two", previous_response_id=first.id)
    asked = len(one.upstream.posts())
    again = await one.ask(lambda c: c.responses.retrieve(second.id))
    assert again.to_dict() == second.to_dict()
    listed: Any = await one.ask(lambda c: list(c.responses.input_items.list(second.id)))
    assert [item.role for item in listed] == ["user", "assistant", "user"]
    pages = await one.ask(
        lambda c: list(c.responses.input_items.list(second.id, limit=1, order="asc"))
    )
    assert [item.id for item in pages] == [item.id for item in listed][::-1]
    with pytest.raises(openai.BadRequestError, match="synchronous"):
        await one.ask(lambda c: c.responses.cancel(second.id))
    await one.ask(lambda c: c.responses.delete(second.id))
    with pytest.raises(openai.NotFoundError):
        await one.ask(lambda c: c.responses.retrieve(second.id))
    with pytest.raises(openai.BadRequestError) as refused:
        await one.create(previous_response_id=second.id)
    assert refused.value.code == "previous_response_not_found"
    assert len(one.upstream.posts()) == asked  # nobody was asked any of this


@pytest.mark.parametrize("stored", [True, False])
async def test_encrypted_reasoning_goes_back_to_who_has_written_it(
    opened: Callable[..., Open], stored: bool
) -> None:
    one = opened("responses", thinking="Hmm, größer.")
    think: Any = {
        "reasoning": {"effort": "high", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": stored,
    }
    first = await one.create(**think)
    thought = first.output[0]
    assert thought.type == "reasoning" and thought.encrypted_content
    if stored:
        more: Any = {"previous_response_id": first.id, "input": "and?"}
    else:
        hi, more = {"role": "user", "content": "Hi there"}, None
        more = {"input": [hi, *first.output, {"role": "user", "content": "and?"}]}
    await one.create(**think, **more)
    [sent] = [item for item in one.sent()["input"] if item.get("type") == "reasoning"]
    assert sent["encrypted_content"] == thought.encrypted_content
    assert sent["id"] == thought.id


async def test_a_long_history_is_compacted_by_who_can(
    opened: Callable[..., Open],
) -> None:
    one = opened("responses")
    first = await one.create()
    compacted = await one.ask(
        lambda c: c.responses.compact(model="fast", previous_response_id=first.id)
    )
    assert compacted.output[-1].type == "compaction"
    # The SDK has no type of its own for a user's message among them.
    again = [item.to_dict(warnings=False) for item in compacted.output]
    response = await one.create(input=[*again, {"role": "user", "content": "on"}])
    assert response.output_text == Script().text


@KINDS
async def test_an_answer_that_breaks_is_no_end(
    opened: Callable[..., Open], kind: str
) -> None:
    one = opened(kind, fault=Fault.CUT_LATER)

    def streamed(client: openai.OpenAI) -> Any:
        with client.responses.create(
            model="fast", input="Hi there", stream=True
        ) as stream:
            return list(stream)

    events = await one.ask(streamed)
    assert events[0].type == "response.created"
    assert events[-1].type == "response.failed"
    assert events[-1].response.id == events[0].response.id
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(len(events)))


# --- over a WebSocket


@pytest_twisted.async_yield_fixture
async def forwarded() -> AsyncIterator[Callable[[str], str]]:
    """Makes loopback ports that lead to a socket, as the SDK knows none."""
    from twisted.internet import reactor

    rim: Any = reactor
    ports: list[Any] = []

    def make(path: str) -> str:
        class Forwarding(ProxyServer):
            def connectionMade(self) -> None:
                self.transport.pauseProducing()
                client = ProxyClientFactory()
                client.setServer(self)
                rim.connectUNIX(path, client)

        factory: Any = ServerFactory()
        factory.protocol = Forwarding
        ports.append(rim.listenTCP(0, factory, interface="127.0.0.1"))
        return f"http://127.0.0.1:{ports[-1].getHost().port}/v1"

    yield make
    for port in ports:
        await port.stopListening()


# The SDK calls websockets in a way that is deprecated since.
@pytest.mark.filterwarnings("ignore:connect.. must be used as:DeprecationWarning")
@KINDS
@pytest.mark.parametrize("stored", [True, False])
async def test_the_sdks_own_socket_holds_a_conversation(
    opened: Callable[..., Open],
    forwarded: Callable[[str], str],
    kind: str,
    stored: bool,
) -> None:
    one = opened(kind, calls=CALLS)
    url = forwarded(one.house.socket)

    def turn(connection: Any, **asked: Any) -> Any:
        connection.response.create(model="fast", tools=[WEATHER], store=stored, **asked)
        events = []
        for event in connection:
            events.append(event)
            if event.type in ("response.completed", "error"):
                break
        numbers = [event.sequence_number for event in events]
        assert numbers == list(range(len(events)))
        return events[-1].response

    def talked() -> tuple[Any, Any]:
        client = openai.OpenAI(base_url=url, api_key="none")
        with client, client.responses.connect() as connection:
            first = turn(connection, input="Hi there")
            calls = [item for item in first.output if item.type == "function_call"]
            results = [
                {
                    "type": "function_call_output",
                    "call_id": call.call_id,
                    "output": call.name,
                }
                for call in calls
            ]
            return first, turn(connection, input=results, previous_response_id=first.id)

    first, second = await deferToThread(talked)
    assert [item.type for item in first.output][-2:] == ["function_call"] * 2
    text = second.output[-1].content[0].text
    assert text == "call_1 said weather; call_2 said weather"
    assert second.previous_response_id == first.id
    assert second.store is stored


async def test_a_socket_that_is_left_hangs_up_within_a_quarter_of_a_second(
    opened: Callable[..., Open],
) -> None:
    from twisted.internet import reactor

    one = opened("chat", repeat=100_000)

    def left() -> None:
        with unix_connect(one.house.socket, "ws://modelplex/v1/responses") as socket:
            asked = {"type": "response.create", "model": "fast", "input": "Hi there"}
            socket.send(json.dumps(asked))
            for message in socket:
                if json.loads(message)["type"] == "response.output_text.delta":
                    break
            socket.socket.close()

    await deferToThread(left)
    since = reactor.seconds()
    while not one.house.exchanges() and reactor.seconds() - since < 1:
        waiting: Deferred[None] = Deferred()
        reactor.callLater(0.01, waiting.callback, None)
        await waiting
    assert reactor.seconds() - since < 0.25
    [exchange] = one.house.exchanges()
    assert exchange["error"] == "cancelled"


async def test_draining_lets_the_last_answer_end_and_says_goodbye(
    opened: Callable[..., Open],
) -> None:
    from twisted.internet import reactor

    rim: Any = reactor
    one = opened("chat", repeat=20)

    def talked() -> tuple[list[str], int | None]:
        kinds: list[str] = []
        with unix_connect(one.house.socket, "ws://modelplex/v1/responses") as socket:
            asked = {"type": "response.create", "model": "fast", "input": "Hi there"}
            socket.send(json.dumps(asked))
            try:
                while True:
                    kinds.append(json.loads(socket.recv())["type"])
                    if len(kinds) == 1:
                        rim.callFromThread(stop)
            except ConnectionClosed as e:
                return kinds, e.rcvd.code if e.rcvd else None

    stopped: list[Deferred[None]] = []

    def stop() -> None:
        stopped.append(Deferred.fromCoroutine(one.house.service.stopService()))

    kinds, code = await deferToThread(talked)
    assert (kinds[-1], code) == ("response.completed", 1001)
    await stopped[0]
