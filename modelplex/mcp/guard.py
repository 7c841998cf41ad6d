"""
Ends what a Modelplex that was killed has left behind: ``python -I -S guard.py``.

A server dies with Modelplex (see `modelplex.mcp.launch`), but what it started does
not. So this one process is told on its standard input which process groups there are,
as lines ``+123`` and ``-123``; when that input ends, nobody is left to end them, and
it does. It needs the standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def main() -> None:
    """Until the input ends."""
    groups: set[int] = set()
    for line in sys.stdin.buffer:
        group = int(line[1:])
        if line[:1] == b"+":
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    os.setsid()  # what ends Modelplex must not end this with it
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    main()
