"""Runs a plan as dataflow: a task starts when its own dependencies are done.

Of the tasks that are ready, the one with the longest path behind it goes first.
"""

import asyncio
from collections.abc import Container, Iterable, Mapping
from typing import Literal

from attrs import define, evolve, field, frozen

from muster.application.batch import BatchObserver, BatchOptions, Job
from muster.application.fleet_context import FleetContext
from muster.application.spawning import Spawning
from muster.domain import graph
from muster.domain.errors import PlanError
from muster.domain.outcome import Failure, FailureCause, SpawnResult
from muster.domain.plan import Plan, PlanTask
from muster.domain.plan_context import context_and_prompt, placed
from muster.domain.run_report import RunReport, RunStatus, status_of, summarize
from muster.domain.run_results import InPlanOrder, run_results
from muster.domain.task import SpawnTask


@frozen
class PlanOptions:
    """How a plan is run. ``only`` names the tasks to run; None: all that are not done.

    ``estimates`` are seconds by task id, for choosing what to start first.
    """

    only: frozenset[str] | None = None
    waves: bool = False
    fail_fast: bool = False
    on_dependency_failure: Literal["fail", "continue"] = "fail"
    estimates: Mapping[str, float] = field(factory=dict)


@define(eq=False)
class PlanExecution:
    """One run of one plan. Every selected task gets a result.

    ``known`` are results from before: their tasks count as done, and are not run. They
    are loaded only when somebody needs them.
    """

    fleet: FleetContext
    plan: Plan
    options: PlanOptions
    batch_options: BatchOptions
    books: BatchObserver | None = None
    known: Mapping[str, SpawnResult] = field(factory=dict)
    results: dict[str, SpawnResult] = field(factory=dict, init=False)
    _selected: list[str] = field(factory=list, init=False)
    batch: Spawning = field(init=False)
    _waits_for: dict[str, int] = field(factory=dict, init=False)
    _dependents: dict[str, list[str]] = field(factory=dict, init=False)
    _tasks: dict[str, PlanTask] = field(factory=dict, init=False)
    _requests: dict[str, SpawnTask] = field(factory=dict, init=False)
    _index: dict[str, int] = field(factory=dict, init=False)
    _priority: Mapping[str, float] = field(factory=dict, init=False)

    async def run(self) -> Mapping[str, SpawnResult]:
        """The results of the selected tasks by id, in the order of the plan."""
        self._select()
        options = evolve(self.batch_options, total=len(self._tasks))
        self.batch = Spawning(self.fleet, options, self._deliver, self.books)
        for task_id, waits in self._waits_for.items():
            if not waits:
                self._start(task_id)
        await self.batch.run(())
        if not self.known:
            return {each: self.results[each] for each in self._selected}
        return InPlanOrder(self._selected, self.results, self.known)

    def _select(self) -> None:
        only = self.options.only
        chosen: set[str] = set()
        for index, task in self.plan.placed():
            if task.done or not (only is None or task.id in only):
                continue
            chosen.add(task.id)
            if task.id not in self.known:
                task = self.plan.effective(task)  # noqa: PLW2901 - with its defaults
                self._tasks[task.id] = task
                self._requests[task.id] = _request_of(task)
                self._index[task.id] = index
        self._selected = self._in_order(chosen)
        _check_places(self.plan, self._tasks.values())
        order = {
            each: tuple(
                before
                for before in dict.fromkeys(task.depends)
                if before in self._tasks
            )
            for each, task in self._tasks.items()
        }
        self._priority = graph.priorities(order, self.options.estimates)
        if self.options.waves:
            order = _in_waves(order)
        self._waits_for = {each: len(before) for each, before in order.items()}
        self._dependents = graph.dependents(order)

    def _in_order(self, chosen: Container[str]) -> list[str]:
        """The chosen tasks; of a plan's part also what is known of the rest."""
        part, known = {task.id for task in self.plan.tasks}, self.known
        return [
            each
            for each in self.plan.whole
            if each in chosen or (each in known and each not in part)
        ]

    def _start(self, task_id: str) -> None:
        task = self._tasks[task_id]
        failed = self._failed_dependency(task)
        index, priority = self._index[task_id], self._priority[task_id]
        spawn_task = self._requests[task_id]
        if failed is not None:
            failure = self._doom(failed)
            self.batch.add(Job(index, spawn_task, doomed=failure), priority)
            return
        context, prompt = "", task.prompt
        if not task.literal:
            context, prompt = context_and_prompt(prompt, task.depends, self._results())
        spawn_task = evolve(spawn_task, prompt=prompt)
        job = Job(index, spawn_task, agent=task.agent, context=context)
        self.batch.add(job, priority)

    def _doom(self, before: str) -> Failure:
        """Why nothing can be started after what became of ``before``."""
        result = self._results()[before]
        if result.failure and _is_nobodys_fault(
            result.failure, self._tasks.get(before)
        ):
            return result.failure
        if result.failure and result.failure.cause is FailureCause.DEPENDENCY_FAILED:
            # Of a long chain each would quote all before it: the root is what counts.
            return result.failure
        return Failure(
            FailureCause.DEPENDENCY_FAILED,
            f"not started: dependency '{before}' failed ({result.error})",
        )

    def _results(self) -> Mapping[str, SpawnResult]:
        """Those of this run, and those from before."""
        if not self.known:
            return self.results
        return InPlanOrder(self._selected, self.results, self.known)

    def _failed_dependency(self, task: PlanTask) -> str | None:
        if self.options.on_dependency_failure == "continue":
            return None
        results = self._results()
        for before in task.depends:
            result = results.get(before)
            if result is not None and not result.success:
                return before
        return None

    def _deliver(self, job: Job, result: SpawnResult) -> None:
        task_id = str(job.task.task_id)
        self.results[task_id] = result
        self._free(task_id)
        if self.options.fail_fast and not result.success:
            reason = f"not started: fail-fast after '{task_id}'"
            self.batch.drain(Failure(FailureCause.CANCELLED, reason))

    def _free(self, node: str) -> None:
        """Whoever waits for nobody else may start."""
        for after in self._dependents.get(node, ()):
            self._waits_for[after] -= 1
            if self._waits_for[after]:
                continue
            if after in self._tasks:
                self._start(after)
            else:
                self._free(after)


