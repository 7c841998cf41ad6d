"""
Runs a command in a network namespace of its own, with one UNIX socket as its way out.

``guest.py SOCKET PORT TRAFFIC COMMAND…`` brings up loopback, pipes each connection to
PORT there to SOCKET, keeps what went by in the file TRAFFIC, and ends as COMMAND does.
Only the standard library is used: it is what a guest can be expected to have.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from threading import Thread
from typing import BinaryIO

_GET_FLAGS, _SET_FLAGS = 0x8913, 0x8914  # SIOCGIFFLAGS, SIOCSIFFLAGS: linux/sockios.h
_UP = 1  # IFF_UP: linux/if.h
_FLAGS = "16sH14x"  # the name and the flags in struct ifreq


def bring_up_loopback() -> None:
    """A new namespace has it, but down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        asked = struct.pack(_FLAGS, b"lo", 0)
        _, flags = struct.unpack(_FLAGS, fcntl.ioctl(control, _GET_FLAGS, asked))
        fcntl.ioctl(control, _SET_FLAGS, struct.pack(_FLAGS, b"lo", flags | _UP))


def pipe(source: socket.socket, sink: socket.socket, kept: BinaryIO) -> None:
    """Every byte, and then the end."""
    with suppress(OSError):  # one side has gone
        while piece := source.recv(65536):
            kept.write(piece)
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def forward(listening: socket.socket, path: str, kept: BinaryIO) -> None:
    """Serve until the process ends."""
    while True:
        near, _ = listening.accept()
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far = socket.socket(socket.AF_UNIX)
        far.connect(path)
        for ends in ((near, far), (far, near)):
            Thread(target=pipe, args=(*ends, kept), daemon=True).start()


def main(path: str, port: str, traffic: str, *command: str) -> int:
    """The exit status of `command`."""
    bring_up_loopback()
    listening = socket.create_server(("127.0.0.1", int(port)))
    with open(traffic, "wb", buffering=0) as kept:
        Thread(target=forward, args=(listening, path, kept), daemon=True).start()
        return subprocess.call(command)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
