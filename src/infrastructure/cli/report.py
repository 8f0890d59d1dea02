"""`muster report`: a run as one HTML file for a browser."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from muster.infrastructure.cli.columns import screen_width
from muster.infrastructure.cli.exit_codes import ExitCode
from muster.infrastructure.cli.output import Output, OutputFlags
from muster.infrastructure.cli.show import run_screen
from muster.infrastructure.cli.stored import UnknownRunError, stored_run

if TYPE_CHECKING:
    from muster.domain.plan import Plan
    from muster.infrastructure.stored_runs import StoredRun

NAME: Final = "report.html"


def report(
    run: str = "last",
    /,
    *,
    html: Annotated[
        Path | None, Parameter(help="Where the page goes (default: the run's folder).")
    ] = None,
    flags: OutputFlags | None = None,
) -> int:
    """Summarise a run, and write it as one self-contained HTML page."""
    from muster.infrastructure.settings import Settings  # noqa: PLC0415

    out = Output.of(flags)
    try:
        found = stored_run(Settings.load().home, run)
    except UnknownRunError as error:
        out.warn(f"muster report: {error}")
        return ExitCode.USAGE
    target = html or found.folder / NAME
    try:
        target.write_text(page_of(found), "utf-8")
    except OSError as error:
        out.warn(f"muster report: {target}: can't be written: {error.strerror}")
        return ExitCode.OUTPUT_LOST
    if out.is_json:
        out.document({"run_id": found.run_id, "html": str(target)})
        return ExitCode.SUCCEEDED
    for line in run_screen(found, screen_width()):
        out.line(out.masked(line))
    out.line("")
    out.line(f"report   {target}")
    return ExitCode.SUCCEEDED


def page_of(run: "StoredRun") -> str:
    """The HTML of a stored run; its plan, where it can be read, gives the critical path."""
    from muster.infrastructure.report.page import render  # noqa: PLC0415

    plan = _plan_of(run)
    dependencies: Mapping[str, Sequence[str]] = plan.dependencies() if plan else {}
    titles = {task.id: task.title for task in plan.tasks} if plan else {}
    return render(
        run.run_id,
        run.results,
        summary=run.summary,
        dependencies=dependencies,
        titles=titles,
    )


def _plan_of(run: "StoredRun") -> "Plan | None":
    from muster.domain.errors import PlanError  # noqa: PLC0415
    from muster.infrastructure import plan_files  # noqa: PLC0415

    try:
        return plan_files.load("plan", text=run.plan.read_bytes())
    except (OSError, PlanError):
        return None
