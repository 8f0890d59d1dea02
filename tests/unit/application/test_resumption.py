"""What a resumed run does with each task, and a plan that goes on from known results."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.application.fleet_context import FleetContext
from muster.application.resumption import (
    CHANGED,
    WAS_ENDED,
    WAS_RUNNING,
    FinishedTask,
    InterruptedTask,
    RunHistory,
    blocked,
    identify,
    plan_resume,
    poisoned_result,
)
from muster.domain.agent_profile import AgentProfile
from muster.domain.budget import BudgetLimits
from muster.domain.errors import JournalError
from muster.domain.events import SessionStarted
from muster.domain.outcome import FailureCause, SpawnResult
from muster.domain.plan import Plan, PlanDefaults, PlanTask
from muster.domain.run_report import RunStatus
from muster.domain.tool import ToolSpec
from muster.testing import (
    FixedAgents,
    FixedTools,
    MemoryJournal,
    fails,
    hangs,
    in_virtual_time,
    replies,
    reports,
)
from tests.unit.application.crew import Crew

SAME, OTHER = "same", "other"
CAUSE = FailureCause
FEW = BudgetLimits(agents=1)


class KeepingJournal(MemoryJournal):
    """A journal that can be resumed from, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.identities: Mapping[str, str] | None = None
        self.starts: list[tuple[str, int]] = []
        self.sessions: dict[str, str] = {}
        self.refuses: str | None = None

    async def started(self, task_id: str, attempt: int) -> None:
        await asyncio.sleep(0.001)
        if task_id == self.refuses:
            raise JournalError("disk full")
        self.starts.append((task_id, attempt))

    def session(self, task_id: str, session_id: str) -> None:
        self.sessions[task_id] = session_id


def chain(*ids: str, **options: Any) -> Plan:
    """Tasks of which each waits for the one before."""
    tasks = [
        PlanTask(each, f"do {each}", depends=ids[at - 1 : at], **options)
        for at, each in enumerate(ids)
    ]
    return Plan(tasks)


def one(
    finished: FinishedTask | None = None,
    interrupted: InterruptedTask | None = None,
    *,
    retry_failed: bool = False,
    timeout: float | None = None,
    limits: BudgetLimits | None = None,
    defaults: BudgetLimits | None = None,
) -> str:
    """What becomes of a lone task with that past."""
    history = RunHistory(
        {"a": finished} if finished else {}, {"a": interrupted} if interrupted else {}
    )
    task = PlanTask("a", "x", timeout=timeout, limits=limits)
    plan = Plan([task], PlanDefaults(limits=defaults))
    found = plan_resume(plan, {"a": SAME}, history, retry_failed=retry_failed)
    if found.rerun:
        return found.rerun["a"]
    names = ("kept", "new", "failed", "poisonous")
    return next(name for name in names if "a" in getattr(found, name))


