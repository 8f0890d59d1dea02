"""A limit that only its message dates parks the lane until then, for every tool."""

import pytest

from muster.domain.fleet_events import LaneParked
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.task import SpawnTask
from muster.domain.tool import ToolSpec
from muster.testing import fails, in_virtual_time
from tests.unit.application.crew import Crew, tasks

CLI = ToolSpec("cli", ("cli",), is_agent=True)
ONCE = RecoveryPolicy(max_retries=0, fallback_to_llm=False)
FIVE = 1_750_006_800.0  # 17:00 UTC on the day on which virtual time begins


@pytest.mark.parametrize(
    "message",
    [
        "You've hit your limit · resets 5pm (UTC)",
        "You've hit your limit · resets 7pm (Europe/Rome)",
        "usage limit, try again at Jun 15th, 2025 5:00 PM",
    ],
)
@in_virtual_time
async def test_the_lane_waits_for_the_moment_that_the_message_names(
    message: str,
) -> None:
    """The result, the park and the event say the same."""
    crew = Crew()
    crew.stub.on("llm", fails("quota", message))

    first, *_, last = await crew.fleet.spawn_parallel_with_recovery(
        tasks(5, tool=CLI), max_concurrent=1, recovery_policy=ONCE
    )

    (event,) = crew.sink.of(LaneParked)
    assert event.resets_at == pytest.approx(FIVE)
    for result in (first, last):
        assert result.failure is not None
        assert result.failure.resets_at == pytest.approx(FIVE)


@in_virtual_time
async def test_other_failures_get_no_moment() -> None:
    """Whatever they say of times."""
    crew = Crew()
    crew.stub.on("llm", fails("auth", "token refused, try again at 5pm (UTC)"))

    result = await crew.fleet.spawn(SpawnTask("x", tool=CLI))

    assert result.failure is not None
    assert result.failure.resets_at is None
