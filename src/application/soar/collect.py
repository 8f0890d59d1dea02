"""Collect: the subgoals as a plan, which the engine of all plans runs.

Here is only what it does not know: who was made up, what a dependent is told when another
one failed, and how long the whole may take. However it ends, nothing is raised for it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from muster.application.batch import BatchOptions, OnProgress, Tally
from muster.application.plan_execution import PlanExecution, PlanOptions
from muster.application.resumption import identify
from muster.application.soar.ledger import BEFORE, Ledger
from muster.domain import graph, presets, soar_prompt
from muster.domain.assignment import Assignment
from muster.domain.outcome import Failure, FailureCause, SpawnResult
from muster.domain.plan import Plan, PlanTask
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.subgoals import Subgoal, task_id_of


@frozen
class SubgoalOutput:
    """What became of one subgoal, by its number from 1."""

    number: int
    subgoal: Subgoal
    assignment: Assignment
    result: SpawnResult

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values, without the attempts."""
        result = self.result
        return {
            "subgoal": self.number,
            "description": self.subgoal.description,
            "is_critical": self.subgoal.is_critical,
            "depends_on": list(self.subgoal.depends_on),
            "agent": self.assignment.name,
            "is_spawn": self.assignment.is_spawn,
            "way": self.assignment.way.value,
            "success": result.success,
            "output": result.output if result.success else "",
            "error": result.error,
            "cause": result.failure.cause.value if result.failure else None,
            "fallback": result.fallback,
            "retry_count": result.retry_count,
            "duration_s": round(result.execution_time, 6),
        }


@frozen
class CollectResult:
    """What the agents came to. ``warning`` tells of a collection that was cut short.

    ``user_interactions``: ``{"question", "answer"}`` of what a person was asked.
    """

    agent_outputs: tuple[SubgoalOutput, ...]
    execution_metadata: Mapping[str, Any]
    user_interactions: tuple[Mapping[str, Any], ...] = ()
    fallback_agents: tuple[str, ...] = ()
    warning: str | None = None

    @property
    def results(self) -> dict[int, SpawnResult]:
        """The results by the subgoals' numbers."""
        return {each.number: each.result for each in self.agent_outputs}


@define(eq=False)
class Collector:
    """Runs subgoals on a fleet. ``agent_timeout`` in seconds (None: the policy's).

    All together may take 1.5 times that for each step of the longest chain.
    """

    ledger: Ledger
    question: str
    max_concurrent: int = presets.SOAR_MAX_CONCURRENT
    agent_timeout: float | None = None
    recovery: RecoveryPolicy | None = None
    fallback: bool | None = None
    retry_failed: bool = False
    interactions: Sequence[Mapping[str, Any]] = ()
    _is_too_late: bool = field(default=False, init=False)

    @property
    def limit(self) -> float:
        """Seconds that one agent may take, with all its attempts."""
        policy = self.ledger.fleet.policy(None)
        return self.agent_timeout or policy.timeout.hard_limit

    async def execute_agents(
        self,
        assignments: Sequence[Assignment],
        subgoals: Sequence[Subgoal],
        context: str,
        on_progress: OnProgress | None = None,
    ) -> CollectResult:
        """Every subgoal with what became of it, in their order. Raises `JournalError`.

        ``on_progress(number, total, agent, status)``, as the functions of a fleet.
        """
        fleet, loop = self.ledger.fleet, asyncio.get_running_loop()
        began = loop.time()
        plan = plan_of(self.question, assignments, subgoals, context, self.limit)
        ours = set(map(task_id_of, range(1, len(subgoals) + 1)))
        found = identify(plan, fleet)
        self.ledger.identities |= {each: found[each] for each in ours}
        known = self._known(ours)
        tally = Tally(fleet.breaker_health, fleet.breaker.is_adhoc)
        options = BatchOptions(
            max_concurrent=self.max_concurrent,
            recovers=True,
            recovery=self.recovery,
            fallback=self.fallback,
            on_progress=_numbered(on_progress, assignments),
        )
        continued = PlanOptions(on_dependency_failure="continue")
        run = PlanExecution(fleet, plan, continued, options, tally, known)
        if ours - set(known):
            await self._run(run, plan)
        results = {**known, **run.results}
        self.ledger.results |= results
        outputs = [
            SubgoalOutput(number, subgoal, each, results[task_id_of(number)])
            for number, (subgoal, each) in enumerate(
                zip(subgoals, assignments, strict=True), start=1
            )
        ]
        metadata = _metadata(outputs, tally, loop.time() - began)
        return CollectResult(
            tuple(outputs),
            metadata,
            tuple(self.interactions),
            tuple(each.assignment.name for each in outputs if each.result.fallback),
            self._warning(outputs),
        )

    def _known(self, ours: set[str]) -> dict[str, SpawnResult]:
        ledger, known = self.ledger, {}
        for task_id in sorted(ours):
            result = ledger.recall(task_id, ledger.identities[task_id])
            if result is not None and (result.success or not self.retry_failed):
                known[task_id] = result
            else:
                ledger.recalled.discard(task_id)
        return known

    async def _run(self, run: PlanExecution, plan: Plan) -> None:
        steps = len(graph.waves({each.id: each.depends for each in plan.tasks}))
        limit = self.limit * presets.GLOBAL_TIMEOUT_FACTOR * steps
        loop = asyncio.get_running_loop()
        timer = loop.call_later(limit, self._too_late, run, limit)
        try:
            await run.run()
        finally:
            timer.cancel()

    def _too_late(self, run: PlanExecution, limit: float) -> None:
        self._is_too_late = True
        text = f"Deadline: the subgoals took over {limit:g} s together"
        run.batch.stop(Failure(FailureCause.DEADLINE, text))

    def _warning(self, outputs: Sequence[SubgoalOutput]) -> str | None:
        cut = sum(
            each.result.failure is not None
            and each.result.failure.cause is FailureCause.DEADLINE
            for each in outputs
        )
        if not (self._is_too_late and cut):
            return None
        return f"out of time: {cut} of {len(outputs)} subgoals were cut off"


