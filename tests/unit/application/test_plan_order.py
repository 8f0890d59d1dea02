"""Any plan, any failures, any end: no task vanishes and none starts too soon."""

import asyncio
from typing import Any

from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.application.ports.agent_orchestrator import Capabilities, Report
from muster.domain.errors import AgentInvocationError
from muster.domain.fleet_events import TaskEnded
from muster.domain.outcome import Failure, FailureCause
from muster.domain.plan import Plan, PlanTask
from muster.domain.run_report import RunReport
from muster.domain.task import AgentOutput, AgentRequest
from muster.testing import (
    run_in_virtual_time,
)
from tests.unit.application.crew import Crew

ONCE: dict[str, Any] = {"max_retries": 0, "fallback_to_llm": False}


class World:
    """Agents that take their time or fail, and a log of when they ran."""

    capabilities = Capabilities("world")

    def __init__(self, lasts: dict[str, float], bad: set[str]) -> None:
        self.lasts, self.bad = lasts, bad
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.active = self.peak = 0

    async def invoke(self, request: AgentRequest, report: Report) -> AgentOutput:
        name, loop = str(request.task_id), asyncio.get_running_loop()
        assert name not in self.began
        self.began[name] = loop.time()
        self.active += 1
        self.peak = max(self.peak, self.active)
        try:
            await asyncio.sleep(self.lasts[name])
        finally:
            self.active -= 1
            self.ended[name] = loop.time()
        if name in self.bad:
            raise AgentInvocationError(name, Failure(FailureCause.CRASH, "bad"))
        return AgentOutput(name, name)

    async def aclose(self) -> None:
        """Nothing is left."""


@frozen
class Story:
    """A plan, what its agents do, and when somebody ends it."""

    graph: dict[str, tuple[str, ...]]
    lasts: dict[str, float]
    bad: set[str]
    done: set[str]
    only: set[str] | None
    limit: int
    end: tuple[str, float] | None
    options: dict[str, Any]

    @property
    def chosen(self) -> list[str]:
        return [
            each
            for each in self.graph
            if each not in self.done and (self.only is None or each in self.only)
        ]

    def plan(self) -> Plan:
        return Plan(
            tuple(
                PlanTask(each, "x", depends=needs, done=each in self.done)
                for each, needs in self.graph.items()
            )
        )


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Any acyclic plan of up to nine tasks, in any order of its file."""
    size = draw(st.integers(0, 9))
    names = [f"t{n}" for n in range(size)]
    needs = {
        name: tuple(draw(st.lists(st.sampled_from(names[:n]), max_size=4)) if n else ())
        for n, name in enumerate(names)
    }
    some = st.sets(st.sampled_from(names)) if names else st.just(set[str]())
    return Story(
        graph={name: needs[name] for name in draw(st.permutations(names))},
        lasts={name: draw(st.sampled_from([0.0, 1.0, 3.0])) for name in names},
        bad=draw(some),
        done=draw(some) if draw(st.booleans()) else set(),
        only=draw(some) if draw(st.booleans()) else None,
        limit=draw(st.integers(1, 4)),
        end=draw(
            st.none()
            | st.tuples(
                st.sampled_from(["drain", "stop"]), st.sampled_from([0.0, 1.0, 2.5])
            )
        ),
        options={
            "waves": draw(st.booleans()),
            "fail_fast": draw(st.booleans()),
            "on_dependency_failure": draw(st.sampled_from(["fail", "continue"])),
            "deadline": draw(st.sampled_from([None, None, 2.0])),
        },
    )


@settings(max_examples=300, deadline=None)
@given(stories())
def test_no_task_vanishes(story: Story) -> None:
    """Every chosen task has one result; nobody starts too soon, or beside too many."""
    world = World(story.lasts, story.bad)
    crew = Crew()
    crew.fleet.context.orchestrator_of = lambda _: world

    async def main() -> RunReport:
        if story.end is not None:
            how, moment = story.end
            loop = asyncio.get_running_loop()
            loop.call_at(moment, getattr(crew.fleet, how))
        return await crew.fleet.run_plan(
            story.plan(),
            only=story.only,
            max_concurrent=story.limit,
            **ONCE,
            **story.options,
        )

    report = run_in_virtual_time(main())

    assert list(report.results) == story.chosen
    ended = [each.result.task_id for each in crew.sink.of(TaskEnded)]
    assert sorted(map(str, ended)) == sorted(story.chosen)
    assert world.peak <= story.limit
    check_order(story, world, report)


def check_order(story: Story, world: World, report: RunReport) -> None:
    """Dependencies, and where nothing disturbs the run the longest path first."""
    goes_on = story.options["on_dependency_failure"] == "continue"
    for name, began in world.began.items():
        for before in story.graph[name]:
            if before in report.results:
                assert before not in world.began or world.ended[before] <= began
                assert goes_on or report.results[before].success
    calm = story.end is None and story.options["deadline"] is None
    if calm and not (story.options["fail_fast"] and story.bad & {*world.began}):
        for name in story.chosen:
            good = all(
                report.results[each].success
                for each in story.graph[name]
                if each in report.results
            )
            assert (name in world.began) is (good or goes_on)


@settings(max_examples=100, deadline=None)
@given(stories())
def test_scarce_slots_go_to_the_longest_path(story: Story) -> None:
    """With one slot each start is one with the most tasks in a row behind it."""
    crew = Crew()
    made = Plan(
        tuple(PlanTask(each, "x", depends=story.graph[each]) for each in story.graph)
    )

    run_in_virtual_time(crew.fleet.run_plan(made, max_concurrent=1))

    length: dict[str, int] = {}
    for wave in reversed(made.waves()):
        for name in wave:
            behind = [length[each] for each in length if name in story.graph[each]]
            length[name] = 1 + max(behind, default=0)
    done: list[str] = []
    for call in crew.stub.calls:
        name = str(call.request.task_id)
        ready = [
            each
            for each in story.graph
            if each not in done and {*story.graph[each]} <= {*done}
        ]
        assert length[name] == max(length[each] for each in ready)
        done.append(name)
    assert len(done) == len(story.graph)
