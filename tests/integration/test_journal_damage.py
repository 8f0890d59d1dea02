"""Journals of other versions, and broken ones: said in words, and nothing readable lost."""

import sqlite3
from contextlib import closing

import pytest

from muster.domain.errors import JournalError
from muster.domain.outcome import SpawnResult
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.journal import schema
from muster.infrastructure.journal.database import open_journal
from muster.infrastructure.journal.history import read_history
from muster.infrastructure.journal.learned import durations
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.randomness import SystemRandomness

# As version 1 wrote it. It stays: such journals exist.
VERSION_1 = """
CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO schema_version VALUES (1);
CREATE TABLE runs (run INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, plan_path TEXT,
    options TEXT NOT NULL DEFAULT '{}', started_at REAL NOT NULL, owner_pid INTEGER,
    owner_since REAL, status TEXT, summary TEXT);
CREATE TABLE in_flight (run INTEGER NOT NULL, task_id TEXT NOT NULL,
    attempt INTEGER NOT NULL, identity TEXT, started_at REAL NOT NULL, session_id TEXT,
    deaths INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (run, task_id)) WITHOUT ROWID;
CREATE TABLE results (number INTEGER PRIMARY KEY, run INTEGER NOT NULL,
    task_id TEXT NOT NULL, identity TEXT, cause TEXT, attempts INTEGER NOT NULL,
    recorded_at REAL NOT NULL, document TEXT NOT NULL, checksum INTEGER NOT NULL,
    UNIQUE (run, task_id));
INSERT INTO runs VALUES (1, '20250101T000000.000000Z-a', NULL, '{}', 1.0, NULL, NULL,
    NULL, NULL);
INSERT INTO in_flight VALUES (1, 'b', 2, 'B', 1.0, NULL, 0);
INSERT INTO results VALUES (1, 1, 'a', 'A', NULL, 1, 2.0,
    '{"success": true, "execution_time": 2.5}', 3646860345);
"""


def reopen(home, run_id):
    """The journal of a run from before."""
    return RunJournal.reopen(home, run_id, clock=SystemClock())


async def written(home, count=300):
    """A closed journal with one run; its id."""
    journal = RunJournal.create(
        home, clock=SystemClock(), randomness=SystemRandomness()
    )
    for place in range(count):
        output = f"answer {place} " * 40
        result = SpawnResult(success=True, output=output, task_id=f"t{place}")
        await journal.record(result)
    await journal.aclose()
    return journal.run_id


def test_from_the_first_version(tmp_path):
    """A journal of version 1 is brought up to date with all that is in it."""
    with closing(sqlite3.connect(tmp_path / "journal.db")) as connection:
        connection.executescript(VERSION_1)
    (tmp_path / "runs" / "20250101T000000.000000Z-a").mkdir(parents=True)

    journal = reopen(tmp_path, "20250101T000000.000000Z-a")
    stored = read_history(journal.connection, tmp_path, journal.run)

    assert stored.problems == ()
    assert stored.tasks.finished["a"].seconds == 2.5
    assert stored.tasks.interrupted["b"].attempt == 2
    journal.learn()
    assert durations(journal.connection, {"x": "A"}) == {"x": 2.5}
    assert schema.version_of(journal.connection, "") == schema.VERSION
    journal.close()


def test_every_version_ends_the_same(tmp_path):
    """A migrated journal has the tables of a new one, to the letter."""
    shapes = []
    for first in range(schema.VERSION):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            for number, text in enumerate(schema.TEXTS[:first], 1):
                connection.executescript(text)
                connection.execute("UPDATE schema_version SET version = ?", (number,))
            schema.migrate(connection, "")
            query = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
            shapes.append(connection.execute(query).fetchall())
    assert all(shape == shapes[0] for shape in shapes)


def test_from_the_future(tmp_path):
    """Both numbers are named, and the journal is left as it was."""
    open_journal(tmp_path).connection.close()
    with closing(sqlite3.connect(tmp_path / "journal.db")) as connection:
        connection.execute("UPDATE schema_version SET version = 999")
        connection.commit()
    before = (tmp_path / "journal.db").read_bytes()

    with pytest.raises(JournalError, match=rf"999.* {schema.VERSION}"):
        open_journal(tmp_path)

    assert (tmp_path / "journal.db").read_bytes() == before


def header(data):
    """No SQLite file any more."""
    return b"no database at all, but text" * 8 + data[224:]


def cut(data):
    """The second half is missing."""
    return data[: len(data) // 2 // 4096 * 4096 + 100]


def page(data):
    """A page in the middle is overwritten."""
    at = len(data) // 2 // 4096 * 4096
    return data[:at] + b"\xff" * 4096 + data[at + 4096 :]


def nothing(data):
    """All bytes are zero."""
    return bytes(len(data))


@pytest.mark.parametrize(
    ("damage", "least"), [(header, 0), (nothing, 0), (cut, 50), (page, 250)]
)
async def test_damaged(tmp_path, damage, least):
    """What can be read goes on in a new journal, the damaged one is kept, it is said."""
    run_id = await written(tmp_path)
    path = tmp_path / "journal.db"
    whole = path.read_bytes()
    path.write_bytes(damage(whole))

    journal = reopen(tmp_path, run_id)
    stored = read_history(journal.connection, tmp_path, journal.run)

    assert least <= len(stored.tasks.finished) <= 300
    assert (tmp_path / "journal.db.damaged-1").read_bytes() == damage(whole)
    assert journal.warning is not None
    assert "journal.db.damaged-1" in journal.warning
    await journal.record(SpawnResult(success=True, task_id="new"))
    await journal.aclose()
    again = reopen(tmp_path, run_id)
    assert again.warning is None
    again.close()


async def test_a_flipped_bit_in_an_answer(tmp_path):
    """SQLite takes it for an answer; we don't."""
    run_id = await written(tmp_path, 20)
    path = tmp_path / "journal.db"
    data = path.read_bytes()
    assert data.count(b"answer 7 answer") == 20
    path.write_bytes(data.replace(b"answer 7 answer", b"ansver 7 answer", 1))

    journal = reopen(tmp_path, run_id)
    stored = read_history(journal.connection, tmp_path, journal.run)

    assert set(stored.tasks.finished) == {f"t{n}" for n in range(20)} - {"t7"}
    assert stored.problems == ("the result of 't7' is damaged; it is run again",)
    journal.close()
