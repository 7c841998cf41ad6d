"""
Every failure that is expected, with what it means for the guest and for routing.

A class says the kind, the HTTP status and whether another candidate may be asked
instead; an instance says what happened, in words a guest may read. Nothing here
holds a key, an internal path or the name of another guest. How an error looks on
the wire is each dialect's business (`modelplex.wire`).
"""

from __future__ import annotations


class GatewayError(Exception):
    """
    An expected failure of one exchange.

    :ivar kind: a stable word for logs and metrics.
    :ivar status: the HTTP status a guest sees when nothing was sent yet.
    :ivar failover: another candidate may be asked instead.
    :ivar retry_after: seconds after which the same request may succeed, if known.
    :ivar should_retry: ``False`` when waiting will not help and a client's own
        retries would be wasted; ``None`` leaves it to the client.
    :ivar param: the request field that is at fault, if one is.
    :ivar code: a dialect-neutral code such as ``model_not_found``.
    """

    kind = "internal_error"
    status = 500
    failover = False
    should_retry: bool | None = None
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status


class BadRequest(GatewayError):
    """The guest's request cannot be understood."""

    kind = "bad_request"
    status = 400
    should_retry = False


class UnsupportedField(BadRequest):
    """A field that changes the answer's meaning and that the target cannot express."""

    kind = "unsupported_field"
    code = "unsupported_parameter"


class UnknownModel(GatewayError):
    """No provider serves this model to this guest."""

    kind = "unknown_model"
    status = 404
    code = "model_not_found"
    should_retry = False


class UnknownRoute(GatewayError):
    """The path or method is not one that a guest's socket serves."""

    kind = "unknown_route"
    status = 404
    code = "unknown_url"
    should_retry = False


class Forbidden(GatewayError):
    """The guest's policy does not allow this; the message names the word that would."""

    kind = "forbidden"
    status = 403
    code = "forbidden_by_policy"
    should_retry = False


class LimitReached(GatewayError):
    """A rate limit or a budget of the guest is used up."""

    kind = "limit_reached"
    status = 429
    code = "rate_limit_exceeded"


class TooLarge(GatewayError):
    """The request is larger than `max_request_size`."""

    kind = "request_too_large"
    status = 413
    code = "request_too_large"
    should_retry = False


class RequestTimeout(GatewayError):
    """The guest took too long to send its request."""

    kind = "request_timeout"
    status = 408
    code = "request_timeout"


class ShuttingDown(GatewayError):
    """Modelplex is stopping and takes no new exchange."""

    kind = "shutting_down"
    status = 503
    code = "shutting_down"


class UpstreamError(GatewayError):
    """A provider failed; another may be asked."""

    kind = "upstream_error"
    status = 502
    failover = True
    code = "upstream_error"


class UpstreamUnreachable(UpstreamError):
    """Refused, unresolvable, or no TLS: no byte of an answer was seen."""

    kind = "upstream_unreachable"
    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):
    """The provider was silent for longer than its `timeouts` allow."""

    kind = "upstream_timeout"
    status = 504
    code = "upstream_timeout"


class UpstreamCut(UpstreamError):
    """The provider closed before its answer was complete."""

    kind = "upstream_cut"
    code = "upstream_cut"


class UpstreamMalformed(UpstreamError):
    """The provider's answer is not what its protocol says."""

    kind = "upstream_malformed"
    code = "upstream_malformed"


class UpstreamOverloaded(UpstreamError):
    """The provider answered 5xx or 529; `status` keeps 502, 503 or 529."""

    kind = "upstream_overloaded"
    status = 503
    code = "upstream_overloaded"


class UpstreamRateLimited(UpstreamError):
    """The provider answered 429; the key or target cools down for `retry_after`."""

    kind = "upstream_rate_limited"
    status = 429
    code = "rate_limit_exceeded"


class UpstreamQuota(UpstreamRateLimited):
    """A 429 that waiting does not cure: the account's credit or budget is used up."""

    kind = "upstream_quota"
    code = "insufficient_quota"
    should_retry = False


class UpstreamDenied(UpstreamError):
    """
    The provider answered 401, 402 or 403: the operator's key is at fault.

    The provider's own words may hold key fragments or account ids, so they never
    reach a guest; `told_operator` is for the log.
    """

    kind = "upstream_denied"
    code = "provider_misconfigured"

    def __init__(self, message: str, *, told_operator: str = "") -> None:
        super().__init__(message)
        self.told_operator = told_operator


class UpstreamRejected(GatewayError):
    """
    The provider refused the request itself (400, 404, 413, 422…): passed on.

    :ivar body: the provider's error body as it came, for a guest that speaks the
        same dialect; empty when there is none worth passing.
    :ivar type: the provider's own word for the error, if it gave one.
    """

    kind = "upstream_rejected"
    status = 400
    should_retry = False

    def __init__(
        self,
        message: str,
        *,
        status: int,
        type: str | None = None,
        param: str | None = None,
        code: str | None = None,
        body: bytes = b"",
    ) -> None:
        super().__init__(message, param=param, code=code, status=status)
        self.type = type
        self.body = body


class UpstreamModelMissing(UpstreamRejected):
    """The provider answered 404 for the model; another provider may have it."""

    kind = "upstream_model_missing"
    failover = True
    code = "model_not_found"


class ConfigError(Exception):
    """
    Every mistake found in a configuration file, all at once.

    :ivar problems: one line each, starting with the key path.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class StartError(Exception):
    """The service cannot start; the message is one line that says what to do."""


class StorageError(Exception):
    """
    What must be kept cannot be read or written.

    One line for the operator; never for a guest, because it holds paths.
    """
