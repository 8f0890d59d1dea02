"""A question for unit tests: a crew, a memory that survives it, a model with a script."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, evolve, field

from muster.application.soar.pipeline import Soar
from muster.application.soar.respond import SoarReport
from muster.domain.agent_profile import AgentProfile
from muster.domain.errors import OrchestratorError
from muster.domain.knowledge import Chunk
from muster.domain.outcome import SpawnResult
from muster.domain.question import Question
from muster.domain.soar_events import SoarEvent
from muster.testing import AgentOrchestratorStub, MemoryJournal, replies
from tests.unit.application.crew import Crew

HARD = "Refactor the whole parser, migrate its schema, and then write tests for it"
CODER = AgentProfile("coder", "Writes and refactors Python code")


def subgoal(description: str = "look", **changes: Any) -> dict[str, Any]:
    """One subgoal as a model gives it."""
    return {
        "description": description,
        "ideal_agent": "reader",
        "match_quality": "insufficient",
        **changes,
    }


def split(*subgoals: Mapping[str, Any]) -> str:
    """What a model answers to "decompose"."""
    return f"Here:\n```json\n{json.dumps({'subgoals': subgoals})}\n```"


def answer(text: str = "It is so.", confidence: float = 0.9, *numbers: int) -> str:
    """What a model answers to "synthesize"."""
    claims = [{"claim": text, "subgoals": list(numbers)}] if numbers else []
    return json.dumps({"answer": text, "confidence": confidence, "claims": claims})


TWO = split(subgoal("look"), subgoal("tell", depends_on=[1]))


@define(eq=False)
class Shelf:
    """A `Knowledge` that holds chunks, or is broken."""

    chunks: Sequence[Chunk] = ()
    digest: str = "sources"
    problem: str | None = None
    asked: list[tuple[str, int]] = field(factory=list)

    async def retrieve(
        self, query: str, *, limit: int, files: Sequence[str] = ()
    ) -> Sequence[Chunk]:
        self.asked.append((query, limit))
        if self.problem is not None:
            raise OrchestratorError(self.problem)
        return self.chunks[:limit]

    async def fingerprint(self, *, files: Sequence[str] = ()) -> str:
        return self.digest + "".join(files)


@define(eq=False)
class Notebook:
    """`Answers` in memory."""

    kept: dict[str, Mapping[str, Any]] = field(factory=dict)
    learned: list[Mapping[str, Any]] = field(factory=list)
    logs: list[str] = field(factory=list)

    async def find(self, key: str) -> Mapping[str, Any] | None:
        return self.kept.get(key)

    async def keep(
        self,
        key: str,
        answer: Mapping[str, Any],
        pattern: Mapping[str, Any] | None = None,
    ) -> None:
        self.kept[key] = json.loads(json.dumps(answer))
        if pattern is not None:
            self.learned.insert(0, json.loads(json.dumps(pattern)))

    async def patterns(self) -> Sequence[Mapping[str, Any]]:
        return self.learned

    async def log(self, run_id: str, text: str) -> str:
        self.logs.append(text)
        return f"{run_id}.md"


class Registry:
    """An `AgentRegistry` of these profiles."""

    def __init__(self, *profiles: AgentProfile) -> None:
        self._profiles = {each.name: each for each in profiles}

    def find(self, name: str) -> AgentProfile | None:
        return self._profiles.get(name)

    def names(self) -> Sequence[str]:
        return sorted(self._profiles)


@define(eq=False)
class Inquiry:
    """One process's work on a question; ``before`` is the one that it goes on from."""

    text: str = HARD
    before: "Inquiry | None" = None
    profiles: Sequence[AgentProfile] | None = None
    shelf: Shelf = field(factory=Shelf)
    notebook: Notebook = field(factory=Notebook)
    journal: MemoryJournal = field(factory=MemoryJournal)
    options: dict[str, Any] = field(factory=dict)
    identities: dict[str, str] = field(factory=dict)
    events: list[SoarEvent] = field(factory=list)
    crew: Crew = field(init=False)
    soar: Soar = field(init=False)

    def __attrs_post_init__(self) -> None:
        if self.before is not None:
            self.journal = self.before.journal
            self.identities = dict(self.before.identities)
        self.crew = Crew(journal=self.journal)
        if self.profiles is not None:
            self.crew.fleet.context.agents = Registry(*self.profiles)
        recorded = {str(each.task_id): each for each in self.journal.results}
        old = dict(self.identities)

        def known(task_id: str, identity: str) -> SpawnResult | None:
            found = recorded.get(task_id)
            if found is None or old.get(task_id) != identity:
                return None
            # As it comes back from the disk.
            return SpawnResult.from_dict(json.loads(json.dumps(found.to_dict())))

        context = self.crew.fleet.context
        self.soar = Soar(
            context.for_run(self.journal, self.crew.sink),
            Question(self.text),
            self.shelf,
            self.notebook,
            known=known,
            identities=self.identities,
            listener=self.events.append,
            **self.options,
        )

    @property
    def stub(self) -> AgentOrchestratorStub:
        """Who plays model and agents."""
        return self.crew.stub

    def says(self, **by_task: str) -> "Inquiry":
        """Scripts answers by task id ("decompose_repair" is "decompose-repair")."""
        for name, text in by_task.items():
            self.on(name.replace("_", "-"), replies(text))
        return self

    def on(self, task_id: str, *behaviours: Any) -> "Inquiry":
        """Scripts one task."""
        self.stub.on(lambda request: request.task_id == task_id, *behaviours)
        return self

    async def run(self) -> SoarReport:
        """The report."""
        return await self.soar.run()

    def asked(self) -> list[str]:
        """Who was asked what, in order."""
        return [str(call.request.task_id) for call in self.stub.calls]

    def prompt(self, task_id: str) -> str:
        """What was asked there."""
        texts = {str(c.request.task_id): c.request.text for c in self.stub.calls}
        return texts[task_id]

    def again(self, **changes: Any) -> "Inquiry":
        """The next process, going on from this one."""
        return evolve(self, before=self, identities={}, events=[], **changes)
