"""What starting, reading and ending a short program costs the host process.

    python benchmarks/spawn_cost.py [--rounds 5] [--runs 1000] [--at 8,72]

1,000 runs of /bin/true, 8 and 72 at a time, against `asyncio.create_subprocess_exec` +
`communicate()` under a semaphore. The contenders take turns in every round; figures are
medians of the rounds' ratios. CPU is the host process's own, user and system; the
reference's includes what its thread per child costs.
"""

import argparse
import asyncio
import os
import resource
import signal
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Final

from muster.infrastructure.adapters.local_process.containment import (
    Containment,
    Launch,
    choose,
)

PROGRAM: Final = "/bin/true"
TARGETS: Final = {"keeper": (1.0, 1.5), "group": (1.0, 1.0)}
Once = Callable[[], Awaitable[None]]


def usage() -> float:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


async def reference() -> None:
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    await process.communicate()
    assert process.returncode == 0


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

    cpu, wall = usage(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(runs):
            group.create_task(one())
    return usage() - cpu, time.perf_counter() - wall


async def compare(rounds: int, runs: int, at: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    kept, grouped = choose("keeper"), choose("group")
    contenders: dict[str, Once] = {
        "reference": reference,
        "keeper": lambda: contained(kept, null),
        "group": lambda: contained(grouped, null),
    }
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for once in contenders.values():
        await measure(once, 2 * at, at)
    for turn in range(rounds):
        order = [*contenders]
        for name in order[turn % 3 :] + order[: turn % 3]:
            figures[name].append(await measure(contenders[name], runs, at))
    await kept.aclose()
    await grouped.aclose()
    os.close(null)
    show(figures, runs, at)


def show(figures: dict[str, list[tuple[float, float]]], runs: int, at: int) -> None:
    base = figures["reference"]
    cpu, wall = (statistics.median(f[i] for f in base) / runs * 1e3 for i in (0, 1))
    print(f"{runs} x {PROGRAM}, {at} at a time, {len(base)} rounds")
    print(f"  reference  cpu {cpu:.3f} ms  wall {wall:.3f} ms per spawn")
    for name, (cpu_target, wall_target) in TARGETS.items():
        pairs = list(zip(figures[name], base, strict=True))
        cpu, wall = (statistics.median(a[i] / b[i] for a, b in pairs) for i in (0, 1))
        good = cpu <= cpu_target and wall <= wall_target
        print(
            f"  {name:9}  cpu {cpu:.2f}x (at most {cpu_target})  "
            f"wall {wall:.2f}x (at most {wall_target})  {'ok' if good else 'MISSED'}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--at", default="8,72")
    options = parser.parse_args()
    for at in options.at.split(","):
        asyncio.run(compare(options.rounds, options.runs, int(at)))


if __name__ == "__main__":
    main()
