"""The journal of one run, and the files of its folder, which are written from it."""

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from shutil import rmtree
from typing import Any, Self

from attrs import define, field

from muster.application.ports.clock import Clock
from muster.application.ports.randomness import Randomness
from muster.domain import presets
from muster.domain.errors import JournalError
from muster.domain.outcome import SpawnResult
from muster.infrastructure.durable_file import write_whole
from muster.infrastructure.journal import statements as sql
from muster.infrastructure.journal.claim import Claim, Owner
from muster.infrastructure.journal.database import NAME, open_journal, refused
from muster.infrastructure.journal.history import run_number
from muster.infrastructure.journal.learned import learn
from muster.infrastructure.journal.origin import Origin
from muster.infrastructure.journal.records import Record, key_of, record_of
from muster.infrastructure.journal.writer import Entry, GroupWriter
from muster.infrastructure.run_store import (
    OUTPUT,
    RESULTS,
    RUNS,
    SUMMARY,
    RunStore,
)
from muster.infrastructure.safe_name import numbered_name, safe_name
from muster.infrastructure.secrets import Redactor


@define(eq=False)
class RunJournal:
    """See `Journal` and `AttemptLog`. One process at a time writes a run.

    `record` returns when its result is committed; the result's file follows. ``plan``
    of `create` is kept in the run's folder, ``options`` is for whoever resumes.
    """

    store: RunStore
    clock: Clock
    run: int
    connection: sqlite3.Connection = field(repr=False)
    claim: Claim = field(repr=False)
    warning: str | None = None
    identities: Mapping[str, str] | None = None
    run_id: str = field(init=False)
    problem: str | None = field(default=None, init=False)
    _writer: GroupWriter = field(init=False, repr=False)
    _unwritten: dict[str, SpawnResult] = field(factory=dict, init=False)
    _inodes: tuple[int, ...] | None = field(default=None, init=False)
    _results: str = field(init=False, repr=False)
    _outputs: str = field(init=False, repr=False)
    _names: dict[str, str] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.run_id = self.store.run_id
        name = f"muster-journal-{self.run_id}"
        self._results = f"{self.folder / RESULTS}{os.sep}"
        self._outputs = f"{self.folder / OUTPUT}{os.sep}"
        self._writer = GroupWriter(name, self._commit, self._write_files)

    @classmethod
    def create(
        cls,
        home: Path,
        *,
        clock: Clock,
        randomness: Randomness,
        redactor: Redactor | None = None,
        plan: str | bytes = b"",
        plan_path: Path | None = None,
        options: Mapping[str, Any] | None = None,
        busy_seconds: float = presets.JOURNAL_BUSY,
    ) -> Self:
        """A new run of ours. Raises `JournalError` before anything was started."""
        store = RunStore.create(
            home, clock=clock, randomness=randomness, redactor=redactor, plan=plan
        )
        with ExitStack() as undo:
            # Nothing ran: an empty folder would be a run that never was.
            undo.callback(rmtree, store.folder, ignore_errors=True)
            claim = Claim.take(store.folder, lambda: (None, None))
            undo.callback(claim.release)
            origin = Origin.of(plan_path, options or {})
            origin.write(store.folder)
            opened = open_journal(home, busy_seconds=busy_seconds)
            undo.callback(opened.connection.close)
            now = clock.epoch()
            row = (store.run_id, *origin.columns, now, os.getpid(), now)
            run = _committed(opened.connection, home, sql.BEGUN, row)
            undo.pop_all()
        return cls(store, clock, run, opened.connection, claim, opened.warning)

    @classmethod
    def reopen(
        cls,
        home: Path,
        run_id: str,
        *,
        clock: Clock,
        redactor: Redactor | None = None,
        busy_seconds: float = presets.JOURNAL_BUSY,
    ) -> Self:
        """The run is ours from now on. Raises `JournalError` that says whose it is."""
        store = RunStore(run_id, home / RUNS / run_id, redactor or Redactor())
        opened = open_journal(home, busy_seconds=busy_seconds, is_suspect=True)
        connection = opened.connection
        with ExitStack() as undo:
            undo.callback(connection.close)
            claim = Claim.take(store.folder, lambda: _owner_of(connection, run_id))
            undo.callback(claim.release)
            run = _number_of(connection, store.folder, clock)
            owner = (os.getpid(), clock.epoch(), run)
            _committed(connection, home, sql.OWNED, owner)
            undo.pop_all()
        (store.folder / SUMMARY).unlink(missing_ok=True)
        return cls(store, clock, run, connection, claim, opened.warning)

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.store.folder

    @property
    def redactor(self) -> Redactor:
        """Masks what is written."""
        return self.store.redactor

    @property
    def home(self) -> Path:
        """Where the journal is."""
        return self.folder.parent.parent

    def result_path(self, result: SpawnResult) -> Path:
        """The file of a result."""
        return self.store.result_path(result)

    def output_path(self, task_id: str) -> str:
        """See `Journal`."""
        # Asked for at every start, and the same name is wanted for the result's file.
        name = self._names[task_id] = safe_name(task_id)
        return self._outputs + name

    def _name_of(self, result: SpawnResult) -> str:
        if result.task_id is None:
            name = numbered_name(result.task_index)
        else:
            known = self._names.pop(result.task_id, None)
            name = known or safe_name(result.task_id)
        return f"{self._results}{name}.json"

    async def record(self, result: SpawnResult) -> None:
        """See `Journal`. A later result of the same task takes its place."""
        await self._writer.write("result", result)

    async def started(self, task_id: str, attempt: int) -> None:
        """See `AttemptLog`."""
        await self._writer.write("started", (task_id, attempt, self.clock.epoch()))

    def session(self, task_id: str, session_id: str) -> None:
        """See `AttemptLog`."""
        self._writer.note("session", (session_id, self.run, task_id))

    async def complete(self, summary: Mapping[str, Any]) -> None:
        """See `Journal`. Files that could not be written before are tried again."""
        await self._writer.write("complete", dict(summary))
        await self._writer.call(self._finish_files, summary)
        await self._writer.call(self.learn)

    def adopt(self, results: Iterable[tuple[SpawnResult, str]]) -> int:
        """Records results of before with their identities; how many. To be called
        before anything else is written. Raises `JournalError`.
        """
        now = self.clock.epoch()
        records = [record_of(each, known, self.redactor) for each, known in results]
        rows = [sql.row_of(self.run, each, now) for each in records]
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                self.connection.executemany(sql.RESULT, rows)
                landed = [(self.run, each.task_id) for each in records]
                self.connection.executemany(sql.LANDED, landed)
                self.connection.execute("COMMIT")
            except BaseException:
                _roll_back(self.connection)
                raise
        except sqlite3.Error as exc:
            raise refused(exc, self.home / NAME) from exc
        return len(rows)

    def learn(self) -> None:
        """Makes what was recorded, of any run, known to `durations` and `shared`."""
        try:
            learn(self.connection)
        except sqlite3.Error:
            # Only a help for other runs, and the next one of them tries again.
            return

    async def restore(self, results: Sequence[SpawnResult]) -> None:
        """Writes files of results that the journal has and the folder has not."""
        await self._writer.call(self._write_each, results)

    async def aclose(self) -> None:
        """Waits until everything is written, and lets others have the run."""
        try:
            await self._writer.aclose()
            await self.store.aclose()
        finally:
            self.close()

    def close(self) -> None:
        """The same when nothing was written."""
        self.connection.close()
        self.claim.release()

    # --- in the writer's thread -------------------------------------------------

    def _commit(self, batch: Sequence[Entry]) -> None:
        path = self.home / NAME
        try:
            self._check_files(path)
            self._mask_outputs(batch)
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                for kind, entries in groupby(batch, attrgetter("kind")):
                    self._insert(kind, list(entries))
                self.connection.execute("COMMIT")
            except BaseException:
                _roll_back(self.connection)
                raise
        except sqlite3.Error as exc:
            raise refused(exc, path) from exc
        if self._inodes is None:
            self._inodes = _inodes(path)

    def _mask_outputs(self, batch: Sequence[Entry]) -> None:
        # Before anybody is told where they are.
        try:
            for each in batch:
                if each.kind == "result":
                    self.store.mask_outputs(each.values)
        except OSError as exc:
            problem = f"an output could not be masked: {exc.strerror}"
            raise JournalError(problem, exc.filename) from exc

    def _insert(self, kind: str, entries: Sequence[Entry]) -> None:
        if kind == "result":
            self._insert_results(entries)
        elif kind == "started":
            known = self.identities or {}
            rows = [
                (self.run, task_id, attempt, known.get(task_id), at)
                for task_id, attempt, at in (each.values for each in entries)
            ]
            self.connection.executemany(sql.STARTED, rows)
        elif kind == "session":
            rows = [each.values for each in entries]
            self.connection.executemany(sql.SESSION, rows)
        else:
            for each in entries:
                self._insert_summary(each.values)

    def _insert_results(self, entries: Sequence[Entry]) -> None:
        known, now = self.identities or {}, self.clock.epoch()
        rows = []
        for each in entries:
            result: SpawnResult = each.values
            record = record_of(result, known.get(key_of(result)), self.redactor)
            each.values = (result, record)
            rows.append(sql.row_of(self.run, record, now))
        self.connection.executemany(sql.RESULT, rows)
        landed = [(self.run, row[1]) for row in rows]
        self.connection.executemany(sql.LANDED, landed)

    def _insert_summary(self, summary: Mapping[str, Any]) -> None:
        document = self.redactor.redact_document(summary)
        row = (summary.get("status"), json.dumps(document), self.run)
        self.connection.execute(sql.COMPLETED, row)

    def _check_files(self, path: Path) -> None:
        # SQLite goes on writing to a file that nobody can find any more.
        if self._inodes is None or _inodes(path) == self._inodes:
            return
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        raise JournalError(
            "this file, or its -wal, was deleted or replaced while a run was writing "
            "it; the run stops here, what is finished is kept, `muster resume` goes on",
            str(path),
        )

    def _write_files(self, batch: Sequence[Entry]) -> None:
        for each in batch:
            if each.kind == "result":
                result, record = each.values
                self._write_file(result, record)

    def _write_each(self, results: Sequence[SpawnResult]) -> None:
        known = self.identities or {}
        for each in results:
            self._write_file(
                each, record_of(each, known.get(key_of(each)), self.redactor)
            )

    def _write_file(self, result: SpawnResult, record: Record) -> None:
        try:
            self.store.mask_outputs(result)
            write_whole(self._name_of(result), record.data + b"\n")
            self.store.keep_outputs(result, record.output, record.stderr)
        except OSError as exc:
            # The journal has it. The file can be made again when there is room.
            self._unwritten[record.task_id] = result
            self.problem = f"{exc.filename}: {exc.strerror}"

    def _finish_files(self, summary: Mapping[str, Any]) -> None:
        waiting, self._unwritten = list(self._unwritten.values()), {}
        self._write_each(waiting)
        self.store.write_summary(summary)


