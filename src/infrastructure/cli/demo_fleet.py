"""The fleet of `muster demo`: its plan, and whether everything went as designed."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

from muster.domain.outcome import FailureCause, SpawnResult
from muster.domain.plan import Plan, PlanTask
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.run_report import RunReport
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process import processes
from muster.infrastructure.cli import demo_agents
from muster.infrastructure.cli.demo_agents import FLOOD_BYTES, Notes
from muster.infrastructure.cli.words import plural, took

SIMULATED: Final = "estimate"
# The promise is half a second; a machine that is busy with other things may take longer
# to run us at all, and a demo is no benchmark.
PROMISED_SECONDS: Final = 0.5
BROKEN_SECONDS: Final = 5.0
TOLD_TO_WAIT: Final = 1.0
GONE_WITHIN: Final = 2.0
_AGENTS: Final[Mapping[str, str]] = {
    "outline": "writer",
    "review": "reviewer",
    "tests": "tester",
    "research": "researcher",
    "translate": "translator",
    "build": "builder",
    "logs": "logger",
    "merge": "editor",
}
_NEEDS: Final = {"merge": ("outline", "tests", SIMULATED)}
RECOVERY: Final = RecoveryPolicy(
    max_retries=1,
    base_delay=0.5,
    max_delay=2.0,
    jitter="none",
    overrides={"researcher": {"max_retries": 0}},
)


@frozen
class Check:
    """One thing that the demo shows, and whether it was so."""

    name: str
    is_ok: bool
    what: str


def plan_in(folder: Path) -> Plan:
    """Nine tasks; their programs write notes into ``folder``."""
    tasks = [
        PlanTask(
            name,
            f"Please do the {name}.",
            agent=agent,
            tool=_program(name, folder),
            depends=_NEEDS.get(name, ()),
        )
        for name, agent in _AGENTS.items()
    ]
    tasks.insert(-1, PlanTask(SIMULATED, "How long will it take?", tool="sim"))
    return Plan(tasks)


def _program(role: str, folder: Path) -> ToolSpec:
    script = str(Path(demo_agents.__file__).resolve())
    return ToolSpec(
        f"{role}.py", (sys.executable, "-I", "-S", script, role, str(folder))
    )


def written(plan: Plan) -> str:
    """The plan as a task list, to be kept with the run."""
    return "".join(
        f"- [ ] {task.id}: {task.prompt}\n"
        + (f"  - Agent: {task.agent}\n" if task.agent else "  - Tool: sim\n")
        + (f"  - Depends: {', '.join(task.depends)}\n" if task.depends else "")
        for task in plan.tasks
    )


def environment(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The caller's without what would change the demo: settings, profiles, lanes."""
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith(("MUSTER_", "XDG_")) or name == "MUSTER_DEPTH"
    }
    return {**kept, "HOME": str(folder)}


