"""`muster resume` from the outside: what is kept, run again, new; after a SIGKILL too."""

import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from muster.infrastructure.stored_runs import read_run
from tests.support.cli import Cli, wait_until
from tests.support.killing import trial

# Counts itself; behaves as files in its folder say.
AGENT = """#!/bin/sh
echo x >> "count-$MUSTER_TASK_ID"
echo $$ > "pid-$MUSTER_TASK_ID"
while [ -e "hold-$MUSTER_TASK_ID" ]; do sleep 0.05; done
[ -e "fail-$MUSTER_TASK_ID" ] && exit 3
cat
"""
RUN = ("--tool", "./agent.sh", "--no-fallback", "--policy", "test")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A folder with an agent that does what files tell it."""
    found = Cli(tmp_path).file("agent.sh", AGENT)
    (tmp_path / "agent.sh").chmod(0o755)
    return found


def write_plan(cli: Cli, **prompts: str) -> None:
    """Tasks with these prompts; b waits for a, d for c."""
    depends = {"b": ["a"], "d": ["c"]}
    tasks = [
        {"id": each, "prompt": prompt, "depends": depends.get(each, [])}
        for each, prompt in prompts.items()
    ]
    cli.file("plan.json", json.dumps({"tasks": tasks}))


def count(cli: Cli, *ids: str) -> list[int]:
    """How often each agent ran, as they say themselves."""
    files = [cli.folder / f"count-{each}" for each in ids]
    return [len(each.read_text()) // 2 if each.exists() else 0 for each in files]


def killed(cli: Cli, until: str) -> None:
    """Runs the plan and kills muster once the agent ``until`` alone is not done."""
    cli.file(f"hold-{until}", "")
    tasks = json.loads((cli.folder / "plan.json").read_text())["tasks"]
    running = cli.args("run", "plan.json", *RUN).start()
    wait_until((cli.folder / f"pid-{until}").exists, f"{until} runs")
    files = ".muster/runs/*/results/*.json"
    wait_until(
        lambda: len(list(cli.folder.glob(files))) == len(tasks) - 1, "the others end"
    )
    running.send(signal.SIGKILL).process.wait()
    (cli.folder / f"hold-{until}").unlink()


def outputs(cli: Cli) -> dict[str, str]:
    """The answers in the run's folder."""
    found = read_run(cli.folder / ".muster")
    assert not found.problems
    return {each: result.output for each, result in found.results.items()}


def test_goes_on_after_a_kill(cli: Cli) -> None:
    """Finished tasks are kept and seen by dependents; it says so before it starts."""
    write_plan(cli, a="one", b="two", c="three")
    killed(cli, "b")

    ended = cli.args("resume").run().status(0).is_civil()

    ended.says("2 kept, 1 re-run, 0 new", "re-run   b: was running").prints("3 of 3")
    assert ended.err.index("2 kept") < ended.err.index("b: started")
    assert count(cli, "a", "b", "c") == [1, 2, 1]
    assert "✓ [a]: one" in outputs(cli)["b"]
    assert len(cli.runs) == 1


def test_what_failed_stays_failed_until_it_is_asked_for(cli: Cli) -> None:
    """And so does what waits for it; --retry-failed runs both."""
    write_plan(cli, a="one", b="two", c="three")
    cli.file("fail-a", "").args("run", "plan.json", *RUN).run().status(1)
    (cli.folder / "fail-a").unlink()

    cli.args("resume").run().status(1).says("failed   a", "blocked  b")
    assert count(cli, "a", "b", "c") == [1, 0, 1]
    cli.args("resume", "--retry-failed").run().status(0).says("re-run   a: failed")
    assert count(cli, "a", "b", "c") == [2, 1, 1]


def test_an_edited_plan(cli: Cli) -> None:
    """The edited task and its dependents are run again, and nothing else."""
    write_plan(cli, a="one", b="two", c="three", d="four", e="gone")
    cli.args("run", "plan.json", *RUN).run().status(0)
    write_plan(cli, f="new", d="four", c="3", b="two", a="one")

    dry = cli.args("resume", "--dry-run", "--json").run().status(0).document
    cli.args("resume").run().status(0).says("dropped  e")

    assert dry["kept"] == ["b", "a"]
    assert dry["rerun"] == {"d": "changed", "c": "changed"}
    assert (dry["new"], dry["dropped"]) == (["f"], ["e"])
    assert count(cli, "a", "b", "c", "d", "f") == [1, 1, 2, 2, 1]


def test_the_runs_own_copy(cli: Cli) -> None:
    """--snapshot takes the plan as it was, and says so when the file is gone."""
    write_plan(cli, a="one", b="two")
    killed(cli, "b")
    (cli.folder / "plan.json").unlink()

    cli.args("resume").run().status(2).says("--snapshot")
    cli.args("resume", "--snapshot").run().status(0)
    assert count(cli, "a", "b") == [1, 2]