@define(eq=False)
class RunOfPlan:
    """A plan's execution from its first task to its summary."""

    fleet: FleetContext
    execution: PlanExecution
    deadline: float | None = None
    _is_too_late: bool = field(default=False, init=False)

    async def run(self) -> RunReport:
        """The report; its summary is durable where there is a journal."""
        interruptions = len(self.fleet.interruptions)
        loop, clock = asyncio.get_running_loop(), self.fleet.clock
        started_at, began = clock.epoch(), loop.time()
        timer = None
        if self.deadline is not None:
            timer = loop.call_later(self.deadline, self._too_late, self.deadline)
        try:
            results = await self.execution.run()
        finally:
            if timer is not None:
                timer.cancel()
        totals = run_results(results).totals()
        summary = summarize(
            totals,
            skipped=len(self.execution.plan.whole) - len(results),
            duration=loop.time() - began,
            started_at=clock.utc(started_at),
            completed_at=clock.utc(clock.epoch()),
        )
        interrupted = len(self.fleet.interruptions) > interruptions
        status = status_of(totals, interrupted=interrupted)
        too_late = self._is_too_late and status is not RunStatus.SUCCEEDED
        if too_late and not interrupted:
            status = RunStatus.DEADLINE
        summary = {"run_id": self.fleet.run_id, "status": status.value, **summary}
        account = self.execution.batch.budgets.account()
        if account is not None:
            summary["budget"] = account
        if self.fleet.journal is not None:
            await self.fleet.journal.complete(summary)
        run_id = self.fleet.run_id
        return RunReport(run_id, status, results, summary, totals=totals)

    def _too_late(self, limit: float) -> None:
        self._is_too_late = True
        text = f"Deadline: the run took over {limit:g} s"
        self.execution.batch.stop(Failure(FailureCause.DEADLINE, text))


_NOBODYS_FAULT = frozenset(
    {
        FailureCause.BUDGET,
        FailureCause.CANCELLED,
        FailureCause.HALTED,
        FailureCause.PARKED,
    }
)


def _is_nobodys_fault(failure: Failure, task: PlanTask | None) -> bool:
    # Was it kept waiting, or the whole run ended? So are those behind it.
    if failure.cause is FailureCause.DEADLINE:
        return task is not None and task.timeout is None
    return failure.cause in _NOBODYS_FAULT


def _request_of(task: PlanTask) -> SpawnTask:
    try:
        return task.to_spawn_task()
    except ValueError as error:
        raise PlanError(f"task '{task.id}': {error}", None, task.line) from error


def _check_places(plan: Plan, tasks: Iterable[PlanTask]) -> None:
    """An output can be placed only where it is sure to be there: behind its task."""
    depends = plan.dependencies()
    for task in tasks:
        for place in () if task.literal else placed(task.prompt):
            if place in task.depends or place in graph.ancestors(depends, task.id):
                continue
            known = plan.task(place).id
            raise PlanError(
                f"task '{task.id}' places the output of '{known}' but does not wait "
                "for it; add it to the task's dependencies",
                None,
                task.line,
            )


def _in_waves(order: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    # A barrier between two waves, and not every pair of their tasks: two waves of
    # 10,000 would make 100,000,000 edges. No task's id holds a control character.
    barred: dict[str, tuple[str, ...]] = {}
    before: tuple[str, ...] = ()
    for number, wave in enumerate(graph.waves(order)):
        barred.update(dict.fromkeys(wave, before))
        barrier = f"\0{number}"
        barred[barrier] = tuple(wave)
        before = (barrier,)
    return barred
