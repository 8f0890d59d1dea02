"""A fleet that is ended: from outside, from inside, by its host, by time."""

import asyncio
from contextlib import suppress

import pytest

from muster.domain.errors import OrchestratorError
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.task import SpawnTask
from muster.domain.tool import ToolSpec
from muster.testing import (
    fails,
    hangs,
    in_virtual_time,
    replies,
    run_in_virtual_time,
)
from tests.unit.application.crew import Crew, causes, tasks


def now() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("status", ["Starting", "Completed", "Failed", "Retrying"])
@pytest.mark.parametrize("how", ["drain", "stop"])
def test_an_end_from_inside_a_callback(how: str, status: str) -> None:
    """`drain` and `stop` may be called from whatever is told, and end it all."""

    @in_virtual_time
    async def check() -> None:
        crew = Crew()
        crew.stub.on("llm", fails("crash"), replies(), fails("auth"), hangs())

        def on_progress(index: int, total: int, agent: str, said: str) -> None:
            if said.startswith(status):
                getattr(crew.fleet, how)()

        results = await crew.fleet.spawn_parallel_with_recovery(
            tasks(20),
            max_concurrent=3,
            on_progress=on_progress,
            policy="test",
            recovery_policy=RecoveryPolicy(max_retries=1, fallback_to_llm=False),
        )

        assert len(results) == 20
        assert "cancelled" in causes(results)
        assert (crew.faults, crew.stub.active) == ([], 0)
        assert now() < (1 if how == "stop" else 31)

    check()


@in_virtual_time
async def test_a_stop_at_the_start_starts_nobody() -> None:
    """Who is told of the first start and stops meets no agent at all."""
    crew = Crew()

    def on_progress(*_: object) -> None:
        crew.fleet.stop("I changed my mind")

    results = await crew.fleet.spawn_parallel(tasks(3), on_progress=on_progress)

    assert causes(results) == ["cancelled"] * 3
    assert crew.stub.call_count == 0
    assert "I changed my mind" in str(results[0].error)


@in_virtual_time
async def test_drain_then_stop_then_stop() -> None:
    """The later order is the stronger one, again is no other."""
    crew = Crew()
    crew.stub.on("llm", hangs())

    def end_it_all() -> None:
        crew.fleet.drain("one")
        crew.fleet.stop("two")
        crew.fleet.stop("three")
        crew.fleet.drain("four")

    asyncio.get_running_loop().call_later(1, end_it_all)

    results = await crew.fleet.spawn_parallel(
        tasks(3), max_concurrent=1, policy="development"
    )

    assert [str(each.error) for each in results] == [
        "ended: two",
        "not started: one",
        "not started: one",
    ]


@in_virtual_time
async def test_stop_ends_a_stagger() -> None:
    """Nobody sleeps until the turn that it will never have."""
    crew = Crew()
    asyncio.get_running_loop().call_later(5, crew.fleet.stop)

    results, _ = await crew.fleet.spawn_parallel_tracked(
        tasks(9), stagger_delay=100.0, global_timeout=10_000
    )

    assert causes(results) == [None, *["cancelled"] * 8]
    assert now() == 5


@pytest.mark.parametrize("limit", [0.0, 3.0, 12.0])
@in_virtual_time
async def test_the_global_timeout_among_retries(limit: float) -> None:
    """Whoever runs or waits for a retry then fails with the deadline, exactly then."""
    crew = Crew()
    crew.stub.on("llm", fails("crash", after=1.0))
    policy = RecoveryPolicy(max_retries=99, base_delay=4.0, max_delay=4, jitter="none")

    results, metadata = await crew.fleet.spawn_parallel_tracked(
        tasks(3), max_concurrent=2, recovery_policy=policy, global_timeout=limit
    )

    assert causes(results) == ["deadline"] * 3
    assert now() == limit
    for result in results:
        assert result.retry_count == max(0, len(result.attempts) - 1)
    assert metadata["failed_tasks"] == 3


@in_virtual_time
async def test_no_tasks_have_no_deadline() -> None:
    """An empty tracked batch is a batch."""
    results, metadata = await Crew().fleet.spawn_parallel_tracked([])

    assert (results, metadata["total_tasks"]) == ([], 0)


@in_virtual_time
async def test_a_fleet_can_be_closed_twice_and_while_it_runs() -> None:
    """Leaving the block ends what runs; what is told later is told once."""
    crew = Crew()
    crew.stub.on("llm", hangs())

    async with asyncio.TaskGroup() as group:
        async with crew.fleet as fleet:
            batch = group.create_task(fleet.spawn_parallel(tasks(2)))
            await asyncio.sleep(1)
        await fleet.aclose()

    assert causes(batch.result()) == ["cancelled"] * 2
    assert "closed" in str(batch.result()[0].error)
    assert crew.fleet.context.first_looks._timers == {}


def test_an_entered_fleet_belongs_to_its_loop() -> None:
    """Used from another loop it says so."""
    crew = Crew()

    async def enter() -> None:
        await crew.fleet.__aenter__()

    run_in_virtual_time(enter())
    with pytest.raises(OrchestratorError, match="another event loop"):
        run_in_virtual_time(crew.fleet.spawn(SpawnTask("x")))


@pytest.mark.parametrize("signal", [SystemExit, KeyboardInterrupt])
def test_a_signal_in_a_callback_gives_everything_back(
    signal: type[BaseException],
) -> None:
    """The host's wish to end, while an attempt is being started: no permit is lost."""
    crew = Crew()

    def on_progress(*_: object) -> None:
        raise signal

    async def main() -> None:
        try:
            await crew.fleet.spawn_parallel_with_recovery(
                tasks(1, "a"), on_progress=on_progress
            )
        except signal:
            return
        raise AssertionError

    # A task that raises these ends the loop, too.
    with suppress(signal):
        run_in_virtual_time(main())
    context = crew.fleet.context
    lane = context.lanes.lane(ToolSpec("sim", "sim"), None)
    assert lane.in_flight == 0
    assert crew.breaker._closed["a"].in_flight == 0


@in_virtual_time
async def test_a_cancellation_gives_everything_back() -> None:
    """Tickets and permits of running attempts are settled when the host cancels."""
    crew = Crew()
    crew.stub.on("a", hangs())

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await crew.fleet.spawn_parallel_with_recovery(tasks(3, "a"))

    lane = crew.fleet.context.lanes.lane(ToolSpec("sim", "sim"), None)
    assert lane.in_flight == 0
    assert crew.breaker._closed["a"].in_flight == 0


@in_virtual_time
async def test_a_stray_cancellation_costs_one_task() -> None:
    """What an adapter is cancelled by is that task's failure; the others go on."""
    crew = Crew()
    crew.stub.on("bad", replies(lambda _: _stray()))

    bad, good = await crew.fleet.spawn_parallel(
        [SpawnTask("x", "bad"), SpawnTask("x", "good")]
    )

    assert causes([bad, good]) == ["unknown", None]


def _stray() -> str:
    raise asyncio.CancelledError
