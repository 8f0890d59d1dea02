"""A run that waits for a usage limit to reset, and one that doesn't."""

import asyncio

import pytest

from muster.domain.events import RateLimited, TextProduced
from muster.domain.fleet_events import LaneParked
from muster.domain.outcome import Failure, FailureCause
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.tool import ToolSpec
from muster.testing import fails, in_virtual_time, replies, reports
from tests.unit.application.crew import Crew, causes, tasks

CLI = ToolSpec("cli", ("cli",), is_agent=True)
OTHER = ToolSpec("other", ("other",), is_agent=True)
ONCE = RecoveryPolicy(max_retries=0, fallback_to_llm=False)
HOURS = 5 * 3600.0


def patient() -> Crew:
    """A fleet that waits."""
    crew = Crew()
    crew.fleet.context.waits_for_reset = True
    return crew


def now() -> float:
    """Virtual seconds since the start."""
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("cause", ["quota", "rate_limit"])
@in_virtual_time
async def test_who_waits_goes_on_at_the_reset(cause: str) -> None:
    """What met the limit and what was not begun; no retry is spent, and it is told once."""
    crew = patient()
    resets_at = crew.fleet.context.clock.epoch() + HOURS
    limit = fails(cause, resets_at=resets_at)
    crew.stub.on("llm", limit.times(2), replies(after=1.0).times(20))

    results = await crew.fleet.spawn_parallel_with_recovery(
        tasks(9, tool=CLI), max_concurrent=2, recovery_policy=ONCE
    )

    assert causes(results) == [None] * 9
    assert {each.retry_count for each in results} == {0}
    assert HOURS <= now() < HOURS + 120
    (event,) = crew.sink.of(LaneParked)
    assert (event.resets_at, event.wait) == pytest.approx((resets_at, HOURS), abs=1)


@in_virtual_time
async def test_the_other_lanes_go_on_meanwhile() -> None:
    """A limit of one account is no matter of another tool."""
    crew = patient()
    resets_at = crew.fleet.context.clock.epoch() + HOURS
    crew.stub.on("a", fails("quota", resets_at=resets_at), replies())
    crew.stub.on("b", replies(after=5.0))

    await crew.fleet.spawn_parallel_with_recovery(
        [*tasks(1, "a", tool=CLI), *tasks(4, "b", tool=OTHER)],
        max_concurrent=1,
        recovery_policy=ONCE,
    )

    others = [each.started_at for each in crew.stub.calls if each.request.agent == "b"]
    assert max(others) < 60


@pytest.mark.parametrize(
    ("failure", "first", "rest"),
    [
        # Nobody says until when, or nobody but a person can end it.
        (fails("quota"), "quota", "parked"),
        (fails("auth").times(3), "auth", "auth"),
    ],
)
@in_virtual_time
async def test_what_has_no_known_end_is_not_waited_for(
    failure: object, first: str, rest: str
) -> None:
    """It ends as without the flag."""
    crew = patient()
    crew.stub.on("llm", failure)  # type: ignore[arg-type]

    results = await crew.fleet.spawn_parallel_with_recovery(
        tasks(5, tool=CLI), max_concurrent=1, recovery_policy=ONCE
    )

    assert causes(results)[:2] == [first, rest]
    assert causes(results)[-1] == "parked"
    assert now() < 60


@in_virtual_time
async def test_a_deadline_is_no_reason_to_wait() -> None:
    """A task that is over before the reset ends at once."""
    crew = patient()
    resets_at = crew.fleet.context.clock.epoch() + HOURS
    crew.stub.on("llm", fails("quota", resets_at=resets_at))

    results = await crew.fleet.spawn_parallel_with_recovery(
        tasks(3, tool=CLI, timeout=600.0), max_concurrent=1, recovery_policy=ONCE
    )

    assert causes(results) == ["quota", "parked", "parked"]
    assert now() < 60


@in_virtual_time
async def test_stopping_ends_the_wait() -> None:
    """Ctrl-C after an hour: what waits is left for the next time."""
    crew = patient()
    resets_at = crew.fleet.context.clock.epoch() + HOURS
    crew.stub.on("llm", fails("quota", resets_at=resets_at))
    asyncio.get_running_loop().call_later(3600.0, crew.fleet.stop, "interrupted")

    results = await crew.fleet.spawn_parallel_with_recovery(
        tasks(3, tool=CLI), max_concurrent=1, recovery_policy=ONCE
    )

    assert causes(results) == ["cancelled"] * 3
    assert now() == pytest.approx(3600.0, abs=1)


@in_virtual_time
async def test_without_the_flag_nobody_sleeps_for_hours() -> None:
    """A rate limit that asks for an hour ends the attempt, with a hint."""
    crew = Crew()
    crew.stub.on("llm", fails("rate_limit", retry_after=3600.0))

    results = await crew.fleet.spawn_parallel_with_recovery(
        tasks(3, tool=CLI), max_concurrent=1, recovery_policy=ONCE
    )

    assert causes(results) == ["rate_limit", "parked", "parked"]
    assert "--wait-for-reset" in str(results[0].error)
    assert now() < 60


@in_virtual_time
async def test_a_window_met_in_a_stream_parks_the_lane_while_its_agent_goes_on() -> (
    None
):
    """The agent that reports it has its answer, and nobody else is started."""
    crew = Crew()
    resets_at = crew.fleet.context.clock.epoch() + HOURS
    window = RateLimited(None, resets_at, "usage limit five_hour")
    crew.stub.on(
        "llm", reports(window, TextProduced("so")) + replies("fine", after=9.0)
    )

    results = await crew.fleet.spawn_parallel_with_recovery(
        tasks(3, tool=CLI), max_concurrent=1, recovery_policy=ONCE
    )

    assert causes(results) == [None, "parked", "parked"]
    parked = results[1].failure
    assert parked == Failure(
        FailureCause.PARKED, parked.message if parked else "", resets_at=resets_at
    )
