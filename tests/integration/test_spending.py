"""What a run used before it is taken up again, read from its journal."""

import sqlite3
from pathlib import Path

import pytest
from attrs import evolve

from muster.domain.budget import Cost, Spent
from muster.domain.outcome import Attempt, Failure, FailureCause, SpawnResult, Usage
from muster.infrastructure.journal import spending
from muster.infrastructure.journal import statements as sql
from muster.infrastructure.journal.database import open_journal
from muster.infrastructure.journal.learned import learn
from muster.infrastructure.journal.records import record_of
from muster.infrastructure.secrets import Redactor

RUN = 1


@pytest.fixture
def connection(tmp_path: Path):
    """A journal of its own."""
    opened = open_journal(tmp_path).connection
    yield opened
    opened.close()


def result(
    task_id: str, at: float, usage: Usage | None, attempts: int = 1
) -> SpawnResult:
    """A success that took ten seconds."""
    made = tuple(
        Attempt(n + 1, None, "x", at + n, 1.0, usage=usage) for n in range(attempts)
    )
    return SpawnResult(
        success=True,
        task_id=task_id,
        attempts=made,
        usage=usage,
        execution_time=10.0,
    )


def record(connection: sqlite3.Connection, *results: SpawnResult) -> None:
    """Writes them into the run."""
    for each in results:
        row = record_of(each, f"identity of {each.task_id}", Redactor())
        connection.execute(sql.RESULT, sql.row_of(RUN, row, 0.0))


def taken_up(connection: sqlite3.Connection, folder: Path, now: float) -> Spent:
    """The same, for this run."""
    return spending.taken_up(connection, RUN, folder, now)


def test_sums_of_what_was_told(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """Attempts, tokens, money, and the time in which something was going on."""
    record(
        connection,
        result("a", 100.0, Usage(10, 20, 99, 1.5), attempts=3),
        result("b", 105.0, Usage(None, 5)),
        result("c", 200.0, None),
        evolve(result("cached", 0.0, None), attempts=()),
    )

    spent = taken_up(connection, tmp_path, 1000.0)

    assert spent == Spent(5, pytest.approx(25 / 60), 35.0, 1.5, 4, 3)


def test_nothing_is_counted_twice_and_nothing_is_forgotten(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    """What was paid stays paid when its result is replaced, or moves to another id."""
    first = result("a", 100.0, Usage(cost_usd=1.0))
    record(connection, first)
    assert taken_up(connection, tmp_path, 500.0).usd == 1.0
    record(connection, evolve(first, task_id="a"))
    assert taken_up(connection, tmp_path, 501.0).usd == 1.0

    record(connection, result("a", 600.0, Usage(cost_usd=2.0)))

    assert taken_up(connection, tmp_path, 700.0).usd == 3.0
    assert taken_up(connection, tmp_path, 701.0) == taken_up(
        connection, tmp_path, 702.0
    )


def test_a_moved_result_is_one(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """Its copy has another id, the same content and the same beginning."""
    moved = record_of(result("new", 100.0, Usage(cost_usd=1.0)), "same", Redactor())
    old = record_of(result("old", 100.0, Usage(cost_usd=1.0)), "same", Redactor())
    for each in (moved, old):
        connection.execute(sql.RESULT, sql.row_of(RUN, each, 0.0))

    assert taken_up(connection, tmp_path, 500.0).usd == 1.0


def test_what_was_running_when_muster_died_counts(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    """As starts, and at what the others used on average; once."""
    record(connection, result("a", 100.0, Usage(40, 60, None, 2.0)))
    connection.execute(sql.STARTED, (RUN, "b", 2, "identity", 110.0))

    spent = taken_up(connection, tmp_path, 500.0)

    assert (spent.agents, spent.tokens, spent.usd) == (3, 300.0, 6.0)
    assert taken_up(connection, tmp_path, 501.0) == spent


def test_a_run_without_anything(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """Nothing is nothing."""
    connection.execute(sql.STARTED, (RUN, "b", 1, "identity", 110.0))

    assert taken_up(connection, tmp_path, 500.0) == Spent(agents=1)


@pytest.mark.parametrize("text", ["", "[]", '{"at": 5, "more": 1}', "{", "\xff"])
def test_a_spoilt_note_is_none(
    connection: sqlite3.Connection, tmp_path: Path, text: str
) -> None:
    """The journal is asked for all of it, and the note is written anew."""
    (tmp_path / spending.FILE).write_text(text, "latin-1")
    record(connection, result("a", 100.0, Usage(cost_usd=1.0)))

    assert taken_up(connection, tmp_path, 500.0).usd == 1.0
    assert taken_up(connection, tmp_path, 501.0).usd == 1.0


def test_a_damaged_result_is_left_out(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    """And no reason to fail."""
    record(
        connection, result("a", 100.0, Usage(cost_usd=1.0)), result("b", 100.0, None)
    )
    connection.execute("UPDATE results SET document = '{' WHERE task_id = 'b'")

    assert taken_up(connection, tmp_path, 500.0).usd == 1.0


def test_what_equal_tasks_cost(connection: sqlite3.Connection) -> None:
    """Per attempt, of the latest success; what told nothing is not known."""
    failed = SpawnResult(
        success=False,
        task_id="bad",
        failure=Failure(FailureCause.CRASH, "x"),
        attempts=result("bad", 1.0, None).attempts,
        usage=Usage(cost_usd=9.0),
    )
    record(
        connection,
        result("a", 100.0, Usage(10, 20, None, 3.0), attempts=3),
        result("b", 100.0, None),
        failed,
    )
    learn(connection)
    identities = {each: f"identity of {each}" for each in ("a", "b", "bad", "new")}

    assert spending.costs(connection, identities) == {"a": Cost(10.0, 1.0)}
