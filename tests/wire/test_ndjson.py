"""Lines of JSON cut out of a stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import UpstreamMalformed
from modelplex.testing.strategies import chopped
from modelplex.wire.ndjson import Lines


@given(stream=st.text("ab\r\n {}", max_size=30).map(str.encode), data=st.data())
def test_chunking_never_matters(stream: bytes, data: st.DataObject) -> None:
    lines = Lines()
    found = [line for c in data.draw(chopped(stream)) for line in lines.feed(c)]
    found += lines.eof()
    assert found == [line for line in map(bytes.strip, stream.split(b"\n")) if line]
    assert lines.eof() == []


def test_a_line_over_the_limit_is_an_error_and_one_at_the_limit_is_not() -> None:
    lines = Lines(limit=3)
    assert lines.feed(b"abc") == []
    assert lines.feed(b"\nab") == [b"abc"]
    with pytest.raises(UpstreamMalformed, match="over 3 bytes"):
        lines.feed(b"cd")
