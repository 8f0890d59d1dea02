"""What a run goes on from: its own results of before, or equal tasks of other runs."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from attrs import evolve, frozen

from muster.application.fleet_context import FleetContext
from muster.application.resumption import identify
from muster.domain.outcome import SpawnResult
from muster.domain.plan import Plan, PlanTask
from muster.domain.run_results import InPlanOrder
from muster.infrastructure.journal.database import NAME, refused
from muster.infrastructure.journal.history import load_row
from muster.infrastructure.journal.learned import durations, shared
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.plan_files.index import PlanIndex, keep
from muster.infrastructure.run_store import PLAN


@frozen
class Past:
    """A run that is taken up: its journal, which is ours, and what is not run again.

    ``given`` are results that are still to be recorded, ``lacking`` those whose files
    are missing.
    """

    journal: RunJournal
    known: Mapping[str, SpawnResult]
    given: Sequence[SpawnResult] = ()
    lacking: Sequence[str] = ()


async def begin(
    plan: Plan,
    journal: RunJournal,
    fleet: FleetContext,
    tasks: Sequence[PlanTask],
    past: Past | None,
    *,
    cache: bool = False,
) -> Mapping[str, SpawnResult]:
    """What is known before anything starts, all of it recorded. Raises `JournalError`."""
    if journal.identities is None:
        journal.identities = identify(plan, fleet)
    if past is None or cache:
        # Whoever goes on has few tasks left, and should not wait for all it has done.
        journal.learn()
    given = list(past.given) if past else []
    known: Mapping[str, SpawnResult] = past.known if past else {}
    if cache:
        given += cached(journal, plan, tasks)
    for result in given:
        await journal.record(result)
    if past is not None and past.lacking:
        await journal.restore([known[each] for each in past.lacking if each in known])
    if not given:
        return known
    own = {str(each.task_id): each for each in given}
    return InPlanOrder([*own, *known], own, known)


def keep_index(journal: RunJournal, index: PlanIndex | None, plan: bytes) -> None:
    """For whoever takes up the run of a big plan that has not changed since."""
    if index is None or journal.identities is None:
        return
    # A plan in which secrets were masked is read as a whole: they stay out of here.
    with suppress(OSError):
        if (journal.folder / PLAN).read_bytes() == plan:
            keep(journal.folder, index.with_identities(journal.identities), plan)


def cached(
    journal: RunJournal, plan: Plan, tasks: Sequence[PlanTask]
) -> list[SpawnResult]:
    """Successes of the same content, of any run, for these tasks.

    Raises `JournalError`.
    """
    identity_of = journal.identities or {}
    wanted = {task.id: identity_of[task.id] for task in tasks}
    place = {task.id: at for at, task in plan.placed()}
    try:
        rows = shared(journal.connection, wanted)
        found = {each: load_row(journal.connection, rows[each]) for each in rows}
    except sqlite3.Error as exc:
        raise refused(exc, journal.home / NAME) from exc
    return [
        _shared(result, each, place[each])
        for each, result in found.items()
        if result is not None and result.success
    ]


def _shared(result: SpawnResult, task_id: str, place: int) -> SpawnResult:
    # What it cost was paid, and is counted, where it ran.
    return evolve(
        result,
        task_id=task_id,
        task_index=place,
        cached=True,
        attempts=(),
        usage=None,
        retry_count=0,
        leftovers=0,
        execution_time=0.0,
    )


def estimates(journal: RunJournal, tasks: Iterable[PlanTask]) -> dict[str, float]:
    """Seconds that each task will take: as last time, or as the others took."""
    known = journal.identities or {}
    identity_of = {task.id: known[task.id] for task in tasks}
    taken = durations(journal.connection, identity_of)
    if not taken:
        return {}
    usual = sum(taken.values()) / len(taken)
    return {each: taken.get(each, usual) for each in identity_of}
