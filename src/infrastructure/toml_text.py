"""TOML as plain values and lines, or one clear sentence about what is wrong."""

import re
import tomllib
from typing import Any, Final

from muster.infrastructure.toml_lines import MAX_KEY_PARTS, TomlLines, scan


class TomlRefusedError(Exception):
    """The text is no TOML, or more of it than is read; ``line`` counts from 1."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem, line)
        self.problem = problem
        self.line = line


def load(text: str) -> tuple[dict[str, Any], TomlLines]:
    """The document and its lines. Raises `TomlRefusedError`, nothing else."""
    lines = scan(text)
    if lines.overlong is not None:
        problem = f"has a key of more than {MAX_KEY_PARTS} parts"
        raise TomlRefusedError(problem, lines.overlong)
    try:
        return tomllib.loads(text), lines
    except RecursionError as exc:
        raise TomlRefusedError("is nested too deep") from exc
    except ValueError as exc:
        place = _PLACE.search(str(exc))
        reason = _PLACE.sub("", str(exc))
        line = int(place[1]) if place and place[1] else text.count("\n") + 1
        raise TomlRefusedError(f"is not valid TOML: {reason}", line) from exc


_PLACE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
