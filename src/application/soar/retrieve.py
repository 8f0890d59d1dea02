"""Retrieve: what the project and the named files have to say, best first and bounded."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from muster.application.ports.knowledge import Knowledge
from muster.application.soar.ledger import Ledger
from muster.domain import presets
from muster.domain.complexity import Assessment
from muster.domain.errors import ConfigError, MusterError
from muster.domain.question import Question


@frozen
class Material:
    """What was found. ``problem`` is why nothing could be searched."""

    text: str = ""
    sources: tuple[str, ...] = ()
    problem: str | None = None


async def retrieve(
    ledger: Ledger,
    knowledge: Knowledge | None,
    question: Question,
    assessment: Assessment,
    mask: Callable[[str], str],
) -> Material:
    """The material; none is no failure. Raises `ConfigError` for a named file."""

    async def make() -> Mapping[str, Any]:
        if knowledge is None:
            return {"sources": [], "texts": [], "problem": None}
        try:
            chunks = await knowledge.retrieve(
                question.text,
                limit=assessment.level.max_chunks,
                files=question.files,
            )
        except ConfigError:
            raise
        except MusterError as error:
            return {"sources": [], "texts": [], "problem": str(error)}
        return {
            "sources": [
                f"{each.source}:{each.start_line}-{each.end_line}" for each in chunks
            ],
            "texts": [mask(each.text) for each in chunks],
            "problem": None,
        }

    inputs = [question.text, list(question.files), assessment.level.value]
    said = await ledger.phase("retrieve", inputs, make)
    return Material(
        _text(said["sources"], said["texts"]),
        tuple(said["sources"]),
        said["problem"],
    )


def _text(sources: Sequence[str], texts: Sequence[str]) -> str:
    """The chunks under their places, the best ones first, as far as there is room."""
    room, parts = presets.SOAR_MATERIAL_CHARS, []
    for source, text in zip(sources, texts, strict=True):
        part = f"--- {source}\n{text.strip()}"[:room]
        room -= len(part)
        parts.append(part)
    return "\n\n".join(filter(None, parts))
