"""A council for unit tests: a crew, a memory that survives it, and members with a script."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from muster.application.council_agents import CouncilAgents
from muster.application.council_run import CouncilReport, CouncilRun
from muster.domain.council import Council, Phase
from muster.domain.council_events import CouncilEvent
from muster.domain.outcome import SpawnResult
from muster.domain.task import AgentRequest
from muster.domain.witness import Head, Statement, WitnessRecord, link
from muster.testing import MemoryJournal, replies
from tests.unit.application.crew import Crew

NAMES = ("ann", "ben", "cleo", "dora", "emil")


def vote(choice: str, confidence: float = 0.8, reason: str = "because") -> str:
    """A ballot as it should be."""
    ballot = {"choice": choice, "confidence": confidence, "reason": reason}
    return f"My vote:\n{json.dumps(ballot)}\n"


def is_vote(request: AgentRequest) -> bool:
    """Whether a ballot is asked for; the fleet passes on the task's id."""
    return f"-{Phase.VOTE}-" in str(request.task_id) or is_second(request)


def is_second(request: AgentRequest) -> bool:
    """Whether it is asked for the second time."""
    return "-again-" in str(request.task_id)


def member_of(request: AgentRequest) -> str:
    """Who is asked."""
    return str(request.task_id).rsplit("-", 1)[1]


def round_of(request: AgentRequest) -> int:
    """In which round."""
    return int(str(request.task_id).split("-", 1)[0])


@define(eq=False)
class Bench:
    """The halt, pulled by hand; who watches is told at once."""

    reason: str | None = None
    _watchers: list[Callable[[str], object]] = field(factory=list)

    async def is_halted(self) -> bool:
        return self.reason is not None

    async def halt_reason(self) -> str | None:
        return self.reason

    def halt(self, reason: str) -> None:
        self.reason = reason
        for each in list(self._watchers):
            each(reason)

    def watch(self, on_halt: Callable[[str], object]) -> Callable[[], None]:
        self._watchers.append(on_halt)
        if self.reason is not None:
            on_halt(self.reason)
        return lambda: None


@define(eq=False)
class Scribe:
    """A witness in memory."""

    run_id: str = "run"
    said: list[tuple[WitnessRecord, str]] = field(factory=list)

    async def commit(self, statement: Statement) -> WitnessRecord:
        last = self.said[-1][0] if self.said else None
        head = Head(last.number, last.digest) if last else Head()
        text = statement.content
        record = link(head, self.run_id, statement, kept=text, recorded_at=0.0)
        self.said.append((record, text))
        return record

    def hashes(self) -> dict[str, str]:
        """What a resumed council is told."""
        return {str(each.request_id): each.kept_sha256 for each, _ in self.said}


@define(eq=False)
class Session:
    """One process's part of a council; ``before`` is the session that it goes on from."""

    council: Council
    before: "Session | None" = None
    at_once: int = 72
    crew: Crew = field(init=False)
    journal: MemoryJournal = field(factory=MemoryJournal)
    scribe: Scribe = field(factory=Scribe)
    bench: Bench = field(factory=Bench)
    events: list[CouncilEvent] = field(factory=list)
    identities: dict[str, str] = field(factory=dict)
    mask: Callable[[str], str] = str
    run: CouncilRun = field(init=False)

    def __attrs_post_init__(self) -> None:
        witnessed: Mapping[str, str] = {}
        if self.before is not None:
            self.journal, self.scribe = self.before.journal, self.before.scribe
            self.identities = dict(self.before.identities)
            witnessed = self.scribe.hashes()
        self.crew = Crew(journal=self.journal)
        recorded = {str(each.task_id): each for each in self.journal.results}
        old = dict(self.identities)

        def known(task_id: str, identity: str) -> SpawnResult | None:
            return recorded.get(task_id) if old.get(task_id) == identity else None

        agents = CouncilAgents(
            self.crew.fleet.context, self.council, known, self.identities, witnessed
        )
        self.run = CouncilRun(
            self.crew.fleet.context,
            agents,
            self.bench,
            witness=self.scribe,
            at_once=self.at_once,
            mask=self.mask,
            listener=self.events.append,
        )

    def votes(self, **by_member: str) -> "Session":
        """Scripts the votes; whoever is not named approves."""
        self.crew.stub.on(
            is_vote, replies(lambda r: by_member.get(member_of(r), vote("approve")))
        )
        return self

    async def held(self) -> CouncilReport:
        """The council's report."""
        return await self.run.run()

    def asked(self) -> list[str]:
        """Who was asked what, in order."""
        return [str(call.request.task_id) for call in self.crew.stub.calls]

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of that kind."""
        return [each for each in self.events if isinstance(each, kind)]
