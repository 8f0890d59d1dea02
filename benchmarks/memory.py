"""What a running child costs its parent: memory, threads, and the loop at the start.

200, then 1,000 sleepers, each fleet in a process of its own, all started at once. The
growth is that of the resident memory from just before `spawn_parallel`, with the parts
that are made once already there, until all are running.

    python -m benchmarks.memory [--quick]
"""

import asyncio
import multiprocessing
import os
import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import Final

from attrs import frozen

from benchmarks.bare import NO_OP, TASK
from benchmarks.figures import Report, script
from benchmarks.pulse import Pulse, rss
from muster import Fleet
from muster.domain.tool import ToolSpec

CHILDREN: Final = (200, 1000)
KINDS: Final = ("keeper", "group")
KIB_EACH: Final = 6.0
STALL_MS: Final = 50.0
FILES_EACH: Final = 3  # two pipes, and a socket or pidfd
FILES_BESIDES: Final = 200
WARM: Final = 16
PATIENCE: Final = 120.0
LOOK: Final = 0.5
SLEEPER: Final = ToolSpec("sleeper", ("/bin/sleep", "1000"))


@frozen
class Weight:
    """Bytes and threads that were added, and the longest stall in seconds."""

    growth: int
    threads: int
    late: float


async def running(children: int, kind: str) -> Weight:
    """Starts that many at once, and weighs when all are there."""
    async with Fleet.open({"containment": kind}) as fleet:
        tasks = [TASK] * children
        await fleet.spawn_parallel(tasks[:WARM], max_concurrent=WARM, tool=NO_OP)
        with Pulse() as pulse:
            memory, threads = rss(), _count("task")
            async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE):
                crowd = group.create_task(
                    fleet.spawn_parallel(tasks, max_concurrent=children, tool=SLEEPER)
                )
                await _all_run(children)
                weight = Weight(rss() - memory, _count("task") - threads, pulse.late)
                crowd.cancel()
    return weight


async def _all_run(children: int) -> None:
    # Asking the kernel for the children would itself stall the loop: it is over
    # when every child's descriptors are there and no start is under way.
    count, before = 0, -1
    while count < children * FILES_EACH or count != before:
        await asyncio.sleep(LOOK)
        count, before = _count("fd"), count


def _count(what: str) -> int:
    return len(os.listdir(f"/proc/self/{what}"))  # noqa: PTH208 (a thousand paths)


def weigh(children: int, kind: str) -> Weight:
    """In a process of its own: what an earlier fleet has left would be used again."""
    return asyncio.run(running(children, kind))


def allow_files(count: int) -> None:
    """Raises the limit of open files; exits where that isn't allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return
    if hard < count:
        sys.exit(f"memory: needs {count} open files; the limit is {hard} (ulimit -n)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def run(quick: bool) -> int:  # noqa: FBT001 - the one thing a benchmark is asked
    """Prints the figures; the number of those that were missed."""
    allow_files(max(CHILDREN) * FILES_EACH + FILES_BESIDES)
    report = Report("memory: running children and their parent, all started at once")
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawning, max_tasks_per_child=1) as apart:
        for children in CHILDREN:
            for kind in KINDS[:1] if quick else KINDS:
                weight = apart.submit(weigh, children, kind).result()
                each = weight.growth / children / 1024
                label = f"{children:,} children, {kind}"
                report.figure(f"{label}: memory of each", each, KIB_EACH, "KiB")
                report.figure(f"{label}: threads", weight.threads, 0, "")
                report.figure(f"{label}: stall", weight.late * 1e3, STALL_MS, "ms")
    return report.missed


if __name__ == "__main__":
    sys.exit(script(run, __doc__))
