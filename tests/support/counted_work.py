"""Runs a command line, and says at the end how much was built for it.

Time depends on who else uses the machine; how many tasks and results were made does not.
"""

import sys
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any

from muster.domain.plan import PlanTask
from muster.infrastructure.cli.app import main
from muster.infrastructure.journal import history


def counted(counts: Counter[str], name: str, function: Callable[..., Any]) -> Any:
    """The function, counting its calls."""

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        counts[name] += 1
        return function(*arguments, **options)

    return call


def run() -> int:
    """The exit code; the last line of stderr holds the counts."""
    counts = Counter(tasks=0, results=0)
    built = PlanTask.__attrs_post_init__
    PlanTask.__attrs_post_init__ = counted(counts, "tasks", built)  # type: ignore[method-assign]
    history.result_from = counted(counts, "results", history.result_from)  # type: ignore[attr-defined]
    code = main()
    words = " ".join(f"{name}={number}" for name, number in counts.items())
    sys.stderr.write(f"{words}\n")
    return code


if __name__ == "__main__":
    sys.exit(run())
