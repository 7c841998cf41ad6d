"""What is known about a child before it runs: how it is started, and its bounds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from modelplex.secret import Secret
from modelplex.wire.mcp.lines import LIMIT

Protocol: TypeAlias = Literal["auto", "legacy", "modern"]

#: What a child inherits of our own environment (MCP, stdio); never a key.
INHERITED = ("HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER")


@frozen
class RestartSettings:
    """
    When a server that ended is started again.

    :ivar first: seconds to wait after the first end; doubled for each further one.
    :ivar most: seconds that are never exceeded.
    :ivar times: ends in a row after which it is given up.
    :ivar stable: seconds of running that make the next end the first one again.
    """

    first: float = 0.5
    most: float = 30.0
    times: int = 5
    stable: float = 60.0


@frozen
class ProcessLimits:
    """
    What one process of a server may use; ``None`` for what the host allows.

    :ivar memory: bytes of data; what is only reserved does not count, because
        JavaScript engines reserve far more than they use.
    :ivar cpu: seconds, over its whole life.
    :ivar files: open ones.
    :ivar processes: of the whole user that Modelplex runs as.
    """

    memory: int | None = None
    cpu: int | None = None
    files: int | None = None
    processes: int | None = None


@frozen
class ChildSettings:
    """
    A tool server that runs as a child of ours.

    :ivar command: the program, looked up in the child's own ``PATH``, and its
        arguments.
    :ivar env: what it gets beside `INHERITED`.
    :ivar wrapper: what `command` is appended to, such as a sandbox.
    :ivar protocol: the era; ``auto`` finds out.
    :ivar interactive: one call at a time, so that what the server asks for meanwhile
        belongs to that call; others are made while that is not answered.
    :ivar guest_roots: the guest's client is asked for roots when there are no `roots`.
    :ivar roots: folders that it is told of when it asks.
    :ivar timeout: seconds without an answer or progress.
    :ivar timeout_cap: seconds for one call, whatever its progress.
    :ivar start_timeout: seconds until it must be ready.
    :ivar probe_timeout: seconds after which an unanswered ``server/discover`` means
        that it is a server of the legacy era.
    :ivar grace: seconds between closing its input, SIGTERM and SIGKILL.
    :ivar concurrency: calls at a time.
    :ivar queue: calls that may wait for their turn.
    :ivar line_limit: bytes in one message of it.
    :ivar secrets: texts that are masked in what it prints, beside those of `env`.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str | Secret] = field(factory=dict)
    cwd: str | None = None
    wrapper: tuple[str, ...] = ()
    protocol: Protocol = "auto"
    interactive: bool = False
    guest_roots: bool = False
    roots: tuple[str, ...] = ()
    timeout: float = 60.0
    timeout_cap: float = 600.0
    start_timeout: float = 30.0
    probe_timeout: float = 5.0
    grace: float = 2.0
    concurrency: int = 16
    queue: int = 256
    line_limit: int = LIMIT
    restarts: RestartSettings = RestartSettings()
    limits: ProcessLimits = ProcessLimits()
    secrets: tuple[Secret, ...] = ()

    def environment(self, host: Mapping[str, str]) -> dict[str, str]:
        """
        All that the child finds in its environment.

        :param host: our own, of which only `INHERITED` is taken; values that are
            functions of a shell are left out.
        """
        taken = {name: host[name] for name in INHERITED if name in host}
        env = {name: value for name, value in taken.items() if value[:2] != "()"}
        for name, given in self.env.items():
            env[name] = given.reveal() if isinstance(given, Secret) else given
        return env

    def masked(self) -> tuple[str, ...]:
        """What must not be shown of what it prints, the longest first."""
        given = (*self.env.values(), *self.secrets)
        texts = {one.reveal() for one in given if isinstance(one, Secret)}
        return tuple(sorted(filter(None, texts), key=lambda text: (-len(text), text)))

    def told_roots(self) -> tuple[Mapping[str, Any], ...]:
        """`roots` as the protocol tells them."""
        paths = [Path(root) for root in self.roots]
        return tuple({"uri": path.as_uri(), "name": path.name} for path in paths)
