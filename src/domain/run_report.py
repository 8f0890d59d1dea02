"""What a whole run came to."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from muster.domain.outcome import FailureCause, SpawnResult
from muster.domain.run_results import Totals, run_results


class RunStatus(StrEnum):
    """How a run ended; each has its exit code on the command line."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    PARTIAL = "partial"
    PARKED = "parked"
    BUDGET = "budget"
    DEADLINE = "deadline"
    HALTED = "halted"
    INTERRUPTED = "interrupted"


@frozen
class RunReport:
    """The results of a run by task id, in the order of the plan, and their sums."""

    run_id: str | None
    status: RunStatus
    results: Mapping[str, SpawnResult]
    summary: Mapping[str, Any] = field(factory=dict)
    totals: Totals = field(kw_only=True, eq=False, repr=False)

    @totals.default
    def _summed_up(self) -> Totals:
        return run_results(self.results).totals()

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "run_id": self.run_id,
            "status": self.status.value,
            "results": [result.to_dict() for result in self.results.values()],
            "summary": dict(self.summary),
        }


def summarize(
    results: Iterable[SpawnResult] | Totals,
    *,
    skipped: int = 0,
    duration: float,
    started_at: str,
    completed_at: str,
) -> dict[str, Any]:
    """The sum of results; times are ISO 8601 with an offset, ``duration`` seconds."""
    totals = _totals(results)
    parked = totals.causes.get(FailureCause.PARKED, 0)
    return {
        "total": totals.count + skipped,
        "succeeded": totals.succeeded,
        "failed": totals.count - totals.succeeded - parked,
        "skipped": skipped,
        "parked": parked,
        "duration_s": round(duration, 6),
        "started_at": started_at,
        "completed_at": completed_at,
        "by_cause": {cause.value: count for cause, count in totals.causes.items()},
        "retries": totals.retries,
        "fallbacks": totals.fallbacks,
        "usage": totals.usage.to_dict() if totals.usage else None,
        "usage_by_agent": {
            name: usage.to_dict() for name, usage in totals.agents.items()
        },
    }


def status_of(
    results: Iterable[SpawnResult] | Totals,
    *,
    interrupted: bool = False,
    skipped: int = 0,
) -> RunStatus:
    """The status that results add up to; the most urgent trouble names it."""
    if interrupted:
        return RunStatus.INTERRUPTED
    causes = set(_totals(results).causes)
    for cause, status in _BY_URGENCY:
        if cause in causes:
            return status
    if causes - _ASKED_FOR:
        return RunStatus.FAILED
    return RunStatus.PARTIAL if causes or skipped else RunStatus.SUCCEEDED


def _totals(results: Iterable[SpawnResult] | Totals) -> Totals:
    return results if isinstance(results, Totals) else Totals.of(results)


_BY_URGENCY = (
    (FailureCause.HALTED, RunStatus.HALTED),
    (FailureCause.BUDGET, RunStatus.BUDGET),
    (FailureCause.PARKED, RunStatus.PARKED),
)
_ASKED_FOR = frozenset({FailureCause.CANCELLED})
