"""What scheduling costs per task with a durable journal, and whether it stays linear.

    python -m benchmarks.scheduling [--quick] [--full]

Stub agents that answer at once, 72 at a time, with a journal and without; the file per
task is made too. The figure is the ratio of CPU, in a file system in memory where there
is one: what a new file costs the kernel differs by 20 from disk to disk. Each run has a
process of its own, so that its peak of memory is its own. ``--full`` shows the clock's
ratio on the disk beside it.
"""

import argparse
import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from attrs import asdict, frozen

from benchmarks.figures import Report, ratio
from muster import AgentOrchestratorStub, Fleet, Plan, PlanTask
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.randomness import SystemRandomness
from muster.infrastructure.secrets import Redactor

AT_ONCE: Final = 72
SMALL, BIG = 10_000, 100_000
DEARER = 3.0
LINEAR = 1.2 * BIG / SMALL
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
KINDS: Final = ("without", "memory", "disk")


@frozen
class Cost:
    """Of one run: microseconds per task, and MiB over what it began with."""

    cpu: float
    clock: float
    peak: float


def plan_of(count: int) -> Plan:
    """Tasks of which no two are equal."""
    return Plan([PlanTask(f"t{number}", f"hello {number}") for number in range(count)])


def journal_in(home: Path) -> RunJournal:
    """A journal as the command line makes it."""
    return RunJournal.create(
        home,
        clock=SystemClock(),
        randomness=SystemRandomness(),
        redactor=Redactor(os.environ),
    )


async def cost(count: int, home: Path | None) -> Cost:
    """What the tasks of a plan cost, with a journal in ``home`` or without one."""
    before = resident("VmRSS")
    plan = plan_of(count)
    stub = AgentOrchestratorStub(record=False)
    journal = None if home is None else journal_in(home)
    async with Fleet.open({}, orchestrator=stub) as fleet:
        gc.collect()
        cpu, clock = time.process_time(), time.perf_counter()
        report = await fleet.run_plan(plan, max_concurrent=AT_ONCE, journal=journal)
        if journal is not None:
            await journal.aclose()
        cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    assert report.summary["succeeded"] == count
    peak = resident("VmHWM") - before
    return Cost(cpu / count * 1e6, clock / count * 1e6, peak)


def resident(name: str) -> float:
    """MiB of this process, now or at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(each.split()[1]) / 1024 for each in lines if each.startswith(name))


def once(count: int, kind: str) -> Cost:
    """In this process."""
    if kind == "without":
        return asyncio.run(cost(count, None))
    where = MEMORY if kind == "memory" and MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        return asyncio.run(cost(count, Path(folder) / "home"))


def apart(count: int, kind: str) -> Cost:
    """In a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scheduling", "--one", str(count), kind]
    return Cost(**json.loads(subprocess.check_output(command)))


def measured(count: int, rounds: int, kinds: tuple[str, ...]) -> dict[str, list[Cost]]:
    """The kinds in turn."""
    found: dict[str, list[Cost]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            found[kind].append(apart(count, kind))
    return found


def compare(report: Report, count: int, rounds: int, kinds: tuple[str, ...]) -> Cost:
    """Prints what so many tasks cost; the medians with a journal."""
    found = measured(count, rounds, kinds)
    cpu = {kind: [each.cpu for each in found[kind]] for kind in kinds}
    clock = {kind: [each.clock for each in found[kind]] for kind in kinds}
    name = f"{count:,} tasks"
    report.note(f"{name}, without", statistics.median(cpu["without"]), "us")
    report.note(f"{name}, with", statistics.median(cpu["memory"]), "us")
    if "disk" in kinds:
        slower = ratio(clock["disk"], clock["without"])
        report.note(f"{name}, by the clock, on this disk", slower, "x")
    report.figure(f"{name}, CPU", ratio(cpu["memory"], cpu["without"]), DEARER)
    peak = statistics.median(each.peak for each in found["memory"])
    report.note(f"{name}, memory", peak, "MiB")
    return Cost(
        statistics.median(cpu["memory"]), statistics.median(clock["memory"]), peak
    )


def main() -> int:
    """Prints the figures; 1 when one was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="less, and less exact")
    parser.add_argument("--full", action="store_true", help="more rounds, and the disk")
    parser.add_argument(
        "--one", nargs=2, metavar=("COUNT", "KIND"), help="a single run"
    )
    options = parser.parse_args()
    if options.one:
        print(json.dumps(asdict(once(int(options.one[0]), options.one[1]))))
        return 0
    kinds = KINDS if options.full else KINDS[:2]
    report = Report(f"scheduling: plans through the stub, {AT_ONCE} at a time")
    small = compare(report, SMALL, 3, kinds)
    if not options.quick:
        big = compare(report, BIG, 3 if options.full else 1, kinds)
        more = BIG / SMALL
        name = f"{BIG:,} over {SMALL:,} tasks"
        report.figure(f"{name}: CPU", big.cpu / small.cpu * more, LINEAR)
        report.figure(f"{name}: memory", big.peak / small.peak, LINEAR)
    return int(report.missed > 0)


if __name__ == "__main__":
    sys.exit(main())
