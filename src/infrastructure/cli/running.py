"""One run from the command line: its store, its sinks, its signals, its end."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any, Final, Protocol

import attrs
from attrs import define, field, frozen

from muster.application.fleet_context import FleetContext
from muster.application.ports.event_sink import EventSink
from muster.domain import presets
from muster.domain.errors import JournalError, MusterError, SystemHaltedError
from muster.domain.fleet_events import FleetEvent
from muster.domain.outcome import SpawnResult
from muster.domain.plan import Plan, PlanTask
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.run_report import RunReport, RunStatus
from muster.infrastructure.cli import preflight, streams
from muster.infrastructure.cli.answers import Answers
from muster.infrastructure.cli.background import Background
from muster.infrastructure.cli.board import Board, State, names_of
from muster.infrastructure.cli.budgeting import budget_options
from muster.infrastructure.cli.engine_warnings import warnings_to
from muster.infrastructure.cli.exit_codes import ExitCode
from muster.infrastructure.cli.jsonl import JsonLines
from muster.infrastructure.cli.output import Output
from muster.infrastructure.cli.past import Past, begin, estimates, keep_index
from muster.infrastructure.cli.plain import PlainView
from muster.infrastructure.cli.report import leave_report
from muster.infrastructure.cli.signals import Interruptions
from muster.infrastructure.cli.sinks import done, event_log, json_lines
from muster.infrastructure.cli.summary import shown
from muster.infrastructure.cli.views import FanOut, View
from muster.infrastructure.cli.words import plural
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.host import Fleet
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.plan_files.index import PlanIndex
from muster.infrastructure.randomness import SystemRandomness
from muster.infrastructure.secrets import Redactor
from muster.infrastructure.settings import Settings

SHOW_CURSOR: Final = b"\x1b[?25h\n"
CODES: Final[Mapping[RunStatus, ExitCode]] = {
    RunStatus.SUCCEEDED: ExitCode.SUCCEEDED,
    RunStatus.FAILED: ExitCode.FAILED,
    RunStatus.PARTIAL: ExitCode.PARTIAL,
    RunStatus.PARKED: ExitCode.PARKED,
    RunStatus.BUDGET: ExitCode.BUDGET,
    RunStatus.DEADLINE: ExitCode.DEADLINE,
    RunStatus.HALTED: ExitCode.HALTED,
    RunStatus.INTERRUPTED: ExitCode.INTERRUPTED,
}


@frozen(kw_only=True)
class Order:
    """What is to be run, and how. ``options`` are `Fleet.run_plan`'s.

    ``remembered`` is for whoever resumes it, ``past`` is what it goes on from.
    """

    plan: Plan
    plan_text: bytes
    settings: Settings
    output: Output
    options: Mapping[str, Any] = field(factory=dict)
    index: PlanIndex | None = None
    only: Sequence[str] | None = None
    jsonl: bool = False
    answers: Path | None = None
    plan_path: Path | None = None
    remembered: Mapping[str, Any] = field(factory=dict)
    cache: bool = False
    past: Past | None = None

    @property
    def at_once(self) -> int:
        """How many agents may run side by side."""
        return self.settings.max_concurrent or presets.MAX_CONCURRENT


@frozen
class Ended:
    """A run that is over."""

    report: RunReport
    folder: Path
    code: ExitCode


def with_own(settings: Settings, plan: Plan) -> Settings:
    """The settings with the tools and agents that the plan brings; the plan's win."""
    return attrs.evolve(
        settings,
        tools={**settings.tools, **plan.tools},  # type: ignore[dict-item]
        agents={**settings.agents, **plan.agents},
    )


def recovery_options(settings: Settings) -> dict[str, Any]:
    """What the settings say about retries and fallback."""
    recovery, fallback = settings.recovery, settings.fallback
    if recovery is not None and fallback is not None:
        changed = recovery.to_dict() | {"fallback_to_llm": fallback}
        recovery = RecoveryPolicy.from_dict(changed)
    return {
        "recovery_policy": recovery,
        "fallback_to_llm": True if fallback is None else fallback,
    }


def plan_context(settings: Settings, plan: Plan) -> FleetContext:
    """What a run would use; nothing is started by looking at it."""
    return Fleet.open(with_own(settings, plan)).context


