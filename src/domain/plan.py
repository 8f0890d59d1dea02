"""A plan: tasks that wait for each other, checked as a whole when it is built."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
from attrs import Attribute, field, frozen

from muster.domain import graph
from muster.domain.agent_profile import AgentProfile
from muster.domain.budget import BudgetLimits
from muster.domain.errors import CyclicPlanError, PlanError
from muster.domain.spawn_policy import SpawnPolicy
from muster.domain.suggestion import did_you_mean
from muster.domain.task import Expectation, SpawnTask, budget_limits, expectation
from muster.domain.tool import ToolSpec

NO_AGENT = "@self"
_SPAWN_FIELDS = (
    "tool",
    "model",
    "timeout",
    "policy",
    "cwd",
    "depends",
    "expect",
    "limits",
    "session_id",
    "is_spawn",
)
MAX_SUGGESTIONS = 20
MAX_CYCLE_SHOWN = 12


def _id(instance: Any, attribute: "Attribute[Any]", value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise PlanError(f"a task's id must be text, not {value!r}; quote it")
    if any(ord(character) < ord(" ") for character in value):
        raise PlanError(f"the task id {value!r} holds a control character")


def _prompt(instance: Any, attribute: "Attribute[Any]", value: object) -> None:
    if not isinstance(value, str):
        raise PlanError(f"the prompt of a task must be text, not {value!r}")


def _limit(instance: Any, attribute: "Attribute[Any]", value: object) -> None:
    if value is None:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value <= 0:  # type: ignore[operator, arg-type]
        raise PlanError(f"timeout must be seconds above 0, not {value!r}")


def _ids(value: str | Iterable[str]) -> tuple[str, ...]:
    # "ab" is one dependency, not two.
    return (value,) if isinstance(value, str) else tuple(value)


def _expected(value: Expectation | Mapping[str, Any] | None) -> Expectation | None:
    try:
        return expectation(value)
    except ValueError as error:
        raise PlanError(str(error)) from error


def _limited(value: BudgetLimits | Mapping[str, Any] | None) -> BudgetLimits | None:
    try:
        return budget_limits(value)
    except ValueError as error:
        raise PlanError(str(error)) from error


@frozen
class PlanTask:
    """One task of a plan. ``done`` tasks count as succeeded and are not run.

    ``agent="@self"`` asks for no agent whatever the plan's defaults say: it is
    kept as ``agent=None, direct=True``. ``line`` is where it stands in its file. A
    ``session_id`` is the conversation that a resumed run goes on with. A
    ``literal`` prompt is given as it is: nothing is placed in it or told before it.
    ``is_spawn`` says that its agent was made up for it.
    """

    id: str = field(validator=_id)
    prompt: str = field(validator=_prompt)
    agent: str | None = None
    tool: str | ToolSpec | None = None
    model: str | None = None
    depends: tuple[str, ...] = field(default=(), converter=_ids)
    timeout: float | None = field(default=None, validator=_limit)
    policy: SpawnPolicy | str | None = None
    expect: Expectation | None = field(default=None, converter=_expected)
    cwd: str | None = None
    done: bool = False
    direct: bool = field(default=False, kw_only=True)
    literal: bool = field(default=False, kw_only=True)
    limits: BudgetLimits | None = field(default=None, kw_only=True, converter=_limited)
    line: int | None = field(default=None, kw_only=True, eq=False)
    session_id: str | None = field(default=None, kw_only=True, eq=False)
    is_spawn: bool = field(default=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.agent == NO_AGENT:
            object.__setattr__(self, "agent", None)
            object.__setattr__(self, "direct", True)
        elif self.agent is not None:
            object.__setattr__(self, "direct", False)

    @property
    def title(self) -> str:
        """The first line of the prompt, for people."""
        return self.prompt.strip().split("\n", 1)[0]

    def to_spawn_task(self) -> SpawnTask:
        """The same request without a plan around it."""
        fields = {name: getattr(self, name) for name in _SPAWN_FIELDS}
        return SpawnTask(self.prompt, self.agent, task_id=self.id, **fields)


@frozen
class PlanDefaults:
    """What a plan says once for all its tasks."""

    agent: str | None = None
    tool: str | ToolSpec | None = None
    model: str | None = None
    timeout: float | None = field(default=None, validator=_limit)
    policy: SpawnPolicy | str | None = None
    cwd: str | None = None
    limits: BudgetLimits | None = field(default=None, converter=_limited)


def _defaults(value: "PlanDefaults | Mapping[str, Any] | None") -> PlanDefaults:
    if isinstance(value, PlanDefaults):
        return value
    try:
        return PlanDefaults(**(value or {}))
    except TypeError as exc:
        raise PlanError(f"the defaults of a plan: {exc}") from exc


def _tasks(value: Iterable[PlanTask]) -> tuple[PlanTask, ...]:
    return tuple(value)


@frozen
class Plan:
    """Tasks in the order of their file, of which every dependency exists.

    Building one raises a single `PlanError` for all duplicate ids and unknown
    dependencies, or `CyclicPlanError` with the path of a cycle.
    """

    tasks: tuple[PlanTask, ...] = field(converter=_tasks)
    defaults: PlanDefaults = field(factory=PlanDefaults, converter=_defaults)
    tools: Mapping[str, ToolSpec] = field(factory=dict)
    agents: Mapping[str, AgentProfile] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        problems = find_problems(self.tasks)
        if problems:
            raise one_error(problems)

    def task(self, task_id: str) -> PlanTask:
        """The task of that id. Raises `PlanError` when there is none."""
        for task in self.tasks:
            if task.id == task_id:
                return task
        hint = did_you_mean(task_id, [task.id for task in self.tasks])
        raise PlanError(f"the plan has no task '{task_id}'{hint}")

    def dependencies(self) -> dict[str, tuple[str, ...]]:
        """The plan as a graph: each id and the ids that it waits for."""
        return {task.id: task.depends for task in self.tasks}

    @property
    def whole(self) -> Mapping[str, Sequence[str]]:
        """The graph of the plan that this is, or is a part of, in its order."""
        return self.dependencies()

    def placed(self) -> Iterator[tuple[int, PlanTask]]:
        """Each task with its place in the whole plan, counted from 0."""
        return enumerate(self.tasks)

    def waves(self) -> list[list[str]]:
        """Ids in groups that can run side by side, ``done`` ones included."""
        return graph.waves(self.dependencies())

    def effective(self, task: PlanTask) -> PlanTask:
        """The task with the plan's defaults where it says nothing itself."""
        changes = {
            name: value
            for name, value in attrs.asdict(self.defaults, recurse=False).items()
            if value is not None and getattr(task, name) is None
        }
        if task.direct:
            changes.pop("agent", None)
        return attrs.evolve(task, **changes) if changes else task


