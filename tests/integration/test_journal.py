"""The journal on a real disk: durable when acknowledged, private, shared by processes."""

import asyncio
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from muster.domain.errors import JournalError
from muster.domain.outcome import Attempt, Failure, FailureCause, SpawnResult
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.journal import database
from muster.infrastructure.journal.history import (
    StoredResults,
    read_history,
)
from muster.infrastructure.journal.learned import durations
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.journal.writer import GroupWriter
from muster.infrastructure.randomness import SystemRandomness
from muster.infrastructure.secrets import Redactor
from muster.infrastructure.stored_runs import read_run

WRITER = """
import asyncio, sys
from pathlib import Path
from muster.domain.outcome import SpawnResult
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.randomness import SystemRandomness

async def main(home, count, wait):
    journal = RunJournal.create(home, clock=SystemClock(), randomness=SystemRandomness())
    print(journal.run_id, flush=True)
    async def one(place):
        await journal.started(f"t{place}", 1)
        await journal.record(SpawnResult(success=True, output=f"answer {place}", task_id=f"t{place}"))
        print(place, flush=True)
    async with asyncio.TaskGroup() as group:
        for place in range(count):
            group.create_task(one(place))
    await journal.started("hanging", 1)
    print("done", flush=True)
    await asyncio.sleep(wait)
    await journal.aclose()

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
"""


def create(home, **changes):
    """A journal of a new run."""
    parts = {"clock": SystemClock(), "randomness": SystemRandomness()} | changes
    return RunJournal.create(home, **parts)


def reopen(home, run_id, **changes):
    """The journal of a run from before."""
    return RunJournal.reopen(home, run_id, clock=SystemClock(), **changes)


def success(task_id, output="fine", seconds=1.5):
    """A result."""
    attempt = Attempt(1, None, "echo", 1.0, seconds)
    return SpawnResult(
        success=True,
        output=output,
        task_id=task_id,
        attempts=(attempt,),
        execution_time=seconds,
    )


def history(journal):
    """What is recorded of its run."""
    return read_history(journal.connection, journal.home, journal.run)


