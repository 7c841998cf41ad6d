"""Where an upstream is: a base URL as people write it, made into request URLs."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

from attrs import evolve, frozen

from modelplex.errors import UnknownModel

# What a server may take for the end of a path, or for a way to somewhere else, once
# or twice unquoted.
_LEADS = re.compile(r"[\\?#%\x00-\x1f\x7f-\x9f]")
_VERSION = re.compile(r"^v\d+[a-z0-9]*$")


@frozen
class Address:
    """
    The parts of a `base_url`.

    :ivar origin: scheme and host, such as ``https://api.openai.com``.
    :ivar path: what every request path starts with; no slash at its end.
    :ivar query: what every request carries, without the question mark.
    :ivar socket: the path of a UNIX socket to connect to, instead of the host.
    """

    origin: str
    path: str
    query: str = ""
    socket: str | None = None

    def url(self, path: str) -> str:
        """The URL for `path`, which starts with a slash and may have a query."""
        mark = "&" if "?" in path else "?"
        query = f"{mark}{self.query}" if self.query else ""
        return f"{self.origin}{self.path}{path}{query}"


def segments_of(model: str, safe: str = "") -> str:
    """
    A guest's name of a model, quoted to stand in a path.

    :param safe: ``/`` where the name may have several segments.
    :raises UnknownModel: a server could take it for a way to somewhere else.
    """
    segments = model.split("/")
    if _LEADS.search(model) or any(part in ("", ".", "..") for part in segments):
        raise UnknownModel("no model has such a name", param="model")
    return quote(model, safe=safe)


def plain(base_url: str) -> Address:
    """Read a `base_url` as it is."""
    parts = urlsplit(base_url)
    path = re.sub("/{2,}", "/", parts.path).rstrip("/")
    if parts.scheme == "http+unix":
        socket = unquote(parts.netloc)
        return Address("http://localhost", path, parts.query, socket)
    return Address(f"{parts.scheme}://{parts.netloc}", path, parts.query)


def parse(base_url: str, version: str | None) -> Address:
    """
    Read a `base_url`, with or without its version segment.

    :param version: the segment the API needs, such as ``v1``: added unless the path
        has one already; ``None`` for an API that has none, where ``/v1`` or ``/api``
        at the end is taken away.
    """
    found = plain(base_url)
    path = found.path
    segments = path.split("/")
    if version is None:
        if _VERSION.match(segments[-1]) or segments[-1] == "api":
            path = path.rpartition("/")[0]
    elif segments[-1] == "anthropic" or not any(map(_VERSION.match, segments)):
        # Gateways have a version of their own before the API's: /v1/…/anthropic.
        path = f"{path}/{version}"
    return evolve(found, path=path)
