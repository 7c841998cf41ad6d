"""Listening on a UNIX path that nobody else is served on, and leaving it clean."""

from __future__ import annotations

import errno
import grp
import os
import socket
import stat
from contextlib import suppress
from typing import Any

from attrs import define, field
from twisted.internet import tcp, unix
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.python.failure import Failure

from modelplex.errors import StartError
from modelplex.pathlock import PathLock, identity_of

#: ``sun_path`` holds 108 bytes, one of them the final NUL (unix(7)).
MAX_PATH = 107


def listen(
    reactor: Any,
    path: str,
    factory: IProtocolFactory,
    *,
    mode: int = 0o600,
    group: str | None = None,
    backlog: int = 512,
) -> Listening:
    """
    Serve `factory` at `path`, where nothing or only a stale socket may be.

    A socket accepts nobody before ``listen(2)``. So it is bound, given its group and
    mode, and only then listens: it can never be reached with wider rights than
    `mode`, whatever the umask. It is bound at its final name, which is what ``ss`` and
    the peers are shown.

    :param reactor: a reactor with `IReactorFDSet` and `IReactorTime`.
    :param group: the name of the group that owns the socket file.
    :raises StartError: it cannot be served there, and why in one line. Nothing is
        left behind then.
    """
    _check_path(path)
    # The path is bound as given, since a relative one may be short enough where its
    # absolute form is not; it is watched over by the absolute one, since a daemon
    # changes its directory.
    place = os.path.abspath(path)
    _check_directory(os.path.dirname(place))
    gid = None if group is None else _group_id(group)
    lock = PathLock.taken(place)
    try:
        _clear(path)
        listening, identity = _bound(path, mode, gid, backlog)
    except BaseException:
        lock.release()
        raise
    port = _Port(os.fsencode(path), listening, factory, reactor)
    port.startListening()
    return Listening(place, port, identity, lock)


@define(eq=False)
class Listening:
    """A path at which a factory is served until `stop`."""

    path: str
    _port: _Port
    _identity: tuple[int, int]
    _lock: PathLock
    _stopping: bool = field(init=False, default=False)
    _closed: bool = field(init=False, default=False)
    _waiting: list[Deferred[None]] = field(init=False, factory=list)

    def stop(self) -> Deferred[None]:
        """
        Accept no more; fires when the port is closed. Open connections live on.

        The path is removed only if it still leads to our socket. Stopping again only
        waits for that.
        """
        stopped: Deferred[None] = Deferred()
        self._waiting.append(stopped)
        if not self._stopping:
            self._stopping = True
            # While the lock still keeps others away.
            _remove(self.path, self._identity)
            maybeDeferred(self._port.stopListening).addBoth(self._released)
        elif self._closed:
            self._released(None)
        return stopped

    def _released(self, result: object) -> None:
        if not self._closed:
            self._closed = True
            self._lock.release()
        waiting, self._waiting = self._waiting, []
        for stopped in waiting:
            if isinstance(result, Failure):
                stopped.errback(result)
            else:
                stopped.callback(None)


class _Socket(socket.socket):
    """A listening socket whose clients have no names."""

    def accept(self) -> tuple[socket.socket, str]:
        """A client, and no name: it would be of the client's choosing."""
        # Twisted logs the name, and takes one of four characters for an IPv6
        # address, which fails.
        client, _ = super().accept()
        return client, ""


class _Port(unix.Port):
    """
    A port around a socket that listens already and whose path is not its business.

    Twisted's own changes the path's mode to 0666 when it starts, and unlinks the path
    when it stops, whoever it leads to by then.
    """

    # Another process may share the socket: it is closed, never shut down.
    _shouldShutdown = False

    def __init__(
        self,
        path: bytes,
        listening: socket.socket,
        factory: IProtocolFactory,
        reactor: Any,
    ) -> None:
        super().__init__(path, factory, reactor=reactor)
        self._listening = listening

    def startListening(self) -> None:
        """Accept from the socket."""
        tcp._reservedFD.reserve()  # so that running out of descriptors can be survived
        self.factory.doStart()  # type: ignore[union-attr]
        self.socket = self._listening
        self.fileno = self.socket.fileno  # type: ignore[method-assign]
        self.connected = True
        self.numberAccepts = 100
        self.startReading()

    def connectionLost(self, reason: Failure) -> None:
        """Close the socket, and no more."""
        tcp.Port.connectionLost(self, reason)


def _check_path(path: str) -> None:
    size = len(os.fsencode(path))
    if not path or "\0" in path:
        raise StartError(f"{path!r} cannot be the path of a socket")
    if size > MAX_PATH:
        raise StartError(
            f"socket path is {size} bytes long, {MAX_PATH} are allowed: {path}"
        )


def _check_directory(directory: str) -> None:
    try:
        found = os.stat(directory)
    except FileNotFoundError:
        raise StartError(
            f"the socket's directory does not exist: {directory}"
        ) from None
    except OSError as e:
        raise StartError(f"cannot use directory {directory}: {e.strerror}") from None
    if not stat.S_ISDIR(found.st_mode):
        raise StartError(f"not a directory: {directory}")
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise StartError(
            f"anyone can replace the socket: {directory} is world-writable and has no"
            " sticky bit"
        )


def _group_id(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise StartError(f"there is no group named {group!r}") from None


def _clear(path: str) -> None:
    """Remove a stale socket of ours from `path`; refuse anything else."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as e:
        raise StartError(f"cannot use {path}: {e.strerror}") from None
    if stat.S_ISDIR(found.st_mode):
        raise StartError(
            f"{path} is a directory, not a socket: a container that mounted it before"
            " it existed may have made it; remove it"
        )
    if stat.S_ISLNK(found.st_mode):
        raise StartError(f"{path} is a symbolic link, not a socket; remove it")
    if not stat.S_ISSOCK(found.st_mode):
        raise StartError(f"{path} is a file, not a socket; remove it")
    if found.st_uid != os.geteuid():
        raise StartError(f"{path} is a socket of another user")
    if _is_live(path):
        raise StartError(f"{path} is already served by another program")
    _remove(path, (found.st_dev, found.st_ino))


def _is_live(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except BlockingIOError:  # its backlog is full
            return True
        except OSError as e:
            raise StartError(f"cannot tell who serves {path}: {e.strerror}") from None
    return True


def _bound(
    path: str, mode: int, gid: int | None, backlog: int
) -> tuple[socket.socket, tuple[int, int]]:
    """A socket that listens at `path`, and the identity of its file."""
    listening = _Socket(socket.AF_UNIX, socket.SOCK_STREAM)
    identity: tuple[int, int] | None = None
    try:
        listening.setblocking(False)
        listening.bind(path)
        identity = identity_of(path)
        if identity is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if gid is not None:
            os.chown(path, -1, gid, follow_symlinks=False)
        os.chmod(path, mode)
        listening.listen(backlog)
    except BaseException as e:
        listening.close()
        if identity is not None:
            _remove(path, identity)
        if isinstance(e, OSError):
            raise StartError(f"cannot listen on {path}: {e.strerror}") from None
        raise
    return listening, identity


def _remove(path: str, identity: tuple[int, int]) -> None:
    """Unlink `path` if it still leads to what has this identity."""
    if identity_of(path) == identity:
        with suppress(OSError):
            os.unlink(path)
