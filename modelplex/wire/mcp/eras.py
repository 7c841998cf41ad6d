"""Which era a client speaks: told by what its message says, and by its header."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TypeAlias

from modelplex.wire.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    Answer,
    Call,
    Failure,
    Message,
    Note,
    RpcError,
)
from modelplex.wire.mcp.envelope import (
    HEADER_MISMATCH,
    UNSUPPORTED_VERSION,
    VERSION,
    is_claimed,
    meta_of,
)
from modelplex.wire.mcp.revisions import MODERN

Sent: TypeAlias = Message | Sequence[Message]


class Era(Enum):
    """How a client begins."""

    LEGACY = "with initialize"
    MODERN = "with every request"


def era_of(sent: Sent, version: str | None) -> Era:
    """
    The era of what a client has sent over HTTP.

    :param version: the ``MCP-Protocol-Version`` header, if there is one.
    :raises RpcError: the message and the header belong to different eras.
    """
    modern = version in MODERN
    if isinstance(sent, Sequence):
        if modern or any(_claims(one) for one in sent):
            raise RpcError(INVALID_REQUEST, "there are no batches in this revision")
        return Era.LEGACY
    match sent:
        case Answer() | Failure():
            if modern:
                raise RpcError(INVALID_REQUEST, "nothing was asked of this client")
            return Era.LEGACY
        case Call(method="initialize") if (
            meta_of(sent.params).get(VERSION) not in MODERN
        ):
            if modern:
                raise RpcError(
                    HEADER_MISMATCH, f"there is no initialize in revision {version}"
                )
            return Era.LEGACY
        case Call():
            if is_claimed(sent.params):
                return Era.MODERN
            if modern:
                raise RpcError(INVALID_PARAMS, f"_meta: {VERSION} is required")
            return Era.LEGACY
        case Note():
            return Era.MODERN if modern or is_claimed(sent.params) else Era.LEGACY


def first_era(call: Call) -> Era:
    """The era of a connection without headers, by the first request on it."""
    return Era.MODERN if is_claimed(call.params) else Era.LEGACY


def check_era(era: Era, call: Call) -> None:
    """
    Ask whether `call` may come on a connection of `era`.

    :raises RpcError: it is of the other.
    """
    if era is Era.MODERN and call.method == "initialize" and not _claims(call):
        raise RpcError(
            UNSUPPORTED_VERSION,
            "this connection speaks without initialize",
            {
                "supported": list(MODERN),
                "requested": str(call.params.get("protocolVersion", "")),
            },
        )
    if era is Era.LEGACY and is_claimed(call.params):
        raise RpcError(INVALID_REQUEST, "this connection was begun with initialize")


def _claims(message: Message) -> bool:
    return isinstance(message, Call | Note) and is_claimed(message.params)
