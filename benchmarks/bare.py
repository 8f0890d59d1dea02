"""The reference: asyncio's own subprocesses and nothing around them."""

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable
from typing import Final

from attrs import frozen

from muster import SpawnTask
from muster.domain.tool import ToolSpec

PROGRAM: Final = "/bin/true"
NO_OP: Final = ToolSpec("true", (PROGRAM,))
TASK: Final = SpawnTask("hello")


@frozen
class Spent:
    """Of the host process, user and system, threads and all; and by the clock."""

    cpu: float
    wall: float


async def reference() -> None:
    """One no-op program; its stdin is closed, which is less than we do."""
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    await process.communicate()
    assert process.returncode == 0


async def references(runs: int, at: int) -> None:
    """``runs`` no-op programs, at most ``at`` under way."""
    slots = asyncio.Semaphore(at)

    async def one() -> None:
        async with slots:
            await reference()

    async with asyncio.TaskGroup() as group:
        for _ in range(runs):
            group.create_task(one())


async def spent(work: Callable[[], Awaitable[object]]) -> Spent:
    """What a piece of work costs the host."""
    cpu, wall = _cpu(), time.perf_counter()
    await work()
    return Spent(_cpu() - cpu, time.perf_counter() - wall)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
