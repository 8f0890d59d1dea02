"""The collect phase: the engine of all plans, with a true account of what happened."""

from typing import Any

import pytest

from muster.application.soar.collect import Collector, CollectResult
from muster.application.soar.ledger import Ledger
from muster.domain.assignment import assign
from muster.domain.circuit_breaker import CircuitBreaker
from muster.domain.outcome import FailureCause
from muster.domain.subgoals import MatchQuality, Subgoal
from muster.testing import MemoryJournal, fails, hangs, in_virtual_time, replies, waits
from tests.unit.application.crew import Crew
from tests.unit.application.questions import CODER

KEYS = {
    "total_duration_ms",
    "total_subgoals",
    "failed_subgoals",
    "fallback_count",
    "spawn_count",
    "spawned_agents",
    "circuit_blocked",
    "circuit_blocked_count",
    "early_terminations",
    "retried_agents",
}
ADHOC, NAMED = MatchQuality.INSUFFICIENT, MatchQuality.EXCELLENT


def adhoc(*needs: int) -> Subgoal:
    """For somebody made up."""
    return Subgoal("look", "reader", depends_on=needs)


def named(*needs: int) -> Subgoal:
    """For the coder."""
    return Subgoal("code", "coder", "", "coder", NAMED, depends_on=needs)


async def collected(
    crew: Crew, *subgoals: Subgoal, progress: Any = None, **options: Any
) -> CollectResult:
    """What the crew came to."""
    ledger = Ledger(crew.fleet.context)
    collector = Collector(ledger, "why?", **options)
    return await collector.execute_agents(
        assign(subgoals, [CODER]), subgoals, "", progress
    )


@in_virtual_time
async def test_nobody_fails() -> None:
    """All keys, and all of them say that nothing happened."""
    result = await collected(Crew(), adhoc(), named(1))

    told = result.execution_metadata
    assert set(told) == KEYS
    assert (told["total_subgoals"], told["failed_subgoals"]) == (2, 0)
    assert (told["spawn_count"], told["spawned_agents"]) == (1, ["adhoc-reader"])
    assert result.fallback_agents == ()
    assert result.user_interactions == ()
    assert result.warning is None
    assert [each.result.success for each in result.agent_outputs] == [True, True]


@in_virtual_time
async def test_no_subgoals() -> None:
    """Are no failure."""
    result = await collected(Crew())

    assert result.agent_outputs == ()
    assert result.execution_metadata["total_subgoals"] == 0


@in_virtual_time
async def test_retries_and_fallbacks_are_counted() -> None:
    """The agent that was given up is named."""
    crew = Crew()
    crew.stub.on(lambda r: r.task_id == "s1", fails("network"), replies("yes"))
    crew.stub.on(lambda r: r.agent == "coder", fails("crash"))

    result = await collected(crew, adhoc(), named(), fallback=True)

    told = result.execution_metadata
    retries = {each["agent_id"]: each["retries"] for each in told["retried_agents"]}
    assert retries == {"adhoc-reader": 1, "coder": 2}
    assert [each["subgoal_index"] for each in told["retried_agents"]] == [0, 1]
    assert (told["fallback_count"], result.fallback_agents) == (1, ("coder",))
    assert told["failed_subgoals"] == 0


@in_virtual_time
async def test_an_open_circuit_starts_nobody() -> None:
    """Who was blocked, why, and how it stands."""
    breaker = CircuitBreaker()
    for moment in range(3):
        breaker.record_failure("coder", float(moment), FailureCause.CRASH)
    crew = Crew(breaker=breaker)

    result = await collected(crew, adhoc(), named(), fallback=True)

    told = result.execution_metadata
    [blocked] = told["circuit_blocked"]
    assert told["circuit_blocked_count"] == 1
    assert (blocked["agent_id"], blocked["subgoal_index"]) == ("coder", 1)
    assert blocked["reason"].startswith("Circuit open")
    assert blocked["health_status"]["agent_id"] == "coder"
    assert result.fallback_agents == ("coder",)


@in_virtual_time
async def test_made_up_agents_are_never_blocked() -> None:
    """However often they fail."""
    crew = Crew()
    crew.stub.on(lambda _: True, fails("crash"))

    result = await collected(crew, *[adhoc() for _ in range(6)])

    told = result.execution_metadata
    assert (told["failed_subgoals"], told["circuit_blocked_count"]) == (6, 0)
    assert told["spawn_count"] == 6


@in_virtual_time
async def test_dependents_go_on_with_what_there_is() -> None:
    """And are told that it is not all."""
    crew = Crew()
    crew.stub.on(lambda r: r.task_id == "s1", fails("auth"))

    result = await collected(crew, adhoc(), adhoc(1))

    assert [each.result.success for each in result.agent_outputs] == [False, True]
    prompt = crew.stub.calls[-1].request.text
    assert "✗ [s1]: FAILED" in prompt
    assert "WARNING: 1/1 dependencies failed" in prompt


@pytest.mark.parametrize(("chain", "limit"), [(False, 15.0), (True, 30.0)])
def test_out_of_time(limit: float, *, chain: bool) -> None:
    """1.5 times an agent's time for each step: what is finished stays, nothing raises."""

    @in_virtual_time
    async def check() -> None:
        crew = Crew()
        crew.stub.on(lambda r: r.task_id == "s1", waits(9) + replies("quick"))
        crew.stub.on(lambda _: True, hangs())
        subgoals = [adhoc(), adhoc(1) if chain else adhoc(), adhoc()]

        # One after the other, so that they can't be through before the whole is.
        result = await collected(crew, *subgoals, agent_timeout=10.0, max_concurrent=1)

        told = result.execution_metadata
        assert told["total_duration_ms"] <= limit * 1000 + 3000
        assert result.agent_outputs[0].result.output == "quick"
        assert not result.agent_outputs[-1].result.success
        assert told["failed_subgoals"] == 2
        if not chain:
            assert result.warning == "out of time: 2 of 3 subgoals were cut off"

    check()


@in_virtual_time
async def test_no_more_at_once_than_may_be() -> None:
    """And all of them in the end."""
    crew = Crew()
    crew.stub.on(lambda _: True, waits(1) + replies("x"))

    result = await collected(crew, *[adhoc() for _ in range(6)], max_concurrent=2)

    assert crew.stub.peak_active == 2
    assert result.execution_metadata["failed_subgoals"] == 0


@in_virtual_time
async def test_progress_is_told_by_subgoal() -> None:
    """Numbers from 1, and the names of those who were made up."""
    told: list[tuple[int, int, str, str]] = []

    await collected(Crew(), adhoc(), named(), progress=lambda *each: told.append(each))

    starts = sorted(each[:3] for each in told if each[3] == "Starting")
    assert starts == [(1, 2, "adhoc-reader"), (2, 2, "coder")]
    assert sum(each[3].startswith("Completed") for each in told) == 2


@in_virtual_time
async def test_results_are_recorded_as_they_come() -> None:
    """Under the names by which a run that goes on looks for them."""
    crew = Crew(journal=MemoryJournal())

    await collected(crew, adhoc(), named(1))

    assert crew.journal is not None
    places = {each.task_id: each.task_index for each in crew.journal.results}
    assert places["s2"] == places["s1"] + 1
