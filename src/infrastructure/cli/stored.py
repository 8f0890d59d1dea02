"""Finds what `show` and `logs` are asked for, or says what is nearest."""

from typing import TYPE_CHECKING, Final

from muster.domain.errors import JournalError, MusterError, PlanError
from muster.domain.suggestion import did_you_mean, nearest
from muster.infrastructure.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from muster.domain.outcome import SpawnResult
    from muster.infrastructure.stored_runs import StoredRun

RUNNING: Final = "running"
UNFINISHED: Final = "unfinished"


class UnknownRunError(MusterError):
    """No run or task is called so."""

    exit_code = ExitCode.USAGE


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
    if name in planned(run):
        raise UnknownRunError(f"task '{name}' of run {run.run_id} has no result yet")
    if not run.results:
        raise UnknownRunError(f"run {run.run_id} has no results yet")
    hint = did_you_mean(name, run.results) or "; `muster show RUN` lists them"
    raise UnknownRunError(f"run {run.run_id} has no result of a task '{name}'{hint}")


def status_of(run: "StoredRun") -> str:
    """How a run ended; "running", or "unfinished" when it was cut off."""
    if run.summary is None:
        return unended(run.folder)
    return str(run.summary.get("status", UNFINISHED))


def unended(folder: "Path") -> str:
    """Of a run without a summary: whether somebody still works on it."""
    from muster.infrastructure.journal.claim import is_held  # noqa: PLC0415

    return RUNNING if is_held(folder) else UNFINISHED


def is_cut_off(folder: "Path") -> bool:
    """Whether nobody works any more on a run that has not come to its end."""
    from muster.infrastructure.journal.claim import LOCK, is_held  # noqa: PLC0415
    from muster.infrastructure.run_store import RESULTS, SUMMARY  # noqa: PLC0415

    if not (folder / RESULTS).is_dir():
        return True
    # In this order: the summary is written before the run is let go.
    is_free = (folder / LOCK).exists() and not is_held(folder)
    return is_free and not (folder / SUMMARY).exists()


def planned(run: "StoredRun") -> frozenset[str]:
    """The ids of its plan; none when that can't be read."""
    from muster.infrastructure import plan_files  # noqa: PLC0415

    try:
        plan = plan_files.load("plan", text=run.plan.read_bytes())
    except (OSError, PlanError):
        return frozenset()
    return frozenset(task.id for task in plan.tasks)


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
