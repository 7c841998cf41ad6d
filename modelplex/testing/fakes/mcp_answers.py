"""What a fake remote tool server can be told to do, and the bytes that it answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from enum import Enum
from typing import Any, TypeAlias

from twisted.web.server import Request


class Fault(Enum):
    """What goes wrong with the next call of a tool."""

    FORGET = "the session is gone"
    CUT = "the stream breaks before the answer"
    PAUSE = "the stream ends before the answer, which a GET will get"
    ACCEPTED = "202 and nothing else"
    ERROR = "500"
    HTML = "a page"
    GARBAGE = "no JSON in the stream"
    OTHER_ID = "the answer to another request"
    REDIRECT = "308 to the same server"
    ELSEWHERE = "307 to another host"
    HANG = "no answer at all"
    DEAF = "the stream is open and says nothing"


#: A tool yields notifications and questions; what it returns is its result. A question
#: gives it the answer.
Play: TypeAlias = Generator[Mapping[str, Any], Any, Mapping[str, Any]]
Tool: TypeAlias = Callable[[Mapping[str, Any]], Play]


def text(said: str) -> dict[str, Any]:
    """A result of one text."""
    return {"content": [{"type": "text", "text": said}]}


def event(message: Mapping[str, Any]) -> bytes:
    """A message in a stream, as the SDKs write it."""
    return b"event: message\r\ndata: " + json.dumps(message).encode() + b"\r\n\r\n"


def status(request: Request, code: int) -> bytes:
    """An answer without a body."""
    request.setResponseCode(code)
    return b""


def as_json(request: Request, value: object, code: int = 200) -> bytes:
    """An answer of one JSON value."""
    request.setResponseCode(code)
    request.setHeader("content-type", "application/json")
    return json.dumps(value).encode()


def begin(request: Request) -> None:
    """Begin a stream."""
    request.setHeader("content-type", "text/event-stream")
    request.write(b"")


def abort(request: Any) -> None:
    """Break the connection."""
    if request.channel is not None:
        request.channel.transport.abortConnection()
