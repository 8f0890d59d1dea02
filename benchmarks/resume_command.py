"""What `muster resume` costs a run of which 100,000 tasks are finished and one is not.

    python -m benchmarks.resume_command [--quick]

The whole command, from its first instruction: the imports, the settings, the journal,
the plan (a file in TOML), what is kept, and the start of the agent. The agent itself
opens a gate, and the kernel then says what CPU the command has used: on a machine that
others use too, that and not the clock is its own.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from attrs import frozen

from benchmarks.figures import Report, script
from tests.support.finished_run import finished_run

FINISHED: Final = 100_000
FIRST_START: Final = 2.0
AGENT: Final = """#!/bin/sh
cat > /dev/null
echo started > gate
echo done
"""
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@frozen
class Start:
    """Seconds until the agent has started, and until the command has ended."""

    cpu: float
    clock: float
    whole_cpu: float
    whole_clock: float
    peak: float  # MiB


def resumed(folder: Path) -> Start:
    """Resumes the last run there."""
    gate = folder / "gate"
    os.mkfifo(gate)
    began = time.perf_counter()
    command = [sys.executable, "-m", "muster", "resume", "--quiet"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as running:
        gate.read_bytes()
        clock, cpu = time.perf_counter() - began, _cpu_of(running.pid)
        _, status, usage = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    assert running.returncode == 0
    whole = usage.ru_utime + usage.ru_stime
    return Start(cpu, clock, whole, time.perf_counter() - began, usage.ru_maxrss / 1024)


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def run(quick: bool) -> int:  # noqa: FBT001 - the one thing a benchmark is asked
    """Prints the figures; the number of those that were missed."""
    report = Report(f"muster resume: a run with {FINISHED:,} finished tasks")
    starts = []
    for _ in range(1 if quick else 2):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            agent = folder / "agent.sh"
            agent.write_text(AGENT)
            agent.chmod(0o755)
            finished_run(folder, FINISHED + 1, str(agent))
            starts.append(resumed(folder))
    best = min(starts, key=lambda each: each.cpu)
    report.note("clock until the agent that is left has started", best.clock, "s")
    report.note("clock until the command has ended", best.whole_clock, "s")
    report.note("CPU until the command has ended", best.whole_cpu, "s")
    report.note("peak of memory", best.peak, "MiB")
    name = "CPU until the agent that is left has started"
    report.figure(name, best.cpu, FIRST_START, "s")
    return report.missed


if __name__ == "__main__":
    sys.exit(script(run, __doc__))
