"""One thing that was looked at: how it stands, and what to do about it."""

from collections.abc import Iterable
from typing import Any, Literal

from attrs import asdict, field, frozen

Level = Literal["ok", "warning", "problem"]


def _rows(value: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    return tuple(value)


@frozen
class Finding:
    """``subject`` is what was looked at, ``what`` how it stands, ``advice`` what to do.

    A problem keeps runs from working; a warning says what will be worse than it
    could be.
    """

    subject: str
    level: Level
    what: str
    advice: str = ""
    details: tuple[dict[str, Any], ...] = field(default=(), converter=_rows)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self, recurse=False) | {"details": list(self.details)}


def has_problem(findings: Iterable[Finding]) -> bool:
    """Whether anything keeps runs from working."""
    return any(each.level == "problem" for each in findings)
