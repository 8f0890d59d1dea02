"""Budgets through the engine: reserved before every start, settled with the truth."""

import asyncio
from math import inf
from typing import Any

import pytest
from attrs import define, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.application.batch import BatchOptions
from muster.application.ports.agent_orchestrator import Capabilities, Report
from muster.application.spawning import Spawning
from muster.domain import presets
from muster.domain.budget import BudgetLimits, Cost, Spent
from muster.domain.errors import AgentInvocationError
from muster.domain.events import UsageReported
from muster.domain.outcome import Failure, FailureCause, SpawnResult, Usage
from muster.domain.plan import Plan, PlanTask
from muster.domain.run_report import RunReport, RunStatus
from muster.domain.task import AgentOutput, AgentRequest, SpawnTask
from muster.domain.tool import ToolSpec
from muster.testing import (
    AgentOrchestratorStub,
    fails,
    hangs,
    in_virtual_time,
    replies,
    reports,
    run_in_virtual_time,
    waits,
)
from tests.unit.application.acting import now
from tests.unit.application.crew import Crew, causes, tasks

AGENT = ToolSpec("model", ("model",), is_agent=True)
DOLLAR = Usage(cost_usd=1.0)


def crew(*behaviours: Any, **limits: float) -> Crew:
    """A fleet with these limits."""
    made = Crew(AgentOrchestratorStub(*behaviours))
    made.fleet.context.limits = BudgetLimits(**limits)  # type: ignore[arg-type]
    return made


def plan(count: int, **options: Any) -> Plan:
    """Independent tasks."""
    return Plan([PlanTask(str(n), "x", **options) for n in range(count)])


async def run(made: Crew, given: Plan | int, **options: Any) -> RunReport:
    """The report of a plan that agents run."""
    found = plan(given) if isinstance(given, int) else given
    return await made.fleet.run_plan(found, **{"tool": AGENT, **options})


def ends(report: RunReport) -> list[str]:
    """The cause of each failure, "" for a success."""
    return [each or "" for each in causes(list(report.results.values()))]


@pytest.mark.parametrize(
    ("limits", "done", "reached", "words"),
    [
        ({"agents": 3}, 3, "agents", "all 3 starts of agents are made"),
        ({"usd": 3.0}, 3, "usd", "3 of 3 USD used"),
        ({"usd": 2.5}, 2, "usd", "3 of 2.5 USD with the next attempt"),
        ({"tokens": 60}, 2, "tokens", "60 of 60 tokens used"),
        ({"minutes": 1.5}, 2, "minutes", "its 1.5 minutes are over"),
    ],
)
@in_virtual_time
async def test_each_limit_drains_the_run(
    limits: dict[str, float], done: int, reached: str, words: str
) -> None:
    """What is finished is kept; what was not started says why; nothing else is lost."""
    usage = Usage(10, 20, None, 1.0)
    made = crew(replies("yes", after=60.0, usage=usage), **limits)

    report = await run(made, 5, max_concurrent=1)

    assert ends(report) == [""] * done + ["budget"] * (5 - done)
    assert report.status is RunStatus.BUDGET
    assert report.summary["budget"]["reached"] == reached
    last = report.results["4"]
    assert words in str(last.error)
    assert (last.attempts, made.stub.call_count) == ((), done)


@in_virtual_time
async def test_what_runs_when_the_minutes_are_over_may_finish() -> None:
    """Also who waits for a retry learns of it at that moment, and not after its wait."""
    made = crew(minutes=1.0)
    made.stub.on("slow", replies("done", after=100.0))
    made.stub.on("again", fails("network", retry_after=5000.0))
    two = Plan([PlanTask("a", "x", "slow"), PlanTask("b", "x", "again")])

    report = await run(made, two)

    assert ends(report) == ["", "budget"]
    assert "before: simulated network" in str(report.results["b"].error)
    assert asyncio.get_running_loop().time() == pytest.approx(100.0)


@in_virtual_time
async def test_retries_and_the_fallback_reserve_too() -> None:
    """A start is a start, whoever asks for it."""
    made = crew(fails("crash"), agents=2)

    report = await run(made, Plan([PlanTask("a", "x", "tester")]))
    again = await run(made, 1, limits=BudgetLimits(agents=4))

    assert ends(report) == ["budget"]
    assert len(report.results["a"].attempts) == 2
    assert report.results["a"].attempts[0].failure is not None
    assert ends(again) == ["crash"]


