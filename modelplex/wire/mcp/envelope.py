"""
What every request of the modern era tells about itself, in its ``_meta``.

Each hop owns the protocol's own keys there: what came is read and taken out, and what
goes on is written anew. Keys of vendors and of tracing pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from modelplex.wire.jsonrpc import INVALID_PARAMS, Params, RpcError
from modelplex.wire.mcp.revisions import MODERN

PREFIX = "io.modelcontextprotocol/"
VERSION = PREFIX + "protocolVersion"
CAPABILITIES = PREFIX + "clientCapabilities"
CLIENT = PREFIX + "clientInfo"
LOG_LEVEL = PREFIX + "logLevel"
SERVER = PREFIX + "serverInfo"
SUBSCRIPTION = PREFIX + "subscriptionId"
PROGRESS = "progressToken"

UNSUPPORTED_VERSION = -32022
MISSING_CAPABILITY = -32021
HEADER_MISMATCH = -32020

LEVELS = (
    *("debug", "info", "notice", "warning", "error"),
    *("critical", "alert", "emergency"),
)


@frozen
class Envelope:
    """
    What a modern request tells about itself.

    :ivar capabilities: what this client can be asked for, for this request only.
    :ivar client: unverified; to be shown only.
    :ivar log_level: the least that it wants to hear of; ``None`` for nothing.
    """

    version: str
    capabilities: Mapping[str, Any] = field(factory=dict)
    client: Mapping[str, Any] = field(factory=dict)
    log_level: str | None = None


def meta_of(params: Params) -> Mapping[str, Any]:
    """The ``_meta`` of `params`; empty when there is none."""
    meta = params.get("_meta")
    return meta if isinstance(meta, dict) else {}


def is_claimed(params: Params) -> bool:
    """Whether a request says that it is one of the modern era."""
    return VERSION in meta_of(params)


def opened(params: Params) -> Envelope:
    """
    The envelope of a request.

    :raises RpcError: a key that is required is missing or of the wrong type (-32602);
        the version is not served (-32022); the log level is none (-32602).
    """
    meta = meta_of(params)
    version, capabilities = meta.get(VERSION), meta.get(CAPABILITIES)
    if not isinstance(version, str):
        raise RpcError(INVALID_PARAMS, f"_meta: {VERSION} is required")
    if not isinstance(capabilities, dict):
        raise RpcError(INVALID_PARAMS, f"_meta: {CAPABILITIES} is required")
    if version not in MODERN:
        raise RpcError(
            UNSUPPORTED_VERSION,
            "this protocol version is not served",
            {"supported": list(MODERN), "requested": version},
        )
    client, level = meta.get(CLIENT, {}), meta.get(LOG_LEVEL)
    if level is not None and level not in LEVELS:
        raise RpcError(INVALID_PARAMS, f"_meta: {LOG_LEVEL} is no level")
    return Envelope(
        version, capabilities, client if isinstance(client, dict) else {}, level
    )


def wrapped(params: Params, envelope: Envelope) -> Params:
    """`params` as they are sent to a modern server, in our own envelope."""
    meta = {**own(meta_of(params)), VERSION: envelope.version}
    meta[CAPABILITIES] = envelope.capabilities
    if envelope.client:
        meta[CLIENT] = envelope.client
    if envelope.log_level is not None:
        meta[LOG_LEVEL] = envelope.log_level
    return {**params, "_meta": meta}


def bare(params: Params) -> Params:
    """`params` without what belongs to the hop they came over."""
    if "_meta" not in params:
        return params
    meta = own(meta_of(params))
    left = {key: value for key, value in params.items() if key != "_meta"}
    return {**left, "_meta": meta} if meta else left


def own(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What of a ``_meta`` is not the hop's: vendors' keys, and those of tracing."""
    return {k: v for k, v in meta.items() if not k.startswith(PREFIX) and k != PROGRESS}
