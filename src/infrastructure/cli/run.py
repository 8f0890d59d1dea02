"""`muster run`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import attrs
from attrs import frozen
from cyclopts import Parameter

from muster.domain.errors import ConfigError, PlanError, ToolNotFoundError
from muster.domain.plan import Plan, PlanTask
from muster.domain.run_results import run_results
from muster.infrastructure import plan_files
from muster.infrastructure.cli import preflight, streams
from muster.infrastructure.cli.flags import (
    EngineFlags,
    StoryFlags,
    exclude,
    seconds,
)
from muster.infrastructure.cli.output import Output, OutputFlags
from muster.infrastructure.cli.words import one_line, plural
from muster.infrastructure.plan_files.index import PlanIndex
from muster.infrastructure.settings import Settings
from muster.infrastructure.text_file import UnreadableTextError, read_bytes

STDIN = "-"
HOW = "one is written '- [ ] 1. Do this', or as in `muster plan schema`"


@Parameter(name="*")
@frozen(kw_only=True)
class WayFlags:
    """How a plan is run."""

    waves: Annotated[
        bool, Parameter(help="Start no task before the whole wave before is done.")
    ] = False
    sequential: Annotated[bool, Parameter(help="One task at a time.")] = False
    only: Annotated[
        list[str] | None, Parameter(help="Run this task only; may be repeated.")
    ] = None
    dry_run: Annotated[
        bool, Parameter(help="Show what would be run, and start nothing.")
    ] = False
    yes: Annotated[
        bool, Parameter(help="Allow the commands that the plan itself brings.")
    ] = False
    fail_fast: Annotated[
        bool, Parameter(help="Start nothing more after the first failure.")
    ] = False
    deadline: Annotated[
        float | None, Parameter(help="End the run after so many seconds.")
    ] = None
    cache: Annotated[
        bool, Parameter(help="Take the answer of an equal task of any run before.")
    ] = False
    output: Annotated[
        Path | None, Parameter(help="Also write each answer to PATH/TASK.txt.")
    ] = None
    tick: Annotated[
        bool, Parameter(help="Tick what was done in the plan, a Markdown file.")
    ] = False


def run(
    plan: Annotated[str, Parameter(help="A plan file, or - for stdin.")],
    /,
    *,
    engine: EngineFlags | None = None,
    way: WayFlags | None = None,
    story: StoryFlags | None = None,
    flags: OutputFlags | None = None,
) -> int:
    """Run a plan: its tasks in parallel, each as soon as what it waits for is done.

    A plan is a Markdown task list, or TOML, YAML, JSON (`muster plan schema`). Results
    are kept in .muster/runs as each task ends. The first Ctrl-C lets running agents
    finish, the second ends them, the third leaves at once.
    """
    engine, way = engine or EngineFlags(), way or WayFlags()
    story = story or StoryFlags()
    console = Output.of(flags, quiet=story.quiet)
    exclude("--jsonl", "--json", both=console.is_json and story.jsonl)
    settings = _settings(engine, way)
    name, data = _read(plan, console)
    check_tickable(name, is_asked=way.tick)
    document = plan_files.document(name, text=data)
    found = plan_files.to_plan(document, name, settings.policies)
    index = PlanIndex.of(document, found, name)
    found = below_flags(found, engine)
    if not found.tasks and data.strip():
        console.warn(f"muster: warning: {name} holds no task; {HOW}")
    tasks = preflight.selected(found, way.only)
    preflight.check_supported(tasks, name)
    if way.dry_run:
        return _dry_run(found, tasks, settings, console)
    preflight.consent(found, tasks, console, yes=way.yes)
    source = name, data, index
    return _run(found, source, engine, way, settings, console, jsonl=story.jsonl)


def _settings(engine: EngineFlags, way: WayFlags) -> Settings:
    if not way.sequential:
        return engine.settings()
    several = engine.max_concurrent not in (None, 1)
    exclude("--sequential", f"--max-concurrent {engine.max_concurrent}", both=several)
    return engine.settings(max_concurrent=1)


def _run(
    plan: Plan,
    source: tuple[str, bytes, PlanIndex | None],
    engine: EngineFlags,
    way: WayFlags,
    settings: Settings,
    console: Output,
    *,
    jsonl: bool,
) -> int:
    # Here and not above: a mistyped plan should not cost the import of the engine.
    from muster.infrastructure.cli import running  # noqa: PLC0415

    name, data, index = source
    limit = seconds(way.deadline, "--deadline")
    order = running.Order(
        plan=plan,
        plan_text=data,
        index=index,
        settings=settings,
        output=console,
        only=way.only,
        jsonl=jsonl,
        answers=answers_folder(way.output),
        options={"waves": way.waves, "fail_fast": way.fail_fast, "deadline": limit},
        plan_path=None if name == STDIN else Path(name),
        remembered=_remembered(engine, way),
        cache=way.cache,
    )
    ended = running.execute(order)
    if way.tick:
        tick_done(order.plan_path, ended, console)
    return running.last_words(ended, lambda: show(ended, order, console))


def check_tickable(name: str, *, is_asked: bool) -> None:
    """Raises `ConfigError` where ``--tick`` could tick nothing."""
    from muster.infrastructure.plan_files.ticking import can_tick  # noqa: PLC0415

    if is_asked and (name == STDIN or not can_tick(Path(name))):
        raise ConfigError("ticks the boxes of a Markdown file (.md)", "--tick")


def tick_done(path: Path | None, ended: Any, console: Output) -> None:
    """Ticks what succeeded; a plan that can't be ticked costs no result."""
    from muster.infrastructure.plan_files.ticking import tick  # noqa: PLC0415

    results = run_results(ended.report.results)
    done = frozenset(results) - results.failed().keys()
    try:
        if path is not None:
            tick(path, done)
    except PlanError as error:
        console.warn(f"muster: warning: {error}")


