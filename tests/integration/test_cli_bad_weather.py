"""What goes wrong around a run: one clear error each, and nothing lost or paid twice."""

import json
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from muster.infrastructure.stored_runs import read_run
from tests.support.cli import PROGRAM, Cli, Finished, wait_until

AGENT = """#!/bin/sh
echo x >> "count-$MUSTER_TASK_ID"
touch "began-$MUSTER_TASK_ID"
while [ -e "hold-$MUSTER_TASK_ID" ]; do sleep 0.05; done
cat
"""
RUN = ("run", "plan.json", "--tool", "./agent.sh", "--policy", "test", "--no-fallback")
RESULTS = ".muster/runs/*/results/*.json"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A folder with a plan of three tasks, of which the last waits for a file to go."""
    found = Cli(tmp_path).file("agent.sh", AGENT)
    (tmp_path / "agent.sh").chmod(0o755)
    tasks = [
        {"id": "a", "prompt": "one"},
        {"id": "b", "prompt": "two", "depends": ["a"]},
        {"id": "c", "prompt": "three"},
    ]
    return found.file("plan.json", json.dumps({"tasks": tasks})).file("hold-c", "")


def counts(cli: Cli) -> dict[str, int]:
    """How often each agent ran, as they say themselves."""
    found = cli.folder.glob("count-*")
    return {each.name[-1]: len(each.read_text()) // 2 for each in found}


def interrupted(cli: Cli, meanwhile: Callable[[], object]) -> Finished:
    """A run to which something happens while its last task runs."""
    running = cli.args(*RUN).start()
    wait_until(lambda: len(list(cli.folder.glob(RESULTS))) == 2, "two results")
    wait_until((cli.folder / "began-c").exists, "the last one runs")
    meanwhile()
    (cli.folder / "hold-c").unlink()
    return running.end().is_civil()


def killed(cli: Cli) -> None:
    """A run that was killed while its last task ran."""
    running = cli.args(*RUN).start()
    wait_until(lambda: len(list(cli.folder.glob(RESULTS))) == 2, "two results")
    wait_until((cli.folder / "began-c").exists, "the last one runs")
    running.send(signal.SIGKILL).process.wait()
    (cli.folder / "hold-c").unlink()


def is_complete(cli: Cli) -> None:
    """All answers are there, and what was finished was not run again."""
    found = read_run(cli.folder / ".muster")
    assert not found.problems
    answers = {each: result.output for each, result in found.results.items()}
    assert answers.keys() == {"a", "b", "c"}
    assert (answers["a"], answers["c"]) == ("one", "three")
    assert counts(cli) == {"a": 1, "b": 1, "c": 2}


# --- while it runs ------------------------------------------------------------


@pytest.mark.parametrize("names", [["-wal"], ["", "-wal", "-shm"]], ids=str)
def test_the_journal_is_deleted_under_a_run(cli: Cli, names: list[str]) -> None:
    """The run stops, and `resume` goes on from what is finished."""
    home = cli.folder / ".muster"

    ended = interrupted(
        cli, lambda: [(home / f"journal.db{each}").unlink() for each in names]
    )

    ended.status(1).says("was deleted or replaced", "muster resume")
    assert ended.err.count("muster: ") == 1
    cli.args("resume").run().status(0).says("2 kept")
    is_complete(cli)


def test_the_plan_is_edited_under_a_run(cli: Cli) -> None:
    """The run goes by what it was given; `resume` says what has changed since."""
    changed = (cli.folder / "plan.json").read_text().replace("three", "3")

    interrupted(cli, lambda: cli.file("plan.json", changed)).status(0)

    assert read_run(cli.folder / ".muster").results["c"].output == "three"
    cli.args("resume", "--snapshot").run().status(0).says("3 kept, 0 re-run")
    cli.args("resume").run().status(0).says("re-run   c: changed")
    assert read_run(cli.folder / ".muster").results["c"].output == "3"
    assert counts(cli) == {"a": 1, "b": 1, "c": 2}


def test_the_plan_is_broken_under_a_run(cli: Cli) -> None:
    """The run does not mind; `resume` names the mistake and starts nothing."""
    interrupted(cli, lambda: cli.file("plan.json", '{"tasks": [')).status(0)

    cli.args("resume").run().status(2).says("plan.json:1", "not valid JSON").is_civil()
    assert counts(cli) == {"a": 1, "b": 1, "c": 1}


def test_the_run_s_folder_is_deleted(cli: Cli) -> None:
    """The answers of a run whose folder is gone are in the journal, and that is said."""
    ended = interrupted(cli, lambda: shutil.rmtree(cli.runs[0]))

    ended.status(1).says("summary.json", "No such file or directory")
    with closing(sqlite3.connect(cli.folder / ".muster" / "journal.db")) as connection:
        rows = connection.execute("SELECT task_id FROM results ORDER BY task_id")
        assert [each for (each,) in rows] == ["a", "b", "c"]


# --- after it was killed ------------------------------------------------------


def damaged(home: Path) -> None:
    """Half of it is gone."""
    with closing(sqlite3.connect(home / "journal.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = (home / "journal.db").read_bytes()
    (home / "journal.db").write_bytes(data[: len(data) // 2])


def without_log(home: Path) -> None:
    """The write-ahead log is gone, and all that was only there."""
    (home / "journal.db-wal").unlink()


def torn_log(home: Path) -> None:
    """The write-ahead log was cut in the middle."""
    data = (home / "journal.db-wal").read_bytes()
    (home / "journal.db-wal").write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize("harm", [damaged, without_log, torn_log])
def test_the_journal_is_harmed_after_a_kill(
    cli: Cli, harm: Callable[[Path], None]
) -> None:
    """What is left of it and of the answers beside it is enough."""
    killed(cli)
    harm(cli.folder / ".muster")

    cli.args("resume").run().status(0).is_civil()
    is_complete(cli)


def from_the_future(home: Path) -> None:
    """Written by a newer muster."""
    with closing(sqlite3.connect(home / "journal.db", isolation_level=None)) as found:
        found.execute("UPDATE schema_version SET version = 999")


def no_file(home: Path) -> None:
    """Something else is in its place."""
    for each in home.glob("journal.db*"):
        each.unlink()
    (home / "journal.db").mkdir()


@pytest.mark.parametrize(
    ("harm", "said"),
    [(from_the_future, "version 999"), (no_file, "journal.db")],
)
def test_a_journal_that_can_t_be_used(
    cli: Cli, harm: Callable[[Path], None], said: str
) -> None:
    """Neither `run` nor `resume` starts anything, and the answers can be looked at."""
    killed(cli)
    harm(cli.folder / ".muster")

    for words in (RUN, ("resume",), ("resume", "--dry-run")):
        ended = cli.args(*words).run().status(1).says(said).is_civil()
        assert len(ended.err.splitlines()) == 1
    assert counts(cli) == {"a": 1, "b": 1, "c": 1}
    cli.args("show", "last", "a").run().status(0).prints("one")
    cli.args("runs").run().status(0).prints("unfinished")
    cli.args("report").run().status(0)


def test_two_resume_at_the_same_instant(cli: Cli) -> None:
    """One wins, whichever; the other says whose the run is, and starts nothing."""
    killed(cli)
    cli.file("hold-c", "")
    (cli.folder / "began-c").unlink()
    both = [
        subprocess.Popen(
            [*PROGRAM, "resume"],
            cwd=cli.folder,
            env=cli.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    wait_until(lambda: any(each.poll() is not None for each in both), "one gives up")
    (cli.folder / "hold-c").unlink()

    told = sorted((each.wait(), each.communicate()[1]) for each in both)

    assert [code for code, _ in told] == [0, 1]
    assert "works on this run" in told[1][1]
    is_complete(cli)


# --- disks --------------------------------------------------------------------

MOUNTED = """set -e
mount -t tmpfs -o size={size} tmpfs small
cp -r agent.sh plan.json small
cd small
{script}
"""


def on_a_small_disk(cli: Cli, size: str, script: str) -> str:
    """What a shell says that runs ``muster`` on a disk of its own; skips without one."""
    (cli.folder / "small").mkdir()
    program = " ".join(PROGRAM)
    text = MOUNTED.format(size=size, script=script.replace("muster ", f"{program} "))
    ended = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", text],
        cwd=cli.folder,
        env=cli.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "unshare" in ended.stderr or "mount:" in ended.stderr:
        pytest.skip("no disk of our own can be mounted here")
    assert "Traceback" not in ended.stderr
    assert "internal error" not in ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.skipif(not shutil.which("unshare"), reason="mounts a disk of its own")
def test_the_disk_fills_during_a_run(cli: Cli) -> None:
    """It ends with what to do; with space again, `resume` repeats nothing finished."""
    big = "head -c 3000000 /dev/zero | tr '\\\\0' c; [ ! -e ../full ]"
    plan = {
        "defaults": {"tool": "sh", "policy": "test"},
        "tasks": [
            {"id": "a", "prompt": "echo x >> count-a"},
            {"id": "c", "prompt": big.replace("\\\\", "\\"), "depends": ["a"]},
        ],
    }
    cli.file("plan.json", json.dumps(plan))

    said = on_a_small_disk(
        cli,
        "300k",
        "muster run plan.json --no-fallback || echo first $?\n"
        "muster resume || echo second $?\n"
        "mount -o remount,size=50m .\n"
        "muster resume; echo third $?; cat count-a",
    )

    assert "the disk is full; free some space, then `muster resume`" in said
    assert "first 1\n" in said
    assert "second 1\n" in said
    assert "third 0\nx\n" in said
    assert "1 kept, 1 re-run, 0 new" in said


@pytest.mark.skipif(not shutil.which("unshare"), reason="mounts a disk of its own")
def test_a_disk_that_can_t_be_written(cli: Cli) -> None:
    """Nothing is started; what is there can be looked at."""
    said = on_a_small_disk(
        cli,
        "50m",
        "muster run plan.json --only a --tool cat --quiet\n"
        "mount -o remount,ro .\n"
        "muster resume || echo first $?\n"
        "muster run plan.json --tool cat || echo second $?\n"
        "muster show last a | cat; muster runs; muster logs",
    )

    assert "first 1\n" in said
    assert "second 1\n" in said
    assert "results can't be kept here: Read-only file system" in said
    assert "succeeded" in said
    assert "a: done" in said