@frozen
class Judgement:
    """Holds what muster says of a run against what the agents say of it."""

    report: RunReport
    notes: Path

    def checks(self) -> Iterator[Check]:
        """One after the other; the last looks for survivors."""
        for name, judge in _JUDGES.items():
            result = self.report.results.get(name)
            if result is None:
                yield Check(name, is_ok=False, what="has no result")
            else:
                is_ok, what = judge(self, result)
                yield Check(name, is_ok, what if is_ok else f"{what} ({_said(result)})")
        yield self.survivors()

    def starts(self, role: str) -> int:
        """How often a program was really started."""
        return sum(each["what"] == "started" for each in Notes(role, self.notes).read())

    def moment(self, role: str, what: str) -> float | None:
        """When something happened to an agent, by its own clock, which is ours."""
        for note in Notes(role, self.notes).read():
            if note["what"] == what:
                return float(str(note["at"]))
        return None

    def survivors(self) -> Check:
        """Looks for every process that was noted, and for any other of this run."""
        pids = {
            int(str(note["pid"]))
            for role in _AGENTS
            for note in Notes(role, self.notes).read()
        }
        due = time.monotonic() + GONE_WITHIN
        while (left := _alive(pids, self.report.run_id)) and time.monotonic() < due:
            time.sleep(0.01)
        what = f"{len(left)} of {len(pids)} processes are left"
        return Check("survivors", not left and bool(pids), what)

    # --- one task each ----------------------------------------------------------

    def outline(self, result: SpawnResult) -> tuple[bool, str]:
        """Nothing special."""
        return result.success, "just worked"

    def review(self, result: SpawnResult) -> tuple[bool, str]:
        """Failed for good, and nobody tried again."""
        failure, calls = result.failure, self.starts("review")
        is_auth = failure is not None and failure.cause is FailureCause.AUTH
        return (
            is_auth and calls == 1,
            f"was refused its key: failed for good, {plural(calls, 'call')} made",
        )

    def tests(self, result: SpawnResult) -> tuple[bool, str]:
        """Crashed, then worked."""
        is_ok = result.success and result.retry_count == 1 == self.starts("tests") - 1
        return is_ok, "crashed, and recovered with the second try"

    def research(self, result: SpawnResult) -> tuple[bool, str]:
        """Hung, and was seen."""
        failed, ended = (self.moment("research", w) for w in ("failed", "asked to end"))
        if failed is None or ended is None:
            return False, "hung, and was never ended"
        late = ended - failed
        what = f"hung after a failure line: ended {took(late)} later, then done by "
        what += "fallback to a direct call"
        if late > PROMISED_SECONDS:
            what += f" (promised are {took(PROMISED_SECONDS)}: a busy machine?)"
        return result.success and result.fallback and late < BROKEN_SECONDS, what

    def translate(self, result: SpawnResult) -> tuple[bool, str]:
        """Was limited, waited, and worked."""
        waited = max((each.delay_before for each in result.attempts), default=0.0)
        is_ok = result.success and waited >= TOLD_TO_WAIT
        return is_ok, f"was rate limited: waited {took(waited)}, then done"

    def build(self, result: SpawnResult) -> tuple[bool, str]:
        """Left something behind."""
        count = result.leftovers
        is_ok = result.success and count == 1
        return is_ok, f"left {plural(count, 'process')} behind: ended, and told"

    def logs(self, result: SpawnResult) -> tuple[bool, str]:
        """Flooded; the whole is on the disk."""
        path = result.output_path
        size = Path(path).stat().st_size if path and Path(path).is_file() else 0
        mib = 1024 * 1024
        what = f"flooded us with {size // mib} MiB: all in a file, "
        what += f"{len(result.output) / mib:.0f} MiB in memory"
        return result.success and result.truncated and size == FLOOD_BYTES, what

    def estimate(self, result: SpawnResult) -> tuple[bool, str]:
        """Simulated, and it says so."""
        return result.success and result.simulated, "was simulated, and is stamped so"

    def merge(self, result: SpawnResult) -> tuple[bool, str]:
        """Got what others answered."""
        count = len(_NEEDS["merge"])
        is_ok = result.success and f"Merged {count} answers." in result.output
        return is_ok, f"got the answers of the {count} tasks before it"


_JUDGES: Final[Mapping[str, Callable[[Judgement, SpawnResult], tuple[bool, str]]]] = {
    "outline": Judgement.outline,
    "review": Judgement.review,
    "tests": Judgement.tests,
    "research": Judgement.research,
    "translate": Judgement.translate,
    "build": Judgement.build,
    "logs": Judgement.logs,
    "estimate": Judgement.estimate,
    "merge": Judgement.merge,
}


def _said(result: SpawnResult) -> str:
    return (
        result.error
        or f"succeeded, after {', '.join(result.recovery_path) or 'one try'}"
    )


def _alive(pids: set[int], run_id: str | None) -> list[int]:
    mark = f"MUSTER_RUN_ID={run_id}".encode()
    found = {pid for pid in pids if _lives(pid)}
    for pid in processes.processes():
        if mark in processes.read(f"/proc/{pid}/environ").split(b"\0"):
            found.add(pid)
    return sorted(found)


def _lives(pid: int) -> bool:
    if Path("/proc/self/stat").exists():
        return processes.alive(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False  # somebody else's by now: ours would be ours
    return True
