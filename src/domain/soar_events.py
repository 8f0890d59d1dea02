"""What is told while a question is answered, beside the fleet's own events."""

from enum import StrEnum
from typing import Any

from attrs import frozen

from muster.domain.outcome import Usage


class Phase(StrEnum):
    """The phases, in their order."""

    ASSESS = "assess"
    RETRIEVE = "retrieve"
    DECOMPOSE = "decompose"
    VERIFY = "verify"
    ROUTE = "route"
    COLLECT = "collect"
    SYNTHESIZE = "synthesize"
    RECORD = "record"
    RESPOND = "respond"


@frozen
class PhaseBegan:
    """A phase has begun."""

    phase: Phase


@frozen
class PhaseEnded:
    """A phase is over. ``recalled``: its result was known from before.

    ``asked`` counts the agents that were asked meanwhile, ``usage`` is theirs.
    """

    phase: Phase
    seconds: float
    detail: str
    asked: int = 0
    usage: Usage | None = None
    recalled: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "phase": self.phase.value,
            "seconds": round(self.seconds, 6),
            "detail": self.detail,
            "asked": self.asked,
            "usage": self.usage.to_dict() if self.usage else None,
            "recalled": self.recalled,
        }


@frozen
class SubgoalsRouted:
    """It is known who will work on what: (number, name, description) of each."""

    subgoals: tuple[tuple[int, str, str], ...]


@frozen
class Warned:
    """Something is not as it should be, and the answer is worked on all the same."""

    text: str


SoarEvent = PhaseBegan | PhaseEnded | SubgoalsRouted | Warned