@pytest.mark.parametrize(
    ("past", "becomes"),
    [
        ({}, "new"),
        ({"finished": FinishedTask(SAME)}, "kept"),
        ({"finished": FinishedTask(OTHER)}, CHANGED),
        ({"finished": FinishedTask(None)}, CHANGED),
        ({"finished": FinishedTask(SAME, CAUSE.CRASH)}, "failed"),
        (
            {"finished": FinishedTask(SAME, CAUSE.CRASH), "retry_failed": True},
            "failed (crash)",
        ),
        ({"finished": FinishedTask(OTHER, CAUSE.CRASH)}, CHANGED),
        ({"finished": FinishedTask(SAME, CAUSE.TOOL_NOT_FOUND, 0)}, "failed"),
        ({"finished": FinishedTask(SAME, CAUSE.PARKED, 0)}, "new"),
        ({"finished": FinishedTask(SAME, CAUSE.DEPENDENCY_FAILED, 0)}, "new"),
        ({"finished": FinishedTask(OTHER, CAUSE.CANCELLED, 0)}, "new"),
        ({"finished": FinishedTask(SAME, CAUSE.CANCELLED, 1)}, WAS_ENDED),
        ({"finished": FinishedTask(SAME, CAUSE.DEADLINE, 0)}, "new"),
        ({"finished": FinishedTask(SAME, CAUSE.DEADLINE, 1, 9.0)}, WAS_ENDED),
        (
            {"finished": FinishedTask(SAME, CAUSE.DEADLINE, 1, 9.0), "timeout": 9.0},
            "failed",
        ),
        (
            {"finished": FinishedTask(SAME, CAUSE.DEADLINE, 1, 5.0), "timeout": 9.0},
            WAS_ENDED,
        ),
        ({"finished": FinishedTask(SAME, CAUSE.BUDGET, 0), "limits": FEW}, "new"),
        ({"finished": FinishedTask(SAME, CAUSE.BUDGET, 1)}, WAS_ENDED),
        ({"finished": FinishedTask(SAME, CAUSE.BUDGET, 1), "limits": FEW}, "failed"),
        ({"finished": FinishedTask(SAME, CAUSE.BUDGET, 1), "defaults": FEW}, "failed"),
        ({"interrupted": InterruptedTask(SAME)}, WAS_RUNNING),
        ({"interrupted": InterruptedTask(SAME, deaths=2)}, WAS_RUNNING),
        ({"interrupted": InterruptedTask(SAME, deaths=3)}, "poisonous"),
        ({"interrupted": InterruptedTask(OTHER, deaths=3)}, WAS_RUNNING),
        (
            {"interrupted": InterruptedTask(SAME, deaths=3), "retry_failed": True},
            WAS_RUNNING,
        ),
        (
            {
                "finished": FinishedTask(SAME, CAUSE.CRASH),
                "interrupted": InterruptedTask(SAME),
            },
            WAS_RUNNING,
        ),
        (
            {
                "finished": FinishedTask(SAME),
                "interrupted": InterruptedTask(OTHER),
            },
            WAS_RUNNING,
        ),
    ],
)
def test_what_becomes_of_a_task(past: dict[str, Any], becomes: str) -> None:
    """Successes of the same content are kept; what failed by itself stays failed."""
    assert one(**past) == becomes


def test_a_plan_that_changed() -> None:
    """Renamed tasks keep their results, dropped ones are named, ticked ones left out."""
    plan = Plan(
        [
            PlanTask("ticked", "t", done=True),
            PlanTask("b2", "b"),
            PlanTask("c", "new c"),
            PlanTask("d", "d"),
        ]
    )
    finished = {
        "a": FinishedTask("A"),
        "b": FinishedTask("B"),
        "c": FinishedTask("D"),
        "ticked": FinishedTask("T"),
    }
    identities = {"ticked": "T", "b2": "B", "c": "C2", "d": "D"}

    found = plan_resume(plan, identities, RunHistory(finished))

    assert found.kept == {"b2": "b", "d": "c"}
    assert (found.rerun, found.new) == ({"c": CHANGED}, [])
    assert found.dropped == ["a"]


def test_one_result_is_kept_for_one_task() -> None:
    """Of two tasks with the content of one old one, one is new."""
    plan = Plan([PlanTask("x", "b"), PlanTask("y", "b")])
    history = RunHistory({"b": FinishedTask("B")})

    found = plan_resume(plan, {"x": "B", "y": "B"}, history)

    assert (found.kept, found.new) == ({"x": "b"}, ["y"])


def test_behind_a_failed_task() -> None:
    """Who waits for a task that stays failed is named; `only` leaves others out."""
    plan = Plan([*chain("a", "b", "c").tasks, PlanTask("d", "x")])
    history = RunHistory({"a": FinishedTask("a", CAUSE.CRASH)})
    identities = {each: each for each in "abcd"}

    found = plan_resume(plan, identities, history)
    fewer = plan_resume(plan, identities, history, only=["d"])

    assert blocked(plan, found) == ["b", "c"]
    assert (fewer.pending, fewer.failed, fewer.dropped) == (["d"], {}, [])


