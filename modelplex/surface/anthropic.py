"""Anthropic's Messages API as a guest speaks it."""

from __future__ import annotations

from attrs import evolve

from modelplex.guests.closed_anthropic import close
from modelplex.surface import tool_forms_mcp
from modelplex.surface.exchanges import Opening, with_tools
from modelplex.surface.request import GuestRequest
from modelplex.wire.anthropic.count_tokens import (
    ANTHROPIC_COUNT,
    decode_count_request,
)
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.asked import Operation
from modelplex.wire.jsonobject import open_object

HEADERS = (b"anthropic-beta", b"anthropic-version")


COUNTED = evolve(ANTHROPIC, decode_request=decode_count_request)


def messages(request: GuestRequest) -> Opening:
    """``POST /v1/messages``, whatever its query says."""
    _show_id(request)
    body = open_object(request.body)
    opening = Opening(
        Operation.CHAT,
        ANTHROPIC,
        body,
        body.get("model", str),
        stream=bool(body.get("stream", bool | None)),
        close=close,
        headers=HEADERS,
    )
    return with_tools(opening, tool_forms_mcp.messages)


def count_tokens(request: GuestRequest) -> Opening:
    """``POST /v1/messages/count_tokens``."""
    _show_id(request)
    body = open_object(request.body)
    return Opening(
        Operation.COUNT_TOKENS,
        COUNTED,
        body,
        body.get("model", str),
        stream=False,
        close=close,
        headers=HEADERS,
        counting=ANTHROPIC_COUNT,
    )


def _show_id(request: GuestRequest) -> None:
    """What Anthropic's SDKs show as the id of a request."""
    request.responseHeaders.setRawHeaders(
        b"request-id", [request.request_id.encode("ascii")]
    )
