"""What every batch of one fleet shares. Two fleets share nothing of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any, Protocol, Self

from attrs import define, field

from muster.application.first_looks import FirstLooks
from muster.application.halting import halted
from muster.application.lanes import Lanes
from muster.application.ports.agent_orchestrator import AgentOrchestrator
from muster.application.ports.agent_registry import AgentRegistry
from muster.application.ports.attempt_log import AttemptLog
from muster.application.ports.clock import Clock
from muster.application.ports.event_sink import EventSink
from muster.application.ports.halt_checker import HaltNotifier
from muster.application.ports.inspector import Inspector
from muster.application.ports.journal import Journal
from muster.application.ports.prices import Prices
from muster.application.ports.randomness import Randomness
from muster.application.ports.tool_registry import ToolRegistry
from muster.domain import presets
from muster.domain.budget import BudgetLimits
from muster.domain.circuit_breaker import CircuitBreaker
from muster.domain.fleet_events import FleetEvent
from muster.domain.outcome import Failure
from muster.domain.recovery_metrics import RecoveryMetrics
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.spawn_policy import SpawnPolicy
from muster.domain.tool import ToolSpec


class Stoppable(Protocol):
    """A batch in progress."""

    def drain(self, failure: Failure) -> None:
        """Starts nothing new."""
        ...

    def stop(self, failure: Failure) -> None:
        """Ends what runs."""
        ...


LogFault = Callable[[str], object]


@define(eq=False)
class FleetContext:
    """The shared parts of one fleet; ``tool``, ``model`` and ``policy_name`` are its defaults."""

    tools: ToolRegistry
    orchestrator_of: Callable[[ToolSpec], AgentOrchestrator]
    clock: Clock
    randomness: Randomness
    lanes: Lanes
    breaker: CircuitBreaker
    log_fault: LogFault
    agents: AgentRegistry | None = None
    sink: EventSink | None = None
    journal: Journal | None = None
    attempt_log: AttemptLog | None = None
    run_id: str | None = None
    tool: str | ToolSpec | None = None
    model: str | None = None
    policy_name: str = presets.SPAWN_POLICY
    policies: dict[str, SpawnPolicy] = field(factory=dict)
    recovery: RecoveryPolicy | None = None
    metrics: RecoveryMetrics = field(factory=RecoveryMetrics)
    wants_output: bool = False
    strict_model: bool = False
    waits_for_reset: bool = False
    inspector: Inspector | None = None
    halt: HaltNotifier | None = None
    limits: BudgetLimits = field(factory=BudgetLimits)
    prices: Prices | None = None
    first_looks: FirstLooks = field(factory=FirstLooks, init=False)
    active: set[Stoppable] = field(factory=set, init=False)
    interruptions: list[str] = field(factory=list, init=False)

    def for_run(self, journal: Journal, sink: EventSink | None) -> Self:
        """The same fleet, writing one run's journal and telling its sink too."""
        run = copy(self)
        run.journal, run.run_id = journal, journal.run_id
        run.attempt_log = journal if isinstance(journal, AttemptLog) else None
        run.sink = sink or self.sink
        run.wants_output = self.wants_output or sink is not None
        return run

    def with_sink(self, sink: EventSink) -> Self:
        """The same fleet, telling another sink."""
        run = copy(self)
        run.sink, run.wants_output = sink, True
        return run

    @contextmanager
    def working_on(self, batch: Stoppable) -> Iterator[None]:
        """Meanwhile the batch is active, and a halt stops it."""

        def obey(reason: str) -> None:
            batch.stop(halted(reason))

        self.active.add(batch)
        unwatch = None if self.halt is None else self.halt.watch(obey)
        try:
            yield
        finally:
            if unwatch is not None:
                unwatch()
            self.active.discard(batch)

    def policy(self, policy: SpawnPolicy | str | None) -> SpawnPolicy:
        """The policy meant; `UnknownPresetError` lists the names that exist."""
        if isinstance(policy, SpawnPolicy):
            return policy
        name = policy or self.policy_name
        known = self.policies.get(name)
        if known is None:
            known = self.policies[name] = SpawnPolicy.preset(name)
        return known

    def breaker_health(self, agent: str) -> dict[str, Any]:
        """How the circuit of an agent stands."""
        return self.breaker.health_status(agent, self.clock.monotonic())

    def emit(self, event: FleetEvent) -> None:
        """Tells the sink, whose troubles are not ours."""
        if self.sink is not None:
            self.call(self.sink.emit, event)

    def call(self, callback: Callable[..., object], *arguments: object) -> None:
        """Calls back into the host; an `Exception` there is logged and ignored.

        A SystemExit or KeyboardInterrupt passes: the host wants to end.
        """
        try:
            callback(*arguments)
        except Exception as error:  # noqa: BLE001 - a host's callback must not cost results
            self.log_fault(f"a callback raised {type(error).__name__}: {error}")