@given(
    st.dictionaries(
        st.sampled_from("abcdef"),
        st.sampled_from(
            [
                FinishedTask(SAME),
                FinishedTask(OTHER),
                FinishedTask(SAME, CAUSE.CRASH),
                FinishedTask(SAME, CAUSE.PARKED, 0),
                FinishedTask(SAME, CAUSE.CANCELLED),
            ]
        ),
    ),
    st.sets(st.sampled_from("abcdef")),
    st.booleans(),
)
def test_no_task_vanishes(
    finished: dict[str, FinishedTask],
    flying: set[str],
    retry_failed: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    """Each task is in exactly one class, whatever its past."""
    plan = Plan([PlanTask(each, "x") for each in "abcd"])
    history = RunHistory(finished, {each: InterruptedTask(SAME) for each in flying})
    identities = {each: f"{SAME} {each}" for each in "abcd"}

    found = plan_resume(plan, identities, history, retry_failed=retry_failed)

    classes = (found.kept, found.rerun, found.new, found.failed, found.poisonous)
    assert sorted(each for some in classes for each in some) == list("abcd")
    assert set(found.dropped) == (set(finished) | flying) - set("abcd")


def context(*profiles: AgentProfile, **options: Any) -> FleetContext:
    """A fleet that knows two tools."""
    crew = Crew()
    tools = FixedTools(ToolSpec("sim", "sim"), ToolSpec("lint", ("ruff", "check")))
    return attrs.evolve(
        crew.fleet.context, tools=tools, agents=FixedAgents(*profiles), **options
    )


@pytest.mark.parametrize(
    ("one_way", "another"),
    [
        (
            Plan([PlanTask("a", "x", tool="lint")]),
            Plan([PlanTask("a", "x")], PlanDefaults(tool="lint")),
        ),
        (
            Plan([PlanTask("a", "x", agent="t")], PlanDefaults(model="m")),
            Plan([PlanTask("a", "x", model="m", timeout=3)], PlanDefaults(agent="t")),
        ),
        (
            Plan([PlanTask("a", "x", agent="@self")], PlanDefaults(agent="t")),
            Plan([PlanTask("a", "x")]),
        ),
        (
            Plan([PlanTask("a", "x", agent="t")]),
            Plan([PlanTask("a", "x", agent="t", model="opus", tool="lint")]),
        ),
    ],
)
def test_the_same_said_in_two_ways(one_way: Plan, another: Plan) -> None:
    """Defaults, profiles and the task itself: what counts is what is run."""
    fleet = context(AgentProfile("t", model="opus", tool="lint"))
    if one_way.defaults.model:
        fleet = context(AgentProfile("t"))

    assert identify(one_way, fleet) == identify(another, fleet)


def test_what_else_is_run_is_another_task() -> None:
    """Flags, the default tool and a profile's text all change the identity."""
    plan = Plan([PlanTask("a", "x", agent="t")])
    found = [
        identify(plan, context(AgentProfile("t")))["a"],
        identify(plan, context(AgentProfile("t", prompt="new")))["a"],
        identify(plan, context(AgentProfile("t")), tool="lint")["a"],
        identify(plan, context(AgentProfile("t")), model="m")["a"],
        identify(plan, context(AgentProfile("t"), tool="missing"))["a"],
        identify(plan, context(AgentProfile("t"), tool="absent"))["a"],
    ]
    assert len(set(found)) == len(found)


# --- a plan that goes on ---------------------------------------------------------


class Known(dict[str, SpawnResult]):
    """Results that count who looks at them."""

    def __init__(self, *results: SpawnResult) -> None:
        super().__init__({str(each.task_id): each for each in results})
        self.looked_at: list[str] = []

    def __getitem__(self, key: str) -> SpawnResult:
        self.looked_at.append(key)
        return super().__getitem__(key)

    def values(self) -> Iterator[SpawnResult]:  # type: ignore[override]
        return (self[key] for key in self)


def success(task_id: str, output: str) -> SpawnResult:
    """A result from before."""
    return SpawnResult(success=True, output=output, task_id=task_id)


@in_virtual_time
async def test_known_results_are_not_run_again() -> None:
    """Dependents see their outputs, the report has them, nothing else loads them."""
    crew = Crew()
    known = Known(success("a", "from before"), success("x", "alone"))
    plan = Plan([PlanTask("x", "x"), *chain("a", "b", "c").tasks])
    crew.stub.on("llm", replies("new"))
    looked_at: list[list[str]] = []

    report = await crew.fleet.run_plan(
        plan, known=known, on_progress=lambda *_: looked_at.append([*known.looked_at])
    )

    prompts = [call.request.prompt for call in crew.stub.calls]
    assert len(prompts) == 2
    assert "✓ [a]: from before" in str(prompts[0])
    assert [result.output for result in report.results.values()] == [
        "alone",
        "from before",
        "new",
        "new",
    ]
    assert list(report.results) == ["x", "a", "b", "c"]
    assert (report.status, report.summary["total"]) == (RunStatus.SUCCEEDED, 4)
    assert looked_at
    assert not any("x" in some for some in looked_at)


@in_virtual_time
async def test_known_failures_fail_their_dependents() -> None:
    """A task that stays failed is not run, and neither is who waits for it."""
    crew = Crew()
    failed = SpawnResult(success=False, error="broken", task_id="a")

    report = await crew.fleet.run_plan(chain("a", "b"), known={"a": failed})

    assert crew.stub.calls == []
    assert report.results["b"].failure is not None
    assert report.results["b"].failure.cause is CAUSE.DEPENDENCY_FAILED
    assert "broken" in str(report.results["b"].error)


@in_virtual_time
async def test_all_known() -> None:
    """Nothing is left to do, and the report is whole."""
    crew = Crew()

    report = await crew.fleet.run_plan(chain("a"), known={"a": success("a", "x")})

    assert (report.status, len(report.results)) == (RunStatus.SUCCEEDED, 1)


@in_virtual_time
async def test_each_start_is_recorded_first() -> None:
    """The journal knows of an attempt before the agent exists, and of its session."""
    crew, journal = Crew(), KeepingJournal()
    crew.stub.on("llm", fails(CAUSE.NETWORK), reports(SessionStarted("s-1")))

    report = await crew.fleet.run_plan(chain("a"), journal=journal)

    assert report.status is RunStatus.SUCCEEDED
    assert journal.starts == [("a", 1), ("a", 2)]
    assert journal.sessions == {"a": "s-1"}
    assert journal.identities == identify(chain("a"), crew.fleet.context)


@in_virtual_time
async def test_nothing_starts_that_is_not_recorded() -> None:
    """A start that the journal refuses does not happen, and the run says why."""
    crew, journal = Crew(), KeepingJournal()
    journal.refuses = "b"
    plan = Plan([PlanTask("a", "x"), PlanTask("b", "y", depends=["a"])])

    with pytest.raises((JournalError, ExceptionGroup)):
        await crew.fleet.run_plan(plan, journal=journal)

    assert len(crew.stub.calls) == 1
    assert [each.task_id for each in journal.results][:1] == ["a"]


@in_virtual_time
async def test_stopped_while_a_start_is_recorded() -> None:
    """A stop in that moment is obeyed: the agent is not started after it."""
    crew, journal = Crew(), KeepingJournal()
    crew.stub.on("llm", hangs())
    loop = asyncio.get_running_loop()
    loop.call_later(0.0005, crew.fleet.stop)

    report = await crew.fleet.run_plan(chain("a"), journal=journal)

    assert (crew.stub.calls, journal.starts) == ([], [("a", 1)])
    assert report.status is RunStatus.INTERRUPTED


@in_virtual_time
async def test_the_long_ones_first() -> None:
    """Estimates decide which of the ready tasks goes first."""
    crew = Crew()
    plan = Plan([PlanTask(each, each) for each in "abc"])

    await crew.fleet.run_plan(
        plan, max_concurrent=1, estimates={"a": 1.0, "b": 9.0, "c": 4.0}
    )

    assert [call.request.prompt for call in crew.stub.calls] == ["b", "c", "a"]


def test_poisoned_result() -> None:
    """It says how often, and what runs it all the same."""
    result = poisoned_result(chain("a", "b"), "b", 3)

    assert (result.success, result.task_index) == (False, 1)
    assert "3 times" in str(result.error)
    assert "--retry-failed" in str(result.error)
