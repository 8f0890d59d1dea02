"""Reads what the journal has of a run; results are loaded when somebody asks for them."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from attrs import evolve, field, frozen

from muster.application.resumption import (
    FinishedTask,
    InterruptedTask,
    RunHistory,
)
from muster.domain.errors import JournalError
from muster.domain.outcome import FailureCause, SpawnResult, Usage
from muster.domain.run_results import RunResults, Totals
from muster.domain.usage_by_agent import NO_AGENT
from muster.infrastructure.journal.database import NAME, open_reader, refused
from muster.infrastructure.journal.records import (
    DamagedRecordError,
    checksum,
    result_from,
)
from muster.infrastructure.journal.statements import SPANS, SUMMED, SUMS, USED

_CAUSES: Final = {cause.value: cause for cause in FailureCause} | {None: None}


@frozen
class StoredHistory:
    """A run as it is recorded. ``problems`` name the results that are damaged."""

    tasks: RunHistory
    plan_path: Path | None
    options: Mapping[str, Any] = field(factory=dict)
    problems: tuple[str, ...] = ()


def read_history(connection: sqlite3.Connection, home: Path, run: int) -> StoredHistory:
    """All of a run but its answers. Raises `JournalError`."""
    problems: list[str] = []
    try:
        finished = dict(_finished(connection, run, problems))
        interrupted = dict(_interrupted(connection, run))
        query = "SELECT plan_path, options FROM runs WHERE run = ?"
        path, options = connection.execute(query, (run,)).fetchone()
    except sqlite3.Error as exc:
        raise refused(exc, home / NAME) from exc
    return StoredHistory(
        RunHistory(finished, interrupted),
        None if path is None else Path(path),
        json.loads(options),
        tuple(problems),
    )


def run_number(connection: sqlite3.Connection, home: Path, run_id: str) -> int | None:
    """The journal's own number of a run, None when it has no such run."""
    query = "SELECT run FROM runs WHERE run_id = ?"
    try:
        found = connection.execute(query, (run_id,)).fetchone()
    except sqlite3.Error as exc:
        raise refused(exc, home / NAME) from exc
    return None if found is None else int(found[0])


def in_flight(
    connection: sqlite3.Connection, home: Path, run: int
) -> list[tuple[str, int, float]]:
    """Attempts without an end: the task, its attempt, its start in epoch seconds."""
    query = "SELECT task_id, attempt, started_at FROM in_flight WHERE run = ?"
    try:
        return connection.execute(query, (run,)).fetchall()
    except sqlite3.Error as exc:
        raise refused(exc, home / NAME) from exc


def causes(home: Path, run_id: str) -> dict[str | None, int] | None:
    """How many results of a run have which cause of failure, None for a success.

    None when there is no such journal, or it can't be read: it is only looked at.
    """
    query = (
        "SELECT cause, count(*) FROM results JOIN runs USING (run) "
        "WHERE run_id = ? GROUP BY cause"
    )
    if not (home / NAME).exists():
        return None
    try:
        with closing(open_reader(home)) as connection:
            return dict(connection.execute(query, (run_id,)).fetchall())
    except (sqlite3.Error, JournalError):
        return None


def load_row(connection: sqlite3.Connection, number: int) -> SpawnResult | None:
    """The result in that row; None when it is damaged."""
    query = (
        "SELECT task_id, identity, cause, CAST(document AS BLOB), checksum "
        "FROM results WHERE number = ?"
    )
    row = connection.execute(query, (number,)).fetchone()
    if row is None or checksum(*row[:4]) != row[4]:
        return None
    try:
        return result_from(row[3])
    except DamagedRecordError:
        return None


