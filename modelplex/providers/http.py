"""A provider that is reached over HTTP: sends plans, reads answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import time

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IResponse
from zope.interface import implementer

from modelplex.config import Timeouts
from modelplex.errors import (
    GatewayError,
    UpstreamDenied,
    UpstreamError,
    UpstreamMalformed,
    UpstreamRejected,
    UpstreamTimeout,
)
from modelplex.interfaces import IModelProvider, IReply
from modelplex.outbound.body import read_body
from modelplex.outbound.response_head import head_of, header, wait_of
from modelplex.outbound.transport import Transport
from modelplex.providers.credentials import Credentials
from modelplex.providers.plan import Plan, Planner
from modelplex.providers.reply import UpstreamReply
from modelplex.timing import limited
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.reasoning import Origin
from modelplex.wire.relay import RelayReader

# What a request means may depend on it, so a guest's own goes with the guest's bytes.
_VERSION = b"anthropic-version"
ERROR_BODY = 2**16  # bytes of an error that are read
LISTING = 4 * 2**20  # bytes of a list of models that are read
ASKING = 10.0  # seconds to list models


@implementer(IModelProvider)
@define(eq=False)
class HttpProvider:
    """
    One account at one upstream.

    :ivar headers: the operator's; sent with every request.
    :ivar credentials: further ones, if they have to be fetched.
    :ivar secrets: texts that must not appear in any error.
    :ivar limit: bytes that a reply which is not streamed may have.
    """

    name: str
    concern: str
    _transport: Transport = field(repr=False)
    _operations: frozenset[Operation]
    _planner: Planner
    _headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    _secrets: tuple[str, ...] = field(repr=False)
    _timeouts: Timeouts
    _limit: int
    _clock: IReactorTime
    _models_path: str
    _model_names: Callable[[bytes], Sequence[str]]
    _decode_error: Callable[[int, bytes], GatewayError]
    _credentials: Credentials | None = None
    _now: Callable[[], float] = time

    def serves(self, operation: Operation) -> bool:
        return operation in self._operations

    async def open(self, asked: Asked, model: str, within: float) -> IReply:
        # A whole answer has no first byte before its last; only `total` can tell
        # that it takes too long.
        within = min(within, self._timeouts.total)
        patience = min(self._timeouts.first_byte, within) if asked.stream else within
        until = self._clock.seconds() + within
        return await limited(
            Deferred.fromCoroutine(self._opened(asked, model, until)),
            patience,
            self._clock,
            lambda: UpstreamTimeout(f"{self.name}: no answer in {patience:g} seconds"),
        )

    async def _opened(self, asked: Asked, model: str, until: float) -> IReply:
        asked = asked.toward(Origin(self.name, model))
        plan = await self._planner(asked, model)
        headers = self._headers
        if self._credentials is not None:
            headers = (*headers, *await self._credentials.headers())
        response = await self._asked(asked, plan, headers)
        await self._refuse_errors(response, plan)
        reply = UpstreamReply(
            name=self.name,
            reader=plan.reader,
            passed=plan.passed,
            dropped=plan.dropped,
            whole=not (asked.stream or plan.relayed),
            limit=self._limit,
            idle=self._timeouts.idle,
            until=until,
            scrub=self._scrubbed,
            clock=self._clock,
        )
        if isinstance(plan.reader, RelayReader):
            plan.reader.head = head_of(response)
        await reply.opened(response)
        return reply

    async def _asked(
        self, asked: Asked, plan: Plan, headers: tuple[tuple[bytes, bytes], ...]
    ) -> IResponse:
        """The answer's header; one that is streamed to us must come soon."""
        patience = self._timeouts.first_byte if plan.streamed else self._timeouts.total
        passed = asked.headers if plan.passed else ()
        if any(name == _VERSION for name, _ in passed):
            headers = tuple(one for one in headers if one[0] != _VERSION)
        body = plan.body or None if plan.form is None else plan.form
        kind = () if body is None else ((b"content-type", plan.media_type),)
        sent = self._transport.request(
            plan.method, plan.path, [*headers, *kind, *passed], body
        )
        return await limited(
            Deferred.fromCoroutine(sent),
            patience,
            self._clock,
            lambda: UpstreamTimeout(f"{self.name}: no answer in {patience:g} seconds"),
        )

    async def _refuse_errors(self, response: IResponse, plan: Plan) -> None:
        kind = (header(response, b"content-type") or "").lower()
        streamed_as_json = plan.streamed and kind.startswith("application/json")
        page = "text/html" in kind and not plan.any_type
        if plan.relayed and 200 <= response.code < 300 and not page:
            return
        if response.code == 200 and not streamed_as_json and not page:
            return
        body = await read_body(response, ERROR_BODY, self._clock, ASKING)
        if response.code == 200 and not streamed_as_json:
            raise UpstreamMalformed(f"{self.name}: answered with an HTML page")
        if response.code != 200 and response.code < 400:
            # A redirect is never followed: it would carry the key elsewhere.
            raise UpstreamError(f"{self.name}: answered {response.code}")
        if response.code == 401 and self._credentials is not None:
            self._credentials.refused()
        error = plan.decode_error(response.code, body)
        wait = wait_of(response, self._now())
        if wait is not None:  # else the body may have said
            error.retry_after = wait
        raise self._scrubbed(error)

    def _scrubbed(self, error: GatewayError) -> GatewayError:
        """`error` without any of our secrets; providers quote keys back."""
        fetched = self._credentials.secrets if self._credentials is not None else ()
        for secret in (*self._secrets, *fetched):
            if isinstance(error, UpstreamRejected):
                words = error.message, error.type, error.code, error.param
                said = " ".join(filter(None, words))
                error.body = error.body.replace(secret.encode(), b"***")
                if secret in said and b"***" not in error.body:
                    error.body = b""  # it is in there, escaped
                error.type = _without(secret, error.type)
            elif isinstance(error, UpstreamDenied):
                error.told_operator = error.told_operator.replace(secret, "***")
            error.code = _without(secret, error.code)
            error.param = _without(secret, error.param)
            error.message = error.message.replace(secret, "***")
            error.args = (error.message,)
        return error

    async def list_models(self) -> Sequence[str]:
        return await limited(
            Deferred.fromCoroutine(self._listed()),
            ASKING,
            self._clock,
            lambda: UpstreamTimeout(f"{self.name}: no list of models in {ASKING:g} s"),
        )

    async def _listed(self) -> Sequence[str]:
        headers = list(self._headers)
        if self._credentials is not None:
            headers += await self._credentials.headers()
        response = await self._transport.get(self._models_path, headers)
        body = await read_body(response, LISTING, self._clock, ASKING)
        if response.code != 200:
            raise self._scrubbed(self._decode_error(response.code, body))
        return self._model_names(body)

    async def close(self) -> None:
        if self._credentials is not None:
            await self._credentials.close()
        await self._transport.close()


def _without(secret: str, text: str | None) -> str | None:
    return text.replace(secret, "***") if text else text
