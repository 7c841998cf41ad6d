"""Names of hosts, resolved to addresses of the public internet and to no other."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

from attrs import define
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
)
from zope.interface import implementer

_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(host: str) -> bool:
    """Whether `host`, an IP address, is nobody's private or special one."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        # An IPv4 address in other clothes leads where that leads.
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address.teredo is not None:
            inner = address.teredo[1]
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not address.is_multicast


@implementer(IHostnameResolver)
@define(eq=False)
class PublicOnly:
    """
    Another resolver whose private answers are dropped.

    What is connected to is what was looked at, so a name that resolves differently
    the next time gains nothing.
    """

    _resolver: IHostnameResolver

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        return self._resolver.resolveHostName(
            _Sieve(resolutionReceiver),
            hostName,
            portNumber,
            addressTypes,
            transportSemantics,
        )


@implementer(IReactorPluggableNameResolver)
@define(eq=False)
class PublicNames:
    """Another reactor that finds public addresses only."""

    _reactor: Any

    @property
    def nameResolver(self) -> IHostnameResolver:
        return PublicOnly(self._reactor.nameResolver)

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        found: IHostnameResolver = self._reactor.installNameResolver(resolver)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


@implementer(IResolutionReceiver)
@define(eq=False)
class _Sieve:
    """Passes on the addresses that are public."""

    _receiver: IResolutionReceiver

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        self._receiver.resolutionBegan(resolutionInProgress)

    def addressResolved(self, address: Any) -> None:
        if is_public(address.host):
            self._receiver.addressResolved(address)

    def resolutionComplete(self) -> None:
        self._receiver.resolutionComplete()
