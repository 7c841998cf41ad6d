"""
Becomes a tool server: ``python -I -S launch.py [setting=value …] -- command …``.

It is a program of its own, of the standard library alone, because what it does must
happen between fork and exec, where Twisted has no room for it: a session of its own,
so that the server and all that it starts can be signalled together; the death of our
parent as our own; limits; no way to gain privileges. Then it is the command.

Settings: ``parent`` (the process id that must be our parent), ``cwd``, ``locale``
(the value of LC_CTYPE, which this interpreter may have set itself), and the limits
``data``, ``cpu``, ``files`` and ``processes``.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
CANNOT_RUN = 127  # the exit code of shells for it

LIMITS = {
    "data": resource.RLIMIT_DATA,
    "cpu": resource.RLIMIT_CPU,
    "files": resource.RLIMIT_NOFILE,
    "processes": resource.RLIMIT_NPROC,
}


def main(args: list[str]) -> None:
    """Never returns, unless by an error that is told on standard error."""
    end = args.index("--")
    settings = dict(one.split("=", 1) for one in args[:end])
    command = args[end + 1 :]
    os.setsid()
    _die_with(int(settings["parent"]))
    _limit(settings)
    # Python ignores these, and what is ignored stays so across exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.environ.pop("LC_CTYPE", None)
    if "locale" in settings:
        os.environ["LC_CTYPE"] = settings["locale"]
    needed = settings.get("cwd", ".")
    try:
        os.chdir(needed)
        needed = command[0]
        os.execvp(needed, command)
    except OSError as e:
        sys.stderr.write(f"cannot run {needed}: {e.strerror}\n")
        sys.exit(CANNOT_RUN)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        if prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "PR_SET_PDEATHSIG")
        if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
    # It may have died before we asked to be told.
    if os.getppid() != parent:
        os._exit(1)


def _limit(settings: dict[str, str]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, limit in LIMITS.items():
        if name in settings:
            wanted, (_, hard) = int(settings[name]), resource.getrlimit(limit)
            if hard != resource.RLIM_INFINITY:
                wanted = min(wanted, hard)
            resource.setrlimit(limit, (wanted, wanted))


if __name__ == "__main__":
    main(sys.argv[1:])
