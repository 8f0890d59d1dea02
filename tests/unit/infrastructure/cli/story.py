"""Events and results for tests of what people see; no process, no time."""

from typing import Any

from muster.domain.fleet_events import (
    AttemptProgressed,
    AttemptStarted,
    RetryScheduled,
    TaskEnded,
)
from muster.domain.outcome import (
    Attempt,
    Evidence,
    Failure,
    FailureCause,
    SpawnResult,
    Usage,
)

CRASH = Failure(FailureCause.CRASH, "ended with exit code 3")
LIMIT = Failure(
    FailureCause.RATE_LIMIT,
    "Error: 429 rate limit exceeded",
    Evidence("Error: 429 rate limit exceeded"),
    detection_time_ms=250.0,
)
EVIL = "\x1b[31mred\x1b]0;title\x07 \u202ebidi\r\n\x9b2J[bold]"


class Now:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        """See `Clock`."""
        return self.seconds

    def epoch(self) -> float:
        """See `Clock`."""
        return 1_800_000_000.0 + self.seconds

    def utc(self, epoch: float) -> str:
        """See `Clock`."""
        return f"T{epoch:.0f}"

    def zone_offset(self, zone: str | None, epoch: float) -> float | None:
        """See `Clock`."""
        return 0.0


def started(index: int, agent: str = "llm", attempt: int = 1) -> AttemptStarted:
    """An attempt begins."""
    return AttemptStarted(index, f"t{index}", agent, "sh", attempt)


def said(index: int, line: str) -> AttemptProgressed:
    """An agent says something."""
    return AttemptProgressed(index, f"t{index}", "llm", line, len(line))


def retry(index: int, delay: float = 3.0, failure: Failure = CRASH) -> RetryScheduled:
    """A retry is due."""
    return RetryScheduled(index, f"t{index}", "llm", 1, delay, failure)


def result(index: int, failure: Failure | None = None, **fields: Any) -> SpawnResult:
    """A task's result after one attempt of two seconds."""
    attempts = fields.pop("attempts", (Attempt(1, None, "sh", 0.0, 2.0),))
    return SpawnResult(
        success=failure is None,
        task_index=index,
        task_id=fields.pop("task_id", f"t{index}"),
        failure=failure,
        attempts=attempts,
        execution_time=fields.pop("execution_time", 2.0),
        **fields,
    )


def ended(index: int, failure: Failure | None = None, **fields: Any) -> TaskEnded:
    """A task is over."""
    return TaskEnded(result(index, failure, **fields))


COSTS = Usage(input_tokens=1200, output_tokens=34, cost_usd=0.5)
