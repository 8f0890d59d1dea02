"""A plan as dataflow: order, failures, ends, and that no task ever vanishes."""

import asyncio
from typing import Any

import pytest

from muster.domain.fleet_events import TaskEnded
from muster.domain.outcome import SpawnResult
from muster.domain.plan import Plan, PlanTask
from muster.domain.run_report import RunStatus
from muster.domain.tool import ToolSpec
from muster.testing import (
    MemoryJournal,
    RecordingSink,
    fails,
    hangs,
    in_virtual_time,
    replies,
    waits,
)
from tests.unit.application.crew import Crew
from tests.unit.application.plans import DIAMOND, ONCE, fates, plan, started

# --- order --------------------------------------------------------------------


@in_virtual_time
async def test_dataflow_waits_for_its_own_dependencies_only() -> None:
    """One slow task holds up those behind it and nobody else."""
    crew = Crew()
    crew.stub.on("a", replies(after=100.0))
    crew.stub.on("x", replies(after=1.0))
    graph = {"a": "", "b": "a", "x": "", "y": "x"}

    report = await crew.fleet.run_plan(plan(graph))

    at = {call.request.agent_id: call.started_at for call in crew.stub.calls}
    assert at == {"a": 0.0, "x": 0.0, "y": 1.0, "b": 100.0}
    assert list(report.results) == list(graph)
    assert report.status is RunStatus.SUCCEEDED


@in_virtual_time
async def test_waves_keep_the_barrier() -> None:
    """With ``waves`` nobody starts before all of the wave before have ended."""
    crew = Crew()
    crew.stub.on("a", replies(after=50.0))
    crew.stub.on("x", replies(after=1.0))

    await crew.fleet.run_plan(plan({"a": "", "b": "a", "x": "", "y": "x"}), waves=True)

    at = {call.request.agent_id: call.started_at for call in crew.stub.calls}
    assert at == {"a": 0.0, "x": 0.0, "y": 50.0, "b": 50.0}


@in_virtual_time
async def test_wide_waves_are_cheap() -> None:
    """Two waves of thousands don't make an edge for each pair."""
    crew = Crew(sink=None)
    width = 1500
    first = [PlanTask(f"a{n}", "x") for n in range(width)]
    second = [PlanTask(f"b{n}", "x", depends=(f"a{n}",)) for n in range(width)]

    report = await crew.fleet.run_plan(Plan((*first, *second)), waves=True)

    assert len(report.results) == 2 * width
    assert report.status is RunStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({"x": "", "a": "", "b": "a", "c": "b"}, "abxc"),
        ({"a": "", "b": "", "c": "b"}, "bac"),
        (DIAMOND, "abcd"),
    ],
)
@in_virtual_time
async def test_the_longest_path_goes_first(
    graph: dict[str, str], expected: str
) -> None:
    """With one slot, of what is ready what has most behind it; else the plan's order."""
    crew = Crew()

    await crew.fleet.run_plan(plan(graph), max_concurrent=1)

    assert [*started(crew)] in ([*expected], [*"abcx"])


# --- failures -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"a": None, "b": "crash", "c": None, "d": "dependency_failed"}),
        (
            {"on_dependency_failure": "continue"},
            {"a": None, "b": "crash", "c": None, "d": None},
        ),
        (
            {"fail_fast": True, "max_concurrent": 1},
            {"a": None, "b": "crash", "c": "cancelled", "d": "dependency_failed"},
        ),
    ],
)
@in_virtual_time
async def test_a_failed_dependency(
    options: dict[str, Any], expected: dict[str, str | None]
) -> None:
    """Dependents fail, or run with what is there; the rest goes on unless told not to."""
    crew = Crew()
    crew.stub.on("b", fails("crash"))

    report = await crew.fleet.run_plan(plan(DIAMOND), **{**ONCE, **options})

    assert fates(report) == expected
    assert report.status is RunStatus.FAILED
    assert len(crew.sink.of(TaskEnded)) == 4


@in_virtual_time
async def test_a_failure_goes_down_the_whole_chain() -> None:
    """Each of those behind it has its own result, which names who failed at first."""
    crew = Crew()
    crew.stub.on("a", fails("auth", "log in"))

    report = await crew.fleet.run_plan(plan({"a": "", "b": "a", "c": "b"}), **ONCE)

    assert fates(report) == {
        "a": "auth",
        "b": "dependency_failed",
        "c": "dependency_failed",
    }
    assert "'a' failed (log in)" in str(report.results["b"].error)
    assert report.results["c"].error == report.results["b"].error
    assert report.summary["by_cause"] == {"auth": 1, "dependency_failed": 2}


