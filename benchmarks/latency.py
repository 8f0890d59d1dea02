"""How much later the result of a no-op program comes than from bare asyncio.

One program after the other, ours and the reference in turn, through an open fleet.

    python -m benchmarks.latency [--quick]
"""

import asyncio
import sys
import time
from typing import Final

from benchmarks.bare import NO_OP, TASK, reference
from benchmarks.figures import Report, percentile, ratio, script
from muster import Fleet

KINDS: Final = ("keeper", "group")
TARGET: Final = 2.0
WARM: Final = 10


async def once(fleet: Fleet) -> None:
    """One no-op program."""
    result = await fleet.spawn(TASK, tool=NO_OP)
    assert result.success, result.error


async def measured(kind: str, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of ours and of the reference, pair by pair."""
    ours, theirs = [], []
    async with Fleet.open({"containment": kind}) as fleet:
        for turn in range(WARM + rounds):
            start = time.perf_counter()
            await reference()
            middle = time.perf_counter()
            await once(fleet)
            end = time.perf_counter()
            if turn >= WARM:
                theirs.append(middle - start)
                ours.append(end - middle)
    return ours, theirs


def run(quick: bool) -> int:  # noqa: FBT001 - the one thing a benchmark is asked
    """Prints the figures; the number of those that were missed."""
    report = Report("latency: spawn of a no-op program in an open fleet")
    for kind in KINDS:
        ours, theirs = asyncio.run(measured(kind, 100 if quick else 500))
        report.note(f"bare, p50 (beside {kind})", percentile(theirs, 0.5) * 1e3, "ms")
        report.note(f"{kind}, p50", percentile(ours, 0.5) * 1e3, "ms")
        report.note(f"{kind}, p99", percentile(ours, 0.99) * 1e3, "ms")
        report.figure(f"{kind}, median of the pairs", ratio(ours, theirs), TARGET)
    return report.missed


if __name__ == "__main__":
    sys.exit(script(run, __doc__))
