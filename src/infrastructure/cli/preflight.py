"""What is checked before anything starts: tools, agents, and consent to foreign commands."""

import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from shlex import join
from typing import ClassVar, Final

from attrs import define

from muster.application.fleet_context import FleetContext
from muster.domain import expectation
from muster.domain.errors import (
    AgentNotFoundError,
    MusterError,
    PlanError,
    ToolNotFoundError,
)
from muster.domain.plan import Plan, PlanTask
from muster.domain.tool import ToolSpec
from muster.infrastructure import inspector
from muster.infrastructure.adapters.local_process.tool_table import LocalToolRegistry
from muster.infrastructure.cli import streams
from muster.infrastructure.cli.exit_codes import ExitCode
from muster.infrastructure.cli.output import Output
from muster.infrastructure.cli.words import one_line

MAX_NAMED: Final = 5
WAYS_OUT: Final = (
    "two ways out: install an agent CLI and log in to it (`muster tools` lists them), "
    "or name a program with --tool (--tool sim simulates)"
)


@define(eq=False)
class PreflightError(MusterError):
    """Tools of a plan are missing; nothing was started."""

    problems: Sequence[str]
    exit_code: ClassVar = ExitCode.PREFLIGHT

    def __str__(self) -> str:
        lines = "\n".join(f"  {each}" for each in self.problems)
        return f"nothing was started:\n{lines}\n  {WAYS_OUT}"


def selected(plan: Plan, only: Collection[str] | None) -> list[PlanTask]:
    """The tasks that a run would run, with the plan's defaults. Raises `PlanError`."""
    for task_id in only or ():
        plan.task(task_id)
    return [
        plan.effective(task)
        for task in plan.tasks
        if not task.done and (not only or task.id in only)
    ]


def check_supported(tasks: Iterable[PlanTask], name: str) -> None:
    """Refuses what can't be checked here, before anybody works. Raises `PlanError`.

    A success that nobody has checked, though the plan says how, would be a lie.
    """
    for task in tasks:
        if task.expect is None:
            continue
        problem = expectation.obstacle(task.expect) or inspector.obstacle(task.expect)
        if problem is not None:
            raise PlanError(f"task '{task.id}': {problem}", name, task.line)


def tool_of(task: PlanTask, context: FleetContext) -> ToolSpec:
    """The tool that the engine will use for the task. Raises `ToolNotFoundError`."""
    profile = context.agents.find(task.agent) if context.agents and task.agent else None
    named = task.tool or (profile.tool if profile else None)
    return context.tools.resolve(named or context.tool)


def missing_tools(tasks: Iterable[PlanTask], context: FleetContext) -> list[str]:
    """One line for each tool that isn't here, with the tasks that need it."""
    needed: dict[str, list[str]] = {}
    for task in tasks:
        try:
            tool_of(task, context)
        except ToolNotFoundError as error:
            who = "an agent CLI" if error.tool == "default" else f"tool '{error.tool}'"
            needed.setdefault(f"{who} {error.problem}", []).append(task.id)
    return [f"{problem} (needed by {_named(ids)})" for problem, ids in needed.items()]


def check(tasks: Sequence[PlanTask], context: FleetContext) -> None:
    """Raises `PreflightError` or `AgentNotFoundError` when the tasks can't be run here."""
    problems = missing_tools(tasks, context)
    if problems:
        raise PreflightError(problems)
    agents = context.agents
    for task in tasks:
        if task.agent is None or agents is None or agents.find(task.agent):
            continue
        spec = tool_of(task, context)
        if spec.is_agent and not spec.agent_args:
            # It would get the prompt alone, and answer as somebody else.
            raise AgentNotFoundError(task.agent, agents.names())


def logged_out(tasks: Sequence[PlanTask], context: FleetContext) -> Iterator[str]:
    """A line for each tool of several tasks that does not look logged in.

    A warning and no refusal: a login may be where nobody looks, in a keychain for one.
    """
    registry = context.tools
    if not isinstance(registry, LocalToolRegistry):
        return
    specs: dict[str, ToolSpec] = {}
    counts: Counter[str] = Counter()
    for task in tasks:
        spec = tool_of(task, context)
        specs[spec.name] = spec
        counts[spec.name] += 1
    for name, spec in specs.items():
        if counts[name] > 1 and registry.logged_in(spec) is False:
            hint = spec.login_hint or "log in to it"
            yield f"warning: {name} does not look logged in; {hint}"


def consent(
    plan: Plan, tasks: Iterable[PlanTask], output: Output, *, yes: bool
) -> None:
    """Asks before commands that stand in the plan itself are run. Raises `PlanError`."""
    tasks = list(tasks)
    # All of them: a task that names no tool may get one of these by a flag, a setting,
    # a profile, a fallback, or because it bears the name of an agent CLI.
    tools = list(plan.tools.values()) if tasks else []
    checks = checking(tasks)
    if yes or not (tools or checks):
        return
    listed = [f"  {one_line(each.name)}: {command_line(each)}" for each in tools]
    listed += [f"  to check an answer: {each}" for each in checks]
    text = "this plan brings commands of its own:\n" + "\n".join(listed)
    if not (streams.is_terminal(sys.stdin) and streams.is_terminal(sys.stderr)):
        raise PlanError(f"{text}\nlook at them, and allow them with --yes")
    output.warn(text)
    sys.stderr.write("run them? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise PlanError("not allowed; nothing was started")


def checking(tasks: Iterable[PlanTask]) -> list[str]:
    """The commands that are expected to succeed after tasks, each once."""
    commands = (task.expect.command for task in tasks if task.expect is not None)
    return list(dict.fromkeys(one_line(join(each)) for each in commands if each))


def command_line(spec: ToolSpec) -> str:
    """What will be run, as one would type it."""
    if spec.base_url:
        key = f", with the key in {spec.api_key_env}" if spec.api_key_env else ""
        places = spec.options.get("tools")
        loaded = [*places.values()] if isinstance(places, Mapping) else []
        code = f", and loads {', '.join(map(str, loaded))}" if loaded else ""
        return one_line(f"sends prompts to {spec.base_url}{key}{code}")
    words = " ".join(spec.command) if spec.shell else join(spec.command)
    shell = " (by /bin/sh)" if spec.shell else ""
    return one_line(words) + shell


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - MAX_NAMED} more" if len(ids) > MAX_NAMED else ""
    return ", ".join(f"'{one_line(each)}'" for each in ids[:MAX_NAMED]) + more
