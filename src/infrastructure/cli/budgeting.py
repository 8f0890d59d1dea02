"""The budget of a run on the command line: what counts against it, what is said of it."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from muster.domain.errors import JournalError
from muster.domain.plan import PlanTask
from muster.domain.run_report import RunReport, RunStatus
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.journal import spending
from muster.infrastructure.journal.database import NAME, refused
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.settings import Settings

FLAGS: Final = {
    "usd": "--budget-usd",
    "tokens": "--budget-tokens",
    "agents": "--max-agents",
    "minutes": "--max-minutes",
}
RAISED: Final = 2  # times what was there, as a suggestion


def budget_options(
    settings: Settings,
    journal: RunJournal,
    tasks: Iterable[PlanTask],
    *,
    goes_on: bool,
) -> dict[str, Any]:
    """What `Fleet.run_plan` has to know of the past. Raises `JournalError`."""
    limits = settings.limits.budget
    if limits.are_none:
        return {}
    known = journal.identities or {}
    identities = {task.id: known[task.id] for task in tasks if task.id in known}
    options: dict[str, Any] = {}
    if limits.tokens is not None or limits.usd is not None:
        options["costs"] = spending.costs(journal.connection, identities)
    if goes_on:
        now = SystemClock().epoch()
        connection, folder = journal.connection, journal.folder
        try:
            spent = spending.taken_up(connection, journal.run, folder, now)
        except sqlite3.Error as exc:
            raise refused(exc, journal.home / NAME) from exc
        except OSError as exc:
            problem = f"what was spent can't be kept: {exc.strerror}"
            raise JournalError(problem, str(folder)) from exc
        options["spent"] = spent
    return options


def budget_lines(report: RunReport) -> Iterator[str]:
    """What was used of each limit."""
    account = report.summary.get("budget")
    if account:
        yield "budget   " + ", ".join(_used(account))


def next_step(report: RunReport, run: str) -> str | None:
    """What to type after a run whose budget was too small."""
    if report.status is not RunStatus.BUDGET:
        return None
    account = report.summary.get("budget") or {}
    reached = account.get("reached")
    if reached is None:
        return f"muster resume {run} --retry-failed   (with higher limits of the task)"
    limit = account["limits"][reached]
    more = f"{max(limit, account.get(reached) or 0) * RAISED:.12g}"
    return f"muster resume {run} {FLAGS[reached]} {more}"


def _used(account: Mapping[str, Any]) -> Iterator[str]:
    for name, limit in account["limits"].items():
        used = account[name]
        if name == "usd":
            told = "no cost known" if used is None else f"${used:.4f}"
            yield f"{told} of ${limit:g}"
        else:
            unit = "starts" if name == "agents" else name
            yield f"{_number(used)} of {_number(limit)} {unit}"


def _number(value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