class StoredResults(RunResults):
    """Results of a run by task id. ``recorded`` says under which id each is kept.

    A look at one loads it; none is held. The sums are made by SQLite, of what is
    recorded then. Raises `JournalError` when it can't be read.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        home: Path,
        run: int,
        recorded: Mapping[str, str],
        places: Mapping[str, int],
    ) -> None:
        self._connection, self._path, self._run = connection, home / NAME, run
        self._recorded, self._places = recorded, places

    def __getitem__(self, task_id: str) -> SpawnResult:
        key = self._recorded[task_id]
        query = "SELECT document FROM results WHERE run = ? AND task_id = ?"
        rows = self._rows(query, self._run, key)
        if not rows:
            raise JournalError(f"the result of '{key}' is gone", str(self._path))
        try:
            result = result_from(rows[0][0])
        except DamagedRecordError as exc:
            problem = f"the result of '{key}' is damaged: {exc}"
            raise JournalError(problem, str(self._path)) from exc
        place = self._places[task_id]
        if (result.task_id, result.task_index) == (task_id, place):
            return result
        # The task has moved within its plan since.
        return evolve(result, task_id=task_id, task_index=place)

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._recorded

    def __iter__(self) -> Iterator[str]:
        return iter(self._recorded)

    def __len__(self) -> int:
        return len(self._recorded)

    def totals(self) -> Totals:
        """See `RunResults`."""
        rows = self._rows(SUMS, self._run, json.dumps(self._others()))
        return sum(map(_totals, rows), Totals())

    def failed(self) -> dict[str, SpawnResult]:
        """See `RunResults`."""
        query = "SELECT task_id FROM results WHERE run = ? AND cause IS NOT NULL"
        keys = {key for (key,) in self._rows(query, self._run)}
        return {each: self[each] for each, key in self._recorded.items() if key in keys}

    def seconds(self) -> dict[str, float]:
        """See `RunResults`."""
        query = "SELECT task_id, seconds FROM results WHERE run = ?"
        took = dict(self._rows(query, self._run))
        return {each: took.get(key) or 0.0 for each, key in self._recorded.items()}

    def spans(self) -> dict[str, tuple[float, float]]:
        """See `RunResults`."""
        took = {key: span for key, *span in self._rows(SPANS, self._run)}
        return {
            each: (took[key][0], took[key][0] + took[key][1])
            for each, key in self._recorded.items()
            if key in took
        }

    def _others(self) -> list[str]:
        """What else is recorded of the run, nearly always very little."""
        query = "SELECT task_id FROM results WHERE run = ?"
        keys = {key for (key,) in self._rows(query, self._run)}
        return list(keys.difference(self._recorded.values()))

    def _rows(self, query: str, *values: object) -> list[Any]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as exc:
            raise refused(exc, self._path) from exc


def _totals(row: Sequence[Any]) -> Totals:
    """Those of one cause and agent. What an older muster did not write yet counts
    nothing.
    """
    cause, agent, count, recovered, told, *values = row
    known = _CAUSES.get(cause, FailureCause.UNKNOWN)
    sums = {name: each or 0 for name, each in zip(SUMMED, values, strict=False)}
    used = dict(zip(USED, values[len(SUMMED) :], strict=True))
    used["cost_estimated"] = bool(used["cost_estimated"])
    usage = Usage(**used) if told else None
    return Totals(
        count,
        {} if known is None else {known: count},
        recovered=recovered,
        usage=usage,
        agents={} if usage is None else {agent or NO_AGENT: usage},
        **sums,
    )


def _finished(
    connection: sqlite3.Connection, run: int, problems: list[str]
) -> Iterator[tuple[str, FinishedTask]]:
    # The document as bytes: it is only checked, and 100,000 of them are.
    query = (
        "SELECT task_id, identity, cause, CAST(document AS BLOB), checksum, attempts, "
        "seconds FROM results WHERE run = ?"
    )
    for (
        task_id,
        identity,
        cause,
        document,
        check,
        attempts,
        seconds,
    ) in connection.execute(query, (run,)):
        is_sound = checksum(task_id, identity, cause, document) == check
        if is_sound and cause in _CAUSES:
            session = None if cause is None else _last_session(document)
            found = FinishedTask(
                identity, _CAUSES[cause], attempts, seconds or 0.0, session
            )
            yield task_id, found
        else:
            problems.append(f"the result of '{task_id}' is damaged; it is run again")


def _last_session(document: bytes) -> str | None:
    """The conversation in which a task that failed had its last attempt."""
    try:
        made = json.loads(document).get("attempts") or [{}]
        session = made[-1].get("session_id")
    except (ValueError, TypeError, AttributeError, IndexError):
        return None
    return session if isinstance(session, str) else None


def _interrupted(
    connection: sqlite3.Connection, run: int
) -> Iterator[tuple[str, InterruptedTask]]:
    query = (
        "SELECT task_id, identity, attempt, session_id, deaths + 1 FROM in_flight "
        "WHERE run = ?"
    )
    for task_id, *values in connection.execute(query, (run,)):
        yield task_id, InterruptedTask(*values)
