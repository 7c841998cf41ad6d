"""Remote tool servers out of their configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelplex.errors import ConfigError
from modelplex.mcp.oauth import ClientCredentials
from modelplex.mcp.ourselves import Ourselves
from modelplex.mcp.remote import RemoteServer
from modelplex.mcp.remote_address import Place, may_be_configured, place
from modelplex.mcp.remote_settings import RemoteSettings
from modelplex.mcp.remote_url import RemoteUrl
from modelplex.outbound.transport import Transport, connect


def remote_server(
    settings: RemoteSettings, reactor: Any, info: Mapping[str, Any]
) -> RemoteServer:
    """
    The server of a configuration.

    :param reactor: for connections and time.
    :param info: our name and version, as servers are told.
    :raises ConfigError: its URL is none, or is not safe to ask.
    """
    try:
        where = place(settings.url)
        usable = may_be_configured(settings.url, settings.plain_http)
    except ValueError as e:
        raise ConfigError([f"mcp.servers.{settings.name}.url: {e}"]) from None
    if not usable:
        why = "http is for this machine only; say plain_http if it is meant"
        raise ConfigError([f"mcp.servers.{settings.name}.url: {why}"])

    def dial(to: Place, public: bool) -> Transport:
        seconds = settings.connect_timeout
        return connect(reactor, settings.name, to.address, seconds, public=public)

    authority = None
    if settings.oauth is not None:
        authority = ClientCredentials(
            settings.name, settings.oauth, where, dial, reactor
        )
    headers = [
        (name.lower().encode("ascii"), value.reveal().encode("utf-8"))
        for name, value in settings.headers.items()
    ]
    url = RemoteUrl(
        settings.name, where, dial(where, False), headers, authority, reactor
    )
    us = Ourselves(info, settings.roots, settings.interactive)
    return RemoteServer(settings, url, us, reactor)
