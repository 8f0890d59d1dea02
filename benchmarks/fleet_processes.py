"""What a fleet of short programs costs the host: CPU and wall time of the whole path.

1,000 runs of a no-op through `spawn_parallel` of an open fleet, 8 and 72 at a time,
against bare `create_subprocess_exec` + `communicate()` under a semaphore. The
contenders take turns in every round; medians of the rounds' ratios.

    python -m benchmarks.fleet_processes [--quick]
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final

from benchmarks.bare import NO_OP, TASK, Spent, references, spent
from benchmarks.figures import Report, ratio, script
from muster import Fleet

AT_ONCE: Final = (8, 72)
CPU: Final = 1.0
WALL: Final = {"keeper": 1.5, "group": 1.0}
Contender = Callable[[], Awaitable[object]]


async def through(fleet: Fleet, runs: int, at: int) -> None:
    """``runs`` no-op programs through an open fleet."""
    results = await fleet.spawn_parallel([TASK] * runs, max_concurrent=at, tool=NO_OP)
    assert len(results) == runs
    assert all(result.success for result in results), results[0].error


async def measured(runs: int, rounds: int, at: int) -> dict[str, list[Spent]]:
    """Everybody in turn, so that the machine's mood hits all."""
    async with AsyncExitStack() as stack:
        kept, grouped = [
            await stack.enter_async_context(Fleet.open({"containment": kind}))
            for kind in WALL
        ]
        contenders: dict[str, Contender] = {
            "bare": lambda: references(runs, at),
            "keeper": lambda: through(kept, runs, at),
            "group": lambda: through(grouped, runs, at),
        }
        await references(2 * at, at)
        await through(kept, 2 * at, at)
        await through(grouped, 2 * at, at)
        found: dict[str, list[Spent]] = {name: [] for name in contenders}
        for turn in range(rounds):
            names = [*contenders]
            for name in names[turn % 3 :] + names[: turn % 3]:
                found[name].append(await spent(contenders[name]))
        return found


def run(quick: bool) -> int:  # noqa: FBT001 - the one thing a benchmark is asked
    """Prints the figures; the number of those that were missed."""
    runs, rounds = (300, 3) if quick else (1000, 5)
    report = Report(f"fleet: {runs:,} no-op programs against bare asyncio")
    for at in AT_ONCE:
        found = asyncio.run(measured(runs, rounds, at))
        bare = found.pop("bare")
        best = min(bare, key=lambda each: each.cpu)
        report.note(f"{at} at a time, bare: CPU", best.cpu / runs * 1e3, "ms each")
        report.note(f"{at} at a time, bare: wall", best.wall / runs * 1e3, "ms each")
        for name, ours in found.items():
            label = f"{at} at a time, {name}"
            cpu = ratio([each.cpu for each in ours], [each.cpu for each in bare])
            wall = ratio([each.wall for each in ours], [each.wall for each in bare])
            report.figure(f"{label}: CPU of the host", cpu, CPU)
            report.figure(f"{label}: wall", wall, WALL[name])
    return report.missed


if __name__ == "__main__":
    sys.exit(script(run, __doc__))
