"""What the codecs alone cost: no socket, no reactor, no other process."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence

from attrs import evolve, frozen

from benchmarks.bodies import SIZES, chat_body
from benchmarks.http1 import MessageReader
from benchmarks.knobs import Knobs
from benchmarks.replies import stream
from benchmarks.stats import median
from modelplex.events import Finished, FinishReason, Started, TextDelta
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.dialect import Answering, Dialect
from modelplex.wire.gemini.dialect import GEMINI
from modelplex.wire.jsonobject import open_object
from modelplex.wire.ollama.dialect import OLLAMA
from modelplex.wire.openai.dialect import OPENAI_CHAT
from modelplex.wire.openai.tap import StreamTap
from modelplex.wire.responses.dialect import RESPONSES

_CHUNKS = 500
_REPEATS = 25
_DIALECTS = (OPENAI_CHAT, RESPONSES, ANTHROPIC, GEMINI, OLLAMA)
_ANSWERING = Answering(model="m", created=1_760_000_000)


@frozen
class Case:
    """Something to be timed; its time is told per unit of work."""

    title: str
    work: Callable[[], object]
    units: int = 1

    def times(self) -> list[float]:
        """µs per unit, ascending."""
        self.work()
        found = []
        gc.collect()
        gc.disable()
        try:
            for _ in range(_REPEATS):
                begun = time.perf_counter()
                self.work()
                found.append((time.perf_counter() - begun) * 1e6 / self.units)
        finally:
            gc.enable()
        return sorted(found)


def cases() -> list[Case]:
    """One for each thing Modelplex does to the bytes of an exchange."""
    openai = pieces("/v1/chat/completions", True)
    streams = (
        ("chunk relayed", lambda: _relay(openai, False)),
        ("chunk relayed, usage taken out", lambda: _relay(openai, True)),
        ("chunk from Anthropic", _translation(ANTHROPIC, "/v1/messages")),
        ("chunk from Ollama", _translation(OLLAMA, "/api/chat")),
    )
    requests = [
        Case(f"{size} request {what}", work)
        for size in ("98 KB", "200 KB", "1 MB")
        for what, work in _requests(size)
    ]
    return [
        *(Case(title, work, _CHUNKS) for title, work in streams),
        *requests,
        *_pairs(),
    ]


def _pairs() -> Iterator[Case]:
    """Every dialect to every other: a chunk of a stream, and a long request."""
    whole = OPENAI_CHAT.decode_request(
        open_object(chat_body(SIZES["200 KB"], model="m", stream=True, knobs=Knobs()))
    )
    for guest in _DIALECTS:
        for upstream in _DIALECTS:
            if guest is not upstream:
                yield Case(
                    f"chunk from {upstream.name} to {guest.name}",
                    _retold(upstream, guest),
                    _CHUNKS,
                )
    for guest in _DIALECTS:
        body = guest.encode_request(whole).body
        for upstream in _DIALECTS:
            if guest is not upstream:
                yield Case(
                    f"200 KB request from {guest.name} to {upstream.name}",
                    _rewritten(body, guest, upstream),
                )


def _retold(upstream: Dialect, guest: Dialect) -> Callable[[], None]:
    """A stream of texts, an event in a chunk, as `upstream` writes it itself."""
    source = upstream.encoder(_ANSWERING)
    wire = [source.encode(Started("id", "m"))]
    wire += [source.encode(TextDelta(f" ledger {n}")) for n in range(_CHUNKS)]
    wire.append(source.encode(Finished(FinishReason.STOP)) + source.end())

    def work() -> None:
        decoder, encoder = upstream.decoder(), guest.encoder(_ANSWERING)
        written = 0
        for piece in wire:
            for event in decoder.feed(piece):
                written += len(encoder.encode(event))
        assert written > _CHUNKS

    return work


def _rewritten(body: bytes, guest: Dialect, upstream: Dialect) -> Callable[[], object]:
    def work() -> object:
        request = evolve(guest.decode_request(open_object(body)), model="m")
        return upstream.encode_request(request)

    return work


def pieces(path: str, usage: bool) -> list[bytes]:
    """The writes of a stream of 500 chunks, out of their HTTP framing."""
    reader = MessageReader(is_response=True)
    found, length = [], 0
    for write in stream(path, _CHUNKS, usage):
        reader.feed(write)
        body = reader.body()
        found.append(body[length:])
        length = len(body)
    return found


def main() -> int:
    """Time every case and print a line for each."""
    print(f"{'µs, median and least of ' + str(_REPEATS):48}{'median':>10}{'least':>10}")
    for case in cases():
        times = case.times()
        print(f"{case.title:48}{median(times) or 0:10.2f}{times[0]:10.2f}")
    return 0


def _relay(wire: Sequence[bytes], hide_usage: bool) -> None:
    tap = StreamTap(OPENAI_CHAT.decode_error, hide_usage)
    for piece in wire:
        tap.feed(piece)
    assert tap.done and tap.error is None


def _translation(dialect: Dialect, path: str) -> Callable[[], None]:
    wire = pieces(path, False)

    def work() -> None:
        decoder, encoder = dialect.decoder(), OPENAI_CHAT.encoder(_ANSWERING)
        written = 0
        for piece in wire:
            for event in decoder.feed(piece):
                written += len(encoder.encode(event))
        assert not decoder.eof() and written > _CHUNKS

    return work


def _requests(size: str) -> list[tuple[str, Callable[[], object]]]:
    body = chat_body(SIZES[size], model="m", stream=True, knobs=Knobs())

    def translated(to: Dialect) -> Callable[[], object]:
        return lambda: to.encode_request(OPENAI_CHAT.decode_request(open_object(body)))

    return [
        ("opened", lambda: open_object(body)),
        ("spliced", lambda: open_object(body).splice({"model": b'"another"'})),
        ("to Anthropic", translated(ANTHROPIC)),
        ("to Ollama", translated(OLLAMA)),
    ]
