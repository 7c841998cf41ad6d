"""
Whether a path is inside a folder, and a URL one of a host: pure.

The server that opens the path reads it in its own way, which nobody knows. So a text
that two readers may take for two places is refused, and not only one that leaves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv6Address, ip_address
from unicodedata import category, normalize

from attrs import frozen

#: ``os.path.realpath``, or something like it; may raise `OSError` and `ValueError`.
Realpath = Callable[[str], str]

LONGEST_PATH = 4096  # characters
LONGEST_URL = 8192  # characters

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_ENCODED = re.compile(r"%(?:2[ef5]|5c|00|u[0-9a-f]{4}|c0|c1|e0%80)", re.IGNORECASE)
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(?:[/?#].*)?", re.DOTALL)
_AUTHORITY = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9._-]{1,254}))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}


def outside(
    path: object, roots: Iterable[str], realpath: Realpath, start: str | None
) -> str | None:
    """
    Why `path` may not be used; ``None`` when it is inside one of `roots`.

    :param start: where a relative path starts; ``None`` refuses it.
    """
    if not isinstance(path, str) or not path:
        return "is not a path"
    if len(path) > LONGEST_PATH:
        return "is too long for a path"
    if reason := _ambiguous(path):
        return reason
    try:
        inside = [_spelled(realpath(root)) for root in roots]
        # Some servers normalise names before they open them.
        for one in {path, normalize("NFKC", path)}:
            if _ambiguous(one):
                return "is a path that may be read in two ways"
            if not one.startswith("/"):
                if start is None:
                    return "must be an absolute path"
                one = f"{start.rstrip('/')}/{one}"
            # The kernel resolves links before "..", others only fold the text.
            for place in {one, _folded(one)}:
                real = _spelled(realpath(place))
                if not any(real.startswith(root) for root in inside):
                    return "is outside of where it may be"
    except (OSError, ValueError):
        return "cannot be resolved"
    return None


def _ambiguous(path: str) -> str | None:
    if any(category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in path):
        return "holds characters that no path needs"
    if path != path.strip():
        return "starts or ends with white space"
    if path[0] in "~$" or "${" in path or "/~" in path:
        return "is a path that may be expanded"
    if "\\" in path or _SCHEME.match(path) or _ENCODED.search(path):
        return "is a path that may be read in two ways"
    return None


def _folded(path: str) -> str:
    """An absolute path without ``.``, ``..`` and empty parts, links not looked at."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _spelled(real: str) -> str:
    """So that one folder is inside another when its text starts with the other's."""
    return real.rstrip("/") + "/"


@frozen
class Host:
    """
    One host, or every host below one.

    :ivar name: as `_plain_name` gives it.
    :ivar port: ``None`` for the scheme's own.
    """

    name: str
    below: bool = False
    port: int | None = None

    @classmethod
    def of(cls, text: str) -> Host:
        """:raises ValueError: `text` is no host to be allowed."""
        below = text.startswith("*.")
        rest = text[2:] if below else text
        if rest.count(":") > 1 and not rest.startswith("["):
            rest = f"[{rest}]"
        if not rest.isascii():
            rest = rest.encode("idna").decode("ascii")
        found = _AUTHORITY.fullmatch(rest)
        name = _plain_name(found["six"], found["name"]) if found else None
        if found is None or name is None or (below and found["six"]):
            raise ValueError("expected a host, such as example.com or *.example.com")
        return cls(name, below, int(found["port"]) if found["port"] else None)


def other_host(
    url: object, hosts: Iterable[Host], schemes: Sequence[str]
) -> str | None:
    """
    Why `url` may not be used; ``None`` when it is one of `hosts`.

    Nothing is looked up, so a name that leads to an address of the host itself is as
    good as any other: list names that you trust.
    """
    if not isinstance(url, str) or not 0 < len(url) <= LONGEST_URL:
        return "is not a URL"
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return "is a URL that may be read in two ways"
    found = _URL.fullmatch(url)
    if found is None:
        return "is not a URL"
    scheme = found[1].lower()
    if scheme not in schemes:
        return "is a URL of another scheme"
    place = _AUTHORITY.fullmatch(found[2])
    if place is None:  # a user, a percent sign, an empty host
        return "is a URL whose host is not plain"
    name = _plain_name(place["six"], place["name"])
    if name is None:
        return "is a URL whose host is not plain"
    own = _PORTS.get(scheme)
    port = int(place["port"]) if place["port"] else own
    for host in hosts:
        if port == (own if host.port is None else host.port) and (
            name.endswith("." + host.name) if host.below else name == host.name
        ):
            return None
    return "is a URL of another host"


def _plain_name(six: str | None, name: str | None) -> str | None:
    """A host as it is compared: lower case, no final dot, addresses in one form."""
    try:
        if six is not None:
            return str(IPv6Address(six))
    except ValueError:
        return None
    assert name is not None
    plain = name.lower().removesuffix(".")
    labels = plain.split(".")
    if not all(0 < len(one) <= 63 for one in labels):
        return None
    # 0x7f.1 and 2130706433 are addresses too; which, readers disagree about.
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        try:
            return str(ip_address(plain))
        except ValueError:
            return None
    return plain
