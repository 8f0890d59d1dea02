"""Records out of bytes, whatever stands between them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.infrastructure.adapters.local_process.stream_formats.record_lines import (
    RecordLines,
    read_records,
)


@pytest.mark.parametrize(
    ("line", "records", "rest"),
    [
        ('{"a": 1}', [{"a": 1}], ""),
        ('{"a": 1}{"b": 2} {"c": 3}', [{"a": 1}, {"b": 2}, {"c": 3}], ""),
        ('log: {"a": 1}', [{"a": 1}], "log:"),
        ('{"a": 1} and more', [{"a": 1}], "and more"),
        # The beginning is lost: what is left of it is no record of its own.
        ('se": {"type": "result"}}', [], 'se": {"type": "result"}}'),
        ("plain", [], "plain"),
        ("[1, 2]", [], "[1, 2]"),
        ('{"a": ', [], '{"a":'),
        ('{"a": "\\ud800"}', [{"a": "\ud800"}], ""),
        ("{" * 100_000, [], "{" * 100_000),
        ('{"a": ' + "9" * 5000 + "}", [], None),
    ],
)
def test_lines(line: str, records: list[object], rest: str | None) -> None:
    """Several behind one another, something before them, nothing that is broken."""
    found, left = read_records(line)

    assert found == records
    assert rest is None or left == rest


def test_a_line_above_the_limit_is_dropped() -> None:
    """And the next one is read."""
    lines = RecordLines(limit=100)

    found = list(lines.feed(b'{"a": "' + b"x" * 200))
    found += lines.feed(b'"}\n{"b": 2}\n')

    assert (found, lines.dropped) == ([{"b": 2}], 1)


def test_what_is_no_record_is_kept_in_bounds() -> None:
    """The last lines of it, cut."""
    lines = RecordLines()

    for number in range(1000):
        list(lines.feed(b"%d " % number + b"y" * 10_000 + b"\n"))

    assert lines.unread.splitlines()[-1].endswith("y")
    assert len(lines.unread) < 200_000


@given(
    st.lists(st.dictionaries(st.text(), st.text() | st.integers()), max_size=6),
    st.lists(st.integers(1, 30), max_size=20),
)
def test_cuts_change_nothing(records: list[dict[str, object]], cuts: list[int]) -> None:
    """Bytes one by one or all at once, the last line without its end."""
    stream = "\n".join(map(json.dumps, records)).encode()
    lines, found = RecordLines(), []
    for cut in cuts:
        found += lines.feed(stream[:cut])
        stream = stream[cut:]
    found += lines.feed(stream)

    assert [*found, *lines.finish()] == records


@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    """Nothing raises, and every record is an object."""
    lines = RecordLines()

    found = [*lines.feed(data), *lines.finish()]

    assert all(isinstance(each, dict) for each in found)
