"""A council from the command line: its run, its sinks, its signals, its end."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import attrs
from attrs import define, field, frozen

from muster.application.council_agents import CouncilAgents
from muster.application.council_run import CouncilReport, CouncilRun
from muster.domain.council import Council
from muster.domain.council_events import CouncilEvent, RoundEnded
from muster.domain.errors import MusterError, SystemHaltedError
from muster.domain.fleet_events import AttemptProgressed, FleetEvent
from muster.domain.outcome import Failure, SpawnResult
from muster.domain.plan import PlanTask
from muster.infrastructure.adapters.stub.orchestrator import AgentOrchestratorStub
from muster.infrastructure.cli import preflight, streams
from muster.infrastructure.cli.background import Background
from muster.infrastructure.cli.council_board import CouncilBoard, Seat
from muster.infrastructure.cli.council_plain import CouncilPlain
from muster.infrastructure.cli.engine_warnings import warnings_to
from muster.infrastructure.cli.exit_codes import ExitCode
from muster.infrastructure.cli.jsonl import JsonLines
from muster.infrastructure.cli.output import Output
from muster.infrastructure.cli.running import SHOW_CURSOR, code_of
from muster.infrastructure.cli.signals import Interruptions
from muster.infrastructure.cli.simulated_members import behaviour
from muster.infrastructure.cli.sinks import done, event_log, json_lines
from muster.infrastructure.cli.summary import shown
from muster.infrastructure.cli.views import FanOut
from muster.infrastructure.cli.words import plural
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.durable_file import write_whole
from muster.infrastructure.event_log import event_name
from muster.infrastructure.host import Fleet
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.report.minutes import NAME as MINUTES
from muster.infrastructure.report.minutes import minutes
from muster.infrastructure.settings import Settings
from muster.infrastructure.witness_log import WitnessLog

Known = Callable[[str, str], SpawnResult | None]


def _nothing(task_id: str, identity: str) -> None:
    return


@frozen(kw_only=True)
class Sitting:
    """What is to be deliberated, and how. ``known`` and ``witnessed``: from before."""

    council: Council
    settings: Settings
    output: Output
    at_once: int
    journal: Callable[[], RunJournal]
    jsonl: bool = False
    known: Known = _nothing
    witnessed: Mapping[str, str] = field(factory=dict)


@frozen
class Adjourned:
    """A council that is over."""

    report: CouncilReport
    folder: Path
    code: ExitCode


def hold(sitting: Sitting) -> Adjourned:
    """Holds it. Raises `MusterError` when it can't be begun or recorded."""
    try:
        return asyncio.run(_hold(sitting))
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group


async def _hold(sitting: Sitting) -> Adjourned:
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(Fleet.open(sitting.settings))
        reason = fleet.halt_checker.reason()
        if reason is not None:
            raise SystemHaltedError(reason)
        check(sitting.council, fleet)
        _script(sitting.council, fleet)
        journal = sitting.journal()
        stack.push_async_callback(journal.aclose)
        clock = SystemClock()
        witness = WitnessLog.open(
            journal.home, journal.run_id, clock=clock, redactor=journal.redactor
        )
        stack.push_async_callback(witness.aclose)
        return await _Stage(sitting, fleet, journal, witness, clock).run()


def check(council: Council, fleet: Fleet) -> None:
    """Raises `PreflightError` or `AgentNotFoundError` for members that can't sit here."""
    tasks = [
        PlanTask(each.name, "", each.agent, each.tool, each.model)
        for each in council.members
    ]
    preflight.check(tasks, fleet.context)


def _script(council: Council, fleet: Fleet) -> None:
    """Simulated members say what a simulation should say."""
    for tool in {each.tool for each in council.members}:
        spec = fleet.context.tools.resolve(tool or fleet.context.tool)
        stub = fleet.context.orchestrator_of(spec)
        if isinstance(stub, AgentOrchestratorStub):
            stub.on(lambda request: bool(request.task_id), behaviour(council))


