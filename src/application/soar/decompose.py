"""Decompose: a model splits the question; what it says is checked, never obeyed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field

from muster.application.soar.ledger import REPAIR, RETRY
from muster.application.soar.model import Model
from muster.domain import soar_prompt
from muster.domain.agent_profile import AgentProfile
from muster.domain.complexity import Assessment
from muster.domain.errors import MusterError
from muster.domain.json_in_text import Misread
from muster.domain.question import Question
from muster.domain.subgoal_issues import Issue
from muster.domain.subgoals import Subgoal, read_subgoals


@define(eq=False)
class UndecomposedError(MusterError):
    """The model gave no subgoals that can be worked on, asked again with what was wrong."""

    problem: str
    issues: Sequence[Issue] = ()

    def __str__(self) -> str:
        return (
            f"the question could not be split: {self.problem}; ask it in other words, "
            "or with another --model"
        )


@define(eq=False)
class Decomposer:
    """Asks for subgoals, once more for a readable answer, once more for a sound one."""

    model: Model
    question: Question
    material: str
    assessment: Assessment
    profiles: Sequence[AgentProfile]
    pattern: Mapping[str, Any] | None = None
    warn: Callable[[str], object] = id
    _is_repaired: bool = field(default=False, init=False)
    _last: tuple[str, str] = field(default=("", ""), init=False)

    @property
    def limit(self) -> int:
        """How many subgoals there may be."""
        return self.assessment.level.max_subgoals

    async def first(self) -> tuple[Subgoal, ...]:
        """The subgoals as the model gives them. Raises `UndecomposedError`."""
        prompt = soar_prompt.decompose(
            self.question.text,
            self.material,
            limit=self.limit,
            agents=self.profiles,
            pattern=self.pattern,
        )
        return await self._read("decompose", prompt)

    async def better(self, issues: Sequence[Issue]) -> tuple[Subgoal, ...]:
        """The subgoals once more, to one who is told what is wrong with the first."""
        prompt, answer = self._last
        feedback = "\n".join(map(str, issues))
        return await self._read(RETRY, soar_prompt.again(prompt, answer, feedback))

    async def _read(self, task_id: str, prompt: str) -> tuple[Subgoal, ...]:
        about = [self.question.text, self.limit, self._last[1]]
        answer = await self.model.ask(task_id, prompt, about=about)
        self._last = prompt, answer
        found = read_subgoals(answer)
        if isinstance(found, Misread) and not self._is_repaired:
            self._is_repaired = True
            self.warn(f"{task_id}: {found.problem}; asked once more")
            again = soar_prompt.again(prompt, answer, found.problem)
            answer = await self.model.ask(REPAIR, again, about=[*about, answer])
            self._last = prompt, answer
            found = read_subgoals(answer)
        if isinstance(found, Misread):
            raise UndecomposedError(found.problem)
        return found
