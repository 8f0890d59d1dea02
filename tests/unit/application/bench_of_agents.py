"""A service of simulated agents in virtual time, and short words for its tests."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import define, field

from muster.application.concurrent_deliberation import ConcurrentDeliberationService
from muster.domain.concurrent_result import ConcurrentResult
from muster.domain.pool import AgentPool
from muster.domain.task import AgentRequest
from muster.domain.witness import Head, Statement, WitnessRecord, head_of, link
from muster.testing import (
    AgentOrchestratorStub,
    Behaviour,
    FixedRandomness,
    HaltSwitch,
    VirtualClock,
)


def now() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


def requests(*agents: str) -> list[AgentRequest]:
    """One request each."""
    return [AgentRequest(agent, prompt=f"ask {agent}") for agent in agents]


def crowd(size: int) -> list[AgentRequest]:
    """Requests of agents ``a0``, ``a1``, ..."""
    return requests(*(f"a{number}" for number in range(size)))


def causes(result: ConcurrentResult) -> dict[str, str]:
    """Why each agent failed."""
    return {each.agent_id: each.failure.cause.value for each in result.failures}


@define
class MemoryWitness:
    """A witness that forgets at exit; a commit takes ``delay`` seconds, or ``error``."""

    run_id: str = "memory"
    delay: float = 0.0
    error: Exception | None = None
    records: list[tuple[WitnessRecord, str]] = field(factory=list)
    head: Head = field(factory=Head)

    async def commit(self, statement: Statement) -> WitnessRecord:
        """Links it."""
        await asyncio.sleep(self.delay)
        if self.error is not None:
            raise self.error
        kept = statement.content
        record = link(self.head, self.run_id, statement, kept=kept, recorded_at=now())
        self.head = head_of(record)
        self.records.append((record, kept))
        return record


@define
class Bench:
    """The stub, the halt, the pool, and services that share them."""

    stub: AgentOrchestratorStub
    pool: AgentPool = field(factory=AgentPool)
    halt: Any = field(factory=HaltSwitch)
    clock: VirtualClock = field(factory=VirtualClock)
    randomness: FixedRandomness = field(factory=FixedRandomness)

    @classmethod
    def of(cls, *behaviours: Behaviour, size: int = 72, **parts: Any) -> "Bench":
        """Agents that behave so."""
        return cls(AgentOrchestratorStub(*behaviours), AgentPool(size), **parts)

    def service(self, **options: Any) -> ConcurrentDeliberationService:
        """One more service on the same pool."""
        return ConcurrentDeliberationService(
            self.stub,
            self.halt,
            self.pool,
            clock=self.clock,
            randomness=self.randomness,
            **options,
        )


async def at_the_same_time(
    *jobs: Awaitable[Any], then: Callable[[], Awaitable[Any]] | None = None
) -> list[Any]:
    """What each came to, its error included."""

    async def one(job: Awaitable[Any]) -> Any:
        try:
            return await job
        except Exception as error:  # noqa: BLE001 - the result of the test
            return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(job)) for job in jobs]
        if then is not None:
            await then()
    return [task.result() for task in tasks]
