"""What follows a failure, and that nothing is counted which never happened."""

import asyncio
from typing import Any

import pytest

from muster.application import recovery
from muster.application.batch import BatchOptions
from muster.domain.circuit_breaker import CircuitBreaker
from muster.domain.errors import ConfigError
from muster.domain.fleet_events import RetryScheduled
from muster.domain.outcome import FailureCause
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.retry_budget import RetryBudget
from muster.domain.spawn_policy import RetryPolicy, SpawnPolicy, TerminationPolicy
from muster.domain.tool import ToolSpec
from muster.testing import (
    FixedTools,
    fails,
    hangs,
    in_virtual_time,
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


@pytest.mark.parametrize(
    ("retry", "delays"),
    [
        (RetryPolicy(4, "immediate", jitter="none"), [0, 0, 0]),
        (RetryPolicy(4, "fixed", 2.0, jitter="none"), [2, 2, 2]),
        (RetryPolicy(4, "linear", 2.0, 60, 2.0, jitter="none"), [2, 6, 10]),
        (RetryPolicy(4, "exponential", 2.0, 7.0, 2.0, jitter="none"), [2, 4, 7]),
        (RetryPolicy(4, "exponential", 2.0, 60, 2.0, jitter="equal"), [1.5, 3, 6]),
        (RetryPolicy(4, "exponential", 2.0, 60, 2.0), [1, 2, 4]),
        (RetryPolicy(1), []),
        (RetryPolicy(0), []),
    ],
)
@in_virtual_time
async def test_a_spawn_policys_own_back_off(
    retry: RetryPolicy, delays: list[float]
) -> None:
    """Every strategy, factor, cap and jitter is obeyed (the draw is 0.5)."""
    crew = Crew()
    crew.stub.on("llm", fails("crash"))

    (result,) = await crew.fleet.spawn_parallel_with_recovery(
        tasks(1), policy=SpawnPolicy(retry=retry), fallback_to_llm=False
    )

    assert [each.delay_before for each in result.attempts[1:]] == delays
    assert result.retry_count == len(delays)


@pytest.mark.parametrize(
    ("options", "agent", "expected"),
    [
        ({}, None, (2, True)),
        ({"retries": 7}, None, (7, True)),
        ({"fallback": False}, None, (2, False)),
        ({"recovery": SLOWLY}, "a", (5, False)),
        ({"recovery": SLOWLY.with_override("a", max_retries=1)}, "a", (1, False)),
        ({"recovery": SLOWLY.with_override("a", max_retries=1)}, "b", (5, False)),
    ],
)
def test_which_policy_holds(
    options: dict[str, Any], agent: str | None, expected: tuple[int, bool]
) -> None:
    """The call's, changed by the call's numbers, then by the agent's overrides."""
    found = recovery.recovery_for(
        BatchOptions(1, **options), SpawnPolicy(retry=RetryPolicy(3)), agent
    )

    assert (found.max_retries, found.fallback_to_llm) == expected


def test_a_fleets_own_recovery_comes_after_the_calls() -> None:
    """Settings hold where the call says nothing."""
    policy, fast = SpawnPolicy(), RecoveryPolicy.fast_fallback()
    none = recovery.recovery_for(BatchOptions(1), policy, None, default=SLOWLY)
    given = recovery.recovery_for(
        BatchOptions(1, recovery=fast), policy, None, default=SLOWLY
    )

    assert (none, given) == (SLOWLY, fast)


# --- what never happened is not counted ---------------------------------------


@pytest.mark.parametrize("how", ["drain", "stop"])
@in_virtual_time
async def test_a_retry_that_was_only_planned_is_none(how: str) -> None:
    """Who is drained while it waits for its retry has made one attempt and no retry."""
    crew = Crew()
    crew.stub.on("a", fails("crash"))
    asyncio.get_running_loop().call_later(5, getattr(crew.fleet, how))

    results, metadata = await crew.fleet.spawn_parallel_tracked(
        tasks(1, "a"), recovery_policy=SLOWLY
    )

    assert causes(results) == ["cancelled"]
    assert (results[0].retry_count, results[0].recovery_path) == (0, [])
    assert len(results[0].attempts) == 1
    assert metadata["retried_tasks"] == []
    assert crew.fleet.metrics.retries == 0
    assert [each.retry for each in crew.sink.of(RetryScheduled)] == [1]


@in_virtual_time
async def test_a_fallback_that_was_only_planned_is_none() -> None:
    """Drained between the last attempt and its fallback: no fallback was made."""
    crew = Crew()
    crew.stub.on("a", fails("crash"))

    def on_progress(index: int, total: int, agent: str, status: str) -> None:
        if status.startswith("Fallback"):
            crew.fleet.drain()

    results, metadata = await crew.fleet.spawn_parallel_tracked(
        tasks(1, "a"), max_retries=0, on_progress=on_progress
    )

    assert causes(results) == ["cancelled"]
    assert (results[0].fallback, results[0].original_agent) == (False, None)
    assert (metadata["fallback_count"], crew.fleet.metrics.fallbacks) == (0, 0)


@in_virtual_time
async def test_a_retry_blocked_by_others_goes_to_the_fallback_uncounted() -> None:
    """The circuit opened by other tasks' failures, while this one waited."""
    crew = Crew(breaker=CircuitBreaker(failure_threshold=2))
    crew.stub.on(lambda request: request.agent == "a", fails("crash"))

    results, _ = await crew.fleet.spawn_parallel_tracked(
        tasks(3, "a"),
        recovery_policy=RecoveryPolicy(max_retries=1, base_delay=5.0, jitter="none"),
    )

    for result in results:
        assert result.success
        tried = [each.agent for each in result.attempts]
        assert tried.count("a") == result.retry_count + 1
        assert result.recovery_path[-1] == "fallback"
    # Its own failure costs nobody a retry: two of others' do.
    assert sorted(each.retry_count for each in results) == [0, 1, 1]


@in_virtual_time
async def test_a_blocked_task_without_fallback_fails_at_once() -> None:
    """No process, no retry; the reason says when to come back."""
    crew = Crew()
    crew.stub.on("a", fails("auth"))

    await crew.fleet.spawn_parallel(tasks(2, "a"))
    (result,) = await crew.fleet.spawn_parallel_with_recovery(
        tasks(1, "a"), fallback_to_llm=False
    )

    assert causes([result]) == ["circuit_open"]
    assert (len(crew.stub.calls), result.attempts) == (2, ())
    assert "retry in" in str(result.error)


@pytest.mark.parametrize(
    ("agent", "policy", "calls"),
    [("a", "default", 2), ("a", "development", 3), ("adhoc-1", "default", 3)],
)
@in_virtual_time
async def test_whose_failures_open_a_circuit(
    agent: str, policy: str, calls: int
) -> None:
    """Named agents after two permanent failures; not where the breaker is off."""
    crew = Crew()
    crew.stub.on(lambda request: request.agent == agent, fails("inference"))

    await crew.fleet.spawn_parallel_with_recovery(
        tasks(3, agent),
        max_concurrent=1,
        max_retries=0,
        policy=policy,
        fallback_to_llm=False,
    )

    assert len(crew.stub.calls) == calls


@in_virtual_time
async def test_spawned_agents_are_adhoc() -> None:
    """`is_spawn` makes the agent ad-hoc for good."""
    crew = Crew()
    crew.stub.on("plain-name", fails("crash"))

    await crew.fleet.spawn_parallel(tasks(3, "plain-name", is_spawn=True))

    assert crew.breaker.is_adhoc("plain-name")
    assert crew.fleet.health_status("plain-name")["state"] == "closed"


# --- what can't work ----------------------------------------------------------


@in_virtual_time
async def test_a_fallback_tool_of_its_own() -> None:
    """Even a task without an agent has a fallback where it goes to another tool."""
    crew = Crew()
    crew.stub.on(lambda request: request.tool.name == "sim", fails("crash"))
    policy = RecoveryPolicy(max_retries=0, fallback_tool="other")

    (result,) = await crew.fleet.spawn_parallel_with_recovery(
        tasks(1), recovery_policy=policy
    )

    assert (result.success, result.fallback, result.tool) == (True, True, "other")


@in_virtual_time
async def test_a_fallback_tool_that_is_missing() -> None:
    """It is a failed result like every tool that can't be found."""
    crew = Crew()
    crew.fleet.context.tools = FixedTools(PLAIN)
    crew.stub.on("a", fails("crash"))
    policy = RecoveryPolicy(max_retries=0, fallback_tool="nowhere")

    (result,) = await crew.fleet.spawn_parallel_with_recovery(
        tasks(1, "a"), recovery_policy=policy
    )

    assert causes([result]) == ["tool_not_found"]
    assert len(result.attempts) == 1


@in_virtual_time
async def test_a_pattern_that_is_none_is_told_before_the_start() -> None:
    """A policy with a broken pattern starts nobody."""
    crew = Crew()
    crew.stub.on("llm", hangs())
    policy = SpawnPolicy(termination=TerminationPolicy(patterns=("(",)))

    (result,) = await crew.fleet.spawn_parallel(tasks(1), policy=policy)

    assert "termination pattern" in str(result.error)
    assert crew.stub.calls == []


@in_virtual_time
async def test_a_broken_recovery_is_an_error_of_the_call() -> None:
    """A config that names a key that does not exist is refused."""
    crew = Crew()

    with pytest.raises(ConfigError, match="max_retrys"):
        await crew.fleet.spawn_parallel_with_recovery(
            tasks(1), config={"spawner": {"recovery": {"max_retrys": 1}}}
        )


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        ("crash", True),
        ("quota", False),
        ("auth", False),
        ("not_found", True),
        ("output_invalid", True),
        ("circuit_open", True),
    ],
)
@in_virtual_time
async def test_when_a_direct_call_may_help(
    cause: str,
    expected: bool,  # noqa: FBT001
) -> None:
    """On the same tool it meets the same login and quota."""
    crew = Crew()
    crew.stub.on("a", fails(cause) if cause != "circuit_open" else fails("auth"))
    if cause == "circuit_open":
        await crew.fleet.spawn_parallel(tasks(2, "a"))

    crew.stub.on(lambda request: request.agent is None, replies())
    (result,) = await crew.fleet.spawn_parallel_with_recovery(
        tasks(1, "a"), recovery_policy=RecoveryPolicy.fast_fallback()
    )

    assert FailureCause(cause)
    assert result.fallback is expected


@in_virtual_time
async def test_where_nothing_is_recovered_nothing_falls_back() -> None:
    """A route of a batch without recovery."""
    crew = Crew()
    crew.stub.on("a", fails("crash"))

    (result,) = await crew.fleet.spawn_parallel(tasks(1, "a"))

    assert (result.success, result.fallback) == (False, False)