def find_problems(
    tasks: Sequence[PlanTask],
    *,
    file: str | None = None,
    also_known: Collection[str] = (),
) -> list[PlanError]:
    """Everything that keeps these tasks from being a plan, in the order of the tasks.

    ``also_known`` are ids of tasks that could not be read: waiting for them is no
    further mistake.
    """
    first: dict[str, PlanTask] = {}
    problems: list[PlanError] = []
    for task in tasks:
        if task.id in first:
            problems.append(_duplicate(task, first[task.id], file))
        first.setdefault(task.id, task)
    known = {**dict.fromkeys(first), **dict.fromkeys(also_known)}
    problems += _unknown(tasks, known, file)
    dependencies = {
        task.id: [need for need in task.depends if need in first]
        for task in first.values()
    }
    cycle = graph.find_cycle(dependencies)
    if cycle:
        problems.append(_cyclic(cycle, first[cycle[0]], file))
    return problems


def one_error(problems: Sequence[PlanError], file: str | None = None) -> PlanError:
    """The problems as one error: the only one as it is, several as a list."""
    if len(problems) == 1:
        return attrs.evolve(problems[0], problems=tuple(problems))
    lines = "\n".join(f"  {problem}" for problem in problems)
    return PlanError(f"{len(problems)} problems:\n{lines}", file, None, tuple(problems))


def _duplicate(task: PlanTask, first: PlanTask, file: str | None) -> PlanError:
    where = f" (first on line {first.line})" if first.line else ""
    problem = f"duplicate task id '{task.id}'{where}; give each task an id of its own"
    return PlanError(problem, file, task.line)


def _unknown(
    tasks: Sequence[PlanTask], known: Collection[str], file: str | None
) -> list[PlanError]:
    problems: list[PlanError] = []
    for task in tasks:
        for need in task.depends:
            if need in known:
                continue
            # Looking for a neighbour is the dear part, and nobody reads the 21st.
            hint = did_you_mean(need, known) if len(problems) < MAX_SUGGESTIONS else ""
            problem = f"unknown dependency '{need}' in task '{task.id}'{hint}"
            problems.append(PlanError(problem, file, task.line))
    return problems


def _cyclic(
    cycle: tuple[str, ...], first: PlanTask, file: str | None
) -> CyclicPlanError:
    if len(cycle) == len(("itself", "itself")):
        problem = f"task '{cycle[0]}' depends on itself; remove that dependency"
        return CyclicPlanError(problem, file, first.line, cycle)
    half = MAX_CYCLE_SHOWN // 2
    shown = list(cycle)
    if len(shown) > MAX_CYCLE_SHOWN:
        shown[half:-half] = [f"... {len(cycle) - MAX_CYCLE_SHOWN} more ..."]
    problem = (
        f"tasks wait for each other: {' -> '.join(shown)}; remove one of these "
        "dependencies"
    )
    return CyclicPlanError(problem, file, first.line, cycle)
