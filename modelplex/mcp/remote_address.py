"""Which URLs may be asked: the operator's own, and of those that a server names few."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urljoin, urlsplit

from attrs import frozen

from modelplex.outbound.address import Address, plain

_PORTS = {"http": 80, "https": 443}


@frozen
class Place:
    """
    A URL, taken apart for asking.

    :ivar address: its origin, without a path.
    :ivar target: its path and query, which may hold a secret.
    """

    address: Address
    target: str

    def __repr__(self) -> str:
        return f"Place({self.address.origin!r})"

    @property
    def url(self) -> str:
        """All of it, as text."""
        return self.address.origin + self.target

    @property
    def path(self) -> str:
        """Its path, without a slash at the end."""
        return self.target.partition("?")[0].rstrip("/")

    def joined(self, reference: str) -> Place | None:
        """Where `reference` leads from here; ``None`` if that is another origin."""
        try:
            url = urljoin(self.url, reference)
            if origin_of(url) != origin_of(self.url):
                return None
            return Place(self.address, _target(url))
        except ValueError:
            return None


def place(url: str) -> Place:
    """
    Take a URL apart.

    :raises ValueError: it is no URL of HTTP.
    """
    origin_of(url.replace("http+unix://", "http://", 1))
    found = plain(url)
    return Place(Address(found.origin, "", "", found.socket), _target(url))


def _target(url: str) -> str:
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    target = (parts.path or "/") + query
    if not target.isascii() or not target.isprintable() or " " in target:
        raise ValueError("a URL has only printable ASCII")
    return target


def origin_of(url: str) -> tuple[str, str, int]:
    """
    Scheme, host and port of a URL, as they are compared.

    :raises ValueError: it is no URL of HTTP, or has a user in it.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        raise ValueError("an http or https URL is expected")
    port = parts.port if parts.port is not None else _PORTS[parts.scheme]
    return parts.scheme, parts.hostname, port


def is_loopback(url: str) -> bool:
    """Whether the URL names this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def may_be_configured(url: str, plain_http: bool) -> bool:
    """Whether an operator's URL needs no further word: safe, or of this machine."""
    scheme = urlsplit(url).scheme
    if scheme in ("https", "http+unix"):
        return True
    return scheme == "http" and (plain_http or is_loopback(url))


@frozen
class Discovery:
    """
    What may be asked of the URLs that a server names.

    A server that the operator trusts with requests is not trusted to choose whom this
    host talks to: its metadata must not lead into a private network.

    :ivar trusted: URLs that the operator gave.
    """

    trusted: tuple[str, ...]

    def is_known(self, url: str) -> bool:
        """Whether the operator gave this origin, wherever it is."""
        known = {origin_of(one) for one in self.trusted if one.startswith("http")}
        return origin_of(url) in known or self._is_ours(url)

    def _is_ours(self, url: str) -> bool:
        """On this machine, as a server of the operator's is."""
        return is_loopback(url) and any(map(is_loopback, self.trusted))

    def allows(self, url: str) -> bool:
        """
        Whether `url` may be asked.

        Its host may still turn out to have a private address: unless `is_known`, the
        connection must look (`modelplex.outbound.dialing.Dialing`).
        """
        try:
            place(url)
            return self.is_known(url) or (
                urlsplit(url).scheme == "https" and not is_loopback(url)
            )
        except ValueError:
            return False
