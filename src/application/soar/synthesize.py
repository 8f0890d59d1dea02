"""Synthesize: one answer from what was found out, and what is missing of it."""

from collections.abc import Callable, Sequence

from attrs import define

from muster.application.soar.collect import CollectResult
from muster.application.soar.model import Model, ModelFailedError
from muster.domain import presets, soar_prompt
from muster.domain.json_in_text import Misread
from muster.domain.question import Question
from muster.domain.subgoals import Subgoal
from muster.domain.synthesis import (
    Answer,
    Synthesis,
    missing_of,
    read_synthesis,
    tempered,
)

NOTHING = "No subgoal could be answered, so there is no answer."
_UNSTRUCTURED = "the answer came without its structure: nothing says how sure it is"


@define(eq=False)
class Synthesizer:
    """Makes the answer. ``warn`` is told of what is made good."""

    model: Model
    question: Question
    warn: Callable[[str], object] = id

    async def direct(self, material: str) -> Answer:
        """The answer to a question that is not split. Raises `ModelFailedError`."""
        prompt = soar_prompt.direct(self.question.text, material)
        said = await self._read("answer", prompt, frozenset())
        return self._answer(said)

    async def from_outputs(
        self, subgoals: Sequence[Subgoal], collected: CollectResult
    ) -> Answer:
        """The answer, also where some or all have failed: then it says so."""
        results = collected.results
        missing = missing_of(subgoals, results)
        mask = self.model.mask
        outputs = {
            number: mask(each.output)
            for number, each in results.items()
            if each.success
        }
        notes = _notes(collected)
        if not outputs:
            return Answer(NOTHING, 0.0, missing=missing, notes=notes)
        prompt = soar_prompt.synthesize(self.question.text, subgoals, outputs, missing)
        try:
            said = await self._read("synthesize", prompt, frozenset(outputs))
        except ModelFailedError as error:
            # What agents have found out is worth more than nothing.
            text = "\n\n".join(
                f"{subgoals[number - 1].description}\n{output}"
                for number, output in outputs.items()
            )
            notes += (f"nobody has put the parts together: {error}",)
            return Answer(text, 0.0, missing=missing, notes=notes)
        answer = self._answer(said, notes)
        return Answer(
            answer.text,
            tempered(answer.confidence, subgoals, missing),
            answer.claims,
            missing,
            answer.gaps,
            answer.notes,
        )

    async def _read(
        self, task_id: str, prompt: str, known: frozenset[int]
    ) -> Synthesis | str:
        """The synthesis, after one more try; what was said where there is none."""
        said = await self.model.ask(task_id, prompt)
        found = read_synthesis(said, known)
        if isinstance(found, Synthesis):
            return found
        self.warn(f"{task_id}: {found.problem}; asked once more")
        again = soar_prompt.again(prompt, said, found.problem)
        try:
            better = await self.model.ask(f"{task_id}-repair", again)
        except ModelFailedError:
            return said
        found = read_synthesis(better, known)
        return better if isinstance(found, Misread) else found

    def _answer(self, said: Synthesis | str, notes: tuple[str, ...] = ()) -> Answer:
        if isinstance(said, str):
            notes += (_UNSTRUCTURED,)
            return Answer(said.strip(), presets.SOAR_UNSTRUCTURED, notes=notes)
        return Answer(
            said.text, said.confidence, said.claims, gaps=said.gaps, notes=notes
        )


def _notes(collected: CollectResult) -> tuple[str, ...]:
    """What was made good, and what a person should know of how the parts were got."""
    found = [] if collected.warning is None else [collected.warning]
    for each in collected.agent_outputs:
        result, who = each.result, f"subgoal {each.number} ({each.assignment.name})"
        if not result.success:
            continue
        causes = dict.fromkeys(
            attempt.failure.cause.value
            for attempt in result.attempts
            if attempt.failure
        )
        trouble = f" after {', '.join(causes)}" if causes else ""
        if result.fallback:
            found.append(f"{who} was answered by a direct call{trouble}")
        elif causes:
            found.append(f"{who} was answered at a further attempt{trouble}")
    return tuple(found)
