"""Tells the story of a batch: to the event sink, to the callbacks, to the books."""

from collections.abc import Callable

from attrs import define, field

from muster.application.batch import BatchObserver, BatchOptions, Job
from muster.application.fleet_context import FleetContext
from muster.application.observer import Observer
from muster.application.supervision import Attempt
from muster.domain import presets
from muster.domain.events import RateLimited
from muster.domain.fleet_events import (
    AttemptEnded,
    AttemptProgressed,
    AttemptStarted,
    CircuitBlocked,
    FallbackStarted,
    LaneParked,
    LaneSlowed,
    RetryScheduled,
    SilenceWarned,
    TaskEnded,
)
from muster.domain.health import SilenceWarning
from muster.domain.lane import Lane, Parked, Wait
from muster.domain.outcome import Failure, SpawnResult, Usage


@define(eq=False)
class Narrator:
    """Says each thing once, to whoever listens; nobody's trouble with it is ours."""

    fleet: FleetContext
    options: BatchOptions
    books: BatchObserver | None = None
    seen: int = 0
    on_usage: Callable[[Job, Usage], object] | None = None
    _refusals: dict[tuple[str, str, float | None], float] = field(
        factory=dict, init=False
    )

    @property
    def has_listeners(self) -> bool:
        """Whether anybody wants to hear anything; a lane that learns counts."""
        options = self.options
        callbacks = options.on_output or options.on_progress or options.on_recovery
        books = self.books or self.fleet.sink
        return bool(callbacks or books or options.recovers)

    def observer(self, job: Job) -> Observer:
        """Who watches an attempt of ``job``."""
        return JobObserver(job, self)

    def starting(self, job: Job, number: int) -> None:
        """An attempt begins."""
        if self.options.on_progress and number == 1:
            self._progress(job, "Starting")
        if self.fleet.sink is not None:
            event = AttemptStarted(
                job.index,
                job.task.task_id,
                job.agent_id,
                job.way.spec.name,
                number,
                job.fallback,
            )
            self.fleet.emit(event)

    def attempt_ended(self, job: Job, outcome: Attempt) -> None:
        """An attempt is over."""
        if self.books:
            self.books.attempt_ended(job, outcome)
        if self.fleet.sink is None:
            return
        self.fleet.emit(
            AttemptEnded(
                job.index,
                job.task.task_id,
                job.agent_id,
                len(job.attempts),
                outcome.duration,
                outcome.failure,
                outcome.ended.leftovers if outcome.ended else 0,
            )
        )

    def blocked(self, job: Job, reason: str) -> None:
        """A circuit was open."""
        if self.books:
            self.books.blocked(job, reason)
        self.fleet.emit(
            CircuitBlocked(job.index, job.task.task_id, job.agent_id, reason)
        )

    def refused(self, lane: Lane, refusal: Wait | Parked, now: float) -> None:
        """A lane lets nobody in. Every waiting task is refused the same way: told once."""
        if self.fleet.sink is None:
            return
        moment = refusal.resets_at if isinstance(refusal, Parked) else None
        news = (lane.name, refusal.reason, moment)
        told_at = self._refusals.get(news)
        # A moment that has not changed is no news, however long it is waited for.
        if told_at is not None and (moment or now - told_at < presets.LANE_NEWS):
            return
        self._refusals[news] = now
        if isinstance(refusal, Parked):
            self.fleet.emit(self._park_of(lane, refusal))
        else:
            seconds = refusal.seconds or 0.0
            self.fleet.emit(LaneSlowed(lane.name, refusal.reason, seconds))

    def _park_of(self, lane: Lane, parked: Parked) -> LaneParked:
        resets_at, wait = parked.resets_at, None
        if self.fleet.waits_for_reset and resets_at is not None:
            wait = max(0.0, resets_at - self.fleet.clock.epoch())
        return LaneParked(lane.name, parked.reason, resets_at, wait)

    def retrying(
        self, job: Job, failure: Failure, delay: float, *, free: bool = False
    ) -> None:
        """The task will be tried again; a ``free`` attempt is no further retry."""
        self._progress(job, "Retrying")
        task_id, retry = job.task.task_id, job.retries + (not free)
        self.fleet.emit(
            RetryScheduled(
                job.index, task_id, job.agent_id, retry, delay, failure, free
            )
        )

    def falling_back(self, job: Job, reason: str) -> None:
        """The agent is given up."""
        self._progress(job, f"Fallback to LLM ({reason})")
        self.fleet.emit(
            FallbackStarted(job.index, job.task.task_id, job.agent_id, reason)
        )

    def ended(self, job: Job, result: SpawnResult) -> None:
        """A task has its result."""
        if self.books:
            self.books.ended(job, result)
        if self.fleet.sink is not None:
            self.fleet.emit(TaskEnded(result))
        if self.options.on_progress or self.options.on_recovery:
            self._result(job, result)

    def _result(self, job: Job, result: SpawnResult) -> None:
        retries, took = result.retry_count, f"({result.execution_time:.1f}s)"
        if not result.success:
            status = f"Failed ({result.error})"
        elif retries and not result.fallback:
            status = f"Recovered after {retries} retries {took}"
        else:
            status = f"Completed {took}"
        self._progress(job, status)
        tell = self.options.on_recovery
        if tell and result.success and (retries or result.fallback):
            self.fleet.call(tell, job.index + 1, job.agent_id, retries, result.fallback)

    def _progress(self, job: Job, status: str) -> None:
        tell = self.options.on_progress
        if tell is not None:
            total = self.seen if self.options.total is None else self.options.total
            self.fleet.call(tell, job.index + 1, total, job.agent_id, status)


class JobObserver(Observer):
    """Passes on what happens inside an attempt of one job."""

    __slots__ = ("_job", "_narrator", "wants_output")

    def __init__(self, job: Job, narrator: Narrator) -> None:
        self._job = job
        self._narrator = narrator
        self.wants_output = (
            narrator.options.on_output is not None or narrator.fleet.wants_output
        )

    def line(self, line: str) -> None:
        fleet, on_output = self._narrator.fleet, self._narrator.options.on_output
        if on_output is not None:
            fleet.call(on_output, line)
        if fleet.sink is not None:
            job = self._job
            total = job.running.total_bytes if job.running else 0
            fleet.emit(
                AttemptProgressed(
                    job.index, job.task.task_id, job.agent_id, line, total
                )
            )

    def session(self, session_id: str) -> None:
        log, task_id = self._narrator.fleet.attempt_log, self._job.task.task_id
        if log is not None and task_id is not None:
            log.session(task_id, session_id)

    def alive(self) -> None:
        if self._job.prove is not None:
            self._job.prove()

    def usage(self, usage: Usage) -> None:
        if self._narrator.on_usage is not None:
            self._narrator.on_usage(self._job, usage)

    def silent(self, warning: SilenceWarning) -> None:
        job = self._job
        self._narrator.fleet.emit(
            SilenceWarned(
                job.index,
                job.task.task_id,
                job.agent_id,
                warning.silent_for,
                warning.limit,
            )
        )

    def rate_limited(self, event: RateLimited) -> None:
        lane = self._job.way.lane
        if lane is not None:
            self._narrator.fleet.lanes.note(
                lane, retry_after=event.retry_after, resets_at=event.resets_at
            )