def plan_of(
    question: str,
    assignments: Sequence[Assignment],
    subgoals: Sequence[Subgoal],
    context: str,
    timeout: float | None = None,
) -> Plan:
    """The subgoals as tasks s1, s2...; the phases before keep their places, done."""
    tasks = [PlanTask(name, "", done=True) for name in BEFORE]
    for number, (subgoal, assigned) in enumerate(
        zip(subgoals, assignments, strict=True), start=1
    ):
        prompt = soar_prompt.subgoal_task(question, context, subgoal, assigned.persona)
        task = PlanTask(
            task_id_of(number),
            prompt,
            assigned.agent,
            depends=map(task_id_of, subgoal.depends_on),
            timeout=timeout,
            is_spawn=assigned.is_spawn,
        )
        tasks.append(task)
    return Plan(tasks)


def _numbered(
    on_progress: OnProgress | None, assignments: Sequence[Assignment]
) -> OnProgress | None:
    if on_progress is None:
        return None

    def tell(place: int, total: int, agent: str, status: str) -> None:
        number = place - len(BEFORE)
        on_progress(number, len(assignments), assignments[number - 1].name, status)

    return tell


def _metadata(
    outputs: Sequence[SubgoalOutput], tally: Tally, seconds: float
) -> dict[str, Any]:
    """The true story of the whole run; early ends and blocked starts are this session's."""
    told = tally.metadata(seconds)
    spawned = [
        each.assignment.name
        for each in outputs
        if each.assignment.is_spawn and each.result.attempts
    ]
    blocked = _by_subgoal(told["circuit_blocked"], outputs)
    return {
        "total_duration_ms": round(seconds * 1000, 3),
        "total_subgoals": len(outputs),
        "failed_subgoals": sum(not each.result.success for each in outputs),
        "fallback_count": sum(each.result.fallback for each in outputs),
        "spawn_count": len(spawned),
        "spawned_agents": spawned,
        "circuit_blocked": blocked,
        "circuit_blocked_count": len(blocked),
        "early_terminations": _by_subgoal(told["early_terminations"], outputs),
        "retried_agents": [
            {
                "agent_id": each.assignment.name,
                "subgoal_index": each.number - 1,
                "retries": each.result.retry_count,
            }
            for each in outputs
            if each.result.retry_count
        ],
    }


def _by_subgoal(rows: Any, outputs: Sequence[SubgoalOutput]) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        index = row["task_index"] - len(BEFORE)
        rest = {key: each for key, each in row.items() if key != "task_index"}
        name = outputs[index].assignment.name
        found.append({**rest, "agent_id": name, "subgoal_index": index})
    return found
