"""`runs`, `show` and `logs` while a run goes on, and after it was cut off."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import Cli, Running, wait_until

TASKS = [
    {"id": "quick", "prompt": "echo quick answer"},
    {"id": "bad", "prompt": "exit 3"},
    {
        "id": "held",
        "prompt": "while [ -e hold ]; do sleep 0.05; done; echo held answer",
    },
]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A folder with a plan, of which one task is held up."""
    tasks = [{"tool": "sh", **task} for task in TASKS]
    plan = {"defaults": {"policy": "test"}, "tasks": tasks}
    return Cli(tmp_path).file("p.json", json.dumps(plan)).file("hold", "")


@pytest.fixture
def running(cli: Cli) -> Iterator[Running]:
    """The run, once all but the one task are done."""
    found = cli.args("run", "p.json").start()
    results = ".muster/runs/*/results/*.json"
    wait_until(lambda: len(list(cli.folder.glob(results))) == 2, "two results")
    yield found
    (cli.folder / "hold").unlink(missing_ok=True)
    found.end()


def row(cli: Cli) -> dict[str, object]:
    """What `runs` says of the run."""
    (found,) = cli.args("runs", "--json").run().status(0).document["runs"]
    return dict(found)


def test_a_living_run_and_a_dead_one(cli: Cli, running: Running) -> None:
    """Are told apart, and successes are not counted among failures."""
    found = row(cli)
    assert (found["status"], found["succeeded"]) == ("running", 1)
    assert found["by_cause"] == {"crash": 1}
    cli.args("show").run().prints("running, 2 results so far")

    running.send(signal.SIGKILL).process.wait()

    assert row(cli)["status"] == "unfinished"
    cli.args("show").run().prints("unfinished", "muster resume")


def test_following_ends_with_the_run(cli: Cli, running: Running) -> None:
    """What comes is printed when it comes; a task may still be to come."""
    follower = cli.args("logs", "last", "held", "--follow").start(
        stdout=(out := (cli.folder / "held.txt").open("wb"))
    )
    wait_until(lambda: b"following" in follower.err.read_bytes(), "it follows")
    (cli.folder / "hold").unlink()

    assert follower.process.wait(30) == 0
    out.close()
    assert (cli.folder / "held.txt").read_text() == "held answer\n"


@pytest.mark.parametrize("words", [(), ("last", "held"), ("--json",)], ids=str)
def test_following_the_dead_ends(
    cli: Cli, running: Running, words: tuple[str, ...]
) -> None:
    """And it is said what to type next."""
    running.send(signal.SIGKILL).process.wait()

    said = cli.args("logs", *words, "-f").run().status(1).is_civil()

    said.says("cut off", "muster resume")
    if "--json" in words:
        assert [each["task_id"] for each in said.document["tasks"]] == ["quick", "bad"]


def test_a_task_that_nobody_planned(cli: Cli, running: Running) -> None:
    """Is an error at once, though the run goes on; one that waits is none."""
    cli.args("logs", "last", "hald", "-f").run().status(2).says("no result of a task")
    cli.args("show", "last", "held").run().status(2).says("has no result yet")


def test_following_what_never_began(cli: Cli) -> None:
    """A folder without anything in it is a run that was cut off, and no riddle."""
    (cli.folder / ".muster/runs/20260101T000000.000000Z-abcdef").mkdir(parents=True)

    cli.args("logs", "-f").run().status(1).says("cut off").is_civil()
    cli.args("resume").run().status(1).says("before its first task").is_civil()
