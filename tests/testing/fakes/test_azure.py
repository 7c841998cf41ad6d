from __future__ import annotations

import json
from typing import Any

import pytest

from modelplex.testing.fakes.azure import Azure
from modelplex.testing.fakes.entra import Entra
from modelplex.testing.fakes.script import Script
from modelplex.testing.fakes.speaker import Answer, Asked, Refused

DEPLOYED = "/openai/deployments/m/chat/completions"
BODY: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def post(
    path: str,
    query: str = "api-version=2024-10-21",
    headers: dict[str, str] | None = None,
    fake: Azure | None = None,
    **more: Any,
) -> Answer:
    json_ = {"content-type": "application/json", **(headers or {"api-key": "k"})}
    body = json.dumps({**BODY, **more}).encode()
    asked = Asked("POST", path, json_, body, query)
    return (fake or Azure(("m",), "k")).answer(asked, Script())


def refused(*args: Any, **more: Any) -> tuple[int, str | None]:
    with pytest.raises(Refused) as raised:
        post(*args, **more)
    return raised.value.status, raised.value.code


def test_the_deployment_of_the_address_counts() -> None:
    reply = json.loads(b"".join(post(DEPLOYED, model="other").pieces))
    assert reply["model"] == "m"
    assert reply["choices"][0]["content_filter_results"]["hate"]["severity"] == "safe"


def test_what_is_not_there_is_told_apart() -> None:
    missing = DEPLOYED.replace("/m/", "/n/")
    assert refused(missing) == (404, "DeploymentNotFound")
    assert refused(DEPLOYED, "") == (404, "404")
    assert refused("/openai/deployments/m/responses") == (404, "404")
    assert refused("/v1/chat/completions") == (404, "404")
    assert refused("/openai/v1/chat/completions", model="n")[0] == 404
    post("/openai/v1/chat/completions", "")


def test_a_key_in_the_wrong_header_is_refused() -> None:
    bearer = {"authorization": "Bearer k"}
    assert refused(DEPLOYED, headers=bearer) == (401, "401")
    assert refused(DEPLOYED, headers={"api-key": "x"}) == (401, "401")
    post("/openai/v1/chat/completions", headers=bearer)


def test_the_first_chunk_has_no_choice() -> None:
    answer = post(DEPLOYED, stream=True)
    first = json.loads(answer.announcing[0].removeprefix(b"data: "))
    assert first["choices"] == [] and first["id"] == "" and first["created"] == 0
    assert first["prompt_filter_results"]


def test_errors_are_azures() -> None:
    fake = Azure()
    denied = json.loads(fake.refusal(401, "no", "401"))
    assert denied == {"error": {"code": "401", "message": "no"}}
    held = json.loads(fake.refusal(400, "no", "content_filter"))["error"]
    assert held["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    assert (held["type"], held["param"], held["status"]) == (None, "prompt", 400)


FORM = {
    "grant_type": "client_credentials",
    "client_id": "client-x",
    "client_secret": "secret-x",
    "scope": "https://cognitiveservices.azure.com/.default",
}


def token(entra: Entra, tenant: str = "tenant-x", **changed: str) -> Any:
    form = "&".join(f"{k}={v}" for k, v in {**FORM, **changed}.items())
    asked = Asked("POST", f"/{tenant}/oauth2/v2.0/token", {}, form.encode())
    return json.loads(b"".join(entra.answer(asked, Script()).pieces))


def test_a_token_is_good_until_it_expires_or_is_revoked() -> None:
    seconds = [0.0]
    entra = Entra(expires_in=60, now=lambda: seconds[0])
    told = token(entra)
    assert (told["token_type"], told["expires_in"]) == ("Bearer", 60)
    fake = Azure(("m",), "", entra)
    bearer = {"authorization": f"Bearer {told['access_token']}"}
    post(DEPLOYED, headers=bearer, fake=fake)
    seconds[0] = 60.0
    assert refused(DEPLOYED, headers=bearer, fake=fake) == (401, "401")
    again = {"authorization": f"Bearer {token(entra)['access_token']}"}
    post(DEPLOYED, headers=again, fake=fake)
    entra.revoke()
    assert refused(DEPLOYED, headers=again, fake=fake) == (401, "401")
    assert entra.asked == 2


@pytest.mark.parametrize(
    ("changed", "status", "word"),
    [
        ({"client_secret": "x"}, 401, "invalid_client"),
        ({"client_id": "x"}, 400, "unauthorized_client"),
        ({"scope": "x"}, 400, "invalid_scope"),
        ({"grant_type": "x"}, 400, "unsupported_grant_type"),
        ({"tenant": "x"}, 400, "invalid_request"),
    ],
)
def test_a_token_is_refused_with_the_reason(
    changed: Any, status: int, word: str
) -> None:
    entra = Entra()
    with pytest.raises(Refused) as raised:
        token(entra, **changed)
    error = raised.value
    told = json.loads(entra.refusal(error.status, error.message, error.code))
    assert (error.status, told["error"]) == (status, word)
    assert told["error_description"].startswith("AADSTS")
