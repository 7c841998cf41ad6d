"""The load generator: closed loops of requests, and many streams held open."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Protocol

from attrs import define, field

from benchmarks.client import Address, Connection, Reply
from benchmarks.replies import numbers

_GRACE = 30.0  # seconds for what is under way when the time is up
_SETTLE = 0.02  # seconds for a server to finish what it does after an answer


class Meter(Protocol):
    """Told when a window begins and ends; connecting and hanging up lie outside."""

    def begin(self) -> None:
        """Nothing has been sent yet."""

    def end(self) -> None:
        """Everything has been answered."""


@define(eq=False)
class Tally:
    """What came of the requests of one window."""

    good: int = 0
    bad: int = 0  # another status, or cut off
    disordered: int = 0  # streams with a chunk missing, doubled or out of order
    chunks: int = 0
    seconds: float = 0.0  # from the first byte sent to the last one received
    most_open: int = 0  # streams answering at the same time
    totals: list[float] = field(factory=list)  # seconds, of good answers
    firsts: list[float] = field(factory=list)  # seconds to the first body byte
    trouble: str = ""  # the first thing that went wrong

    def count(self, reply: Reply, chunks: int) -> None:
        """Add an answer that should be 200 and, if a stream, have so many chunks."""
        if reply.status != 200:
            self.fail(f"{reply.status} {reply.body[:200]!r}")
            return
        if chunks:
            seen = numbers(reply.body)
            if seen != list(range(chunks)):
                self.disordered += 1
                self.fail(f"chunks {seen[:5]}…, {len(seen)} of {chunks}")
                return
            self.chunks += chunks
        self.good += 1
        self.totals.append(reply.total)
        self.firsts.append(reply.first)

    def fail(self, why: str) -> None:
        """Add an answer that was none."""
        self.bad += 1
        self.trouble = self.trouble or why


async def closed_loop(
    address: Address,
    payload: bytes,
    meter: Meter,
    *,
    concurrency: int,
    seconds: float,
    requests: int = 0,
    chunks: int = 0,
) -> Tally:
    """
    Keep `concurrency` requests under way for so long, or until `requests` are sent.

    Whatever was begun is finished, so all work falls into the window. An answer that
    does not come within 30 seconds of the end counts as bad.
    """
    tally = Tally()
    connections = [await address.connect() for _ in range(concurrency)]
    left = requests or sys.maxsize
    await asyncio.sleep(_SETTLE)
    meter.begin()
    begun = time.perf_counter()

    async def work(connection: Connection) -> None:
        nonlocal left
        while left > 0 and time.perf_counter() - begun < seconds:
            left -= 1
            try:
                if not connection.open:
                    connection = await address.connect()
                    connections.append(connection)
                tally.count(await connection.ask(payload), chunks)
            except OSError as e:
                tally.fail(repr(e))
                await asyncio.sleep(0.01)

    workers = [asyncio.ensure_future(work(c)) for c in connections]
    try:
        _, late = await asyncio.wait(workers, timeout=seconds + _GRACE)
        tally.seconds = time.perf_counter() - begun
        await asyncio.sleep(_SETTLE)
        meter.end()
    finally:
        for worker in workers:
            worker.cancel()
        for connection in connections:
            connection.close()
    for _ in late:
        tally.fail("no answer in time")
    return tally


async def hold(
    address: Address,
    payload: bytes,
    *,
    streams: int,
    ramp: float,
    lasting: float,
    chunks: int,
    watch: Callable[[], None],
) -> Tally:
    """
    Open slow streams over `ramp` seconds and keep each until its end.

    :param lasting: seconds one stream takes.
    :param watch: called four times a second while streams are open.
    """
    tally = Tally()
    connections: list[Connection] = []
    begun = time.perf_counter()

    async def one(number: int) -> None:
        await asyncio.sleep(number * ramp / streams)
        try:
            connection = await address.connect()
            connections.append(connection)
            tally.count(await connection.ask(payload), chunks)
        except OSError as e:
            tally.fail(repr(e))

    pending = {asyncio.ensure_future(one(i)) for i in range(streams)}
    give_up = begun + ramp + lasting + _GRACE
    try:
        while pending and time.perf_counter() < give_up:
            _, pending = await asyncio.wait(pending, timeout=0.25)
            answering = sum(c.answering for c in connections)
            tally.most_open = max(tally.most_open, answering)
            watch()
    finally:
        for task in pending:
            task.cancel()
        tally.seconds = time.perf_counter() - begun
        for connection in connections:
            connection.close()
    for _ in pending:
        tally.fail("no answer in time")
    return tally
