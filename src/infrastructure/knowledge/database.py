"""The file of the index: private, made again where it is damaged or of another version.

All that it holds can be read again from the sources, so nothing of it is ever saved.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from muster.domain import presets
from muster.infrastructure.data_folder import make_home
from muster.infrastructure.durable_file import FILE_MODE, FOLDER_MODE
from muster.infrastructure.journal.database import is_damage, primary_code

FOLDER: Final = "knowledge"
NAME: Final = "index.db"
LOCK: Final = "lock"
# Raised whenever what is stored, or how it is cut or parted into words, changes.
VERSION: Final = 1
_TABLES: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE files (
    file INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    looked INTEGER NOT NULL,
    digest BLOB NOT NULL,
    left_out TEXT,
    is_named INTEGER NOT NULL
);
CREATE TABLE chunks (
    chunk INTEGER PRIMARY KEY,
    file INTEGER NOT NULL,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX chunks_of_file ON chunks (file);
CREATE VIRTUAL TABLE words USING fts5 (
    path, title, body, content = '', tokenize = 'porter unicode61'
);
PRAGMA user_version = {VERSION};
COMMIT;
"""


def open_index(home: Path | None) -> sqlite3.Connection:
    """The index of that home, or one in memory. Raises sqlite3.Error and OSError."""
    if home is None:
        return _ready(_connected(":memory:"))
    folder = home / FOLDER
    make_home(home)
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    with _alone(folder):
        path = folder / NAME
        try:
            return _opened(path)
        except sqlite3.DatabaseError as exc:
            if not is_damage(exc):
                raise
        forget(path)
        return _opened(path)


def discard(home: Path) -> None:
    """Removes an index that turned out to be damaged. Raises OSError."""
    with _alone(home / FOLDER):
        forget(home / FOLDER / NAME)


def forget(path: Path) -> None:
    """Whoever has it open goes on with what has no name any more."""
    for suffix in ("-wal", "-shm", "-journal", ""):
        with suppress(FileNotFoundError):
            path.with_name(f"{path.name}{suffix}").unlink()


def is_moved(error: sqlite3.Error) -> bool:
    """Whether another process has replaced the file under us."""
    name = getattr(error, "sqlite_errorname", "")
    return bool(name == "SQLITE_READONLY_DBMOVED")


def is_broken(error: sqlite3.Error) -> bool:
    """Whether the index has to be made again."""
    return is_damage(error) or primary_code(error) == sqlite3.SQLITE_ERROR


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    # Two that find it damaged must not both throw away what one has just made.
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(folder / LOCK, flags, FILE_MODE)
    try:
        # A file system without locks: then a damaged index is rebuilt twice, no worse.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> sqlite3.Connection:
    with suppress(FileExistsError):
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(path, flags, FILE_MODE))
    connection = _connected(path)
    try:
        version = _version(connection)
        if version in (0, VERSION):
            connection.execute("PRAGMA journal_mode = WAL")
            # Without waiting for the disk: a power cut costs the latest changes only.
            connection.execute("PRAGMA synchronous = NORMAL")
            return _ready(connection)
    except BaseException:
        connection.close()
        raise
    connection.close()
    forget(path)
    return _opened(path)


def _connected(path: Path | str) -> sqlite3.Connection:
    return sqlite3.connect(
        path,
        timeout=presets.INDEX_BUSY,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=64,
    )


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _ready(connection: sqlite3.Connection) -> sqlite3.Connection:
    if _version(connection) != VERSION:
        connection.executescript(_TABLES)
    connection.execute(f"PRAGMA cache_size = -{presets.INDEX_CACHE // 1024}")
    # Of this connection alone: which files were named with the question.
    connection.execute("CREATE TEMP TABLE asked (path BLOB PRIMARY KEY)")
    return connection
