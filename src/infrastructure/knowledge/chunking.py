"""Cuts a text into chunks: at headings and definitions, else at blank lines.

Nothing is lost and nothing changes places: chunks without what they repeat, joined,
are the text.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import accumulate
from pathlib import PurePath
from typing import Final

from attrs import frozen

from muster.domain import presets

_PROSE: Final = frozenset((".md", ".markdown", ".mdx", ".rst", ".txt", ".adoc"))
_FENCE: Final = ("```", "~~~")
_HEADING: Final = re.compile(
    r"^(?:#{1,6}[ \t].*|={1,6}[ \t].*|(?:```|~~~).*|[^\s#>|*+-].{0,119}\n(?=[=~^-]{3,}[ \t]*$))",
    re.MULTILINE,
)
_DEFINITION: Final = re.compile(
    r"^(?:(?:export|default|pub(?:\([a-z]+\))?|public|private|protected|internal|static|"
    r"abstract|final|sealed|async|unsafe|extern|inline|virtual|partial|data|open|override|"
    r"declare)[ \t]+){0,4}"
    r"(?:def|class|func|function|fn|impl|struct|enum|trait|interface|type|module|mod|"
    r"namespace|object|record|union|macro_rules!|sub|proc|procedure|CREATE|create|"
    r"const|let|var|resource|test|describe|\[{1,2}[\w\"'.: -]{1,80}\])(?:[ \t(<*].*)?$"
    r"|^[A-Za-z_][\w \t*&<>:,]{0,80}[ \t*&][\w:~]{1,60}\([^;\n]*\)?[ \t]*\{?[ \t]*$"
    r"|^[A-Za-z_.][\w.-]{0,60}:[ \t]*$",
    re.MULTILINE,
)
_ATTACHED: Final = ("@", "#", "//", "/*", " *", "--", "*/")


@frozen
class Piece:
    """Lines from ``start`` to ``end``, counted from 1.

    The first ``repeated`` characters stand in the piece before, too. ``title`` is the
    heading or definition that it belongs to, and those within.
    """

    text: str
    start: int
    end: int
    repeated: int = 0
    title: str = ""


@frozen
class _Sections:
    starts: Sequence[int]  # lines at which a heading or a definition begins
    titles: Sequence[str]

    def title(self, start: int, end: int) -> str:
        first = bisect_left(self.starts, start)
        last = bisect_left(self.starts, end)
        # The one that is going on, unless another begins with the first line.
        begins = first < last and self.starts[first] == start
        return " ".join(self.titles[max(0, first if begins else first - 1) : last])


def pieces(text: str, name: str = "") -> Iterator[Piece]:
    """The chunks of a file of that ``name`` in order; none of an empty text."""
    lines = list(StringIO(text))
    known = _sections(text, lines, PurePath(name).suffix.lower() in _PROSE)
    sections = frozenset(known.starts)
    at = 0
    while at < len(lines):
        end = _end(lines, at, sections)
        title = known.title(at, end)
        if len(lines[at]) > presets.CHUNK_CHARS:
            yield from _slices(lines[at], at + 1, title)
        else:
            back = at if at in sections else _back(lines, at)
            repeated = "".join(lines[back:at])
            body = "".join(lines[at:end])
            yield Piece(repeated + body, back + 1, end, len(repeated), title)
        at = end


def _end(lines: Sequence[str], at: int, sections: frozenset[int]) -> int:
    """Where the piece ends that begins at that line."""
    size = len(lines[at])
    blank = None
    for end in range(at + 1, min(len(lines), at + presets.CHUNK_LINES) + 1):
        if end == len(lines):
            return end
        if end - at >= presets.CHUNK_LEAST:
            if end in sections:
                return end
            blank = blank if lines[end - 1].strip() else end
        size += len(lines[end])
        if size > presets.CHUNK_CHARS:
            break
    return blank or end


def _slices(line: str, number: int, title: str) -> Iterator[Piece]:
    for start in range(0, len(line), presets.CHUNK_CHARS):
        part = line[start : start + presets.CHUNK_CHARS]
        yield Piece(part, number, number, 0, title)


def _back(lines: Sequence[str], at: int) -> int:
    """From where lines are repeated: a few, none of them long."""
    back, room = at, presets.CHUNK_CHARS // 8
    while back > max(0, at - presets.CHUNK_OVERLAP) and room >= len(lines[back - 1]):
        back -= 1
        room -= len(lines[back])
    return back


def _sections(text: str, lines: Sequence[str], is_prose: bool) -> _Sections:  # noqa: FBT001
    found = _headings(text) if is_prose else _definitions(text)
    starts = list(accumulate(map(len, lines), initial=0))
    sections: dict[int, str] = {}
    for offset, title in found:
        line = bisect_left(starts, offset)
        while not is_prose and line and lines[line - 1].startswith(_ATTACHED):
            line -= 1
        sections[line] = f"{sections.get(line, '')} {title}".strip()
    return _Sections(sorted(sections), [sections[line] for line in sorted(sections)])


def _headings(text: str) -> Iterator[tuple[int, str]]:
    fence = ""
    for match in _HEADING.finditer(text):
        line = match[0]
        if line.startswith(_FENCE):
            # A fence is closed by its own kind only.
            fence = "" if line.startswith(fence or "\0") else fence or line[:3]
        elif not fence:
            yield match.start(), line.strip()


def _definitions(text: str) -> Iterator[tuple[int, str]]:
    return ((match.start(), match[0].strip()) for match in _DEFINITION.finditer(text))
