"""From plain values to a `Plan`: every problem of the file in one error."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from muster.domain import graph
from muster.domain.errors import PlanError
from muster.domain.plan import Plan, PlanDefaults, PlanTask, find_problems, one_error
from muster.domain.plan_context import placed
from muster.domain.presets import SPAWN_POLICIES
from muster.domain.suggestion import did_you_mean
from muster.domain.task import Expectation
from muster.infrastructure.definitions import agent_of, lacks, limits_of, tool_of
from muster.infrastructure.plan_files.document import PlanDocument
from muster.infrastructure.plan_files.fields import PLAN, TASK_KEYS
from muster.infrastructure.strict_tables import (
    MISSING,
    Path,
    Problem,
    dotted,
    read,
)

MAX_REPORTED: Final = 100
_PER_TASK: Final = 2  # path parts: the key of the list and the place in it


def to_plan(
    document: PlanDocument, file: str, policies: Collection[str] | None = None
) -> Plan:
    """The plan. Raises one `PlanError` for all that is wrong.

    ``policies`` are names known besides the presets; None leaves names unchecked.
    """
    problems = list(document.problems)
    clean = read(PLAN, document.values, (), problems)
    if clean is MISSING:
        raise one_error([PlanError("a plan is a table that holds 'tasks'", file)])
    problems += _incomplete_tools(document.values.get("tools"))
    key = _task_key(document.values, problems)
    tables = clean.get(key, [])
    if policies is not None:
        _check_policies(clean, key, policies, problems)
    wrong = {problem.path[:_PER_TASK] for problem in problems}
    # A task with a mistake may also be one of two of that name, or wait for nobody.
    read_as = [
        _half if (key, place) in wrong else _task for place in range(len(tables))
    ]
    found = [
        how(table, document.line_of((key, place)))
        for place, (how, table) in enumerate(zip(read_as, tables, strict=True))
    ]
    tasks = [task for task in found if task is not None]
    also_known = _ids(document.values, key)
    errors = [_error(each, document, file) for each in problems]
    errors += find_problems(tasks, file=file, also_known=also_known)
    errors += [] if errors else _misplaced(tasks, file)
    if errors:
        raise one_error(_bounded(sorted(errors, key=_line), file), file)
    return Plan(
        tasks,
        _defaults(clean.get("defaults", {})),
        {name: tool_of(name, each) for name, each in clean.get("tools", {}).items()},
        {
            name: agent_of(name, each, file)
            for name, each in clean.get("agents", {}).items()
        },
    )


def _incomplete_tools(tools: Any) -> list[Problem]:
    # In a plan a tool is whole: what it does must not depend on who runs it.
    named = tools.items() if isinstance(tools, Mapping) else ()
    return [
        Problem(("tools", str(name)), f"lacks '{missing}'")
        for name, table in named
        if isinstance(table, Mapping)
        and (missing := lacks(table))
        and missing not in table
    ]


def _task_key(values: Any, problems: list[Problem]) -> str:
    present = [key for key in TASK_KEYS if key in values]
    if len(present) > 1:
        problems.append(Problem((present[1],), "and 'task' are the same; use one"))
    return present[0] if present else TASK_KEYS[0]


def _task(table: dict[str, Any], line: int | None) -> PlanTask:
    expect = table.pop("expect", None)
    limits = limits_of(table.pop("limits", None))
    return PlanTask(
        **table,
        expect=Expectation(**expect) if expect else None,
        limits=limits,
        line=line,
    )


def _defaults(table: dict[str, Any]) -> PlanDefaults:
    limits = limits_of(table.pop("limits", None))
    return PlanDefaults(**table, limits=limits)


def _misplaced(tasks: Sequence[PlanTask], file: str) -> list[PlanError]:
    """Outputs that are placed in a prompt and may not be there when it is sent."""
    depends = {task.id: task.depends for task in tasks}
    errors = []
    for task in tasks:
        for place in placed(task.prompt):
            if place in task.depends or place in graph.ancestors(depends, task.id):
                continue
            problem = f"places the output of '{place}' but does not wait for it"
            remedy = f"add '{place}' to its dependencies"
            if place not in depends:
                problem = f"places the output of an unknown task '{place}'"
                remedy = (did_you_mean(place, depends) or "; name another").lstrip("; ")
            text = f"task '{task.id}' {problem}; {remedy}"
            errors.append(PlanError(text, file, task.line))
    return errors


def _half(table: Any, line: int | None) -> PlanTask | None:
    """A task with mistakes, as far as its place in the plan can be checked."""
    if not isinstance(table, dict):
        return None
    task_id, depends = table.get("id"), table.get("depends", ())
    if not isinstance(task_id, str):
        return None
    return PlanTask(task_id, "", depends=depends, line=line)


def _ids(values: Any, key: str) -> set[str]:
    tables = values.get(key)
    if not isinstance(tables, list):
        return set()
    ids = (table.get("id") for table in tables if isinstance(table, dict))
    return {str(each) for each in ids if isinstance(each, str | int | float)}


def _check_policies(
    clean: dict[str, Any],
    key: str,
    policies: Collection[str],
    problems: list[Problem],
) -> None:
    known = [*SPAWN_POLICIES, *policies]
    places: list[tuple[Path, Any]] = [(("defaults",), clean.get("defaults"))]
    places += [((key, place), each) for place, each in enumerate(clean.get(key, []))]
    for path, table in places:
        name = table.get("policy") if isinstance(table, dict) else None
        if name is not None and name not in known:
            hint = did_you_mean(name, known)
            listed = f"; there are {', '.join(known)}" if "did you mean" in hint else ""
            predicate = f"names no policy: '{name}'{hint}{listed}"
            problems.append(Problem((*path, "policy"), predicate))


def _error(problem: Problem, document: PlanDocument, file: str) -> PlanError:
    path, predicate = problem.path, problem.predicate
    raw = document.unquoted.get(path)
    if raw is not None and "text" in predicate:
        predicate += f'; YAML does not read {raw} as text: quote it as "{raw}"'
    subject = dotted(path) or "the plan"
    if path and path[0] in TASK_KEYS and len(path) >= _PER_TASK:
        subject = _label(path, document.values)
        rest = dotted(path[_PER_TASK:])
        subject += f": {rest}" if rest else ""
    return PlanError(
        f"{subject} {predicate}", file, problem.line or document.line_of(path)
    )


def _label(path: Path, values: Any) -> str:
    try:
        task_id = values[path[0]][path[1]]["id"]
    except (KeyError, TypeError, IndexError):
        task_id = None
    if isinstance(task_id, str):
        return f"task '{task_id[:MAX_REPORTED]}'"
    return f"task number {int(path[1]) + 1}"


def _line(error: PlanError) -> int:
    return error.line or 0


def _bounded(errors: Sequence[PlanError], file: str) -> Sequence[PlanError]:
    if len(errors) <= MAX_REPORTED:
        return errors
    more = PlanError(f"and {len(errors) - MAX_REPORTED:,} more problems", file)
    return [*errors[:MAX_REPORTED], more]