def show(ended: Any, order: Any, console: Output) -> None:
    """What the run came to, for people or as one document."""
    from muster.infrastructure.cli.summary import Summary  # noqa: PLC0415

    if console.is_json:
        report = str(ended.folder / "report.html")
        console.document({**ended.report.to_dict(), "report": report})
    elif not order.jsonl:
        lines = Summary(ended.report, order.plan, ended.folder).lines()
        console.line(console.masked("\n".join(lines)))


def _remembered(engine: EngineFlags, way: WayFlags) -> dict[str, Any]:
    """What `muster resume` goes by where it is told nothing else."""
    kept = ("waves", "sequential", "fail_fast", "only", "tick")
    ways = {name: value for name in kept if (value := getattr(way, name))}
    return {**engine.given(), **ways}


def _read(plan: str, console: Output) -> tuple[str, bytes]:
    """The plan's name and its bytes, which are stored as they were read."""
    if plan in (STDIN, streams.STDIN):
        if streams.is_terminal(sys.stdin):
            console.say("reading a plan from the terminal; Ctrl-D ends it")
        return STDIN, sys.stdin.buffer.read(plan_files.MAX_BYTES + 1)
    try:
        return plan, read_bytes(plan, plan_files.MAX_BYTES)
    except UnreadableTextError as error:
        problem = f"the plan {error}"
        if error.missing:
            problem = "there is no such file; name a plan file, or - for stdin"
        raise PlanError(problem, plan) from error


def below_flags(plan: Plan, engine: EngineFlags) -> Plan:
    """The plan with its defaults below the command line, and its tasks above it."""
    names = ("tool", "model", "policy")
    given = {name: None for name in names if getattr(engine, name) is not None}
    return attrs.evolve(plan, defaults=attrs.evolve(plan.defaults, **given))


def answers_folder(output: Path | None) -> Path | None:
    """The folder of ``--output``, made. Raises `ConfigError`."""
    if output is None:
        return None
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{output}: {error.strerror}", "--output") from error
    if not os.access(output, os.W_OK | os.X_OK):
        raise ConfigError(f"{output}: can't be written", "--output")
    return output


def _dry_run(
    plan: Plan, tasks: Sequence[PlanTask], settings: Settings, console: Output
) -> int:
    from muster.infrastructure.cli import running  # noqa: PLC0415

    context = running.plan_context(settings, plan)
    chosen = {task.id for task in tasks}
    waves = [[each for each in wave if each in chosen] for wave in plan.waves()]
    waves = [wave for wave in waves if wave]
    rows = [_row(task, settings, context) for task in tasks]
    for problem in preflight.missing_tools(tasks, context):
        console.warn(f"muster: warning: {problem}")
    if console.is_json:
        console.document({"waves": waves, "tasks": rows})
        return 0
    console.line(
        f"{plural(len(tasks), 'task')} in {plural(len(waves), 'wave')}; nothing is started"
    )
    names = ("id", "agent", "tool", "model", "policy", "depends", "prompt")
    if rows:
        console.table(names, [[_cell(row[name]) for name in names] for row in rows])
    for tool in plan.tools.values():
        console.line(
            f"the plan's own command {tool.name}: {preflight.command_line(tool)}"
        )
    return 0


def _row(task: PlanTask, settings: Settings, context: Any) -> dict[str, Any]:
    try:
        tool: str | None = preflight.tool_of(task, context).name
    except ToolNotFoundError:
        tool = task.tool if isinstance(task.tool, str) else settings.tool
    return {
        "id": task.id,
        "agent": task.agent,
        "tool": tool,
        "model": task.model or settings.model,
        "policy": task.policy or context.policy_name,
        "depends": list(task.depends),
        "timeout": task.timeout,
        "cwd": task.cwd,
        "prompt": task.prompt,
    }


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return one_line(str(value or ""), 60)
