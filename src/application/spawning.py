"""The engine: takes tasks, makes attempts, recovers, gives results. All functions use it.

A job makes one attempt at a time. Between attempts it goes back to the queue,
so a job that waits holds no slot.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from math import inf

from attrs import define, evolve, field

from muster.application import recovery
from muster.application.batch import BatchObserver, BatchOptions, Job, Route
from muster.application.concurrency import JobQueue, max_waiting, work_off
from muster.application.fleet_context import FleetContext
from muster.application.narration import Narrator
from muster.application.ports.journal import Journal
from muster.application.results import attempt_record, failed_result, result_of
from muster.application.routing import Routes
from muster.application.supervision import Attempt
from muster.domain import presets
from muster.domain.admission import Blocked, Outcome
from muster.domain.errors import JournalError, MusterError, ToolNotFoundError
from muster.domain.lane import Admitted, Lane, Parked, Wait
from muster.domain.outcome import Failure, FailureCause, SpawnResult
from muster.domain.recovery import RecoveryState, RecoveryStateMachine
from muster.domain.task import AgentRequest, SpawnTask

Deliver = Callable[[Job, SpawnResult], None]


@define(eq=False)
class Spawning:
    """One batch in progress. `stop` and `drain` may be called before and during `run`.

    ``deliver`` gets every result once, after the journal has it.
    """

    fleet: FleetContext
    options: BatchOptions
    deliver: Deliver
    books: BatchObserver | None = None
    room: asyncio.Semaphore | None = None
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _narrator: Narrator = field(init=False)
    _is_told: bool = field(default=True, init=False)
    _queue: JobQueue[Job] = field(init=False)
    _running: set[Job] = field(factory=set, init=False)
    _routes: Routes = field(init=False)
    _stopped: Failure | None = field(default=None, init=False)
    _error: Exception | None = field(default=None, init=False)
    _unrecorded: list[SpawnResult] = field(factory=list, init=False)
    _breathless: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._narrator = Narrator(self.fleet, self.options, self.books)
        self._is_told = self._narrator.has_listeners
        self._routes = Routes(self.fleet, self.options)
        workers = self.options.max_concurrent
        self._queue = JobQueue(
            max_waiting=max_waiting(workers), stagger=self.options.stagger
        )

    async def run(self, tasks: Iterable[SpawnTask]) -> None:
        """Delivers one result per task, as they end. A cancellation leaves no agent.

        Raises what ``tasks`` raises, and `JournalError` when a result can't be
        recorded: then nothing more is started and what runs is ended; what was
        recorded was delivered, the rest that was finished is in the error.
        """
        self._loop = asyncio.get_running_loop()
        workers = self.options.max_concurrent
        self._queue.draw_from(self._jobs(tasks))
        self.fleet.active.add(self)
        try:
            await work_off(self._queue, self._advance, workers)
        finally:
            self.fleet.active.discard(self)
        if isinstance(self._error, JournalError):
            self._error.unrecorded = tuple(self._unrecorded)
        if self._error is not None:
            raise self._error

    def add(self, job: Job, priority: float) -> None:
        """One more task, before or during `run`; higher priorities go first."""
        self._narrator.seen += 1
        self._queue.add(job, priority)

    def drain(self, failure: Failure) -> None:
        """Starts nothing new: whoever waits ends with ``failure``, the others go on."""
        if self._stopped is None:
            self._stopped = failure
            if self.room is not None:
                # A stream may have no end, and nobody who takes what comes of it.
                self._queue.close_source()
            self._queue.hurry()

    def stop(self, failure: Failure) -> None:
        """Drains, and ends the running agents with the grace of their policy."""
        self.drain(failure)
        for job in self._running:
            if job.running is not None:
                job.running.trip(failure)

    # --- a job's way ------------------------------------------------------------

    def _jobs(self, tasks: Iterable[SpawnTask]) -> Iterator[Job]:
        try:
            for index, task in enumerate(tasks):
                self._narrator.seen = index + 1
                yield Job(index, task, agent=task.agent)
        except Exception as error:  # noqa: BLE001 - `run` raises it when all have ended
            self._break_off(error, "the tasks could not be read")

    def _break_off(self, error: Exception, reason: str) -> None:
        if self._error is None:
            self._error = error
            self._queue.close_source()
            self.stop(Failure(FailureCause.CANCELLED, f"ended: {reason} ({error})"))

    async def _advance(self, job: Job) -> None:
        try:
            failure = job.doomed or self._stopped
            if failure is not None:
                await self._fail(job, failure)
            elif job.route is None:
                await self._begin(job)
            elif job.awaits_token and job.last_failure is not None:
                job.awaits_token = False
                await self._after_failure(job, job.last_failure)
            else:
                await self._next_attempt(job, job.route)
        except Exception as error:  # noqa: BLE001 - a fault of ours must cost one task only
            await self._mishap(job, error)

    async def _mishap(self, job: Job, error: Exception) -> None:
        cause, text = FailureCause.UNKNOWN, str(error)
        if isinstance(error, JournalError):
            self._break_off(error, "nothing can be recorded")
        elif isinstance(error, ToolNotFoundError):
            cause = FailureCause.TOOL_NOT_FOUND
        elif not isinstance(error, MusterError):
            text = f"{type(error).__name__}: {error}"
            self.fleet.log_fault(text)
        if job.has_ended:
            # Whoever takes the results has lost one: nothing true can follow.
            self._break_off(error, "a result could not be delivered")
        else:
            await self._fail(job, Failure(cause, text))

    async def _begin(self, job: Job) -> None:
        if self.room is not None:
            await self.room.acquire()
            if self._stopped is not None:
                await self._fail(job, self._stopped)
                return
        job.started_at = self._loop.time()
        timeout = job.task.timeout
        if timeout is not None:
            job.deadline_at = job.started_at + timeout
        route = job.route = self._routes.route(job.task)
        await self._next_attempt(job, route)

    async def _next_attempt(self, job: Job, route: Route) -> None:
        ticket = None
        now = self._loop.time() if job.deadline_at != inf else 0.0
        if now >= job.deadline_at:
            await self._fail(job, _too_late(job))
            return
        if route.lane is not None:
            ticket = await self._admitted(job, route.lane)
            if ticket is None:
                return
        elif job.agent is not None:
            # A batch without recovery makes its one attempt even at an open
            # circuit, but what it learns counts.
            self._blocked(job, route)
        attempt = await self._attempt(job, route, ticket)
        if attempt.failure is not None:
            await self._after_failure(job, attempt.failure)
            return
        took = self._loop.time() - job.started_at
        await self._end(job, result_of(job, attempt, took))

    async def _admitted(self, job: Job, lane: Lane) -> Admitted | None:
        admission = self.fleet.lanes.admit(lane)
        if not isinstance(admission, Admitted) and self._is_told:
            self._narrator.refused(lane, admission, self._loop.time())
        if isinstance(admission, Wait):
            self._wait(job, lane, admission)
            return None
        if isinstance(admission, Parked):
            await self._park(job, admission)
            return None
        blocked = self._blocked(job, job.way)
        if blocked is None:
            return admission
        not_started = Failure(FailureCause.CANCELLED, "not started")
        self.fleet.lanes.settle(lane, admission, not_started)
        await self._pass_by(job, blocked)
        return None

    def _wait(self, job: Job, lane: Lane, wait: Wait) -> None:
        if wait.seconds is None:
            self._hold(job, lane)
        else:
            moment = self._loop.time() + wait.seconds
            self._queue.delay(job, min(moment, job.deadline_at))

    def _hold(self, job: Job, lane: Lane) -> None:
        # Whoever ends in this lane makes room, in another batch of the fleet too.
        self.fleet.lanes.await_end(lane, self._queue.release)
        self._queue.hold(job, job.deadline_at)

    async def _park(self, job: Job, parked: Parked) -> None:
        # An attempt that was made tells more than the park that followed it.
        failure = job.last_failure
        if failure is None:
            failure = Failure(
                FailureCause.PARKED,
                f"parked: {parked.reason}",
                resets_at=parked.resets_at,
            )
        await self._fail(job, failure)

    def _blocked(self, job: Job, route: Route) -> Blocked | None:
        if job.agent is None or not route.policy.breaker_enabled:
            return None
        breaker, now = self.fleet.breaker, self.fleet.clock.monotonic()
        if job.task.is_spawn:
            breaker.mark_as_adhoc(job.agent)
        answer = breaker.admit(job.agent, now, job.permit, lease=route.probe_lease)
        if isinstance(answer, Blocked):
            return answer
        job.permit = answer
        return None

    async def _pass_by(self, job: Job, blocked: Blocked) -> None:
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

    async def _attempt(
        self, job: Job, route: Route, ticket: Admitted | None
    ) -> Attempt:
        fleet = self.fleet
        number = len(job.attempts) + 1
        started_at = fleet.clock.epoch()
        attempt = job.running = self._supervised(job, route)
        if job.machine is not None:
            recovery.start(job.machine)
        is_over = False
        try:
            self._running.add(job)
            if self._is_told:
                self._narrator.starting(job, number)
            await attempt.run(route.orchestrator, self._request(job, route, number))
            is_over = True
        finally:
            self._running.discard(job)
            job.running = None
            heard = is_over and not attempt.was_refused
            failure = attempt.failure if heard else _INTERRUPTED
            if failure or ticket or job.agent:
                self._settle(job, ticket, failure)
        job.last = attempt
        job.attempts += (attempt_record(job, attempt, number, started_at),)
        if attempt.failure is not None:
            self._remember(job, attempt.failure)
        if self._is_told:
            self._narrator.attempt_ended(job, attempt)
        return attempt

    def _remember(self, job: Job, failure: Failure) -> None:
        job.last_failure = failure
        if job.first_failed_at is None:
            job.first_failed_at = self._loop.time()

    def _request(self, job: Job, route: Route, number: int) -> AgentRequest:
        task, fleet = job.task, self.fleet
        path = None
        if fleet.journal is not None and task.task_id:
            path = fleet.journal.output_path(task.task_id)
        return AgentRequest(
            job.agent_id,
            prompt=route.persona + task.prompt if job.agent else task.prompt,
            request_id=task.task_id,
            agent=job.agent,
            tool=route.spec,
            model=route.model,
            cwd=task.cwd,
            env=task.env,
            task_id=task.task_id,
            run_id=fleet.run_id,
            attempt=number,
            session_id=job.session_id,
            output_path=path,
            grace=route.policy.termination.grace,
            wants_output=self.options.on_output is not None or fleet.wants_output,
        )

    def _supervised(self, job: Job, route: Route) -> Attempt:
        spec = route.spec
        return Attempt(
            policy=route.policy,
            first_look=route.first_look,
            deadline_at=job.deadline_at,
            deadline_failure=None if job.deadline_at == inf else _too_late(job),
            judges_stderr=spec.output == "text",
            silent_until_done=spec.silent_until_done,
            observer=self._narrator.observer(job) if self._is_told else None,
            looks=self.fleet.first_looks,
        )

    def _settle(
        self, job: Job, ticket: Admitted | None, failure: Failure | None
    ) -> None:
        fleet, route = self.fleet, job.way
        if route.lane is not None and ticket is not None:
            fleet.lanes.settle(route.lane, ticket, failure)
        elif failure is not None and failure.cause is FailureCause.RATE_LIMIT:
            lane = fleet.lanes.lane(route.spec, route.model)
            fleet.lanes.note(
                lane, retry_after=failure.retry_after, resets_at=failure.resets_at
            )
        if job.agent is None:
            return
        now = fleet.clock.monotonic()
        if job.permit is not None:
            verdict = Outcome.SUCCESS if failure is None else failure.cause
            fleet.breaker.settle(job.permit, verdict, now)

    # --- what follows -----------------------------------------------------------

    async def _after_failure(self, job: Job, failure: Failure) -> None:
        lane = job.way.lane
        if lane is None or self._stopped is not None:
            await self._fail(job, failure)
            return
        now = self._loop.time()
        step = recovery.next_step(
            job,
            failure,
            now=now,
            draw=self.fleet.randomness.draw(),
            budget=self.fleet.lanes.budget(lane),
            alone=not self._running,
        )
        if isinstance(step, recovery.Retry):
            self._retry(job, failure, step, now)
        elif isinstance(step, recovery.AwaitToken) and self._may_earn_tokens(lane):
            job.awaits_token = True
            self._hold(job, lane)
        elif isinstance(step, recovery.FallBack):
            self._fall_back(job, failure.message)
        else:
            hint = getattr(step, "hint", "")
            if hint:
                failure = evolve(failure, message=f"{failure.message} ({hint})")
            await self._fail(job, failure)

    def _may_earn_tokens(self, lane: Lane) -> bool:
        return self._queue.has_prospects or lane.in_flight > 0

    def _retry(
        self, job: Job, failure: Failure, step: recovery.Retry, now: float
    ) -> None:
        job.delay_before = step.delay
        if step.free:
            job.free_retries += 1
        else:
            recovery.machine_of(job).to(RecoveryState.RETRY_PENDING)
        self._narrator.retrying(job, failure, step.delay, free=step.free)
        self._queue.delay(job, now + step.delay)

    def _fall_back(self, job: Job, reason: str) -> None:
        machine = recovery.machine_of(job)
        if machine.state is not RecoveryState.CIRCUIT_OPEN:
            machine.to(RecoveryState.FALLBACK_PENDING)
        job.fallback, job.agent, job.delay_before = True, None, 0.0
        policy = job.way.recovery
        if policy is not None and policy.fallback_tool is not None:
            job.route = self._routes.find(job.task, policy.fallback_tool)
        self._narrator.falling_back(job, reason)
        self._queue.delay(job, self._loop.time())

    async def _fail(self, job: Job, failure: Failure) -> None:
        if not job.attempts:
            await self._breathe()
        now = self._loop.time()
        took = 0.0 if job.route is None else now - job.started_at
        await self._end(job, failed_result(job, failure, took))

    async def _breathe(self) -> None:
        # Who ends without an attempt lets nobody else run, and they may be a million.
        self._breathless += 1
        if self._breathless % presets.JOBS_PER_TURN == 0:
            await asyncio.sleep(0)

    async def _end(self, job: Job, result: SpawnResult) -> None:
        job.has_ended = True
        if job.machine is not None and not job.machine.state.is_final:
            job.machine.to(
                RecoveryState.SUCCEEDED if result.success else RecoveryState.FAILED
            )
        journal = self.fleet.journal
        try:
            if journal is None or await self._is_recorded(journal, result):
                self._count(job, result)
                self.deliver(job, result)
                if self._is_told:
                    self._narrator.ended(job, result)
        finally:
            self._queue.finish()

    async def _is_recorded(self, journal: Journal, result: SpawnResult) -> bool:
        if not isinstance(self._error, JournalError):
            try:
                await journal.record(result)
            except JournalError as error:
                self._break_off(error, "results can't be recorded")
            except Exception as error:  # noqa: BLE001 - however it breaks, it is broken
                broken = JournalError(f"{type(error).__name__}: {error}")
                broken.__cause__ = error
                self._break_off(broken, "results can't be recorded")
            else:
                return True
        if result.attempts:
            self._unrecorded.append(result)
        return False

    def _count(self, job: Job, result: SpawnResult) -> None:
        attempts = job.attempts
        if result.success and len(attempts) == 1:
            self.fleet.metrics.record_at_once()
            return
        first = attempts[0].failure if attempts else result.failure
        took = 0.0
        if job.first_failed_at is not None:
            took = self._loop.time() - job.first_failed_at
        self.fleet.metrics.record(
            success=result.success,
            attempts=len(attempts),
            retries=result.retry_count,
            used_fallback=result.fallback,
            cause=first.cause if first else None,
            recovery_seconds=took,
        )


def _too_late(job: Job) -> Failure:
    limit = job.task.timeout or 0.0
    return Failure(
        FailureCause.DEADLINE,
        f"Deadline: not done within {limit:g} s",
        detection_time_ms=limit * 1000,
    )


_INTERRUPTED = Failure(FailureCause.CANCELLED, "cancelled")
