"""What a durable journal costs per task, and how soon a run of 100,000 goes on.

    python -m benchmarks.journal [--quick]

Stub agents that answer at once, 72 at a time, with a journal and without; the file per
task is made too. The figure is the ratio of CPU, in a file system in memory where there
is one: what a new file costs the kernel differs by 20 from disk to disk. The clock's
ratio, on the disk, is shown beside it.
"""

import asyncio
import gc
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from attrs import frozen

from benchmarks.figures import Report, ratio, script
from muster import AgentOrchestratorStub, Fleet, Plan, PlanTask, SpawnResult
from muster.application.resumption import identify, plan_resume
from muster.domain.outcome import Attempt
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.journal.database import open_reader
from muster.infrastructure.journal.history import StoredResults, read_history
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.randomness import SystemRandomness
from muster.infrastructure.secrets import Redactor

AT_ONCE = 72
TARGET = 3.0
FINISHED = 100_000
FIRST_START = 2.0
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it


@frozen
class Cost:
    """Microseconds per task."""

    cpu: float
    clock: float


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


async def cost(plan: Plan, home: Path | None) -> Cost:
    """What a task of the plan costs, with a journal in ``home`` or without one."""
    stub = AgentOrchestratorStub(record=False)
    journal = None if home is None else journal_in(home)
    async with Fleet.open({}, orchestrator=stub) as fleet:
        gc.collect()
        cpu, clock = time.process_time(), time.perf_counter()
        report = await fleet.run_plan(plan, max_concurrent=AT_ONCE, journal=journal)
        if journal is not None:
            await journal.aclose()
        cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    assert report.summary["succeeded"] == len(plan.tasks)
    return Cost(cpu / len(plan.tasks) * 1e6, clock / len(plan.tasks) * 1e6)


def compare(sizes: tuple[int, ...], rounds: int) -> int:
    """With and without, in turn."""
    report = Report(f"journal: per task through the stub, {AT_ONCE} at a time")
    asyncio.run(cost(plan_of(200), None))
    for size in sizes:
        plan = plan_of(size)
        without, memory, disk = [], [], []
        for _ in range(rounds):
            without.append(asyncio.run(cost(plan, None)))
            memory.append(journalled(plan, MEMORY if MEMORY.is_dir() else None))
            disk.append(journalled(plan, None))
        report.note(f"{size:,} tasks, without", min(c.cpu for c in without), "us")
        report.note(f"{size:,} tasks, with", min(c.cpu for c in memory), "us")
        clock = ratio([c.clock for c in disk], [c.clock for c in without])
        report.note(f"{size:,} tasks, by the clock, on this disk", clock, "x")
        cpu = ratio([c.cpu for c in memory], [c.cpu for c in without])
        report.figure(f"{size:,} tasks, CPU", cpu, TARGET)
    return report.missed


def journalled(plan: Plan, where: Path | None) -> Cost:
    """With a journal in a folder there; None is where temporary files go."""
    with tempfile.TemporaryDirectory(dir=where) as folder:
        return asyncio.run(cost(plan, Path(folder) / "home"))


def finished_run(home: Path, plan: Plan, identities: dict[str, str]) -> str:
    """A run of which all tasks but the last one are finished."""
    journal = journal_in(home)
    attempt = Attempt(1, None, "sim", 1.0, 2.0)
    results = [
        SpawnResult(
            success=True,
            output="an answer " * 20,
            task_id=task.id,
            task_index=place,
            attempts=(attempt,),
            exit_code=0,
            tool="sim",
        )
        for place, task in enumerate(plan.tasks[:-1])
    ]
    journal.adopt((each, identities[str(each.task_id)]) for each in results)
    journal.close()
    return journal.run_id


async def first_start(home: Path, run_id: str, plan: Plan) -> tuple[float, float]:
    """Seconds until the one pending task starts, and until the run is complete."""
    began = time.perf_counter()
    started: list[float] = []

    def on_progress(*_: Any) -> None:
        started.append(time.perf_counter() - began)

    journal = RunJournal.reopen(home, run_id, clock=SystemClock())
    history = read_history(journal.connection, home, journal.run)
    stub = AgentOrchestratorStub(record=False)
    async with Fleet.open({}, orchestrator=stub) as fleet:
        journal.identities = identify(plan, fleet.context)
        resumption = plan_resume(plan, journal.identities, history.tasks)
        places = {task.id: place for place, task in enumerate(plan.tasks)}
        reader = open_reader(home)
        known = StoredResults(reader, home, journal.run, resumption.recorded, places)
        report = await fleet.run_plan(
            plan, journal=journal, known=known, on_progress=on_progress
        )
    await journal.aclose()
    reader.close()
    assert report.summary["succeeded"] == len(plan.tasks)
    assert stub.peak_active == 1
    return started[0], time.perf_counter() - began


def resume(rounds: int) -> int:
    """A run of which 100,000 tasks are finished and one is not."""
    report = Report(f"resume: a run with {FINISHED:,} finished tasks")
    plan = plan_of(FINISHED + 1)
    folder = Path(tempfile.mkdtemp())
    stub = AgentOrchestratorStub(record=False)
    identities = identify(plan, Fleet.open({}, orchestrator=stub).context)
    starts = []
    for number in range(rounds):
        home = folder / f"home{number}"
        run_id = finished_run(home, plan, identities)
        gc.collect()
        start, end = asyncio.run(first_start(home, run_id, plan))
        starts.append(start)
        shutil.rmtree(home)
    report.note("complete after", end, "s")
    report.figure("first pending task starts after", min(starts), FIRST_START, "s")
    shutil.rmtree(folder)
    return report.missed


def run(quick: bool) -> int:  # noqa: FBT001 - the one thing a benchmark is asked
    """Prints the figures; the number of those that were missed."""
    if quick:
        return compare((10_000,), 3) + resume(1)
    return compare((10_000, 100_000), 3) + resume(3)


if __name__ == "__main__":
    sys.exit(script(run, __doc__))
