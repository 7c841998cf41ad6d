"""Where the control socket of a running Modelplex is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from stat import S_ISVTX

from modelplex.errors import StartError


def control_path(
    main_socket: str, configured: str | None, environ: Mapping[str, str]
) -> str:
    """
    The control socket that belongs to a main socket.

    It is never in the main socket's directory, because guests get directories
    mounted. The same path is found by whoever names the same main socket.
    """
    if configured is not None:
        return os.path.abspath(configured)
    name = sha256(os.fsencode(os.path.realpath(main_socket))).hexdigest()[:8]
    return os.path.join(_runtime(environ), "modelplex", name, "control.socket")


def _runtime(environ: Mapping[str, str]) -> str:
    """A directory that only we can write to, and that a reboot empties."""
    given = environ.get("XDG_RUNTIME_DIR")
    if given:
        return given
    uid = os.geteuid()
    if uid == 0:
        return "/run"
    session = f"/run/user/{uid}"
    return session if os.path.isdir(session) else f"/tmp/modelplex-{uid}"


def make_directory(path: str) -> None:
    """
    Make the directory of a control socket, for us alone.

    :raises StartError: it is there and others may write to it, or it cannot be made.
    """
    directory = os.path.dirname(path)
    try:
        for one in _last_three(directory):
            os.makedirs(one, mode=0o700, exist_ok=True)
        found = [os.lstat(one) for one in _last_three(directory)]
    except OSError as e:
        raise StartError(
            f"{directory}: cannot be made for the control socket: {e.strerror}; "
            "set [server] control"
        ) from None
    us = os.geteuid()
    # Who may write to a directory above could put another in the place of ours.
    above = all(
        one.st_uid in (us, 0) and (not one.st_mode & 0o022 or one.st_mode & S_ISVTX)
        for one in found[:-1]
    )
    if not above or found[-1].st_uid != us or found[-1].st_mode & 0o022:
        raise StartError(
            f"{directory}: others may write to it, so the control socket cannot be "
            "there; set [server] control"
        )


def _last_three(directory: str) -> list[str]:
    """The directory, and before it the two above that `control_path` names."""
    parent = os.path.dirname(directory)
    return [os.path.dirname(parent), parent, directory]
