"""The front door: a question goes through its phases, and a report comes out.

assess, retrieve, decompose, verify, route, collect, synthesize, record, respond. What
each comes to is durable before the next begins.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from attrs import define, evolve, field

from muster.application.batch import OnProgress
from muster.application.fleet_context import FleetContext
from muster.application.ports.answers import Answers
from muster.application.ports.knowledge import Knowledge
from muster.application.soar.assess import assess
from muster.application.soar.collect import Collector
from muster.application.soar.decompose import Decomposer, UndecomposedError
from muster.application.soar.ledger import Known, Ledger, unknown
from muster.application.soar.model import Model, ModelFailedError
from muster.application.soar.phases import PhaseBook
from muster.application.soar.record import Recorder
from muster.application.soar.respond import SoarReport, conversation
from muster.application.soar.retrieve import Material, retrieve
from muster.application.soar.route import profiles_in, route
from muster.application.soar.synthesize import Synthesizer
from muster.application.soar.verify import verify
from muster.domain import presets
from muster.domain.assignment import Assignment
from muster.domain.complexity import Complexity
from muster.domain.outcome import Failure, FailureCause
from muster.domain.question import Question
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.run_report import RunStatus, status_of, summarize
from muster.domain.soar_events import Phase, SoarEvent, SubgoalsRouted
from muster.domain.subgoals import Subgoal
from muster.domain.synthesis import Answer

Consent = Callable[
    [Sequence[Subgoal], Sequence[Assignment]], Awaitable[Sequence[Mapping[str, Any]]]
]


async def _agreed(
    subgoals: Sequence[Subgoal], assignments: Sequence[Assignment]
) -> Sequence[Mapping[str, Any]]:
    return ()


@define(eq=False)
class Soar:
    """One question on one fleet. With a journal behind the fleet it can be taken up again.

    ``consent`` is asked before agents start on subgoals, and raises where they may not;
    what it returns is what a person said. ``known`` and ``identities`` are the journal's,
    see `Ledger`. ``mask`` takes secrets out of everything that goes to a model.
    """

    fleet: FleetContext
    question: Question
    knowledge: Knowledge | None = None
    answers: Answers | None = None
    max_concurrent: int = presets.SOAR_MAX_CONCURRENT
    agent_timeout: float | None = None
    recovery: RecoveryPolicy | None = None
    fallback: bool | None = None
    dry_run: bool = False
    uses_cache: bool = True
    at_least: Complexity = Complexity.SIMPLE
    retry_failed: bool = False
    known: Known = unknown
    identities: dict[str, str] = field(factory=dict)
    mask: Callable[[str], str] = str
    consent: Consent = _agreed
    listener: Callable[[SoarEvent], object] = id
    on_progress: OnProgress | None = None
    ledger: Ledger = field(init=False)
    book: PhaseBook = field(init=False)
    model: Model = field(init=False)
    recorder: Recorder = field(init=False)
    _interruptions: int = field(init=False)
    _key: str | None = field(default=None, init=False)
    _found: dict[str, Any] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        fleet = self.fleet
        # As the run's folder has it: who goes on with it must ask the very same.
        self.question = evolve(self.question, text=self.mask(self.question.text))
        self.ledger = Ledger(fleet, self.known, self.identities)
        self.book = PhaseBook(self.ledger, fleet.clock, self._tell)
        self.model = Model(self.ledger, self.mask, self.recovery, self.stopped)
        self.recorder = Recorder(
            self.ledger, self.answers, self.knowledge, self.question, self.book.warn
        )
        self._interruptions = len(fleet.interruptions)

    def stopped(self) -> str | None:
        """Why nobody may be asked any more, if so."""
        said = self.fleet.interruptions[self._interruptions :]
        return said[0] if said else None

    async def run(self) -> SoarReport:
        """The report; its summary is durable where there is a journal.

        A model or agents that fail are in the report. Raises `JournalError`, what
        ``consent`` raises, and `ConfigError` for a file that can't be read.
        """
        clock, loop = self.fleet.clock, asyncio.get_running_loop()
        started_at, began = clock.epoch(), loop.time()
        failure: Failure | None = None
        try:
            await self._phases()
        except ModelFailedError as error:
            failure = error.failure
            self._found["problem"] = str(error)
        except UndecomposedError as error:
            failure = Failure(FailureCause.OUTPUT_INVALID, str(error))
            self._found["problem"] = str(error)
        report = self._report(failure)
        summary = {
            "run_id": self.fleet.run_id,
            "status": report.status.value,
            **summarize(
                report.results.values(),
                duration=loop.time() - began,
                started_at=clock.utc(started_at),
                completed_at=clock.utc(clock.epoch()),
            ),
            "soar": _summary_of(report),
        }
        if self.fleet.journal is not None:
            await self.fleet.journal.complete(summary)
        return evolve(report, summary=summary)

    # --- the phases ---------------------------------------------------------------

    async def _phases(self) -> None:
        level = await self._assess()
        material = await self._retrieve()
        if material is None:
            with self.book.phase(Phase.RESPOND) as note:
                note.detail = f"the answer of run {self._found['answer'].cached_from}"
            return
        if level is Complexity.SIMPLE:
            if self.dry_run:
                return
            with self.book.phase(Phase.SYNTHESIZE) as note:
                answer = await self._synthesizer().direct(material.text)
                note.detail = "answered directly"
        else:
            await self._decompose(material)
            if self.dry_run:
                return
            await self._collect(material)
            answer = await self._synthesize()
        simulated = any(each.simulated for each in self.ledger.results.values())
        answer = self._found["answer"] = evolve(answer, simulated=simulated)
        await self._record(answer)
        with self.book.phase(Phase.RESPOND) as note:
            note.detail = f"confidence {answer.confidence:.2f}"

    async def _assess(self) -> Complexity:
        with self.book.phase(Phase.ASSESS) as note:
            found = await assess(self.ledger, self.question, at_least=self.at_least)
            self._found["assessment"] = found
            note.detail = f"{found.level.value.lower()}, score {found.score:.2f}"
        return found.level

    async def _retrieve(self) -> Material | None:
        """The material; None where the answer is known already."""
        with self.book.phase(Phase.RETRIEVE) as note:
            self._key = await self.recorder.key()
            if self.uses_cache and not self.dry_run:
                answer = await self.recorder.find(self._key)
                if answer is not None:
                    self._found["answer"] = answer
                    note.detail = "nothing has changed since it was answered"
                    return None
            assessment = self._found["assessment"]
            found = await retrieve(
                self.ledger, self.knowledge, self.question, assessment, self.mask
            )
            if found.problem is not None:
                self.book.warn(f"nothing was retrieved: {found.problem}")
            self._found["sources"] = found.sources
            note.detail = f"{len(found.sources)} chunks"
        return found

    async def _decompose(self, material: Material) -> None:
        profiles = profiles_in(self.fleet.agents)
        decomposer = Decomposer(
            self.model,
            self.question,
            material.text,
            self._found["assessment"],
            profiles or (),
            await self.recorder.pattern(),
            self.book.warn,
        )
        with self.book.phase(Phase.DECOMPOSE) as note:
            first = await decomposer.first()
            note.detail = f"{len(first)} subgoals"
        with self.book.phase(Phase.VERIFY) as note:
            verified = await verify(self.ledger, decomposer, first)
            for each in verified.warnings:
                self.book.warn(each)
            note.detail = f"{len(verified.subgoals)} subgoals stand"
        subgoals = self._found["subgoals"] = verified.subgoals
        with self.book.phase(Phase.ROUTE) as note:
            routed = await route(self.ledger, subgoals, profiles)
            self._found["assignments"] = routed
            spawned = sum(each.is_spawn for each in routed)
            note.detail = f"{len(routed) - spawned} agents known, {spawned} ad hoc"
        told = [
            (number, who.name, subgoal.description)
            for number, (subgoal, who) in enumerate(
                zip(subgoals, routed, strict=True), start=1
            )
        ]
        self._tell(SubgoalsRouted(tuple(told)))

    async def _collect(self, material: Material) -> None:
        subgoals, routed = self._found["subgoals"], self._found["assignments"]
        interactions = await self.consent(subgoals, routed)
        reason = self.stopped()
        if reason is not None:
            failure = Failure(FailureCause.CANCELLED, f"not started: {reason}")
            raise ModelFailedError("collect", failure)
        collector = Collector(
            self.ledger,
            self.question.text,
            self.max_concurrent,
            self.agent_timeout,
            self.recovery,
            self.fallback,
            self.retry_failed,
            interactions,
        )
        with self.book.phase(Phase.COLLECT) as note:
            found = await collector.execute_agents(
                routed, subgoals, material.text, self.on_progress
            )
            self._found["collected"] = found
            if found.warning is not None:
                self.book.warn(found.warning)
                self.fleet.log_fault(found.warning)
            failed = found.execution_metadata["failed_subgoals"]
            note.detail = f"{len(subgoals) - failed} of {len(subgoals)} answered"

    async def _synthesize(self) -> Answer:
        collected, subgoals = self._found["collected"], self._found["subgoals"]
        reason = self.stopped()
        if reason is not None:
            failure = Failure(FailureCause.CANCELLED, f"not asked: {reason}")
            raise ModelFailedError(Phase.SYNTHESIZE.value, failure)
        with self.book.phase(Phase.SYNTHESIZE) as note:
            answer = await self._synthesizer().from_outputs(subgoals, collected)
            note.detail = f"{len(answer.claims)} claims"
        return answer

    async def _record(self, answer: Answer) -> None:
        subgoals = self._found.get("subgoals", ())
        clock = self.fleet.clock
        text = conversation(self.question, answer, subgoals, clock.utc(clock.epoch()))
        with self.book.phase(Phase.RECORD) as note:
            note.detail = await self.recorder.record(self._key, answer, subgoals, text)

    # --- the end --------------------------------------------------------------------

    def _synthesizer(self) -> Synthesizer:
        return Synthesizer(self.model, self.question, self.book.warn)

    def _report(self, failure: Failure | None) -> SoarReport:
        return SoarReport(
            self.fleet.run_id,
            self._status(failure),
            self.question,
            phases=tuple(self.book.phases),
            warnings=tuple(self.book.warnings),
            results=dict(self.ledger.results),
            **self._found,
        )

    def _status(self, failure: Failure | None) -> RunStatus:
        results = list(self.ledger.results.values())
        status = status_of(results, interrupted=self.stopped() is not None)
        if failure is None and self.dry_run and status is RunStatus.SUCCEEDED:
            # It was asked for no more, and there is more to do.
            return RunStatus.PARTIAL
        if failure is not None and status is RunStatus.SUCCEEDED:
            return RunStatus.FAILED
        return status

    def _tell(self, event: SoarEvent) -> None:
        self.fleet.call(self.listener, event)


def _summary_of(report: SoarReport) -> dict[str, Any]:
    answer, collected = report.answer, report.collected
    return {
        "problem": report.problem,
        "confidence": answer.confidence if answer else None,
        "cached_from": answer.cached_from if answer else None,
        "missing": [str(each) for each in answer.missing] if answer else [],
        "phases": [each.to_dict() for each in report.phases],
        "execution_metadata": dict(collected.execution_metadata) if collected else None,
    }
