"""What passes between those who ask for tools and the servers that have them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Protocol

from attrs import field, frozen

from modelplex.errors import GatewayError
from modelplex.wire.jsonrpc import Params, RpcError
from modelplex.wire.mcp.envelope import MISSING_CAPABILITY


class ToolServerError(GatewayError):
    """
    A tool server could not be asked, or did not answer.

    The message may be shown to a guest: it names the server, and nothing of the host.
    """

    kind = "tool_server"
    status = 502


class ToolServerTimeout(ToolServerError):
    """It took longer than it may."""

    kind = "tool_server_timeout"
    status = 504


@frozen
class Listing:
    """
    What a server offers; each entry is the server's own JSON object.

    :ivar capabilities: the ``ServerCapabilities`` it declared.
    :ivar instructions: its advice to models; untrusted.
    """

    tools: tuple[Mapping[str, Any], ...] = ()
    resources: tuple[Mapping[str, Any], ...] = ()
    templates: tuple[Mapping[str, Any], ...] = ()
    prompts: tuple[Mapping[str, Any], ...] = ()
    capabilities: Mapping[str, Any] = field(factory=dict)
    instructions: str = ""


class ServerState(Enum):
    """How a tool server is."""

    IDLE = "idle"  # it starts when it is needed
    STARTING = "starting"
    READY = "ready"
    BACKOFF = "backoff"  # it ended, and is started again after a while
    FAILED = "failed"  # given up
    STOPPED = "stopped"


@frozen
class ServerStatus:
    """
    What the operator is told of a server.

    :ivar why: the last trouble, in one line.
    :ivar version: the protocol revision that it speaks.
    """

    state: ServerState
    why: str = ""
    restarts: int = 0
    pid: int | None = None
    version: str = ""
    in_flight: int = 0


@frozen
class Question:
    """Something a server asks of whoever called it."""

    method: str
    params: Params = field(factory=dict, repr=False)


class Caller(Protocol):
    """
    One request of a guest, as a server sees it.

    :ivar capabilities: what the guest's client can be asked.
    :ivar log_level: the least it wants to hear of; ``None`` for nothing.
    :ivar request_id: as the logs have it; empty when it came without one.
    """

    guest: str
    request_id: str
    capabilities: Mapping[str, Any]
    log_level: str | None

    def progressed(
        self, progress: float, total: float | None, message: str | None
    ) -> None:
        """Tell how far it is; dropped when nobody wants to know."""

    def logged(self, level: str, logger: str | None, data: Any) -> None:
        """Pass on a line of the server's log."""

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Any]:
        """
        Ask the guest's client.

        :returns: its results, by the keys of `questions`.
        :raises RpcError: it cannot be asked that (-32021), or refused.
        """


@frozen
class HostTool:
    """
    A tool of the host, as a guest may offer it to a model.

    :ivar name: what guests call it: ``server__tool``.
    :ivar own: what its server calls it.
    :ivar definition: as MCP has it, and as the guest may see it.
    """

    name: str
    server: str
    own: str
    definition: Mapping[str, Any] = field(repr=False)


class Silent:
    """A caller that wants to hear of nothing and cannot be asked."""

    def __init__(self, guest: str = "", request_id: str = "") -> None:
        self.guest = guest
        self.request_id = request_id
        self.capabilities: Mapping[str, Any] = {}
        self.log_level: str | None = None

    def progressed(
        self, progress: float, total: float | None, message: str | None
    ) -> None:
        """Nothing."""

    def logged(self, level: str, logger: str | None, data: Any) -> None:
        """Nothing."""

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Any]:
        raise RpcError(
            MISSING_CAPABILITY,
            "the server wants to ask something that this client cannot be asked",
            {"requiredCapabilities": needed(questions)},
        )


def needed(questions: Mapping[str, Question]) -> dict[str, Any]:
    """The client capabilities that `questions` need, in the shape of capabilities."""
    found: dict[str, Any] = {}
    for question in questions.values():
        match question.method:
            case "elicitation/create":
                mode = question.params.get("mode", "form")
                found.setdefault("elicitation", {})
                if mode == "url":
                    found["elicitation"]["url"] = {}
            case "sampling/createMessage":
                found["sampling"] = {"tools": {}} if "tools" in question.params else {}
            case "roots/list":
                found["roots"] = {}
            case _:
                pass
    return found
