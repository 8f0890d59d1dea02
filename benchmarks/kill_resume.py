"""Runs of 60 tasks, killed with SIGKILL at random instants and resumed.

    python -m benchmarks.kill_resume [--quick]

Nothing that was finished may be lost or run again, nobody may survive, and every run
must end complete. The agents count themselves.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks.figures import Report, script
from tests.support.killing import Trial, trial

TASKS = 60


def trials(count: int, seed: int) -> list[Trial]:
    """As many trials, each in a folder of its own."""
    found = []
    for number in range(seed, seed + count):
        with tempfile.TemporaryDirectory() as folder:
            found.append(trial(Path(folder), number, TASKS))
        if not found[-1].is_good:
            print(f"  seed {number}: {found[-1]}", flush=True)
    return found


def run(quick: bool) -> int:  # noqa: FBT001 - the one thing a benchmark is asked
    """Prints the figures; the number of those that were missed."""
    count = 20 if quick else 200
    report = Report(f"resume: {count} runs of {TASKS} tasks, killed at random instants")
    found = trials(count, 0)
    report.note("finished when muster was killed, mean", _mean(found), "tasks")
    report.figure("finished results lost", sum(each.lost for each in found), 0, "")
    report.figure("finished tasks run again", sum(t.repeated for t in found), 0, "")
    report.figure("tasks without an answer", sum(t.incomplete for t in found), 0, "")
    report.figure("survivors", sum(each.survivors for each in found), 0, "")
    return report.missed


def _mean(found: list[Trial]) -> float:
    return sum(each.finished for each in found) / len(found)


if __name__ == "__main__":
    sys.exit(script(run, __doc__))
