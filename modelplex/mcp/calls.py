"""
The one way to a tool: looked up, judged, approved, limited, called, cleaned, recorded.

MCP, REST and the tools of models all call through here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, evolve
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime

from modelplex.errors import GatewayError, LimitReached
from modelplex.guests.arguments import Refused
from modelplex.guests.tools import Decision
from modelplex.mcp.approvals import Denied
from modelplex.mcp.call_rules import CallRules, Made, Trail, Wanted
from modelplex.mcp.clean_caller import CleanCaller
from modelplex.mcp.guest_view import View
from modelplex.mcp.limits import Limits
from modelplex.mcp.view import Offer
from modelplex.tools import Caller, ToolServerError, ToolServerTimeout
from modelplex.wire.jsonrpc import INVALID_PARAMS, Params, Result, RpcError
from modelplex.wire.mcp.envelope import own
from modelplex.wire.mcp.shapes import RESOURCE_NOT_FOUND, failed

__all__ = ["AUDIT", "CallRules", "Calls", "Made", "Wanted"]

AUDIT = "modelplex/audit"
"""Key of the ``_meta`` that says which line of the audit log tells of a denial."""

_SHOWN = 200  # characters of a name that nobody knows


@define(eq=False)
class Calls:
    """Makes the calls of one guest."""

    _rules: CallRules
    _limits: Limits
    _clock: IReactorTime

    async def call(
        self,
        view: View,
        exposed: str,
        arguments: Mapping[str, Any],
        caller: Caller,
        meta: Mapping[str, Any] | None = None,
    ) -> Result:
        """
        Call a tool.

        :param exposed: the name that `view` has for it.
        :param meta: of the request; what is the hop's own stays here.
        :returns: the server's result, in the form of its revision, or one that says in
            a few words why there is none.
        :raises RpcError: there is no such tool, or the server answered so.

        Cancelling cancels the call.
        """
        try:
            offer = await self._current(view, "tools/call", "tool", exposed, caller)
            return await self._made(
                view, "tools/call", offer, exposed, arguments, caller, meta
            )
        except (LimitReached, ToolServerError) as e:
            return failed(e.message)

    async def get(
        self,
        view: View,
        exposed: str,
        arguments: Mapping[str, Any],
        caller: Caller,
        meta: Mapping[str, Any] | None = None,
    ) -> Result:
        """
        Get a prompt; as `call`, but all trouble is raised.

        :raises ToolServerError: the server could not be asked.
        """
        offer = await self._current(view, "prompts/get", "prompt", exposed, caller)
        return await self._made(
            view, "prompts/get", offer, exposed, arguments, caller, meta
        )

    async def read(
        self,
        view: View,
        uri: str,
        caller: Caller,
        meta: Mapping[str, Any] | None = None,
    ) -> Result:
        """Read a resource; trouble is raised as by `get`."""
        offer = await self._found(view, "resources/read", "resource", uri, caller)
        return await self._made(view, "resources/read", offer, uri, {}, caller, meta)

    async def _made(
        self,
        view: View,
        method: str,
        offer: Offer,
        name: str,
        arguments: Mapping[str, Any],
        caller: Caller,
        meta: Mapping[str, Any] | None,
    ) -> Result:
        id = caller.request_id
        trail = Trail(
            self._rules.record,
            self._clock,
            view.guest,
            method,
            name,
            offer,
            arguments,
            id,
        )
        try:
            if method == "tools/call":
                judged = self._rules.check(offer, arguments, id)
                if isinstance(judged, Refused):
                    trail.rule = judged.rule
                    return _denied(judged.reason, trail.end("refused"))
                arguments = trail.arguments = judged.arguments
            if offer.verdict.decision is Decision.ASK:
                policy = view.policy.version
                wanted = Wanted(view.guest, method, offer, arguments, policy, id)
                answer = await self._rules.approve(wanted)
                if isinstance(answer, Denied):
                    return _refused(method, answer.why, trail.end("denied"))
                if view.offers.current(method, name) != offer:
                    # What was approved is not what would be called now.
                    return _refused(
                        method, "it has changed meanwhile", trail.end("refused")
                    )
            params = _params(method, offer, name, arguments, own(meta or {}))
            heard = self._heard(offer, caller)
            place = self._limits.place(offer.server.name, offer.name, heard)
            async with place as served:
                result = await offer.server.request(method, params, served)
        except CancelledError:
            trail.end("cancelled")
            raise
        except ToolServerTimeout:
            trail.end("timeout")
            raise
        except LimitReached:
            trail.rule = "limits"
            trail.end("refused")
            raise
        except RpcError as e:
            trail.end("failed")
            raise self._cleaned(offer, e) from None
        except GatewayError:
            trail.end("failed")
            raise
        result = self._rules.clean(offer.server.name, result)
        trail.end("error" if _is_error(result) else "ok", result)
        return result

    async def complete(self, offer: Offer, params: Params, caller: Caller) -> Result:
        """Complete an argument of a prompt or a template; trouble is raised."""
        heard = self._heard(offer, caller)
        try:
            result = await offer.server.request("completion/complete", params, heard)
        except RpcError as e:
            raise self._cleaned(offer, e) from None
        return self._rules.clean(offer.server.name, result)

    async def _found(
        self, view: View, method: str, kind: str, name: str, caller: Caller
    ) -> Offer:
        """
        What is asked for.

        :raises RpcError: the same for what does not exist and for what this guest may
            not see.
        """
        offer = view.offers.current(method, name)
        if offer is None and not view.is_known:
            offer = (await view.settled()).current(method, name)
        if offer is not None:
            return offer
        shown = name[:_SHOWN]
        made = Made(view.guest, method, shown, "unknown", "not shown", 0.0)
        self._rules.record(evolve(made, request_id=caller.request_id))
        if method == "resources/read":
            raise RpcError(RESOURCE_NOT_FOUND, "Resource not found", {"uri": shown})
        raise RpcError(INVALID_PARAMS, f"Unknown {kind}: {shown}")

    async def _current(
        self, view: View, method: str, kind: str, name: str, caller: Caller
    ) -> Offer:
        """
        What is asked for, as its server has it now.

        What is remembered of a server that has not run yet may have changed since, and
        must not decide about a call.

        :raises RpcError: as `_found`.
        :raises ToolServerError: the server cannot be asked.
        """
        offer = await self._found(view, method, kind, name, caller)
        await offer.server.offered()
        return await self._found(view, method, kind, name, caller)

    def _heard(self, offer: Offer, caller: Caller) -> Caller:
        """`caller`, as far as the server of `offer` reaches it."""
        return CleanCaller(caller, offer.server.name, self._rules.clean)

    def _cleaned(self, offer: Offer, error: RpcError) -> RpcError:
        name = offer.server.name
        message = str(self._rules.clean(name, error.message))
        return RpcError(error.rpc_code, message, self._rules.clean(name, error.data))


def _params(
    method: str,
    offer: Offer,
    name: str,
    arguments: Mapping[str, Any],
    meta: Mapping[str, Any],
) -> Params:
    """The params of a request to the server, of nothing but what it needs."""
    if method == "resources/read":
        params: dict[str, Any] = {"uri": name}
    else:
        params = {"name": offer.name, "arguments": dict(arguments)}
    return {**params, "_meta": meta} if meta else params


def _refused(method: str, reason: str, audit: str) -> Result:
    """
    The answer to a call that is not made.

    :raises RpcError: unless it is a tool's, which a model can be told.
    """
    if method == "tools/call":
        return _denied(reason, audit)
    raise RpcError(INVALID_PARAMS, reason, {AUDIT: audit} if audit else None)


def _denied(reason: str, audit: str) -> Result:
    return failed(f"Not called: {reason}.", {AUDIT: audit} if audit else None)


def _is_error(result: Result) -> bool:
    return isinstance(result, Mapping) and result.get("isError") is True