@in_virtual_time
async def test_a_first_failure_is_told_where_its_retry_was_refused() -> None:
    """A run drained by another's spending owes the retry, and says so by its cause."""
    made = crew(usd=1.0)
    made.stub.on("dear", replies("done", after=1.0, usage=Usage(cost_usd=5.0)))
    made.stub.on("flaky", fails("crash", after=2.0))
    made.stub.on("wrong", fails("auth", after=2.0))
    three = [PlanTask(each, "x", each) for each in ("dear", "flaky", "wrong")]

    report = await run(made, Plan(three), fallback_to_llm=False)

    assert ends(report) == ["", "budget", "auth"]
    assert "before: simulated crash" in str(report.results["flaky"].error)


@in_virtual_time
async def test_who_finds_no_room_waits_for_attempts_in_flight() -> None:
    """They may cost less than is reserved for them; only then is there really no room."""
    made = crew(usd=10.0)
    made.stub.on(
        lambda _: True,
        replies("first", usage=Usage(cost_usd=4.0)),
        replies("cheap", after=5.0, usage=Usage(cost_usd=0.5)).times(2),
        replies("late", usage=Usage(cost_usd=0.1)).times(9),
    )

    report = await run(made, Plan([PlanTask("a", "x"), *_after("a", 5)]))

    assert ends(report) == [""] * 6
    assert report.summary["budget"]["usd"] == pytest.approx(5.3)


def _after(first: str, count: int) -> list[PlanTask]:
    return [PlanTask(str(n), "x", depends=(first,)) for n in range(count)]


@in_virtual_time
async def test_a_deadline_passes_while_one_waits_for_room() -> None:
    """Then that is what the task ends with."""
    made = crew(usd=2.0)
    made.stub.on(
        lambda _: True,
        replies("first", usage=Usage(cost_usd=0.9)),
        replies("slow", after=60.0, usage=Usage(cost_usd=0.1)),
    )
    first = PlanTask("a", "x")
    slow = PlanTask("slow", "x", depends=("a",))
    late = PlanTask("late", "x", depends=("a",), timeout=7.0)

    report = await run(made, Plan([first, slow, late]))

    assert ends(report) == ["", "", "deadline"]


@in_virtual_time
async def test_programs_cost_nothing_and_make_nothing_dear() -> None:
    """Only what uses a model draws on tokens and money; starts are starts."""
    made = crew(replies("yes", usage=None), usd=1.0, agents=50)
    spent = Spent(usd=0.9, usd_known=1)

    report = await run(made, 20, tool="sh", spent=spent)

    assert ends(report) == [""] * 20
    assert report.summary["budget"]["usd"] == 0.9


@in_virtual_time
async def test_what_was_used_before_counts() -> None:
    """Also the minutes; with a higher limit the run goes on."""
    spent = Spent(
        agents=3, minutes=2.0, tokens=30, usd=3.0, tokens_known=3, usd_known=3
    )
    limits = [{"agents": 3}, {"minutes": 2.0}, {"tokens": 30}, {"usd": 3.0}]

    for each in limits:
        made = crew(replies("yes", usage=Usage(5, 5, None, 1.0)), **each)
        refused = await run(made, 2, spent=spent)
        more = {name: value + 100 for name, value in each.items()}
        allowed = await run(made, 2, spent=spent, limits=BudgetLimits(**more))

        assert (ends(refused), ends(allowed)) == (["budget"] * 2, ["", ""])


@in_virtual_time
async def test_what_equal_tasks_cost_before_is_expected() -> None:
    """A plan does not begin what it knows that it can't pay for, nor all at once."""
    made = crew(replies("yes", after=1.0, usage=DOLLAR), usd=2.5)
    costs = {"0": Cost(usd=1.0), "1": Cost(usd=1.0)}

    report = await run(made, 5, costs=costs)

    assert sorted(ends(report)) == ["", "", "budget", "budget", "budget"]
    assert made.stub.peak_active == 2


@in_virtual_time
async def test_a_run_past_its_limit_lets_its_agents_finish() -> None:
    """What they tell on the way drains the run at once."""
    told = reports(UsageReported(Usage(cost_usd=9.0)))
    made = crew(waits(1) + told + waits(19) + replies("done"), usd=12.0)

    report = await run(made, 3, max_concurrent=2)

    assert ends(report) == ["", "", "budget"]
    assert "18 of 12 USD used" in str(report.results["2"].error)
    assert asyncio.get_running_loop().time() == pytest.approx(20.0)


