"""A question that is taken up again: no phase is done twice, and nobody is asked twice."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import fields

from muster.application.soar.ledger import UNHEARD, place_of
from muster.application.soar.respond import Detail
from muster.domain.errors import JournalError
from muster.infrastructure import soar_document
from muster.infrastructure.cli.council_resuming import Memory
from muster.infrastructure.cli.output import Output
from muster.infrastructure.cli.soar_flags import SOAR, SoarFlags
from muster.infrastructure.cli.soar_sitting import answer
from muster.infrastructure.cli.soar_stage import Errand
from muster.infrastructure.cli.taking_up import TakenUp, looked_at, taken_up
from muster.infrastructure.cli.words import plural
from muster.infrastructure.journal.history import StoredResults
from muster.infrastructure.journal.origin import Origin
from muster.infrastructure.run_store import RUNS
from muster.infrastructure.settings import Settings


def is_question(home: Path, run_id: str) -> bool:
    """Whether that run is one."""
    try:
        return bool(Origin.read(home / RUNS / run_id).options.get(SOAR))
    except JournalError:
        return False


def look(run_id: str, console: Output) -> int:
    """Says what would be kept."""
    with looked_at(Settings.load().home, run_id) as taken:
        kept = _kept(taken)
        if console.is_json:
            console.document({"run_id": run_id, "kept": kept})
        else:
            console.line(_words(run_id, kept))
            console.line("nothing is started")
    return 0


def go_on(
    run_id: str,
    who: SoarFlags,
    console: Output,
    *,
    jsonl: bool,
    retry_failed: bool,
) -> int:
    """The exit code."""
    home = who.settings().home
    with taken_up(home, run_id) as taken:
        asked = soar_document.from_text(taken.snapshot(), str(taken.folder))
        merged = _merged(who, taken.stored.options)
        taken.end_leftovers(console)
        kept = _kept(taken)
        console.say(_words(run_id, kept))
        journal, reader = taken.journal, taken.reader
        assert journal is not None and reader is not None  # noqa: S101, PT018 - it is ours
        places = {each: place_of(each) for each in kept}
        results = StoredResults(
            reader, home, journal.run, {each: each for each in kept}, places
        )
        errand = Errand(
            asked=asked,
            settings=merged.settings(),
            output=console,
            journal=lambda: journal,
            jsonl=jsonl,
            yes=merged.yes,
            timeout=merged.timeout,
            # It goes on with what it has begun, whatever others have found meanwhile.
            uses_cache=False,
            retry_failed=retry_failed,
            known=Memory(taken, results).find,
        )
        detail = Detail.QUIET if console.is_quiet else Detail.NORMAL
        return answer(errand, detail)


def _kept(taken: TakenUp) -> list[str]:
    finished = taken.stored.tasks.finished.items()
    return [task_id for task_id, each in finished if each.cause not in UNHEARD]


def _words(run_id: str, kept: list[str]) -> str:
    return f"run {run_id}: a question, {plural(len(kept), 'step')} kept"


def _merged(who: SoarFlags, remembered: Mapping[str, Any]) -> SoarFlags:
    names = [each.name for each in fields(SoarFlags)]
    known = {name: remembered[name] for name in names if name in remembered}
    given = {name: value for name, value in who.given().items() if value is not None}
    return SoarFlags(**{**known, **given, "yes": who.yes})
