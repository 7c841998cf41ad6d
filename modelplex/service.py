"""The service that twistd, tap, tac and the command all run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from time import time
from typing import Any

from attrs import define
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from modelplex import __version__
from modelplex.config import Config, Guest
from modelplex.control.path import control_path, make_directory
from modelplex.control.root import ControlRoot
from modelplex.control.standing import targets
from modelplex.control.tools import NoTools
from modelplex.errors import ConfigError, StartError, StorageError
from modelplex.graph import Door, Graph, build
from modelplex.sockets import Listening, listen
from modelplex.surface.paths import route
from modelplex.surface.root import render_error
from modelplex.surface.site import GuestSite, Limits
from modelplex.toolgraph import kept_by_tools


@define(eq=False)
class _Served:
    """One guest's socket while it is open."""

    guest: Guest
    path: str
    site: GuestSite
    listening: Listening


@define(eq=False, init=False, repr=False)
class ModelplexService(Service):
    """
    Serves a configuration on its sockets.

    `stopService` takes no new exchange, lets running ones finish for up to ``drain``
    seconds, then cuts them; `cut` does so at once.
    """

    log = Logger()

    def __init__(
        self,
        config: Config,
        reactor: Any,
        environ: Mapping[str, str],
        *,
        verbose: bool = False,
        while_draining: Callable[[Callable[[], None]], Callable[[], None]]
        | None = None,
    ) -> None:
        """
        :param while_draining: is given `cut` when draining starts, and gives a
            function that is called when it has ended; for a second signal.
        """
        self._config = config
        self._reactor = reactor
        self._environ = environ
        self._verbose = verbose
        self._while_draining = while_draining
        self._graph: Graph | None = None
        self._served: list[_Served] = []
        self._control: Listening | None = None
        self._draining: Deferred[Any] | None = None
        self._started = time()

    def startService(self) -> None:
        """
        Open every socket.

        :raises StartError: one cannot be opened; none is open then.
        """
        super().startService()
        for warning in self._config.warnings:
            self.log.warn("{warning}", warning=warning)
        for path, what in kept_by_tools(self._config, self._environ):
            self._check_apart(path, what)
        try:
            graph = self._graph = build(
                self._config, self._reactor, self._verbose, self._environ
            )
        except (StorageError, ConfigError) as e:
            raise StartError(str(e)) from None
        try:
            for door in graph.doors:
                self._serve(door)
            self._serve_control()
        except StartError:
            self._close_all()
            self._graph = None
            Deferred.fromCoroutine(graph.close())  # nothing runs yet: it is done
            raise

    async def stopService(self) -> None:
        """Drain, then cut, then close; returns when nothing is left."""
        super().stopService()
        closed = self._close_all()
        for served in self._served:
            served.site.stop_keepalive()
        # Only now: a connection that is asked to close is busy until it has said so.
        busy = [served.site.when_idle() for served in self._served]
        running = sum(served.site.connections for served in self._served)
        if running:
            self.log.info("Waiting for {running} connections", running=running)
        ended = self._while_draining(self.cut) if self._while_draining else None
        # Cancelled, by the timeout or by `cut`, it still fires: all of its parts fail.
        self._draining = DeferredList(busy, consumeErrors=True)
        self._draining.addTimeout(self._config.server.drain, self._reactor)
        try:
            await self._draining
        finally:
            self._draining = None
            if ended is not None:
                ended()
        for served in self._served:
            served.site.abort_all()
        await DeferredList(closed, consumeErrors=True)
        self._served = []
        if self._graph is not None:
            await self._graph.close()
            self._graph = None

    def cut(self) -> None:
        """Stop draining: whatever still runs is cut now."""
        if self._draining is not None:
            self._draining.cancel()

    # --- what the operator sees

    def status(self) -> dict[str, Any]:
        """The answer to ``modelplex status``."""
        return {
            "service": "modelplex",
            "version": __version__,
            "pid": os.getpid(),
            "uptime_seconds": round(time() - self._started),
            "draining": self._draining is not None,
            "guests": [
                {
                    "name": served.guest.name,
                    "socket": served.path,
                    "connections": served.site.connections,
                    "models": list(served.guest.models),
                    "allow": list(served.guest.allow),
                }
                for served in self._served
            ],
            "providers": [
                {"name": one.name, "type": one.type, "priority": one.priority}
                for one in self._config.providers
            ],
            "disabled": [
                {"name": one.name, "reason": one.reason}
                for one in self._config.disabled
            ],
            "warnings": list(self._config.warnings),
        }

    def models(self) -> list[dict[str, Any]]:
        """The answer to ``modelplex models``."""
        if self._graph is None:
            return []
        now = self._reactor.seconds()
        return targets(self._graph.table, self._graph.health, now)

    # --- sockets

    def _serve(self, door: Door) -> None:
        server, guest = self._config.server, door.guest
        path = guest.socket or server.socket
        site = GuestSite(
            door.root,
            limits=Limits(
                max_request_size=server.max_request_size,
                header_timeout=server.header_timeout,
                body_timeout=server.body_timeout,
                stall_timeout=server.stall_timeout,
                max_connections=server.max_connections,
            ),
            reactor=self._reactor,
            render_error=render_error,
            route=route,
            lines=door.lines,
        )
        listening = listen(
            self._reactor,
            path,
            site,
            mode=server.mode if guest.mode is None else guest.mode,
            group=guest.group or server.group,
        )
        self._served.append(_Served(guest, listening.path, site, listening))
        self.log.info("Guest {guest} is served on {path}", guest=guest.name, path=path)

    def _serve_control(self) -> None:
        server = self._config.server
        path = control_path(server.socket, server.control, self._environ)
        self._check_apart(path, "the control socket")
        if server.control is None:
            make_directory(path)
        assert self._graph is not None
        tools = self._graph.tools or NoTools()
        root = ControlRoot(self.status, self.models, tools).resource()
        site = GuestSite(
            root, limits=Limits(), reactor=self._reactor, render_error=render_error
        )
        self._control = listen(self._reactor, path, site, mode=0o600)
        self._control_site = site

    def _check_apart(self, path: str, what: str) -> None:
        """
        Refuse `path` in a directory that a guest gets.

        :raises StartError: it is in or below one.
        """
        real = os.path.realpath(path)
        main = self._config.server.socket
        for guest in self._config.guests:
            mounted = os.path.dirname(os.path.realpath(guest.socket or main))
            if os.path.commonpath([mounted, real]) == mounted:
                raise StartError(
                    f"{path}: {what} is below {mounted}, which holds a guest's "
                    "socket, and guests get directories mounted; configure another "
                    "place for it, or put the guest's socket elsewhere"
                )

    def _close_all(self) -> list[Deferred[None]]:
        """Accept nobody any more, on any socket."""
        control, self._control = self._control, None
        open_ = [served.listening for served in self._served]
        if control is not None:
            open_.append(control)
        return [listening.stop() for listening in open_]
