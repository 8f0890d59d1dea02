"""`muster runs`: what ran in this project, the newest first."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from attrs import asdict, frozen
from cyclopts import Parameter

from muster.infrastructure.cli.columns import aligned, screen_width
from muster.infrastructure.cli.output import Output, OutputFlags
from muster.infrastructure.cli.stored import unended
from muster.infrastructure.cli.summary import short_id
from muster.infrastructure.cli.words import took

LISTED: Final = 20
HEAD: Final = ("RUN", "BEGAN", "STATE", "DONE", "TOOK", "FAILURES")
MAX_SUMMARY: Final = 16 * 1024 * 1024
_STAMP: Final = "%Y%m%dT%H%M%S.%fZ"


@frozen
class RunRow:
    """One run as it is listed. ``began`` is ISO 8601; None is unknown."""

    run_id: str
    began: str | None
    status: str
    succeeded: int
    total: int | None
    duration_s: float | None
    by_cause: Mapping[str, int]


def runs(
    *,
    limit: Annotated[int, Parameter(help="How many of the newest to list.")] = LISTED,
    flags: OutputFlags | None = None,
) -> None:
    """List the runs of this project, the newest first.

    A run that is "unfinished" was cut off: `muster resume RUN` goes on with it.
    """
    from muster.infrastructure.settings import Settings  # noqa: PLC0415
    from muster.infrastructure.stored_runs import list_runs  # noqa: PLC0415

    out = Output.of(flags)
    home = Settings.load().home
    names = list_runs(home)
    shown = names[::-1][: max(0, limit)]
    rows = [row_of(home, name) for name in shown]
    if out.is_json:
        out.document({"home": str(home), "runs": [asdict(each) for each in rows]})
        return
    for line in screen(rows, len(names), screen_width()):
        out.line(line)
    if not names:
        out.say(f"no runs in {home} yet: `muster run PLAN` or `muster demo`")


def row_of(home: Path, run_id: str) -> RunRow:
    """What is known of a run from its summary; from its results where there is none."""
    from muster.infrastructure.run_store import RUNS, SUMMARY  # noqa: PLC0415

    summary = _summary(home / RUNS / run_id / SUMMARY)
    if summary is None:
        return _unended(home, run_id)
    return RunRow(
        run_id,
        _began(run_id),
        str(summary.get("status", "unknown")),
        summary.get("succeeded", 0),
        summary.get("total"),
        summary.get("duration_s"),
        summary.get("by_cause") or {},
    )


def _unended(home: Path, run_id: str) -> RunRow:
    """What the journal says of a run that goes on, or was cut off."""
    from muster.infrastructure.journal.history import causes  # noqa: PLC0415
    from muster.infrastructure.run_store import RESULTS, RUNS  # noqa: PLC0415

    folder = home / RUNS / run_id
    counts = causes(home, run_id)
    if counts is None:
        counts = {None: sum(1 for _ in (folder / RESULTS).glob("*.json"))}
    done = counts.pop(None, 0)
    failed = {str(cause): count for cause, count in counts.items()}
    began, status = _began(run_id), unended(folder)
    return RunRow(run_id, began, status, done, None, None, failed)


def screen(rows: Sequence[RunRow], known: int, width: int) -> Iterator[str]:
    """What a person reads."""
    if not rows:
        return
    yield from aligned(map(_cells, rows), width=width, head=HEAD)
    if known > len(rows):
        yield f"... and {known - len(rows)} older ones (--limit {known})"


def _cells(row: RunRow) -> Sequence[str]:
    total = "?" if row.total is None else row.total
    causes = ", ".join(f"{name} {count}" for name, count in row.by_cause.items())
    return (
        short_id(row.run_id),
        _local(row.began),
        row.status,
        f"{row.succeeded}/{total}",
        "-" if row.duration_s is None else took(row.duration_s),
        causes or "-",
    )


def _local(began: str | None) -> str:
    """The moment in the time zone of whoever looks."""
    if began is None:
        return "-"
    return f"{datetime.fromisoformat(began).astimezone():%Y-%m-%d %H:%M:%S}"


def _began(run_id: str) -> str | None:
    try:
        moment = datetime.strptime(run_id.partition("-")[0], _STAMP)  # noqa: DTZ007
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC).isoformat(timespec="milliseconds")


def _summary(path: Path) -> dict[str, Any] | None:
    from muster.infrastructure.text_file import (  # noqa: PLC0415
        UnreadableTextError,
        read_text,
    )

    try:
        found = json.loads(read_text(path, MAX_SUMMARY))
    except (UnreadableTextError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
