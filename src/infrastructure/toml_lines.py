"""On which line each key of a TOML text stands; tomllib does not tell.

The scan follows strings, comments and brackets, so that a ``[`` in a prompt is no
table. It never raises and is linear, also for a text that is no TOML.
"""

import re
from typing import Final

from attrs import define, field

from muster.infrastructure.strict_tables import Path

# tomllib walks all parents of a dotted key: at 100,000 parts that is 5e9 steps.
MAX_KEY_PARTS: Final = 32
MAX_INLINE_DOTS: Final = 5_000  # of all keys inside one value's braces


@define
class TomlLines:
    """The first line of every path, and of a key that is too long to be parsed."""

    lines: dict[Path, int] = field(factory=dict)
    overlong: int | None = None

    def line_of(self, path: Path) -> int | None:
        """The line of the path, or of what it lies in."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None


def scan(text: str) -> TomlLines:
    """The lines of all keys and table headers."""
    found = TomlLines()
    header: Path = ()
    counts: dict[Path, int] = {}
    position, line = 0, 1
    while position < len(text):
        statement = _STATEMENT.match(text, position)
        end = _end_of_line(text, position)
        if statement is not None:
            # Also of a key without a value: tomllib is quadratic before it objects.
            path = _path_of(statement["key"], found, line)
            if statement["open"]:
                header = path = _table(path, statement["open"] == "[[", counts)
            elif statement["equals"]:
                path = (*header, *path)
                end, dots = _end_of_value(text, statement.end())
                if dots > MAX_INLINE_DOTS and found.overlong is None:
                    found.overlong = line
            _note(found, path, line)
        line += text.count("\n", position, end)
        position = end
    return found


def _note(found: TomlLines, path: Path, line: int) -> None:
    for end in range(1, len(path) + 1):
        found.lines.setdefault(path[:end], line)


def _table(path: Path, is_array: bool, counts: dict[Path, int]) -> Path:  # noqa: FBT001
    """The path of a header, with the place of each array of tables filled in."""
    resolved: Path = ()
    for place, part in enumerate(path):
        resolved = (*resolved, part)
        is_last = place == len(path) - 1
        if is_array and is_last:
            counts[resolved] = counts.get(resolved, -1) + 1
        if resolved in counts:
            resolved = (*resolved, counts[resolved])
    return resolved


def _path_of(key: str, found: TomlLines, line: int) -> Path:
    parts = [each[0] for each in _PART.finditer(key)]
    if len(parts) > MAX_KEY_PARTS and found.overlong is None:
        found.overlong = line
    return tuple(_unquoted(part) for part in parts[:MAX_KEY_PARTS])


def _unquoted(part: str) -> str:
    return part[1:-1] if part[0] in "\"'" else part


def _end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end + 1


def _end_of_value(text: str, position: int) -> tuple[int, int]:
    """Where the value ends, and how many dots it has outside of strings."""
    depth, dots = 0, 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            return len(text), dots
        position = token.end()
        mark = token[0]
        dots += 0 if mark[0] in "\"'#" else mark.count(".")
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
        elif mark == "\n" and depth <= 0:
            return position, dots
        elif mark in ('"""', "'''"):
            position = _end_of_string(text, position, mark)
    return position, dots


def _end_of_string(text: str, position: int, quotes: str) -> int:
    while True:
        end = text.find(quotes, position)
        if end < 0:
            return len(text)
        if quotes == "'''" or not _is_escaped(text, end, position):
            # Up to two more quotes belong to the string.
            return end + len(quotes) + len(_QUOTES.match(text, end + 3, end + 5)[0])  # type: ignore[index]
        position = end + 1


def _is_escaped(text: str, end: int, start: int) -> bool:
    backslashes = 0
    while end - backslashes > start and text[end - backslashes - 1] == "\\":
        backslashes += 1
    return backslashes % 2 == 1


_PART: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|[A-Za-z0-9_-]+')
_KEY: Final = rf"(?:{_PART.pattern})(?:[ \t]*+\.[ \t]*+(?:{_PART.pattern}))*+"
_STATEMENT: Final = re.compile(
    rf"[ \t]*+(?P<open>\[\[?+)?[ \t]*+(?P<key>{_KEY})[ \t]*+(?P<equals>=)?"
)
_TOKEN: Final = re.compile(
    r'"""|\'\'\'|"(?:[^"\\\n]|\\.)*"?|\'[^\'\n]*\'?|#[^\n]*|[\[\]{}\n]'
    r"|[^\"'#\[\]{}\n]+"
)
_QUOTES: Final = re.compile("[\"']*")
