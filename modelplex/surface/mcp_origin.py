"""
Whether a request comes from a program, or from a web page that was led here: pure.

No page can open a UNIX socket, but people put a TCP port before one, and then a page
under a foreign name can reach it (DNS rebinding).
"""

from __future__ import annotations

import re

_LOOPBACK = r"127(?:\.[0-9]{1,3}){3}|\[(?:::1|::ffff:127(?:\.[0-9]{1,3}){3})\]"
_PORT = r"(?::[0-9]{1,5})?"
# A name without a dot is nobody's on the internet; clients put any before the path of
# a request over a UNIX socket. Some put the escaped path of the socket.
_HOST = re.compile(
    rf"(?:{_LOOPBACK}|[a-z0-9_-]{{1,63}}|(?:[a-z0-9-]{{1,63}}\.)+localhost|"
    rf"%2f[a-z0-9._~%-]*)?{_PORT}",
    re.IGNORECASE,
)
_ORIGIN = re.compile(
    rf"https?://(?:{_LOOPBACK}|localhost|modelplex){_PORT}", re.IGNORECASE
)


def is_near_host(host: str) -> bool:
    """Whether a ``Host`` can be one that somebody on this machine wrote."""
    return _HOST.fullmatch(host) is not None


def is_near_origin(origin: str) -> bool:
    """Whether an ``Origin`` is of this machine."""
    return _ORIGIN.fullmatch(origin) is not None
