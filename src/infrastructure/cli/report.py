"""`muster report`: a run as one HTML file for a browser."""

import os
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
    from muster.domain.run_report import RunReport
    from muster.infrastructure.secrets import Redactor
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
    for problem in found.problems:
        out.warn(f"muster report: {problem}")
    target = html or found.folder / NAME
    try:
        _write(target, page_of(found))
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
    from muster.infrastructure.report.interruptions import (  # noqa: PLC0415
        interruptions,
    )
    from muster.infrastructure.report.page import Told, render  # noqa: PLC0415

    plan = _plan_of(run)
    told = Told(
        summary=run.summary,
        dependencies=plan.dependencies() if plan else None,
        titles={task.id: task.title for task in plan.tasks} if plan else None,
        interruptions=interruptions(run.folder),
    )
    return render(run.run_id, run.results, told)


def leave_report(
    folder: Path, plan: "Plan", report: "RunReport", redactor: "Redactor"
) -> OSError | None:
    """Writes the page of a run that has just ended; what kept it from being written."""
    from muster.infrastructure.durable_file import write_whole  # noqa: PLC0415
    from muster.infrastructure.report.interruptions import (  # noqa: PLC0415
        interruptions,
    )
    from muster.infrastructure.report.page import Told, render  # noqa: PLC0415

    def mask(text: str) -> str:
        return redactor.redact(text) if redactor.finds(text) else text

    told = Told(
        summary=report.summary,
        dependencies=plan.whole,
        titles={task.id: task.title for task in plan.tasks},
        interruptions=interruptions(folder),
        mask=mask,
        totals=report.totals,
    )
    try:
        page = render(folder.name, report.results, told)
        write_whole(str(folder / NAME), page.encode("utf-8", "replace"))
    except OSError as error:
        return error
    return None


def _write(path: Path, page: str) -> None:
    """To where the user says, be it a link or a device; new files are private."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(page.encode("utf-8", "replace"))


def _plan_of(run: "StoredRun") -> "Plan | None":
    from muster.domain.errors import PlanError  # noqa: PLC0415
    from muster.infrastructure import plan_files  # noqa: PLC0415

    try:
        return plan_files.load("plan", text=run.plan.read_bytes())
    except (OSError, PlanError):
        return None
