"""A question as it is kept in its run's folder, in the place of a plan."""

import json
from typing import Any, Final

from attrs import frozen

from muster.domain.complexity import Complexity
from muster.domain.errors import JournalError
from muster.domain.question import Question

KEY: Final = "soar"


@frozen
class SoarDocument:
    """What was asked, and into how much it is split at least."""

    question: Question
    at_least: Complexity = Complexity.SIMPLE


def to_text(asked: SoarDocument) -> bytes:
    """The document."""
    document = {
        "question": asked.question.text,
        "files": list(asked.question.files),
        "at_least": asked.at_least.value,
    }
    text = json.dumps({KEY: document}, ensure_ascii=False, indent=1)
    return text.encode("utf-8", "replace")


def from_text(text: bytes, where: str) -> SoarDocument:
    """The question of a document. Raises `JournalError`."""
    try:
        document: dict[str, Any] = json.loads(text)[KEY]
        question = Question(document["question"], document["files"])
        return SoarDocument(question, Complexity(document["at_least"]))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        problem = f"is no question that can be taken up ({error})"
        raise JournalError(problem, where) from error
