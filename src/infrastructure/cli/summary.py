"""What a run came to, on one screen, and what to type next."""

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Final

from attrs import frozen

from muster.domain.graph import topological
from muster.domain.outcome import FailureCause, SpawnResult
from muster.domain.plan import Plan
from muster.domain.run_report import RunReport, RunStatus
from muster.domain.run_results import Totals, run_results
from muster.infrastructure.cli.budgeting import budget_lines, next_step
from muster.infrastructure.cli.resets import reset_lines
from muster.infrastructure.cli.words import (
    failure_words,
    is_left_out,
    name_of,
    noticed,
    one_line,
    plural,
    took,
)
from muster.infrastructure.cost_words import spent, usage_of

FRAME_LINES: Final = 18  # of the summary without its failures, and the prompt
FEWEST: Final = 2
LONGEST: Final = 2  # lines of the terminal for one failure's message
_STATUS: Final = {
    RunStatus.DEADLINE: "deadline reached",
    RunStatus.BUDGET: "budget reached",
}


@frozen
class Summary:
    """The last words about a run. ``folder`` is where its results are."""

    report: RunReport
    plan: Plan
    folder: Path

    def lines(self, screen: tuple[int, int] | None = None) -> Iterator[str]:
        """The summary, fitted to a screen of (columns, lines); None: the terminal's."""
        results = run_results(self.report.results)
        totals, without = self.report.totals, results.failed().values()
        failed = [each for each in without if not is_left_out(each)]
        left_out = [each for each in without if is_left_out(each)]
        yield ""
        yield self._headline(totals, len(failed), len(left_out))
        yield from self._notes(totals, without)
        width, height = screen or shutil.get_terminal_size()
        yield from _failures(failed, width, height - FRAME_LINES)
        if left_out:
            yield from _left_out(left_out)
        yield ""
        yield f"results  {shown(self.folder)}"
        yield f"report   {shown(self.folder / 'report.html')}"
        yield from self._next(failed, any_left_out=bool(left_out))

    def _headline(self, totals: Totals, failed: int, left_out: int) -> str:
        summary = self.report.summary
        if not totals.count:
            ticked = summary["skipped"]
            left = f" ({ticked} ticked or not selected)" if ticked else ""
            return f"nothing to do{left}"
        parts = [f"{totals.succeeded} of {totals.count} done"]
        parts += [f"{failed} failed"] if failed else []
        parts += [f"{left_out} not done"] if left_out else []
        parts += [f"{summary['skipped']} skipped"] if summary["skipped"] else []
        time = took(summary["duration_s"])
        status = self.report.status
        # The numbers say these two by themselves.
        is_said = status in (RunStatus.SUCCEEDED, RunStatus.FAILED)
        head = "" if is_said else f"{_STATUS.get(status, status.value)}: "
        return f"{head}{', '.join(parts)} in {time}{self._ideal(totals)}"

    def _ideal(self, totals: Totals) -> str:
        if totals.count < FEWEST or not totals.work:
            return ""
        seconds = run_results(self.report.results).seconds()
        longest = critical_path(self.plan, seconds)
        return f" ({took(totals.work)} of work, longest chain {took(longest)})"

    def _notes(self, totals: Totals, without: Collection[SpawnResult]) -> Iterator[str]:
        summary = self.report.summary
        parts = []
        if summary["retries"]:
            parts.append(plural(summary["retries"], "retry"))
        if summary["fallbacks"]:
            parts.append(plural(summary["fallbacks"], "fallback"))
        if totals.leftovers:
            parts.append(f"{plural(totals.leftovers, 'process')} left behind and ended")
        used = spent(usage_of(summary.get("usage")))
        if used:
            parts.append(used)
        if totals.cached:
            parts.append(f"{totals.cached} not run, for an equal task had the answer")
        if parts:
            yield ", ".join(parts)
        yield from budget_lines(self.report)
        yield from reset_lines(without)
        if totals.simulated:
            some = f"{totals.simulated} of {totals.count}"
            yield f"simulated: {some} results are no real answers"

    def _is_only_late(self, failed: Sequence[SpawnResult]) -> bool:
        """Whether all that failed was ended by the deadline of the run."""
        if self.report.status is not RunStatus.DEADLINE:
            return False
        limits = {
            each.id: self.plan.effective(each).timeout for each in self.plan.tasks
        }
        return all(
            each.failure is not None
            and each.failure.cause is FailureCause.DEADLINE
            and limits.get(str(each.task_id)) is None
            for each in failed
        )

    def _next(
        self, failed: Sequence[SpawnResult], *, any_left_out: bool
    ) -> Iterator[str]:
        run = short_id(self.folder.name)
        if failed and failed[0].task_id:
            yield f"next     muster show {run} {quoted(failed[0].task_id)}"
            yield f"         muster logs {run} {quoted(failed[0].task_id)}"
        elif self.report.results:
            yield f"next     muster show {run}"
        more = next_step(self.report, run)
        if more is not None:
            yield f"         {more}"
        elif self._is_only_late(failed):
            yield f"         muster resume {run}"
        elif failed:
            yield f"         muster resume {run} --retry-failed"
        elif any_left_out:
            yield f"         muster resume {run}"


