"""
What a provider's error means, whatever its dialect: design §6's table as code.

Each dialect reads its own error shape into a `Complaint`; what follows from the
status is the same for all.
"""

from __future__ import annotations

import re

from attrs import frozen

from modelplex.errors import (
    GatewayError,
    UpstreamDenied,
    UpstreamError,
    UpstreamModelMissing,
    UpstreamOverloaded,
    UpstreamQuota,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)

_QUOTA = re.compile(
    r"insufficient_quota|credit_balance|spend_limit|usage_limit|billing|"
    r"exceeded your current quota"
)
_MODEL = re.compile(r"\bmodel\b", re.IGNORECASE)
_CONTEXT = re.compile(
    r"context[ _]length|context window|prompt is too long|context limit|"
    r"maximum context",
    re.IGNORECASE,
)


@frozen
class Complaint:
    """
    What a provider said went wrong.

    :ivar type: its word for the kind of error.
    :ivar body: its whole answer, for a guest of the same dialect.
    """

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    body: bytes = b""


def classify(status: int, complaint: Complaint) -> GatewayError:
    """
    The error that a provider's answer means.

    :param status: the HTTP status; an error inside a stream, or one with status
        200, is given the status its type stands for, or 500.
    """
    said = complaint.message[:2000] or f"the provider answered {status}"
    words = f"{complaint.type} {complaint.code} {said}"
    if status in (401, 402, 403):
        return UpstreamDenied(
            "the provider refused the operator's credentials; the operator was told",
            told_operator=f"{status} {said}",
        )
    if status == 429:
        if _QUOTA.search(words):
            return UpstreamQuota(said)
        return UpstreamRateLimited(said)
    if status in (408, 504):
        return UpstreamTimeout(said)
    if status >= 500:
        kept = status if status in (502, 503, 529) else 502
        return UpstreamOverloaded(said, status=kept)
    if status < 400:
        return UpstreamError(f"the provider answered {status}: {said}")
    rejected = (
        UpstreamModelMissing
        if status == 404
        and (complaint.code == "model_not_found" or _MODEL.search(said))
        else UpstreamRejected
    )
    code = complaint.code
    if code is None and _CONTEXT.search(said):
        code = "context_length_exceeded"
    return rejected(
        said,
        status=status,
        type=complaint.type,
        code=code,
        param=complaint.param,
        body=complaint.body,
    )


def text_of(body: bytes) -> str:
    """A few readable words of a body that is no error shape we know."""
    text = body[:200].decode("utf-8", "replace").strip()
    if text.startswith("<"):
        return "the provider answered with an HTML page"
    return text