@in_virtual_time
async def test_what_waits_behind_a_parked_task_is_parked() -> None:
    """A queue that is kept for later is kept whole."""
    crew = Crew()
    cli = ToolSpec("cli", ("cli",), is_agent=True)
    crew.stub.on("llm", fails("auth"))
    tasks = [
        *(PlanTask(f"t{n}", "x", tool=cli) for n in range(4)),
        *(PlanTask(f"d{n}", "x", tool=cli, depends=(f"t{n}",)) for n in range(4)),
    ]

    report = await crew.fleet.run_plan(Plan(tuple(tasks)), max_concurrent=1)

    assert [*fates(report).values()] == [
        *["auth"] * 3,
        "parked",
        *["dependency_failed"] * 3,
        "parked",
    ]
    assert report.status is RunStatus.PARKED


# --- ends ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "status", "expected"),
    [
        (5.0, "deadline", {"a": "deadline", "b": "deadline"}),
        (15.0, "deadline", {"a": None, "b": "deadline"}),
        (25.0, "succeeded", {"a": None, "b": None}),
    ],
)
@in_virtual_time
async def test_the_deadline_of_a_run(
    seconds: float, status: str, expected: dict[str, str | None]
) -> None:
    """What is finished is kept, what runs is ended, what waits is not started."""
    crew = Crew()
    for each in "ab":
        crew.stub.on(each, replies(after=10.0))

    report = await crew.fleet.run_plan(plan({"a": "", "b": "a"}), deadline=seconds)

    assert fates(report) == expected
    assert report.status.value == status


@in_virtual_time
async def test_a_deadline_that_changed_nothing() -> None:
    """It passes while the last result is being recorded: all have succeeded."""

    class SlowJournal(MemoryJournal):
        async def record(self, result: SpawnResult) -> None:
            await asyncio.sleep(10)
            await super().record(result)

    crew = Crew()

    report = await crew.fleet.run_plan(
        plan({"a": ""}), deadline=5.0, journal=SlowJournal()
    )

    assert report.status is RunStatus.SUCCEEDED


@pytest.mark.parametrize("how", ["drain", "stop"])
@in_virtual_time
async def test_an_interrupted_run_has_all_its_results(how: str) -> None:
    """Whatever waits for whatever was not started is not started either."""
    crew = Crew()
    for each in "abcd":
        crew.stub.on(each, waits(10) + replies(each))
    asyncio.get_running_loop().call_later(5, getattr(crew.fleet, how))

    report = await crew.fleet.run_plan(plan(DIAMOND))

    first = None if how == "drain" else "cancelled"
    assert fates(report) == {"a": first} | dict.fromkeys("bcd", "cancelled")
    assert report.status is RunStatus.INTERRUPTED


@in_virtual_time
async def test_the_sink_of_one_run() -> None:
    """It is told with and without a journal, and the fleet's own is left alone."""
    crew = Crew()
    mine, other = RecordingSink(), RecordingSink()

    await crew.fleet.run_plan(plan({"a": ""}), sink=mine)
    await crew.fleet.run_plan(plan({"a": ""}), sink=other, journal=MemoryJournal())

    assert len(mine.of(TaskEnded)) == len(other.of(TaskEnded)) == 1
    assert crew.sink.events == []


@in_virtual_time
async def test_the_summary_is_recorded() -> None:
    """As it is reported."""
    crew, journal = Crew(), MemoryJournal()

    report = await crew.fleet.run_plan(plan(DIAMOND), journal=journal)

    assert journal.summary == report.summary == report.to_dict()["summary"]
    assert report.run_id == journal.run_id == report.summary["run_id"]
    assert [each.task_id for each in journal.results] == [*"abcd"]
    assert [each["task_id"] for each in report.to_dict()["results"]] == [*"abcd"]


@in_virtual_time
async def test_a_hanging_task_holds_up_nobody_else() -> None:
    """What it blocks fails with it when its time is over; the rest has long ended."""
    crew = Crew()
    crew.stub.on("a", hangs())

    report = await crew.fleet.run_plan(
        plan({"a": "", "b": "a", "x": "", "y": "x"}), policy="test", **ONCE
    )

    assert fates(report) == {
        "a": "no_activity",
        "b": "dependency_failed",
        "x": None,
        "y": None,
    }
