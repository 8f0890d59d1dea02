"""What starting, reading and ending a short program costs the host process.

    python -m benchmarks.spawn_cost [--quick]

Runs of /bin/true, 8 and 72 at a time, without a fleet, against `asyncio.create_subprocess_exec` +
`communicate()` under a semaphore. The contenders take turns in every round; figures are
medians of the rounds' ratios. CPU is the host process's own, user and system; the
reference's includes what its thread per child costs.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from benchmarks.bare import PROGRAM, reference, spent
from benchmarks.figures import Report, ratio, script
from muster.infrastructure.adapters.local_process.containment import (
    Containment,
    Launch,
    choose,
)

AT_ONCE: Final = (8, 72)
TARGETS: Final = {"keeper": (1.0, 1.5), "group": (1.0, 1.0)}
Once = Callable[[], Awaitable[None]]
Found = dict[str, list[tuple[float, float]]]


class Reader:
    """A pipe that is read to its end."""

    __slots__ = ("_loop", "done", "read_end", "write_end")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.read_end, self.write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self.write_end, True)
        self.done = self._loop.create_future()

    def start(self) -> None:
        os.close(self.write_end)
        self._loop.add_reader(self.read_end, self._read)

    def _read(self) -> None:
        if not os.read(self.read_end, 65536):
            self._loop.remove_reader(self.read_end)
            os.close(self.read_end)
            self.done.set_result(None)


async def contained(containment: Containment, null: int) -> None:
    out, err = Reader(), Reader()
    child = await containment.start(
        Launch(
            argv=(PROGRAM,),
            executable=PROGRAM,
            env=os.environ,
            cwd=None,
            stdin=null,
            stdout=out.write_end,
            stderr=err.write_end,
            stop_signal=signal.SIGTERM,
            grace=2.0,
        )
    )
    out.start()
    err.start()
    code = await child.exited
    await out.done
    await err.done
    await child.gone
    assert code == 0


async def measure(once: Once, runs: int, at: int) -> tuple[float, float]:
    """CPU and wall seconds of the host for `runs`, at most `at` under way."""
    slots = asyncio.Semaphore(at)

    async def one() -> None:
        async with slots:
            await once()

    async def everything() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(runs):
                group.create_task(one())

    cost = await spent(everything)
    return cost.cpu, cost.wall


async def compare(report: Report, rounds: int, runs: int, at: int) -> None:
    """Everybody in turn."""
    null = os.open(os.devnull, os.O_RDWR)
    kept, grouped = choose("keeper"), choose("group")
    contenders: dict[str, Once] = {
        "reference": reference,
        "keeper": lambda: contained(kept, null),
        "group": lambda: contained(grouped, null),
    }
    figures: Found = {name: [] for name in contenders}
    for once in contenders.values():
        await measure(once, 2 * at, at)
    for turn in range(rounds):
        order = [*contenders]
        for name in order[turn % 3 :] + order[: turn % 3]:
            figures[name].append(await measure(contenders[name], runs, at))
    await kept.aclose()
    await grouped.aclose()
    os.close(null)
    show(report, figures, runs, at)


def show(report: Report, found: Found, runs: int, at: int) -> None:
    """The figures of one width."""
    base = found["reference"]
    label = f"{at} at a time"
    report.note(f"{label}, bare: CPU", min(c for c, _ in base) / runs * 1e3, "ms each")
    report.note(f"{label}, bare: wall", min(w for _, w in base) / runs * 1e3, "ms each")
    for name, (cpu_target, wall_target) in TARGETS.items():
        cpu, wall = (
            ratio([each[i] for each in found[name]], [each[i] for each in base])
            for i in (0, 1)
        )
        report.figure(f"{label}, {name}: CPU of the host", cpu, cpu_target)
        report.figure(f"{label}, {name}: wall", wall, wall_target)


def run(quick: bool) -> int:  # noqa: FBT001 - the one thing a benchmark is asked
    """Prints the figures; the number of those that were missed."""
    runs, rounds = (200, 3) if quick else (500, 5)
    report = Report(f"containment alone: {runs} no-op programs against bare asyncio")
    for at in AT_ONCE:
        asyncio.run(compare(report, rounds, runs, at))
    return report.missed


if __name__ == "__main__":
    sys.exit(script(run, __doc__))