def _inodes(path: Path) -> tuple[int, ...]:
    found = []
    for name in (path.name, f"{path.name}-wal"):
        try:
            found.append(path.with_name(name).stat().st_ino)
        except OSError:
            found.append(0)
    return tuple(found)


def _roll_back(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("ROLLBACK")
    except sqlite3.Error:
        # SQLite has done it already, or the disk is gone.
        return


def _committed(
    connection: sqlite3.Connection, home: Path, statement: str, row: Sequence[Any]
) -> int:
    try:
        cursor = connection.execute(statement, row)
    except sqlite3.Error as exc:
        raise refused(exc, home / NAME) from exc
    return int(cursor.lastrowid or 0)


def _owner_of(connection: sqlite3.Connection, run_id: str) -> Owner:
    query = "SELECT owner_pid, owner_since FROM runs WHERE run_id = ?"
    try:
        found = connection.execute(query, (run_id,)).fetchone()
    except sqlite3.Error:
        found = None
    return found or (None, None)


def _number_of(connection: sqlite3.Connection, folder: Path, clock: Clock) -> int:
    home = folder.parent.parent
    found = run_number(connection, home, folder.name)
    if found is not None:
        return found
    # Its folder is there, and its row was lost with a damaged journal.
    origin = Origin.read(folder)
    row = (folder.name, *origin.columns, clock.epoch(), None, None)
    return _committed(connection, home, sql.BEGUN, row)
