"""How often tasks failed, and how often that could be made good."""

from typing import Any

from attrs import define, field

from muster.domain.outcome import FailureCause

_PERCENT = 100.0


@define(eq=False)
class RecoveryMetrics:
    """The counters of one fleet. Rates are in percent, and 0.0 before there is any task.

    A task needed recovery when it was retried, fell back, was kept from its
    agent by an open circuit, or failed by its agent's fault; it is recovered if
    it succeeded in the end. ``by_cause`` counts tasks by what first went wrong.
    """

    tasks: int = 0
    successes: int = 0
    attempts: int = 0
    retries: int = 0
    fallbacks: int = 0
    needed_recovery: int = 0
    recovered: int = 0
    by_cause: dict[FailureCause, int] = field(factory=dict)
    _recovery_seconds: float = field(default=0.0, init=False)

    def record(
        self,
        *,
        success: bool,
        attempts: int,
        retries: int = 0,
        used_fallback: bool = False,
        cause: FailureCause | None = None,
        recovery_seconds: float = 0.0,
    ) -> None:
        """Counts one task at its end.

        ``cause`` is that of the first failure, None if there was none;
        ``recovery_seconds`` run from that failure to the end of the task.
        """
        self.tasks += 1
        self.attempts += attempts
        self.successes += success
        if cause is not None:
            self.by_cause[cause] = self.by_cause.get(cause, 0) + 1
        self.retries += retries
        self.fallbacks += used_fallback
        if not (retries or used_fallback or _is_in_need(cause)):
            return
        self.needed_recovery += 1
        if success:
            self.recovered += 1
            self._recovery_seconds += recovery_seconds

    def record_at_once(self) -> None:
        """Counts a task that succeeded at its first attempt."""
        self.tasks += 1
        self.attempts += 1
        self.successes += 1

    def success_rate(self) -> float:
        """Tasks that succeeded, of all."""
        return _percent(self.successes, self.tasks)

    def recovery_rate(self) -> float:
        """Tasks that were recovered, of those that needed it."""
        return _percent(self.recovered, self.needed_recovery)

    def mean_recovery_time(self) -> float:
        """Seconds from the first failure to the success, over the recovered tasks."""
        return self._recovery_seconds / self.recovered if self.recovered else 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "tasks": self.tasks,
            "successes": self.successes,
            "attempts": self.attempts,
            "retries": self.retries,
            "fallbacks": self.fallbacks,
            "needed_recovery": self.needed_recovery,
            "recovered": self.recovered,
            "success_rate": self.success_rate(),
            "recovery_rate": self.recovery_rate(),
            "mean_recovery_time": self.mean_recovery_time(),
            "by_cause": {cause.value: n for cause, n in self.by_cause.items()},
        }


def _is_in_need(cause: FailureCause | None) -> bool:
    if cause is None:
        return False
    return cause.is_agent_failure or cause is FailureCause.CIRCUIT_OPEN


def _percent(part: int, whole: int) -> float:
    return _PERCENT * part / whole if whole else 0.0
