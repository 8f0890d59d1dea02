"""How soon a resumed run of 100,000 finished tasks starts the one that is left.

    python -m benchmarks.journal [--quick]

From the opening of the journal until the first pending task starts: all that is done
meanwhile is what `muster resume` does.
"""

import asyncio
import gc
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.figures import Report, script
from benchmarks.scheduling import journal_in, plan_of
from muster import AgentOrchestratorStub, Fleet, Plan, SpawnResult
from muster.application.resumption import identify, plan_resume
from muster.domain.outcome import Attempt
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.journal.database import open_reader
from muster.infrastructure.journal.history import StoredResults, read_history
from muster.infrastructure.journal.run_journal import RunJournal

FINISHED = 100_000
FIRST_START = 2.0


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


async def first_start(
    home: Path, run_id: str, plan: Plan
) -> tuple[float, float, float]:
    """Seconds until the one pending task starts, of them CPU, and until all is complete."""
    began, cpu = time.perf_counter(), time.process_time()
    started: list[tuple[float, float]] = []

    def on_progress(*_: Any) -> None:
        started.append((time.perf_counter() - began, time.process_time() - cpu))

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
    return *started[0], time.perf_counter() - began


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
        start, cpu, end = asyncio.run(first_start(home, run_id, plan))
        starts.append((start, cpu))
        shutil.rmtree(home)
    report.note("complete after", end, "s")
    start, cpu = min(starts)
    report.note("CPU until the first pending task starts", cpu, "s")
    report.figure("first pending task starts after", start, FIRST_START, "s")
    shutil.rmtree(folder)
    return report.missed


def run(quick: bool) -> int:  # noqa: FBT001 - the one thing a benchmark is asked
    """Prints the figures; the number of those that were missed."""
    return resume(1 if quick else 2)


if __name__ == "__main__":
    sys.exit(script(run, __doc__))
