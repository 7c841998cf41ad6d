"""What the fake upstream answers, made once and ready to be sent.

Every text chunk of a stream carries its number, ``#000042.``, so that whoever reads
the stream can tell that none is missing, doubled or out of order.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

_ID = "0123456789abcdef"
_CREATED = 1_760_000_000
_WORDS = (" the", " ledger", " rounds", " twice", ",", " on", " line", " nine")
_TEXT = "The third file rounds twice: once on line 9, and once where it is summed. " * 5
_NUMBER = re.compile(rb"#(\d{6})\.")
_LAST = b"0\r\n\r\n"


def numbers(body: bytes) -> list[int]:
    """The numbers of the text chunks in a stream, in the order they came."""
    return list(map(int, _NUMBER.findall(body)))


@lru_cache(maxsize=64)
def reply(path: str) -> bytes:
    """A whole answer, head and body."""
    value: object
    if path.endswith("/chat/completions"):
        message = {"role": "assistant", "content": _TEXT, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        value = _openai("chat.completion", [choice], _openai_usage(90))
    elif path.endswith("/messages"):
        content = [{"type": "text", "text": _TEXT}]
        value = _anthropic_message(content, "end_turn", 90)
    elif path.endswith("/api/chat"):
        value = _ollama(_TEXT) | _ollama_end(90)
    else:  # somebody looks whether we are there
        value = {"object": "list", "data": [], "models": []}
    body = _dump(value)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    return head + b"content-length: %d\r\n\r\n%s" % (len(body), body)


@lru_cache(maxsize=64)
def stream(path: str, chunks: int, usage: bool) -> tuple[bytes, ...]:
    """
    A streamed answer as the writes it is made of: a beginning, `chunks` text chunks,
    an end.

    :param usage: whether OpenAI's last chunk of token counts was asked for.
    """
    if path.endswith("/messages"):
        return _anthropic_stream(chunks)
    if path.endswith("/api/chat"):
        return _ollama_stream(chunks)
    return _openai_stream(chunks, usage)


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _stream_head(content_type: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: " + content_type + b"\r\n"
        b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
    )


def _frame(payload: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(payload), payload)


def _text(number: int) -> str:
    return f"{_WORDS[number % len(_WORDS)]}#{number:06d}."


# OpenAI


def _openai(kind: str, choices: list[object], usage: object) -> dict[str, object]:
    return {
        "id": f"chatcmpl-{_ID}",
        "object": kind,
        "created": _CREATED,
        "model": "gpt-4o-mini-2024-07-18",
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
        "choices": choices,
        "usage": usage,
    }


def _openai_usage(output: int) -> object:
    return {
        "prompt_tokens": 512,
        "completion_tokens": output,
        "total_tokens": 512 + output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _openai_stream(chunks: int, usage: bool) -> tuple[bytes, ...]:
    def delta(value: object, finish: str | None = None) -> bytes:
        choice = {
            "index": 0,
            "delta": value,
            "logprobs": None,
            "finish_reason": finish,
        }
        chunk = _openai("chat.completion.chunk", [choice], None)
        if not usage:
            del chunk["usage"]
        return _sse(chunk)

    end = delta({}, "stop")
    if usage:
        end += _sse(_openai("chat.completion.chunk", [], _openai_usage(chunks)))
    return (
        _stream_head(b"text/event-stream; charset=utf-8")
        + delta({"role": "assistant", "content": "", "refusal": None}),
        *(delta({"content": _text(i)}) for i in range(chunks)),
        end + _frame(b"data: [DONE]\n\n") + _LAST,
    )


def _sse(value: object) -> bytes:
    return _frame(b"data: %s\n\n" % _dump(value))


# Anthropic


def _anthropic_message(content: object, stop: str | None, output: int) -> object:
    return {
        "id": f"msg_{_ID}",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 512,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output,
        },
    }


def _anthropic_stream(chunks: int) -> tuple[bytes, ...]:
    def event(name: str, **rest: object) -> bytes:
        data = _dump({"type": name, **rest})
        return _frame(b"event: %s\ndata: %s\n\n" % (name.encode(), data))

    def delta(number: int) -> bytes:
        value = {"type": "text_delta", "text": _text(number)}
        return event("content_block_delta", index=0, delta=value)

    block = {"type": "text", "text": ""}
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    return (
        _stream_head(b"text/event-stream; charset=utf-8")
        + event("message_start", message=_anthropic_message([], None, 1))
        + event("content_block_start", index=0, content_block=block)
        + event("ping"),
        *(delta(i) for i in range(chunks)),
        event("content_block_stop", index=0)
        + event("message_delta", delta=stop, usage={"output_tokens": chunks})
        + event("message_stop")
        + _LAST,
    )


# Ollama


def _ollama(text: str) -> dict[str, object]:
    return {
        "model": "llama3.2",
        "created_at": "2025-10-09T08:53:20.123456789Z",
        "message": {"role": "assistant", "content": text},
        "done": False,
    }


def _ollama_end(output: int) -> dict[str, object]:
    return {
        "done": True,
        "done_reason": "stop",
        "total_duration": 900_000_000,
        "load_duration": 10_000_000,
        "prompt_eval_count": 512,
        "prompt_eval_duration": 90_000_000,
        "eval_count": output,
        "eval_duration": 800_000_000,
    }


def _ollama_stream(chunks: int) -> tuple[bytes, ...]:
    def line(value: object) -> bytes:
        return _frame(_dump(value) + b"\n")

    return (
        _stream_head(b"application/x-ndjson"),
        *(line(_ollama(_text(i))) for i in range(chunks)),
        line(_ollama("") | _ollama_end(chunks)) + _LAST,
    )
