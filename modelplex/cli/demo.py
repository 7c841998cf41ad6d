"""
``modelplex demo``: what it does, shown, with no key and no network.

A modelplex serves the embedded provider on a socket in a directory of its own. An
agent, which is another process with nothing but that socket, talks to it with the
official ``openai`` package. What the agent prints and what the host logs is shown.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import sys
import tempfile
from collections.abc import Mapping
from typing import Any, TextIO

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from modelplex.config import parse
from modelplex.observability import logging

SCENE_ENDS = b"\0"  # what the agent writes after each scene

CONFIG = """
[server]
socket = "{socket}"
control = "{control}"

# This provider is down: nothing listens at its address.
[[providers]]
name = "broken"
type = "openai"
base_url = "http+unix://{nowhere}/v1"
models = ["reliable"]
priority = 1

# This one is embedded, and steps in.
[[providers]]
name = "demo"
type = "demo"
models = ["demo", "reliable"]
priority = 2
demo = {{ delay = 0.06 }}

# A tool server, which runs on the host.
[mcp]
state = "{state}"
[[mcp.servers]]
name = "notes"
command = "{python}"
args = ["-m", "modelplex.cli.demo_tools"]
tools = {{ deny = ["delete_*"] }}
"""

_ABOUT = """\
modelplex demo: no key, no network.

  agent (a process of its own)  ── {socket} ──  modelplex  ──  providers
  It holds no key. The socket is all it has.     holds the keys, decides, logs

The configuration:
{config}"""


def run(args: argparse.Namespace, environ: Mapping[str, str], stdout: TextIO) -> int:
    """Show the demo; 1 if the agent failed."""
    if importlib.util.find_spec("openai") is None:
        print(
            "modelplex: the demo's agent needs the openai package: pip install openai",
            file=sys.stderr,
        )
        return 1
    with tempfile.TemporaryDirectory(prefix="mpx-") as directory:
        return _shown(directory, stdout)


def _shown(directory: str, stdout: TextIO) -> int:
    from twisted.internet import reactor
    from twisted.internet.task import react

    from modelplex.service import ModelplexService

    guest = os.path.join(directory, "a")  # short: a socket has 107 bytes of path
    os.mkdir(guest, 0o700)
    socket = os.path.join(guest, "modelplex.socket")
    text = CONFIG.format(
        socket=socket,
        control=os.path.join(directory, "control.socket"),
        state=os.path.join(directory, "state"),
        python=sys.executable,
        nowhere=os.path.join(directory, "nothing.sock").replace("/", "%2F"),
    )
    shown = "".join(f"  {line}\n" for line in text.strip().splitlines())
    print(_ABOUT.format(socket=socket, config=shown), file=stdout, flush=True)
    log = io.StringIO()
    logging.start(log, "text", "debug")
    service = ModelplexService(parse(text, {}), reactor, {}, verbose=True)
    agent = Agent(stdout, log)

    async def session(reactor: Any) -> None:
        service.startService()
        agent.forget_log()
        reactor.spawnProcess(
            agent,
            sys.executable,
            [sys.executable, "-m", "modelplex.cli.demo_agent", socket],
            env={"PYTHONUNBUFFERED": "1"},
            path=None,
        )
        await agent.ended
        await service.stopService()

    try:
        react(lambda reactor: Deferred.fromCoroutine(session(reactor)))
    except SystemExit as e:
        if e.code:
            print(log.getvalue(), file=sys.stderr)
            return 1
    return agent.code


@define(eq=False)
class Agent(ProcessProtocol):
    """Shows what the agent prints and, after each scene, what the host logged."""

    _out: TextIO
    _log: io.StringIO
    code: int = 1
    ended: Deferred[None] = field(factory=Deferred)

    def outReceived(self, data: bytes) -> None:
        *scenes, rest = data.split(SCENE_ENDS)
        for text in scenes:
            self._show(text)
            for line in self._log.getvalue().splitlines():
                self._out.write(f"  host log │ {line}\n")
            self.forget_log()
            assert self.transport is not None
            self.transport.write(b"\n")
        self._show(rest)

    def errReceived(self, data: bytes) -> None:
        self._show(data)

    def forget_log(self) -> None:
        """Start the next scene's log."""
        self._log.seek(0)
        self._log.truncate()

    def processEnded(self, reason: Failure) -> None:
        self.code = 0 if reason.check(ProcessDone) else 1
        self.ended.callback(None)

    def _show(self, text: bytes) -> None:
        self._out.write(text.decode("utf-8", "replace"))
        self._out.flush()
