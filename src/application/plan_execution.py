"""Runs a plan as dataflow: a task starts when its own dependencies are done.

Of the tasks that are ready, the one with the longest path behind it goes first.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Literal

from attrs import define, evolve, field, frozen

from muster.application.batch import BatchObserver, BatchOptions, Job
from muster.application.fleet_context import FleetContext
from muster.application.spawning import Spawning
from muster.domain import graph
from muster.domain.outcome import Failure, FailureCause, SpawnResult
from muster.domain.plan import Plan, PlanTask
from muster.domain.plan_context import prompt_with_context
from muster.domain.run_report import RunReport, RunStatus, status_of, summarize


@frozen
class PlanOptions:
    """How a plan is run. ``only`` names the tasks to run; None: all that are not done."""

    only: frozenset[str] | None = None
    waves: bool = False
    fail_fast: bool = False
    on_dependency_failure: Literal["fail", "continue"] = "fail"


@define(eq=False)
class PlanExecution:
    """One run of one plan. Every selected task gets a result."""

    fleet: FleetContext
    plan: Plan
    options: PlanOptions
    batch_options: BatchOptions
    books: BatchObserver | None = None
    results: dict[str, SpawnResult] = field(factory=dict, init=False)
    batch: Spawning = field(init=False)
    _waits_for: dict[str, int] = field(factory=dict, init=False)
    _dependents: dict[str, list[str]] = field(factory=dict, init=False)
    _tasks: dict[str, PlanTask] = field(factory=dict, init=False)
    _index: dict[str, int] = field(factory=dict, init=False)
    _priority: Mapping[str, float] = field(factory=dict, init=False)

    async def run(self) -> dict[str, SpawnResult]:
        """The results of the selected tasks by id, in the order of the plan."""
        self._select()
        options = evolve(self.batch_options, total=len(self._tasks))
        self.batch = Spawning(self.fleet, options, self._deliver, self.books)
        for task_id, waits in self._waits_for.items():
            if not waits:
                self._start(task_id)
        await self.batch.run(())
        return {each: self.results[each] for each in self._tasks}

    def _select(self) -> None:
        only = self.options.only
        for index, task in enumerate(self.plan.tasks):
            if not task.done and (only is None or task.id in only):
                self._tasks[task.id] = self.plan.effective(task)
                self._index[task.id] = index
        order = {
            each: tuple(
                before
                for before in dict.fromkeys(task.depends)
                if before in self._tasks
            )
            for each, task in self._tasks.items()
        }
        self._priority = graph.priorities(order)
        if self.options.waves:
            order = _in_waves(order)
        self._waits_for = {each: len(before) for each, before in order.items()}
        self._dependents = graph.dependents(order)

    def _start(self, task_id: str) -> None:
        task = self._tasks[task_id]
        failed = self._failed_dependency(task)
        index, priority = self._index[task_id], self._priority[task_id]
        spawn_task = task.to_spawn_task()
        if failed is not None:
            reason = self.results[failed].error
            failure = Failure(
                FailureCause.DEPENDENCY_FAILED,
                f"not started: dependency '{failed}' failed ({reason})",
            )
            self.batch.add(Job(index, spawn_task, doomed=failure), priority)
            return
        prompt = prompt_with_context(task.prompt, task.depends, self.results)
        job = Job(index, evolve(spawn_task, prompt=prompt), agent=task.agent)
        self.batch.add(job, priority)

    def _failed_dependency(self, task: PlanTask) -> str | None:
        if self.options.on_dependency_failure == "continue":
            return None
        for before in task.depends:
            result = self.results.get(before)
            if result is not None and not result.success:
                return before
        return None

    def _deliver(self, job: Job, result: SpawnResult) -> None:
        task_id = str(job.task.task_id)
        self.results[task_id] = result
        for after in self._dependents.get(task_id, ()):
            self._waits_for[after] -= 1
            if not self._waits_for[after]:
                self._start(after)
        if self.options.fail_fast and not result.success:
            reason = f"not started: fail-fast after '{task_id}'"
            self.batch.drain(Failure(FailureCause.CANCELLED, reason))


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
        summary = summarize(
            results.values(),
            skipped=len(self.execution.plan.tasks) - len(results),
            duration=loop.time() - began,
            started_at=clock.utc(started_at),
            completed_at=clock.utc(clock.epoch()),
        )
        interrupted = len(self.fleet.interruptions) > interruptions
        status = status_of(results.values(), interrupted=interrupted)
        if self._is_too_late and not interrupted:
            status = RunStatus.DEADLINE
        summary = {"run_id": self.fleet.run_id, "status": status.value, **summary}
        if self.fleet.journal is not None:
            await self.fleet.journal.complete(summary)
        return RunReport(self.fleet.run_id, status, results, summary)

    def _too_late(self, limit: float) -> None:
        self._is_too_late = True
        text = f"Deadline: the run took over {limit:g} s"
        self.execution.batch.stop(Failure(FailureCause.DEADLINE, text))


def _in_waves(order: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    before: tuple[str, ...] = ()
    barred: dict[str, tuple[str, ...]] = {}
    for wave in graph.waves({each: tuple(deps) for each, deps in order.items()}):
        barred.update(dict.fromkeys(wave, before))
        before = tuple(wave)
    return {each: barred[each] for each in order}
