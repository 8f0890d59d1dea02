"""Saves what can be read of a damaged journal; the damaged one is kept."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from shutil import copyfile
from typing import Any, Final

from muster.infrastructure.durable_file import FILE_MODE, sync_folders

_SIDES: Final = ("", "-wal", "-shm")
_MAGIC: Final = b"SQLite format 3\0"
_HEADER: Final = 100
_MAX_GAP: Final = 100_000  # rows tried one by one around a damaged page


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Only one process at a time saves a journal. Raises OSError."""
    lock = path.with_name(f"{path.name}.lock")
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(lock, flags, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def rescue_of(path: Path) -> Path:
    """The new journal, until it takes the place of the damaged one."""
    return path.with_name(f"{path.name}.rescued")


def forget_rescue(path: Path) -> None:
    """Removes what an interrupted rescue left. Raises OSError."""
    for side in _SIDES:
        _beside(rescue_of(path), side).unlink(missing_ok=True)


def replace(path: Path) -> Path:
    """Puts the damaged journal aside, and the rescued one there. Raises OSError."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for side in _SIDES:
        old = _beside(path, side)
        if old.exists():
            old.rename(_beside(aside, side))
    rescue_of(path).rename(path)
    sync_folders([path.parent])
    return aside


def copy_readable(damaged: Path, new: sqlite3.Connection) -> dict[str, int]:
    """How many rows of each table could be saved. Raises what the new journal raises."""
    saved = {"runs": 0, "results": 0, "in_flight": 0}
    with _opened(damaged) as old:
        new.execute("BEGIN IMMEDIATE")
        for table, key in (("runs", "run"), ("results", "number"), ("in_flight", "")):
            saved[table] = _copy(old, new, table, key)
        new.execute("COMMIT")
    return saved


def words(path: Path, aside: Path, saved: dict[str, int]) -> str:
    """What happened, for people."""
    return (
        f"{path} was damaged; {saved['results']} results of {saved['runs']} runs could "
        f"be read and are kept, the damaged file is {aside.name}"
    )


@contextmanager
def _opened(damaged: Path) -> Iterator[sqlite3.Connection]:
    """A copy of the damaged journal: reading may write, and SQLite opens no short file."""
    copies = [damaged.with_name(f"{damaged.name}.copy{side}") for side in _SIDES]
    try:
        for side, copy in zip(_SIDES, copies, strict=True):
            source = _beside(damaged, side)
            if source.exists() and side != "-shm":
                copyfile(source, copy)
                copy.chmod(FILE_MODE)
        _lengthen(copies[0])
        with closing(sqlite3.connect(copies[0], isolation_level=None)) as old:
            yield old
    finally:
        for copy in copies:
            copy.unlink(missing_ok=True)


def _lengthen(path: Path) -> None:
    """Puts zeros where pages are missing: the pages before them can then be read."""
    with path.open("r+b") as file:
        header = file.read(_HEADER)
        if header[: len(_MAGIC)] == _MAGIC and len(header) == _HEADER:
            size = int.from_bytes(header[16:18]) * int.from_bytes(header[28:32])
            if size > path.stat().st_size:
                with suppress(OSError):  # a header may claim anything
                    file.truncate(size)


def _beside(path: Path, side: str) -> Path:
    return path.with_name(path.name + side)


def _copy(
    old: sqlite3.Connection, new: sqlite3.Connection, table: str, key: str
) -> int:
    columns = [row[1] for row in new.execute(f"PRAGMA table_info({table})")]
    there = _columns(old, table)
    shared = [each for each in columns if each in there]
    if not shared:
        return 0
    marks = ", ".join("?" * len(shared))
    names = ", ".join(shared)
    insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"  # noqa: S608
    count = 0
    for row in _rows(old, f"SELECT {names} FROM {table}", key, shared):  # noqa: S608
        try:
            count += new.execute(insert, row).rowcount
        except sqlite3.IntegrityError:
            continue
    return count


def _columns(old: sqlite3.Connection, table: str) -> set[str]:
    try:
        return {row[1] for row in old.execute(f"PRAGMA table_info({table})")}
    except sqlite3.Error:
        return set()


def _rows(
    old: sqlite3.Connection, select: str, key: str, columns: Sequence[str]
) -> Iterator[Sequence[Any]]:
    """From the front and from the back as far as it goes, then one by one between."""
    if not key:
        yield from _while_readable(old, select)
        return
    place = list(columns).index(key)
    first, last = 0, None
    for row in _while_readable(old, f"{select} ORDER BY {key}"):
        first = row[place]
        yield row
    for row in _while_readable(old, f"{select} ORDER BY {key} DESC"):
        if row[place] <= first:
            return
        last = row[place]
        yield row
    end = first + _MAX_GAP if last is None else min(last, first + _MAX_GAP)
    for number in range(first + 1, end):
        yield from _while_readable(old, f"{select} WHERE {key} = {number}")


def _while_readable(old: sqlite3.Connection, query: str) -> Iterator[Sequence[Any]]:
    try:
        with closing(old.execute(query)) as cursor:
            while (row := cursor.fetchone()) is not None:
                yield row
    except sqlite3.Error:
        return
