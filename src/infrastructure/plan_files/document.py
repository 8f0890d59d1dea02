"""What every format hands over: plain values, and where each of them stands."""

from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from muster.infrastructure.strict_tables import Path, Problem


def _nowhere(path: Path) -> int | None:
    return None


@frozen
class PlanDocument:
    """A plan as plain values, not yet checked.

    ``unquoted`` holds scalars as they were written where a format reads them as
    something else. ``problems`` are what only the format itself could notice.
    """

    values: Any
    line_of: Callable[[Path], int | None] = _nowhere
    unquoted: Mapping[Path, str] = field(factory=dict)
    problems: list[Problem] = field(factory=list)