def last_words(ended: Ended, tell: Callable[[], object]) -> int:
    """Tells what a run came to; the exit code. Raises `OutputLostError`."""
    try:
        tell()
    except streams.OutputLostError:
        # Who hung up took the terminal along; that is no further mishap.
        if ended.code is not ExitCode.HUNG_UP:
            raise
    return int(ended.code)


def execute(order: Order) -> Ended:
    """Runs it. Raises `MusterError` when it can't be started or recorded."""
    try:
        return asyncio.run(_execute(order))
    except BaseExceptionGroup as group:
        raise _first(group) from group


async def _execute(order: Order) -> Ended:
    done = order.past.known if order.past else {}
    tasks = preflight.selected(order.plan, order.only)
    tasks = [task for task in tasks if task.id not in done]
    settings = with_own(order.settings, order.plan)
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(Fleet.open(settings))
        reason = fleet.halt_checker.reason()
        if reason is not None:
            raise SystemHaltedError(reason)
        preflight.check(tasks, fleet.context)
        for line in preflight.logged_out(tasks, fleet.context):
            order.output.warn(line)
        clock = SystemClock()
        journal = order.past.journal if order.past else _journal(order, settings)
        stack.push_async_callback(journal.aclose)
        known = await begin(
            order.plan, journal, fleet.context, tasks, order.past, cache=order.cache
        )
        keep_index(journal, order.index, order.plan_text)
        tasks = [task for task in tasks if task.id not in known]
        stage = _Stage(order, tasks, fleet, journal, clock, known)
        return await stage.run()


def _journal(order: Order, settings: Settings) -> RunJournal:
    return RunJournal.create(
        settings.home,
        clock=SystemClock(),
        randomness=SystemRandomness(),
        redactor=Redactor(os.environ),
        plan=order.plan_text,
        plan_path=order.plan_path,
        options=order.remembered,
    )


class Reported(Protocol):
    """What a run, a council or a question came to."""

    @property
    def status(self) -> RunStatus:
        """How it ended."""
        ...

    @property
    def summary(self) -> Mapping[str, Any]:
        """The counts, by cause too."""
        ...


