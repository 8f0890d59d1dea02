"""A council that is taken up again: what was said stands, and nobody is asked twice."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import define, fields

from muster.domain.council import Council
from muster.domain.errors import ConfigError, JournalError
from muster.domain.outcome import FailureCause, SpawnResult
from muster.infrastructure import council_document, witness_reading
from muster.infrastructure.cli.council_flags import COUNCIL, SeatFlags, at_once
from muster.infrastructure.cli.council_sitting import sit
from muster.infrastructure.cli.council_stage import Sitting
from muster.infrastructure.cli.output import Output
from muster.infrastructure.cli.taking_up import TakenUp, looked_at, taken_up
from muster.infrastructure.cli.words import plural
from muster.infrastructure.journal.history import StoredResults
from muster.infrastructure.journal.origin import Origin
from muster.infrastructure.run_store import RUNS
from muster.infrastructure.settings import Settings

# As in every run: who never had its say is asked, who failed by itself stays absent.
_ASKED: Final = tuple(each for each in FailureCause if not each.is_agent_failure)


def is_council(home: Path, run_id: str) -> bool:
    """Whether that run is one."""
    try:
        return bool(Origin.read(home / RUNS / run_id).options.get(COUNCIL))
    except JournalError:
        return False


def look(run_id: str, console: Output) -> int:
    """Says what would be kept."""
    with looked_at(Settings.load().home, run_id) as taken:
        council = _council(taken)
        kept = _kept(taken, retry_failed=False)
        if console.is_json:
            console.document({"run_id": run_id, "kept": kept})
        else:
            console.line(_words(run_id, council, kept))
            console.line("nothing is started")
    return 0


def go_on(
    run_id: str,
    seats: SeatFlags,
    console: Output,
    *,
    jsonl: bool,
    retry_failed: bool,
    expected: Council | None = None,
) -> int:
    """The exit code. Raises `ConfigError` where ``expected`` is another council."""
    home = seats.settings().home
    with taken_up(home, run_id) as taken:
        council = _council(taken)
        if expected is not None and expected != council:
            problem = f"run {run_id} is of another council; leave --resume out"
            raise ConfigError(problem, "--resume")
        settings = _merged(seats, taken.stored.options).settings()
        taken.end_leftovers(console)
        kept = _kept(taken, retry_failed=retry_failed)
        console.say(_words(run_id, council, kept))
        journal, reader = taken.journal, taken.reader
        assert journal is not None and reader is not None  # noqa: S101, PT018 - it is ours
        places = _Places(council)
        results = StoredResults(
            reader, home, journal.run, {each: each for each in kept}, places
        )
        memory = Memory(taken, results)
        sitting = Sitting(
            council=council,
            settings=settings,
            output=console,
            at_once=at_once(settings),
            journal=lambda: journal,
            jsonl=jsonl,
            known=memory.find,
            witnessed=_witnessed(home, run_id),
        )
        return sit(sitting)


@define(eq=False)
class Memory:
    """What the journal has of each question."""

    taken: TakenUp
    results: StoredResults

    def find(self, task_id: str, identity: str) -> SpawnResult | None:
        """The result of that very question, or None."""
        if task_id not in self.results:
            return None
        finished = self.taken.stored.tasks.finished[task_id]
        return self.results[task_id] if finished.identity == identity else None


class _Places(dict[str, int]):
    """Where each question of a council stands, found when it is asked for."""

    def __init__(self, council: Council) -> None:
        super().__init__()
        self._council = council

    def __missing__(self, task_id: str) -> int:
        number = int(task_id.split("-", 1)[0])
        for name in (each.name for each in self._council.members):
            for again in (False, True):
                key = self._council.question_id(number, name, again=again)
                self[key] = self._council.place(number, name, again=again)
        return self[task_id]


def _council(taken: TakenUp) -> Council:
    return council_document.from_text(taken.snapshot(), str(taken.folder))


def _kept(taken: TakenUp, *, retry_failed: bool) -> list[str]:
    finished = taken.stored.tasks.finished.items()
    return [
        task_id
        for task_id, each in finished
        if each.cause is None or not (retry_failed or each.cause in _ASKED)
    ]


def _words(run_id: str, council: Council, kept: list[str]) -> str:
    members = plural(len(council.members), "member")
    return f"run {run_id}: a council of {members}, {plural(len(kept), 'answer')} kept"


def _witnessed(home: Path, run_id: str) -> dict[str, str]:
    try:
        return {
            str(record.request_id): record.kept_sha256
            for record, _ in witness_reading.records(home, run_id)
        }
    except JournalError:
        # Without a log nothing was witnessed: then everything is, once more.
        return {}


def _merged(seats: SeatFlags, remembered: Mapping[str, Any]) -> SeatFlags:
    names = [each.name for each in fields(SeatFlags)]
    known = {name: remembered[name] for name in names if name in remembered}
    return SeatFlags(**{**known, **seats.given()})
