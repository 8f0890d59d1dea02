"""A vote on the wire: ``{"choice", "confidence", "reason"}``, wherever an answer has it.

Agents put their vote between sentences, into fences, after a vote that they quote. The
last object of an answer that has a choice is the vote; what it says must then be right.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from attrs import field, frozen, validators

from muster.domain import presets
from muster.domain.json_in_text import last_object, share_of

ABSTAIN: Final = "abstain"


@frozen
class Vote:
    """One member's choice. ``confidence`` is between 0 and 1, None where not said."""

    choice: str
    confidence: float | None = field(
        default=None,
        validator=validators.optional([validators.ge(0.0), validators.le(1.0)]),
    )
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As it stands on the wire."""
        return {
            "choice": self.choice,
            "confidence": self.confidence,
            "reason": self.reason,
        }


@frozen
class Abstention:
    """Who was there and gave no vote. Not ``is_deliberate``: it could not be read."""

    reason: str
    is_deliberate: bool = False


@frozen
class Unreadable:
    """There is no vote in the answer; ``problem`` says it to the one who gave it."""

    problem: str


def read_vote(answer: str, choices: Sequence[str]) -> Vote | Abstention | Unreadable:
    """The vote in an answer; only its end is searched when it is long.

    A choice is recognised in any case and with any white space around it. "abstain" is
    an abstention, unless it is one of the choices.
    """
    found = last_object(answer, "choice")
    if found is None:
        return Unreadable('there is no JSON object with a "choice" in the answer')
    said = found["choice"]
    reason = _reason(found.get("reason"))
    choice = _matching(said, choices)
    if choice is not None:
        return Vote(choice, share_of(found.get("confidence")), reason)
    if isinstance(said, str) and _folded(said) == ABSTAIN:
        return Abstention(reason or "no reason given", is_deliberate=True)
    known = ", ".join(f'"{each}"' for each in choices)
    shown = json.dumps(said, ensure_ascii=False, default=str)[: presets.BALLOT_SHOWN]
    return Unreadable(f"{shown} is none of the choices; they are {known}")


def _matching(said: object, choices: Sequence[str]) -> str | None:
    if not isinstance(said, str):
        # A choice may look like a number or a truth value to whoever writes JSON.
        said = json.dumps(said, default=str)
    if said in choices:
        return said
    fitting = [each for each in choices if _folded(each) == _folded(said)]
    return fitting[0] if len(fitting) == 1 else None


def _folded(text: str) -> str:
    return " ".join(text.casefold().strip(" \t\n\r\"'`.").split())


def _reason(said: object) -> str:
    if said is None:
        return ""
    text = said if isinstance(said, str) else json.dumps(said, default=str)
    text = " ".join(text.split())
    limit = presets.BALLOT_REASON_CHARS
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
