"""What hosts pass to the functions of a fleet, checked and turned into options."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import Any

from attrs import evolve

from muster.application.batch import BatchOptions
from muster.domain import presets
from muster.domain.kinds import is_number, shortly
from muster.domain.outcome import SpawnResult
from muster.domain.plan import Plan
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.spawn_policy import SpawnPolicy
from muster.domain.task import SpawnTask

Config = Mapping[str, Any]


def at_least_one(max_concurrent: int) -> int:
    """The number, or a `ValueError` at once instead of a batch that never starts."""
    _whole("max_concurrent", max_concurrent)
    if max_concurrent < 1:
        problem = f"max_concurrent must be at least 1, not {max_concurrent!r}"
        raise ValueError(problem)
    return max_concurrent


def not_negative(retries: int | None) -> int | None:
    """The number, or a `ValueError`."""
    if retries is not None:
        _whole("max_retries", retries)
    if retries is not None and retries < 0:
        problem = f"max_retries must be at least 0, not {retries!r}"
        raise ValueError(problem)
    return retries


def length(tasks: Iterable[SpawnTask]) -> int | None:
    """How many tasks there are, where that can be told without reading them.

    Raises TypeError for what is no task, before anything is started for others.
    """
    if isinstance(tasks, str | SpawnTask):
        problem = (
            f"tasks must be several of them, not {shortly(tasks)}; put it in a list"
        )
        raise TypeError(problem)
    if not isinstance(tasks, Sequence):
        return None
    for task in tasks:
        a_task(task)
    return len(tasks)


def a_task(task: object) -> None:
    """Raises TypeError when it is none."""
    if not isinstance(task, SpawnTask):
        hint = "; SpawnTask(PROMPT) makes one" if isinstance(task, str) else ""
        problem = f"a task must be a SpawnTask, not {shortly(task)}{hint}"
        raise TypeError(problem)


def a_plan(plan: object) -> None:
    """Raises TypeError when it is none."""
    if not isinstance(plan, Plan):
        problem = f"plan must be a Plan, not {shortly(plan)}; Plan.load(FILE) reads one"
        raise TypeError(problem)


def seconds(name: str, value: float | None) -> float | None:
    """The duration. Raises TypeError or ValueError."""
    if value is None or (is_number(value) and value >= 0):
        return value
    problem = f"{name} must be seconds from 0, not {value!r}"
    raise (ValueError if isinstance(value, int | float) else TypeError)(problem)


def _whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        problem = f"{name} must be a whole number, not {value!r}"
        raise TypeError(problem)


def _table(config: Any) -> Config:
    if config is None:
        return {}
    if not isinstance(config, Mapping):
        problem = f"config must be a table of settings, not {shortly(config)}"
        raise TypeError(problem)
    return config


def recovery_of(config: Config | None) -> RecoveryPolicy | None:
    """The recovery policy of a call's ``config``, if it names one."""
    config = _table(config)
    spawner = config.get("spawner")
    if not isinstance(spawner, Mapping) or "recovery" not in spawner:
        return None
    return RecoveryPolicy.from_config(config)


def configured(options: BatchOptions, config: Config | None) -> BatchOptions:
    """The options with what ``config`` says where neither call nor task say it."""
    config = _table(config)
    if not config:
        return options
    return evolve(
        options,
        default_tool=config.get("tool"),
        default_model=config.get("model"),
        policy=options.policy or config.get("policy"),
    )


def chosen(plan: Plan, only: Iterable[str] | None) -> frozenset[str] | None:
    """The ids to run. Raises `PlanError` for one that the plan does not have."""
    a_plan(plan)
    if only is None:
        return None
    ids = frozenset((only,) if isinstance(only, str) else only)
    for unknown in sorted(ids - {task.id for task in plan.tasks}):
        plan.task(unknown)
    return ids


def batch_limit(
    tasks: Sequence[SpawnTask],
    options: BatchOptions,
    policy_of: Callable[[SpawnPolicy | str | None], SpawnPolicy],
) -> float:
    """Seconds that a batch may take: its longest task x 1.5 per wave, and the stagger."""
    if not tasks:
        return 0.0
    longest = max(
        task.timeout or policy_of(task.policy or options.policy).timeout.hard_limit
        for task in tasks
    )
    waves = ceil(len(tasks) / options.max_concurrent)
    stagger = options.stagger * len(tasks)
    return longest * presets.GLOBAL_TIMEOUT_FACTOR * waves + stagger


def in_sequence(
    tasks: Iterable[SpawnTask],
    found: Mapping[int, SpawnResult],
    *,
    pass_context: bool,
    stop_on_failure: bool,
) -> Iterator[SpawnTask]:
    """The tasks, each made when the one before has its result in ``found``."""
    for task in tasks:
        outputs = [each.output for each in found.values() if each.success]
        if stop_on_failure and len(outputs) < len(found):
            return
        if pass_context and outputs:
            context = "\n\n".join(outputs)
            prompt = f"{task.prompt}\n\nPrevious context:\n{context}"
            yield evolve(task, prompt=prompt)
        else:
            yield task
