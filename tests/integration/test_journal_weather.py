"""The journal when disk, neighbours and people do their worst: one error, nothing lost."""

import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from muster.domain.errors import JournalError
from muster.domain.outcome import Failure, FailureCause, SpawnResult
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.journal import learned
from muster.infrastructure.journal.database import open_journal
from muster.infrastructure.journal.history import read_history
from muster.infrastructure.journal.mending import only_in_folder
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.randomness import SystemRandomness

# Writes until the disk refuses, then makes room and looks at what is there.
FILLER = """
import asyncio, pathlib, resource, sys
from muster.domain.errors import JournalError
from muster.domain.outcome import SpawnResult
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.journal.history import read_history
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.randomness import SystemRandomness

async def main(home, limit):
    if limit:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    else:
        ballast = home / "ballast"
        ballast.write_bytes(bytes(1_000_000))
    home = home / "home"
    journal = RunJournal.create(home, clock=SystemClock(), randomness=SystemRandomness())
    kept = set()
    async def write(number):
        for part in range(200):
            name = f"t{number}-{part}"
            await journal.started(name, 1)
            await journal.record(SpawnResult(success=True, output="x" * 4000, task_id=name))
            kept.add(name)
    said = set()
    async with asyncio.TaskGroup() as group:
        async def one(number):
            try:
                await write(number)
            except JournalError as error:
                said.add(error.problem)
        for number in range(8):
            group.create_task(one(number))
    await journal.aclose()
    assert len(said) == 1, said
    print(said.pop())
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    else:
        ballast.unlink()
    journal = RunJournal.reopen(home, journal.run_id, clock=SystemClock())
    assert journal.warning is None, journal.warning
    stored = read_history(journal.connection, home, journal.run)
    assert not stored.problems
    found = set(stored.tasks.finished)
    assert kept and kept <= found, (len(kept), len(found))
    await journal.record(SpawnResult(success=True, task_id="after"))
    await journal.aclose()
    print("kept")

asyncio.run(main(pathlib.Path(sys.argv[1]), int(sys.argv[2])))
"""
# Begins a run where nothing can be written any more, for one reason or the other.
BEGINNER = """
import errno, pathlib, subprocess, sys
from muster.domain.errors import JournalError
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.randomness import SystemRandomness

disk = pathlib.Path(sys.argv[1])
home = disk / "home"
def create():
    return RunJournal.create(home, clock=SystemClock(), randomness=SystemRandomness())
create().close()
if sys.argv[2] == "full":
    with (disk / "ballast").open("wb", 0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC
else:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
try:
    create()
except JournalError as error:
    print(error)
print(len(list((home / "runs").iterdir())))
"""
ON_SMALL_DISK = 'mount -t tmpfs -o size=2500k none "$1" && exec "$2" -c "$3" "$1" "$4"'


def create(home, **changes):
    """A journal of a new run."""
    return RunJournal.create(
        home, clock=SystemClock(), randomness=SystemRandomness(), **changes
    )


def reopen(home, run_id):
    """The journal of a run from before."""
    return RunJournal.reopen(home, run_id, clock=SystemClock())


def success(task_id, output="fine", seconds=1.5):
    """A result."""
    return SpawnResult(
        success=True, output=output, task_id=task_id, execution_time=seconds
    )


def finished(journal):
    """The tasks of its run that ended."""
    return set(
        read_history(journal.connection, journal.home, journal.run).tasks.finished
    )


async def written(home, *ids):
    """A closed journal with these tasks; the run's id."""
    journal = create(home)
    for each in ids:
        await journal.record(success(each))
    await journal.aclose()
    return journal.run_id


def test_files_may_not_grow(tmp_path):
    """A limit on files is met in the middle of a run: all say the same, all is kept."""
    command = [sys.executable, "-c", FILLER, str(tmp_path), "500000"]
    ended = subprocess.run(
        command, capture_output=True, check=False, text=True, timeout=60
    )

    assert ended.returncode == 0, ended.stderr
    assert "the disk reports an error" in ended.stdout
    assert ended.stdout.endswith("kept\n")


