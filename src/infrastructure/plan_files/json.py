"""Plans in JSON, with the keys of the TOML form."""

import json
import re
from typing import Any, Final

from attrs import define, field

from muster.domain.errors import PlanError
from muster.infrastructure.plan_files.document import PlanDocument
from muster.infrastructure.strict_tables import Path, Problem


def parse(text: str) -> PlanDocument:
    """The plain values. Raises `PlanError` for a text that is no JSON."""
    try:
        values = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as exc:
        problem = f"the file is not valid JSON: {exc.msg} (column {exc.colno})"
        raise PlanError(problem, None, exc.lineno) from exc
    except RecursionError as exc:
        raise PlanError("the file is nested too deep") from exc
    except ValueError as exc:
        raise PlanError(f"the file is not valid JSON: {exc}") from exc
    places = _Places()
    places.scan(text)
    return PlanDocument(values, places.line_of, {}, places.problems)


def _refuse(word: str) -> Any:
    problem = f"{word} is no JSON number"
    raise ValueError(problem)


@define
class _Frame:
    path: Path
    is_object: bool
    place: int = 0
    key: str | None = None


@define
class _Places:
    """The line of every key, found by a second walk over a text known to be JSON."""

    lines: dict[Path, int] = field(factory=dict)
    problems: list[Problem] = field(factory=list)
    frames: list[_Frame] = field(factory=list)

    def line_of(self, path: Path) -> int | None:
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None

    def scan(self, text: str) -> None:
        line = 1
        for token in _TOKEN.finditer(text):
            mark = token[0]
            if mark == "\n":
                line += 1
            elif mark in "{[":
                self._open(mark == "{", line)
            elif mark in "}]":
                self.frames.pop()
            elif mark == ",":
                self._next()
            elif token["key"]:
                self._key(json.loads(token["key"]), line)

    def _here(self) -> Path:
        if not self.frames:
            return ()
        frame = self.frames[-1]
        return (*frame.path, frame.key or "" if frame.is_object else frame.place)

    def _open(self, is_object: bool, line: int) -> None:  # noqa: FBT001
        path = self._here()
        self.lines.setdefault(path, line)
        self.frames.append(_Frame(path, is_object))

    def _next(self) -> None:
        self.frames[-1].place += 1

    def _key(self, key: str, line: int) -> None:
        frame = self.frames[-1]
        frame.key = key
        path = (*frame.path, key)
        if path in self.lines:
            predicate = f"stands here twice (first on line {self.lines[path]})"
            self.problems.append(Problem(path, predicate))
        self.lines[path] = line


# The newlines inside strings are escaped, so each "\n" here ends a line.
_TOKEN: Final = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*")\s*:|"(?:[^"\\]|\\.)*"|[{}\[\],\n]'
)
