"""The engine in bad weather: no room on the machine, absurd advice, faults of our own."""

import asyncio
import random
from math import inf, nan
from typing import Any

import pytest

from muster.application.ports.agent_orchestrator import Capabilities
from muster.domain.errors import AgentInvocationError
from muster.domain.events import AgentEnded, AgentStarted
from muster.domain.outcome import Failure, FailureCause
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.task import AgentOutput, SpawnTask
from muster.testing import fails, hangs, in_virtual_time, raises, replies
from tests.unit.application.crew import Crew, causes, tasks

QUICK = RecoveryPolicy(max_retries=2, base_delay=1.0, jitter="none")


class Narrow:
    """A machine with room for a few agents; whoever comes too many is not started."""

    def __init__(
        self, room: int, cause: FailureCause = FailureCause.OUT_OF_MEMORY
    ) -> None:
        self.capabilities = Capabilities("narrow")
        self.room = room
        self.refused = 0
        self._cause = cause
        self._active = 0

    async def invoke(self, request: Any, report: Any) -> AgentOutput:
        if self._active >= self.room:
            self.refused += 1
            report(AgentEnded())
            failure = Failure(self._cause, "no room")
            raise AgentInvocationError(request.agent_id, failure)
        self._active += 1
        try:
            report(AgentStarted())
            await asyncio.sleep(60)
            report(AgentEnded(0, output="ok"))
        finally:
            self._active -= 1
        return AgentOutput("ok", request.agent_id)

    async def aclose(self) -> None:
        """Nothing is open."""


def in_a_narrow_world(room: int, **options: Any) -> tuple[Crew, Narrow]:
    crew, narrow = Crew(), Narrow(room, **options)
    crew.fleet.context.orchestrator_of = lambda _: narrow
    return crew, narrow


@pytest.mark.parametrize("room", [1, 5, 71])
@pytest.mark.parametrize("cause", [FailureCause.OUT_OF_MEMORY, FailureCause.DISK_FULL])
def test_who_finds_no_room_waits_for_it(room: int, cause: FailureCause) -> None:
    """Without a retry, a token or a mark against the agent, however many there are."""

    @in_virtual_time
    async def check() -> None:
        crew, narrow = in_a_narrow_world(room, cause=cause)
        results = await crew.fleet.spawn_parallel_with_recovery(
            tasks(72, "bob"),
            recovery_policy=QUICK,
            max_concurrent=72,
            policy="production",
        )
        assert causes(results) == [None] * 72
        assert {each.retry_count for each in results} == {0}
        assert narrow.refused > 0
        assert crew.fleet.health_status("bob")["failure_count"] == 0

    check()


@in_virtual_time
async def test_a_task_with_a_deadline_waits_for_room_until_then() -> None:
    """And then it has failed for what it waited for."""
    crew, _ = in_a_narrow_world(1)
    blocker, hopeless = await crew.fleet.spawn_parallel_with_recovery(
        [SpawnTask("x"), SpawnTask("y", timeout=30)], recovery_policy=QUICK
    )

    assert causes([blocker, hopeless]) == [None, "out_of_memory"]
    assert hopeless.execution_time <= 30


@in_virtual_time
async def test_alone_without_room_every_try_counts() -> None:
    """Nobody's end can make room then: as many retries as the policy has."""
    crew, narrow = in_a_narrow_world(0)
    (result,) = await crew.fleet.spawn_parallel_with_recovery(
        [SpawnTask("x", "bob")],
        recovery_policy=RecoveryPolicy(max_retries=2, fallback_to_llm=False),
    )

    assert causes([result]) == ["out_of_memory"]
    assert (result.retry_count, narrow.refused) == (2, 3)


@in_virtual_time
async def test_an_agent_that_ran_out_of_memory_is_another_matter() -> None:
    """It had started: that is a failure of its own, and costs a retry."""
    crew = Crew()
    crew.stub.on("bob", fails("out_of_memory"), replies("ok"))
    crew.stub.on("other", replies(after=100))
    results = await crew.fleet.spawn_parallel_with_recovery(
        [SpawnTask("x", "other"), SpawnTask("x", "bob")], recovery_policy=QUICK
    )

    assert [each.retry_count for each in results] == [0, 1]


