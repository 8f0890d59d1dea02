"""What reading costs: 200 MB on stdout, on stderr, as one line, and 1-byte writes.

Each round runs ``cat > /dev/null`` and every case, interleaved; printed are the
medians of the ratios, the growth of this process's memory, and the longest that
the event loop was late. ``python benchmarks/reading.py [ROUNDS] [group|keeper]``
"""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from muster.domain.events import AgentEvent, OutputReceived
from muster.domain.task import AgentRequest
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process import containment
from muster.infrastructure.adapters.local_process.orchestrator import (
    LocalProcessOrchestrator,
)

BYTES = 200_000_000
SMALL = 10_000_000
BEAT = 0.005
LINES = f"yes 'a line of some length, as agents print them, 64 bytes long ....' | head -c {BYTES}"
ONE_LINE = f"head -c {BYTES} /dev/zero | tr '\\0' x"
ONE_BYTE = f"dd if=/dev/zero bs=1 count={SMALL} status=none"


@frozen
class Case:
    """One way to print, and the same program before ``cat``."""

    name: str
    script: str
    size: int
    to_stderr: bool = False


CASES = (
    Case("stdout", LINES, BYTES),
    Case("stderr", LINES, BYTES, to_stderr=True),
    Case("one line on stdout", ONE_LINE, BYTES),
    Case("one line on stderr", ONE_LINE, BYTES, to_stderr=True),
    Case("1-byte writes, stdout", ONE_BYTE, SMALL),
    Case("1-byte writes, stderr", ONE_BYTE, SMALL, to_stderr=True),
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
    pulse = Pulse()
    start = time.perf_counter()
    await opened.invoke(request, report)
    seconds = time.perf_counter() - start
    pulse.stop()
    assert counted == case.size, (counted, case.size)
    return Cost(seconds, pulse.growth, pulse.late)


class Pulse:
    """Beats on the loop: how late it was at worst, how much memory grew at most."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._memory = rss()
        self.growth = 0
        self.late = 0.0
        self._due = self._loop.time() + BEAT
        self._timer = self._loop.call_at(self._due, self._beat)

    def stop(self) -> None:
        """The last look."""
        self._timer.cancel()
        self.growth = max(self.growth, rss() - self._memory)
        self.late = max(self.late, self._loop.time() - self._due)

    def _beat(self) -> None:
        now = self._loop.time()
        self.late = max(self.late, now - self._due)
        self.growth = max(self.growth, rss() - self._memory)
        self._due = now + BEAT
        self._timer = self._loop.call_at(self._due, self._beat)


def rss() -> int:
    """Resident memory of this process in bytes."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def measure(
    rounds: int, kind: containment.Kind
) -> dict[str, list[tuple[float, Cost]]]:
    """Reference and ours in turn, so that the machine's mood hits both."""
    found: dict[str, list[tuple[float, Cost]]] = {case.name: [] for case in CASES}
    for _ in range(rounds):
        for case in CASES:
            # A new one each time: what it spooled goes with it.
            opened = LocalProcessOrchestrator(
                containment.choose(kind), environ=os.environ
            )
            await opened.invoke(
                AgentRequest("a", tool=ToolSpec("true", ("true",)), prompt=""),
                lambda _: None,
            )
            base = reference(case)
            found[case.name].append((base, await ours(opened, case)))
            await opened.aclose()
    return found


def main(arguments: list[str]) -> None:
    """Prints one line a case."""
    rounds = int(arguments[0]) if arguments else 5
    kind: containment.Kind = "group" if "group" in arguments else "keeper"
    median: Callable[[list[float]], float] = statistics.median
    print(f"{'case':28} {'cat s':>7} {'ratio':>6} {'RSS MiB':>8} {'late ms':>8}")
    for name, runs in asyncio.run(measure(rounds, kind)).items():
        base = median([base for base, _ in runs])
        ratio = median([cost.seconds / base for base, cost in runs])
        growth = max(cost.growth for _, cost in runs) / 2**20
        late = median([cost.late for _, cost in runs]) * 1000
        print(f"{name:28} {base:7.3f} {ratio:6.2f} {growth:8.1f} {late:8.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
