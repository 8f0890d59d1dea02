"""The files and lines that tell of whatever goes on: a run, a council, a question."""

from collections.abc import Mapping
from typing import Any

from muster.infrastructure.cli import streams
from muster.infrastructure.cli.background import Background
from muster.infrastructure.cli.jsonl import JsonLines
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.event_log import EventLog
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.run_store import EVENTS
from muster.infrastructure.settings import Settings


def event_log(journal: RunJournal, clock: SystemClock, settings: Settings) -> EventLog:
    """The log in the run's folder, as detailed as the settings want it."""
    return EventLog.to_file(
        journal.folder / EVENTS,
        journal.run_id,
        clock,
        level="debug" if settings.log_level == "debug" else "info",
        redactor=journal.redactor,
    )


def json_lines(
    journal: RunJournal, clock: SystemClock, results: Background
) -> JsonLines:
    """One event a line on stdout, written by ``results``."""
    return JsonLines(
        journal.run_id,
        clock,
        results,
        journal.redactor.redact_document,
        journal.result_path,
    )


def done(
    lines: JsonLines | None, results: Background, fields: Mapping[str, Any]
) -> None:
    """The last line, however slowly it is read: these are results."""
    if lines is not None:
        lines.tell("done", fields)
    results.close(None)
    if results.lost is not None:
        streams.discard()
