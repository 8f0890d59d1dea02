"""What became of tasks goes into the journal first, then into the fleet's metrics."""

from attrs import define, field

from muster.application.batch import Job
from muster.application.fleet_context import FleetContext
from muster.application.ports.journal import Journal
from muster.domain.errors import JournalError
from muster.domain.outcome import SpawnResult


@define(eq=False)
class Recorder:
    """Records results until that fails once; ``error`` then says why, with the rest."""

    fleet: FleetContext
    error: JournalError | None = field(default=None, init=False)

    async def record(self, journal: Journal, result: SpawnResult) -> bool:
        """Whether the result is durable. One that is not belongs to ``error``."""
        if self.error is None:
            try:
                await journal.record(result)
            except Exception as error:  # noqa: BLE001 - however it breaks, it is broken
                self.fail(error)
            else:
                return True
        if self.error is not None and result.attempts:
            self.error.unrecorded = (*self.error.unrecorded, result)
        return False

    def fail(self, error: Exception) -> JournalError:
        """From now on nothing is recorded."""
        if self.error is None:
            if isinstance(error, JournalError):
                self.error = error
            else:
                self.error = JournalError(f"{type(error).__name__}: {error}")
                self.error.__cause__ = error
        return self.error

    def count(self, job: Job, result: SpawnResult, now: float) -> None:
        """Feeds the metrics with a task that needed more, or failed; loop's time."""
        attempts = job.attempts
        first = attempts[0].failure if attempts else result.failure
        failed_at = now if job.first_failed_at is None else job.first_failed_at
        self.fleet.metrics.record(
            success=result.success,
            attempts=len(attempts),
            retries=result.retry_count,
            used_fallback=result.fallback,
            cause=first.cause if first else None,
            recovery_seconds=now - failed_at,
        )
