"""Objects opened as far as their own keys: spliced, never rebuilt, never ambiguous."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelplex.errors import BadRequest
from modelplex.testing.strategies import json_values
from modelplex.wire.jsonobject import JsonObject, open_array, open_object, open_objects

keys = st.one_of(st.sampled_from(["model", "a", "b", "ü", ""]), st.text(max_size=4))
plain_keys = keys.filter(lambda key: json.dumps(key, ensure_ascii=False)[1:-1] == key)
spaces = st.text(" \t\r\n", max_size=3)
objects = st.dictionaries(plain_keys, json_values(), max_size=4)


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """`value` as JSON with white space wherever it may stand."""

    def space() -> str:
        return draw(spaces)

    def write(one: Any) -> str:
        if isinstance(one, dict):
            pairs = [
                f"{space()}{json.dumps(k, ensure_ascii=False)}{space()}:"
                f"{space()}{write(v)}{space()}"
                for k, v in one.items()
            ]
            return "{" + (",".join(pairs) or space()) + "}"
        if isinstance(one, list):
            items = [f"{space()}{write(item)}{space()}" for item in one]
            return "[" + (",".join(items) or space()) + "]"
        return json.dumps(one, ensure_ascii=draw(st.booleans()))

    return space() + write(value) + space()


def encode(value: Any) -> bytes:
    return msgspec.json.encode(value)


@given(data=st.data(), value=objects)
def test_an_object_has_its_members_where_they_were_written(
    data: st.DataObject, value: dict[str, Any]
) -> None:
    text = data.draw(written(value)).encode()
    opened = open_object(text)
    assert list(opened.spans) == list(value)
    for key, member in value.items():
        assert key in opened
        assert json.loads(opened.raw(key) or b"") == member
        assert opened.get(key, Any) == member


@given(
    data=st.data(),
    value=objects,
    changes=st.dictionaries(plain_keys, st.none() | json_values(), max_size=4),
)
def test_a_splice_does_what_it_says_and_a_parser_agrees(
    data: st.DataObject, value: dict[str, Any], changes: dict[str, Any]
) -> None:
    text = data.draw(written(value)).encode()
    given = {k: None if v is None else encode(v) for k, v in changes.items()}
    spliced = open_object(text).splice(given)
    expected = value | changes
    for key, change in changes.items():
        if change is None:
            del expected[key]
    assert json.loads(spliced) == expected
    kept = [key for key in value if key not in changes or changes[key] is not None]
    assert list(json.loads(spliced))[: len(kept)] == kept
    again = open_object(spliced)
    for key in value.keys() - changes.keys():
        assert again.raw(key) == open_object(text).raw(key)


@given(data=st.data(), value=objects.filter(bool), new=json_values())
def test_a_value_is_replaced_and_every_other_byte_stays(
    data: st.DataObject, value: dict[str, Any], new: Any
) -> None:
    text = data.draw(written(value)).encode()
    key = data.draw(st.sampled_from(list(value)))
    start, end = open_object(text).spans[key]
    spliced = open_object(text).splice({key: encode(new)})
    assert spliced == text[:start] + encode(new) + text[end:]


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        (b"{}", {"a": b"1"}, b'{"a":1}'),
        (b" { } ", {"a": b"1", "b": b"2"}, b' { "a":1,"b":2} '),
        (b'{"a":"}"}\n', {"b": b"2"}, b'{"a":"}","b":2}\n'),
        (b'{"a":1 }', {"a": b"2", "b": b"3"}, b'{"a":2 ,"b":3}'),
        (b'{"a":1}', {"b": None}, b'{"a":1}'),
        (b'{"a": 1.0, "b":2}', {"b": None}, b'{"a":1.0}'),
        (b'{"a":1}', {"a": None}, b"{}"),
    ],
)
def test_splices_as_they_are_written(
    text: bytes, changes: dict[str, bytes | None], expected: bytes
) -> None:
    assert open_object(text).splice(changes) == expected


# --- what is refused --------------------------------------------------------


@given(
    st.one_of(
        st.binary(max_size=40),
        st.text('{}[]":,\\ \nabu01e.-', max_size=30).map(str.encode),
        json_values().map(encode),
    )
)
def test_any_bytes_are_an_object_or_a_bad_request(text: bytes) -> None:
    try:
        opened = open_object(text)
    except BadRequest as e:
        assert e.status == 400
        return
    seen: list[tuple[str, Any]] = json.loads(text, object_pairs_hook=list)
    assert [key for key, _ in seen] == list(opened.spans)
    assert isinstance(json.loads(text), dict)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"a":1,"a":1}', "twice"),
        (b'{"a":1,"b":2,"a":1}', "twice"),
        (b'{"a":[1],"a":[1,2]}', "twice"),
        (b'{"a":"x","a":"xy"}', "twice"),
        (b'{"a":1 ,\n"a" : 2}', "twice"),
        (b'{"a":12,"a":1}', ""),
        (b'{"model":"m","\\u006dodel":"n"}', "twice"),
        (b'{"\\u006dodel":"n"}', "escapes"),
        (b'{"a\\/b":1}', "escapes"),
        (b"\xef\xbb\xbf{}", "byte 0"),
        (b'{"a":1}{"a":2}', "trailing"),
        (b'{"a":1} x', "trailing"),
        (b'{"a":1}\x00', "trailing"),
        (b'{"a":"\xff"}', "UTF-8 at byte 6"),
        (b'{"a":"\xed\xa0\x80"}', "UTF-8"),
        (b'{"a\x00":1}', "byte 3"),
        (b'{"a":1', "truncated"),
        (b"", "truncated"),
        (b"[]", "object is expected"),
        (b"null", "object is expected"),
        (b'"{}"', "object is expected"),
        (b'{"a":NaN}', "byte 5"),
        (b"{'a':1}", "byte 1"),
        (b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "deep"),
        (b'{"a":' * 200_000, "deep"),
    ],
)
def test_what_parsers_read_differently_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(BadRequest) as caught:
        open_object(text, "the body")
    assert str(caught.value).startswith("the body: ")
    assert why in str(caught.value)


@pytest.mark.parametrize("value", [b'"x"', b"null", b"[1]", b'{"a":1}'])
def test_a_value_of_another_type_names_its_field(value: bytes) -> None:
    opened = open_object(b'{"count":' + value + b"}")
    with pytest.raises(BadRequest, match="count") as caught:
        opened.get("count", int)
    assert caught.value.param == "count"


def test_an_absent_value_is_the_default() -> None:
    opened = open_object(b'{"a":null}')
    assert opened.get("b", int, 7) == 7
    assert opened.raw("b") is None
    assert opened.get("a", int | None, 7) is None


# --- arrays -----------------------------------------------------------------


@given(data=st.data(), items=st.lists(json_values(), max_size=4))
def test_an_array_gives_its_items_as_written(
    data: st.DataObject, items: list[Any]
) -> None:
    text = data.draw(written(items)).encode()
    assert [json.loads(item) for item in open_array(text, "x")] == items


@pytest.mark.parametrize("text", [b"{}", b"1", b"[", b"[1,]", b'"[]"', b"null"])
def test_what_is_no_array_is_refused(text: bytes) -> None:
    with pytest.raises(BadRequest, match="tools"):
        open_array(text, "tools")
    with pytest.raises(BadRequest, match="tools"):
        open_objects(text, "tools")


members = st.lists(
    st.tuples(st.sampled_from(["", "a", "ab", "type", "ü"]), json_values(2)),
    max_size=3,
)


@st.composite
def loose_arrays(draw: st.DrawFn) -> str:
    """An array of objects: keys may stand twice, and space stands where it can."""

    def key(name: str) -> str:
        if name and draw(st.integers(0, 3)) == 0:
            return f'"\\u{ord(name[0]):04x}{name[1:]}"'
        return f'"{name}"'

    def write(pairs: list[tuple[str, Any]]) -> str:
        inner = [
            f"{draw(spaces)}{key(k)}{draw(spaces)}:{encode(v).decode()}"
            for k, v in pairs
        ]
        return "{" + ",".join(inner) + draw(spaces) + "}"

    items = draw(st.lists(members, max_size=3))
    return "[" + ",".join(draw(spaces) + write(item) for item in items) + "]"


@given(loose_arrays())
@example('[{"":0,"":0}]')
@example('[{"a":1,"a":1}]')
@example('[{"long_key_of_an_object":1},{"":1,"":2}]')
@example('[{"ü":1,"ü":1}]')
@example('[{"type":"function","\\u0074ype":"web_search"}]')
def test_no_object_in_which_a_parser_sees_a_key_twice_is_accepted(text: str) -> None:
    seen: list[list[tuple[str, Any]]] = []
    twice = False

    def pairs(found: list[tuple[str, Any]]) -> Any:
        return found

    for item in json.loads(text, object_pairs_hook=pairs):
        seen.append(item)
        twice = twice or len({key for key, _ in item}) != len(item)
    try:
        opened = open_objects(text.encode(), "tools")
    except BadRequest:
        # Refused for a key that stands twice, or for escapes, and nothing else.
        assert twice or "\\u" in text
        return
    assert not twice
    assert [list(one) for one in opened] == [[k for k, _ in item] for item in seen]


@given(data=st.data(), items=st.lists(objects, max_size=3))
def test_every_unambiguous_array_of_objects_is_accepted(
    data: st.DataObject, items: list[dict[str, Any]]
) -> None:
    text = data.draw(written(items)).encode()
    opened = open_objects(text, "x")
    assert [{k: json.loads(bytes(v)) for k, v in o.items()} for o in opened] == items


def test_a_json_object_is_a_value() -> None:
    assert open_object(b'{"a":1}') == JsonObject(b'{"a":1}', {"a": (5, 6)})
