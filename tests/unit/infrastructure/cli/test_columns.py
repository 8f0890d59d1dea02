"""Rows under each other, within the width of a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.infrastructure.cli.columns import aligned, cells, shortened, wrapped

ROWS = [("a", "one"), ("long name", "two")]
TEXT = st.text(max_size=200)


def test_columns_stand_under_each_other():
    """Each is as wide as its widest cell, the head included."""
    assert aligned(ROWS, width=80, head=("NAME", "WHAT")) == [
        "NAME       WHAT",
        "a          one",
        "long name  two",
    ]


def test_the_last_column_is_wrapped():
    """Under itself, at words."""
    found = aligned([("a", "word " * 9)], width=40)

    assert found == ["a  word word word word word word word", "   word word"]


def test_a_narrow_terminal():
    """Where nothing is left for the last column, it goes below the others."""
    found = aligned([("a" * 30, "what it is for")], width=40)

    assert found == ["a" * 30, "    what it is for"]


def test_a_cut_column():
    """One line each, with an ellipsis."""
    assert aligned([("a", "word " * 9)], width=20, cut=True) == ["a  word word word w…"]


def test_long_words_stay_whole():
    """Paths are copied from the screen."""
    path = "/a/" + "b-c/" * 30

    assert wrapped(f"see {path}", width=40) == ["see", path]


def test_no_rows():
    """Not even a head."""
    assert aligned([], width=80) == []


@pytest.mark.parametrize(
    ("text", "size"),
    [("abc", 3), ("漢字", 4), ("e\u0301", 1), ("", 0), ("🚀", 2)],
)
def test_cells(text, size):
    """Wide characters take two columns, combining ones none."""
    assert cells(text) == size


@given(TEXT, st.integers(1, 40))
def test_what_is_shortened_fits(text, size):
    """Whatever the text, and however wide its characters."""
    assert cells(shortened(text, size)) <= size


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=5), st.integers(24, 120))
def test_nothing_drives_the_terminal(rows, width):
    """No control character of any cell comes out."""
    for line in aligned(rows, width=width):
        assert line == line.rstrip()
        assert all(each >= " " and not "\x7f" <= each <= "\x9f" for each in line)