def test_a_plan_from_stdin(cli: Cli) -> None:
    """There is no file to read again: the copy is used."""
    text = "- [ ] 1. one\n- [ ] 2. two\n"
    cli.file("fail-2", "").args("run", "-", *RUN).stdin(text).run().status(1)
    (cli.folder / "fail-2").unlink()

    cli.args("resume", "--retry-failed").run().status(0)
    assert count(cli, "1", "2") == [1, 2]


def test_two_at_once(cli: Cli) -> None:
    """One wins; the other says who has it, and starts nothing."""
    write_plan(cli, a="one", b="two")
    killed(cli, "b")
    cli.file("hold-b", "")
    (cli.folder / "pid-b").unlink()
    first = cli.args("resume").start()
    wait_until((cli.folder / "pid-b").exists, "b runs again")

    said = cli.args("resume").run().status(1).is_civil()

    said.says(f"process {first.process.pid} works on this run since")
    (cli.folder / "hold-b").unlink()
    first.end().status(0)
    assert count(cli, "a", "b") == [1, 2]


def test_a_run_that_goes_on_is_not_taken(cli: Cli) -> None:
    """`resume` beside a living `run`: the same answer; --dry-run may look."""
    write_plan(cli, a="one")
    running = cli.file("hold-a", "").args("run", "plan.json", *RUN).start()
    wait_until((cli.folder / "pid-a").exists, "a runs")

    cli.args("resume").run().status(1).says(f"process {running.process.pid} works on")
    cli.args("resume", "--dry-run").run().status(0).prints("re-run   a")
    (cli.folder / "hold-a").unlink()
    running.end().status(0)


def test_a_task_that_kills_its_host(cli: Cli) -> None:
    """After three deaths it is left alone, said, and run when it is asked for."""
    kill = (
        AGENT + "kill -9 $(cat ../muster.pid 2>/dev/null || cat muster.pid)\nsleep 9\n"
    )
    cli.file("agent.sh", kill)
    write_plan(cli, a="one", c="three")
    cli.file("hold-c", "")
    for words in (("run", "plan.json", *RUN), ("resume",), ("resume",)):
        running = cli.args(*words).start()
        cli.file("muster.pid", str(running.process.pid))
        assert running.process.wait(30) == -signal.SIGKILL

    cli.file("agent.sh", AGENT)
    (cli.folder / "hold-c").unlink()
    cli.file("muster.pid", "0").args("resume").run().status(1).says(
        "failed   a", "3 times that muster died"
    )
    runs = count(cli, "a")
    cli.args("resume").run().status(1).says("failed   a")
    assert count(cli, "a") == runs
    cli.args("resume", "--retry-failed").run().status(0)
    assert set(outputs(cli)) == {"a", "c"}


def test_interrupted_by_hand(cli: Cli) -> None:
    """What Ctrl-C ended, and what it kept from starting, is run by `resume`."""
    write_plan(cli, a="one", b="two", c="three")
    cli.file("hold-a", "")
    running = cli.args("run", "plan.json", *RUN).start()
    running.wait_for("c: done")
    wait_until((cli.folder / "pid-a").exists, "a runs")
    running.send(signal.SIGTERM).end().status(143).prints("muster resume")
    (cli.folder / "hold-a").unlink()

    cli.args("resume").run().status(0).says("1 kept, 1 re-run, 1 new")
    assert count(cli, "a", "b", "c") == [2, 1, 1]


def test_only_and_flags_are_remembered(cli: Cli) -> None:
    """A resumed run goes on as it was begun, unless it is told otherwise."""
    write_plan(cli, a="one", c="three", e="five")
    cli.file("fail-a", "")
    cli.args("run", "plan.json", *RUN, "--only", "a", "--only", "c").run().status(1)
    (cli.folder / "fail-a").unlink()

    cli.args("resume", "--retry-failed").run().status(0)
    assert count(cli, "a", "c", "e") == [2, 1, 0]
    cli.args("resume", "--only", "e").run().status(0)
    assert count(cli, "a", "c", "e") == [2, 1, 1]


def test_commands_that_the_plan_has_brought_in_since(cli: Cli) -> None:
    """They need consent; those that were allowed before do not."""
    own = {"tools": {"mine": {"command": ["./agent.sh"]}}}
    task = {"id": "a", "prompt": "x", "tool": "mine"}
    cli.file("plan.json", json.dumps({**own, "tasks": [task]})).file("fail-a", "")
    cli.args("run", "plan.json", "--no-fallback", "--policy", "test", "--yes").run()
    cli.args("resume", "--retry-failed").run().status(1).says("a: failed")
    own = {"tools": {"mine": {"command": ["./agent.sh", "--other"]}}}
    cli.file("plan.json", json.dumps({**own, "tasks": [task]}))

    cli.args("resume").run().status(2).says("--yes")
    (cli.folder / "fail-a").unlink()
    cli.args("resume", "--yes").run().status(0)


