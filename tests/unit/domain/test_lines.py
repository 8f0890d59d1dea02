"""Bytes become lines, however they are cut."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain import presets
from muster.domain.lines import LineSplitter

TEXT = st.text(alphabet="ab\n\r é漢\U0001f680", max_size=60)


def split(pieces: list[bytes], limit: int = presets.MAX_LINE_BYTES) -> list[str]:
    """All lines of a stream that comes in these pieces."""
    splitter = LineSplitter(limit)
    return [line for piece in pieces for line in splitter.feed(piece)] + (
        splitter.finish()
    )


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([], []),
        ([b""], []),
        ([b"\n"], [""]),
        ([b"one\ntwo\n"], ["one", "two"]),
        ([b"one\r\ntwo"], ["one", "two"]),
        ([b"one\r", b"\ntwo\n\nthree"], ["one", "two", "", "three"]),
        ([b"na", b"\xc3", b"\xafve\n"], ["naïve"]),
        ([b"\xff\xfe\n"], ["\ufffd\ufffd"]),
        ([b"cut \xf0\x9f"], ["cut \ufffd"]),
        ([memoryview(b"view\n")], ["view"]),
    ],
)
def test_lines(pieces: list[bytes], lines: list[str]) -> None:
    """Whole lines without their ends; the last one without an end comes at the end."""
    assert split(pieces) == lines


@given(TEXT, st.lists(st.integers(0, 200), max_size=8))
def test_cuts_change_nothing(text: str, cuts: list[int]) -> None:
    """The same lines, wherever the stream was cut, within characters too."""
    data = text.encode()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(edges)]

    assert split(pieces) == split([data])
    *whole, last = text.split("\n")
    expected = [line.removesuffix("\r") for line in whole]
    assert split([data]) == expected + [last] * bool(last)


@given(TEXT, st.integers(1, 9), st.integers(1, 5))
def test_a_long_line_comes_in_pieces(text: str, limit: int, size: int) -> None:
    """Nothing is lost, and what waits for its end is bounded."""
    data = text.replace("\r", "").encode()
    splitter, lines = LineSplitter(limit), []
    for start in range(0, len(data), size):
        lines += splitter.feed(data[start : start + size])
        assert splitter._size <= limit
    lines += splitter.finish()

    assert "".join(lines) == data.decode().replace("\n", "")


def test_a_splitter_can_go_on() -> None:
    """After `finish` it begins again."""
    splitter = LineSplitter()
    splitter.feed(b"one \xc3")
    assert splitter.finish() == ["one \ufffd"]
    assert splitter.finish() == []
    assert splitter.feed(b"two\n") == ["two"]


def test_bytes_one_by_one_cost_no_square() -> None:
    """A line of half a megabyte, byte by byte, takes about as long as it is."""
    splitter, data = LineSplitter(), b"x" * 500_000
    before = time.process_time()
    for start in range(len(data)):
        splitter.feed(data[start : start + 1])
    took = time.process_time() - before

    assert splitter.finish() == [data.decode()]
    # Copying the line for each byte takes a hundred times as long.
    assert took < 10
