"""Kills a run from the command line at a random instant, resumes it, and counts.

Every agent writes its own count, so that nobody has to believe muster.
"""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

from attrs import frozen

from muster.infrastructure.adapters.local_process import leftovers
from muster.infrastructure.journal.database import open_journal
from muster.infrastructure.journal.history import read_history, run_number
from muster.infrastructure.stored_runs import list_runs, read_run
from tests.support.cli import Cli

# One line when it begins, one when it has done its work.
AGENT: Final = """#!/bin/sh
echo begun >> "counts/$MUSTER_TASK_ID"
sleep 0.0$(( $(echo "$MUSTER_TASK_ID" | tr -d a-z) % 7 ))
echo done >> "counts/$MUSTER_TASK_ID"
echo "answer of $MUSTER_TASK_ID"
"""
FIRST_INSTANTS: Final = 0.8  # seconds, before the first task of most runs


@frozen
class Trial:
    """What one killed and resumed run came to; all numbers but ``finished`` want 0."""

    finished: int  # of which the journal knew when muster was dead
    lost: int  # finished before, and not there at the end
    repeated: int  # finished before, and run again
    incomplete: int  # without an answer at the end
    survivors: int

    @property
    def is_good(self) -> bool:
        """Nothing lost, nothing paid for twice, nobody left."""
        return not (self.lost or self.repeated or self.incomplete or self.survivors)


def prepare(folder: Path, random: Random, tasks: int) -> Cli:
    """A folder with a random plan whose agents count themselves."""
    names = [f"t{number}" for number in range(tasks)]
    plan = [
        {
            "id": name,
            "prompt": f"work {name}",
            "depends": random.sample(names[:at], min(at, random.choice((0, 0, 1, 2)))),
        }
        for at, name in enumerate(names)
    ]
    (folder / "counts").mkdir()
    cli = Cli(folder).file("plan.json", json.dumps({"tasks": plan}))
    cli.file("agent.sh", AGENT)
    (folder / "agent.sh").chmod(0o755)
    return cli.args(*_words("run", "plan.json", "--tool", "./agent.sh"))


def trial(folder: Path, seed: int, tasks: int = 60) -> Trial:
    """One run, killed once, and resumed to its end."""
    random = Random(seed)  # noqa: S311 - an instant that can be tried again
    cli = prepare(folder, random, tasks)
    running = cli.start()
    _wait(folder, random, tasks, lambda: running.process.poll() is not None)
    running.send(signal.SIGKILL)
    running.process.wait()
    before = _finished(folder)
    counts = {each: _count(folder, each) for each in before}
    _go_on(cli)
    survivors = _survivors(folder)
    after = _results(folder)
    names = [f"t{number}" for number in range(tasks)]
    return Trial(
        finished=len(before),
        lost=sum(each not in after for each in before),
        repeated=sum(_count(folder, each) != counts[each] for each in before),
        incomplete=sum(each not in after for each in names),
        survivors=survivors,
    )


def _words(*words: str) -> tuple[str, ...]:
    return (*words, "--max-concurrent", "8", "--no-fallback", "--quiet")


def _wait(
    folder: Path, random: Random, tasks: int, is_over: Callable[[], bool]
) -> None:
    """Until a random instant of the run, however fast the machine is today."""
    if random.random() < 1 / 8:
        time.sleep(random.uniform(0, FIRST_INSTANTS))
        return
    wanted = random.randint(0, 2 * tasks - 1)
    while not is_over() and _lines(folder) < wanted:
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.02))


def _go_on(cli: Cli) -> None:
    resumed = cli.args(*_words("resume")).run()
    if "ended before its first task" in resumed.err or "no runs" in resumed.err:
        cli.args(*_words("run", "plan.json", "--tool", "./agent.sh")).run().status(0)
    else:
        resumed.status(0)


def _lines(folder: Path) -> int:
    return sum(each.read_bytes().count(b"\n") for each in (folder / "counts").iterdir())


def _count(folder: Path, task_id: str) -> int:
    return (folder / "counts" / task_id).read_text().count("\n")


def _finished(folder: Path) -> set[str]:
    """What was durable when muster died."""
    home = folder / ".muster"
    runs = list_runs(home)
    if not runs or not (home / "journal.db").exists():
        return set()
    connection = open_journal(home).connection
    try:
        run = run_number(connection, home, runs[-1])
        if run is None:
            return set()
        finished = read_history(connection, home, run).tasks.finished
    finally:
        connection.close()
    return {each for each, task in finished.items() if task.cause is None}


def _results(folder: Path) -> set[str]:
    found = read_run(folder / ".muster")
    assert not found.problems, found.problems
    return {
        each
        for each, result in found.results.items()
        if result.success and result.output == f"answer of {each}\n"
    }


def _survivors(folder: Path) -> int:
    runs = set(list_runs(folder / ".muster"))
    return sum(each.run_id in runs for each in leftovers.find())
