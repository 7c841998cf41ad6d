"""
Every seam of Modelplex, in one file: read this first.

A guest's request becomes an `Asked`. A router holds `IModelProvider` candidates and
opens one of them; what it gets is an `IReply`, which it hands to the surface. The
surface is the reply's `IReplySink` and paces it, because a reply is a push producer.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.interfaces import IPushProducer
from zope.interface import Attribute, Interface

from modelplex.errors import GatewayError
from modelplex.events import Event
from modelplex.tools import Caller, Listing, ServerStatus
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.jsonrpc import Params, Result
from modelplex.wire.reading import Reader


class IReplySink(Interface):
    """Takes the batches of one reply, then exactly one of `ended` and `failed`."""

    def received(batch: bytes | list[Event]) -> None:
        """
        A piece of the reply: bytes of the guest's own dialect when the reply was
        `IReply.passed` through, else canonical events.
        """

    def ended() -> None:
        """The reply is complete."""

    def failed(error: GatewayError) -> None:
        """The reply broke off; what was received so far is not an answer."""


class IReply(IPushProducer):
    """
    An answer that an upstream has begun: accepted, and not delivered yet.

    ``stopProducing`` hangs up on the upstream, before or during delivery.
    """

    passed: bool = Attribute("The batches are bytes in the guest's own dialect.")
    dropped: Sequence[str] = Attribute("Fields of the request that were not carried.")
    reader: Reader = Attribute("What has been seen so far: usage, finish, error.")

    def deliver(sink: IReplySink) -> None:
        """Give `sink` what was held back and then the rest as it comes. Once."""


class IModelProvider(Interface):
    """One upstream account that can answer requests."""

    name: str = Attribute("The provider's key in the config file.")
    concern: str = Attribute("What fails together with it: name, and key number.")

    def serves(operation: Operation) -> bool:
        """Whether it has this API at all."""

    async def open(asked: Asked, model: str, within: float) -> IReply:
        """
        Ask for an answer.

        :param model: the provider's own name for the model.
        :param within: seconds left until the whole exchange must have ended.
        :returns: when the first event with a piece of the answer in it was seen, or,
            unless the answer is streamed, when all of it was; until then another
            candidate may still be asked.
        :raises GatewayError: when it did not accept.

        Cancelling hangs up.
        """

    async def list_models() -> Sequence[str]:
        """
        The models that the upstream says it has.

        :raises GatewayError: it cannot be asked.
        """

    async def close() -> None:
        """Give up idle connections."""


class IToolServerWatcher(Interface):
    """Hears of what changes at tool servers."""

    def changed(server: IToolServer) -> None:
        """Its `listing` is another one now."""

    def updated(server: IToolServer, uri: str) -> None:
        """A resource that was subscribed to has changed."""


class IToolServer(Interface):
    """One MCP server, a child of ours or a remote one, whatever revision it speaks."""

    name: str = Attribute("The server's key in the config file.")
    listing: Listing = Attribute("What it offers, as far as is known.")
    status: ServerStatus = Attribute("How it is, for the operator.")

    async def request(method: str, params: Params, caller: Caller) -> Result:
        """
        Ask for something; the server is started if it does not run.

        :param method: of the protocol: ``tools/call``, ``resources/read``,
            ``prompts/get``, ``completion/complete``, ``resources/subscribe`` and so on,
            in the form without an envelope.
        :returns: the result, in the form of the revision that the server speaks.
        :raises RpcError: the server answered so, or the caller could not be asked.
        :raises ToolServerError: it could not be asked, or did not answer.

        Cancelling tells the server, and its late answer is dropped.
        """

    async def refresh() -> Listing:
        """
        Ask for its lists now.

        :raises ToolServerError: it cannot be asked.
        """

    async def offered() -> None:
        """
        Wait until `listing` is what it offers now, and not what it did before it was
        last started; it is started if it does not run.

        :raises ToolServerError: it cannot be asked.
        """

    def watch(watcher: IToolServerWatcher) -> None:
        """Tell `watcher` of every change from now on."""

    def restart() -> None:
        """Begin anew, now or when it is next needed, also if it was given up."""

    async def stop() -> None:
        """End it, and wait until nothing of it is left; calls in flight fail."""
