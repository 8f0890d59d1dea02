"""How a text is cut into chunks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain import presets
from muster.infrastructure.knowledge.chunking import Piece, pieces

NAMES = st.sampled_from(["a.py", "a.md", "a.rst", "a", "Makefile", "a.sql"])
LINES = st.sampled_from(
    [
        "", " ", "# Heading", "## Two", "Title", "=====", "```", "~~~", "def f(x):",
        "    return x", "class A:", "@decorated", "// note", "fn main() {", "}",
        "key:", "x" * 700, "y" * (presets.CHUNK_CHARS + 5), "\x0c", "\u2028", "é",
    ]
)  # fmt: skip
TEXTS = st.lists(LINES, max_size=150).map("\n".join) | st.text(max_size=300)


def cut(text: str, name: str = "a.py") -> list[Piece]:
    """All pieces of a text."""
    return list(pieces(text, name))


def function(name: str, lines: int) -> str:
    """A function of so many lines."""
    return f"def {name}():\n" + "    work()\n" * (lines - 1)


@given(TEXTS, NAMES)
def test_nothing_is_lost(text: str, name: str) -> None:
    """Without what they repeat, the pieces of a text are the text."""
    assert "".join(piece.text[piece.repeated :] for piece in cut(text, name)) == text


@given(TEXTS, NAMES)
def test_lines_are_told_rightly(text: str, name: str) -> None:
    """A piece stands in the lines that it names, all lines are named, in order."""
    lines = text.split("\n")
    found = cut(text, name)

    for piece in found:
        said = "\n".join(lines[piece.start - 1 : piece.end])
        assert piece.text.removesuffix("\n") in said
    covered = {line for each in found for line in range(each.start, each.end + 1)}
    assert covered == set(range(1, len(lines) + bool(lines[-1])))
    assert [each.end for each in found] == sorted(each.end for each in found)


@given(TEXTS, NAMES)
def test_pieces_are_bounded(text: str, name: str) -> None:
    """No piece is longer than a chunk and what it repeats."""
    for piece in cut(text, name):
        assert len(piece.text) - piece.repeated <= presets.CHUNK_CHARS
        assert piece.repeated <= presets.CHUNK_CHARS // 8
        assert piece.end - piece.start < presets.CHUNK_LINES + presets.CHUNK_OVERLAP


@pytest.mark.parametrize(
    ("name", "text", "starts"),
    [
        ("a.py", "", []),
        ("a.py", "x = 1\n", [1]),
        ("a.py", function("f", 20) + function("g", 20), [1, 21]),
        ("a.py", function("f", 3) + function("g", 3), [1]),
        ("a.py", function("f", 20) + "@cached\n" + function("g", 20), [1, 21]),
        ("a.py", function("f", 20) + "# why\n" + function("g", 20), [1, 21]),
        ("a.rs", "fn f() {\n" + "  x;\n" * 18 + "}\npub fn g() {\n}\n", [1, 21]),
        ("a.md", "# One\n" + "text\n" * 19 + "## Two\n" + "text\n" * 9, [1, 21]),
        ("a.md", "One\n===\n" + "text\n" * 18 + "Two\n---\n", [1, 21]),
        # A comment in a fence is no heading, nor is one in a script.
        ("a.md", "# One\n```\n" + "text\n" * 18 + "# no\n```\n" + "text\n" * 9, [1]),
        ("a.py", "x()\n" * 20 + "# no\n" + "x()\n" * 9, [1]),
    ],
)
def test_sections(name: str, text: str, starts: list[int]) -> None:
    """A chunk begins with a heading or a definition and what belongs to it."""
    assert [piece.start for piece in cut(text, name)] == starts


def test_long_section_is_cut_at_blank_lines() -> None:
    """What has no headings is cut where its author paused, and repeats a little."""
    paragraph = "word\n" * 29 + "\n"
    found = cut(paragraph * 3, "a.txt")

    assert [piece.end for piece in found] == [30, 60, 90]
    assert [piece.repeated for piece in found] == [0, 16, 16]
    assert [piece.start for piece in found] == [1, 27, 57]


def test_titles() -> None:
    """A piece knows its headings, and the one that goes on from before."""
    text = "# One\n" + "word\n" * 60 + "# Two\n"

    assert [piece.title for piece in cut(text, "a.md")] == ["# One", "# One # Two"]


def test_long_line_comes_in_slices() -> None:
    """A minified file is one line and many pieces."""
    text = "a\n" + "x" * (2 * presets.CHUNK_CHARS + 1) + "\nb\n"

    assert [piece.start for piece in cut(text)] == [1, 2, 2, 2, 3]
