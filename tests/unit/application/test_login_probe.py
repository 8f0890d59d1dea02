"""A login that nobody has proved: one agent finds out, and not 72."""

import asyncio

import pytest

from muster.domain.events import TextProduced
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.tool import ToolSpec
from muster.testing import fails, in_virtual_time, replies, reports
from tests.unit.application.crew import Crew, causes, tasks

SLOW = ToolSpec("slow", ("slow",), is_agent=True, login_probe=10.0)
QUICK = ToolSpec("quick", ("quick",), is_agent=True)
ONCE = RecoveryPolicy(max_retries=0, fallback_to_llm=False)
MANY = 72


async def run(crew: Crew, spec: ToolSpec, count: int = MANY) -> list[str | None]:
    """All at once."""
    return causes(
        await crew.fleet.spawn_parallel_with_recovery(
            tasks(count, tool=spec), max_concurrent=MANY, recovery_policy=ONCE
        )
    )


def started(crew: Crew) -> list[float]:
    """When agents were started."""
    return [call.started_at for call in crew.stub.calls]


@in_virtual_time
async def test_a_refused_login_costs_three_starts_and_keeps_the_queue() -> None:
    """One after the other, each within its time; the others are parked, not failed."""
    crew = Crew()
    crew.stub.on("llm", fails("auth", after=6.0))

    found = await run(crew, SLOW)

    assert sorted(map(str, found)) == ["auth"] * 3 + ["parked"] * (MANY - 3)
    assert started(crew) == pytest.approx([0.0, 6.0, 12.0], abs=0.1)


@pytest.mark.parametrize(
    ("first", "others_at"),
    [
        (reports(TextProduced("hm")), 0.0),
        (replies(after=4.0), 4.0),
        (fails("crash", after=4.0), 4.0),
        (replies(after=100.0), 10.0),
    ],
)
@in_virtual_time
async def test_others_wait_for_a_sign_of_life(first: object, others_at: float) -> None:
    """Or for the end of the first, or for as long as the tool's spec says."""
    crew = Crew()
    crew.stub.on("llm", first, replies(after=1.0).times(MANY))  # type: ignore[arg-type]

    await run(crew, SLOW, 8)

    assert started(crew)[0] == pytest.approx(0.0, abs=0.1)
    assert started(crew)[1:8] == pytest.approx([others_at] * 7, abs=0.1)


@in_virtual_time
async def test_other_tools_start_at_once() -> None:
    """Nobody pays for what a tool says quickly."""
    crew = Crew()
    crew.stub.on("llm", replies(after=5.0))

    await run(crew, QUICK)

    assert asyncio.get_running_loop().time() == pytest.approx(5.0, abs=0.1)


@in_virtual_time
async def test_a_login_that_is_refused_meanwhile_stops_the_wave() -> None:
    """Of 300 tasks those in flight fail and one more finds out at a time."""
    crew = Crew()
    crew.stub.on("llm", fails("auth", after=3.0))

    found = causes(
        await crew.fleet.spawn_parallel_with_recovery(
            tasks(300, tool=QUICK), max_concurrent=2, recovery_policy=ONCE
        )
    )

    assert found.count("auth") == len(crew.stub.calls) <= 4
    assert found.count("parked") == 300 - len(crew.stub.calls)
