"""One batch of agents that are asked at once: slots, starts, ends, and the halt."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context

from attrs import define, field

from muster.application.first_looks import FirstLooks, first_look_after
from muster.application.fleet_context import Stoppable
from muster.application.halting import ask, halted, wait_until_halted, why_halted
from muster.application.ports.agent_orchestrator import (
    AgentOrchestrator,
    Capabilities,
    Report,
)
from muster.application.ports.clock import Clock
from muster.application.ports.halt_checker import HaltChecker, HaltNotifier
from muster.application.ports.witness import Witness
from muster.application.supervision import Attempt
from muster.application.verdicts import failure_of
from muster.domain.concurrent_result import AgentFailure
from muster.domain.deliberation_events import (
    AgentAnswered,
    AgentFailed,
    AgentInvoked,
    DeliberationEvent,
)
from muster.domain.errors import (
    AgentBusyError,
    AgentPoolExhaustedError,
    DuplicateAgentError,
    SystemHaltedError,
    ToolNotFoundError,
)
from muster.domain.outcome import Failure, FailureCause
from muster.domain.pool import AgentPool
from muster.domain.spawn_policy import SpawnPolicy
from muster.domain.task import AgentOutput, AgentRequest
from muster.domain.witness import Statement

Prepare = Callable[[AgentRequest], AgentRequest]
Listener = Callable[[DeliberationEvent], object]


@define(eq=False)
class Terms:
    """Under which all batches of one service run."""

    orchestrator: AgentOrchestrator
    halt_checker: HaltChecker
    pool: AgentPool
    clock: Clock
    policy: SpawnPolicy
    queues: bool
    allow_duplicates: bool
    prepare: Prepare
    listener: Listener
    witness: Witness | None
    looks: FirstLooks
    is_told: bool
    active: set[Stoppable]


@define(eq=False)
class _Invocation:
    """One request on its way. ``slot`` is what it holds in the pool."""

    index: int
    request: AgentRequest
    slot: str = ""
    attempt: Attempt | None = None
    was_invoked: bool = False


@define(eq=False)
class ConcurrentBatch:
    """Runs once. ``ends`` has an output or a failure for each request, in their order.

    `halt`, `drain` and `stop` may be called at any time.
    """

    terms: Terms
    batch_id: str
    requests: Sequence[AgentRequest]
    halt_reason: str | None = field(default=None, init=False)
    ends: list[AgentOutput | AgentFailure | None] = field(init=False)
    _pending: deque[_Invocation] = field(init=False)
    _running: dict[int, _Invocation] = field(factory=dict, init=False)
    _held: set[str] = field(factory=set, init=False)
    _left: int = field(init=False)
    _stopped: Failure | None = field(default=None, init=False)
    _is_over: "asyncio.Future[None]" = field(init=False)
    _group: asyncio.TaskGroup = field(init=False)
    _context: Context = field(init=False)

    def __attrs_post_init__(self) -> None:
        invocations = (_Invocation(n, each) for n, each in enumerate(self.requests))
        self._pending = deque(invocations)
        self._left = len(self.requests)
        self.ends = [None] * self._left

    def check(self) -> None:
        """Raises what makes the whole batch impossible; nothing has changed then."""
        terms = self.terms
        if not terms.allow_duplicates:
            self._check_duplicates()
        if terms.queues:
            return
        pool = terms.pool
        if self._left > pool.available_count:
            # Who waits for a busy agent may help itself; who lacks slots can't.
            self._check_busy()
            raise AgentPoolExhaustedError(
                pool.active_count, pool.max_concurrent, self._left
            )
        self._check_busy()

    async def run(self) -> None:
        """Until every request has its end. Cancelled, it leaves no agent and no slot.

        Raises `JournalError` when an answer can't be recorded: what runs is ended then.
        """
        self._is_over = asyncio.get_running_loop().create_future()
        self._context = copy_context()
        self.terms.active.add(self)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                await self._serve_all()
        except ExceptionGroup as errors:
            # Tasks are no matter of the caller's: it shall meet the error itself.
            raise errors.exceptions[0] from None
        finally:
            self.terms.active.discard(self)
            # A task that is cancelled before its first step never frees its slot.
            self.terms.pool.release_batch(tuple(self._held))

    def halt(self, reason: str) -> None:
        """Starts nothing more, ends what runs; who has no answer is ``halted``."""
        if self.halt_reason is None:
            self.halt_reason = reason
            self.stop(halted(reason))

    def drain(self, failure: Failure) -> None:
        """Starts nothing more: who waits ends with ``failure``, the others go on."""
        if self._stopped is None:
            self._stopped = failure
        self.terms.pool.leave(self._take)
        while self._pending:
            self._fail(self._pending.popleft(), failure)

    def stop(self, failure: Failure) -> None:
        """Drains, and ends what runs with the grace of its request."""
        self.drain(failure)
        for each in tuple(self._running.values()):
            if each.attempt is not None:
                each.attempt.trip(failure)

    # --- slots ------------------------------------------------------------------

    def _check_duplicates(self) -> None:
        seen = set()
        for each in self.requests:
            if each.agent_id in seen:
                raise DuplicateAgentError(each.agent_id)
            seen.add(each.agent_id)

    def _check_busy(self) -> None:
        if self.terms.allow_duplicates:
            return
        for each in self.requests:
            if self.terms.pool.is_active(each.agent_id):
                raise AgentBusyError(each.agent_id)

    async def _serve_all(self) -> None:
        pool = self.terms.pool
        unwatch = self._watch()
        try:
            if self._pending:
                pool.join(self._take)
                if self.terms.queues:
                    pool.offer()
                else:
                    # All were found to have room, and nobody else ran since.
                    while self._pending and self._take():
                        pass
            if self._left:
                await self._is_over
        finally:
            pool.leave(self._take)
            unwatch()

    def _watch(self) -> Callable[[], object]:
        checker = self.terms.halt_checker
        if isinstance(checker, HaltNotifier):
            return checker.watch(self.halt)
        return self._group.create_task(self._poll()).cancel

    async def _poll(self) -> None:
        self.halt(await wait_until_halted(self.terms.halt_checker))

    def _take(self) -> bool:
        for position, each in enumerate(self._pending):
            slot = self._free_slot(each.request.agent_id)
            if slot is not None:
                del self._pending[position]
                self._start(each, slot)
                return True
        return False

    def _free_slot(self, agent_id: str) -> str | None:
        is_active = self.terms.pool.is_active
        if not is_active(agent_id):
            return agent_id
        if not self.terms.allow_duplicates:
            return None
        number = 2
        while is_active(slot := f"{agent_id}#{number}"):
            number += 1
        return slot

    def _start(self, invocation: _Invocation, slot: str) -> None:
        pool = self.terms.pool
        pool.acquire(slot)
        self._held.add(slot)
        invocation.slot = slot
        self._running[invocation.index] = invocation
        if not self._pending:
            pool.leave(self._take)
        # Whoever freed the slot may be another batch: its context is not ours.
        context = self._context.copy()
        self._group.create_task(self._serve(invocation), context=context)

    def _release(self, invocation: _Invocation) -> None:
        self._running.pop(invocation.index, None)
        self._held.discard(invocation.slot)
        self.terms.pool.release(invocation.slot)

    # --- one agent --------------------------------------------------------------

    async def _serve(self, invocation: _Invocation) -> None:
        try:
            try:
                attempt = await self._ask(invocation)
            finally:
                self._release(invocation)
            await self._take_in(invocation, attempt)
        except BaseException:
            # The group ends: nothing can be started in it any more.
            self.terms.pool.leave(self._take)
            raise

    async def _ask(self, invocation: _Invocation) -> Attempt:
        terms = self.terms
        attempt = Attempt(terms.policy, terms.policy.timeout.hard_limit)
        try:
            request = terms.prepare(invocation.request)
        except Exception as error:  # noqa: BLE001 - one agent's trouble stays its own
            attempt.failure = _unprepared(error)
            return attempt
        _configure(attempt, request, terms.looks)
        invocation.attempt = attempt
        if self._stopped is not None:
            attempt.trip(self._stopped)
        else:
            terms.listener(AgentInvoked(self.batch_id, invocation.request))
        await attempt.run(_Guarded(self, invocation), request)
        return attempt

    async def _take_in(self, invocation: _Invocation, attempt: Attempt) -> None:
        answer: object = attempt.output
        if attempt.failure is not None:
            self._fail(invocation, attempt.failure, attempt.duration)
        elif not isinstance(answer, AgentOutput):
            self._fail(invocation, _no_output(answer), attempt.duration)
        else:
            output = self._identified(invocation, answer, attempt)
            await self._bear_witness(output)
            self._end(invocation, output)
            told = AgentAnswered(self.batch_id, invocation.request, output)
            self.terms.listener(told)

    def _identified(
        self, invocation: _Invocation, output: AgentOutput, attempt: Attempt
    ) -> AgentOutput:
        # Whatever a foreign orchestrator has filled in: an answer is that of its request.
        request, at = invocation.request, output.generated_at
        return AgentOutput(
            output.content,
            request.agent_id,
            request.request_id,
            output.output_id or f"{self.batch_id}-o{invocation.index + 1}",
            output.content_type,
            self.terms.clock.epoch() if at is None else at,
            output.usage or attempt.usage,
            output.simulated,
        )

    async def _bear_witness(self, output: AgentOutput) -> None:
        if self.terms.witness is not None:
            statement = Statement(
                self.batch_id, output.agent_id, output.content, output.request_id
            )
            await self.terms.witness.commit(statement)

    def _fail(
        self, invocation: _Invocation, failure: Failure, duration: float = 0.0
    ) -> None:
        request = invocation.request
        entry = AgentFailure(
            request.agent_id,
            request.request_id,
            failure,
            int(invocation.was_invoked),
            duration,
        )
        self._end(invocation, entry)
        self.terms.listener(AgentFailed(self.batch_id, request, entry))

    def _end(self, invocation: _Invocation, end: AgentOutput | AgentFailure) -> None:
        self.ends[invocation.index] = end
        self._left -= 1
        if not self._left and not self._is_over.done():
            self._is_over.set_result(None)


class _Guarded:
    """The orchestrator behind one more look at the halt."""

    def __init__(self, batch: ConcurrentBatch, invocation: _Invocation) -> None:
        self._batch = batch
        self._invocation = invocation
        self.capabilities: Capabilities = batch.terms.orchestrator.capabilities

    async def invoke(self, request: AgentRequest, report: Report) -> AgentOutput:
        terms = self._batch.terms
        checker = terms.halt_checker
        reason = await (ask if terms.is_told else why_halted)(checker)
        if reason is not None:
            self._batch.halt(reason)
            raise SystemHaltedError(reason)
        self._invocation.was_invoked = True
        try:
            return await terms.orchestrator.invoke(request, report)
        except SystemHaltedError as error:
            self._batch.halt(error.reason)
            raise

    async def aclose(self) -> None:
        """Nothing: the orchestrator is its owner's to close."""


def _configure(attempt: Attempt, request: AgentRequest, looks: FirstLooks) -> None:
    spec = request.tool
    quiet = spec is not None and spec.silent_until_done
    attempt.silent_until_done = quiet
    attempt.first_look = first_look_after(attempt.policy, silent_until_done=quiet)
    attempt.looks = looks
    if spec is not None and spec.is_structured:
        attempt.structured, attempt.judges_stderr = spec, False


def _unprepared(error: Exception) -> Failure:
    if isinstance(error, ToolNotFoundError):
        return Failure(FailureCause.TOOL_NOT_FOUND, str(error))
    return failure_of(error)


def _no_output(answer: object) -> Failure:
    problem = f"the orchestrator returned {type(answer).__name__}, not an AgentOutput"
    return Failure(FailureCause.UNKNOWN, problem)
