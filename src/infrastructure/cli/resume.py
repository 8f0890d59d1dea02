"""`muster resume`: goes on with a run that was interrupted, or failed in part."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
from attrs import frozen
from cyclopts import Parameter

from muster.domain.errors import ConfigError, PlanError
from muster.domain.plan import Plan
from muster.infrastructure import plan_files
from muster.infrastructure.cli import preflight
from muster.infrastructure.cli.flags import EngineFlags, StoryFlags, exclude, seconds
from muster.infrastructure.cli.output import Output, OutputFlags
from muster.infrastructure.cli.stored import run_called
from muster.infrastructure.plan_files.index import PlanIndex
from muster.infrastructure.settings import Settings
from muster.infrastructure.text_file import UnreadableTextError, read_bytes

if TYPE_CHECKING:
    from muster.infrastructure.cli.taking_up import TakenUp

_SEATS = ("tool", "model", "policy", "max_concurrent")
_ENGINE = tuple(field.name for field in attrs.fields(EngineFlags))


@Parameter(name="*")
@frozen(kw_only=True)
class ResumeFlags:
    """What is done again, and how. Not given: as the run was begun."""

    retry_failed: Annotated[
        bool, Parameter(help="Also run again what failed by itself.")
    ] = False
    snapshot: Annotated[
        bool,
        Parameter(help="Use the run's copy of the plan, not the file as it is now."),
    ] = False
    dry_run: Annotated[
        bool, Parameter(help="Show what would be kept and run, and start nothing.")
    ] = False
    yes: Annotated[
        bool, Parameter(help="Allow commands that the plan has brought in since.")
    ] = False
    waves: Annotated[
        bool | None,
        Parameter(help="Start no task before the whole wave before is done."),
    ] = None
    sequential: Annotated[bool | None, Parameter(help="One task at a time.")] = None
    only: Annotated[
        list[str] | None, Parameter(help="Run this task only; may be repeated.")
    ] = None
    fail_fast: Annotated[
        bool | None, Parameter(help="Start nothing more after the first failure.")
    ] = None
    deadline: Annotated[
        float | None, Parameter(help="End the run after so many seconds.")
    ] = None
    output: Annotated[
        Path | None, Parameter(help="Also write each answer to PATH/TASK.txt.")
    ] = None


def resume(
    run: Annotated[str, Parameter(help="A run's id, a part of it, or last.")] = "last",
    /,
    *,
    way: ResumeFlags | None = None,
    engine: EngineFlags | None = None,
    story: StoryFlags | None = None,
    flags: OutputFlags | None = None,
) -> int:
    """Go on with a run: what is finished is kept, what was running is run again.

    The plan file is read again: a task whose content changed is run again, with all
    that wait for it. A failed task stays failed without --retry-failed.
    """
    engine, way = engine or EngineFlags(), way or ResumeFlags()
    story = story or StoryFlags()
    console = Output.of(flags, quiet=story.quiet)
    exclude("--jsonl", "--json", both=console.is_json and story.jsonl)
    from muster.infrastructure.cli import (  # noqa: PLC0415
        council_resuming,
        soar_resuming,
        taking_up,
    )

    home = Settings.load().home
    run_id = run_called(home, run)
    if council_resuming.is_council(home, run_id):
        return _council(run_id, way, engine, console, jsonl=story.jsonl)
    if soar_resuming.is_question(home, run_id):
        return _question(run_id, way, engine, console, jsonl=story.jsonl)
    if way.dry_run:
        with taking_up.looked_at(home, run_id) as taken:
            _decide(taken, way, engine)
            taken.show(console)
        return 0
    with taking_up.taken_up(home, run_id) as taken:
        settings, plan, text, index = _decide(taken, way, engine)
        old = _allowed(taken, plan, text)
        is_new = any(old.tools.get(name) != each for name, each in plan.tools.items())
        checks = set(preflight.checking(plan.tasks))
        if is_new or checks - set(preflight.checking(old.tasks)):
            preflight.consent(plan, taken.pending_tasks, console, yes=way.yes)
        preflight.check_supported(taken.pending_tasks, str(taken.stored.plan_path))
        taken.end_leftovers(console)
        taken.show(console)
        source = text, index
        return _run(taken, settings, source, way, console, jsonl=story.jsonl)


def _council(
    run_id: str, way: ResumeFlags, engine: EngineFlags, console: Output, *, jsonl: bool
) -> int:
    from muster.infrastructure.cli import council_resuming  # noqa: PLC0415
    from muster.infrastructure.cli.council_flags import SeatFlags  # noqa: PLC0415

    _no_plan(way, "a council")
    if way.dry_run:
        return council_resuming.look(run_id, console)
    seats = {name: value for name, value in engine.given().items() if name in _SEATS}
    return council_resuming.go_on(
        run_id,
        SeatFlags(**seats),
        console,
        jsonl=jsonl,
        retry_failed=way.retry_failed,
    )


def _question(
    run_id: str, way: ResumeFlags, engine: EngineFlags, console: Output, *, jsonl: bool
) -> int:
    from muster.infrastructure.cli import soar_resuming  # noqa: PLC0415
    from muster.infrastructure.cli.soar_flags import SoarFlags  # noqa: PLC0415

    _no_plan(way, "a question")
    if way.dry_run:
        return soar_resuming.look(run_id, console)
    names = (*_SEATS, "fallback")
    given = {name: value for name, value in engine.given().items() if name in names}
    return soar_resuming.go_on(
        run_id,
        SoarFlags(**given, yes=way.yes),
        console,
        jsonl=jsonl,
        retry_failed=way.retry_failed,
    )


def _no_plan(way: ResumeFlags, kind: str) -> None:
    for flag in ("waves", "sequential", "only", "fail_fast", "deadline", "output"):
        if getattr(way, flag):
            name = flag.replace("_", "-")
            raise ConfigError(f"is for plans, and this run is {kind}", f"--{name}")


def _decide(
    taken: "TakenUp", way: ResumeFlags, engine: EngineFlags
) -> tuple[Settings, Plan, bytes, PlanIndex | None]:
    from muster.infrastructure.cli.run import below_flags  # noqa: PLC0415
    from muster.infrastructure.cli.unchanged import unchanged  # noqa: PLC0415

    remembered = taken.stored.options
    engine = _merged(engine, remembered)
    sequential = _chosen(way.sequential, remembered, "sequential")
    changes = {"max_concurrent": 1} if sequential else {}
    settings = engine.settings(**changes)
    source = name, text = _plan_text(taken, way)
    only = _chosen(way.only, remembered, "only")
    if not only:
        history = taken.stored.tasks
        same = unchanged(
            taken.folder,
            source,
            history,
            settings,
            lambda plan: below_flags(plan, engine),
        )
        if same is not None:
            taken.decide_unchanged(same, retry_failed=way.retry_failed)
            return settings, same.plan, text, None
    document = plan_files.document(name, text=text)
    plan = plan_files.to_plan(document, name, settings.policies)
    index = PlanIndex.of(document, plan, name)
    plan = below_flags(plan, engine)
    taken.decide(plan, settings, only=only, retry_failed=way.retry_failed)
    return settings, plan, text, index


def _run(
    taken: "TakenUp",
    settings: Settings,
    source: tuple[bytes, PlanIndex | None],
    way: ResumeFlags,
    console: Output,
    *,
    jsonl: bool,
) -> int:
    from muster.infrastructure.cli import running  # noqa: PLC0415
    from muster.infrastructure.cli.run import (  # noqa: PLC0415
        answers_folder,
        show,
        tick_done,
    )

    remembered = taken.stored.options
    text, index = source
    order = running.Order(
        plan=taken.plan,
        plan_text=text,
        index=index,
        settings=settings,
        output=console,
        only=taken.only,
        jsonl=jsonl,
        answers=answers_folder(way.output),
        options={
            "waves": bool(_chosen(way.waves, remembered, "waves")),
            "fail_fast": bool(_chosen(way.fail_fast, remembered, "fail_fast")),
            "deadline": seconds(way.deadline, "--deadline"),
        },
        past=taken.past(text),
    )
    ended = running.execute(order)
    if remembered.get("tick"):
        tick_done(taken.stored.plan_path, ended, console)
    return running.last_words(ended, lambda: show(ended, order, console))


def _plan_text(taken: "TakenUp", way: ResumeFlags) -> tuple[str, bytes]:
    """The plan's name and bytes: of its file, or the run's copy."""
    path = taken.stored.plan_path
    name = "-" if path is None else _shown(path)
    if way.snapshot or path is None:
        return name, taken.snapshot()
    try:
        return name, read_bytes(path, plan_files.MAX_BYTES)
    except UnreadableTextError as error:
        hint = "; --snapshot uses the run's copy of it"
        raise PlanError(f"the plan {error}{hint}", name) from error


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _allowed(taken: "TakenUp", plan: Plan, text: bytes) -> Plan:
    """The plan whose commands were allowed when the run was begun."""
    path = taken.stored.plan_path
    try:
        copy = taken.snapshot()
        # To read 100,000 tasks once more takes seconds, and is for nearly nothing.
        return plan if copy == text else plan_files.load(path or "-", text=copy)
    except PlanError:
        return Plan(())


def _merged(engine: EngineFlags, remembered: Mapping[str, Any]) -> EngineFlags:
    known = {name: remembered[name] for name in _ENGINE if name in remembered}
    return EngineFlags(**{**known, **engine.given()})


def _chosen(given: Any, remembered: Mapping[str, Any], name: str) -> Any:
    return remembered.get(name) if given is None else given
