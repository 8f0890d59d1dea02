"""The witness log on disk: append-only, hash-chained, one chain per run.

The records are in one SQLite file. The head of each chain is kept there and in a small
file beside it, so that a chain that was cut short is found, too.
"""

import json
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

from attrs import define, field

from muster.application.ports.clock import Clock
from muster.domain import presets
from muster.domain.errors import JournalError
from muster.domain.witness import Head, Statement, WitnessRecord, head_of, link
from muster.infrastructure.data_folder import make_home
from muster.infrastructure.durable_file import FILE_MODE, FOLDER_MODE, sync_folders
from muster.infrastructure.journal.database import refused
from muster.infrastructure.journal.writer import Entry, GroupWriter
from muster.infrastructure.safe_name import safe_name
from muster.infrastructure.secrets import Redactor

FOLDER: Final = "witness"
NAME: Final = "witness.db"
HEAD: Final = ".head"
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS records (
    place INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    document TEXT NOT NULL,
    content BLOB NOT NULL,
    UNIQUE (run_id, number)
);
CREATE TABLE IF NOT EXISTS heads (
    run_id TEXT PRIMARY KEY,
    count INTEGER NOT NULL,
    digest TEXT NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS never_changed BEFORE UPDATE ON records
    BEGIN SELECT RAISE(ABORT, 'the witness log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS never_removed BEFORE DELETE ON records
    BEGIN SELECT RAISE(ABORT, 'the witness log is append-only'); END;
"""
_RECORD: Final = (
    "INSERT INTO records (run_id, number, document, content) VALUES (?, ?, ?, ?)"
)
_HEAD: Final = """
INSERT INTO heads VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET count = excluded.count, digest = excluded.digest
"""
_HEAD_OF: Final = "SELECT count, digest FROM heads WHERE run_id = ?"


@define(eq=False)
class _Pending:
    statement: Statement
    record: WitnessRecord | None = None


@define(eq=False)
class WitnessLog:
    """See `Witness`. Contents are kept too, secrets masked.

    What many agents say at once is committed at once. After a commit that failed
    nothing is ever recorded again. Several processes may write; each run has one chain.
    """

    home: Path
    run_id: str
    clock: Clock
    redactor: Redactor
    _connection: sqlite3.Connection = field(repr=False)
    _head_file: int = field(repr=False)
    _writer: GroupWriter = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        name = f"muster-witness-{self.run_id}"
        self._writer = GroupWriter(name, self._commit, _nothing_more)

    @classmethod
    def open(
        cls,
        home: Path,
        run_id: str,
        *,
        clock: Clock,
        redactor: Redactor | None = None,
        busy_seconds: float = presets.JOURNAL_BUSY,
    ) -> Self:
        """The chain of that run, begun or continued. Raises `JournalError`."""
        folder = home / FOLDER
        path = folder / NAME
        try:
            make_home(home)
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
            connection = _connected(path, busy_seconds)
        except sqlite3.Error as exc:
            raise refused(exc, path) from exc
        except OSError as exc:
            problem = f"can't be opened: {exc.strerror or exc}"
            raise JournalError(problem, str(path)) from exc
        try:
            head_file = _head_file(folder, run_id)
        except OSError as exc:
            connection.close()
            problem = f"can't be opened: {exc.strerror or exc}"
            raise JournalError(problem, exc.filename) from exc
        return cls(home, run_id, clock, redactor or Redactor(), connection, head_file)

    @property
    def path(self) -> Path:
        """Where the records are."""
        return self.home / FOLDER / NAME

    async def commit(self, statement: Statement) -> WitnessRecord:
        """See `Witness`."""
        pending = _Pending(statement)
        await self._writer.write("record", pending)
        assert pending.record is not None  # noqa: S101 - it is durable now
        return pending.record

    async def aclose(self) -> None:
        """Waits until everything is recorded. Calling it again does nothing."""
        try:
            await self._writer.aclose()
        finally:
            self._connection.close()
            if self._head_file >= 0:
                os.close(self._head_file)
                self._head_file = -1

    # --- in the writer's thread -------------------------------------------------

    def _commit(self, batch: Sequence[Entry]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                head = self._append([each.values for each in batch])
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as exc:
            raise refused(exc, self.path) from exc
        self._keep(head)

    def _append(self, batch: Sequence[_Pending]) -> Head:
        # Read each time: another process may continue the same chain.
        found = self._connection.execute(_HEAD_OF, (self.run_id,)).fetchone()
        head = Head(*found) if found else Head()
        now = self.clock.epoch()
        rows = []
        for each in batch:
            said = each.statement.content
            kept = self.redactor.redact(said) if self.redactor.finds(said) else said
            record = link(head, self.run_id, each.statement, kept=kept, recorded_at=now)
            each.record, head = record, head_of(record)
            rows.append(_row_of(record, kept))
        self._connection.executemany(_RECORD, rows)
        self._connection.execute(_HEAD, (self.run_id, head.count, head.digest))
        return head

    def _keep(self, head: Head) -> None:
        # After the commit: a head that is behind lies on the chain, one that is ahead
        # would accuse somebody of having removed what a power cut took.
        try:
            _write_head(self._head_file, self.run_id, head)
        except OSError as exc:
            problem = f"the head of the witness log could not be kept: {exc.strerror}"
            raise JournalError(problem, str(self.path.parent)) from exc


def head_path(home: Path, run_id: str) -> Path:
    """The second place of a chain's head."""
    return home / FOLDER / f"{safe_name(run_id)}{HEAD}"


def _row_of(record: WitnessRecord, kept: str) -> tuple[Any, ...]:
    # As ASCII: SQLite refuses lone surrogates, which names may hold.
    document = json.dumps(
        {
            "batch_id": record.batch_id,
            "agent_id": record.agent_id,
            "request_id": record.request_id,
            "kind": record.kind,
            "recorded_at": record.recorded_at,
            "sha256": record.sha256,
            "kept_sha256": record.kept_sha256,
            "previous": record.previous,
            "digest": record.digest,
        }
    )
    content = kept.encode("utf-8", "surrogatepass")
    return record.run_id, record.number, document, content


def _connected(path: Path, busy_seconds: float) -> sqlite3.Connection:
    # SQLite gives its side files the mode of this one.
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE_MODE))
        sync_folders([path.parent])
    except FileExistsError:
        pass
    connection = sqlite3.connect(
        path, timeout=busy_seconds, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(_TABLES)
    except BaseException:
        connection.close()
        raise
    return connection


def _head_file(folder: Path, run_id: str) -> int:
    path = head_path(folder.parent, run_id)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, FILE_MODE)
    if not os.fstat(descriptor).st_size:
        _write_head(descriptor, run_id, Head())
    return descriptor


def _write_head(descriptor: int, run_id: str, head: Head) -> None:
    # Always of one length: a shorter one would leave the end of the one before.
    text = f"{head.count:12} {head.digest} {run_id}\n"
    os.pwrite(descriptor, text.encode(), 0)


def _nothing_more(batch: Sequence[Entry]) -> None:
    return
