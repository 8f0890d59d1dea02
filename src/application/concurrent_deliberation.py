"""Asks many agents at once: within the pool, halted in time, nothing dropped."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from attrs import define, evolve, field

from muster.application.concurrent_batch import (
    ConcurrentBatch,
    Listener,
    Prepare,
    Terms,
)
from muster.application.first_looks import FirstLooks
from muster.application.fleet_context import Stoppable
from muster.application.halting import why_halted
from muster.application.ports.agent_orchestrator import AgentOrchestrator
from muster.application.ports.clock import Clock
from muster.application.ports.halt_checker import HaltChecker, HaltNotifier
from muster.application.ports.randomness import Randomness
from muster.application.ports.witness import Witness
from muster.domain import presets
from muster.domain.concurrent_result import AgentFailure, ConcurrentResult
from muster.domain.deliberation_events import DeliberationEvent
from muster.domain.deliberation_metrics import DeliberationMetrics
from muster.domain.errors import (
    AgentInvocationError,
    AgentPoolExhaustedError,
    SystemHaltedError,
)
from muster.domain.pool import AgentPool
from muster.domain.spawn_policy import SpawnPolicy, TimeoutPolicy, positive
from muster.domain.task import AgentOutput, AgentRequest


def time_to_think(limit: float) -> TimeoutPolicy:
    """``limit`` seconds in all, and silence within them is no failure."""
    return TimeoutPolicy(
        mode="fixed",
        timeout=limit,
        first_output_timeout=None,
        no_activity_timeout=None,
    )


def _pool(given: AgentPool | None) -> AgentPool:
    return AgentPool() if given is None else given


def _as_it_is(request: AgentRequest) -> AgentRequest:
    return request


def _unheard(event: DeliberationEvent) -> None:
    return


def _unlogged(text: str) -> None:
    return


def _known_mode(instance: object, attribute: object, value: str) -> None:
    if value not in {"raise", "queue"}:
        problem = f"on_exhausted must be 'raise' or 'queue', not {value!r}"
        raise ValueError(problem)


@define(eq=False)
class ConcurrentDeliberationService:
    """Invokes agents at once, one attempt each, at most as many as the pool holds.

    Every agent has ``agent_timeout`` seconds from its start; a ``policy`` adds its
    other limits and patterns, and without ``agent_timeout`` its own time holds. With
    ``on_exhausted="queue"`` what finds no slot waits for one, and batches take turns;
    otherwise it is an error. A ``witness`` records each answer before anybody sees it.
    ``prepare`` gets every request before its agent starts; what it raises is that
    agent's failure. ``listener`` is told who starts and how it ends; what it raises
    goes to ``log_fault``. ``active`` holds the batches under way, which can be stopped.

    The orchestrator stays the caller's to close.
    """

    orchestrator: AgentOrchestrator
    halt_checker: HaltChecker
    pool: AgentPool = field(default=None, converter=_pool)
    clock: Clock = field(kw_only=True)
    randomness: Randomness = field(kw_only=True)
    agent_timeout: float | None = field(default=None, kw_only=True)
    on_exhausted: Literal["raise", "queue"] = field(
        default="raise", kw_only=True, validator=_known_mode
    )
    allow_duplicates: bool = field(default=False, kw_only=True)
    witness: Witness | None = field(default=None, kw_only=True)
    policy: SpawnPolicy | None = field(default=None, kw_only=True)
    prepare: Prepare = field(default=_as_it_is, kw_only=True)
    listener: Listener = field(default=_unheard, kw_only=True)
    log_fault: Callable[[str], object] = field(default=_unlogged, kw_only=True)
    active: set[Stoppable] = field(factory=set, kw_only=True, repr=False)
    _terms: Terms = field(init=False, repr=False)
    _last: DeliberationMetrics = field(factory=DeliberationMetrics, init=False)
    _exhaustions: int = field(default=0, init=False)

    @agent_timeout.validator
    def _check_timeout(self, attribute: Any, value: float | None) -> None:
        if value is not None:
            positive(self, attribute, value)

    def __attrs_post_init__(self) -> None:
        self._terms = Terms(
            orchestrator=self.orchestrator,
            halt_checker=self.halt_checker,
            pool=self.pool,
            clock=self.clock,
            policy=self._supervision(),
            queues=self.on_exhausted == "queue",
            allow_duplicates=self.allow_duplicates,
            prepare=self.prepare,
            listener=self._tell,
            witness=self.witness,
            looks=FirstLooks(),
            is_told=isinstance(self.halt_checker, HaltNotifier),
            active=self.active,
        )

    @property
    def available_capacity(self) -> int:
        """How many agents could start now."""
        return self.pool.available_count

    @property
    def metrics(self) -> DeliberationMetrics:
        """A reading of now."""
        return evolve(
            self._last,
            pool_active_count=self.pool.active_count,
            pool_exhaustion_errors=self._exhaustions,
        )

    def pool_status(self) -> dict[str, Any]:
        """How the pool stands, JSON-ready."""
        pool = self.pool
        return {
            "active_count": pool.active_count,
            "available_count": pool.available_count,
            "max_concurrent": pool.max_concurrent,
            "is_exhausted": pool.is_exhausted,
            "active_agents": sorted(pool.active_agents),
        }

    async def invoke_concurrent(
        self, requests: Iterable[AgentRequest], *, batch_id: str | None = None
    ) -> ConcurrentResult:
        """Every request ends as an output or a failure of the result, in their order.

        A request without an id gets one. Raises `SystemHaltedError` when operations
        are halted already, `DuplicateAgentError`, `AgentBusyError` and
        `AgentPoolExhaustedError`: then nobody was invoked. A halt in mid-batch returns
        what is finished, with ``halted``. Raises `JournalError` when an answer can't be
        recorded; what runs is ended then, as it is when this is cancelled.
        """
        wanted = list(requests)
        reason = await why_halted(self.halt_checker)
        if reason is not None:
            raise SystemHaltedError(reason)
        batch_id = batch_id or self.randomness.token()
        for number, each in enumerate(wanted, start=1):
            each.request_id = each.request_id or f"{batch_id}-r{number}"
        batch = ConcurrentBatch(self._terms, batch_id, wanted)
        try:
            batch.check()
        except AgentPoolExhaustedError:
            self._exhaustions += 1
            raise
        return await self._result_of(batch)

    async def invoke_single(self, request: AgentRequest) -> AgentOutput:
        """One agent's answer. Raises `AgentInvocationError` with its failure, and
        `SystemHaltedError` after a halt; else as `invoke_concurrent`.
        """
        result = await self.invoke_concurrent([request])
        if result.outputs:
            return result.outputs[0]
        if result.halt_reason is not None:
            raise SystemHaltedError(result.halt_reason)
        (entry,) = result.failures
        raise AgentInvocationError(entry.agent_id, entry.failure)

    async def _result_of(self, batch: ConcurrentBatch) -> ConcurrentResult:
        clock = self.clock
        started_at, start = clock.epoch(), clock.monotonic()
        await batch.run()
        took = (clock.monotonic() - start) * 1000
        outputs, failures = _sorted_out(batch.ends)
        self._last = DeliberationMetrics(took, len(failures))
        return ConcurrentResult(
            batch.batch_id,
            outputs,
            failures,
            started_at,
            clock.epoch(),
            took,
            halted=batch.halt_reason is not None,
            halt_reason=batch.halt_reason,
        )

    def _supervision(self) -> SpawnPolicy:
        if self.policy is None:
            limit = self.agent_timeout or presets.AGENT_TIMEOUT
            policy = SpawnPolicy.preset(presets.SPAWN_POLICY)
            return evolve(policy, timeout=time_to_think(limit))
        if self.agent_timeout is None:
            return self.policy
        limits = evolve(self.policy.timeout, mode="fixed", timeout=self.agent_timeout)
        return evolve(self.policy, timeout=limits)

    def _tell(self, event: DeliberationEvent) -> None:
        try:
            self.listener(event)
        except Exception as error:  # noqa: BLE001 - a host's callback must not cost results
            self.log_fault(f"a listener raised {type(error).__name__}: {error}")


def _sorted_out(
    ends: Sequence[AgentOutput | AgentFailure | None],
) -> tuple[tuple[AgentOutput, ...], tuple[AgentFailure, ...]]:
    outputs = tuple(each for each in ends if isinstance(each, AgentOutput))
    failures = tuple(each for each in ends if isinstance(each, AgentFailure))
    return outputs, failures
