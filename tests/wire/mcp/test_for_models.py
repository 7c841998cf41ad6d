"""Tools and results of MCP as a model is told of them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given

from modelplex.events import Image, Inline, Text, Tool
from modelplex.testing.pieces import json_values
from modelplex.wire.mcp.for_models import MOST, answered, is_tellable, tool_of


def told(*blocks: Any, **more: Any) -> list[Any]:
    pieces, _ = answered({"content": list(blocks), **more})
    return [piece.text if isinstance(piece, Text) else piece for piece in pieces]


def test_a_tool_has_its_description_or_else_its_title() -> None:
    schema = {"type": "object", "properties": {}}
    tool = {"name": "a", "title": "A", "inputSchema": schema}
    assert tool_of("s__a", tool) == Tool("s__a", "A", schema)
    assert tool_of("s__a", {**tool, "description": "Does"}).description == "Does"
    assert tool_of("s__a", {"name": "a"}) == Tool("s__a", None, {"type": "object"})


def test_content_of_every_kind_reaches_the_model() -> None:
    assert told(
        {"type": "text", "text": "hi"},
        {"type": "text", "text": ""},
        {"type": "image", "mimeType": "image/png", "data": "aG\nk="},
        {"type": "image", "mimeType": "image/png", "data": "!"},
        {"type": "image", "mimeType": "image/tiff", "data": "aGk="},
        {"type": "audio", "mimeType": "audio/wav", "data": "aGk="},
        {"type": "resource_link", "uri": "x:1", "name": "one", "description": "d"},
        {"type": "resource", "resource": {"uri": "x:1", "text": "inside"}},
        {
            "type": "resource",
            "resource": {"uri": "x:2", "mimeType": "image/png", "blob": "aGk="},
        },
        {"type": "resource", "resource": {"uri": "x:3", "blob": "aGk="}},
        {"type": "hologram", "x": 1},
    ) == [
        "hi",
        Image(Inline("image/png", "aGk=")),
        "[an image that cannot be read]",
        "[image, image/tiff]",
        "[audio, audio/wav]",
        "one: x:1 (d)",
        "x:1\ninside",
        Image(Inline("image/png", "aGk=")),
        "[x:3, of an unknown type]",
        '{"type":"hologram","x":1}',
    ]


def test_structure_stands_in_for_content_that_is_not_there() -> None:
    assert told(structuredContent={"a": 1}) == ['{"a":1}']
    assert told({"type": "text", "text": "a"}, structuredContent={"a": 1}) == ["a"]


@pytest.mark.parametrize(("said", "is_error"), [(True, True), ("yes", False)])
def test_an_error_is_one_when_the_tool_says_so(said: Any, is_error: bool) -> None:
    assert answered({"content": [], "isError": said})[1] is is_error


def test_pieces_without_end_are_cut() -> None:
    found = told(*[{"type": "text", "text": "a"}] * (MOST + 5))
    assert len(found) == MOST + 1 and "5 more" in found[-1]


def test_half_characters_are_not_passed_on() -> None:
    half = json.loads('"a\\ud800"')
    [text] = told({"type": "text", "text": half})
    assert msgspec.json.encode(text)
    assert not is_tellable({"name": "a", "description": half})
    assert is_tellable({"name": "a", "description": "b"})


@given(json_values())
def test_whatever_a_server_answers_can_be_sent_on(value: Any) -> None:
    for result in (value, {"content": value}, {"content": [value]}):
        pieces, is_error = answered(result)
        assert isinstance(is_error, bool)
        for piece in pieces:
            assert not isinstance(piece, Text) or msgspec.json.encode(piece.text)