@pytest.mark.parametrize(
    "advice", [-1.0, nan, inf, -inf, 0.0, 3.15e8, 1e300, -1e300, 5e-324]
)
@pytest.mark.parametrize("cause", ["rate_limit", "overloaded", "server_error"])
def test_absurd_advice_when_to_come_back(advice: float, cause: str) -> None:
    """Within the deadline or not at all; nobody waits for ten years or for less than nothing."""

    @in_virtual_time
    async def check() -> None:
        crew = Crew()
        crew.stub.on("bob", fails(cause, retry_after=advice), replies("ok"))
        loop = asyncio.get_running_loop()
        (result,) = await crew.fleet.spawn_parallel_with_recovery(
            [SpawnTask("x", "bob", timeout=100)], recovery_policy=QUICK
        )
        assert 0 <= loop.time() <= 101
        assert result.success or causes([result])[0] in {cause, "parked", "deadline"}

    check()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("boom"),
        MemoryError(),
        RecursionError("deep"),
        OSError(24, "too many files"),
        StopIteration(),
        StopAsyncIteration(),
        TimeoutError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        asyncio.CancelledError(),
        asyncio.InvalidStateError(),
        ExceptionGroup("several", [ValueError("one")]),
        AssertionError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_an_adapter_raises_costs_one_task(error: Any) -> None:
    """By every function; the others finish, and nobody is left active."""

    @in_virtual_time
    async def check() -> None:
        crew = Crew()
        crew.stub.on("bad", raises(error))
        crew.stub.on("good", replies("ok", after=5.0))
        work = [SpawnTask("x", "good"), SpawnTask("x", "bad"), SpawnTask("x", "good")]
        for results in (
            await crew.fleet.spawn_parallel(work),
            await crew.fleet.spawn_parallel_with_recovery(
                work, recovery_policy=RecoveryPolicy.no_recovery()
            ),
            [each async for each in crew.fleet.spawn_stream(work)],
        ):
            assert sorted(each.success for each in results) == [False, True, True]
        assert crew.fleet.context.active == set()

    check()


@pytest.mark.parametrize("port", ["breaker.admit", "lanes.admit", "clock.epoch"])
def test_a_fault_of_our_own_costs_one_task(port: str) -> None:
    """An exception in one of our parts: that task fails with it, the others go on."""

    @in_virtual_time
    async def check() -> None:
        crew = Crew()
        context: Any = crew.fleet.context
        faults = iter([False, True, False, False, False])

        class Faulty:
            """The part, which breaks at its second use."""

            def __init__(self, part: Any, name: str) -> None:
                self._part, self._name = part, name

            def __getattr__(self, name: str) -> Any:
                if name == self._name and next(faults, False):
                    raise ZeroDivisionError("ours")
                return getattr(self._part, name)

        owner, _, name = port.partition(".")
        setattr(context, owner, Faulty(getattr(context, owner), name))
        results = await crew.fleet.spawn_parallel_with_recovery(
            tasks(3, "bob"),
            max_concurrent=1,
            recovery_policy=RecoveryPolicy.no_recovery(),
        )
        assert len(results) == 3
        assert [each.success for each in results].count(False) <= 1
        assert context.active == set()

    check()


@pytest.mark.parametrize("seed", range(10))
def test_batches_cancelled_at_random_moments(seed: int) -> None:
    """A hundred batches of ten, cancelled anywhere: nobody active, the fleet still works."""

    @in_virtual_time
    async def check() -> None:
        chance = random.Random(seed)  # noqa: S311 - no secret
        crew = Crew()
        crew.stub.on("a", replies("ok", after=1.0))
        crew.stub.on("b", hangs())
        crew.stub.on("c", fails("network"))
        for _ in range(100):
            work = [SpawnTask("x", chance.choice("abc")) for _ in range(10)]
            limit = chance.choice([1, 2, 10])
            try:
                async with asyncio.timeout(chance.uniform(0, 4)):
                    await crew.fleet.spawn_parallel_with_recovery(
                        work, max_concurrent=limit, policy="development"
                    )
            except TimeoutError:
                pass
            assert crew.stub.active == 0
            assert crew.fleet.context.active == set()
        crew.breaker.reset_all()
        assert (await crew.fleet.spawn(SpawnTask("x", "a"))).success

    check()


@in_virtual_time
async def test_an_outage_costs_hardly_more_calls_than_tasks() -> None:
    """A dead backend: the lane's retries end soon, and later tasks are tried once."""
    crew = Crew()
    crew.stub.on("bob", fails("server_error"))
    results = await crew.fleet.spawn_parallel_with_recovery(
        [SpawnTask("x", "bob") for _ in range(1000)],
        max_concurrent=20,
        recovery_policy=RecoveryPolicy(max_retries=3, fallback_to_llm=False),
    )

    assert len(results) == 1000
    assert len(crew.stub.calls) <= 1000 + 100


class JumpingClock:
    """Virtual time whose epoch somebody sets."""

    def __init__(self, really: Any) -> None:
        self._really = really
        self.jump = 0.0

    def epoch(self) -> float:
        return float(self._really.epoch()) + self.jump

    def __getattr__(self, name: str) -> Any:
        return getattr(self._really, name)


@in_virtual_time
async def test_a_wall_clock_that_jumps_moves_no_delay() -> None:
    """Retries and open circuits follow the monotonic clock."""
    crew = Crew()
    crew.stub.on("bob", fails("crash"))
    await crew.fleet.spawn_parallel(tasks(3, "bob"))
    context: Any = crew.fleet.context
    clock = context.clock = JumpingClock(context.clock)

    told = []
    for clock.jump in (-3600.0, 10.0**9, 0.0):
        (result,) = await crew.fleet.spawn_parallel_with_recovery(
            [SpawnTask("x", "bob")], fallback_to_llm=False
        )
        assert result.failure is not None
        told.append((result.failure.cause.value, result.failure.retry_after or 0.0))

    assert {cause for cause, _ in told} == {"circuit_open"}
    assert all(0 < wait <= 120 for _, wait in told)
