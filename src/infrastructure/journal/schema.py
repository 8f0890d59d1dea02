"""The journal's tables, and how an older journal becomes one of today.

A version's text never changes again: journals of that version exist. A change is a new
text at the end.
"""

import sqlite3
from typing import Final

from muster.domain.errors import JournalError

_FIRST: Final = """
CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO schema_version VALUES (1);
CREATE TABLE runs (
    run INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    plan_path TEXT,
    options TEXT NOT NULL DEFAULT '{}',
    started_at REAL NOT NULL,
    owner_pid INTEGER,
    owner_since REAL,
    status TEXT,
    summary TEXT
);
CREATE TABLE in_flight (
    run INTEGER NOT NULL,
    task_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    identity TEXT,
    started_at REAL NOT NULL,
    session_id TEXT,
    deaths INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run, task_id)
) WITHOUT ROWID;
CREATE TABLE results (
    number INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    task_id TEXT NOT NULL,
    identity TEXT,
    cause TEXT,
    attempts INTEGER NOT NULL,
    recorded_at REAL NOT NULL,
    document TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    UNIQUE (run, task_id)
);
"""
# What a task took is asked for by the thousand when the next run is planned, and must
# not cost the reading of every answer.
_SECOND: Final = """
ALTER TABLE results ADD COLUMN seconds REAL;
UPDATE results SET seconds = json_extract(document, '$.execution_time')
    WHERE json_valid(document);
CREATE INDEX results_by_identity ON results (identity, cause, seconds)
    WHERE identity IS NOT NULL;
"""
# The index changed a page for nearly every result of a commit; see `learned`.
_THIRD: Final = """
DROP INDEX results_by_identity;
CREATE TABLE learned (
    identity TEXT PRIMARY KEY,
    seconds REAL,
    number INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE learning (until INTEGER NOT NULL);
INSERT INTO learning VALUES (0);
"""
TEXTS: Final = (_FIRST, _SECOND, _THIRD)
VERSION: Final = len(TEXTS)


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Makes the tables those of today, in one transaction.

    Raises `JournalError` for a journal of a newer muster, and leaves it as it is.
    """
    if version_of(connection, path) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Asked again: another process may have done it while we waited.
        found = version_of(connection, path)
        for text in TEXTS[found:]:
            for statement in _statements(text):
                connection.execute(statement)
        connection.execute("UPDATE schema_version SET version = ?", (VERSION,))
    except BaseException:
        connection.rollback()
        raise
    connection.execute("COMMIT")


def version_of(connection: sqlite3.Connection, path: str) -> int:
    """The version of the tables, 0 for an empty file. Raises `JournalError`."""
    query = "SELECT 1 FROM sqlite_master WHERE name = 'schema_version'"
    if connection.execute(query).fetchone() is None:
        return 0
    (version,) = connection.execute("SELECT version FROM schema_version").fetchone()
    if version > VERSION:
        raise JournalError(
            f"has version {version}, and this muster reads versions up to "
            f"{VERSION}: get a newer one, or set MUSTER_HOME to another folder",
            path,
        )
    return int(version)


def _statements(text: str) -> list[str]:
    # Not executescript(): it would commit the transaction around it.
    return [each for each in map(str.strip, text.split(";")) if each]
