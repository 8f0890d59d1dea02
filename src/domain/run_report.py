"""What a whole run came to."""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from muster.domain.outcome import FailureCause, SpawnResult, Usage


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
    """The results of a run by task id, in the order of the plan, and their sum."""

    run_id: str | None
    status: RunStatus
    results: Mapping[str, SpawnResult]
    summary: Mapping[str, Any] = field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "run_id": self.run_id,
            "status": self.status.value,
            "results": [result.to_dict() for result in self.results.values()],
            "summary": dict(self.summary),
        }


def summarize(
    results: Iterable[SpawnResult],
    *,
    skipped: int = 0,
    duration: float,
    started_at: str,
    completed_at: str,
) -> dict[str, Any]:
    """The sum of results; times are ISO 8601 with an offset, ``duration`` seconds."""
    results = list(results)
    causes = Counter(each.failure.cause.value for each in results if each.failure)
    parked = causes.get(FailureCause.PARKED.value, 0)
    succeeded = sum(each.success for each in results)
    usage: Usage | None = None
    for each in results:
        if each.usage is not None:
            usage = each.usage if usage is None else usage + each.usage
    return {
        "total": len(results) + skipped,
        "succeeded": succeeded,
        "failed": len(results) - succeeded - parked,
        "skipped": skipped,
        "parked": parked,
        "duration_s": round(duration, 6),
        "started_at": started_at,
        "completed_at": completed_at,
        "by_cause": dict(causes),
        "retries": sum(each.retry_count for each in results),
        "fallbacks": sum(each.fallback for each in results),
        "usage": usage.to_dict() if usage else None,
    }


def status_of(
    results: Iterable[SpawnResult], *, interrupted: bool = False, skipped: int = 0
) -> RunStatus:
    """The status that results add up to; the most urgent trouble names it."""
    causes = {each.failure.cause for each in results if each.failure}
    if interrupted:
        return RunStatus.INTERRUPTED
    for cause, status in _BY_URGENCY:
        if cause in causes:
            return status
    if causes - _ASKED_FOR:
        return RunStatus.FAILED
    return RunStatus.PARTIAL if causes or skipped else RunStatus.SUCCEEDED


_BY_URGENCY = (
    (FailureCause.HALTED, RunStatus.HALTED),
    (FailureCause.BUDGET, RunStatus.BUDGET),
    (FailureCause.PARKED, RunStatus.PARKED),
)
_ASKED_FOR = frozenset({FailureCause.CANCELLED})
