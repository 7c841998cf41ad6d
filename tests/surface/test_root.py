"""The routes of a guest's socket, and that there are no others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelplex.config import Guest as Policy
from modelplex.config import Provider
from modelplex.errors import BadRequest, LimitReached
from modelplex.surface.root import render_error
from modelplex.testing.memory.guest import Answered
from modelplex.testing.memory.house import KEY, House, upstream

UPSTREAMS = (upstream("secret-host", models=("gpt-4", "org/model:7b")),)


def got(target: str, method: str = "GET", *headers: str, **more: Any) -> Answered:
    house = House(UPSTREAMS, **more)
    answer = house.guest().get(target, method, *headers)
    house.nothing_is_left()
    assert answer.complete or method == "HEAD"
    assert answer.headers["x-request-id"]
    assert "server" not in answer.headers
    if answer.status >= 400 and method != "HEAD":
        error = answer.error
        assert error.keys() == {"message", "type", "param", "code"}
    return answer


def test_health_says_that_it_is_well_and_nothing_else() -> None:
    answer = got("/health")
    assert answer.status == 200
    health = json.loads(answer.body)
    assert health.keys() == {"status", "service", "version"}
    assert (health["status"], health["service"]) == ("ok", "modelplex")
    for told in (*answer.headers.values(), answer.body.decode()):
        assert KEY not in told and "secret-host" not in told


@pytest.mark.parametrize("target", ["/", "/health", "/v1/models"])
def test_head_is_get_without_the_body(target: str) -> None:
    get, head = got(target), got(target, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    assert head.headers["content-type"] == "application/json"


def test_the_root_says_what_this_is() -> None:
    assert json.loads(got("/").body) == {"service": "modelplex"}


@pytest.mark.parametrize(
    "target",
    [
        *("/v1", "/v1/", "/v2/models", "/admin", "/metrics", "/reload", "/favicon.ico"),
        *("/v1/evals", "/v1/batches", "/v1/chat", "/v1/chat/completions/1", "/%2e%2e"),
        *("/v1/responses/x/y", "/mcp", "/health/x", "/%ff", "/a%00b", "/x?a=b"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH"])
def test_nothing_else_is_served(target: str, method: str) -> None:
    answer = got(target, method)
    assert answer.status in (404, 400)
    assert answer.error["code"] in ("unknown_url", None)


@pytest.mark.parametrize(
    ("target", "method", "allowed"),
    [
        ("/v1/chat/completions", "GET", "POST"),
        ("/v1/completions", "DELETE", "POST"),
        ("/v1/embeddings", "PUT", "POST"),
        ("/v1/models", "POST", "GET, HEAD"),
        ("/v1/models/gpt-4", "DELETE", "GET, HEAD"),
        ("/health", "POST", "GET, HEAD"),
        ("/", "POST", "GET, HEAD"),
        ("/health", "BREW", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(
    target: str, method: str, allowed: str
) -> None:
    answer = got(target, method)
    assert answer.status == 405
    assert answer.headers["allow"] == allowed
    assert answer.error["type"] == "invalid_request_error"


@pytest.mark.parametrize("target", ["/v1/responses", "/v1/realtime?model=x", "/ws"])
@pytest.mark.parametrize("protocol", ["websocket", "WebSocket"])
def test_a_websocket_is_refused_at_once(target: str, protocol: str) -> None:
    upgrade = ("Connection: Upgrade", f"Upgrade: {protocol}")
    answer = got(target, "GET", *upgrade, "Sec-WebSocket-Version: 13")
    assert answer.status == 426
    assert answer.error["code"] == "upgrade_refused"


def test_the_guests_own_request_id_is_kept_if_it_is_sane() -> None:
    assert got("/", "GET", "X-Request-Id: mine-1").headers["x-request-id"] == "mine-1"
    strange = got("/nowhere", "GET", "X-Request-Id: a b;c").headers["x-request-id"]
    assert strange.startswith("req_")


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"", 400, None),
        (b"{", 400, None),
        (b"[]", 400, None),
        (b"\xff", 400, None),
        (b"[" * 100_000, 400, None),
        (b'{"model":"m","model":"n"}', 400, None),
        (b"{}", 400, "model"),
        (b'{"model":""}', 400, "model"),
        (b'{"model":null}', 400, "model"),
        (b'{"model":7}', 400, "model"),
        (b'{"model":"a\\u0000b"}', 400, "model"),
        (b'{"model":"' + b"x" * 300 + b'"}', 400, "model"),
        (b'{"model":"gpt-4","stream":"yes"}', 400, "stream"),
        (b'{"model":"nobodys"}', 404, "model"),
        (b'{"model":"gpt-4","background":true}', 403, "background"),
    ],
)
@pytest.mark.parametrize("path", ["chat/completions", "completions", "embeddings"])
def test_a_request_that_cannot_be_served_is_told_why(
    path: str, body: bytes, status: int, param: str | None
) -> None:
    if path == "embeddings" and param == "stream":
        return  # embeddings have no such field
    house = House(UPSTREAMS)
    guest = house.guest()
    guest.post(f"/v1/{path}", body)
    answer = guest.answer()
    assert answer.complete
    assert answer.status == status
    assert answer.headers["x-should-retry"] == "false"
    if param is not None:
        assert answer.error["param"] == param
    assert house.upstreams.waiting() == []
    assert guest.open
    house.nothing_is_left()


def test_a_name_that_is_near_is_suggested() -> None:
    house = House(UPSTREAMS)
    guest = house.guest()
    guest.post("/v1/chat/completions", {"model": "gpt4", "messages": []})
    answer = guest.answer()
    assert answer.error["code"] == "model_not_found"
    assert "gpt-4" in answer.error["message"]
    assert "secret-host" not in answer.error["message"]
    house.nothing_is_left()


# Models


def test_the_models_are_one_list_for_every_sdk() -> None:
    listed = json.loads(got("/v1/models").body)
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["gpt-4", "org/model:7b"]
    assert listed["has_more"] is False
    assert (listed["first_id"], listed["last_id"]) == ("gpt-4", "org/model:7b")
    [first, _] = listed["data"]
    assert (first["object"], first["type"]) == ("model", "model")
    assert "secret-host" not in json.dumps(listed)


@pytest.mark.parametrize(
    "target",
    ["/v1/models/org/model:7b", "/v1/models/org%2Fmodel%3A7b"],
)
def test_one_model_may_have_any_name(target: str) -> None:
    assert json.loads(got(target).body)["id"] == "org/model:7b"


def test_a_model_that_is_not_there_is_not_found() -> None:
    answer = got("/v1/models/claude")
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")


def test_a_guest_sees_its_own_models_only() -> None:
    policy = Policy(name="default", models=("org/*",))
    listed = json.loads(got("/v1/models", policy=policy).body)
    assert [model["id"] for model in listed["data"]] == ["org/model:7b"]
    hidden = got("/v1/models/gpt-4", policy=policy)
    assert hidden.status == 404
    assert "gpt-4" not in hidden.error["message"].replace("'gpt-4'", "")


def test_a_glob_lists_what_the_upstream_has() -> None:
    providers: tuple[Provider, ...] = (upstream("up", models=("gpt-*",)),)
    house = House(providers)
    guest = house.guest()
    guest.send(b"GET /v1/models HTTP/1.1\r\n\r\n")
    assert guest.answers() == []
    house.upstreams.accept().answer(b'{"data":[{"id":"gpt-4"},{"id":"whisper"}]}')
    listed = json.loads(guest.answer().body)
    assert [model["id"] for model in listed["data"]] == ["gpt-4"]
    house.nothing_is_left()


def test_a_guest_that_leaves_waits_for_no_list() -> None:
    house = House((upstream("up", models=("gpt-*",)),))
    guest = house.guest()
    guest.send(b"GET /v1/models HTTP/1.1\r\n\r\n")
    house.upstreams.accept()
    guest.leave()
    house.reactor.advance(0.25)
    assert house.upstreams.open == []
    house.nothing_is_left()


def test_no_models_are_an_empty_list() -> None:
    policy = Policy(name="default", models=())
    listed = json.loads(got("/v1/models", policy=policy).body)
    assert listed["data"] == []
    assert listed["first_id"] is None


# Before there is a route


def test_an_error_without_a_route_looks_the_same() -> None:
    status, headers, body = render_error(LimitReached("too many", retry_after=2), b"/")
    assert status == 429
    assert dict(headers)[b"retry-after"] == b"2"
    assert json.loads(body)["error"]["message"] == "too many"
    assert render_error(BadRequest("no"), b"/")[0] == 400


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
        ("embeddings", {"input": "hi"}),
    ],
)
def test_a_path_may_name_the_model_as_azures_do(
    call: str, said: dict[str, Any]
) -> None:
    house = House(UPSTREAMS)
    guest = house.guest()
    guest.post(f"/openai/deployments/gpt-4/{call}?api-version=2024-10-21", said)
    house.turn()
    asked = json.loads(house.upstreams.accept().requests()[-1].body)
    assert asked == {**said, "model": "gpt-4"}
    house.nothing_is_left()


def test_a_model_that_cannot_do_it_is_not_one_that_is_not_there() -> None:
    house = House((upstream("up", type="anthropic"),))
    guest = house.guest()
    guest.post("/v1/embeddings", {"model": "m", "input": "hi"})
    answer = guest.answer()
    assert answer.status == 404
    assert "is served, but by no provider that can do this" in answer.error["message"]
    house.nothing_is_left()


@pytest.mark.parametrize("stream", [True, False, None])
@pytest.mark.parametrize(
    ("path", "empty", "said"),
    [
        ("chat", {"messages": []}, "message"),
        ("generate", {}, "response"),
        ("generate", {"prompt": ""}, "response"),
    ],
)
def test_a_client_of_ollamas_may_load_a_model_and_nobody_is_asked(
    path: str, empty: dict[str, Any], said: str, stream: bool | None
) -> None:
    house = House(UPSTREAMS)
    for more, reason in ({}, "load"), ({"keep_alive": 0}, "unload"):
        guest = house.guest()
        asked = {"model": "gpt-4", "stream": stream, **empty, **more}
        guest.post(f"/api/{path}", asked)
        answer = guest.answer()
        told = json.loads(answer.body)
        assert (answer.status, told["done"]) == (200, True)
        assert told["done_reason"] == reason
        assert said in told and told["model"] == "gpt-4"
    unknown = house.guest()
    unknown.post(f"/api/{path}", {"model": "nobodys", **empty})
    assert unknown.answer().status == 404
    assert house.upstreams.waiting() == []
    house.nothing_is_left()


def test_a_client_of_mcp_is_told_at_once_that_there_are_no_tools() -> None:
    house = House(UPSTREAMS)
    guest = house.guest()
    guest.send(b'{"jsonrpc":"2.0","id":1,"method":"initialize"}\n')
    told = json.loads(guest.wire)
    assert told["error"]["code"] == -32601 and told["id"] is None
    house.turn()
    assert not guest.open
    house.nothing_is_left()
