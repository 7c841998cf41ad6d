"""What metadata names leads to the public internet, or nowhere."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import IHostnameResolver, IResolutionReceiver
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.web.client import URI
from zope.interface import implementer
from zope.interface.verify import verifyObject

from modelplex.outbound.dialing import Dialing
from modelplex.outbound.public import PublicOnly, is_public


@pytest.mark.parametrize("host", ["1.1.1.1", "8.8.8.8", "2606:4700::1111"])
def test_addresses_of_the_internet_are_public(host: str) -> None:
    assert is_public(host)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.2.1"),
        *("::1", "::", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:10.0.0.1"),
        *("64:ff9b::a9fe:a9fe", "2002:7f00:1::", "example.com", ""),
    ],
)
def test_private_and_special_addresses_are_not(host: str) -> None:
    assert not is_public(host)


@given(st.ip_addresses(v=4, network="10.0.0.0/8"))
def test_a_private_address_stays_private_in_every_form(address: Any) -> None:
    number = int(address)
    assert not is_public(str(address))
    for form in ("::ffff:{:x}:{:x}", "64:ff9b::{:x}:{:x}", "2002:{:x}:{:x}::1"):
        assert not is_public(form.format(number >> 16, number & 0xFFFF))


@implementer(IHostnameResolver)
@define(eq=False)
class Names:
    """Resolves every name to the same addresses."""

    addresses: list[Any]

    def resolveHostName(self, receiver: Any, name: str, port: int = 0, *_: Any) -> Any:
        receiver.resolutionBegan(self)
        for address in self.addresses:
            receiver.addressResolved(address)
        receiver.resolutionComplete()
        return self


@implementer(IResolutionReceiver)
@define(eq=False)
class Told:
    hosts: list[str] = field(factory=list)
    complete: bool = False

    def resolutionBegan(self, resolution: Any) -> None:
        assert not self.hosts

    def addressResolved(self, address: Any) -> None:
        self.hosts.append(address.host)

    def resolutionComplete(self) -> None:
        self.complete = True


def test_private_answers_are_dropped() -> None:
    addresses = [
        IPv4Address("TCP", "169.254.169.254", 443),
        IPv4Address("TCP", "1.1.1.1", 443),
        IPv6Address("TCP", "::1", 443),
    ]
    resolver, told = PublicOnly(Names(addresses)), Told()
    verifyObject(IHostnameResolver, resolver)
    resolver.resolveHostName(told, "metadata.example")
    assert told.hosts == ["1.1.1.1"] and told.complete


@pytest.mark.parametrize("host", [b"127.0.0.1", b"10.0.0.1", b"[::1]"])
def test_a_private_address_is_not_dialled(host: bytes) -> None:
    reactor = MemoryReactorClock()
    url = URI.fromBytes(b"https://" + host + b"/")
    endpoint = Dialing(reactor, 3.0, public=True).endpointForURI(url)
    failed: list[Any] = []
    endpoint.connect(Factory.forProtocol(Protocol)).addErrback(failed.append)
    reactor.pump([0.1] * 5)
    assert [type(failure.value) for failure in failed] == [DNSLookupError]
    assert reactor.tcpClients == []
    assert reactor.getDelayedCalls() == []
