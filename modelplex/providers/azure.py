"""
OpenAI's models at Microsoft: the same API at other addresses, with other errors.

An operator's model is a *deployment* there. With an ``api_version`` its name stands
in the path; the v1 API, which has no versions, takes it in the body as OpenAI does.
"""

from __future__ import annotations

import re

import msgspec
from attrs import define, evolve

from modelplex.errors import GatewayError, UpstreamModelMissing, UpstreamRejected
from modelplex.outbound.address import Address, plain, segments_of
from modelplex.providers.openai import OPERATIONS as OPENAI_S
from modelplex.providers.openai import OpenAIPlanner, model_names
from modelplex.providers.plan import Plan
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.openai import errors as openai

__all__ = ["MODELS_PATH", "OPERATIONS", "AzurePlanner", "address", "model_names"]

MODELS_PATH = "/models"

_API = re.compile(r"(?:/openai(?:/v\d+[a-z0-9]*)?)?\Z")
OPERATIONS = OPENAI_S - {Operation.MODERATIONS}
_OF_DEPLOYMENTS = (
    *("/chat/completions", "/completions", "/embeddings"),
    *("/images/generations", "/images/edits"),
    *("/audio/speech", "/audio/transcriptions", "/audio/translations"),
)
_TIMEOUTS = (408, 424, 499, 504)  # its gateway has several
_NO_DEPLOYMENT = ("DeploymentNotFound", "404", None)  # or no such path


def headers(key: str | None) -> list[tuple[bytes, bytes]]:
    """The key, where there is one and no token."""
    return [(b"api-key", key.encode())] if key else []


def address(base_url: str, api_version: str | None) -> Address:
    """
    Where the API of a resource is.

    :param base_url: the resource's URL, with or without ``/openai`` or ``/openai/v1``.
    :param api_version: ``None`` for the v1 API.
    """
    found = plain(base_url)
    path = _API.sub("", found.path, count=1) + "/openai"
    if api_version is None:
        return evolve(found, path=f"{path}/v1")
    query = "&".join(filter(None, [found.query, f"api-version={api_version}"]))
    return evolve(found, path=path, query=query)


@define(eq=False)
class AzurePlanner:
    """
    Plans requests to one resource.

    :ivar deployments: the name of the model stands in the path.
    """

    deployments: bool
    _openai: OpenAIPlanner

    async def __call__(self, asked: Asked, model: str) -> Plan:
        plan = await self._openai(asked, model)
        if not self.deployments or plan.path not in _OF_DEPLOYMENTS:
            return plan
        return evolve(plan, path=f"/deployments/{segments_of(model)}{plan.path}")


def planner(
    deployments: bool, stream_usage: bool, limit: int, responses: bool
) -> AzurePlanner:
    """See `AzurePlanner` and `modelplex.providers.openai.OpenAIPlanner`."""
    return AzurePlanner(
        deployments, OpenAIPlanner(stream_usage, limit, responses, decode_error)
    )


def decode_error(status: int, body: bytes) -> GatewayError:
    """
    What an error answer means: OpenAI's shape, with a few words of its own.

    Its code may be the status as text, which is no code, and what comes from a
    gateway before it may have no ``error`` at all.
    """
    error = openai.decode_error(504 if status in _TIMEOUTS else status, body)
    if not isinstance(error, UpstreamRejected):
        return error
    code = error.code
    if error.status == 404 and code in _NO_DEPLOYMENT:
        kind: type[UpstreamRejected] = UpstreamModelMissing
        code = "model_not_found"
    else:
        kind = type(error)
        if code is not None and code.isdecimal():
            code = None
    if (kind, code) == (type(error), error.code):
        return error
    return kind(
        error.message,
        status=error.status,
        type=error.type,
        param=error.param,
        code=code,
        body=_with_code(error.body, code),
    )


def _with_code(body: bytes, code: str | None) -> bytes:
    """The same body with another code, or none if it is of another shape."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return b""
    found = said.get("error") if isinstance(said, dict) else None
    if not isinstance(found, dict):
        return b""
    return msgspec.json.encode({**said, "error": {**found, "code": code}})