@pytest.mark.parametrize("function", ["spawn", "spawn_parallel_with_recovery"])
@in_virtual_time
async def test_an_agent_past_the_limit_of_its_task_is_ended(function: str) -> None:
    """And not tried again; who is just done keeps its answer."""
    dear = reports(UsageReported(Usage(cost_usd=0.9))) + waits(1)
    dear += reports(UsageReported(Usage(cost_usd=1.1)))
    made = crew(dear + hangs(), dear + waits(presets.BUDGET_GRACE / 2) + replies("!"))
    task = SpawnTask("x", tool=AGENT, limits={"usd": 1.0})

    results = [await _spawned(made, function, task) for _ in range(2)]

    assert causes(results) == ["budget", None]
    assert "budget of the task reached: 1.1 of 1 USD used" in str(results[0].error)
    assert [len(each.attempts) for each in results] == [1, 1]
    assert made.stub.call_count == 2


async def _spawned(made: Crew, function: str, task: SpawnTask) -> SpawnResult:
    if function == "spawn":
        return await made.fleet.spawn(task)
    return (await made.fleet.spawn_parallel_with_recovery([task]))[0]


@pytest.mark.parametrize(
    ("limits", "tries"),
    [({"agents": 2}, 2), ({"usd": 1.5}, 1), ({"tokens": 10}, 1), ({"minutes": 0.1}, 1)],
)
@in_virtual_time
async def test_the_attempts_of_a_task_share_its_limits(
    limits: dict[str, float], tries: int
) -> None:
    """Retries and fallback draw on the same budget; other tasks have their own."""
    told = reports(UsageReported(Usage(6, 4, None, 1.0)))
    made = crew(told + fails("crash", after=7.0))
    given = Plan([PlanTask("a", "x", "tester", limits=limits), PlanTask("b", "x")])

    report = await run(made, given)

    assert ends(report) == ["budget", "crash"]
    first = report.results["a"]
    assert len(first.attempts) == tries
    assert "before: simulated crash" in str(first.error)
    assert report.status is RunStatus.BUDGET


@in_virtual_time
async def test_defaults_of_a_plan_limit_each_task() -> None:
    """A task's own limits take their place."""
    made = crew(fails("crash"))
    two = [PlanTask("a", "x"), PlanTask("b", "x", limits={"agents": 2})]

    report = await run(made, Plan(two, {"limits": {"agents": 1}}))  # type: ignore[arg-type]

    assert [len(each.attempts) for each in report.results.values()] == [1, 2]


@in_virtual_time
async def test_dependents_of_what_had_no_budget_are_not_failures_of_their_own() -> None:
    """They end for the same reason, and are run when the run goes on."""
    made = crew(agents=1)
    chain = [PlanTask("a", "x"), *_after("a", 1), PlanTask("c", "x", depends=("0",))]

    report = await run(made, Plan(chain))

    assert ends(report) == ["", "budget", "budget"]
    assert report.results["c"].error == report.results["0"].error


@in_virtual_time
async def test_other_functions_have_the_budget_of_the_fleet() -> None:
    """Each call is a run of its own; a stream, too."""
    made = crew(agents=2)

    parallel = await made.fleet.spawn_parallel(tasks(3), max_concurrent=1)
    streamed = [each async for each in made.fleet.spawn_stream(tasks(3))]

    assert causes(parallel) == [None, None, "budget"]
    assert sorted(map(str, causes(streamed))) == ["None", "None", "budget"]


@in_virtual_time
async def test_without_limits_nothing_is_counted() -> None:
    """Nobody who sets no limit pays for one."""
    made = crew()

    report = await run(made, 3)

    assert "budget" not in report.summary


@in_virtual_time
async def test_starts_that_never_were_are_given_back() -> None:
    """Neither a circuit that was open nor a cancelled batch has started an agent."""
    made = crew(replies(after=50.0), agents=2)
    context = made.fleet.context
    for _ in range(9):
        context.breaker.record_failure("broken", context.clock.monotonic())
    given = Plan([PlanTask("a", "x", "broken"), PlanTask("b", "x"), PlanTask("c", "x")])

    report = await run(made, given, fallback_to_llm=False)

    assert ends(report) == ["circuit_open", "", ""]
    assert report.summary["budget"]["agents"] == 2


