"""What Modelplex itself keeps of a response, said in one that is passed as it came."""

from __future__ import annotations

from collections.abc import Mapping

from modelplex.errors import BadRequest
from modelplex.wire import sse
from modelplex.wire.jsonobject import JsonObject, open_object

_MARK = b'"response"'  # no delta has it: inside a string its quotes are escaped


def retold(events: bytes, members: Mapping[str, bytes]) -> bytes:
    """
    Whole events, with `members` in the response object of those that have one.

    An event that cannot be read stays as it is, and so does every other byte.
    """
    if _MARK not in events:
        return events
    return b"".join(_event(event, members) for event in sse.events(events))


def retold_whole(body: bytes, members: Mapping[str, bytes]) -> bytes:
    """The same for a response object by itself."""
    try:
        return open_object(body).splice(members)
    except BadRequest:
        return body


def _event(event: bytes, members: Mapping[str, bytes]) -> bytes:
    payload = sse.data(event) if _MARK in event else None
    if payload is None:
        return event + b"\n\n"
    try:
        told = open_object(payload)
        response, kind = told.raw("response"), told.get("type", str)
        if kind is None or response is None or not response.startswith(b"{"):
            return event + b"\n\n"
        response = open_object(response).splice(members)
    except BadRequest:
        return event + b"\n\n"
    return sse.encode(_one_line(told, response), kind)


def _one_line(told: JsonObject, response: bytes) -> bytes:
    """An event's payload; a line break in it can only stand between its members."""
    return told.splice({"response": response}).replace(b"\n", b" ")