@define(eq=False)
class _Stage:
    """Everything around a council while it sits."""

    sitting: Sitting
    fleet: Fleet
    journal: RunJournal
    witness: WitnessLog
    clock: SystemClock
    board: CouncilBoard = field(init=False)
    view: Any = field(init=False)
    results: Background = field(factory=Background, init=False)
    lines: JsonLines | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        council, journal = self.sitting.council, self.journal
        self.board = CouncilBoard(council, self.clock.monotonic())
        mask = journal.redactor.redact
        self.view = _view(self.sitting.output, self.board, self.clock, mask)
        if self.sitting.jsonl:
            self.lines = json_lines(journal, self.clock, self.results)

    async def run(self) -> Adjourned:
        """The council, with signals handled and sinks told."""
        loop = asyncio.get_running_loop()
        interruptions = Interruptions(
            self.fleet,
            self.view.say,
            lambda: self.board.count(Seat.THINKS, Seat.RETRIES),
            self._leave,
        )
        with ExitStack() as stack:
            # First in, last out: a Ctrl-C must not hit a half restored terminal.
            stack.enter_context(interruptions.handled(loop))
            stack.callback(self.view.close)
            stack.enter_context(warnings_to(self.view.say))
            self.results.on_lost = lambda error: loop.call_soon_threadsafe(
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

    async def _report(self, stack: ExitStack) -> CouncilReport:
        sitting, journal = self.sitting, self.journal
        log = event_log(journal, self.clock, sitting.settings)
        stack.callback(log.close)
        sink = FanOut.to([self, log])
        identities: dict[str, str] = {}
        journal.identities = identities
        context = self.fleet.context.for_run(journal, sink)
        agents = CouncilAgents(
            context, sitting.council, sitting.known, identities, sitting.witnessed
        )
        run = CouncilRun(
            context,
            agents,
            self.fleet.halt_checker,
            witness=self.witness,
            at_once=sitting.at_once,
            mask=journal.redactor.redact,
            listener=self.hear,
        )
        return await run.run()

    def emit(self, event: FleetEvent) -> None:
        """See `EventSink`. What an agent writes is shown when it is committed."""
        if isinstance(self.view, CouncilPlain):
            # The live table keeps the board itself.
            self.board.take(event, self.clock.monotonic())
        self.view.emit(event)
        if self.lines is not None and not isinstance(event, AttemptProgressed):
            self.lines.emit(event)

    def hear(self, event: CouncilEvent) -> None:
        """What the council tells."""
        if isinstance(self.view, CouncilPlain):
            self.board.hear(event, self.clock.monotonic())
        self.view.hear(event)
        if self.lines is not None:
            self.lines.tell(event_name(event), council_document(event))  # type: ignore[arg-type]

    def _announce(self) -> None:
        council, folder = self.sitting.council, self.journal.folder
        if not self.sitting.output.is_quiet:
            self.view.say(
                f"run {self.journal.run_id}: a council of "
                f"{plural(len(council.members), 'member')}, {council.rule}, quorum "
                f"{council.needed}, up to {plural(council.max_rounds, 'round')}"
            )
            self.view.say(f"results in {shown(folder)}")
        if self.journal.warning is not None:
            self.view.say(f"warning: {self.journal.warning}")
        if self.lines is not None:
            members = [each.name for each in council.members]
            launch = {"pid": os.getpid(), "folder": str(folder), "members": members}
            self.lines.tell("launch", launch)

    def _end(self, report: CouncilReport, code: ExitCode) -> Adjourned:
        self._write_minutes(report)
        fields = {"status": report.status.value, "exit_code": int(code)}
        self._done({**fields, "summary": dict(report.summary)})
        if self.results.lost is not None:
            raise self.results.lost
        return Adjourned(report, self.journal.folder, code)

    def _write_minutes(self, report: CouncilReport) -> None:
        council, rounds = self.sitting.council, report.rounds
        text = minutes(
            council,
            report.verdict,
            rounds,
            run_id=report.run_id,
            simulated=any(each.simulated for each in report.results.values()),
        )
        data = self.journal.redactor.redact(text).encode("utf-8", "replace")
        try:
            write_whole(str(self.journal.folder / MINUTES), data)
        except OSError as error:
            # The journal has all of it.
            self.view.say(f"warning: {MINUTES}: {error.strerror}")

    def _done(self, fields: Mapping[str, Any]) -> None:
        done(self.lines, self.results, fields)

    def _leave(self) -> None:
        """Before the process ends on the spot."""
        if streams.is_terminal(sys.stderr) and not isinstance(self.view, CouncilPlain):
            os.write(2, SHOW_CURSOR)


def council_document(event: CouncilEvent) -> dict[str, Any]:
    """The event's fields as JSON-ready values."""
    if isinstance(event, RoundEnded):
        held = event.round
        return {
            "number": held.number,
            "phase": held.phase.value,
            "answered": list(held.statements),
            "absent": list(held.absent),
        }
    fields = attrs.asdict(event, recurse=False)
    return {name: _plain(value) for name, value in fields.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Failure) or hasattr(value, "to_dict"):
        return value.to_dict()
    return attrs.asdict(value) if attrs.has(type(value)) else value


def _view(
    output: Output, board: CouncilBoard, clock: SystemClock, mask: Callable[[str], str]
) -> Any:
    if not output.is_live:
        encoding = sys.stderr.encoding or "utf-8"
        quiet = output.is_quiet
        return CouncilPlain(
            clock.monotonic, mask=mask, is_quiet=quiet, encoding=encoding
        )
    # rich costs as much as everything else together; only a person pays for it.
    from rich.console import Console  # noqa: PLC0415

    from muster.infrastructure.cli.council_live import CouncilLive  # noqa: PLC0415

    console = Console(file=sys.stderr, markup=False, highlight=False, emoji=False)
    view = CouncilLive(board, console, clock.monotonic, mask)  # type: ignore[arg-type]
    view.start()
    return view
