"""Reads the witness log: who said what, and whether the chain still holds."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import frozen

from muster.domain.errors import JournalError
from muster.domain.witness import BrokenLink, Head, WitnessRecord, first_break
from muster.infrastructure.journal.database import refused
from muster.infrastructure.witness_log import FOLDER, HEAD, NAME, head_path

_RECORDS = (
    "SELECT number, document, content FROM records WHERE run_id = ? ORDER BY number"
)
_RUNS = """
SELECT run_id FROM (
    SELECT run_id, max(place) AS place FROM records GROUP BY run_id
    UNION ALL SELECT run_id, 0 FROM heads
) GROUP BY run_id ORDER BY max(place)
"""


@frozen
class Verified:
    """What `verify` found: ``count`` records that hold, and the first that does not."""

    run_id: str
    count: int
    head: str
    broken: BrokenLink | None = None


class _UnreadableError(ValueError):
    """A row does not hold what was written."""


def verify(home: Path, run_id: str) -> Verified:
    """Recomputes the chain of a run, contents included. Raises `JournalError`."""
    with closing(_reader(home)) as connection:
        seen = _Counted(_rows(connection, home, run_id))
        heads = _heads(connection, home, run_id)
        try:
            broken = first_break(seen, run_id, heads)
        except _UnreadableError as error:
            broken = BrokenLink(seen.count + 1, str(error))
    count = broken.number - 1 if broken else seen.count
    return Verified(run_id, count, heads[-1].digest, broken)


def records(home: Path, run_id: str) -> Iterator[tuple[WitnessRecord, str]]:
    """All that was recorded in a run, in order, with the contents as they are kept.

    Raises `JournalError` for a log that can't be read. Nothing is verified.
    """
    with closing(_reader(home)) as connection:
        try:
            yield from _rows(connection, home, run_id)
        except _UnreadableError as error:
            raise JournalError(str(error), str(home / FOLDER / NAME)) from error


def witnessed_runs(home: Path) -> list[str]:
    """The runs that have a chain, or had one; the latest last. Raises `JournalError`."""
    folder = home / FOLDER
    if not (folder / NAME).exists():
        return []
    with closing(_reader(home)) as connection:
        try:
            found = [run_id for (run_id,) in connection.execute(_RUNS)]
        except sqlite3.Error as exc:
            raise refused(exc, folder / NAME) from exc
    # A chain that was removed as a whole has left its head.
    heads = [_kept_head(each) for each in sorted(folder.glob(f"*{HEAD}"))]
    left = [each[1] for each in heads if each is not None and each[0].count]
    return [run_id for run_id in left if run_id not in found] + found


class _Counted:
    """Counts what was taken out of it."""

    def __init__(self, rows: Iterator[tuple[WitnessRecord, str]]) -> None:
        self.count = 0
        self._rows = rows

    def __iter__(self) -> Iterator[tuple[WitnessRecord, str]]:
        for row in self._rows:
            self.count += 1
            yield row


def _reader(home: Path) -> sqlite3.Connection:
    path = home / FOLDER / NAME
    if not path.exists():
        raise JournalError("there is no witness log here", str(path))
    try:
        connection = sqlite3.connect(path, timeout=1.0, isolation_level=None)
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as exc:
        raise refused(exc, path) from exc
    return connection


def _rows(
    connection: sqlite3.Connection, home: Path, run_id: str
) -> Iterator[tuple[WitnessRecord, str]]:
    try:
        for number, document, content in connection.execute(_RECORDS, (run_id,)):
            yield _record(run_id, number, document, content)
    except sqlite3.Error as exc:
        raise refused(exc, home / FOLDER / NAME) from exc


def _record(
    run_id: str, number: Any, document: Any, content: Any
) -> tuple[WitnessRecord, str]:
    try:
        fields = json.loads(document)
        record = WitnessRecord(number=number, run_id=run_id, **fields)
        return record, content.decode("utf-8", "surrogatepass")
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _UnreadableError(f"it was changed: it can't be read ({error})") from error


def _heads(connection: sqlite3.Connection, home: Path, run_id: str) -> list[Head]:
    query = "SELECT count, digest FROM heads WHERE run_id = ?"
    try:
        found = connection.execute(query, (run_id,)).fetchone()
    except sqlite3.Error as exc:
        raise refused(exc, home / FOLDER / NAME) from exc
    kept = _kept_head(head_path(home, run_id))
    return [*(kept[:1] if kept else ()), Head(*found) if found else Head()]


def _kept_head(path: Path) -> tuple[Head, str] | None:
    """A head in its second place, and whose it is."""
    # Missing or unreadable, it says nothing; the head in the database still does.
    try:
        count, digest, run_id = path.read_bytes().decode().split(maxsplit=2)
        return Head(int(count), digest), run_id.strip()
    except (OSError, ValueError):
        return None
