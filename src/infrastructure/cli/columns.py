"""Rows of text under each other: aligned, and within the width of a terminal.

The last column takes what is left and is wrapped; the others are as wide as they need.
"""

import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from muster.infrastructure.cli import words
from muster.infrastructure.cli.streams import is_terminal

GAP: Final = "  "
MIN_CUT: Final = 8
NARROWEST: Final = 24  # of a last column, before it goes under the others
UNBOUNDED: Final = 100_000
MAX_CELL: Final = 4_000  # characters; nobody reads on in a table


def screen_width() -> int:
    """The columns of the terminal; where programs read, lines are never wrapped."""
    if not is_terminal(sys.stdout):
        return UNBOUNDED
    return max(NARROWEST, shutil.get_terminal_size().columns)


def aligned(
    rows: Iterable[Sequence[str]],
    *,
    width: int,
    head: Sequence[str] = (),
    indent: str = "",
    cut: bool = False,
) -> list[str]:
    """The rows as lines without trailing blanks; ``head`` stands above them.

    With ``cut`` what is too long in the last column is cut off, not wrapped.
    What agents and files said is in the cells: nothing in them drives a terminal.
    """
    table = [[one_line(cell) for cell in row] for row in ([head] if head else [])]
    table += [[one_line(cell) for cell in row] for row in rows]
    if not table:
        return []
    widths = _widths(table)
    left = len(indent) + sum(each + len(GAP) for each in widths)
    lines: list[str] = []
    for row in table:
        cells = zip(row, widths, strict=False)
        front = indent + "".join(padded(cell, size) + GAP for cell, size in cells)
        last = row[-1]
        if cut and width - left >= MIN_CUT:
            last = shortened(last, width - left)
        lines += _with_last(front, last, left, width)
    return lines


def wrapped(text: str, *, width: int, indent: str = "", first: str = "") -> list[str]:
    """A sentence over several lines; ``first`` stands before the first one."""
    clean = one_line(text)
    if not clean:
        return [first.rstrip()]
    size = max(NARROWEST, width)
    # Paths and commands are copied from the screen: they stay whole.
    return textwrap.wrap(
        clean,
        size,
        initial_indent=first or indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def one_line(text: str) -> str:
    """The text on one line, without anything that a terminal would obey."""
    return words.one_line(text, MAX_CELL)


def shortened(text: str, size: int) -> str:
    """The text, cut to ``size`` cells with an ellipsis where it is longer."""
    clean = one_line(text)
    if cells(clean) <= size:
        return clean
    clean = clean[:size]
    while cells(clean) > size - 1:
        clean = clean[:-1]
    return clean.rstrip() + "…"


def padded(text: str, size: int) -> str:
    """The text with blanks behind it up to ``size`` cells."""
    return text + " " * (size - cells(text))


def cells(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_cells_of, text))


def _cells_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _widths(table: Sequence[Sequence[str]]) -> list[int]:
    count = max(map(len, table)) - 1
    return [
        max((cells(row[at]) for row in table if len(row) > at + 1), default=0)
        for at in range(count)
    ]


def _with_last(front: str, last: str, left: int, width: int) -> list[str]:
    if width - left >= NARROWEST or cells(front + last) <= width:
        return wrapped(last, width=width, indent=" " * left, first=front)
    under = " " * 4
    return [front.rstrip(), *wrapped(last, width=width, indent=under, first=under)]
