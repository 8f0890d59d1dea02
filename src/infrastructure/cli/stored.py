"""Finds what `show` and `logs` are asked for, or says what is nearest."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from muster.domain.errors import JournalError, MusterError
from muster.domain.suggestion import did_you_mean, nearest

if TYPE_CHECKING:
    from pathlib import Path

    from muster.domain.outcome import SpawnResult
    from muster.infrastructure.stored_runs import StoredRun


class UnknownRunError(MusterError):
    """No run or task is called so."""


def stored_run(home: "Path", name: str) -> "StoredRun":
    """The run that an id, a part of one or "last" means. Raises `UnknownRunError`."""
    from muster.infrastructure.stored_runs import read_run  # noqa: PLC0415

    return read_run(home, run_called(home, name))


def run_called(home: "Path", name: str) -> str:
    """The id of that run. Raises `UnknownRunError`."""
    from muster.infrastructure.stored_runs import find_run, list_runs  # noqa: PLC0415

    try:
        return find_run(home, name)
    except JournalError as error:
        near = nearest(name, list_runs(home))
        hint = f"; did you mean '{near}'?" if near else ""
        raise UnknownRunError(f"{error}{hint}") from error


def stored_task(run: "StoredRun", name: str) -> "tuple[str, SpawnResult]":
    """The result of a task, by its id. Raises `UnknownRunError`."""
    result = run.results.get(name)
    if result is not None:
        return name, result
    if not run.results:
        raise UnknownRunError(f"run {run.run_id} has no results yet")
    hint = did_you_mean(name, run.results) or "; `muster show RUN` lists them"
    raise UnknownRunError(f"run {run.run_id} has no result of a task '{name}'{hint}")


def status_of(run: "StoredRun") -> str:
    """How a run ended; "unfinished" while it goes on, or when it was cut off."""
    summary: Mapping[str, Any] = run.summary or {}
    return str(summary.get("status", "unfinished"))


def state_of(result: "SpawnResult") -> str:
    """What became of a task, in a word or three."""
    if result.failure is not None:
        return result.failure.cause.value
    words = "done"
    if result.fallback:
        words = "done by fallback"
    elif result.retry_count:
        words = "recovered"
    return f"{words} (simulated)" if result.simulated else words
