"""A fleet for unit tests: the stub, virtual time, fakes of all other ports."""

from collections.abc import Mapping
from typing import Any

from attrs import define, field

from muster.application.fleet import FleetEngine
from muster.application.fleet_context import FleetContext
from muster.application.lanes import Lanes
from muster.domain.circuit_breaker import CircuitBreaker
from muster.domain.outcome import SpawnResult
from muster.domain.task import SpawnTask
from muster.testing import (
    AgentOrchestratorStub,
    FixedRandomness,
    FixedTools,
    MemoryJournal,
    RecordingSink,
    VirtualClock,
)


@define
class Crew:
    """A fleet with everything that a test may want to look at."""

    stub: AgentOrchestratorStub = field(factory=AgentOrchestratorStub)
    sink: RecordingSink = field(factory=RecordingSink)
    journal: MemoryJournal | None = None
    breaker: CircuitBreaker = field(factory=CircuitBreaker)
    faults: list[str] = field(factory=list)
    fleet: FleetEngine = field(init=False)

    def __attrs_post_init__(self) -> None:
        clock = VirtualClock()
        context = FleetContext(
            tools=FixedTools(),
            orchestrator_of=lambda _: self.stub,
            clock=clock,
            randomness=FixedRandomness(),
            lanes=Lanes(clock),
            breaker=self.breaker,
            log_fault=self.faults.append,
            sink=self.sink,
            journal=self.journal,
        )
        self.fleet = FleetEngine(context)


def tasks(count: int, agent: str | None = None, **options: Any) -> list[SpawnTask]:
    """``count`` equal tasks."""
    return [SpawnTask(f"task {n}", agent, **options) for n in range(count)]


def causes(results: list[SpawnResult]) -> list[str | None]:
    """The cause of each failure, None for a success."""
    return [each.failure.cause.value if each.failure else None for each in results]


Metadata = Mapping[str, Any]