def _failures(failed: Sequence[SpawnResult], width: int, room: int) -> Iterator[str]:
    """What failed alike stands together, what failed alone comes first."""
    if failed:
        yield ""
    alike: dict[tuple[str, str], list[SpawnResult]] = {}
    for result in failed:
        assert result.failure is not None  # noqa: S101 - a failed result has one
        key = (result.failure.cause.value, result.failure.message)
        alike.setdefault(key, []).append(result)
    used = told = 0
    for some in sorted(alike.values(), key=len):
        words, details = _failure(some, width)
        used += ceil(len(words) / width) + 1
        if used > room and told >= FEWEST:
            yield f"         and {len(failed) - told} more failed"
            return
        told += len(some)
        yield words
        yield f"         {details}"


def _failure(alike: Sequence[SpawnResult], width: int) -> tuple[str, str]:
    first = alike[0]
    assert first.failure is not None  # noqa: S101 - a failed result has one
    names = ", ".join(map(_name, alike[:FEWEST]))
    count = len(alike)
    names += f" and {count - FEWEST} more" if count > FEWEST else ""
    words = f"{names}: {failure_words(first.failure)}"
    words = "failed   " + one_line(words, LONGEST * width - len("failed   "))
    details = [noticed(first.failure), _recovery(first)]
    told = "; ".join(each for each in details if each)
    return words, f"{count} tasks; the first: {told}" if count > 1 else told


def critical_path(plan: Plan, seconds: Mapping[str, float]) -> float:
    """Seconds along the slowest chain of dependencies: no run could be faster."""
    ends: dict[str, float] = {}
    depends = plan.whole
    for task_id in topological(depends):
        before = max((ends[each] for each in depends[task_id]), default=0.0)
        ends[task_id] = before + seconds.get(task_id, 0.0)
    return max(ends.values(), default=0.0)


def shown(path: Path) -> str:
    """The path as short as it can be written from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def short_id(run_id: str) -> str:
    """The end of a run id: chance alone, so that it fits one run only."""
    return run_id.rpartition("-")[2] or run_id


def quoted(word: str) -> str:
    """The word as it must be typed."""
    from shlex import quote  # noqa: PLC0415

    return quote(one_line(word))


def _left_out(results: Sequence[SpawnResult]) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for result in results:
        assert result.failure is not None  # noqa: S101 - it is left out for a reason
        reasons.setdefault(result.failure.message, []).append(_name(result))
    most = list(reasons.items())[:FEWEST]
    for reason, names in most:
        yield f"not done {one_line(', '.join(names), 60)}: {one_line(reason, 120)}"
    rest = sum(map(len, reasons.values())) - sum(len(names) for _, names in most)
    if rest:
        yield f"         and {rest} more"


def _name(result: SpawnResult) -> str:
    name = name_of(result.task_id, result.task_index)
    return f"{name} ({one_line(result.agent)})" if result.agent else name


def _recovery(result: SpawnResult) -> str:
    """How long it took and what was tried, in a few words."""
    tries = len(result.attempts)
    words = f"{took(result.execution_time)}, {plural(tries, 'attempt')}"
    return f"{words}, the last one a direct call" if result.fallback else words
