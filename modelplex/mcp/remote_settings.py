"""What is known of a remote server before it is asked: where it is, and its bounds."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from modelplex.mcp.child_settings import Protocol
from modelplex.secret import Secret


@frozen
class OAuthSettings:
    """
    Our own credentials with a remote server (OAuth 2.1, client credentials).

    :ivar scope: what to ask for when the server does not say; empty for nothing.
    :ivar issuer: the only authority that may have the secret; empty for the one that
        the server names.
    """

    client_id: str
    client_secret: Secret
    scope: str = ""
    issuer: str = ""


@frozen
class RemoteSettings:
    """
    A tool server at a URL.

    :ivar url: ``https``, ``http+unix``, or ``http`` to this machine; it may hold a
        secret, so it is never shown.
    :ivar plain_http: ``http`` to other machines is meant, too.
    :ivar headers: of every request; their values are never shown.
    :ivar interactive: it is told that it may ask guests' clients (legacy era only; in
        the modern one each request says).
    :ivar roots: what it is told when it asks for folders; URIs.
    :ivar timeout: seconds without an answer or progress.
    :ivar timeout_cap: seconds for one call, whatever its progress.
    :ivar start_timeout: seconds until it must be ready.
    :ivar connect_timeout: seconds until there must be a connection.
    :ivar concurrency: calls at a time.
    :ivar queue: calls that may wait for their turn.
    """

    name: str
    url: str = field(repr=False)
    headers: Mapping[str, Secret] = field(factory=dict)
    oauth: OAuthSettings | None = None
    plain_http: bool = False
    protocol: Protocol = "auto"
    interactive: bool = False
    roots: tuple[Mapping[str, str], ...] = ()
    timeout: float = 60.0
    timeout_cap: float = 600.0
    start_timeout: float = 30.0
    connect_timeout: float = 5.0
    concurrency: int = 16
    queue: int = 256