@define(eq=False)
class _Stage:
    """Everything around a run while it goes on."""

    order: Order
    tasks: Sequence[PlanTask]
    fleet: Fleet
    store: RunJournal
    clock: SystemClock
    known: Mapping[str, SpawnResult]
    board: Board = field(init=False)
    view: View = field(init=False)
    results: Background = field(factory=Background, init=False)
    files: Background = field(factory=Background, init=False)
    lines: JsonLines | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        index_of = {task.id: at for at, task in self.order.plan.placed()}
        rows = [(index_of[task.id], task.id, task.agent) for task in self.tasks]
        titles = {index_of[task.id]: task.title for task in self.tasks}
        now = self.clock.monotonic()
        self.board = Board.of(names_of(rows, titles), self.order.at_once, now)
        mask = self.store.redactor.redact
        self.view = _view(self.order.output, self.board, self.clock.monotonic, mask)
        if self.order.jsonl:
            self.lines = json_lines(self.store, self.clock, self.results)

    async def run(self) -> Ended:
        """The run, with signals handled and sinks told."""
        loop = asyncio.get_running_loop()
        interruptions = self._interruptions()
        with ExitStack() as stack:
            # First in, last out: a Ctrl-C must not hit a half restored terminal.
            stack.enter_context(interruptions.handled(loop))
            stack.callback(self.view.close)
            stack.enter_context(warnings_to(self.view.say))
            for each in (self.results, self.files):
                each.on_lost = lambda error: loop.call_soon_threadsafe(
                    interruptions.lost, str(error)
                )
            self._announce()
            try:
                report = await self._report(stack)
            except MusterError as error:
                self._done({"status": "failed", "error": str(error)})
                raise
        code = code_of(report)
        if code is ExitCode.INTERRUPTED and interruptions.code is not None:
            code = interruptions.code
        return self._end(report, code)

    def _interruptions(self) -> Interruptions:
        return Interruptions(
            self.fleet,
            self.view.say,
            lambda: self.board.count(State.RUNNING),
            self._leave,
        )

    async def _report(self, stack: ExitStack) -> RunReport:
        log = event_log(self.store, self.clock, self.order.settings)
        stack.callback(log.close)
        sink = FanOut.to([self._watcher(), log, self.lines, self._answers()])
        return await self.fleet.run_plan(
            self.order.plan,
            only=self.order.only or None,
            max_concurrent=self.order.at_once,
            journal=self.store,
            known=self.known,
            estimates=estimates(self.store, self.tasks),
            sink=sink,
            **recovery_options(self.order.settings),
            **budget_options(
                self.order.settings,
                self.store,
                self.tasks,
                goes_on=self.order.past is not None,
            ),
            **self.order.options,
        )

    def _watcher(self) -> EventSink:
        # The live table keeps the board itself; elsewhere somebody has to count.
        board, view, now = self.board, self.view, self.clock.monotonic
        if not isinstance(view, PlainView):
            return view
        return _Counted(board, view, now)

    def _answers(self) -> EventSink | None:
        folder = self.order.answers
        return None if folder is None else Answers(folder, self.files)

    def _announce(self) -> None:
        folder, count = self.store.folder, len(self.tasks)
        if not self.order.output.is_quiet:
            at_once = min(self.order.at_once, count)
            self.view.say(
                f"run {self.store.run_id}: {plural(count, 'task')}"
                f"{f', up to {at_once} at once' if count > 1 else ''}"
            )
            self.view.say(f"results in {shown(folder)}")
        if self.store.warning is not None:
            self.view.say(f"warning: {self.store.warning}")
        if self.lines is not None:
            self.lines.tell(
                "launch",
                {
                    "pid": os.getpid(),
                    "folder": str(folder),
                    "tasks": [task.id for task in self.tasks],
                },
            )

    def _end(self, report: RunReport, code: ExitCode) -> Ended:
        fields = {"status": report.status.value, "exit_code": int(code)}
        self._done({**fields, "summary": dict(report.summary)})
        unwritten = leave_report(
            self.store.folder, self.order.plan, report, self.store.redactor
        )
        if unwritten is not None:
            self.view.say(f"warning: report.html: {unwritten.strerror}")
        lost = self.results.lost or self.files.lost
        if lost is not None:
            raise lost
        return Ended(report, self.store.folder, code)

    def _done(self, fields: Mapping[str, Any]) -> None:
        done(self.lines, self.results, fields)
        self.files.close(None)

    def _leave(self) -> None:
        """Before the process ends on the spot."""
        if streams.is_terminal(sys.stderr) and not isinstance(self.view, PlainView):
            os.write(2, SHOW_CURSOR)


def code_of(report: Reported) -> ExitCode:
    """The exit code of a run that nobody interrupted."""
    code = CODES[report.status]
    # A lane that waits for somebody to log in is not helped by trying again later.
    if code is ExitCode.PARKED and "auth" in report.summary.get("by_cause", {}):
        return ExitCode.PREFLIGHT
    return code


def _view(
    output: Output, board: Board, now: Callable[[], float], mask: Callable[[str], str]
) -> View:
    if not output.is_live:
        encoding = sys.stderr.encoding or "utf-8"
        return PlainView(now, mask=mask, is_quiet=output.is_quiet, encoding=encoding)
    # rich costs as much as everything else together; only a person pays for it.
    from rich.console import Console  # noqa: PLC0415

    from muster.infrastructure.cli.live import LiveView  # noqa: PLC0415

    console = Console(file=sys.stderr, markup=False, highlight=False, emoji=False)
    view = LiveView(board, console, now, mask)
    view.start()
    return view


@define(eq=False)
class _Counted:
    board: Board
    view: View
    now: Callable[[], float]

    def emit(self, event: FleetEvent) -> None:
        self.board.take(event, self.now())
        self.view.emit(event)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error to report: several agents meet the same full disk at once."""
    leaves: list[BaseException] = []
    waiting: list[BaseException] = [group]
    while waiting:
        error = waiting.pop(0)
        if isinstance(error, BaseExceptionGroup):
            waiting.extend(error.exceptions)
        else:
            leaves.append(error)
    journal = [each for each in leaves if isinstance(each, JournalError)]
    return (journal or leaves)[0]
