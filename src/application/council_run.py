"""A council's deliberation as a run: from the first question to its summary on disk."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import define, evolve, field, frozen

from muster.application.concurrent_deliberation import ConcurrentDeliberationService
from muster.application.council_agents import CouncilAgents
from muster.application.deliberation import Deliberation
from muster.application.fleet_context import FleetContext
from muster.application.halting import why_halted
from muster.application.ports.halt_checker import HaltChecker
from muster.application.ports.witness import Witness
from muster.domain import presets
from muster.domain.concurrent_result import ConcurrentResult
from muster.domain.council_events import CouncilEvent
from muster.domain.deliberation import Outcome, Round, Verdict
from muster.domain.outcome import FailureCause, SpawnResult
from muster.domain.pool import AgentPool
from muster.domain.run_report import RunStatus, summarize
from muster.domain.task import AgentRequest
from muster.domain.witness import Statement, content_hash

VERDICT = "verdict"
_STATUS: Mapping[Outcome, RunStatus] = {
    Outcome.DECIDED: RunStatus.SUCCEEDED,
    Outcome.NO_QUORUM: RunStatus.FAILED,
    Outcome.DEADLOCK: RunStatus.FAILED,
    Outcome.HALTED: RunStatus.HALTED,
}


@frozen
class CouncilReport:
    """What a council came to, and how. ``results`` by task, in the order of asking."""

    run_id: str | None
    status: RunStatus
    verdict: Verdict
    rounds: tuple[Round, ...]
    results: Mapping[str, SpawnResult]
    summary: Mapping[str, Any]


@define(eq=False)
class CouncilRun:
    """One council on one fleet. With a journal it can be taken up again.

    ``at_once`` members are asked side by side. ``listener`` is told what was committed.
    """

    fleet: FleetContext
    agents: CouncilAgents
    halt_checker: HaltChecker
    witness: Witness | None = field(default=None, kw_only=True)
    at_once: int = field(default=presets.POOL_CAPACITY, kw_only=True)
    mask: Callable[[str], str] = field(default=str, kw_only=True)
    listener: Callable[[CouncilEvent], object] = field(default=id, kw_only=True)
    deliberation: Deliberation = field(init=False)
    _service: ConcurrentDeliberationService = field(init=False)

    def __attrs_post_init__(self) -> None:
        agents, fleet = self.agents, self.fleet
        self.deliberation = Deliberation(
            agents.council,
            _Chamber(self),
            recall=agents.recall,
            listener=lambda event: fleet.call(self.listener, event),
            mask=self.mask,
            stopped=agents.stopped,
        )
        # Each member's own time ends before this one does.
        grace = presets.GRACE + presets.START_BOUND
        self._service = ConcurrentDeliberationService(
            agents,
            self.halt_checker,
            AgentPool(self.at_once),
            clock=fleet.clock,
            randomness=fleet.randomness,
            agent_timeout=agents.limit + grace,
            on_exhausted="queue",
            witness=self.witness,
            listener=self.deliberation.hear,
            log_fault=fleet.log_fault,
        )

    async def run(self) -> CouncilReport:
        """The report, durable where there is a journal. Raises `JournalError`."""
        clock, loop = self.fleet.clock, asyncio.get_running_loop()
        started_at, began = clock.epoch(), loop.time()
        verdict = await self.deliberation.run()
        await self._bear_witness(verdict)
        found = sorted(self.agents.results.items(), key=_place)
        results = dict(found)
        status = self._status(verdict, results)
        summary = {
            "run_id": self.fleet.run_id,
            "status": status.value,
            **summarize(
                results.values(),
                duration=loop.time() - began,
                started_at=clock.utc(started_at),
                completed_at=clock.utc(clock.epoch()),
            ),
            "council": verdict.to_dict(),
        }
        if self.fleet.journal is not None:
            await self.fleet.journal.complete(summary)
        rounds = tuple(self.deliberation.rounds)
        run_id = self.fleet.run_id
        return CouncilReport(run_id, status, verdict, rounds, results, summary)

    async def ask(self, requests: Iterable[AgentRequest]) -> ConcurrentResult:
        """One batch of the service. Raises `JournalError`."""
        result = await self._service.invoke_concurrent(requests)
        if self.agents.trouble is not None:
            raise self.agents.trouble
        if result.halted:
            # A member whose end came first tells of the halt in its own words.
            reason = await why_halted(self.halt_checker) or result.halt_reason
            result = evolve(result, halt_reason=reason)
        return result

    async def _bear_witness(self, verdict: Verdict) -> None:
        # A council that was ended from outside may still come to another one.
        if self.witness is None or verdict.outcome is Outcome.HALTED:
            return
        content = self.mask(verdict_text(verdict))
        if self.agents.witnessed.get(VERDICT) != content_hash(content):
            statement = Statement(VERDICT, "council", content, VERDICT, kind=VERDICT)
            await self.witness.commit(statement)

    def _status(
        self, verdict: Verdict, results: Mapping[str, SpawnResult]
    ) -> RunStatus:
        if verdict.outcome is Outcome.HALTED and self.agents.stopped() is not None:
            return RunStatus.INTERRUPTED
        causes = {each.failure.cause for each in results.values() if each.failure}
        if verdict.outcome is Outcome.NO_QUORUM and FailureCause.PARKED in causes:
            return RunStatus.PARKED
        return _STATUS[verdict.outcome]


@define(eq=False)
class _Chamber:
    run: CouncilRun

    async def invoke_concurrent(
        self, requests: Iterable[AgentRequest], /
    ) -> ConcurrentResult:
        return await self.run.ask(requests)


def verdict_text(verdict: Verdict) -> str:
    """The outcome document in one line."""
    return json.dumps(verdict.to_dict(), ensure_ascii=False)


def _place(item: tuple[str, SpawnResult]) -> int:
    return item[1].task_index