@in_virtual_time
async def test_what_this_machine_could_not_start_is_no_start() -> None:
    """There was no room for it: it used nothing, and its place is free."""
    books = Bookkeeper([("no room", 0.0), ("reply", 1.0)])
    made = Crew(books)  # type: ignore[arg-type]

    report = await run(made, 1, limits=BudgetLimits(agents=1))

    assert ends(report) == [""]
    assert len(report.results["0"].attempts) == 2
    assert report.summary["budget"]["agents"] == 1


HOW = st.sampled_from(["reply", "mute", "crash", "limited", "late", "auth", "hang"])


@define(eq=False)
class Bookkeeper:
    """An orchestrator that writes down what each attempt cost, and when."""

    script: list[tuple[str, float]]
    begun: list[float] = field(factory=list)
    ended: list[tuple[float, float]] = field(factory=list)
    capabilities = Capabilities("books")

    async def invoke(self, request: AgentRequest, report: Report) -> AgentOutput:
        """Does what the script says for this start."""
        how, cost = self.script[len(self.begun) % len(self.script)]
        self.begun.append(now())
        told = 0.0
        try:
            if how in ("reply", "crash", "late", "hang"):
                report(UsageReported(Usage(cost_usd=cost)))
                told = cost
            await asyncio.sleep({"late": 20.0, "hang": 9999.0}.get(how, 1.0))
            causes_ = {"limited": "rate_limit", "no room": "out_of_memory"}
            if how in ("crash", "limited", "auth", "no room"):
                cause = FailureCause(causes_.get(how, how))
                failure = Failure(cause, "no", retry_after=2.0)
                raise AgentInvocationError(request.agent_id, failure)
            return AgentOutput("yes", request.agent_id)
        finally:
            self.ended.append((now(), told))

    async def aclose(self) -> None:
        """Nothing is left."""

    def spent_before(self, moment: float) -> float:
        """What attempts had told that were over before that moment."""
        return sum(cost for at, cost in self.ended if at < moment)


@frozen
class Case:
    """A batch with its limits, and what interrupts it."""

    script: list[tuple[str, float]]
    count: int
    at_once: int
    usd: float | None
    agents: int | None
    own: float | None
    stop_at: float | None
    recovers: bool


@settings(max_examples=150, deadline=None)
@given(
    st.builds(
        Case,
        script=st.lists(st.tuples(HOW, st.floats(0.0, 3.0)), min_size=1, max_size=8),
        count=st.integers(1, 12),
        at_once=st.integers(1, 5),
        usd=st.none() | st.floats(0.1, 10.0),
        agents=st.none() | st.integers(1, 12),
        own=st.none() | st.floats(0.1, 4.0),
        stop_at=st.none() | st.floats(0.0, 60.0),
        recovers=st.booleans(),
    )
)
def test_any_batch_settles_all_and_starts_nothing_past_its_limit(case: Case) -> None:
    """Every reservation is settled or released once, and every task has one end."""

    async def main() -> None:
        books = Bookkeeper(case.script)
        made = Crew(books)  # type: ignore[arg-type]
        limits = BudgetLimits(agents=case.agents, usd=case.usd)
        own = None if case.own is None else BudgetLimits(usd=case.own)
        given = tasks(case.count, "tester", tool=AGENT, limits=own)
        results: dict[int, SpawnResult] = {}
        batch = Spawning(
            made.fleet.context,
            BatchOptions(case.at_once, recovers=case.recovers, limits=limits),
            lambda job, result: results.__setitem__(job.index, result),
        )
        loop = asyncio.get_running_loop()
        if case.stop_at is not None:
            failure = Failure(FailureCause.CANCELLED, "enough")
            loop.call_at(case.stop_at, batch.stop, failure)
        await batch.run(given)

        budget = batch.budgets.batch
        assert (budget is None) == limits.are_none
        if budget is not None:
            assert (budget.in_flight, budget.agents) == (0, len(books.begun))
            assert budget.usd >= books.spent_before(inf) - 1e-9
        assert made.faults == []
        assert sorted(results) == list(range(case.count))
        assert case.agents is None or len(books.begun) <= case.agents
        if case.usd is not None:
            # Whatever was known of when an attempt began had left room for it.
            before = [books.spent_before(at) for at in books.begun]
            assert all(spent < case.usd for spent in before)
        attempts = [len(each.attempts) for each in results.values()]
        assert sum(attempts) == len(books.begun)

    run_in_virtual_time(main())
