"""Ends tasks: the journal first, then the metrics, whoever takes results, listeners."""

import asyncio
from collections.abc import Callable

from attrs import define, field

from muster.application.batch import Job
from muster.application.concurrency import JobQueue
from muster.application.fleet_context import FleetContext
from muster.application.narration import Narrator
from muster.application.recording import Recorder
from muster.application.results import failed_result
from muster.domain import presets
from muster.domain.errors import JournalError
from muster.domain.outcome import Failure, SpawnResult
from muster.domain.recovery import RecoveryState

Deliver = Callable[[Job, SpawnResult], None]


@define(eq=False)
class Delivery:
    """The way of results out of one batch.

    ``deliver`` gets every result once, after the journal has it. ``break_off`` is
    called with a reason once nothing can be recorded any more.
    """

    fleet: FleetContext
    deliver: Deliver
    narrator: Narrator
    queue: JobQueue[Job]
    break_off: Callable[[Exception, str], None]
    is_told: bool
    _recorder: Recorder = field(init=False)
    _breathless: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._recorder = Recorder(self.fleet)

    def lose(self, error: Exception) -> JournalError:
        """From now on nothing is recorded."""
        return self._recorder.fail(error)

    async def fail(self, job: Job, failure: Failure) -> None:
        """The job ends with that failure."""
        if not job.attempts:
            await self._breathe()
        now = asyncio.get_running_loop().time()
        took = 0.0 if job.route is None else now - job.started_at
        await self.end(job, failed_result(job, failure, took))

    async def end(self, job: Job, result: SpawnResult) -> None:
        """The job ends with that result."""
        job.has_ended = True
        if job.machine is not None and not job.machine.state.is_final:
            job.machine.to(
                RecoveryState.SUCCEEDED if result.success else RecoveryState.FAILED
            )
        journal = self.fleet.journal
        try:
            if journal is None or await self._recorder.record(journal, result):
                if result.success and len(job.attempts) == 1:
                    self.fleet.metrics.record_at_once()
                else:
                    now = asyncio.get_running_loop().time()
                    self._recorder.count(job, result, now)
                self.deliver(job, result)
                if self.is_told:
                    self.narrator.ended(job, result)
            elif self._recorder.error is not None:
                self.break_off(self._recorder.error, "results can't be recorded")
        finally:
            self.queue.finish()

    async def _breathe(self) -> None:
        # Who ends without an attempt lets nobody else run, and they may be a million.
        self._breathless += 1
        if self._breathless % presets.JOBS_PER_TURN == 0:
            await asyncio.sleep(0)
