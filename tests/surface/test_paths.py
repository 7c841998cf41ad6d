"""Paths as people really send them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.surface.paths import Route, route

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    "sent",
    [
        CHAT,
        "/chat/completions",
        "/v1/v1/chat/completions",
        "/v1//chat/completions",
        "//v1/chat/completions",
        "/openai/v1/chat/completions",
        "/openai/chat/completions",
        "/api/v1/chat/completions",
        "/v1beta/openai/chat/completions",
    ],
)
def test_a_base_url_may_be_written_in_many_ways(sent: str) -> None:
    assert route(sent) == Route(CHAT)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("/openai/deployments/gpt-4/chat/completions", Route(CHAT, "gpt-4")),
        ("/openai/deployments/e/embeddings", Route("/v1/embeddings", "e")),
        ("/messages", Route("/v1/messages")),
        ("/v1/v1/messages/count_tokens", Route("/v1/messages/count_tokens")),
        ("/anthropic/v1/messages", Route("/v1/messages")),
        ("/responses", Route("/v1/responses")),
        ("/responses/resp_1/cancel", Route("/v1/responses/resp_1/cancel")),
        ("/models", Route("/v1/models")),
        ("/models/a/b:7b", Route("/v1/models/a/b:7b")),
        ("/v1beta/models", Route("/v1beta/models")),
        ("/v1beta1/models/g", Route("/v1beta/models/g")),
        ("/v1alpha/models/g", Route("/v1beta/models/g")),
        (
            "/v1/models/g:generateContent",
            Route("/v1beta/models/g:generateContent"),
        ),
        (
            "/models/g:streamGenerateContent",
            Route("/v1beta/models/g:streamGenerateContent"),
        ),
        (
            "/v1/v1beta/models/g:countTokens",
            Route("/v1beta/models/g:countTokens"),
        ),
        (
            "/v1beta/tunedModels/g:generateContent",
            Route("/v1beta/tunedModels/g:generateContent"),
        ),
        ("/api/chat", Route("/api/chat")),
        ("/v1/models/llama:7b", Route("/v1/models/llama:7b")),
    ],
)
def test_each_of_them_means_one_route(sent: str, meant: Route) -> None:
    assert route(sent) == meant


@pytest.mark.parametrize(
    "sent",
    [
        "/",
        "/health",
        "/v2/chat/completions",
        "/x/chat/completions",
        "/openai/deployments/a/b/chat/completions",
        "/api/messages",
        "/chat",
        "/v1",
    ],
)
def test_nothing_else_is_understood(sent: str) -> None:
    assert route(sent).path not in (CHAT, "/v1/messages")
    assert not route(sent).deployment


segments = st.sampled_from(
    ["", "v1", "v1beta", "openai", "deployments", "models", "chat", "completions", "x"]
)


@given(st.lists(segments, min_size=1, max_size=7))
def test_a_route_means_itself(parts: list[str]) -> None:
    meant = route("/" + "/".join(parts)).path
    assert meant.startswith("/")
    assert route(meant).path == meant
