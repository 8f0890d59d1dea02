"""Whatever agents, hosts and halts do: nobody is lost, and the pool holds."""

import asyncio
from typing import Any

from attrs import define
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from muster.domain.errors import SystemHaltedError
from muster.domain.pool import AgentPool
from muster.testing import (
    AgentOrchestratorStub,
    VirtualTimeLoop,
    fails,
    hangs,
    raises,
    replies,
)
from tests.unit.application.bench_of_agents import Bench, requests

SIZE = 3
ENDINGS = {
    "quick": replies("quick"),
    "slow": replies("slow", after=2.0),
    "slower": replies("slower", after=5.0),
    "failing": fails("crash", after=1.0),
    "hanging": hangs(),
    "foreign": raises(RuntimeError("foreign")),
    "alarmed": raises(SystemHaltedError("alarm")),
}
AGENTS = st.tuples(st.sampled_from(sorted(ENDINGS)), st.integers(0, 1)).map(
    lambda pair: f"{pair[0]}-{pair[1]}"
)


@define
class _Batch:
    wanted: list[str]
    task: "asyncio.Task[Any]"
    is_cancelled: bool = False


class ManyBatches(RuleBasedStateMachine):
    """Batches begin, are halted, are cancelled, while virtual time goes by."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self.loop = self.runner.get_loop()
        stub = AgentOrchestratorStub()
        for name, ending in ENDINGS.items():
            stub.on(
                lambda request, n=name: request.agent_id.startswith(f"{n}-"), ending
            )
        self.bench = Bench(stub, AgentPool(SIZE))
        self.services = {
            (on_exhausted, twice): self.bench.service(
                on_exhausted=on_exhausted, allow_duplicates=twice, agent_timeout=7.0
            )
            for on_exhausted in ("raise", "queue")
            for twice in (False, True)
        }
        self.batches: list[_Batch] = []

    @rule(
        wanted=st.lists(AGENTS, max_size=8),
        mode=st.sampled_from(["raise", "queue", "queue"]),
        twice=st.booleans(),
    )
    def begin(self, wanted: list[str], mode: str, twice: bool) -> None:  # noqa: FBT001
        """A host asks."""
        service = self.services[mode, twice]
        task = self.loop.create_task(service.invoke_concurrent(requests(*wanted)))
        self.batches.append(_Batch(wanted, task))

    @rule(seconds=st.sampled_from([0.0, 0.05, 1.0, 2.0, 6.0]))
    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.runner.run(asyncio.sleep(seconds))

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        """A host loses interest."""
        batch = data.draw(st.sampled_from(self.batches))
        batch.is_cancelled = True
        batch.task.cancel()

    @rule()
    def halt(self) -> None:
        """Somebody pulls it."""
        self.bench.halt.halt("drill")

    @rule()
    def lift(self) -> None:
        """And lifts it again."""
        self.bench.halt.resume()

    @invariant()
    def the_pool_holds(self) -> None:
        """Never too many, and nobody runs without a slot."""
        assert self.bench.stub.active <= self.bench.pool.active_count <= SIZE
        assert self.bench.stub.peak_active <= SIZE

    @invariant()
    def who_is_finished_has_everybody(self) -> None:
        """Outputs and failures are as many as the requests, in their order."""
        for batch in self.batches:
            if not batch.task.done() or batch.task.cancelled():
                assert not batch.task.done() or batch.is_cancelled
                continue
            if batch.task.exception() is None:
                self.check(batch)

    def check(self, batch: _Batch) -> None:
        """One finished batch."""
        result = batch.task.result()
        assert result.total_count == len(batch.wanted)
        left = list(batch.wanted)
        for each in result.outputs:
            left.remove(each.agent_id)
        assert sorted(left) == sorted(result.failed_agents)
        order = iter(batch.wanted)
        assert all(each.agent_id in order for each in result.outputs)
        is_halted = any(each.failure.cause == "halted" for each in result.failures)
        assert result.halted or not is_halted

    def teardown(self) -> None:
        """In the end all are done and every slot is free."""

        async def last() -> None:
            for batch in self.batches:
                await asyncio.wait([batch.task])

        self.bench.halt.resume()
        self.runner.run(last())
        self.who_is_finished_has_everybody()
        assert self.bench.pool.active_count == self.bench.stub.active == 0
        assert not [
            each for service in self.services.values() for each in service.active
        ]
        for batch in self.batches:
            if not batch.task.cancelled():
                batch.task.exception()
        self.runner.close()


ManyBatches.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None
)
TestManyBatches = ManyBatches.TestCase
