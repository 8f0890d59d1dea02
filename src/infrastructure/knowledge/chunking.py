"""Cuts a text into chunks: at headings and definitions, else at blank lines.

Nothing is lost and nothing changes places: chunks without what they repeat, joined,
are the text.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import accumulate
from typing import Final

from attrs import frozen

from muster.domain import presets

_PROSE: Final = (".md", ".markdown", ".mdx", ".rst", ".txt", ".adoc")
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
class _Cuts:
    """A text with the places at which its lines and its sections begin."""

    text: str
    offsets: Sequence[int]  # of lines; the last one is the end of the text
    sections: Sequence[int]  # lines at which a heading or a definition begins
    titles: Sequence[str]

    def lines(self, start: int, end: int) -> str:
        return self.text[self.offsets[start] : self.offsets[end]]

    def is_blank(self, line: int) -> bool:
        start, end = self.offsets[line], self.offsets[line + 1]
        return end - start == 1 or self.text[start:end].isspace()

    def begins_section(self, line: int) -> bool:
        place = bisect_left(self.sections, line)
        return self.sections[place : place + 1] == [line]

    def title(self, start: int, end: int) -> str:
        first = bisect_left(self.sections, start)
        last = bisect_left(self.sections, end)
        # The one that is going on, unless another begins with the first line.
        goes_on = not self.begins_section(start)
        return " ".join(self.titles[max(0, first - goes_on) : last])

    def end(self, at: int) -> int:
        """Where the piece ends that begins at that line."""
        room = self.offsets[at] + presets.CHUNK_CHARS
        last = min(bisect_right(self.offsets, room) - 1, at + presets.CHUNK_LINES)
        least = at + presets.CHUNK_LEAST
        place = bisect_left(self.sections, least)
        if place < len(self.sections) and self.sections[place] <= last:
            return self.sections[place]
        if last >= len(self.offsets) - 1:
            return len(self.offsets) - 1
        for line in range(last, least - 1, -1):
            if self.is_blank(line - 1):
                return line
        return max(last, at + 1)

    def back(self, at: int) -> int:
        """From where lines are repeated before that one: a few, none of them long."""
        if self.begins_section(at):
            return at
        back = max(0, at - presets.CHUNK_OVERLAP)
        while self.offsets[at] - self.offsets[back] > presets.CHUNK_CHARS // 8:
            back += 1
        return back


def pieces(text: str, name: str = "") -> Iterator[Piece]:
    """The chunks of a file of that ``name`` in order; none of an empty text."""
    cuts = _cuts(text, is_prose=name.lower().endswith(_PROSE))
    at, count = 0, len(cuts.offsets) - 1
    while at < count:
        end = cuts.end(at)
        title = cuts.title(at, end)
        body = cuts.lines(at, end)
        if len(body) > presets.CHUNK_CHARS:
            yield from _slices(body, at + 1, title)
        else:
            back = cuts.back(at)
            repeated = cuts.lines(back, at)
            yield Piece(repeated + body, back + 1, end, len(repeated), title)
        at = end


def _slices(line: str, number: int, title: str) -> Iterator[Piece]:
    for start in range(0, len(line), presets.CHUNK_CHARS):
        part = line[start : start + presets.CHUNK_CHARS]
        yield Piece(part, number, number, 0, title)


def _cuts(text: str, *, is_prose: bool) -> _Cuts:
    offsets = list(accumulate(map(len, StringIO(text)), initial=0))
    found: dict[int, str] = {}
    for offset, title in _headings(text) if is_prose else _definitions(text):
        line = bisect_left(offsets, offset)
        while not is_prose and line and text.startswith(_ATTACHED, offsets[line - 1]):
            line -= 1
        found[line] = f"{found.get(line, '')} {title}".strip()
    sections = sorted(found)
    return _Cuts(text, offsets, sections, [found[line] for line in sections])


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