def on_small_disk(folder, script, word):
    """What the script prints, on a disk of 2.5 MB of its own."""
    if shutil.which("unshare") is None:
        pytest.skip("nobody can make a small disk here")
    command = ["unshare", "-rm", "sh", "-c", ON_SMALL_DISK, "sh"]
    ended = subprocess.run(
        [*command, str(folder), sys.executable, script, word],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    if "unshare:" in ended.stderr or "mount:" in ended.stderr:
        pytest.skip(f"nobody may make a small disk here: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_disk_fills_during_a_run(tmp_path):
    """The run stops, and goes on when there is room."""
    said = on_small_disk(tmp_path, FILLER, "0")

    assert "the disk is full" in said
    assert said.endswith("kept\n")


@pytest.mark.parametrize(
    ("state", "words"),
    [("full", "(No space left|disk is full)"), ("ro", "[Rr]ead-only")],
)
def test_nothing_can_be_written(tmp_path, state, words):
    """A run is not begun, one error says why, and no run is left that never was."""
    said = on_small_disk(tmp_path, BEGINNER, state)

    assert re.search(words, said), said
    assert said.endswith("\n1\n")


async def test_many_take_up_one_run(tmp_path):
    """One has it, the others say so and change nothing; also when its row is lost."""
    run_id = await written(tmp_path, "a")
    for is_lost in (False, True):
        if is_lost:
            with closing(sqlite3.connect(tmp_path / "journal.db")) as connection:
                connection.execute("DELETE FROM runs")
                connection.commit()
        gate = threading.Barrier(6)

        def take(gate=gate):
            gate.wait(10)
            try:
                return reopen(tmp_path, run_id)
            except JournalError as error:
                return error.problem

        with ThreadPoolExecutor(6) as threads:
            found = [each.result() for each in [threads.submit(take) for _ in range(6)]]

        (journal,) = [each for each in found if isinstance(each, RunJournal)]
        said = [each for each in found if isinstance(each, str)]
        assert len(said) == 5
        assert all("works on this run" in each for each in said), said
        await journal.record(success("b"))
        assert "b" in finished(journal)
        await journal.aclose()


@pytest.mark.parametrize("mode", ["NORMAL", "EXCLUSIVE"])
def test_locked_before_a_run(tmp_path, mode):
    """Nothing is begun, and no run is left that never was."""
    create(tmp_path).close()
    before = sorted((tmp_path / "runs").iterdir())
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(f"PRAGMA locking_mode = {mode}")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM in_flight")

        with pytest.raises(JournalError, match="another process keeps it locked"):
            create(tmp_path, busy_seconds=0.1)

    assert sorted((tmp_path / "runs").iterdir()) == before
    create(tmp_path).close()


@pytest.mark.parametrize("how", ["wal", "empty", "both"])
async def test_lost_between_two_runs(tmp_path, how):
    """What the folder of the run still has is taken back, with what it is the answer to."""
    journal = create(tmp_path)
    journal.identities = {"a": "A", "b": "B"}
    for each in "ab":
        await journal.record(success(each))
    copy = tmp_path / "copy"
    await journal._writer.aclose()
    shutil.copytree(tmp_path, copy)  # as a SIGKILL leaves it: nothing is checkpointed
    await journal.aclose()
    if how in ("wal", "both"):
        (copy / "journal.db-wal").unlink()
    if how in ("empty", "both"):
        (copy / "journal.db").write_bytes(b"")

    journal = reopen(copy, journal.run_id)
    lost = list(only_in_folder(journal.folder, finished(journal)))
    journal.adopt(lost)

    assert sorted(identity for _, identity in lost) == ["A", "B"]
    assert finished(journal) == {"a", "b"}
    await journal.aclose()


async def test_a_big_one_is_damaged(tmp_path):
    """It is not checked at every start, but when a run is taken up; then it is saved."""
    journal = create(tmp_path)
    output = "x" * 60_000
    journal.adopt((success(f"t{n}", output), f"i{n}") for n in range(700))
    await journal.aclose()
    path = tmp_path / "journal.db"
    size = path.stat().st_size
    with path.open("r+b") as file:
        for page in range(100, size // 4096, 1000):
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)
    open_journal(tmp_path).connection.close()

    journal = reopen(tmp_path, journal.run_id)

    assert journal.warning is not None
    assert "journal.db.damaged-1" in journal.warning
    assert 600 <= len(finished(journal)) <= 700
    await journal.record(success("new"))
    await journal.aclose()


async def test_a_later_answer_is_learned(tmp_path):
    """Failed, then done again in the same run: its time and its place are known."""
    journal = create(tmp_path)
    journal.identities = {"a": "A", "b": "B"}
    failed = SpawnResult(
        success=False, failure=Failure(FailureCause.CRASH, "no"), task_id="b"
    )
    await journal.record(success("a"))
    await journal.record(failed)
    await journal.complete({"status": "partial"})
    wanted = {"x": "A", "y": "B"}
    assert learned.durations(journal.connection, wanted) == {"x": 1.5}

    await journal.record(success("b", seconds=7.0))
    await journal.record(success("a", seconds=2.0))
    await journal.complete({"status": "succeeded"})

    assert learned.durations(journal.connection, wanted) == {"x": 2.0, "y": 7.0}
    rows = learned.shared(journal.connection, wanted)
    assert rows["x"] > rows["y"]
    await journal.aclose()


async def test_learning_is_only_a_help(tmp_path):
    """A journal that cannot be written meanwhile costs a run nothing."""
    journal = create(tmp_path, busy_seconds=0.05)
    journal.identities = {"a": "A"}
    await journal.record(success("a"))
    with closing(
        sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    ) as other:
        other.execute("BEGIN IMMEDIATE")
        journal.learn()
        assert learned.durations(journal.connection, {"x": "A"}) == {}

    journal.learn()
    assert learned.durations(journal.connection, {"x": "A"}) == {"x": 1.5}
    await journal.aclose()
