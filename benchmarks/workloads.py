"""The requests that are measured, and for how long."""

from __future__ import annotations

from attrs import frozen

from benchmarks.bodies import SIZES, chat_body
from benchmarks.http1 import request
from benchmarks.knobs import Knobs
from benchmarks.targets import PATH, Target

OPENAI = "gpt-4o-mini"
ANTHROPIC = "claude-sonnet-4-5"
OLLAMA = "llama3.2"


@frozen
class Workload:
    """One kind of request, kept up by so many connections."""

    name: str
    size: str  # a key of `SIZES`
    concurrency: int
    model: str = OPENAI
    chunks: int = 0  # 0: not a stream
    usage: bool = True  # the stream asks for its token counts
    interval: int = 0  # milliseconds between chunks

    @property
    def translated(self) -> bool:
        """Whether the upstream speaks another dialect than the guest."""
        return self.model != OPENAI

    def payload(self, target: Target) -> bytes:
        """The request on the wire, as this target wants it."""
        body = chat_body(
            SIZES[self.size],
            model=self.model,
            stream=bool(self.chunks),
            usage=self.usage,
            knobs=Knobs(self.chunks, self.interval),
        )
        return request(PATH, body, target.headers)


@frozen
class Plan:
    """How long everything takes."""

    rounds: int
    window: float  # seconds of one target under one workload
    starts: int  # times a target is started
    idle: float  # seconds before idle memory is read
    warm: int  # requests before the drift of memory is read
    drift: int  # at most so many requests after that
    drift_window: float  # seconds those may take at most
    streams: int  # held open at once
    ramp: float  # seconds to open them
    slow_chunks: int  # one a second each
    limit: float  # seconds after which everything stops


FULL = Plan(
    rounds=3,
    window=1.2,
    starts=3,
    idle=1.0,
    warm=3000,
    drift=100_000,
    drift_window=45.0,
    streams=1000,
    ramp=4.0,
    slow_chunks=10,
    limit=1200.0,
)
QUICK = Plan(
    rounds=1,
    window=0.6,
    starts=1,
    idle=0.5,
    warm=2000,
    drift=100_000,
    drift_window=4.0,
    streams=1000,
    ramp=2.5,
    slow_chunks=5,
    limit=600.0,
)

SMALL = Workload("2 KB, one at a time", "2 KB", 1)
BUSY = Workload("2 KB", "2 KB", 16)
WORKLOADS = (
    SMALL,
    BUSY,
    Workload("98 KB", "98 KB", 16),
    Workload("200 KB", "200 KB", 8),
    Workload("1 MB", "1 MB", 4),
    Workload("relayed", "2 KB", 32, chunks=500),
    Workload("relayed, no usage asked", "2 KB", 32, chunks=500, usage=False),
    Workload("98 KB + 500 chunks", "98 KB", 16, chunks=500),
    Workload("from Anthropic", "2 KB", 32, ANTHROPIC, chunks=500),
    Workload("from Ollama", "2 KB", 32, OLLAMA, chunks=500),
    Workload("200 KB to Anthropic", "200 KB", 8, ANTHROPIC),
)


def slow(plan: Plan) -> Workload:
    """The streams that are held open."""
    chunks = plan.slow_chunks
    return Workload("held", "2 KB", plan.streams, chunks=chunks, interval=1000)
