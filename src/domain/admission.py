"""What a circuit breaker says before an attempt, and is told after it."""

from enum import StrEnum
from typing import Final

from attrs import frozen

from muster.domain.outcome import FailureCause


class Outcome(StrEnum):
    """How an attempt ended, where no `FailureCause` says it better.

    NEUTRAL says nothing about the agent: as if the attempt had not been made.
    """

    SUCCESS = "success"
    FAILURE = "failure"
    NEUTRAL = "neutral"


@frozen
class Blocked:
    """Not admitted: why, in words, and the seconds after which to ask again."""

    reason: str
    retry_after: float


# What belongs to a lane, to the user or to the plan says nothing about an agent.
NEUTRAL: Final[frozenset[str]] = frozenset(
    {
        Outcome.NEUTRAL,
        FailureCause.RATE_LIMIT,
        FailureCause.OVERLOADED,
        FailureCause.QUOTA,
        *(cause for cause in FailureCause if not cause.is_agent_failure),
    }
)
