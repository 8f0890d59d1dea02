"""A question from the command line: its run, its sinks, its signals, its end."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from muster.application.ports.knowledge import Knowledge
from muster.application.soar.ledger import Known, unknown
from muster.application.soar.pipeline import Soar
from muster.application.soar.respond import SoarReport
from muster.domain import presets
from muster.domain.assignment import Assignment
from muster.domain.errors import MusterError, PlanError, SystemHaltedError
from muster.domain.fleet_events import AttemptProgressed, FleetEvent
from muster.domain.plan import PlanTask
from muster.domain.run_report import RunStatus
from muster.domain.soar_events import SoarEvent
from muster.domain.subgoals import Subgoal
from muster.infrastructure.adapters.stub.orchestrator import AgentOrchestratorStub
from muster.infrastructure.answer_files import FileAnswers
from muster.infrastructure.cli import preflight, simulated_answers, streams
from muster.infrastructure.cli.background import Background
from muster.infrastructure.cli.board import State
from muster.infrastructure.cli.engine_warnings import warnings_to
from muster.infrastructure.cli.exit_codes import ExitCode
from muster.infrastructure.cli.jsonl import JsonLines
from muster.infrastructure.cli.output import Output
from muster.infrastructure.cli.running import (
    SHOW_CURSOR,
    code_of,
    recovery_options,
)
from muster.infrastructure.cli.signals import Interruptions
from muster.infrastructure.cli.sinks import done, event_log, json_lines
from muster.infrastructure.cli.soar_board import SoarBoard
from muster.infrastructure.cli.soar_views import SoarPlain, view_of
from muster.infrastructure.cli.soar_words import soar_document
from muster.infrastructure.cli.summary import shown
from muster.infrastructure.cli.views import FanOut
from muster.infrastructure.cli.words import one_line
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.event_log import event_name
from muster.infrastructure.host import Fleet
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.knowledge.project_knowledge import ProjectKnowledge
from muster.infrastructure.settings import Settings
from muster.infrastructure.soar_document import SoarDocument

_ACTIVE: Final = (State.RUNNING, State.RETRY)


@frozen(kw_only=True)
class Errand:
    """What is to be answered, and how. ``known``: from before."""

    asked: SoarDocument
    settings: Settings
    output: Output
    journal: Callable[[], RunJournal]
    jsonl: bool = False
    yes: bool = False
    timeout: float | None = None
    dry_run: bool = False
    uses_cache: bool = True
    retry_failed: bool = False
    known: Known = unknown


@frozen
class Returned:
    """A question that is through."""

    report: SoarReport
    folder: Path
    code: ExitCode


def go(errand: Errand) -> Returned:
    """Works on it. Raises `MusterError` when it can't be begun or recorded."""
    try:
        return asyncio.run(_go(errand))
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group


async def _go(errand: Errand) -> Returned:
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(Fleet.open(errand.settings))
        reason = fleet.halt_checker.reason()
        if reason is not None:
            raise SystemHaltedError(reason)
        preflight.check([PlanTask("the question", "")], fleet.context)
        spec = fleet.context.tools.resolve(fleet.context.tool)
        stub = fleet.context.orchestrator_of(spec)
        if isinstance(stub, AgentOrchestratorStub):
            stub.on(lambda _: True, simulated_answers.behaviour())
        journal = errand.journal()
        stack.push_async_callback(journal.aclose)
        settings = errand.settings
        knowledge = ProjectKnowledge(
            settings.project, journal.home, redactor=journal.redactor
        )
        stack.push_async_callback(knowledge.aclose)
        return await _Stage(errand, fleet, journal, knowledge, SystemClock()).run()


