"""Reads what runs left on disk; what is torn is named, and the rest is kept."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from muster.domain.errors import JournalError
from muster.domain.outcome import SpawnResult
from muster.infrastructure.run_store import PLAN, RESULTS, RUNS, SUMMARY
from muster.infrastructure.text_file import UnreadableTextError, read_text

LAST: Final = "last"
MAX_LISTED: Final = 5
MAX_RESULT: Final = 256 * 1024 * 1024
_RUN_ID: Final = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[A-Za-z0-9_-]+")


@frozen
class StoredRun:
    """A run as it is on disk. ``summary`` is None for a run that did not end.

    ``results`` by task id (``#index`` for tasks without one), in the order of the
    tasks. ``problems`` name each file that could not be read.
    """

    run_id: str
    folder: Path
    results: Mapping[str, SpawnResult] = field(factory=dict)
    summary: Mapping[str, Any] | None = None
    problems: tuple[str, ...] = ()

    @property
    def plan(self) -> Path:
        """The plan as it was given."""
        return self.folder / PLAN


def list_runs(home: Path) -> tuple[str, ...]:
    """The ids of all runs, the oldest first; none when there is no such folder."""
    try:
        names = [each.name for each in (home / RUNS).iterdir() if each.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as exc:
        problem = f"can't be read: {exc.strerror}"
        raise JournalError(problem, str(home / RUNS)) from exc
    return tuple(sorted(name for name in names if _RUN_ID.fullmatch(name)))


def find_run(home: Path, name: str | None = None) -> str:
    """The id of the run that ``name`` means: an id, a part that only one begins or
    ends with, or "last" (also None). Raises `JournalError`.
    """
    runs = list_runs(home)
    if not runs:
        raise JournalError("there are no runs here yet", str(home / RUNS))
    if name is None or name == LAST:
        return runs[-1]
    found = [each for each in runs if each.startswith(name) or each.endswith(name)]
    if name in runs or len(found) == 1:
        return name if name in runs else found[0]
    if found and name:
        raise JournalError(f"'{name}' fits {_listed(found)}; write more of the id")
    raise JournalError(f"no run is called '{name}'; there are {_listed(runs[::-1])}")


def read_run(home: Path, name: str | None = None) -> StoredRun:
    """The run that `find_run` finds, as far as it can be read."""
    run_id = find_run(home, name)
    folder = home / RUNS / run_id
    problems: list[str] = []
    results: dict[str, SpawnResult] = {}
    for path in sorted((folder / RESULTS).glob("*.json")):
        result = _result(path, problems)
        if result is not None:
            key = result.task_id
            results[f"#{result.task_index}" if key is None else key] = result
    in_order = sorted(results.items(), key=_place)
    summary = _document(folder / SUMMARY, problems, may_be_missing=True)
    return StoredRun(run_id, folder, dict(in_order), summary, tuple(problems))


def _listed(runs: Sequence[str]) -> str:
    more = ", ..." if len(runs) > MAX_LISTED else ""
    return ", ".join(runs[:MAX_LISTED]) + more


def _place(item: tuple[str, SpawnResult]) -> int:
    return item[1].task_index


def _result(path: Path, problems: list[str]) -> SpawnResult | None:
    document = _document(path, problems)
    if document is None:
        return None
    try:
        return SpawnResult.from_dict(document)
    except (TypeError, ValueError, KeyError, AttributeError) as exc:
        problems.append(f"{path}: is no result of a task ({exc})")
        return None


def _document(
    path: Path, problems: list[str], *, may_be_missing: bool = False
) -> dict[str, Any] | None:
    try:
        document = json.loads(read_text(path, MAX_RESULT))
    except UnreadableTextError as exc:
        if not (exc.missing and may_be_missing):
            problems.append(f"{path}: {exc}")
        return None
    except (ValueError, RecursionError) as exc:
        problems.append(f"{path}: is torn or no JSON ({exc})")
        return None
    if not isinstance(document, dict):
        problems.append(f"{path}: is no JSON object")
        return None
    return document
