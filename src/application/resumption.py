"""What a resumed run still has to do: the plan as it is now against what was recorded."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Final

from attrs import define, field, frozen

from muster.application.fleet_context import FleetContext
from muster.domain import graph, presets
from muster.domain.errors import ToolNotFoundError
from muster.domain.identity import Setting, identities
from muster.domain.outcome import Failure, FailureCause, SpawnResult
from muster.domain.plan import Plan, PlanTask
from muster.domain.tool import ToolSpec

WAS_RUNNING: Final = "was running when muster ended"
WAS_ENDED: Final = "was ended before it was done"
CHANGED: Final = "changed"


# Not frozen, which takes three times as long to make: there are 100,000 of them.
@define
class FinishedTask:
    """What the journal has of a task that ended. ``cause`` is None for a success."""

    identity: str | None
    cause: FailureCause | None = None
    attempts: int = 1
    seconds: float = 0.0
    session_id: str | None = None


@frozen
class InterruptedTask:
    """A task that was running. ``deaths``: hosts that died in a row while it did."""

    identity: str | None
    attempt: int = 1
    session_id: str | None = None
    deaths: int = 1


@frozen
class RunHistory:
    """All that is recorded of a run, by task id."""

    finished: Mapping[str, FinishedTask] = field(factory=dict)
    interrupted: Mapping[str, InterruptedTask] = field(factory=dict)

    def keeps(self, task_id: str, identity: str) -> bool:
        """Whether there is a success of that task with this very content."""
        finished = self.finished.get(task_id)
        return (
            finished is not None
            and finished.cause is None
            and finished.identity == identity
            and task_id not in self.interrupted
        )

    def without(self, tasks: Collection[str]) -> "RunHistory":
        """All but what is recorded of these."""
        finished = {
            each: task for each, task in self.finished.items() if each not in tasks
        }
        return RunHistory(finished, self.interrupted)


@define
class Resumption:
    """What becomes of each task of the plan, by id, in the order of the plan.

    ``kept`` and ``failed`` (stays failed) name the record to use, ``rerun`` says why.
    ``new`` never ran. ``poisonous`` were running at every one of the last deaths of
    their host. ``dropped`` are recorded and no longer in the plan. ``sessions`` are the
    tools' own names of what was in flight.
    """

    kept: dict[str, str] = field(factory=dict)
    rerun: dict[str, str] = field(factory=dict)
    new: list[str] = field(factory=list)
    failed: dict[str, str] = field(factory=dict)
    poisonous: dict[str, int] = field(factory=dict)
    dropped: list[str] = field(factory=list)
    sessions: dict[str, str] = field(factory=dict)

    @property
    def pending(self) -> list[str]:
        """What will be run, unless something that it waits for stays failed."""
        return [*self.rerun, *self.new]

    @property
    def recorded(self) -> dict[str, str]:
        """What is not run, and under which id its result is recorded."""
        return {**self.kept, **self.failed}


def identify(
    plan: Plan,
    fleet: FleetContext,
    *,
    tool: str | ToolSpec | None = None,
    model: str | None = None,
) -> dict[str, str]:
    """The identity of every task of the plan, as this fleet would run it.

    ``tool`` and ``model`` win over the tasks' own, as in `Fleet.run_plan`.
    """
    settings = _Settings(plan, fleet, tool, model)
    contents = {task.id: (task.prompt, settings.of(task)) for task in plan.tasks}
    return identities(contents, plan.dependencies())


def plan_resume(
    plan: Plan,
    identity_of: Mapping[str, str],
    history: RunHistory,
    *,
    only: Collection[str] | None = None,
    retry_failed: bool = False,
) -> Resumption:
    """Decides for each task that is not ticked off; a success of its content is kept."""
    tasks = [
        task for task in plan.tasks if not task.done and (not only or task.id in only)
    ]
    all_limited = plan.defaults.limits is not None
    judge = _Judge(identity_of, history, retry_failed, all_limited)
    judge.look_for_moved({task.id for task in tasks})
    for task in tasks:
        if not judge.keeps(task.id):
            judge.judge(task)
    known = {task.id for task in plan.tasks}
    used = set(judge.resumption.kept.values())
    recorded = dict.fromkeys((*history.finished, *history.interrupted))
    judge.resumption.dropped = [
        each for each in recorded if each not in known and each not in used
    ]
    return judge.resumption


def blocked(plan: Plan, resumption: Resumption) -> list[str]:
    """What would be run and waits for something that stays failed."""
    pending = set(resumption.pending)
    behind = graph.dependents(plan.dependencies())
    waiting = [*resumption.failed, *resumption.poisonous]
    found: dict[str, None] = {}
    while waiting:
        for each in behind[waiting.pop()]:
            if each in pending and each not in found:
                found[each] = None
                waiting.append(each)
    return [task.id for task in plan.tasks if task.id in found]


def poisoned_result(plan: Plan, task_id: str, deaths: int) -> SpawnResult:
    """The result of a task that is not run again by itself."""
    index, task = next(each for each in plan.placed() if each[1].id == task_id)
    message = (
        f"was running each of the {deaths} times that muster died in a row, and is not "
        "run again by itself; `muster resume --retry-failed` runs it"
    )
    failure = Failure(FailureCause.KILLED, message)
    return SpawnResult(
        success=False,
        failure=failure,
        task_id=task_id,
        task_index=index,
        exit_code=-1,
        agent=task.agent,
    )


@define
class _Judge:
    identity_of: Mapping[str, str]
    history: RunHistory
    retry_failed: bool
    all_limited: bool = False
    resumption: Resumption = field(factory=Resumption)
    _moved: dict[str, list[str]] = field(factory=dict)

    def look_for_moved(self, planned: Collection[str]) -> None:
        """Successes whose task now has another id or another content."""
        moved: defaultdict[str, list[str]] = defaultdict(list)
        for task_id, finished in self.history.finished.items():
            identity = finished.identity
            if finished.cause is not None or identity is None:
                continue
            if self.identity_of.get(task_id) != identity or task_id not in planned:
                moved[identity].append(task_id)
        self._moved = dict(moved)

    def keeps(self, task_id: str) -> bool:
        """Whether it is kept as it is, like nearly all of a long run."""
        is_kept = self.history.keeps(task_id, self.identity_of[task_id])
        if is_kept:
            self.resumption.kept[task_id] = task_id
        return is_kept

    def judge(self, task: PlanTask) -> None:
        identity, found = self.identity_of[task.id], self.resumption
        interrupted = self.history.interrupted.get(task.id)
        if interrupted is not None:
            self._interrupted(task.id, identity, interrupted)
            return
        finished = self.history.finished.get(task.id)
        if finished is not None and finished.identity == identity:
            self._finished(task, finished)
        elif self._moved.get(identity):
            found.kept[task.id] = self._moved[identity].pop(0)
        elif finished is None or _never_ran(finished):
            found.new.append(task.id)
        else:
            found.rerun[task.id] = CHANGED

    def _interrupted(self, task_id: str, identity: str, task: InterruptedTask) -> None:
        found, same = self.resumption, task.identity == identity
        if same and task.deaths >= presets.HOST_DEATHS and not self.retry_failed:
            found.poisonous[task_id] = task.deaths
            return
        found.rerun[task_id] = WAS_RUNNING
        if same and task.session_id is not None:
            found.sessions[task_id] = task.session_id

    def _finished(self, task: PlanTask, finished: FinishedTask) -> None:
        found = self.resumption
        if finished.session_id is not None:
            found.sessions[task.id] = finished.session_id
        if _never_ran(finished):
            found.new.append(task.id)
        elif self._was_ended(task, finished):
            found.rerun[task.id] = WAS_ENDED
        elif self.retry_failed:
            cause = finished.cause or FailureCause.UNKNOWN
            found.rerun[task.id] = f"failed ({cause.value})"
        else:
            found.failed[task.id] = task.id

    def _was_ended(self, task: PlanTask, finished: FinishedTask) -> bool:
        """Whether it failed because the run ended, and not by itself."""
        cause = finished.cause
        if cause is FailureCause.DEADLINE:
            # Its own deadline, or that of the run?
            return task.timeout is None or finished.seconds < task.timeout
        if cause is FailureCause.BUDGET and (task.limits or self.all_limited):
            # Once more, it would use up its own budget once more.
            return False
        return cause is not None and not cause.is_agent_failure


def _never_ran(finished: FinishedTask) -> bool:
    cause = finished.cause
    no_fault = cause is not None and not cause.is_agent_failure
    return not finished.attempts and (no_fault or cause is FailureCause.DEADLINE)


@define
class _Settings:
    """Looks each tool and each profile up once, and makes equal settings once.

    By hand and not by `Plan.effective`: 100,000 tasks must be known within a second.
    """

    plan: Plan
    fleet: FleetContext
    tool: str | ToolSpec | None
    model: str | None
    _known: dict[object, Setting] = field(factory=dict, init=False)
    _specs: dict[object, ToolSpec | str | None] = field(factory=dict, init=False)

    def of(self, task: PlanTask) -> Setting:
        """All of the task but its prompt, as it would be run."""
        kind = (
            task.agent,
            task.direct,
            task.tool if isinstance(task.tool, str) else id(task.tool),
            task.model,
            id(task.expect),
            task.cwd,
        )
        known = self._known.get(kind)
        if known is None:
            known = self._known[kind] = self._setting(task)
        return known

    def _setting(self, task: PlanTask) -> Setting:
        defaults, fleet = self.plan.defaults, self.fleet
        agent = task.agent if task.agent or task.direct else defaults.agent
        profile = fleet.agents.find(agent) if fleet.agents and agent else None
        tool = task.tool or defaults.tool or (profile.tool if profile else None)
        model = task.model or defaults.model or (profile.model if profile else None)
        return Setting(
            tool=self._spec(self.tool or tool or fleet.tool),
            model=self.model or model or fleet.model,
            agent=agent,
            profile=profile,
            expect=task.expect,
            cwd=task.cwd or defaults.cwd,
        )

    def _spec(self, tool: str | ToolSpec | None) -> ToolSpec | str | None:
        if isinstance(tool, ToolSpec):
            return tool
        if tool not in self._specs:
            try:
                self._specs[tool] = self.fleet.tools.resolve(tool)
            except ToolNotFoundError:
                self._specs[tool] = tool
        return self._specs[tool]