def test_journal_is_gone(cli: Cli) -> None:
    """The answers beside it are taken back, each with the content it was for."""
    write_plan(cli, a="one", b="two", c="three")
    killed(cli, "b")
    for each in (cli.folder / ".muster").glob("journal.db*"):
        each.unlink()

    cli.args("resume").run().status(0).says("2 kept")
    assert count(cli, "a", "b", "c") == [1, 2, 1]


def test_journal_is_damaged(cli: Cli) -> None:
    """It is said, the damaged one is kept, and nothing finished is run again."""
    write_plan(cli, a="one", b="two", c="three")
    killed(cli, "b")
    home = cli.folder / ".muster"
    with closing(sqlite3.connect(home / "journal.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (home / "journal.db").write_bytes(b"not a journal at all\n" * 1000)

    cli.args("resume").run().status(0).says("2 kept", "journal.db.damaged-1")
    assert count(cli, "a", "b", "c") == [1, 2, 1]


def test_missing_files_are_written_again(cli: Cli) -> None:
    """The journal is the truth, and the folder is made from it."""
    write_plan(cli, a="one", b="two", c="three")
    killed(cli, "b")
    (cli.runs[0] / "results" / "a.json").unlink()

    cli.args("resume").run().status(0)
    assert set(outputs(cli)) == {"a", "b", "c"}
    assert count(cli, "a") == [1]


def test_left_overs_are_ended_first(cli: Cli) -> None:
    """What an agent of the dead run left behind is gone before it is run again."""
    write_plan(cli, a="one")
    mark = cli.folder / "lives"
    cli.file("agent.sh", f"#!/bin/sh\necho x > {mark}\nexec sleep 60\n")
    running = cli.args("run", "plan.json", *RUN).start()
    wait_until(mark.exists, "a runs")
    running.send(signal.SIGKILL).process.wait()
    cli.file("agent.sh", AGENT)

    cli.args("resume").run().status(0)
    assert count(cli, "a") == [1]


def test_nothing_to_resume(cli: Cli) -> None:
    """No run, or one that is called otherwise: said, exit code 2."""
    cli.args("resume").run().status(2).says("no runs here yet").is_civil()
    write_plan(cli, a="one")
    cli.args("run", "plan.json", *RUN).run().status(0)
    cli.args("resume", "nonsense").run().status(2).says("nonsense").is_civil()
    cli.args("resume").run().status(0).says("1 kept, 0 re-run, 0 new")
    assert count(cli, "a") == [1]


def test_equal_tasks_share_an_answer(cli: Cli) -> None:
    """With --cache only, across runs, and marked."""
    write_plan(cli, a="one", b="two")
    cli.args("run", "plan.json", *RUN).run().status(0)
    cli.args("run", "plan.json", *RUN).run().status(0)
    assert count(cli, "a", "b") == [2, 2]
    write_plan(cli, a="one", b="other", c="one")

    found = cli.args("run", "plan.json", *RUN, "--cache", "--json").run().status(0)

    assert count(cli, "a", "b", "c") == [2, 3, 0]
    marks = {each["task_id"]: each["cached"] for each in found.document["results"]}
    assert marks == {"a": True, "b": False, "c": True}
    assert outputs(cli)["c"] == "one"


@pytest.mark.parametrize("is_killed", [False, True])
def test_what_took_long_goes_first_the_next_time(cli: Cli, *, is_killed: bool) -> None:
    """Known by content, not by name; a run that was killed teaches, too."""
    agent = AGENT.replace("cat\n", '[ "$MUSTER_TASK_ID" = e ] && sleep 0.8\ncat\n')
    cli.file("agent.sh", f'{agent}echo "$MUSTER_TASK_ID" >> order\n')
    write_plan(cli, a="one", c="three", e="five", g="seven")
    if is_killed:
        killed(cli, "g")
    else:
        cli.args("run", "plan.json", *RUN).run().status(0)
    (cli.folder / "order").unlink()

    write_plan(cli, a="one", c="three", z="five")
    cli.args("run", "plan.json", *RUN, "--max-concurrent", "1").run().status(0)

    assert (cli.folder / "order").read_text().split()[0] == "z"


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="counts by /proc")  # noqa: PTH112
@pytest.mark.parametrize("seed", range(20))
def test_killed_at_a_random_instant(tmp_path: Path, seed: int) -> None:
    """No finished result is lost or paid for twice, and every run ends complete."""
    found = trial(tmp_path, seed, tasks=24)

    assert found.is_good, found
