"""Runs of 60 tasks, killed with SIGKILL at random instants and resumed.

    python -m benchmarks.kill_resume [--quick] [--trials N]

Nothing that was finished may be lost or run again, nobody may survive, and every run
must end complete. The agents count themselves. The figure that counts is that of
`--trials 200`, which takes some minutes.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import Report
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


def main() -> int:
    """Prints the figures; 1 when one was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="less, and less exact")
    parser.add_argument("--trials", type=int, metavar="N", help="how many runs to kill")
    options = parser.parse_args()
    count = options.trials or (8 if options.quick else 20)
    report = Report(f"resume: {count} runs of {TASKS} tasks, killed at random instants")
    found = trials(count, 0)
    report.note("finished when muster was killed, mean", _mean(found), "tasks")
    report.figure("finished results lost", sum(each.lost for each in found), 0, "")
    report.figure("finished tasks run again", sum(t.repeated for t in found), 0, "")
    report.figure("tasks without an answer", sum(t.incomplete for t in found), 0, "")
    report.figure("survivors", sum(each.survivors for each in found), 0, "")
    return int(report.missed > 0)


def _mean(found: list[Trial]) -> float:
    return sum(each.finished for each in found) / len(found)


if __name__ == "__main__":
    sys.exit(main())
