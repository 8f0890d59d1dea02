"""The engine: takes tasks, makes attempts, recovers, gives results. All functions use it.

A job makes one attempt at a time. Between attempts it goes back to the queue,
so a job that waits holds no slot.
"""

import asyncio
from collections.abc import Iterable, Iterator
from math import inf

from attrs import define, evolve, field

from muster.application import attempts, recovery, sessions
from muster.application.arguments import a_task
from muster.application.batch import BatchObserver, BatchOptions, Job, Route
from muster.application.budgets import Budgets
from muster.application.concurrency import JobQueue, max_waiting, work_off
from muster.application.delivery import Deliver, Delivery
from muster.application.fleet_context import FleetContext
from muster.application.gates import Gates
from muster.application.narration import Narrator
from muster.application.results import attempt_record, result_of
from muster.application.routing import Routes
from muster.application.supervision import Attempt
from muster.application.verdicts import cause_of
from muster.domain.admission import Blocked
from muster.domain.errors import JournalError, MusterError
from muster.domain.lane import Admitted, Lane, Parked, Wait
from muster.domain.outcome import Failure, FailureCause
from muster.domain.recovery import RecoveryState, RecoveryStateMachine
from muster.domain.task import SpawnTask


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
    _delivery: Delivery = field(init=False)
    _gates: Gates = field(init=False)
    budgets: Budgets = field(init=False)
    _wants_output: bool = field(default=False, init=False)
    _error: Exception | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._narrator = Narrator(self.fleet, self.options, self.books)
        self._is_told = self._narrator.has_listeners
        on_output = self.options.on_output
        self._wants_output = on_output is not None or self.fleet.wants_output
        self._gates = Gates(self.fleet)
        self._routes = Routes(self.fleet, self.options)
        workers = self.options.max_concurrent
        self._queue = JobQueue(
            max_waiting=max_waiting(workers), stagger=self.options.stagger
        )
        self._delivery = Delivery(
            self.fleet,
            self.deliver,
            self._narrator,
            self._queue,
            self._break_off,
            self._is_told,
        )
        limits = self.options.limits or self.fleet.limits
        self.budgets = Budgets(limits, self.options, self.drain)
        self._narrator.on_usage = self.budgets.observe

    async def run(self, tasks: Iterable[SpawnTask]) -> None:
        """Delivers one result per task, as they end. A cancellation leaves no agent.

        Raises what ``tasks`` raises, and `JournalError` when a result can't be
        recorded: then nothing more is started and what runs is ended; what was
        recorded was delivered, the rest that was finished is in the error.
        """
        self._loop = asyncio.get_running_loop()
        workers = self.options.max_concurrent
        self._queue.draw_from(self._jobs(tasks))
        with self.fleet.working_on(self), self.budgets.opened():
            await work_off(self._queue, self._advance, workers)
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
            self.budgets.close()
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
                a_task(task)
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
                await self._delivery.fail(job, attempts.unaffordable(job, failure))
            elif job.route is None and self.room is not None:
                await self._begin_in(self.room, job)
            elif job.awaits_token and job.last_failure is not None:
                job.awaits_token = False
                await self._after_failure(job, job.last_failure)
            else:
                await self._next_attempt(job, job.route or self._begin(job))
        except Exception as error:  # noqa: BLE001 - a fault of ours must cost one task only
            await self._mishap(job, error)

    async def _mishap(self, job: Job, error: Exception) -> None:
        cause, text = cause_of(error), str(error)
        if isinstance(error, JournalError):
            self._break_off(self._delivery.lose(error), "nothing can be recorded")
        elif not isinstance(error, MusterError):
            text = f"{type(error).__name__}: {error}"
            self.fleet.log_fault(text)
        if job.has_ended:
            # Whoever takes the results has lost one: nothing true can follow.
            self._break_off(error, "a result could not be delivered")
        else:
            await self._delivery.fail(job, Failure(cause, text))

    async def _begin_in(self, room: asyncio.Semaphore, job: Job) -> None:
        await room.acquire()
        if self._stopped is not None:
            await self._delivery.fail(job, self._stopped)
        else:
            await self._next_attempt(job, self._begin(job))

    def _begin(self, job: Job) -> Route:
        job.started_at = self._loop.time()
        timeout = job.task.timeout
        if timeout is not None:
            job.deadline_at = job.started_at + timeout
        job.route = self._routes.route(job.task)
        return job.route

    async def _next_attempt(self, job: Job, route: Route) -> None:
        if not self.budgets.watch(job):
            await self._admit(job, route)
            return
        refusal = await self.budgets.reserve(job, route)
        try:
            if refusal is not None:
                await self._delivery.fail(job, attempts.unaffordable(job, refusal))
            elif self._stopped is not None:
                await self._delivery.fail(job, self._stopped)
            else:
                await self._admit(job, route)
        finally:
            self.budgets.release(job)

    async def _admit(self, job: Job, route: Route) -> None:
        ticket = None
        now = self._loop.time() if job.deadline_at != inf else 0.0
        if now >= job.deadline_at:
            await self._delivery.fail(job, attempts.too_late(job))
            return
        if route.lane is not None:
            ticket = await self._admitted(job, route.lane)
            if ticket is None:
                return
        elif job.agent is not None:
            # A batch without recovery makes its one attempt even at an open
            # circuit, but what it learns counts.
            self._gates.pass_circuit(job, route)
        attempt = await self._attempt(job, route, ticket)
        if attempt.failure is not None:
            await self._after_failure(job, attempt.failure)
            return
        took = attempt.ended_at - job.started_at
        await self._delivery.end(job, result_of(job, attempt, took))

    async def _admitted(self, job: Job, lane: Lane) -> Admitted | None:
        answer = self._gates.admit(job, job.way, lane)
        if isinstance(answer, Admitted):
            return await self._announced(job, answer)
        if isinstance(answer, Blocked):
            await self._pass_by(job, answer)
            return None
        self._narrator.refused(lane, answer, self._loop.time())
        if isinstance(answer, Parked):
            await self._park(job, answer)
        else:
            self._wait(job, lane, answer)
        return None

    async def _announced(self, job: Job, ticket: Admitted) -> Admitted | None:
        """The ticket, once it is durable that the agent is about to start."""
        log, task_id = self.fleet.attempt_log, job.task.task_id
        if log is None or task_id is None:
            return ticket
        # It counts as running: others may wait for its end.
        self._running.add(job)
        is_durable = False
        try:
            await log.started(task_id, len(job.attempts) + 1)
            is_durable = True
        finally:
            self._running.discard(job)
            if not is_durable or self._stopped is not None:
                self._gates.settle(job, ticket, _INTERRUPTED)
        if self._stopped is None:
            return ticket
        await self._delivery.fail(job, self._stopped)
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
        again_at = self._gates.asks_again_at(job, parked, self._loop.time())
        if again_at is not None:
            self._queue.delay(job, again_at)
            return
        # An attempt that was made tells more than the park that followed it.
        failure = job.last_failure or Failure(
            FailureCause.PARKED,
            f"parked: {parked.reason}",
            resets_at=parked.resets_at,
        )
        await self._delivery.fail(job, failure)

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
            await self._delivery.fail(job, failure)

    # --- one attempt ------------------------------------------------------------

    async def _attempt(
        self, job: Job, route: Route, ticket: Admitted | None
    ) -> Attempt:
        fleet = self.fleet
        started_at = fleet.clock.epoch()
        is_watched = self._gates.begin(job, ticket) or self._is_told or job.held
        observer = self._narrator.observer(job) if is_watched else None
        attempt = job.running = attempts.attempt_of(job, route, fleet, observer)
        if job.machine is not None:
            recovery.start(job.machine)
        is_over = False
        try:
            self._running.add(job)
            if self._is_told:
                self._narrator.starting(job, len(job.attempts) + 1)
            request = attempts.request_of(
                job, route, fleet, wants_output=self._wants_output
            )
            await attempt.run(attempts.orchestrator_of(job, route, fleet), request)
            attempt.failure = attempts.dated(attempt.failure, fleet.clock)
            is_over = True
        finally:
            self._running.discard(job)
            job.running = None
            self._settle(job, ticket, attempt, is_over=is_over)
        job.last = attempt
        job.attempts += (attempt_record(job, route, attempt, started_at),)
        if attempt.failure is not None:
            job.remember(attempt.failure, self._loop.time())
            sessions.remember(job, attempt.failure)
        if self._is_told:
            self._narrator.attempt_ended(job, attempt)
        return attempt

    def _settle(
        self, job: Job, ticket: Admitted | None, attempt: Attempt, *, is_over: bool
    ) -> None:
        failure = attempt.failure if is_over else _INTERRUPTED
        if failure is not None and attempt.was_refused:
            failure = _INTERRUPTED
        if failure or ticket or job.agent:
            self._gates.settle(job, ticket, failure)
        if job.held:
            self.budgets.settle(job, attempt)

    # --- what follows -----------------------------------------------------------

    async def _after_failure(self, job: Job, failure: Failure) -> None:
        lane, stopped = job.way.lane, self._stopped
        is_over = stopped is not None and stopped.cause is not FailureCause.BUDGET
        if lane is None or is_over:
            await self._delivery.fail(job, failure)
            return
        now = self._loop.time()
        step = recovery.next_step(
            job,
            failure,
            now=now,
            draw=self.fleet.randomness.draw(),
            budget=self.fleet.lanes.budget(lane),
            alone=not self._running,
            waits=self._gates.waits_for_reset(lane),
        )
        if stopped is not None and not isinstance(step, recovery.GiveUp):
            # It was owed another try, and gets it when the run is taken up again.
            await self._delivery.fail(job, attempts.unaffordable(job, stopped))
            return
        if isinstance(step, recovery.Amend):
            job.complaint = failure.message
            self._retry(job, failure, recovery.Retry(0.0), now)
        elif isinstance(step, recovery.Retry):
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
            await self._delivery.fail(job, failure)

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


_INTERRUPTED = Failure(FailureCause.CANCELLED, "cancelled")
