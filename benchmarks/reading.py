"""What reading costs: 200 MB on stdout, on stderr, as one line, and 1-byte writes.

Each round runs ``cat > /dev/null`` and every case, interleaved; printed are the
medians of the ratios, the growth of this process's memory, and the longest that
the event loop was late.

    python -m benchmarks.reading [--quick]
"""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final

from attrs import evolve, frozen

from benchmarks.figures import Report, ratio, script
from benchmarks.pulse import Pulse
from muster.domain.events import AgentEvent, OutputReceived
from muster.domain.task import AgentRequest
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process import containment
from muster.infrastructure.adapters.local_process.orchestrator import (
    LocalProcessOrchestrator,
)

BYTES = 200_000_000
SMALL = 10_000_000
TIME: Final = 3.0
GROWTH_MIB: Final = 16.0
STALL_MS: Final = 50.0
LINES = (
    "yes 'a line of some length, as agents print them, 64 bytes long ....'"
    " | head -c {size}"
)
ONE_LINE = "head -c {size} /dev/zero | tr '\\0' x"
ONE_BYTE = "dd if=/dev/zero bs=1 count={size} status=none"


@frozen
class Case:
    """One way to print, and the same program before ``cat``."""

    name: str
    template: str
    size: int
    to_stderr: bool = False

    @property
    def script(self) -> str:
        """For the shell."""
        return self.template.format(size=self.size)


CASES = (
    Case("stdout", LINES, BYTES),
    Case("stderr", LINES, BYTES, to_stderr=True),
    Case("one line on stdout", ONE_LINE, BYTES),
    Case("one line on stderr", ONE_LINE, BYTES, to_stderr=True),
    Case("1-byte writes, stdout", ONE_BYTE, SMALL),
    Case("1-byte writes, stderr", ONE_BYTE, SMALL, to_stderr=True),
)
QUICK = tuple(
    evolve(case, size=min(case.size, 40_000_000 if case.size == BYTES else SMALL // 20))
    for case in CASES
)


@frozen
class Cost:
    """Of one run: seconds, growth of RSS in bytes, longest lateness in seconds."""

    seconds: float
    growth: int
    late: float


def reference(case: Case) -> float:
    """Seconds of the same program in front of ``cat > /dev/null``."""
    start = time.perf_counter()
    subprocess.run(
        ["/bin/sh", "-c", f"{{ {case.script}; }} | cat > /dev/null"], check=True
    )
    return time.perf_counter() - start


async def ours(opened: LocalProcessOrchestrator, case: Case) -> Cost:
    """The same through `invoke`, every byte accounted for."""
    stream = "stderr" if case.to_stderr else "stdout"
    script = f"{{ {case.script}; }} >&2" if case.to_stderr else case.script
    tool = ToolSpec("sh", ("/bin/sh", "-c", script))
    counted = 0

    def report(event: AgentEvent) -> None:
        nonlocal counted
        if isinstance(event, OutputReceived) and event.stream == stream:
            counted += event.count

    request = AgentRequest("a", tool=tool, prompt="")
    with Pulse() as pulse:
        start = time.perf_counter()
        await opened.invoke(request, report)
        seconds = time.perf_counter() - start
    assert counted == case.size, (counted, case.size)
    return Cost(seconds, pulse.growth, pulse.late)


async def measured(
    cases: Sequence[Case], rounds: int
) -> dict[Case, list[tuple[float, Cost]]]:
    """Reference and ours in turn, so that the machine's mood hits both."""
    found: dict[Case, list[tuple[float, Cost]]] = {case: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            # A new one each time: what it spooled goes with it.
            opened = LocalProcessOrchestrator(
                containment.choose("keeper"), environ=os.environ
            )
            await opened.invoke(
                AgentRequest("a", tool=ToolSpec("true", ("true",)), prompt=""),
                lambda _: None,
            )
            base = reference(case)
            found[case].append((base, await ours(opened, case)))
            await opened.aclose()
    return found


def run(quick: bool) -> int:  # noqa: FBT001 - the one thing a benchmark is asked
    """Prints the figures; the number of those that were missed."""
    report = Report("reading: against cat > /dev/null")
    found = asyncio.run(measured(QUICK if quick else CASES, 2 if quick else 5))
    for case, runs in found.items():
        base = [seconds for seconds, _ in runs]
        costs = [cost for _, cost in runs]
        name = f"{case.size // 10**6} MB, {case.name}"
        report.note(f"{name}: cat", min(base), "s")
        spent = ratio([cost.seconds for cost in costs], base)
        report.figure(f"{name}: time", spent, TIME)
        growth = max(cost.growth for cost in costs) / 2**20
        report.figure(f"{name}: growth of memory", growth, GROWTH_MIB, "MiB")
        late = statistics.median(cost.late for cost in costs) * 1e3
        report.figure(f"{name}: longest stall, median", late, STALL_MS, "ms")
        report.note(
            f"{name}: longest stall, worst", 1e3 * max(c.late for c in costs), "ms"
        )
    return report.missed


if __name__ == "__main__":
    sys.exit(script(run, __doc__))
