"""Runs the benchmarks, each in a process of its own, and counts what was missed.

    python -m benchmarks [NAME...] [--quick]

Exit code 1 when a figure is missed or a benchmark breaks. Ratios hold on a busy
machine; milliseconds and stalls want a quiet one.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from attrs import define

from benchmarks.figures import GOOD, MISSED, verdict_of

# The dearest first where it needs a rested machine, the long simulations last.
NAMES: Final = (
    "latency",
    "fleet_processes",
    "spawn_cost",
    "detection",
    "memory",
    "reading",
    "engine",
    "classification",
    "streams",
    "deliberation",
    "crewai_council",
    "makespan",
    "scheduling",
    "journal",
    "resume_command",
    "knowledge",
    "soar",
    "survivors",
    "agent_clis",
    "kill_resume",
    "overload",
)
ROOT: Final = Path(__file__).resolve().parent.parent


@define
class Totals:
    """Verdicts so far, and the benchmarks that broke."""

    good: int = 0
    missed: int = 0
    broken: int = 0

    def count(self, line: str) -> None:
        """Books a printed line."""
        verdict = verdict_of(line)
        self.good += verdict == GOOD
        self.missed += verdict == MISSED

    @property
    def is_good(self) -> bool:
        """Whether every figure was reached."""
        return not (self.missed or self.broken)


def run(name: str, totals: Totals, *, quick: bool) -> None:
    """One benchmark; its lines are shown as they come."""
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    command += ["--quick"] if quick else []
    missed_before = totals.missed
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as it:
        for line in it.stdout or ():
            print(line, end="", flush=True)
            totals.count(line)
    if it.returncode != int(totals.missed > missed_before):
        print(f"  {name} broke with exit code {it.returncode}")
        totals.broken += 1


def main() -> int:
    """See the top of the file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measures muster."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="less, and less exact")
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    totals, began = Totals(), time.monotonic()
    for name in options.names or NAMES:
        run(name, totals, quick=options.quick)
    print(
        f"\n{totals.good + totals.missed} figures: {totals.good} reached, "
        f"{totals.missed} missed, {totals.broken} benchmarks broken, "
        f"{time.monotonic() - began:.0f} s"
    )
    return int(not totals.is_good)


if __name__ == "__main__":
    sys.exit(main())
