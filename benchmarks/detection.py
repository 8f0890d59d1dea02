"""From a failure line to the result, among noisy neighbours of the same fleet.

A child writes a failure line with its own CLOCK_MONOTONIC time and hangs. Counted is
the time from there to the returned `SpawnResult`, family ended and all, less the time
for which the verdict waits by its nature (`confirm_after`). Meanwhile 1, 72 or 300
neighbours print on both streams, among it what looks like trouble but goes on.

    python -m benchmarks.detection [--quick]
"""

import asyncio
import re
import sys
import time
from typing import Final

from attrs import frozen

from benchmarks.figures import Report, percentile, script
from muster import Fleet, SpawnTask
from muster.domain import presets
from muster.domain.outcome import FailureCause
from muster.domain.tool import ToolSpec

# Neighbours, and the most that p50 and p99 may be in milliseconds.
CROWDS: Final[dict[int, float | None]] = {1: 10.0, 72: 50.0, 300: None}
LINES_PER_SECOND: Final = 10  # of each neighbour on each stream
SETTLE: Final = 1.0

PYTHON: Final = (sys.executable, "-I", "-S", "-c")
NOISE: Final = f"""
import os, time
while True:
    os.write(1, b"reading the sources of the project, file after file\\n")
    os.write(2, b"warning: got 429, that happens; going on with the next one\\n")
    time.sleep({1 / LINES_PER_SECOND})
"""
FAILING: Final = """
import os, sys, time, signal
line = sys.argv[1] + " at=%d\\n"
os.write(2, (line % time.monotonic_ns()).encode())
signal.pause()
"""
NEIGHBOUR: Final = ToolSpec("neighbour", (*PYTHON, NOISE))
WRITTEN_AT: Final = re.compile(r"at=(\d+)")


@frozen
class Line:
    """A failure line, what it must be taken for, and how long that takes by law."""

    text: str
    cause: FailureCause
    confirm_after: float


LINES: Final = (
    Line("Error: 429 rate limit exceeded", FailureCause.RATE_LIMIT, 0.25),
    Line("Error: Invalid API key", FailureCause.AUTH, 0.10),
)


async def late(fleet: Fleet, line: Line) -> float:
    """Seconds that one detection took beyond its waiting time."""
    tool = ToolSpec("failing", (*PYTHON, FAILING, line.text))
    result = await fleet.spawn(SpawnTask(""), tool=tool)
    now = time.monotonic_ns()
    assert result.failure is not None
    assert result.failure.cause is line.cause, result.failure
    written = WRITTEN_AT.search(result.stderr)
    assert written is not None, result.stderr
    return (now - int(written[1])) / 1e9 - line.confirm_after


async def among(neighbours: int, samples: int) -> list[float]:
    """Detections one after the other, each phase of the neighbours' noise met."""
    found: list[float] = []
    async with Fleet.open() as fleet, asyncio.TaskGroup() as group:
        crowd = group.create_task(
            fleet.spawn_parallel(
                [SpawnTask("")] * neighbours, max_concurrent=neighbours, tool=NEIGHBOUR
            )
        )
        await asyncio.sleep(SETTLE + neighbours * 0.03)
        found += [await late(fleet, LINES[turn % 2]) for turn in range(samples)]
        assert not crowd.done()
        crowd.cancel()
    return found


def run(quick: bool) -> int:  # noqa: FBT001 - the one thing a benchmark is asked
    """Prints the figures; the number of those that were missed."""
    assert LINES[0].confirm_after == presets.CONFIRM_AFTER
    assert LINES[1].confirm_after == presets.CONFIRM_AFTER_PERMANENT
    samples = 20 if quick else 120
    crowds = [each for each in CROWDS if not quick or CROWDS[each] is not None]
    report = Report("detection: from the child's write to the result, - confirm_after")
    for neighbours in crowds:
        target = CROWDS[neighbours]
        times = asyncio.run(among(neighbours, samples))
        for share, name in ((0.5, "p50"), (0.99, "p99")):
            label = f"{neighbours} noisy neighbours, {name} of {samples}"
            value = percentile(times, share) * 1e3
            if target is None:
                report.note(label, value, "ms")
            else:
                report.figure(label, value, target, "ms")
    return report.missed


if __name__ == "__main__":
    sys.exit(script(run, __doc__))