@define(eq=False)
class _Stage:
    """Everything around a question while it is worked on."""

    errand: Errand
    fleet: Fleet
    journal: RunJournal
    knowledge: Knowledge
    clock: SystemClock
    board: SoarBoard = field(init=False)
    view: Any = field(init=False)
    results: Background = field(factory=Background, init=False)
    lines: JsonLines | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        journal = self.journal
        self.board = SoarBoard.empty(self.at_once, self.clock.monotonic())
        self.view = self._view()
        if self.errand.jsonl:
            self.lines = json_lines(journal, self.clock, self.results)

    @property
    def at_once(self) -> int:
        """How many agents may run side by side."""
        return self.errand.settings.max_concurrent or presets.SOAR_MAX_CONCURRENT

    def _view(self) -> Any:
        mask = self.journal.redactor.redact
        return view_of(self.errand.output, self.board, self.clock.monotonic, mask)

    async def run(self) -> Returned:
        """The question, with signals handled and sinks told."""
        loop = asyncio.get_running_loop()
        interruptions = Interruptions(
            self.fleet,
            self._say,
            lambda: self.board.count(*_ACTIVE),
            self._leave,
        )
        with ExitStack() as stack:
            # First in, last out: a Ctrl-C must not hit a half restored terminal.
            stack.enter_context(interruptions.handled(loop))
            stack.callback(self._close)
            stack.enter_context(warnings_to(self._say))
            self.results.on_lost = lambda error: loop.call_soon_threadsafe(
                interruptions.lost, str(error)
            )
            self._announce()
            try:
                report = await self._report(stack)
            except MusterError as error:
                self._done({"status": "failed", "error": str(error)})
                raise
        code = answer_code(report, is_dry=self.errand.dry_run)
        if code is ExitCode.INTERRUPTED and interruptions.code is not None:
            code = interruptions.code
        return self._end(report, code)

    # The view is another one after a person was asked.
    def _say(self, text: str) -> None:
        self.view.say(text)

    def _close(self) -> None:
        self.view.close()

    async def _report(self, stack: ExitStack) -> SoarReport:
        errand, journal = self.errand, self.journal
        log = event_log(journal, self.clock, errand.settings)
        stack.callback(log.close)
        identities: dict[str, str] = {}
        journal.identities = identities
        recovery = recovery_options(errand.settings)
        soar = Soar(
            self.fleet.context.for_run(journal, FanOut.to([self, log])),
            errand.asked.question,
            self.knowledge,
            FileAnswers(journal.home, journal.redactor.redact_document),
            max_concurrent=self.at_once,
            agent_timeout=errand.timeout,
            recovery=recovery["recovery_policy"],
            fallback=recovery["fallback_to_llm"],
            dry_run=errand.dry_run,
            uses_cache=errand.uses_cache,
            at_least=errand.asked.at_least,
            retry_failed=errand.retry_failed,
            known=errand.known,
            identities=identities,
            mask=journal.redactor.redact,
            consent=self.consent,
            listener=self.hear,
        )
        return await soar.run()

    def emit(self, event: FleetEvent) -> None:
        """See `EventSink`."""
        if isinstance(self.view, SoarPlain):
            # The live table keeps the board itself.
            self.board.take(event, self.clock.monotonic())
        self.view.emit(event)
        if self.lines is not None and not isinstance(event, AttemptProgressed):
            self.lines.emit(event)

    def hear(self, event: SoarEvent) -> None:
        """What the pipeline tells."""
        if isinstance(self.view, SoarPlain):
            self.board.hear(event, self.clock.monotonic())
        self.view.hear(event)
        if self.lines is not None:
            self.lines.tell(event_name(event), soar_document(event))  # type: ignore[arg-type]

    async def consent(
        self, subgoals: Sequence[Subgoal], assignments: Sequence[Assignment]
    ) -> Sequence[Mapping[str, Any]]:
        """Asks before agents get subgoals that a model has made, and act unasked."""
        context = self.fleet.context
        tools = {
            spec.name
            for each in assignments
            if (spec := _tool_of(each, context)) and spec.permissions == "bypass"
        }
        if self.errand.yes or not tools:
            return ()
        listed = [
            f"  s{number} ({who.name}): {one_line(subgoal.description)}"
            for number, (subgoal, who) in enumerate(
                zip(subgoals, assignments, strict=True), start=1
            )
        ]
        text = (
            f"a model has made these subgoals, and {', '.join(sorted(tools))} asks "
            "nobody before it acts:\n" + "\n".join(listed)
        )
        if not (streams.is_terminal(sys.stdin) and streams.is_terminal(sys.stderr)):
            raise PlanError(f"{text}\nlook at them; {self._how_to_go_on()}")
        self.view.close()
        self.errand.output.warn(self.journal.redactor.redact(text))
        sys.stderr.write("start the agents? [y/N] ")
        sys.stderr.flush()
        answer = (await asyncio.to_thread(sys.stdin.readline)).strip()
        if answer.lower() not in ("y", "yes"):
            problem = f"not allowed; {self._how_to_go_on()}"
            raise PlanError(problem)
        self.view = self._view()
        return ({"question": text, "answer": answer},)

    def _how_to_go_on(self) -> str:
        return f"`muster resume {self.journal.run_id} --yes` starts the agents"

    def _announce(self) -> None:
        folder = self.journal.folder
        if not self.errand.output.is_quiet:
            self.view.say(f"run {self.journal.run_id}: results in {shown(folder)}")
        if self.journal.warning is not None:
            self.view.say(f"warning: {self.journal.warning}")
        if self.lines is not None:
            launch = {"pid": os.getpid(), "folder": str(folder)}
            self.lines.tell("launch", launch)

    def _end(self, report: SoarReport, code: ExitCode) -> Returned:
        fields = {"status": report.status.value, "exit_code": int(code)}
        answer = report.answer.to_dict() if report.answer else None
        self._done({**fields, "answer": answer, "summary": dict(report.summary)})
        if self.results.lost is not None:
            raise self.results.lost
        return Returned(report, self.journal.folder, code)

    def _done(self, fields: Mapping[str, Any]) -> None:
        done(self.lines, self.results, fields)

    def _leave(self) -> None:
        """Before the process ends on the spot."""
        if streams.is_terminal(sys.stderr) and not isinstance(self.view, SoarPlain):
            os.write(2, SHOW_CURSOR)


def answer_code(report: SoarReport, *, is_dry: bool) -> ExitCode:
    """0 for an answer from all parts; 1 where some or all are missing."""
    if is_dry and report.status is RunStatus.PARTIAL:
        return ExitCode.SUCCEEDED
    return code_of(report)


def _tool_of(assigned: Assignment, context: Any) -> Any:
    try:
        return preflight.tool_of(PlanTask("s", "", assigned.agent), context)
    except MusterError:
        return None
