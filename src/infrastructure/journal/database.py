"""Opens the journal's file: private, in WAL mode, every commit on the disk.

A journal that is damaged is put aside, and what can be read of it goes on in a new one.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from attrs import frozen

from muster.domain import presets
from muster.domain.errors import JournalError
from muster.infrastructure.durable_file import FILE_MODE, sync_folders
from muster.infrastructure.journal import salvage
from muster.infrastructure.journal.holders import holders
from muster.infrastructure.journal.schema import migrate

NAME: Final = "journal.db"
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY: Final = 0xFF  # of an extended error code
_WORDS: Final = {
    sqlite3.SQLITE_READONLY: "can't be written: it, or its file system, is read-only",
    sqlite3.SQLITE_FULL: "the disk is full; free some space, then `muster resume`",
    sqlite3.SQLITE_CANTOPEN: "can't be opened or created",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
    sqlite3.SQLITE_CORRUPT: "is damaged; `muster resume` saves what can be read",
    sqlite3.SQLITE_NOTADB: "is damaged; `muster resume` saves what can be read",
    sqlite3.SQLITE_PERM: "must not be opened by this user",
    sqlite3.SQLITE_AUTH: "must not be opened by this user",
}


@frozen
class Opened:
    """A connection to a sound journal; ``warning`` says what was lost, if anything."""

    connection: sqlite3.Connection
    warning: str | None = None


def open_journal(
    home: Path,
    *,
    busy_seconds: float = presets.JOURNAL_BUSY,
    is_suspect: bool = False,
) -> Opened:
    """The journal of that home, made where there is none. Raises `JournalError`.

    One that ``is_suspect`` is checked as a whole, however big: about 1 s per GiB.
    """
    path = home / NAME
    try:
        return Opened(_connected(path, busy_seconds, is_suspect=is_suspect))
    except sqlite3.DatabaseError as exc:
        if not is_damage(exc):
            raise refused(exc, path) from exc
    except OSError as exc:
        raise JournalError(
            f"can't be opened: {exc.strerror or exc}", str(path)
        ) from exc
    return _rescued(path, busy_seconds)


def open_reader(home: Path) -> sqlite3.Connection:
    """A second connection, which never waits for a commit. Raises `JournalError`."""
    path = home / NAME
    try:
        connection = sqlite3.connect(path, timeout=1.0, isolation_level=None)
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as exc:
        raise refused(exc, path) from exc
    return connection


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is broken."""
    return primary_code(error) in _DAMAGED


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's code without its details; 0 for an error of the Python module."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY


def refused(error: sqlite3.Error, path: Path) -> JournalError:
    """The error in words that say what to do."""
    code = primary_code(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        who = holders([path, path.with_name(f"{path.name}-shm")])
        return JournalError(f"another process keeps it locked{who}", str(path))
    name = getattr(error, "sqlite_errorname", "")
    words = _WORDS.get(code, "failed")
    detail = f"{name}: {error}" if name else str(error)
    return JournalError(f"{words} ({detail})", str(path))


def _rescued(path: Path, busy_seconds: float) -> Opened:
    try:
        with salvage.alone(path):
            try:
                # Another process may have rescued it while we waited.
                return Opened(_connected(path, busy_seconds, is_suspect=True))
            except sqlite3.DatabaseError as exc:
                if not is_damage(exc):
                    raise
            saved = _saved(path, busy_seconds)
            aside = salvage.replace(path)
            words = salvage.words(path, aside, saved)
            return Opened(_connected(path, busy_seconds), words)
    except sqlite3.Error as exc:
        raise refused(exc, path) from exc
    except OSError as exc:
        problem = f"is damaged and can't be rescued: {exc.strerror or exc}"
        raise JournalError(problem, str(path)) from exc


def _saved(path: Path, busy_seconds: float) -> dict[str, int]:
    # Into a new file first: whatever happens meanwhile, the damaged one is in its place
    # until all that it holds is safe.
    salvage.forget_rescue(path)
    with closing(_connected(salvage.rescue_of(path), busy_seconds)) as connection:
        return salvage.copy_readable(path, connection)


def _connected(
    path: Path, busy_seconds: float, *, is_suspect: bool = False
) -> sqlite3.Connection:
    _make_private(path)
    connection = sqlite3.connect(
        path,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=64,
    )
    try:
        _prepare(connection, path, is_suspect=is_suspect)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_private(path: Path) -> None:
    # SQLite gives its side files the mode of this one.
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE_MODE))
    except FileExistsError:
        return
    sync_folders([path.parent])


def _prepare(connection: sqlite3.Connection, path: Path, *, is_suspect: bool) -> None:
    with closing(connection.execute("PRAGMA journal_mode")) as cursor:
        (mode,) = cursor.fetchone()
    if mode != "wal":
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cell_size_check = ON")
    if is_suspect or path.stat().st_size <= presets.JOURNAL_CHECKED_BYTES:
        _check(connection)
    migrate(connection, str(path))


def _check(connection: sqlite3.Connection) -> None:
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise _damaged(said)


def _damaged(said: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(said)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    error.sqlite_errorname = "SQLITE_CORRUPT"
    return error
