"""Asks a running Modelplex over its control socket, from a command."""

from __future__ import annotations

import socket
from http.client import HTTPConnection, HTTPException
from typing import Any

import msgspec

SECONDS = 10.0
LONGEST = 64 * 2**20  # bytes of an answer


class ControlError(Exception):
    """No answer; the message is one line that says why and what to do."""


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("modelplex", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self._path)


class NotThere(ControlError):
    """What the route names does not exist, or not any more."""


def ask(path: str, route: str, main_socket: str, body: Any = None) -> Any:
    """
    The JSON at `route` of the control socket at `path`.

    :param main_socket: what the operator named, for the error.
    :param body: JSON to be posted there; ``None`` only looks.
    :raises NotThere: the route is answered 404.
    :raises ControlError: nobody answers, or not as expected.
    """
    connection = _UnixConnection(path)
    try:
        if body is None:
            connection.request("GET", route)
        else:
            connection.request("POST", route, msgspec.json.encode(body))
        response = connection.getresponse()
        answer = response.read(LONGEST)
    except (FileNotFoundError, ConnectionRefusedError):
        raise ControlError(
            f"no modelplex serves {main_socket}; start one, or name its socket with -s"
        ) from None
    except PermissionError:
        raise ControlError(
            f"{path}: belongs to another user; ask as the one who runs modelplex"
        ) from None
    except (OSError, HTTPException) as e:
        raise ControlError(f"{path}: no answer: {e}") from None
    finally:
        connection.close()
    if response.status == 404:
        raise NotThere(f"{path}: there is no {route}")
    if response.status != 200:
        raise ControlError(f"{path}: answered {response.status} to {route}")
    return msgspec.json.decode(answer)
