"""Record: what may be used again, by how sure it is, and what was said in any case."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import define, evolve

from muster.application.ports.answers import Answers
from muster.application.ports.knowledge import Knowledge
from muster.application.soar.ledger import Ledger, identity_of
from muster.domain import presets
from muster.domain.errors import JournalError, MusterError
from muster.domain.question import Question
from muster.domain.subgoals import Subgoal
from muster.domain.synthesis import Answer
from muster.domain.word_overlap import likeness

LOGGED: Final = "logged"
CACHED: Final = "cached"
PATTERN: Final = "pattern"


def level_of(answer: Answer) -> str:
    """How much of an answer is kept beside the log of the conversation.

    One with missing parts is not: what failed today may be known tomorrow.
    """
    if answer.missing or answer.confidence < presets.SOAR_CACHED:
        return LOGGED
    return CACHED if answer.confidence < presets.SOAR_PATTERN else PATTERN


@define(eq=False)
class Recorder:
    """The memory across runs. Its troubles are told to ``warn`` and cost no answer."""

    ledger: Ledger
    answers: Answers | None
    knowledge: Knowledge | None
    question: Question
    warn: Callable[[str], object] = id

    async def key(self) -> str | None:
        """What the question and all sources are together; None if that can't be told.

        A run that is taken up again has the sources with which it began.
        """

        async def make() -> Mapping[str, Any]:
            return {"key": await self._key()}

        inputs = [self.question.text, list(self.question.files)]
        said = await self.ledger.phase("sources", inputs, make)
        return None if said["key"] is None else str(said["key"])

    async def _key(self) -> str | None:
        fleet, sources = self.ledger.fleet, ""
        try:
            if self.knowledge is not None:
                sources = await self.knowledge.fingerprint(files=self.question.files)
            tool = fleet.tools.resolve(fleet.tool)
        except MusterError:
            return None
        text = " ".join(self.question.text.split())
        # A simulation, or another model, would not have said the same.
        return identity_of("answer", text, sources, tool.name, fleet.model)

    async def find(self, key: str | None) -> Answer | None:
        """The answer to the same question from the same sources, marked as cached."""
        if key is None or self.answers is None:
            return None
        try:
            found = await self.answers.find(key)
            if found is None:
                return None
            return evolve(
                Answer.from_dict(found["answer"]), cached_from=found["run_id"]
            )
        except (JournalError, KeyError, TypeError, ValueError) as error:
            self.warn(f"a kept answer can't be read: {error}")
            return None

    async def pattern(self) -> Mapping[str, Any] | None:
        """How a question much like this one was answered well."""
        if self.answers is None:
            return None
        try:
            patterns = await self.answers.patterns()
        except JournalError as error:
            self.warn(str(error))
            return None
        text = self.question.text
        scored = [(likeness(text, str(each["question"])), each) for each in patterns]
        best = max(scored, key=lambda each: each[0], default=None)
        return best[1] if best and best[0] >= presets.SOAR_LIKENESS else None

    async def record(
        self,
        key: str | None,
        answer: Answer,
        subgoals: Sequence[Subgoal],
        conversation: str,
    ) -> str:
        """What was kept, in words; see `level_of`."""
        run_id = self.ledger.fleet.run_id
        level = LOGGED if key is None else level_of(answer)
        if self.answers is None:
            return "nothing is kept"
        try:
            if key is not None and level != LOGGED:
                kept = {"run_id": run_id, "answer": answer.to_dict()}
                await self.answers.keep(key, kept, self._pattern(level, subgoals))
            path = await self.answers.log(run_id or "conversation", conversation)
        except JournalError as error:
            self.warn(f"not recorded: {error}")
            return "not recorded"
        return f"{level}, {path}"

    def _pattern(
        self, level: str, subgoals: Sequence[Subgoal]
    ) -> Mapping[str, Any] | None:
        if level != PATTERN or not subgoals:
            return None
        listed = [each.to_dict() for each in subgoals]
        return {"question": self.question.text, "subgoals": listed}
