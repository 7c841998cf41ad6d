"""Base URLs as people write them, made into the URLs that are asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import UnknownModel
from modelplex.outbound.address import Address, parse, plain, segments_of

CHAT = "/chat/completions"


@pytest.mark.parametrize(
    ("base_url", "asked"),
    [
        ("https://api.openai.com", "https://api.openai.com/v1"),
        ("https://api.openai.com/", "https://api.openai.com/v1"),
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("https://api.openai.com//v1//", "https://api.openai.com/v1"),
        ("https://openrouter.ai/api", "https://openrouter.ai/api/v1"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1"),
        ("https://api.groq.com/openai", "https://api.groq.com/openai/v1"),
        ("https://api.groq.com/openai/v1", "https://api.groq.com/openai/v1"),
        ("https://api.mistral.ai/v1", "https://api.mistral.ai/v1"),
        ("https://api.deepseek.com", "https://api.deepseek.com/v1"),
        ("https://api.z.ai/api/paas/v4", "https://api.z.ai/api/paas/v4"),
        (
            "https://generativelanguage.googleapis.com/v1beta/openai/",
            "https://generativelanguage.googleapis.com/v1beta/openai",
        ),
        (
            "https://api.fireworks.ai/inference/v1",
            "https://api.fireworks.ai/inference/v1",
        ),
        (
            "https://dashscope.aliyuncs.com/compatible-mode/v1",
            "https://dashscope.aliyuncs.com/compatible-mode/v1",
        ),
        (
            "https://gateway.ai.cloudflare.com/v1/acc/gw/openai",
            "https://gateway.ai.cloudflare.com/v1/acc/gw/openai",
        ),
        (
            "https://x.openai.azure.com/openai/v1",
            "https://x.openai.azure.com/openai/v1",
        ),
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("http://127.0.0.1:8080/v10x", "http://127.0.0.1:8080/v10x"),
        ("http://h/vx/version1", "http://h/vx/version1/v1"),
    ],
)
def test_an_openai_api_is_found_under_its_version(base_url: str, asked: str) -> None:
    assert parse(base_url, "v1").url(CHAT) == asked + CHAT


@pytest.mark.parametrize(
    ("base_url", "asked"),
    [
        ("https://api.anthropic.com", "https://api.anthropic.com/v1"),
        ("https://api.anthropic.com/v1/", "https://api.anthropic.com/v1"),
        ("https://api.deepseek.com/anthropic", "https://api.deepseek.com/anthropic/v1"),
        ("https://api.z.ai/api/anthropic", "https://api.z.ai/api/anthropic/v1"),
        ("https://api.z.ai/api/anthropic/v1", "https://api.z.ai/api/anthropic/v1"),
        (
            "https://gateway.ai.cloudflare.com/v1/acc/gw/anthropic",
            "https://gateway.ai.cloudflare.com/v1/acc/gw/anthropic/v1",
        ),
    ],
)
def test_an_anthropic_api_is_found_under_its_version(base_url: str, asked: str) -> None:
    assert parse(base_url, "v1").url("/messages") == asked + "/messages"


@pytest.mark.parametrize(
    ("base_url", "asked"),
    [
        ("http://localhost:11434", "http://localhost:11434"),
        ("http://localhost:11434/", "http://localhost:11434"),
        ("http://localhost:11434/v1", "http://localhost:11434"),
        ("http://localhost:11434/api", "http://localhost:11434"),
        ("http://localhost:11434/api/", "http://localhost:11434"),
        ("https://ollama.com", "https://ollama.com"),
        ("https://host/ollama/api", "https://host/ollama"),
    ],
)
def test_ollama_has_no_version(base_url: str, asked: str) -> None:
    assert parse(base_url, None).url("/api/chat") == asked + "/api/chat"


def test_a_query_goes_with_every_request() -> None:
    address = parse("https://h/openai/deployments/d/v1?api-version=2024&x=%20", "v1")
    assert address.url(CHAT) == (
        f"https://h/openai/deployments/d/v1{CHAT}?api-version=2024&x=%20"
    )


def test_a_unix_socket_is_written_percent_encoded() -> None:
    assert parse("http+unix://%2Frun%2Fa%20b.sock/base", "v1") == Address(
        "http://localhost", "/base/v1", socket="/run/a b.sock"
    )
    assert parse("http+unix://%2Frun%2Fllama.sock", None) == Address(
        "http://localhost", "", socket="/run/llama.sock"
    )


@given(st.lists(st.sampled_from(["v1", "api", "a", "anthropic", "v1beta"]), max_size=4))
def test_what_was_found_is_found_again(segments: list[str]) -> None:
    for version in ("v1", None):
        once = parse("https://h/" + "/".join(segments), version)
        assert not once.path.endswith("/")
        if version is not None:
            assert parse(f"{once.origin}{once.path}", version) == once


@pytest.mark.parametrize(
    ("base_url", "asked"),
    [
        ("https://h/a", "https://h/a/x?y=z"),
        ("https://h/a?b=c", "https://h/a/x?y=z&b=c"),
    ],
)
def test_a_path_may_have_a_query_of_its_own(base_url: str, asked: str) -> None:
    assert plain(base_url).url("/x?y=z") == asked


@pytest.mark.parametrize(
    ("model", "safe", "quoted"),
    [
        ("gpt-4o", "", "gpt-4o"),
        ("a/b", "", "a%2Fb"),
        ("a/b", "/", "a/b"),
        ("a b:c@d", "", "a%20b%3Ac%40d"),
        ("...", "", "..."),
        ("\u00fc", "", "%C3%BC"),
    ],
)
def test_a_name_is_quoted_to_stand_in_a_path(
    model: str, safe: str, quoted: str
) -> None:
    assert segments_of(model, safe) == quoted


@pytest.mark.parametrize(
    "model",
    [
        *("", ".", "..", "a//b", "a/..", "../a", "/a", "a/"),
        # What some servers take for a slash, and what ends a path.
        *("a\\b", "..\\a", "a/..\\b", "a?b", "a#b", "a%2Fb", "a%252e", "a%"),
        *("a\nb", "a\0", "a\x7f", "a\x85b"),
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(model: str) -> None:
    with pytest.raises(UnknownModel):
        segments_of(model)
