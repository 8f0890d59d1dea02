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
from muster.application.personas import persona_for
from muster.application.results import attempt_record, failed_result, result_of
from muster.application.supervision import Attempt, first_look_after
from muster.domain import presets
from muster.domain.admission import Blocked, Outcome
from muster.domain.errors import MusterError, ToolNotFoundError
from muster.domain.lane import Admitted, Lane, Parked, Wait
from muster.domain.outcome import Failure, FailureCause, SpawnResult
from muster.domain.recovery import RecoveryState, RecoveryStateMachine
from muster.domain.spawn_policy import SpawnPolicy
from muster.domain.task import AgentRequest, SpawnTask
from muster.domain.tool import ToolSpec

Deliver = Callable[[Job, SpawnResult], None]


@define(eq=False)
class Spawning:
    """One batch in progress. `stop` and `drain` may be called while `run` runs."""

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
    _routes: dict[object, Route] = field(factory=dict, init=False)
    _stopped: Failure | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._narrator = Narrator(self.fleet, self.options, self.books)
        self._is_told = self._narrator.has_listeners
        workers = self.options.max_concurrent
        self._queue = JobQueue(
            max_waiting=max_waiting(workers), stagger=self.options.stagger
        )

    async def run(self, tasks: Iterable[SpawnTask]) -> None:
        """Delivers one result per task, as they end. A cancellation leaves no agent."""
        self._loop = asyncio.get_running_loop()
        workers = self.options.max_concurrent
        self._queue.draw_from(self._jobs(tasks))
        self.fleet.active.add(self)
        try:
            await work_off(self._queue, self._advance, workers)
        finally:
            self.fleet.active.discard(self)

    def add(self, job: Job, priority: float) -> None:
        """One more task, before or during `run`; higher priorities go first."""
        self._narrator.seen += 1
        self._queue.add(job, priority)

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
            yield Job(index, task, agent=task.agent)

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
        except MusterError as error:
            await self._fail(job, Failure(FailureCause.UNKNOWN, str(error)))
        except Exception as error:  # noqa: BLE001 - a fault of ours must cost one task only
            text = f"{type(error).__name__}: {error}"
            self.fleet.log_fault(text)
            await self._fail(job, Failure(FailureCause.UNKNOWN, text))

    async def _begin(self, job: Job) -> None:
        if self.room is not None:
            await self.room.acquire()
        job.started_at = self._loop.time()
        timeout = job.task.timeout
        if timeout is not None:
            job.deadline_at = job.started_at + timeout
        try:
            route = job.route = self._route(job.task)
        except ToolNotFoundError as error:
            await self._fail(job, Failure(FailureCause.TOOL_NOT_FOUND, str(error)))
        else:
            await self._next_attempt(job, route)

    def _route(self, task: SpawnTask) -> Route:
        tool, policy = task.tool, task.policy
        if isinstance(tool, ToolSpec) or isinstance(policy, SpawnPolicy):
            return self._find_route(task)
        kind = (tool, policy, task.model, task.agent)
        route = self._routes.get(kind)
        if route is None:
            route = self._find_route(task)
            if len(self._routes) < presets.ROUTES_KEPT:
                self._routes[kind] = route
        return route

    def _find_route(self, task: SpawnTask, tool: str | None = None) -> Route:
        options, fleet = self.options, self.fleet
        profile = None
        if fleet.agents is not None and task.agent is not None:
            profile = fleet.agents.find(task.agent)
        own_tool = task.tool or (profile.tool if profile else None)
        own_model = task.model or (profile.model if profile else None)
        spec = fleet.tools.resolve(tool or options.tool or own_tool or fleet.tool)
        model = options.model or own_model or fleet.model
        policy = fleet.policy(task.policy or options.policy)
        lane, recovers = None, None
        if options.recovers:
            lane = fleet.lanes.lane(spec, model)
            recovers = recovery.recovery_for(
                options, policy, task.agent, default=fleet.recovery
            )
        quiet = spec.silent_until_done
        grace = policy.termination.grace + presets.GRACE
        return Route(
            spec=spec,
            orchestrator=fleet.orchestrator_of(spec),
            model=model,
            policy=policy,
            first_look=first_look_after(policy, silent_until_done=quiet),
            probe_lease=policy.timeout.hard_limit + grace,
            lane=lane,
            recovery=recovers,
            persona=persona_for(spec, profile),
        )

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
        if isinstance(admission, Wait):
            self._wait(job, self._loop.time(), admission)
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

    def _wait(self, job: Job, now: float, wait: Wait) -> None:
        if wait.seconds is None and self._running:
            self._queue.hold(job)
            return
        pause = presets.LANE_ASK_AGAIN if wait.seconds is None else wait.seconds
        self._queue.delay(job, min(now + pause, job.deadline_at))

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
        self._running.add(job)
        if self._is_told:
            self._narrator.starting(job, number)
        is_over = False
        try:
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
        policy = job.way.recovery
        if policy is not None and policy.fallback_tool is not None:
            job.route = self._find_route(job.task, policy.fallback_tool)
        self._narrator.falling_back(job, reason)
        self._queue.delay(job, self._loop.time())

    async def _fail(self, job: Job, failure: Failure) -> None:
        now = self._loop.time()
        took = 0.0 if job.route is None else now - job.started_at
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
        if self._is_told:
            self._narrator.ended(job, result)
        self._queue.finish()

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
