"""Where what is remembered between runs is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256

DEFINITIONS = "definitions.json"
AUDIT = "audit.jsonl"


def state_folder(
    main_socket: str, configured: str | None, environ: Mapping[str, str]
) -> str:
    """
    The folder of a Modelplex, by its main socket; as for the control socket, the same
    one is found by whoever names the same main socket.
    """
    if configured is not None:
        return os.path.abspath(configured)
    name = sha256(os.fsencode(os.path.realpath(main_socket))).hexdigest()[:8]
    return os.path.join(_states(environ), "modelplex", name)


def audit_file(folder: str, configured: str | None) -> str:
    """The audit log of the Modelplex whose state is in `folder`."""
    if configured is not None:
        return os.path.abspath(configured)
    return os.path.join(folder, AUDIT)


def _states(environ: Mapping[str, str]) -> str:
    given = environ.get("XDG_STATE_HOME")
    if given and os.path.isabs(given):
        return given
    if os.geteuid() == 0:
        return "/var/lib"
    home = environ.get("HOME") or os.path.expanduser("~")
    return os.path.join(home, ".local", "state")
