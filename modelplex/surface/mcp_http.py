"""MCP over HTTP for one guest: what both eras have in common, and which one it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from modelplex.errors import Forbidden, GatewayError, UnknownRoute
from modelplex.surface.mcp_legacy import LegacyHttp, version_of
from modelplex.surface.mcp_modern import ModernHttp
from modelplex.surface.mcp_origin import is_near_host, is_near_origin
from modelplex.surface.mcp_reply import answer, refuse
from modelplex.surface.mcp_served import Served
from modelplex.surface.mcp_sessions import Sessions
from modelplex.surface.request import GuestRequest
from modelplex.wire.jsonrpc import Call, RpcError, encode, parse_all
from modelplex.wire.mcp.eras import Era, era_of

JSON = "application/json"
EVENTS = "text/event-stream"


@define(eq=False)
class McpHttp:
    """
    ``/mcp``, with all servers a guest may use, and ``/mcp/SERVER``, with one of them.

    :param served: gives what is spoken about, for the name of a server or for all;
        the same at every call, or ``None`` when there is no such server.
    """

    _served: Callable[[str | None], Served | None]
    _clock: IReactorTime
    sessions: Sessions = field(init=False)
    _legacy: LegacyHttp = field(init=False)
    _modern: ModernHttp = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.sessions = Sessions(self._clock)
        self._legacy = LegacyHttp(self._clock, self.sessions)
        self._modern = ModernHttp(self._clock)

    async def answer(self, request: GuestRequest, server: str | None = None) -> None:
        """
        Answer a request of any method.

        :raises UnknownRoute: there is no such server.
        """
        served = self._served(server)
        if served is None:
            raise UnknownRoute("no such server, or not for this guest")
        try:
            check_near(request)
        except GatewayError as e:
            refuse(request, e.status, e.message)
            return
        match request.method:
            case b"POST":
                await self._post(request, served)
            case b"GET":
                if not accepts(_lines(request, b"accept"), EVENTS):
                    refuse(request, HTTPStatus.NOT_ACCEPTABLE, f"accept: {EVENTS}")
                elif request.site.draining:
                    refuse(request, HTTPStatus.SERVICE_UNAVAILABLE, "shutting down")
                else:
                    await self._legacy.get(request, served)
            case b"DELETE":
                self._legacy.delete(request, served)
            case _:
                request.responseHeaders.setRawHeaders(b"allow", [b"GET, POST, DELETE"])
                refuse(request, HTTPStatus.METHOD_NOT_ALLOWED, "not with this method")

    def close(self) -> None:
        """End every session."""
        self.sessions.close()

    # --- details

    async def _post(self, request: GuestRequest, served: Served) -> None:
        accept = _lines(request, b"accept")
        if not (accepts(accept, JSON) and accepts(accept, EVENTS)):
            message = f"accept: {JSON} and {EVENTS} are both required"
            refuse(request, HTTPStatus.NOT_ACCEPTABLE, message)
            return
        kinds = _lines(request, b"content-type")
        if [_media_type(kind) for kind in kinds] != [JSON]:
            message = f"content-type: {JSON} is required"
            refuse(request, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)
            return
        try:
            sent = parse_all(request.body)
        except RpcError as e:
            refuse(request, HTTPStatus.BAD_REQUEST, e.message, e.rpc_code)
            return
        try:
            era = era_of(sent, version_of(request))
        except RpcError as e:
            id = sent.id if isinstance(sent, Call) else None
            answer(request, encode(e.failure(id)), HTTPStatus.BAD_REQUEST)
            return
        spoken = self._modern if era is Era.MODERN else self._legacy
        await spoken.post(request, served, sent)


def check_near(request: GuestRequest) -> None:
    """
    Ask whether a request was sent by a program, and not by a page of elsewhere.

    :raises Forbidden: it may be a page's.
    """
    if not all(map(is_near_origin, _lines(request, b"origin"))):
        raise Forbidden("this origin is not served")
    hosts = _lines(request, b"host")
    if len(hosts) > 1 or not all(map(is_near_host, hosts)):
        status = HTTPStatus.MISDIRECTED_REQUEST
        raise Forbidden("this host is not served", status=status)


@lru_cache(maxsize=256)  # most clients say the same at every request
def accepts(accept: tuple[str, ...], wanted: str) -> bool:
    """
    Whether the lines of an ``Accept`` header take the media type `wanted`.

    None of them at all takes everything.
    """
    ranges = [
        (_media_type(one), _is_refused(one))
        for line in accept
        for one in line.split(",")
        if one.strip()
    ]
    if not ranges:
        return True
    general = wanted.partition("/")[0] + "/*"
    for known in (wanted, general, "*/*"):
        found = [refused for kind, refused in ranges if kind == known]
        if found:
            return not all(found)
    return False


def _media_type(value: str) -> str:
    return value.partition(";")[0].strip().lower()


def _is_refused(value: str) -> bool:
    """Whether the weight of a media range is zero."""
    parameters = (one.strip().lower() for one in value.split(";")[1:])
    return any(one in ("q=0", "q=0.0", "q=0.00", "q=0.000") for one in parameters)


def _lines(request: GuestRequest, name: bytes) -> tuple[str, ...]:
    given = request.requestHeaders.getRawHeaders(name, ())
    return tuple([value.decode("latin-1").strip() for value in given])