def started_writer(home, count, wait):
    """A process that writes a run."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(home), str(count), str(wait)],
        stdout=subprocess.PIPE,
        text=True,
    )


def said_until_done(writer):
    """Its run id, and the numbers of the results that it holds for durable."""
    assert writer.stdout
    run_id = writer.stdout.readline().strip()
    numbers = []
    while (line := writer.stdout.readline().strip()) not in ("done", ""):
        numbers.append(int(line))
    return run_id, numbers


async def test_a_run_comes_back(tmp_path):
    """Results, what is in flight, plan and options, after it is closed and reopened."""
    home = tmp_path / ".muster"
    failure = Failure(FailureCause.CRASH, "no")
    failed = SpawnResult(success=False, failure=failure, task_id="b", task_index=1)
    journal = create(home, plan_path=tmp_path / "plan.md", options={"waves": True})
    journal.identities = {"a": "A", "b": "B", "c": "C"}
    for task_id in "abc":
        await journal.started(task_id, 1)
    journal.session("c", "s-1")
    await journal.record(success("a"))
    await journal.record(failed)
    await journal.aclose()

    journal = reopen(home, journal.run_id)
    journal.learn()
    stored = history(journal)
    found = StoredResults(
        journal.connection, home, journal.run, {"a": "a", "z": "b"}, {"a": 0, "z": 7}
    )

    assert stored.plan_path == tmp_path / "plan.md"
    assert stored.options == {"waves": True}
    assert {k: (v.identity, v.cause) for k, v in stored.tasks.finished.items()} == {
        "a": ("A", None),
        "b": ("B", FailureCause.CRASH),
    }
    (flight,) = stored.tasks.interrupted.values()
    assert (flight.identity, flight.session_id, flight.deaths) == ("C", "s-1", 1)
    assert found["a"] == success("a")
    assert (found["z"].task_id, found["z"].task_index) == ("z", 7)
    assert durations(journal.connection, {"x": "A", "y": "?"}) == {"x": 1.5}
    assert read_run(home).results == {"a": success("a"), "b": failed}
    await journal.aclose()


async def test_private_and_masked(tmp_path):
    """Nobody else reads it, and no secret is in it, nor in the files made from it."""
    home = tmp_path / ".muster"
    journal = create(home, redactor=Redactor({"API_KEY": "hunter2-hunter2"}))
    await journal.record(success("a", "the key\nhunter2-hunter2 works"))

    modes = {stat.S_IMODE(each.stat().st_mode) for each in home.glob("journal.db*")}
    assert modes == {0o600}
    await journal.complete({"status": "succeeded"})
    await journal.aclose()
    everything = [each.read_bytes() for each in home.rglob("*") if each.is_file()]
    assert not any(b"hunter2" in each for each in everything)
    assert read_run(home).results["a"].output == "the key\n*** works"


async def test_output_files_are_masked_before_they_are_known(tmp_path):
    """What outgrew memory is masked when its result is acknowledged."""
    journal = create(tmp_path, redactor=Redactor({"API_KEY": "hunter2-hunter2"}))
    whole = Path(f"{journal.output_path('a')}.out")
    whole.write_text("says hunter2-hunter2 aloud")  # noqa: ASYNC240 - it is small

    await journal.record(attrs.evolve(success("a"), output_path=str(whole)))

    assert whole.read_text() == "says *** aloud"  # noqa: ASYNC240 - it is small
    await journal.aclose()


async def test_a_later_result_takes_the_place(tmp_path):
    """One result per task of a run; the same task in another run has its own."""
    journal, other = create(tmp_path / "m"), create(tmp_path / "m")
    await other.record(success("a", "other"))

    for text in ("one", "two"):
        await journal.record(success("a", text))

    with closing(sqlite3.connect(tmp_path / "m" / "journal.db")) as connection:
        documents = connection.execute("SELECT document FROM results").fetchall()
    assert sorted(json.loads(each)["output"] for (each,) in documents) == [
        "other",
        "two",
    ]
    await journal.aclose()
    await other.aclose()


async def test_result_is_durable_before_it_is_acknowledged():
    """`write` waits for the commit, and what waits meanwhile goes into the next one."""
    gate, batches = threading.Event(), []

    def commit(batch):
        gate.wait(10)
        batches.append([each.values for each in batch])

    writer = GroupWriter("test", commit, lambda _: None)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(writer.write("result", 0))
        await asyncio.sleep(0.1)
        others = [group.create_task(writer.write("result", n)) for n in (1, 2)]
        await asyncio.sleep(0.1)
        assert not any(each.done() for each in [first, *others])
        gate.set()
    await writer.aclose()
    assert batches == [[0], [1, 2]]


@pytest.mark.parametrize("error", [JournalError("EIO", "x"), ValueError("odd")])
async def test_failed_commit_is_never_repeated(error):
    """Everybody who waits is told, and nothing is ever written again."""
    calls = []

    def commit(batch):
        calls.append(batch)
        raise error

    writer = GroupWriter("test", commit, lambda _: pytest.fail("not committed"))
    for _ in range(3):
        with pytest.raises(JournalError, match=r"EIO|odd"):
            await writer.write("result", 1)
    writer.note("session", 1)
    await writer.aclose()
    assert len(calls) == 1


async def test_who_waits_behind_a_failed_commit_is_told():
    """What came while it failed is not written either: its order would be a lie."""
    gate, calls = threading.Event(), []

    def commit(batch):
        gate.wait(10)
        calls.append(len(batch))
        raise JournalError("EIO")

    writer = GroupWriter("test", commit, lambda _: None)
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(refused(writer)) for _ in range(2)]
        await asyncio.sleep(0.1)
        waiting.append(group.create_task(refused(writer)))
        await asyncio.sleep(0.1)
        gate.set()
    await writer.aclose()
    assert len(calls) == 1
    assert [each.result() for each in waiting] == ["EIO"] * 3


async def refused(writer):
    """What the writer says instead of writing."""
    with pytest.raises(JournalError) as caught:
        await writer.write("result", 1)
    return caught.value.problem


@pytest.mark.parametrize("count", [1, 40])
def test_killed_writer_loses_nothing(tmp_path, count):
    """SIGKILL: what was acknowledged is there, and what was in flight is known."""
    writer = started_writer(tmp_path, count, 60)
    run_id, acknowledged = said_until_done(writer)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    assert writer.stdout
    writer.stdout.close()

    journal = reopen(tmp_path, run_id)
    stored = history(journal)

    assert {f"t{n}" for n in acknowledged} == set(stored.tasks.finished)
    assert len(acknowledged) == count
    assert set(stored.tasks.interrupted) == {"hanging"}
    journal.close()


def test_processes_share_a_home(tmp_path):
    """Three processes write at once, into a journal that none of them found there."""
    writers = [started_writer(tmp_path, 150, 0) for _ in range(3)]
    said = [said_until_done(each) for each in writers]
    assert [each.wait(60) for each in writers] == [0, 0, 0]
    for each in writers:
        assert each.stdout
        each.stdout.close()

    assert len({run_id for run_id, _ in said}) == 3
    for run_id, numbers in said:
        journal = reopen(tmp_path, run_id)
        assert len(numbers) == len(history(journal).tasks.finished) == 150
        journal.close()


async def test_one_process_works_on_a_run(tmp_path):
    """The second is told who does; the claim of a dead one is taken over."""
    writer = started_writer(tmp_path, 1, 60)
    run_id, _ = said_until_done(writer)

    with pytest.raises(JournalError, match=rf"process {writer.pid} works on .* since"):
        reopen(tmp_path, run_id)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    assert writer.stdout
    writer.stdout.close()
    journal = reopen(tmp_path, run_id)
    with pytest.raises(JournalError, match=rf"process {os.getpid()} works on"):
        reopen(tmp_path, run_id)
    await journal.record(success("a"))
    await journal.aclose()
    reopen(tmp_path, run_id).close()


async def test_disk_full(tmp_path):
    """One error in words; what was finished before is kept, nothing more is taken."""
    journal = create(tmp_path)
    await journal.record(success("a"))
    (pages,) = journal.connection.execute("PRAGMA page_count").fetchone()
    journal.connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(JournalError, match="disk is full"):
        await journal.record(success("big", "x" * 100_000))
    with pytest.raises(JournalError, match="disk is full"):
        await journal.started("b", 1)
    await journal.aclose()

    journal = reopen(tmp_path, journal.run_id)
    assert set(history(journal).tasks.finished) == {"a"}
    journal.close()


@pytest.mark.parametrize("name", ["journal.db-wal", "journal.db"])
async def test_deleted_under_a_run(tmp_path, name):
    """A run whose journal is deleted stops with an error; its answers are there."""
    journal = create(tmp_path)
    await journal.record(success("a"))
    (tmp_path / name).unlink()

    with pytest.raises(JournalError, match="was deleted or replaced"):
        await journal.record(success("b"))
    await journal.aclose()

    assert read_run(tmp_path).results == {"a": success("a")}
    if name != "journal.db":
        journal = reopen(tmp_path, journal.run_id)
        assert set(history(journal).tasks.finished) == {"a"}
        journal.close()


async def test_locked_by_another_process(tmp_path):
    """After a bounded wait the error says who holds it."""
    journal = create(tmp_path, busy_seconds=0.2)
    code = (
        "import sqlite3, sys, time\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('BEGIN IMMEDIATE'); print('held', flush=True); time.sleep(60)"
    )
    path = str(tmp_path / "journal.db")
    command = [sys.executable, "-c", code, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:  # noqa: ASYNC220 - it is quick
        assert other.stdout
        other.stdout.readline()

        with pytest.raises(
            JournalError, match=rf"locked .*process {other.pid}, python"
        ):
            await journal.record(success("a"))

        other.kill()
    await journal.aclose()


async def test_file_that_could_not_be_written_is_made_at_the_end(tmp_path):
    """The journal is the truth: a missing folder costs no result."""
    journal = create(tmp_path)
    results = journal.folder / "results"
    results.rmdir()
    await journal.record(success("a"))
    await journal.record(success("b"))
    results.mkdir()

    await journal.complete({"status": "succeeded", "total": 2})

    assert set(read_run(tmp_path).results) == {"a", "b"}
    assert journal.problem is not None
    await journal.aclose()


@pytest.mark.parametrize("name", ["home", "journal.db"])
def test_something_else_is_there(tmp_path, name):
    """A file for a home, a folder for a journal: an error before anything starts."""
    home = tmp_path / "home"
    if name == "home":
        home.write_text("")
    else:
        (home / name).mkdir(parents=True)

    with pytest.raises(JournalError, match=name):
        create(home)
    assert not list(tmp_path.glob("home/runs/*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_home(tmp_path):
    """Nothing is started whose result could not be kept."""
    create(tmp_path).close()
    (tmp_path / "journal.db").chmod(0o400)

    with pytest.raises(JournalError, match="read-only"):
        create(tmp_path)


def test_read_only_in_words(tmp_path):
    """The same for whom every file is writable."""
    create(tmp_path).close()
    uri = f"{(tmp_path / 'journal.db').as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(uri, uri=True)) as connection,
        pytest.raises(sqlite3.OperationalError) as caught,
    ):
        connection.execute("DELETE FROM runs")

    error = database.refused(caught.value, Path("j"))
    assert "read-only" in str(error)
