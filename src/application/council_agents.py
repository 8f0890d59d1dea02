"""The members of a council as a fleet runs them: with its lanes, retries and journal.

To the service that asks them all at once, a fleet is one more orchestrator. An answer
that the journal has for the very same question is given again and nobody is started.
"""

import asyncio
from collections.abc import Callable, Mapping

from attrs import define, field

from muster.application.batch import BatchOptions, Job
from muster.application.fleet_context import FleetContext
from muster.application.ports.agent_orchestrator import Capabilities, Report
from muster.application.results import failed_result
from muster.application.spawning import Spawning
from muster.domain import presets
from muster.domain.council import AGAIN, Council, Member
from muster.domain.errors import (
    AgentInvocationError,
    JournalError,
    SystemHaltedError,
    ToolNotFoundError,
)
from muster.domain.events import AgentEnded, AgentStarted
from muster.domain.identity import Setting, identity
from muster.domain.outcome import Failure, FailureCause, SpawnResult
from muster.domain.task import AgentOutput, AgentRequest, SpawnTask
from muster.domain.tool import ToolSpec

Known = Callable[[str, str], SpawnResult | None]
# Ended from outside or kept waiting: it had no say yet, and is asked when it goes on.
_UNHEARD = frozenset(
    {
        FailureCause.BUDGET,
        FailureCause.CANCELLED,
        FailureCause.HALTED,
        FailureCause.PARKED,
    }
)


def _unknown(task_id: str, content: str) -> None:
    return


@define(eq=False)
class CouncilAgents:
    """An `AgentOrchestrator` for the members of one council.

    ``known(task_id, identity)`` is what the journal has of a question; ``identities``
    gets the identity of each, as it is asked. ``results`` are all that came, by task.
    ``trouble`` is why nothing can be recorded any more: then nobody may be asked.
    """

    fleet: FleetContext
    council: Council
    known: Known = _unknown
    identities: dict[str, str] = field(factory=dict)
    witnessed: Mapping[str, str] = field(factory=dict)
    results: dict[str, SpawnResult] = field(factory=dict, init=False)
    trouble: JournalError | None = field(default=None, init=False)
    capabilities: Capabilities = field(default=Capabilities("council"), init=False)
    _options: BatchOptions = field(init=False)
    _interruptions: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        # What falls back to a direct call has lost its persona: it would be somebody
        # else's vote.
        self._options = BatchOptions(max_concurrent=1, recovers=True, fallback=False)
        self._interruptions = len(self.fleet.interruptions)

    @property
    def limit(self) -> float:
        """Seconds that one answer may take, with all its attempts and waits."""
        policy = self.fleet.policy(None)
        each = policy.timeout.hard_limit + policy.retry.max_delay
        return each * policy.retry.max_attempts * presets.GLOBAL_TIMEOUT_FACTOR

    def stopped(self) -> str | None:
        """Why nobody may be asked any more, if so."""
        if self.trouble is not None:
            return str(self.trouble)
        said = self.fleet.interruptions[self._interruptions :]
        return said[0] if said else None

    def recall(self, request: AgentRequest) -> AgentOutput | Failure | None:
        """What was committed for this very question, and was seen by others then."""
        result = self._known(request)
        if result is None or (result.success and not self._is_witnessed(request)):
            return None
        self.results[str(request.task_id)] = result
        return result.failure or _output(request, result)

    async def invoke(self, request: AgentRequest, report: Report) -> AgentOutput:
        """See `AgentOrchestrator`. One task of the fleet, recorded before it returns."""
        report(AgentStarted())
        ended = AgentEnded()
        try:
            result = self._known(request) or await self._run(request)
            self.results[str(request.task_id)] = result
            ended = AgentEnded(result.exit_code, leftovers=result.leftovers)
        finally:
            report(ended)
        if result.failure is None:
            return _output(request, result)
        if result.failure.cause is FailureCause.HALTED:
            # A member may halt everybody: here it is no failure of its own.
            raise SystemHaltedError(f"{request.agent_id}: {result.failure.message}")
        raise AgentInvocationError(request.agent_id, result.failure, ended)

    async def aclose(self) -> None:
        """The fleet is its owner's to close."""

    def _place(self, request: AgentRequest) -> int:
        found = request.context.metadata if request.context else None
        found = found or {}
        number, again = int(found.get("round", 1)), bool(found.get(AGAIN))
        return self.council.place(number, request.agent_id, again=again)

    # --- one question -----------------------------------------------------------

    async def _run(self, request: AgentRequest) -> SpawnResult:
        reason = self.stopped()
        if reason is not None:
            failure = Failure(FailureCause.CANCELLED, f"not asked: {reason}")
            raise AgentInvocationError(request.agent_id, failure)
        task_id = str(request.task_id)
        self.identities[task_id] = self._identity(request)
        came: list[SpawnResult] = []
        batch = Spawning(self.fleet, self._options, lambda _, each: came.append(each))
        job = Job(self._place(request), self._task(request), agent=request.agent)
        batch.add(job, 0.0)
        try:
            await batch.run(())
        except asyncio.CancelledError:
            await self._cut_short(job)
            raise
        except JournalError as error:
            self.trouble = error
            raise
        return came[0]

    async def _cut_short(self, job: Job) -> None:
        """Nobody waits for it any more; that it was ended shall be known all the same."""
        if job.has_ended:
            return
        failure = Failure(FailureCause.CANCELLED, "ended before it had answered")
        result = failed_result(job, failure, 0.0)
        self.results[str(job.task.task_id)] = result
        if self.fleet.journal is not None:
            try:
                await self.fleet.journal.record(result)
            except JournalError as error:
                self.trouble = self.trouble or error

    def _task(self, request: AgentRequest) -> SpawnTask:
        member = self.council.member(request.agent_id)
        return SpawnTask(
            request.text,
            request.agent,
            tool=member.tool,
            model=member.model,
            timeout=self.limit,
            display_name=request.agent_id,
            task_id=request.task_id,
        )

    def _known(self, request: AgentRequest) -> SpawnResult | None:
        result = self.known(str(request.task_id), self._identity(request))
        if result is None or (result.failure and result.failure.cause in _UNHEARD):
            return None
        return result

    def _is_witnessed(self, request: AgentRequest) -> bool:
        return str(request.request_id) in self.witnessed

    def _identity(self, request: AgentRequest) -> str:
        member = self.council.member(request.agent_id)
        return identity(request.text, self._setting(member))

    def _setting(self, member: Member) -> Setting:
        fleet = self.fleet
        profile = None
        if fleet.agents is not None and member.agent is not None:
            profile = fleet.agents.find(member.agent)
        tool = member.tool or (profile.tool if profile else None) or fleet.tool
        model = member.model or (profile.model if profile else None) or fleet.model
        spec: ToolSpec | str | None = tool
        try:
            spec = fleet.tools.resolve(tool)
        except ToolNotFoundError:
            spec = tool
        return Setting(spec, model, member.agent, profile)


def _output(request: AgentRequest, result: SpawnResult) -> AgentOutput:
    return AgentOutput(
        result.output,
        request.agent_id,
        request.request_id,
        usage=result.usage,
        simulated=result.simulated,
    )
