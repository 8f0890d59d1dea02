"""The engine: takes tasks, makes attempts, recovers, gives results. All functions use it.

A job makes one attempt at a time. Between attempts it goes back to the queue,
so a job that waits holds no slot.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from math import inf

from attrs import define, evolve, field

from muster.application import recovery
from muster.application.batch import BatchObserver, BatchOptions, Job
from muster.application.concurrency import JobQueue, max_waiting, work_off
from muster.application.fleet_context import FleetContext
from muster.application.narration import Narrator
from muster.application.results import failed_result, result_of
from muster.application.supervision import Attempt, AttemptOutcome
from muster.domain import presets
from muster.domain.admission import Blocked, Outcome
from muster.domain.errors import MusterError, ToolNotFoundError
from muster.domain.lane import Admitted, Wait
from muster.domain.outcome import Attempt as AttemptRecord
from muster.domain.outcome import Failure, FailureCause, SpawnResult
from muster.domain.recovery import RecoveryState, RecoveryStateMachine
from muster.domain.task import AgentRequest, SpawnTask

Deliver = Callable[[Job, SpawnResult], None]


@define(eq=False)
class Spawning:
    """One batch in progress. `stop` and `drain` may be called while `run` runs."""

    fleet: FleetContext
    options: BatchOptions
    deliver: Deliver
    books: BatchObserver | None = None
    room: asyncio.Semaphore | None = None
    _narrator: Narrator = field(init=False)
    _queue: JobQueue[Job] = field(init=False)
    _running: set[Job] = field(factory=set, init=False)
    _stopped: Failure | None = field(default=None, init=False)

    async def run(self, tasks: Iterable[SpawnTask]) -> None:
        """Delivers one result per task, as they end. A cancellation leaves no agent."""
        self._narrator = Narrator(self.fleet, self.options, self.books)
        workers = self.options.max_concurrent
        self._queue = JobQueue(
            self._jobs(tasks),
            max_waiting=max_waiting(workers),
            stagger=self.options.stagger,
        )
        self.fleet.active.add(self)
        try:
            await work_off(self._queue, self._advance, workers)
        finally:
            self.fleet.active.discard(self)

    def drain(self, failure: Failure) -> None:
        """Starts nothing new: whoever waits ends with ``failure``, the others go on."""
        if self._stopped is None:
            self._stopped = failure
            self._queue.hurry()

    def stop(self, failure: Failure) -> None:
        """Drains, and ends the running agents with the grace of their policy."""
        self.drain(failure)
        for job in self._running:
            if job.running is not None:
                job.running.trip(failure)

    # --- a job's way ------------------------------------------------------------

    def _jobs(self, tasks: Iterable[SpawnTask]) -> Iterator[Job]:
        for index, task in enumerate(tasks):
            self._narrator.seen = index + 1
            yield Job(index, task)

    async def _advance(self, job: Job) -> None:
        if self.room is not None and job.spec is None:
            await self.room.acquire()
        try:
            if self._stopped is not None:
                await self._fail(job, self._stopped)
            elif job.awaits_token and job.last_failure is not None:
                job.awaits_token = False
                await self._after_failure(job, job.last_failure)
            elif job.spec is not None or await self._prepare(job):
                await self._next_attempt(job)
        except MusterError as error:
            await self._fail(job, Failure(FailureCause.UNKNOWN, str(error)))
        except Exception as error:  # noqa: BLE001 - a fault of ours must cost one task only
            text = f"{type(error).__name__}: {error}"
            self.fleet.log_fault(text)
            await self._fail(job, Failure(FailureCause.UNKNOWN, text))

    async def _prepare(self, job: Job) -> bool:
        options, task, fleet = self.options, job.task, self.fleet
        job.started_at = asyncio.get_running_loop().time()
        if task.timeout is not None:
            job.deadline_at = job.started_at + task.timeout
        job.agent = task.agent
        try:
            job.spec = fleet.tools.resolve(options.tool or task.tool or fleet.tool)
        except ToolNotFoundError as error:
            await self._fail(job, Failure(FailureCause.TOOL_NOT_FOUND, str(error)))
            return False
        job.model = options.model or task.model or fleet.model
        job.policy = fleet.policy(task.policy or options.policy)
        if options.recovers:
            job.recovery = recovery.recovery_for(options, job.policy, task.agent)
            job.lane = fleet.lanes.lane(job.spec, job.model)
        return True

    async def _next_attempt(self, job: Job) -> None:
        now = asyncio.get_running_loop().time()
        if now >= job.deadline_at:
            await self._fail(job, self._too_late(job))
            return
        ticket = None
        if job.lane is not None:
            ticket = await self._admitted(job, now)
            if ticket is None:
                return
        if job.lane is not None and not await self._permitted(job, ticket):
            return
        outcome = await self._attempt(job, ticket)
        if outcome.failure is None:
            await self._succeed(job, outcome)
        else:
            await self._after_failure(job, outcome.failure)

    async def _admitted(self, job: Job, now: float) -> Admitted | None:
        assert job.lane is not None  # noqa: S101 - the caller looked
        admission = self.fleet.lanes.admit(job.lane)
        if isinstance(admission, Admitted):
            return admission
        if isinstance(admission, Wait):
            self._wait(job, now, admission)
            return None
        failure = Failure(
            FailureCause.PARKED,
            f"parked: {admission.reason}",
            resets_at=admission.resets_at,
        )
        # An attempt that was made tells more than the park that followed it.
        if job.last_failure is not None and job.attempts:
            failure = job.last_failure
        await self._fail(job, failure)
        return None

    def _wait(self, job: Job, now: float, wait: Wait) -> None:
        if wait.seconds is None and len(self._running) > 0:
            self._queue.hold(job)
            return
        pause = presets.LANE_ASK_AGAIN if wait.seconds is None else wait.seconds
        self._queue.delay(job, min(now + pause, job.deadline_at))

    async def _permitted(self, job: Job, ticket: Admitted | None) -> bool:
        policy = job.policy
        if policy is None or not policy.breaker_enabled or job.agent is None:
            return True
        breaker, now = self.fleet.breaker, self.fleet.clock.monotonic()
        lease = policy.timeout.hard_limit + policy.termination.grace + presets.GRACE
        answer = breaker.admit(job.agent, now, job.permit, lease=lease)
        if not isinstance(answer, Blocked):
            job.permit = answer
            return True
        if ticket is not None and job.lane is not None:
            job.lane.settle(ticket, now, Failure(FailureCause.CANCELLED, "not started"))
        await self._blocked(job, answer)
        return False

    async def _blocked(self, job: Job, blocked: Blocked) -> None:
        self._narrator.blocked(job, blocked.reason)
        failure = Failure(
            FailureCause.CIRCUIT_OPEN, blocked.reason, retry_after=blocked.retry_after
        )
        if job.machine is None:
            job.machine = RecoveryStateMachine()
            job.machine.to(RecoveryState.CIRCUIT_OPEN)
        job.last_failure = job.last_failure or failure
        if recovery.may_fall_back(job, FailureCause.CIRCUIT_OPEN):
            self._fall_back(job, blocked.reason)
        else:
            await self._fail(job, failure)

    # --- one attempt ------------------------------------------------------------

    async def _attempt(self, job: Job, ticket: Admitted | None) -> AttemptOutcome:
        number = len(job.attempts) + 1
        request = self._request(job, number)
        attempt = self._supervised(job)
        job.running = attempt
        self._running.add(job)
        self._narrator.starting(job, number)
        outcome = None
        started_at = self.fleet.clock.epoch()
        try:
            spec = job.spec
            assert spec is not None  # noqa: S101 - prepared
            outcome = await attempt.run(self.fleet.orchestrator_of(spec), request)
        finally:
            self._running.discard(job)
            job.running = None
            self._settle(job, ticket, outcome)
        self._record(job, number, started_at, outcome)
        return outcome

    def _request(self, job: Job, number: int) -> AgentRequest:
        task, fleet = job.task, self.fleet
        policy = job.policy
        assert policy is not None  # noqa: S101 - prepared
        journal = fleet.journal
        return AgentRequest(
            job.agent_id,
            prompt=task.prompt,
            request_id=task.task_id,
            agent=job.agent,
            tool=job.spec,
            model=job.model,
            cwd=task.cwd,
            env=task.env,
            task_id=task.task_id,
            run_id=fleet.run_id,
            attempt=number,
            session_id=job.session_id,
            output_path=journal.output_path(task.task_id)
            if journal is not None and task.task_id
            else None,
            grace=policy.termination.grace,
            wants_output=self.options.on_output is not None or fleet.wants_output,
        )

    def _supervised(self, job: Job) -> Attempt:
        spec, policy = job.spec, job.policy
        assert spec is not None  # noqa: S101 - prepared
        assert policy is not None  # noqa: S101 - prepared
        return Attempt(
            policy=policy,
            deadline_at=job.deadline_at,
            deadline_failure=None if job.deadline_at == inf else self._too_late(job),
            judges_stderr=spec.output == "text",
            silent_until_done=spec.silent_until_done,
            observer=self._narrator.observer(job),
        )

    def _settle(
        self, job: Job, ticket: Admitted | None, outcome: AttemptOutcome | None
    ) -> None:
        failure = _INTERRUPTED if outcome is None else outcome.failure
        if job.lane is not None and ticket is not None:
            self.fleet.lanes.settle(job.lane, ticket, failure)
        elif failure is not None and failure.cause is FailureCause.RATE_LIMIT:
            self._note(job, failure)
        now = self.fleet.clock.monotonic()
        verdict = Outcome.SUCCESS if failure is None else failure.cause
        if job.permit is not None and not job.fallback:
            self.fleet.breaker.settle(job.permit, verdict, now)
        elif job.lane is None and job.agent is not None:
            self._report_to_breaker(job.agent, failure, now)

    def _note(self, job: Job, failure: Failure) -> None:
        assert job.spec is not None  # noqa: S101 - prepared
        lane = self.fleet.lanes.lane(job.spec, job.model)
        self.fleet.lanes.note(
            lane, retry_after=failure.retry_after, resets_at=failure.resets_at
        )

    def _report_to_breaker(
        self, agent: str, failure: Failure | None, now: float
    ) -> None:
        # A batch without recovery asks no breaker, but what it learns counts.
        if failure is None:
            self.fleet.breaker.record_success(agent, now)
        elif failure.cause.is_agent_failure:
            self.fleet.breaker.record_failure(agent, now, failure.cause)

    def _record(
        self, job: Job, number: int, started_at: float, outcome: AttemptOutcome
    ) -> None:
        failure, ended = outcome.failure, outcome.ended
        job.last = outcome
        job.session_id = outcome.session_id or job.session_id
        if failure is not None:
            job.last_failure = failure
            if job.first_failed_at is None:
                job.first_failed_at = asyncio.get_running_loop().time()
        assert job.spec is not None  # noqa: S101 - prepared
        job.attempts.append(
            AttemptRecord(
                number,
                job.agent,
                job.spec.name,
                started_at,
                outcome.duration,
                ended.exit_code if ended else None,
                failure,
                job.delay_before,
                job.fallback,
                outcome.session_id,
                outcome.usage,
            )
        )
        self._narrator.attempt_ended(job, outcome)

    # --- what follows -----------------------------------------------------------

    async def _after_failure(self, job: Job, failure: Failure) -> None:
        if not self.options.recovers or job.lane is None:
            await self._fail(job, failure)
            return
        now = asyncio.get_running_loop().time()
        step = recovery.next_step(
            job,
            failure,
            now=now,
            draw=self.fleet.randomness.draw(),
            budget=self.fleet.lanes.budget(job.lane),
        )
        if isinstance(step, recovery.Retry):
            self._retry(job, failure, step, now)
        elif isinstance(step, recovery.AwaitToken) and self._running:
            job.awaits_token = True
            self._queue.hold(job)
        elif isinstance(step, recovery.FallBack):
            self._fall_back(job, failure.message)
        else:
            hint = getattr(step, "hint", "")
            if hint:
                failure = evolve(failure, message=f"{failure.message} ({hint})")
            await self._fail(job, failure)

    def _retry(
        self, job: Job, failure: Failure, step: recovery.Retry, now: float
    ) -> None:
        job.delay_before = step.delay
        if step.free:
            job.free_retries += 1
        else:
            machine = recovery.machine_of(job)
            machine.to(RecoveryState.RETRY_PENDING)
            machine.to(RecoveryState.RETRYING)
        self._narrator.retrying(job, failure, step.delay)
        self._queue.delay(job, now + step.delay)

    def _fall_back(self, job: Job, reason: str) -> None:
        machine = recovery.machine_of(job)
        if machine.state is not RecoveryState.CIRCUIT_OPEN:
            machine.to(RecoveryState.FALLBACK_PENDING)
        machine.to(RecoveryState.FALLBACK_EXECUTING)
        job.fallback, job.agent, job.delay_before = True, None, 0.0
        tool = job.recovery.fallback_tool if job.recovery else None
        if tool is not None:
            job.spec = self.fleet.tools.resolve(tool)
            job.lane = self.fleet.lanes.lane(job.spec, job.model)
        self._narrator.falling_back(job, reason)
        self._queue.delay(job, asyncio.get_running_loop().time())

    async def _succeed(self, job: Job, outcome: AttemptOutcome) -> None:
        assert job.started_at is not None  # noqa: S101 - prepared
        took = asyncio.get_running_loop().time() - job.started_at
        await self._end(job, result_of(job, outcome, took))

    async def _fail(self, job: Job, failure: Failure) -> None:
        now = asyncio.get_running_loop().time()
        took = 0.0 if job.started_at is None else now - job.started_at
        await self._end(job, failed_result(job, failure, took))

    async def _end(self, job: Job, result: SpawnResult) -> None:
        fleet = self.fleet
        if job.machine is not None and not job.machine.state.is_final:
            job.machine.to(
                RecoveryState.SUCCEEDED if result.success else RecoveryState.FAILED
            )
        if fleet.journal is not None:
            await fleet.journal.record(result)
        self._count(job, result)
        self.deliver(job, result)
        self._narrator.ended(job, result)
        self._queue.finish()

    def _count(self, job: Job, result: SpawnResult) -> None:
        attempts = job.attempts
        first = attempts[0].failure if attempts else result.failure
        took = 0.0
        if job.first_failed_at is not None:
            took = asyncio.get_running_loop().time() - job.first_failed_at
        self.fleet.metrics.record(
            success=result.success,
            attempts=len(attempts),
            retries=result.retry_count,
            used_fallback=result.fallback,
            cause=first.cause if first else None,
            recovery_seconds=took,
        )

    @staticmethod
    def _too_late(job: Job) -> Failure:
        limit = job.task.timeout or 0.0
        return Failure(
            FailureCause.DEADLINE,
            f"Deadline: not done within {limit:g} s",
            detection_time_ms=limit * 1000,
        )


_INTERRUPTED = Failure(FailureCause.CANCELLED, "cancelled")
