"""A run whose results can't be recorded stops, and nothing that was finished is lost."""

import asyncio
from typing import Any

import pytest
from attrs import define, field

from muster.domain.errors import JournalError
from muster.domain.fleet_events import TaskEnded
from muster.domain.outcome import SpawnResult
from muster.domain.plan import Plan, PlanTask
from muster.domain.task import SpawnTask
from muster.testing import (
    MemoryJournal,
    RecordingSink,
    fails,
    hangs,
    in_virtual_time,
    prints,
    replies,
)
from tests.unit.application.crew import Crew, causes, tasks


@define
class FullDisk(MemoryJournal):
    """A journal that keeps so many results and no more, whatever then is raised."""

    room: int = 0
    error: Exception = field(factory=lambda: JournalError("no space left"))
    asked: int = 0
    run_id: str = "full"

    async def record(self, result: SpawnResult) -> None:
        self.asked += 1
        await asyncio.sleep(0.1)
        if len(self.results) >= self.room:
            raise self.error
        self.results.append(result)


@pytest.mark.parametrize("error", [JournalError("full"), OSError("broken pipe")])
@in_virtual_time
async def test_a_broken_journal_ends_the_call(error: Exception) -> None:
    """The error comes out as it is, after everybody has ended."""
    journal = FullDisk(error=error)
    crew = Crew(journal=journal)
    crew.stub.on("quick", replies("done"))
    crew.stub.on("slow", prints("half") + hangs())
    work = [SpawnTask("x", "quick"), *(SpawnTask("x", "slow") for _ in range(50))]

    with pytest.raises(JournalError, match=str(error)) as caught:
        await crew.fleet.spawn_parallel(work, max_concurrent=3)

    assert (crew.stub.active, crew.fleet.context.active) == (0, set())
    assert crew.stub.call_count == 3
    assert journal.asked == 1
    assert crew.sink.of(TaskEnded) == []
    finished, *ended = caught.value.unrecorded
    assert (finished.output, finished.success) == ("done", True)
    assert [each.output for each in ended] == ["half\n"] * 2
    assert set(causes(ended)) == {"cancelled"}
    assert "can't be recorded" in str(ended[0].error)


@in_virtual_time
async def test_what_was_recorded_before_stays() -> None:
    """It was told, delivered and kept; what ends at once with the break is not told."""
    journal = FullDisk(room=4)
    crew = Crew(journal=journal)
    told: list[str] = []

    def on_progress(index: int, total: int, agent: str, status: str) -> None:
        told.append(status.split(" ", maxsplit=1)[0])

    with pytest.raises(JournalError) as caught:
        await crew.fleet.spawn_parallel_with_recovery(
            tasks(40), max_concurrent=2, on_progress=on_progress
        )

    assert len(journal.results) == told.count("Completed") == 4
    assert [each.success for each in caught.value.unrecorded] == [True, True]
    assert crew.stub.call_count == 6


@pytest.mark.parametrize("size", [1, 2, 500])
@in_virtual_time
async def test_however_much_is_left(size: int) -> None:
    """Long queues of what was never started are no results and take no time."""
    crew = Crew(journal=FullDisk())

    with pytest.raises(JournalError) as caught:
        await crew.fleet.spawn_parallel_tracked(tasks(size), max_concurrent=1)

    assert len(caught.value.unrecorded) == 1
    assert asyncio.get_running_loop().time() == pytest.approx(0.1)


@in_virtual_time
async def test_who_waits_for_a_retry_is_not_waited_for() -> None:
    """What it had tried is in the error."""
    crew = Crew(journal=FullDisk())
    crew.stub.on("bad", fails("network", retry_after=1000.0))
    crew.stub.on("good", replies(after=1.0))

    with pytest.raises(JournalError) as caught:
        await crew.fleet.spawn_parallel_with_recovery(
            [SpawnTask("x", "bad"), SpawnTask("x", "good")]
        )

    assert asyncio.get_running_loop().time() < 2
    assert [each.agent for each in caught.value.unrecorded] == ["good", "bad"]


@in_virtual_time
async def test_a_stream_gives_what_was_recorded_first() -> None:
    """Then the error."""
    crew = Crew(journal=FullDisk(room=3))
    stream = crew.fleet.spawn_stream(tasks(50), max_concurrent=1)

    for _ in range(3):
        assert (await anext(stream)).success
    with pytest.raises(JournalError):
        await anext(stream)


@in_virtual_time
async def test_a_run_of_a_plan_has_no_report_then() -> None:
    """No summary is written over what is not there."""
    crew, journal, sink = Crew(), FullDisk(room=1), RecordingSink()
    plan = Plan(
        tuple(
            PlanTask(each, "x", depends=tuple(needs))
            for each, needs in {"a": "", "b": "a", "c": "b"}.items()
        )
    )

    with pytest.raises(JournalError) as caught:
        await crew.fleet.run_plan(plan, journal=journal, sink=sink)

    assert journal.summary == {}
    assert [each.task_id for each in journal.results] == ["a"]
    assert [each.task_id for each in caught.value.unrecorded] == ["b"]
    assert [each.result.task_id for each in sink.of(TaskEnded)] == ["a"]
    assert crew.stub.call_count == 2


@in_virtual_time
async def test_a_start_that_can_t_be_recorded_is_not_made() -> None:
    """The same holds for a journal that is to know of starts."""

    class StartLog(MemoryJournal):
        identities: Any = None

        async def started(self, task_id: str, attempt: int) -> None:
            if task_id == "b":
                raise JournalError("no space left on device")

        def session(self, task_id: str, session_id: str) -> None:
            """Nobody asks."""

    crew, journal = Crew(), StartLog()
    plan = Plan((PlanTask("a", "x"), PlanTask("b", "x", depends=("a",))))

    with pytest.raises(JournalError, match="no space"):
        await crew.fleet.run_plan(plan, journal=journal)

    assert crew.stub.call_count == 1
    assert [each.task_id for each in journal.results] == ["a"]


@in_virtual_time
async def test_an_error_of_whoever_takes_results_ends_the_call() -> None:
    """A result that could not be delivered is not delivered twice."""
    from muster.application.batch import BatchOptions  # noqa: PLC0415
    from muster.application.spawning import Spawning  # noqa: PLC0415

    crew = Crew()
    got: list[int] = []

    def deliver(job: Any, result: SpawnResult) -> None:
        got.append(job.index)
        if job.index == 1:
            raise LookupError("lost")

    batch = Spawning(crew.fleet.context, BatchOptions(1), deliver)

    with pytest.raises(LookupError, match="lost"):
        await batch.run(tasks(10))

    assert got == [0, 1]
    assert crew.stub.call_count == 2


@in_virtual_time
async def test_a_batch_that_is_stopped_before_it_runs() -> None:
    """It starts nobody and gives every result."""
    from muster.application.batch import BatchOptions  # noqa: PLC0415
    from muster.application.spawning import Spawning  # noqa: PLC0415
    from muster.domain.outcome import Failure, FailureCause  # noqa: PLC0415

    crew = Crew()
    got: list[SpawnResult] = []
    batch = Spawning(
        crew.fleet.context, BatchOptions(2), lambda _, result: got.append(result)
    )
    batch.stop(Failure(FailureCause.HALTED, "fire"))

    await batch.run(tasks(3))

    assert causes(got) == ["halted"] * 3
    assert crew.stub.call_count == 0
