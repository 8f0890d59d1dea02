"""Retries within deadlines, rate limits and the budget of their lane."""

import asyncio
from typing import Any

import pytest

from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.retry_budget import RetryBudget
from muster.domain.task import SpawnTask
from muster.domain.tool import ToolSpec
from muster.testing import (
    fails,
    in_virtual_time,
    prints,
    replies,
)
from tests.unit.application.crew import Crew, causes, tasks

PLAIN = ToolSpec("sim", ("sim",))
CLI = ToolSpec("cli", ("cli",), is_agent=True)
SLOWLY = RecoveryPolicy(
    max_retries=5, base_delay=10.0, max_delay=10, jitter="none", fallback_to_llm=False
)


def spent(crew: Crew, tool: ToolSpec = PLAIN, tokens: float = 0.0) -> RetryBudget:
    """The retry budget of a tool's lane, with only so many tokens left."""
    lanes = crew.fleet.context.lanes
    budget = lanes.budget(lanes.lane(tool, None))
    budget.tokens = tokens
    return budget


@in_virtual_time
async def test_a_retry_beyond_the_deadline_is_not_made() -> None:
    """The failure is told at once, with the reason why nothing follows."""
    crew = Crew()
    crew.stub.on("llm", fails("crash"))

    (result,) = await crew.fleet.spawn_parallel_with_recovery(
        tasks(1, timeout=8.0), recovery_policy=SLOWLY
    )

    assert asyncio.get_running_loop().time() == 0
    assert causes([result]) == ["crash"]
    assert "after the deadline" in str(result.error)


@in_virtual_time
async def test_a_free_retry_beyond_the_deadline_is_not_made() -> None:
    """A rate limit that lasts longer than the task may is its failure."""
    crew = Crew()
    crew.stub.on("llm", fails("rate_limit", retry_after=30))

    (result,) = await crew.fleet.spawn_parallel_with_recovery(
        tasks(1, timeout=20.0), recovery_policy=SLOWLY
    )

    assert causes([result]) == ["rate_limit"]
    assert "after the deadline" in str(result.error)


@pytest.mark.parametrize(
    ("tool", "script", "calls"),
    [
        (PLAIN, fails("rate_limit"), 4),
        (CLI, fails("rate_limit"), 12),
        (PLAIN, prints("x") + fails("rate_limit"), 1),
    ],
)
@in_virtual_time
async def test_how_long_a_rate_limit_is_waited_for(
    tool: ToolSpec, script: Any, calls: int
) -> None:
    """Programs get three free tries, agents as long as one attempt; output costs one."""
    crew = Crew()
    crew.stub.on("llm", script)
    no_retry = RecoveryPolicy(
        max_retries=0, base_delay=30.0, max_delay=30, jitter="none"
    )

    (result,) = await crew.fleet.spawn_parallel_with_recovery(
        tasks(1, tool=tool), recovery_policy=no_retry
    )

    assert causes([result]) == ["rate_limit"]
    assert len(crew.stub.calls) == pytest.approx(calls, abs=1 if calls > 4 else 0)
    assert result.retry_count == 0


@in_virtual_time
async def test_an_empty_budget_waits_for_successes() -> None:
    """A retry without a token waits until four successes have earned one."""
    crew = Crew()
    crew.stub.on("bad", fails("crash"), replies("late"))
    crew.stub.on("good", replies(after=10.0))
    spent(crew)

    results = await crew.fleet.spawn_parallel_with_recovery(
        [SpawnTask("x", "bad"), *(SpawnTask("x", "good") for _ in range(6))],
        recovery_policy=RecoveryPolicy(max_retries=1, base_delay=0.0),
        max_concurrent=2,
    )

    assert causes(results) == [None] * 7
    assert crew.stub.calls_of("bad")[1].started_at == pytest.approx(20.0, abs=0.1)


@in_virtual_time
async def test_an_empty_budget_is_no_wait_for_ever() -> None:
    """Who can earn no token any more ends with its failure, however many they are."""
    crew = Crew()
    crew.stub.on("llm", fails("crash", after=1.0))
    spent(crew)

    results = await crew.fleet.spawn_parallel_with_recovery(
        tasks(200), recovery_policy=SLOWLY, max_concurrent=3
    )

    assert causes(results) == ["crash"] * 200
    assert len(crew.stub.calls) == 200


@in_virtual_time
async def test_a_wait_for_a_token_ends_at_the_deadline() -> None:
    """Whatever else still runs."""
    crew = Crew()
    crew.stub.on("bad", fails("crash"))
    crew.stub.on("slow", replies(after=100.0))
    spent(crew)
    told: list[tuple[str, float]] = []

    def on_progress(index: int, total: int, agent: str, status: str) -> None:
        told.append(
            (status.split(" ", maxsplit=1)[0], asyncio.get_running_loop().time())
        )

    results = await crew.fleet.spawn_parallel_with_recovery(
        [SpawnTask("x", "bad", timeout=7.0), SpawnTask("x", "slow")],
        policy="development",
        max_retries=1,
        on_progress=on_progress,
    )

    assert causes(results) == ["crash", None]
    assert ("Failed", 7.0) in told


@in_virtual_time
async def test_a_token_may_come_from_another_batch() -> None:
    """The budget is the fleet's: what another batch earns is news."""
    crew = Crew()
    crew.stub.on("bad", fails("crash"), replies())
    crew.stub.on("good", replies(after=10.0))
    spent(crew, tokens=0.75)

    async with asyncio.TaskGroup() as group:
        other = group.create_task(
            crew.fleet.spawn_parallel_with_recovery(tasks(1, "good"))
        )
        await asyncio.sleep(1)
        results = await crew.fleet.spawn_parallel_with_recovery(
            tasks(1, "bad"),
            recovery_policy=RecoveryPolicy(max_retries=1, base_delay=0.0),
        )

    assert causes([*results, *other.result()]) == [None, None]
    assert crew.stub.calls_of("bad")[1].started_at == 10.0


@in_virtual_time
async def test_drain_frees_who_waits_for_a_token() -> None:
    """Nobody is waited for after a drain but who runs."""
    crew = Crew()
    crew.stub.on("bad", fails("crash"))
    crew.stub.on("slow", replies(after=100.0))
    spent(crew)
    asyncio.get_running_loop().call_later(5, crew.fleet.drain)

    results = await crew.fleet.spawn_parallel_with_recovery(
        [SpawnTask("x", "bad"), SpawnTask("x", "slow")],
        policy="development",
        max_retries=1,
    )

    assert causes(results) == ["cancelled", None]
