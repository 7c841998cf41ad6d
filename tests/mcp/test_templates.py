"""Which template a URI is of."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.mcp.templates import literal, matches


@pytest.mark.parametrize(
    ("template", "uri", "does"),
    [
        ("test://template/{id}/data", "test://template/123/data", True),
        ("test://template/{id}/data", "test://template/123/date", False),
        ("file:///{+path}", "file:///a/b/c", True),
        ("x:{a}-{b}", "x:1-2", True),
        ("x:{a}-{b}", "x:12", False),
        ("x:plain", "x:plain", True),
        ("x:plain", "x:plain2", False),
        ("x:ab{a}ba", "x:aba", False),
        ("{a}", "", True),
    ],
)
def test_templates_and_uris(template: str, uri: str, does: bool) -> None:
    assert matches(template, uri) is does


@given(
    st.lists(st.text(alphabet="abc:/", max_size=4), min_size=1, max_size=6), st.data()
)
def test_every_expansion_is_found(pieces: list[str], data: st.DataObject) -> None:
    template, uri = pieces[0], pieces[0]
    for piece in pieces[1:]:
        template += "{v}" + piece
        uri += data.draw(st.text(alphabet="abc:/", max_size=4)) + piece
    assert matches(template, uri)
    assert literal(template) == sum(map(len, pieces))


def test_regex_dos_by_a_template_takes_no_time() -> None:
    template = "x:" + "{+a}a" * 200 + "b"
    before = perf_counter()
    assert not matches(template, "x:" + "a" * 1000)
    assert perf_counter() - before < 0.2
