"""What of images, audio and moderations a policy leaves closed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelplex.errors import BadRequest, Forbidden, GatewayError
from modelplex.guests.closed_media import close, close_field, close_files
from modelplex.guests.policy import WORDS, Policy
from modelplex.wire.jsonobject import open_object

CLOSED = Policy("g")
OPEN = Policy("g", allow=frozenset(WORDS))


def hold(policy: Policy = CLOSED, **members: Any) -> None:
    body = open_object(json.dumps({"model": "m", **members}).encode())
    admitted = close(body, "m", policy)
    assert (admitted.changes, admitted.dropped) == ({}, ())


def test_what_gateways_have_of_their_own_is_closed() -> None:
    body = open_object(b'{"model":"m","plugins":[{"id":"web"}]}')
    assert close(body, "m", CLOSED).dropped == ("plugins",)
    hold(OPEN, plugins=[{"id": "web"}])
    for name in ("plugins", "Plugins[]", "web_search_options[x]"):
        with pytest.raises(Forbidden, match="hosted-tools"):
            close_field(name, "web", CLOSED)
        close_field(name, "web", OPEN)


def test_what_is_asked_of_a_model_is_not_looked_at() -> None:
    hold(prompt="https://example.com", n=2, background="transparent", stream=True)
    hold(input="https://example.com", voice={"id": "v"}, new_setting=[1, {"a": "b"}])
    for name in ("prompt", "Prompt", "language", "timestamp_granularities[]"):
        close_field(name, "https://example.com", CLOSED)
    close_field("anything", "[not json", CLOSED)
    close_field("anything", '{"a": 1}', CLOSED)


@pytest.mark.parametrize(
    "members",
    [
        {"image": "https://example.com/a"},
        {"image": {"URL": "x"}},
        {"images": [{"image_url": "//example.com"}]},
        {"file_ids": ["file-1"]},
        {"deep": [{"er": {"file_id": "file-1"}}]},
    ],
)
def test_references_are_closed_by_default(members: Any) -> None:
    with pytest.raises(Forbidden, match="allow = "):
        hold(**members)
    hold(OPEN, **members)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", "example.com"),
        ("audio[url]", "example.com"),
        ("image.url", "example.com"),
        ("File_ID", "file-1"),
        ("image", " https://example.com"),
        ("input", '[{"image_url": "https://example.com"}]'),
    ],
)
def test_references_in_a_field_are_closed_by_default(name: str, value: str) -> None:
    with pytest.raises(Forbidden, match="allow = "):
        close_field(name, value, CLOSED)
    close_field(name, value, OPEN)


@pytest.mark.parametrize("name", ["models", "fallbacks", "Models"])
def test_nothing_but_the_model_names_a_model(name: str) -> None:
    for policy in (CLOSED, OPEN):
        with pytest.raises(GatewayError):
            hold(policy, **{name: ["other"]})
        with pytest.raises(Forbidden):
            close_field(f"{name}[]", "other", policy)


@pytest.mark.parametrize("name", ["Model", "PROMPT"])
def test_another_spelling_of_a_member_is_refused(name: str) -> None:
    members: Any = {name: "x"}
    with pytest.raises(BadRequest, match="write it as"):
        hold(**members)


def test_a_key_that_stands_twice_in_a_field_is_refused() -> None:
    with pytest.raises(BadRequest, match="twice"):
        close_field("anything", '{"a": 1, "a": 2}', CLOSED)


def test_files_are_a_word_of_their_own() -> None:
    with pytest.raises(Forbidden, match='allow = \\["files"\\]'):
        close_files(CLOSED)
    close_files(Policy("g", allow=frozenset({"files"})))
