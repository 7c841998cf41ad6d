"""
How a conversation with a server begins: which era it is of, and which revision.

A modern server answers ``server/discover``; every other answer to it, and silence,
means one that expects ``initialize`` (2026-07-28, stdio). Pure: it is told what was
answered, and says what to ask next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from attrs import define, frozen

from modelplex.mcp.child_settings import Protocol
from modelplex.wire.jsonrpc import Params, Result
from modelplex.wire.mcp.envelope import (
    HEADER_MISMATCH,
    MISSING_CAPABILITY,
    UNSUPPORTED_VERSION,
)
from modelplex.wire.mcp.revisions import LATEST_LEGACY, LATEST_MODERN, LEGACY, MODERN

DISCOVER = "server/discover"
INITIALIZE = "initialize"
_MODERN_ERRORS = (HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION)


@frozen
class Ask:
    """Ask this next; a modern request gets its envelope from whoever sends it."""

    method: str
    params: Params


@frozen
class Opened:
    """
    The two can talk.

    :ivar instructions: the server's advice to models; untrusted.
    """

    version: str
    capabilities: Mapping[str, Any]
    instructions: str = ""

    @property
    def modern(self) -> bool:
        """Whether every request tells all about itself."""
        return self.version in MODERN


@frozen
class Unfit:
    """They cannot."""

    why: str


Step: TypeAlias = Ask | Opened | Unfit


@define(eq=False)
class Handshake:
    """
    One beginning.

    :param client: what a legacy server is told of us: capabilities and clientInfo.
    :ivar asking: the method that is being asked.
    :ivar version: the revision that is asked for.
    """

    _protocol: Protocol
    _client: Params
    asking: str = ""
    version: str = ""
    _again: bool = False

    def begin(self) -> Ask:
        """The first request."""
        if self._protocol == "legacy":
            return self._initialize(LATEST_LEGACY)
        return self._discover(LATEST_MODERN)

    def answered(self, result: Result) -> Step:
        """The server answered what was asked."""
        if not isinstance(result, dict):
            return self._fallback("it answered no object")
        if self.asking == INITIALIZE:
            version = result.get("protocolVersion")
            if version not in LEGACY:
                return Unfit("it speaks no revision that we do")
            return _opened(version, result)
        version = _mutual(result.get("supportedVersions"), MODERN)
        if version is None:
            return self._fallback("it speaks no modern revision that we do")
        return _opened(version, result)

    def failed(self, code: int, told: Any) -> Step:
        """The server answered what was asked with an error and its data."""
        supported = told.get("supported") if isinstance(told, dict) else None
        if self.asking == INITIALIZE:
            version = _mutual(supported, LEGACY)
            if version is None or self._again:
                return Unfit(f"it refused to begin: error {code}")
            self._again = True
            return self._initialize(version)
        if code in _MODERN_ERRORS:
            version = _mutual(supported, MODERN)
            if version is not None and not self._again:
                self._again = True
                return self._discover(version)
            if _mutual(supported, LEGACY) is None:
                return Unfit(f"it refused to begin: error {code}")
        return self._fallback(f"it refused to begin: error {code}")

    def overdue(self) -> Step | None:
        """It is silent: what to ask instead, if it was only probed."""
        if self.asking == DISCOVER and self._protocol == "auto":
            return self._initialize(LATEST_LEGACY)
        return None

    def _fallback(self, why: str) -> Step:
        if self.asking == DISCOVER and self._protocol == "auto":
            return self._initialize(LATEST_LEGACY)
        return Unfit(why)

    def _discover(self, version: str) -> Ask:
        self.asking, self.version = DISCOVER, version
        return Ask(DISCOVER, {})

    def _initialize(self, version: str) -> Ask:
        self.asking, self.version = INITIALIZE, version
        return Ask(INITIALIZE, {"protocolVersion": version, **self._client})


def _mutual(versions: object, ours: tuple[str, ...]) -> str | None:
    """The newest of `ours` that is among `versions`."""
    theirs = versions if isinstance(versions, list) else []
    return next((one for one in reversed(ours) if one in theirs), None)


def _opened(version: str, result: Mapping[str, Any]) -> Opened:
    capabilities, advice = result.get("capabilities"), result.get("instructions")
    return Opened(
        version,
        capabilities if isinstance(capabilities, dict) else {},
        advice if isinstance(advice, str) else "",
    )
