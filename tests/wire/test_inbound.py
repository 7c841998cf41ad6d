"""What the page about fidelity says of guests is what their dialects read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from modelplex import fidelitydoc
from modelplex.errors import GatewayError, UnsupportedField
from modelplex.events import Inline, Url
from modelplex.wire.dialect import Encoded
from modelplex.wire.embeddings import (
    OLLAMA_EMBEDDINGS,
    OPENAI_EMBEDDINGS,
    EmbeddingsDialect,
)
from modelplex.wire.fidelity import Fate, Feature, features
from modelplex.wire.gemini.embeddings import GEMINI_EMBEDDINGS
from modelplex.wire.gemini.signatures import seal
from modelplex.wire.inbound import EMBEDDINGS, INBOUND, Inbound
from modelplex.wire.jsonobject import open_object
from modelplex.wire.ollama.dialect import OLLAMA_GENERATE
from modelplex.wire.openai.dialect import OPENAI_COMPLETIONS

PAGE = Path(__file__).parent.parent.parent / "docs" / "fidelity.rst"
GOLDEN = Path(__file__).parent / "golden"

PNG = Inline("image/png", "iVBORw0KGgo=")
PDF = Inline("application/pdf", "JVBERi0xLjc=")
WEB = Url("https://example.org/x")
WAV = "UklGRiQAAABXQVZF"
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def golden(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((GOLDEN / name).read_bytes())
    return body


def test_the_page_is_what_the_dialects_declare() -> None:
    page = fidelitydoc.render() + "\n"
    assert PAGE.read_text() == page, "run python -m modelplex.fidelitydoc"


CHAT: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "user", "content": "Hi", "name": "ann"},
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": WEB.url, "detail": "low"}},
                {
                    "type": "image_url",
                    "image_url": f"data:image/png;base64,{PNG.content}",
                },
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "x"}},
                {
                    "type": "file",
                    "file": {"file_data": PDF.content, "filename": "a.pdf"},
                },
                {"type": "file", "file": {"file_id": "f"}},
                {"type": "text", "text": "x", "cache_control": {}},
            ],
        },
        {
            "role": "assistant",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln"},
                {"type": "reasoning.encrypted", "data": "c2ln"},
            ],
            "tool_calls": [
                {"id": "a", "type": "custom", "custom": {"name": "c", "input": "x"}}
            ],
        },
        {
            "role": "tool",
            "tool_call_id": "a",
            "content": [{"type": "image_url", "image_url": WEB.url}],
        },
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "strict": True}},
        {"type": "custom", "custom": {"name": "c"}},
    ],
    "parallel_tool_calls": False,
    "reasoning_effort": "low",
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "max_completion_tokens": 5,
    "logprobs": True,
    "modalities": ["audio", "text"],
    "audio": {"voice": "x", "format": "wav"},
    "n": 2,
}
SAMPLING: dict[str, Any] = {
    "model": "m",
    "max_tokens": 5,
    "temperature": 1,
    "top_p": 1,
    "top_k": 5,
    "min_p": 0,
    "stop": "x",
    "seed": 1,
    "presence_penalty": 1,
    "frequency_penalty": 1,
    "user": "ann",
    "logit_bias": {"1": 1},
}


def chats() -> Iterable[dict[str, Any]]:
    named = {"type": "function", "function": {"name": "f"}}
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}
    for choice, form in (
        ("none", {"type": "json_object"}),
        ("required", schema),
        (named, {"type": "text"}),
    ):
        yield {**CHAT, **SAMPLING, "tool_choice": choice, "response_format": form}


def completions() -> Iterable[dict[str, Any]]:
    yield {**SAMPLING, "prompt": "Hi", "suffix": "x", "logprobs": 1}


def responses() -> Iterable[dict[str, Any]]:
    body = golden("responses/request.json")
    body["input"].append({"role": "developer", "content": "Be brief."})
    body["input"].append(
        {"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}
    )
    named = {"type": "function", "name": "look_up"}
    for choice in ("none", "required", named):
        yield {**body, "tool_choice": choice}
    yield {**body, "text": {"format": {"type": "json_object"}}}


def anthropic() -> Iterable[dict[str, Any]]:
    body = golden("anthropic/request.json")
    config = {**body["output_config"], "effort": "low"}
    body |= {"temperature": 1, "top_p": 1, "top_k": 5, "output_config": config}
    body |= {"service_tier": "auto"}
    link = {"type": "url", "url": WEB.url}
    stored = {"type": "file", "file_id": "f"}
    citation = {"type": "char_location", "cited_text": "x", "document_index": 0}
    body["messages"] += [
        {"role": "system", "content": "Be kind."},
        {
            "role": "user",
            "content": [
                {"type": "document", "source": link},
                {"type": "document", "source": stored},
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "x", "citations": [citation]}],
        },
    ]
    for choice in ({"type": "none"}, {"type": "any"}, {"type": "tool", "name": "now"}):
        yield {**body, "tool_choice": choice}
    yield body


def gemini() -> Iterable[dict[str, Any]]:
    body = golden("gemini/request.json")
    settings = body["generationConfig"]
    sealed = {"text": "", "thought": True, "thoughtSignature": seal("b3BhcXVl")}
    body["contents"] += [
        {"role": "model", "parts": [sealed]},
        {
            "role": "user",
            "parts": [
                {"fileData": {"fileUri": f"{WEB.url}.pdf", "displayName": "a.pdf"}},
                {"fileData": {"fileUri": "files/abc"}},
            ],
        },
    ]
    for mode in ("NONE", "ANY"):
        calling = {"functionCallingConfig": {"mode": mode}}
        yield {**body, "toolConfig": calling, "safetySettings": []}
    budget = {"thinkingBudget": 2048}
    plain = {"responseMimeType": "application/json", "thinkingConfig": budget}
    yield {**body, "generationConfig": {**plain, "candidateCount": 2}}
    yield {**body, "generationConfig": settings}


OPTIONS = {
    **{key: SAMPLING[key] for key in ("temperature", "top_p", "top_k", "min_p")},
    "seed": 1,
    "presence_penalty": 1,
    "frequency_penalty": 1,
    "stop": ["x"],
    "num_predict": 5,
    "num_ctx": 8192,
}


def ollama() -> Iterable[dict[str, Any]]:
    body = golden("ollama/client_chat_request.json")
    body["messages"] += [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Listen.", "images": [WAV]},
        {"role": "assistant", "tool_calls": body["messages"][2]["tool_calls"]},
        {"role": "tool", "content": "a", "tool_name": "look", "images": [PNG.content]},
        {"role": "tool", "content": "b", "tool_name": "weigh"},
    ]
    yield {**body, "options": OPTIONS}
    yield {**body, "format": "json", "think": True}


def generate() -> Iterable[dict[str, Any]]:
    body = golden("ollama/client_generate_request.json")
    body |= {"options": OPTIONS, "logprobs": True, "think": "low"}
    body["images"].append(WAV)
    yield body
    yield {**body, "think": True, "format": SCHEMA}


BODIES = {
    "openai-chat": chats,
    "openai-completions": completions,
    "openai-responses": responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "ollama": ollama,
    "ollama-generate": generate,
}


def test_there_is_a_table_for_every_dialect() -> None:
    assert [inbound.dialect.name for inbound in INBOUND] == list(BODIES)
    for inbound in INBOUND:
        assert inbound.dialect not in inbound.targets


@pytest.mark.parametrize("inbound", INBOUND, ids=lambda i: i.dialect.name)
def test_every_feature_on_the_page_can_be_asked_for_and_no_other(
    inbound: Inbound,
) -> None:
    found: set[Feature] = set()
    for body in BODIES[inbound.dialect.name]():
        opened = open_object(json.dumps(body).encode())
        request = inbound.dialect.decode_request(opened)
        found |= {feature for feature, _ in features(request)}
    assert found == set(inbound.asks)


@pytest.mark.parametrize("inbound", INBOUND, ids=lambda i: i.dialect.name)
def test_the_words_of_a_guest_stand_in_its_requests(inbound: Inbound) -> None:
    said = json.dumps(list(BODIES[inbound.dialect.name]()))
    for feature, path in inbound.words.items():
        assert feature in inbound.asks
        for word in path.split("."):
            assert f'"{word}"' in said, path


HELLO: dict[str, dict[str, Any]] = {
    "openai-chat": {"messages": [{"role": "user", "content": "Hi"}]},
    "openai-completions": {"prompt": "a"},
    "openai-responses": {"input": "Hi"},
    "anthropic": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5},
    "gemini": {"contents": [{"parts": [{"text": "Hi"}]}]},
    "ollama": {"messages": [{"role": "user", "content": "Hi"}]},
    "ollama-generate": {"prompt": "a"},
}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (
            "openai-chat",
            {"messages": [{"role": "user", "content": [{"type": "video_url"}]}]},
        ),
        ("openai-chat", {"messages": [{"role": "assistant", "audio": {"id": "a"}}]}),
        ("openai-chat", {"tools": [{"type": "web_search"}]}),
        ("openai-chat", {"modalities": ["video"]}),
        ("openai-completions", {"prompt": ["a", "b"]}),
        ("openai-completions", {"prompt": [1, 2]}),
        ("openai-completions", {"n": 2}),
        ("openai-completions", {"best_of": 2}),
        ("openai-completions", {"echo": True}),
        ("openai-responses", {"background": True}),
        ("openai-responses", {"conversation": "conv_1"}),
        ("openai-responses", {"prompt": {"id": "pmpt_1"}}),
        ("openai-responses", {"input": [{"type": "compaction"}]}),
        (
            "openai-responses",
            {"input": [{"role": "user", "content": [{"type": "input_video"}]}]},
        ),
        ("openai-responses", {"tool_choice": {"type": "web_search"}}),
        ("anthropic", {"output_config": {"format": {"type": "text"}}}),
        ("gemini", {"cachedContent": "cachedContents/x"}),
        ("gemini", {"generationConfig": {"responseModalities": ["AUDIO"]}}),
        ("gemini", {"generationConfig": {"responseMimeType": "text/x.enum"}}),
        ("ollama", {"tools": [{"type": "x", "function": {"name": "f"}}]}),
        ("ollama-generate", {"template": "x"}),
        ("ollama-generate", {"context": [1]}),
        ("ollama-generate", {"raw": True}),
    ],
)
def test_what_no_translation_takes_is_refused(name: str, body: dict[str, Any]) -> None:
    dialect = next(i.dialect for i in INBOUND if i.dialect.name == name)
    dialect.decode_request(
        open_object(json.dumps({"model": "m"} | HELLO[name]).encode())
    )
    text = json.dumps({"model": "m"} | HELLO[name] | body)
    with pytest.raises(GatewayError) as caught:
        dialect.decode_request(open_object(text.encode()))
    assert caught.value.status == 400
    assert caught.value.param is not None


def test_completions_take_no_instruction_of_a_generate_guest() -> None:
    body = open_object(b'{"model":"m","system":"Be brief.","prompt":"Hi"}')
    request = OLLAMA_GENERATE.decode_request(body)
    with pytest.raises(UnsupportedField):
        OPENAI_COMPLETIONS.encode_request(request)


# --- embeddings -------------------------------------------------------------

PROVIDERS = {
    "OpenAI": OPENAI_EMBEDDINGS,
    "Ollama": OLLAMA_EMBEDDINGS,
    "Gemini": GEMINI_EMBEDDINGS,
}
ASKED: dict[str, dict[str, Any]] = {
    "input: texts": {"input": ["a", "b"]},
    "input: tokens": {"input": [1, 2]},
    "dimensions": {"dimensions": 3},
    "encoding_format": {"encoding_format": "base64"},
    "user": {"user": "ann"},
    "other fields": {"x": 1},
}


def embedded(provider: EmbeddingsDialect, **body: Any) -> Encoded:
    text = json.dumps({"model": "m", "input": "a", **body}).encode()
    asked = OPENAI_EMBEDDINGS.decode_request(open_object(text))
    return provider.encode_request(asked)


@pytest.mark.parametrize("title", EMBEDDINGS)
@pytest.mark.parametrize("name", ASKED)
def test_embeddings_are_translated_as_the_page_says(title: str, name: str) -> None:
    provider = PROVIDERS[title]
    fate = EMBEDDINGS[title][name].fate
    bare = embedded(provider)
    assert bare.dropped == ()
    if fate is Fate.REFUSED:
        with pytest.raises(UnsupportedField) as caught:
            embedded(provider, **ASKED[name])
        assert caught.value.param == "input"
        return
    encoded = embedded(provider, **ASKED[name])
    if fate is Fate.DROPPED:
        assert encoded.dropped == tuple(ASKED[name])
    else:
        assert encoded.dropped == ()
    assert (encoded.body != bare.body) is (fate is Fate.CARRIED)


@pytest.mark.parametrize(
    ("title", "members"),
    [
        ("Ollama", {"truncate": True, "keep_alive": 0, "options": {"num_ctx": 8}}),
        ("Gemini", {"taskType": "SEMANTIC_SIMILARITY", "title": "x"}),
    ],
)
def test_embeddings_carry_a_providers_own_members(
    title: str, members: dict[str, Any]
) -> None:
    encoded = embedded(PROVIDERS[title], **members)
    assert encoded.dropped == ()
    for key, value in members.items():
        assert f'"{key}":{json.dumps(value, separators=(",", ":"))}'.encode() in (
            encoded.body
        )
    assert set(EMBEDDINGS[title]) == set(ASKED)
