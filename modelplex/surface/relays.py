"""
What one guest asks for beside text: images, audio, moderations and files.

All of it goes to the provider of the model as it is, and comes back as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from urllib.parse import urlencode

from attrs import define
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from modelplex.errors import BadRequest, GatewayError, UnknownRoute
from modelplex.exchange import Exchange
from modelplex.guests.closed_media import close, close_field, close_files
from modelplex.guests.hosted import check_name
from modelplex.guests.policy import Policy
from modelplex.observability.exchanges import log_exchange
from modelplex.routing.catalogue import Catalogue
from modelplex.routing.failover import Failover
from modelplex.routing.table import Candidate
from modelplex.surface.exchanges import check_model, passed_headers
from modelplex.surface.openai import HEADERS, model_of
from modelplex.surface.relay_answer import RelayAnswer
from modelplex.surface.request import GuestRequest
from modelplex.surface.upload import Upload
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.dialect import Answering
from modelplex.wire.jsonobject import JsonObject, open_object
from modelplex.wire.openai.dialect import OPENAI_CHAT
from modelplex.wire.relay import Relay

# OpenAI's API has a default here, and asks for a model everywhere else.
_MODERATION = "omni-moderation-latest"

_FILE_ID = re.compile(r"[\w-]{1,128}", re.ASCII)
_QUERY = ("purpose", "limit", "order", "after")
_NOTHING = JsonObject(b"{}", {})


@define(eq=False, repr=False)
class Relays:
    """Runs these exchanges of one guest."""

    _policy: Policy
    _catalogue: Catalogue
    _failover: Failover
    _clock: IReactorTime
    _verbose: bool = False
    log = Logger()

    async def media(
        self, request: GuestRequest, operation: Operation, path: str
    ) -> None:
        """
        Everything for one request with a model; cancelling it stops all of that.

        :param path: of the provider's API, below its version.
        """
        exchange = self._exchange(request, operation)
        answer = RelayAnswer(request, exchange, self._clock)
        try:
            asked = await self._asked(request, operation, path)
            exchange.model, exchange.stream = asked.model, asked.stream
            check_name(asked.model, self._policy)
            if request.upload is None:
                admitted = close(asked.body, asked.model, self._policy)
                asked.changes = admitted.changes
            candidates = self._catalogue.candidates(
                asked.model, operation, self._policy
            )
            await self._sent(asked, candidates, exchange, answer, request.upload)
        except GatewayError as e:
            answer.refuse(e)
        finally:
            self._ended(request, exchange)

    async def files(self, request: GuestRequest, path: str, file: str = "") -> None:
        """
        Everything for one request about the files that a provider keeps.

        :param file: the id of the one it is about, if it is about one.
        """
        exchange = self._exchange(request, Operation.FILES)
        answer = RelayAnswer(request, exchange, self._clock)
        try:
            if request.requestHeaders.hasHeader(b"anthropic-version"):
                raise UnknownRoute("only OpenAI's files are served")
            close_files(self._policy)
            if file and not _FILE_ID.fullmatch(file):
                raise BadRequest("the id of a file has other characters", param="id")
            upload = request.upload
            if request.method == b"POST":
                if upload is None:
                    raise BadRequest("content-type: multipart/form-data is expected")
                upload.admit = partial(close_field, policy=self._policy)
                upload.without_model()
            method = request.method
            relay = Relay(method, path + _query(request), upload)
            asked = self._relayed(request, Operation.FILES, "", _NOTHING, relay)
            candidates = self._catalogue.keeper(Operation.FILES, self._policy)
            await self._sent(asked, candidates, exchange, answer, upload)
        except GatewayError as e:
            answer.refuse(e)
        finally:
            self._ended(request, exchange)

    # --- what is asked

    async def _asked(
        self, request: GuestRequest, operation: Operation, path: str
    ) -> Asked:
        if request.upload is None:
            body = open_object(request.body)
            request.release_body()
            model = model_of(request, body)
            if not model and operation is Operation.MODERATIONS:
                model = _MODERATION
            check_model(model)
            return self._relayed(
                request, operation, model, body, Relay(b"POST", path), _streams(body)
            )
        upload = request.upload
        upload.admit = partial(close_field, policy=self._policy)
        model = await upload.model() or request.deployment
        check_model(model)
        relay = Relay(b"POST", path, upload)
        return self._relayed(request, operation, model, _NOTHING, relay)

    def _relayed(
        self,
        request: GuestRequest,
        operation: Operation,
        model: str,
        body: JsonObject,
        relay: Relay,
        stream: bool = False,
    ) -> Asked:
        return Asked(
            operation,
            OPENAI_CHAT,  # for its errors
            body,
            model,
            stream,
            Answering(model, 0),
            headers=passed_headers(request, HEADERS, self._policy.guest),
            relay=relay,
        )

    # --- what is done

    async def _sent(
        self,
        asked: Asked,
        candidates: Sequence[Candidate],
        exchange: Exchange,
        answer: RelayAnswer,
        upload: Upload | None,
    ) -> None:
        delivered = self._delivered(asked, candidates, exchange, answer, upload)
        if upload is None:
            await delivered
            return
        # A form that breaks off is the guest's fault, and stops what is done for it.
        work = Deferred.fromCoroutine(delivered)
        upload.interrupted = work.cancel
        try:
            await work
        except (CancelledError, GatewayError):
            if upload.error is not None:
                raise upload.error from None
            raise

    async def _delivered(
        self,
        asked: Asked,
        candidates: Sequence[Candidate],
        exchange: Exchange,
        answer: RelayAnswer,
        upload: Upload | None,
    ) -> None:
        candidate, reply = await self._failover.open(asked, candidates, exchange)
        if upload is not None:
            upload.forget()
        exchange.provider = candidate.provider.name
        exchange.target = candidate.model
        await answer.deliver(candidate, reply)

    def _exchange(self, request: GuestRequest, operation: Operation) -> Exchange:
        return Exchange(
            request.request_id,
            self._policy.guest,
            operation,
            "-",  # until it is known, if ever
            False,
            self._clock.seconds(),
            self._clock,
        )

    def _ended(self, request: GuestRequest, exchange: Exchange) -> None:
        if request.upload is not None:
            request.upload.forget()
        log_exchange(self.log, exchange, self._clock.seconds(), self._verbose)


def _streams(body: JsonObject) -> bool:
    """Whether an answer comes in pieces, the first of them soon."""
    return (
        bool(body.get("stream", bool | None))
        or body.get("stream_format", str | None) == "sse"
    )


def _query(request: GuestRequest) -> str:
    """Those parameters of a list of files that OpenAI's API has."""
    told = [
        (name, str(request.args[name.encode()][-1], "utf-8", "replace"))
        for name in _QUERY
        if name.encode() in request.args
    ]
    return f"?{urlencode(told)}" if told else ""
