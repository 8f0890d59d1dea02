"""Assess: how hard the question is, without asking a model."""

from collections.abc import Mapping
from typing import Any

from muster.application.soar.ledger import Ledger
from muster.domain import complexity
from muster.domain.complexity import Assessment, Complexity
from muster.domain.question import Question


async def assess(
    ledger: Ledger, question: Question, *, at_least: Complexity
) -> Assessment:
    """The assessment; ``at_least`` is for whoever wants subgoals in any case."""

    async def make() -> Mapping[str, Any]:
        found = complexity.assess(question.text)
        levels = list(Complexity)
        level = max(found.level, at_least, key=levels.index)
        return {
            "level": level.value,
            "score": found.score,
            "confidence": found.confidence,
            "reasons": list(found.reasons),
        }

    said = await ledger.phase("assess", [question.text, at_least.value], make)
    return Assessment(
        Complexity(said["level"]),
        said["score"],
        said["confidence"],
        tuple(said["reasons"]),
    )
