"""A run that is looked at, or taken up again: what of it is kept, and what is to do."""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from attrs import define, evolve, field

from muster.application.resumption import (
    Resumption,
    RunHistory,
    blocked,
    identify,
    plan_resume,
    poisoned_result,
)
from muster.domain.errors import JournalError, PlanError
from muster.domain.plan import Plan, PlanTask
from muster.infrastructure import plan_files
from muster.infrastructure.adapters.local_process import leftovers
from muster.infrastructure.cli.output import Output
from muster.infrastructure.cli.past import Past
from muster.infrastructure.cli.unchanged import Unchanged
from muster.infrastructure.cli.words import one_line
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.durable_file import write_whole
from muster.infrastructure.journal.database import open_journal, open_reader
from muster.infrastructure.journal.history import (
    StoredHistory,
    StoredResults,
    in_flight,
    read_history,
    run_number,
)
from muster.infrastructure.journal.mending import only_in_folder, only_in_journal
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.report.interruptions import (
    CutAttempt,
    Interruption,
    remember,
)
from muster.infrastructure.run_store import EVENTS, PLAN, RUNS
from muster.infrastructure.secrets import Redactor
from muster.infrastructure.settings import Settings
from muster.infrastructure.text_file import UnreadableTextError, read_bytes

NAMED: Final = 8


