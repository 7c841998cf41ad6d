"""The fake upstream: answers like OpenAI, Anthropic or Ollama, at almost no cost.

Run as ``python -m benchmarks.upstream SOCKET``; it listens on that Unix socket and on
a free loopback port, which it prints once both are open.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator

from benchmarks import knobs
from benchmarks.http1 import MessageReader
from benchmarks.replies import reply, stream

_STREAM = re.compile(rb'"stream"\s*:\s*(true|false)')
_USAGE = re.compile(rb'"include_usage"\s*:\s*true')
_USUAL_CHUNKS = 20
_BACKLOG = 4096


class Upstream(asyncio.Protocol):
    """One connection of the fake upstream."""

    def __init__(self) -> None:
        self._reader = MessageReader(is_response=False)
        self._writes: Iterator[bytes] = iter(())
        self._interval = 0.0  # seconds
        self._full = False
        self._waiting = False  # for the transport to take more
        self._gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._loop = asyncio.get_running_loop()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if self._waiting:
            self._waiting = False
            self._next()

    def data_received(self, data: bytes) -> None:
        if not self._reader.feed(data):
            return
        asked, self._reader = self._reader, MessageReader(is_response=False)
        path = asked.start.split(b" ")[1].partition(b"?")[0].decode()
        body = asked.body()
        wanted = _STREAM.search(body)
        streamed = path.endswith("/api/chat")  # Ollama streams unless told otherwise
        if wanted is not None:
            streamed = wanted.group(1) == b"true"
        if not streamed:
            self._transport.write(reply(path))
            return
        wish = knobs.read(body)
        usage = _USAGE.search(body) is not None
        self._interval = wish.interval / 1000
        self._writes = iter(stream(path, wish.chunks or _USUAL_CHUNKS, usage))
        self._transport.write(next(self._writes))  # its first token comes at once
        self._next()

    def _next(self) -> None:
        """Send one chunk, in a write of its own, as a model sends a token."""
        if self._gone:
            return
        if self._full:
            self._waiting = True
            return
        chunk = next(self._writes, None)
        if chunk is None:
            return
        self._transport.write(chunk)
        if self._interval:
            self._loop.call_later(self._interval, self._next)
        else:
            self._loop.call_soon(self._next)


async def serve(path: str) -> None:
    """Serve until cancelled."""
    loop = asyncio.get_running_loop()
    await loop.create_unix_server(Upstream, path, backlog=_BACKLOG)
    tcp = await loop.create_server(Upstream, "127.0.0.1", 0, backlog=_BACKLOG)
    print(tcp.sockets[0].getsockname()[1], flush=True)
    await tcp.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
