"""What the engine costs per task, without processes: the stub at 72 at a time.

    python -m benchmarks.engine [--quick]

The reference is a bounded worker pool whose tasks each sit in `asyncio.timeout()`.
Then a generator of 1,000,000 tasks is run and the growth of memory shown.
"""

import asyncio
import gc
import resource
import sys
import time
from collections.abc import Iterator, Sequence

from benchmarks.figures import Report, ratio, script
from muster import AgentOrchestratorStub, Fleet, SpawnTask

AT_ONCE = 72
SIZES = (1_000, 10_000, 100_000)
TARGET = 3.0
MILLION = 1_000_000
GROWTH_MIB = 64.0


async def pool(count: int) -> float:
    """CPU seconds of the least that bounded, timed work can cost in asyncio."""
    numbers = iter(range(count))

    async def worker() -> None:
        for _ in numbers:
            async with asyncio.timeout(100):
                await asyncio.sleep(0)

    before = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())
    return time.process_time() - before


async def fleet(count: int) -> float:
    """CPU seconds of the same through an open fleet and its stub."""
    stub = AgentOrchestratorStub(record=False)
    async with Fleet.open({}, orchestrator=stub) as fleet:
        tasks = [SpawnTask("hello") for _ in range(count)]
        gc.collect()
        before = time.process_time()
        results = await fleet.spawn_parallel(tasks, max_concurrent=AT_ONCE)
        spent = time.process_time() - before
    assert len(results) == count
    assert all(result.success for result in results)
    assert stub.peak_active <= AT_ONCE
    return spent


def compare(rounds: int, sizes: Sequence[int]) -> int:
    """CPU of pool and fleet in turn."""
    report = Report(f"engine: CPU per task through the stub, {AT_ONCE} at a time")
    asyncio.run(fleet(100))
    for size in sizes:
        ours, theirs = [], []
        for _ in range(rounds):
            theirs.append(asyncio.run(pool(size)))
            ours.append(asyncio.run(fleet(size)))
        report.note(f"{size:,} tasks, pool", min(theirs) / size * 1e6, "us")
        report.note(f"{size:,} tasks, fleet", min(ours) / size * 1e6, "us")
        report.figure(f"{size:,} tasks", ratio(ours, theirs), TARGET)
    return report.missed


def million() -> int:
    """A generator of a million tasks in bounded memory."""
    report = Report("engine: a million tasks from a generator")

    def tasks() -> Iterator[SpawnTask]:
        for _ in range(MILLION):
            yield SpawnTask("hello")

    async def run() -> int:
        stub = AgentOrchestratorStub(record=False)
        done = 0
        async with Fleet.open({}, orchestrator=stub) as fleet:
            stream = fleet.spawn_stream(tasks(), max_concurrent=AT_ONCE)
            async for result in stream:
                done += result.success
        return done

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert asyncio.run(run()) == MILLION
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    report.figure("growth of peak memory", grown, GROWTH_MIB, "MiB")
    return report.missed


def run(quick: bool) -> int:  # noqa: FBT001 - the one thing a benchmark is asked
    """Prints the figures; the number of those that were missed."""
    if quick:
        return compare(3, SIZES[:2])
    return compare(5, SIZES) + million()


if __name__ == "__main__":
    sys.exit(script(run, __doc__))