@define(eq=False)
class TakenUp:
    """One run of before. With a ``journal`` it is ours, without one it is only seen."""

    run_id: str
    home: Path
    stored: StoredHistory
    journal: RunJournal | None = None
    reader: sqlite3.Connection | None = field(default=None, repr=False)
    plan: Plan = field(init=False)
    only: Sequence[str] | None = field(default=None, init=False)
    identities: Mapping[str, str] = field(init=False)
    resumption: Resumption = field(init=False)

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.home / RUNS / self.run_id

    @property
    def pending_tasks(self) -> list[PlanTask]:
        """What will be run, with the plan's defaults."""
        pending = set(self.resumption.pending)
        return [
            self.plan.effective(task) for task in self.plan.tasks if task.id in pending
        ]

    def snapshot(self) -> bytes:
        """The run's copy of its plan. Raises `PlanError`."""
        try:
            return read_bytes(self.folder / PLAN, plan_files.MAX_BYTES)
        except UnreadableTextError as error:
            raise PlanError(
                f"the run's copy {error}", str(self.folder / PLAN)
            ) from error

    def decide(
        self,
        plan: Plan,
        settings: Settings,
        *,
        only: Sequence[str] | None,
        retry_failed: bool,
    ) -> None:
        """What becomes of each task. Raises `PlanError` for an unknown ``only``."""
        from muster.infrastructure.cli.running import plan_context  # noqa: PLC0415

        for task_id in only or ():
            plan.task(task_id)
        self.identities = identify(plan, plan_context(settings, plan))
        self._judge(plan, self.stored.tasks, only=only, retry_failed=retry_failed)

    def decide_unchanged(self, found: Unchanged, *, retry_failed: bool) -> None:
        """The same where all but a part of the plan is kept as it is."""
        self.identities = found.identities
        rest = found.kept - {task.id for task in found.plan.tasks}
        history = self.stored.tasks.without(rest)
        self._judge(found.plan, history, only=None, retry_failed=retry_failed)
        kept = self.resumption.kept
        self.resumption.kept = {
            each: kept.get(each, each)
            for each in found.plan.whole
            if each in rest or each in kept
        }

    def _judge(
        self,
        plan: Plan,
        history: RunHistory,
        *,
        only: Sequence[str] | None,
        retry_failed: bool,
    ) -> None:
        self.plan, self.only = self._with_own_ticks(plan), only
        self.resumption = plan_resume(
            self.plan, self.identities, history, only=only, retry_failed=retry_failed
        )
        sessions = self.resumption.sessions
        if sessions:
            tasks = [
                evolve(task, session_id=sessions.get(task.id))
                for task in self.plan.tasks
            ]
            self.plan = evolve(self.plan, tasks=tasks)

    def _with_own_ticks(self, plan: Plan) -> Plan:
        """What this run has done is kept with its answer, ticked since or not."""
        finished, identities = self.stored.tasks.finished, self.identities
        own = {
            task.id
            for task in plan.tasks
            if task.done
            and (known := finished.get(task.id)) is not None
            and known.cause is None
            and known.identity == identities[task.id]
        }
        if not own:
            return plan
        tasks = [
            evolve(task, done=False) if task.done and task.id in own else task
            for task in plan.tasks
        ]
        return evolve(plan, tasks=tasks)

    def past(self, text: bytes) -> Past:
        """What the run goes on from; its copy of the plan becomes this ``text``."""
        journal, reader = self.journal, self.reader
        assert journal is not None and reader is not None  # noqa: S101, PT018 - only what is ours is run
        journal.identities = self.identities
        self._remember_death(journal)
        places = {each: at for at, each in enumerate(self.plan.whole)}
        recorded = self.resumption.recorded
        stays = {each: key for each, key in recorded.items() if each == key}
        moved = {each: key for each, key in recorded.items() if each != key}
        found = StoredResults(reader, self.home, journal.run, moved, places)
        given = [found[each] for each in moved]
        given += [
            poisoned_result(self.plan, each, deaths)
            for each, deaths in self.resumption.poisonous.items()
        ]
        known = StoredResults(reader, self.home, journal.run, stays, places)
        lacking = only_in_journal(self.folder, list(self.stored.tasks.finished))
        self._keep_plan(journal.redactor.redact_bytes(text))
        return Past(journal, known, given, lacking)

    def _keep_plan(self, copy: bytes) -> None:
        path = str(self.folder / PLAN)
        try:
            write_whole(path, copy)
        except OSError as error:
            problem = f"the run can't go on here: {error.strerror or error}"
            raise JournalError(problem, path) from error

    def _remember_death(self, journal: RunJournal) -> None:
        """For the report: what comes now takes the place of what was cut off."""
        running = in_flight(journal.connection, self.home, journal.run)
        if not running:
            return
        cut_off = {each for each, _, _ in running}
        tasks = [task for task in self.plan.tasks if task.id in cut_off]
        agents = {
            each.id: each.agent or each.tool for each in map(self.plan.effective, tasks)
        }
        sign = max(started for _, _, started in running)
        with suppress(OSError):
            # Written while a run lives, and rarely later.
            sign = max(sign, (self.folder / EVENTS).stat().st_mtime)
        cut = [
            CutAttempt(each, str(agents.get(each) or each), attempt, started, sign)
            for each, attempt, started in running
        ]
        now = journal.clock.epoch()
        with suppress(OSError):
            remember(self.folder, Interruption(sign, now, tuple(cut)))

    def end_leftovers(self, output: Output) -> None:
        """Ends what agents of the dead run have left, before anything runs again."""
        found = [each for each in leftovers.find() if each.run_id == self.run_id]
        if found:
            left = leftovers.reap(found)
            ended = len(found) - len(left)
            output.warn(f"left-over processes of the run: {ended} ended")
            for each in left:
                output.warn(f"process {each.pid} could not be ended: {each.command}")

    # --- what is said of it -------------------------------------------------------

    def show(self, output: Output) -> None:
        """What is kept, run again and new, before anything starts."""
        is_look = self.journal is None
        if is_look and output.is_json:
            output.document(self._document())
            return
        say = output.line if is_look else output.say
        for line in self.lines():
            say(line)
        if is_look:
            say("nothing is started")

    def lines(self) -> Iterator[str]:
        """The same in words."""
        yield f"run {self.run_id}: {self._counts()}"
        yield from (f"warning: {problem}" for problem in self.stored.problems)
        found = self.resumption
        for reason in dict.fromkeys(found.rerun.values()):
            names = [each for each, why in found.rerun.items() if why == reason]
            yield f"re-run   {_listed(names)}: {reason}"
        for task_id, deaths in found.poisonous.items():
            yield (
                f"failed   {_listed([task_id])}: was running each of the {deaths} times "
                "that muster died; --retry-failed runs it again"
            )
        rest = (
            ("new      ", found.new if found.kept or found.rerun else [], ""),
            ("failed   ", list(found.failed), ": --retry-failed runs them again"),
            ("blocked  ", blocked(self.plan, found), ": waits for what stays failed"),
            ("dropped  ", found.dropped, ""),
        )
        yield from (f"{head}{_listed(some)}{tail}" for head, some, tail in rest if some)

    def _counts(self) -> str:
        found = self.resumption
        always = (
            f"{len(found.kept)} kept, {len(found.rerun)} re-run, {len(found.new)} new"
        )
        failed = len(found.failed) + len(found.poisonous)
        stay = "stays" if failed == 1 else "stay"
        more = f", {failed} {stay} failed" if failed else ""
        if found.dropped:
            more += f", {len(found.dropped)} no longer in the plan"
        return always + more

    def _document(self) -> dict[str, Any]:
        found = self.resumption
        return {
            "run_id": self.run_id,
            "kept": list(found.kept),
            "rerun": dict(found.rerun),
            "new": list(found.new),
            "failed": [*found.failed, *found.poisonous],
            "blocked": blocked(self.plan, found),
            "dropped": list(found.dropped),
        }


@contextmanager
def looked_at(home: Path, run_id: str) -> Iterator[TakenUp]:
    """The run as it is recorded; whoever works on it is not disturbed."""
    with closing(open_journal(home).connection) as connection:
        run = run_number(connection, home, run_id)
        history = RunHistory()
        stored = StoredHistory(history, None)
        if run is not None:
            stored = read_history(connection, home, run)
    yield TakenUp(run_id, home, stored)


@contextmanager
def taken_up(home: Path, run_id: str) -> Iterator[TakenUp]:
    """The run, which is ours until the end. Raises `JournalError` if it is another's."""
    journal = RunJournal.reopen(
        home, run_id, clock=SystemClock(), redactor=Redactor(os.environ)
    )
    try:
        stored = read_history(journal.connection, home, journal.run)
        if journal.adopt(only_in_folder(journal.folder, stored.tasks.finished)):
            stored = read_history(journal.connection, home, journal.run)
        with closing(open_reader(home)) as reader:
            yield TakenUp(run_id, home, stored, journal, reader)
    finally:
        journal.close()


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(one_line(each, 40) for each in names[:NAMED]) + more
